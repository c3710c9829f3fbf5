package integration_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// victimLog is the log of a victim.
type victimLog struct{ v *victim }

func (l victimLog) Write(b []byte) (int, error) {
	l.v.mu.Lock()
	defer l.v.mu.Unlock()
	return l.v.logs.Write(b)
}

func (v *victim) log() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.logs.String()
}

func (v *victim) record(_ context.Context, e authwright.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.events = append(v.events, e)
}

// happened reports whether there was an event of the given type.
func (v *victim) happened(kind authwright.EventType) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.events {
		if e.Type == kind {
			return true
		}
	}
	return false
}

// currentUser reads the host's session cookie, which holds a name and a time.
func (v *victim) currentUser(r *http.Request) (*authwright.User, error) {
	c, err := r.Cookie("session")
	if err != nil {
		return nil, nil
	}
	name, at, _ := strings.Cut(c.Value, "|")
	since, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return nil, err
	}
	u := &authwright.User{Subject: name, AuthTime: since}
	if v.user != nil {
		return v.user(u)
	}
	return u, nil
}

func (v *victim) login(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("login_hint")
	if name == "" {
		name = "alice"
	}
	http.SetCookie(w, v.session(name))
	http.Redirect(w, r, r.FormValue("next"), http.StatusSeeOther)
}

func (v *victim) session(name string) *http.Cookie {
	return &http.Cookie{Name: "session", Value: name + "|" + v.now().Format(time.RFC3339), Path: "/", Secure: true, HttpOnly: true}
}

// A person is somebody at a browser, which keeps cookies, and follows redirects that stay
// at the victim.
type person struct {
	*http.Client
	v *victim
}

// stranger is a person who is not signed in.
func (v *victim) stranger() person {
	jar, err := cookiejar.New(nil)
	require.NoError(v.t, err)
	return person{&http.Client{Transport: v.ts.Client().Transport, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), v.ts.URL+"/") {
			return http.ErrUseLastResponse
		}
		return nil
	}}, v}
}

// signedIn is a person who has signed in as name.
func (v *victim) signedIn(name string) person {
	p := v.stranger()
	p.plant(v.session(name))
	return p
}

// plant puts a cookie into the browser of p.
func (p person) plant(c *http.Cookie) {
	u, err := url.Parse(p.v.ts.URL)
	require.NoError(p.v.t, err)
	p.Jar.SetCookies(u, []*http.Cookie{c})
}

// RoundTrip sends a request from the browser of p.
func (p person) RoundTrip(r *http.Request) (*http.Response, error) { return p.Do(r) }

func (p person) get(target string, header ...string) reaction {
	p.v.t.Helper()
	r, err := http.NewRequestWithContext(p.v.t.Context(), http.MethodGet, target, nil)
	require.NoError(p.v.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return p.v.send(p, r)
}

func (p person) authorize(q url.Values) reaction {
	p.v.t.Helper()
	return p.get(p.v.issuer + "/authorize?" + q.Encode())
}

// authorizeRaw sends more than url.Values could.
func (p person) authorizeRaw(query string) reaction {
	p.v.t.Helper()
	return p.get(p.v.issuer + "/authorize?" + query)
}

var consentQuestion = regexp.MustCompile(`action="([^"]+)"[^>]*>\s*<input type="hidden" name="consent" value="([^"]+)"`)

// question is the form of a consent page: where it goes, and its handle.
func (a reaction) question(t *testing.T) (action, handle string) {
	t.Helper()
	m := consentQuestion.FindStringSubmatch(a.body)
	require.NotNil(t, m, "not a consent page: %d %s %s", a.status, a.header.Get("Location"), a.body)
	return strings.ReplaceAll(m[1], "&amp;", "&"), m[2]
}

// answerForm is a decision on the consent page a.
func (a reaction) answerForm(t *testing.T, decision string, scopes ...string) (action string, f url.Values) {
	t.Helper()
	action, handle := a.question(t)
	return action, url.Values{"consent": {handle}, "decision": {decision}, "scope": scopes}
}

func (p person) decide(page reaction, decision string, scopes ...string) reaction {
	p.v.t.Helper()
	action, f := page.answerForm(p.v.t, decision, scopes...)
	return p.post(action, f)
}

func (p person) post(path string, f url.Values, header ...string) reaction {
	p.v.t.Helper()
	r := p.v.form(path, f)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return p.v.send(p, r)
}

// The PKCE pair of RFC 7636, appendix B.
const (
	goodVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	goodChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// changed is f with changes: an empty value removes a parameter.
func changed(f url.Values, changes ...string) url.Values {
	for i := 0; i+1 < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			f.Del(changes[i])
		}
	}
	return f
}

// asking is a good authorization request of c1, with changes.
func asking(changes ...string) url.Values {
	return changed(url.Values{
		"response_type": {"code"}, "client_id": {"c1"}, "redirect_uri": {c1URI}, "scope": {"read write"},
		"state": {"xyz"}, "code_challenge": {goodChallenge}, "code_challenge_method": {"S256"},
	}, changes...)
}

// redeeming is a good redemption of a code of c1, with changes.
func redeeming(code string, changes ...string) url.Values {
	return changed(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c1URI}, "code_verifier": {goodVerifier},
	}, changes...)
}

func refreshing(token string, changes ...string) url.Values {
	return changed(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, changes...)
}

// code is a code that somebody, alice if it is not said who, has consented to.
func (v *victim) code(q url.Values, name ...string) string {
	v.t.Helper()
	p := v.signedIn(append(name, "alice")[0])
	a := p.authorize(q)
	if a.status == http.StatusOK {
		a = p.decide(a, "approve", strings.Fields(q.Get("scope"))...)
	}
	code := a.toClient(v.t, q.Get("redirect_uri")).Get("code")
	require.NotEmpty(v.t, code, a.header.Get("Location"))
	return code
}

// tokens are what c1 gets for alice.
func (v *victim) tokens(changes ...string) issued {
	v.t.Helper()
	return v.token(redeeming(v.code(asking(changes...))), "c1", secretOf1).granted(v.t)
}

// dead checks that no token of i is good for anything.
func (v *victim) dead(i issued) {
	v.t.Helper()
	require.Equal(v.t, map[string]any{"active": false}, v.introspect(i.Access))
	if i.Refresh != "" {
		require.Equal(v.t, map[string]any{"active": false}, v.introspect(i.Refresh))
		v.token(refreshing(i.Refresh), "c1", secretOf1).refused(v.t, "invalid_grant")
	}
}

// live checks that the access token of i is good.
func (v *victim) live(i issued) {
	v.t.Helper()
	require.Equal(v.t, true, v.introspect(i.Access)["active"])
}
