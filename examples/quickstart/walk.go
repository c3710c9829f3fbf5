package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A walk is one pass through the flow, and what the page knows of it.
type walk struct {
	mu    sync.Mutex // guards what changes
	began time.Time

	// The application's secrets: State ties the answer to this browser, Verifier
	// the code to this application.
	State, Verifier string

	Request   params // step 1
	URL       string
	hops      []hop     // steps 1 to 4, as the browser went
	Callback  *callback // step 4
	Token     *exchange // step 5
	JWT       jwt       // step 6
	API       *exchange // step 7
	Refresh   *exchange
	Replay    *exchange
	Aftermath *exchange // the same with the newest refresh token
	Old, New  tokens    // before and after the latest refresh
}

// A callback is the authorization response.
type callback struct{ Code, Error, Description string }

// newWalk prepares an authorization request (RFC 6749, section 4.1.1; RFC 7636).
func newWalk(issuer string) *walk {
	wk := &walk{
		began: time.Now().Truncate(time.Millisecond),
		State: rand.Text(),
		// Two, because RFC 7636, section 4.1 wants 43 characters at least.
		Verifier: rand.Text() + rand.Text(),
	}
	sum := sha256.Sum256([]byte(wk.Verifier))
	wk.Request = params{
		{"response_type", "code", "Please send a one-time code. Tokens do not travel through browsers."},
		{"client_id", webID, "Who is asking."},
		{"redirect_uri", issuer + "/app/callback", "Where the answer goes. It must be registered, byte by byte, or codes could be sent to strangers."},
		{"scope", requested, "What the application would like to do. The user may grant less."},
		{"state", wk.State, "A random value that comes back with the answer, so that nobody can plant an answer in this browser."},
		{"code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]), "PKCE: the hash of a secret that the application keeps until step 5. Whoever steals the code lacks it."},
		{"code_challenge_method", "S256", "How it was hashed. There is no other method."},
	}
	wk.URL = issuer + "/authorize?" + wk.Request.encode()
	return wk
}

// A param is a parameter, with an explanation if it is one to show.
type param struct{ Name, Value, Why string }

type params []param

func (p params) encode() string {
	pairs := make([]string, len(p))
	for i, q := range p {
		pairs[i] = url.QueryEscape(q.Name) + "=" + url.QueryEscape(q.Value)
	}
	return strings.Join(pairs, "&")
}

// A step is a chapter of the page.
type step struct {
	Number    int
	ID, Title string
	State     string // done, now or next
	Open      bool
}

// steps says how far the walk has come. What has just happened is open, and what comes
// next.
func (wk *walk) steps() []step {
	now := wk.now()
	var list []step
	for i, s := range []struct{ id, title string }{
		{"request", "Authorization request"},
		{"login", "Login"},
		{"consent", "Consent"},
		{"code", "Code"},
		{"token", "Token exchange"},
		{"access-token", "Access token"},
		{"api", "API call"},
		{"refresh", "Refresh"},
		{"replay", "Replay"},
	} {
		n, state := i+1, "next"
		if n < now {
			state = "done"
		} else if n == now {
			state = "now"
		}
		list = append(list, step{n, s.id, s.title, state, n == now || wk.recent(n, now)})
	}
	return list
}

// recent reports whether step n was done by the latest click.
func (wk *walk) recent(n, now int) bool {
	switch now {
	case 5:
		return n >= 2 && n <= 4
	case 7:
		return n == 5 || n == 6
	}
	return n == now-1
}

// now is the number of the step to take, ten after the last.
func (wk *walk) now() int {
	switch {
	case wk.Callback == nil:
		return 1
	case wk.Callback.Code == "":
		return 4 // refused
	case wk.New.Access == "":
		return 5
	case wk.API == nil:
		return 7
	case wk.Refresh == nil:
		return 8
	case wk.Replay == nil:
		return 9
	}
	return 10
}
