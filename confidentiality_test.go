package authwright_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A tour is a walk through everything that may happen to credentials, good and bad. It
// keeps the credentials, and what somebody else gets to see on the way.
type tour struct {
	*world
	secrets map[string]string // by what they are
	answers []answer          // of requests that failed
	logins  []string          // URLs at which the host's login page was asked for
}

func newTour(t *testing.T) *tour {
	t.Helper()
	var mu sync.Mutex
	tr := &tour{secrets: map[string]string{"secret": webSecret, "verifier": verifier, "wrong secret": "wr0ng-secret-of-somebody", "assertion": "eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl"}}
	tr.world = newWorld(t, func(c *authwright.Config) {
		c.Limit = func(*http.Request, string) time.Duration { return 0 }
		page := authwright.LoginRedirect("/login", "next", tr.currentUser)
		c.Authenticator = watchedLogin{page, func(req *authwright.AuthorizeRequest) {
			mu.Lock()
			defer mu.Unlock()
			tr.logins = append(tr.logins, req.ReturnTo)
		}}
	})
	tr.good()
	tr.bad()
	return tr
}

// A watchedLogin tells where the host is asked to send the user back to.
type watchedLogin struct {
	authwright.Authenticator
	watch func(*authwright.AuthorizeRequest)
}

func (l watchedLogin) Login(w http.ResponseWriter, r *http.Request, req *authwright.AuthorizeRequest) {
	l.watch(req)
	l.Authenticator.Login(w, r, req)
}

// currentUser is the world's, which is there by the time it is called.
func (tr *tour) currentUser(r *http.Request) (*authwright.User, error) {
	return tr.world.currentUser(r)
}

// good goes through the flow, with a refresh, a retry and a replay.
func (tr *tour) good() {
	b := tr.browser()
	page := b.authorize(request("login_hint", "alice"))
	_, tr.secrets["consent handle"] = page.question(tr.t)
	u, err := url.Parse(tr.ts.URL)
	require.NoError(tr.t, err)
	for _, c := range b.Jar.Cookies(u) {
		if c.Name != "session" {
			tr.secrets["browser cookie"] = c.Value
		}
	}
	tr.secrets["code"] = b.decide(page, "approve", "read").location(tr.t).Get("code")
	first := tr.token(codeForm(tr.secrets["code"]), "web", webSecret).json(tr.t)
	second := tr.refreshed(first["refresh_token"])
	retried := tr.refreshed(first["refresh_token"])
	for name, resp := range map[string]map[string]any{"first": first, "second": second, "retried": retried} {
		tr.secrets[name+" access token"] = resp["access_token"].(string)
		tr.secrets[name+" refresh token"] = resp["refresh_token"].(string)
	}
	tr.secrets["replayed code"] = tr.code(request())
	for _, status := range []int{http.StatusOK, http.StatusBadRequest} {
		require.Equal(tr.t, status, tr.token(codeForm(tr.secrets["replayed code"]), "web", webSecret).status)
	}
	tr.advance(time.Hour)
	refused(tr.t, tr.token(refreshForm(first["refresh_token"].(string)), "web", webSecret), "invalid_grant")
}

// bad puts every credential where it does not belong.
func (tr *tour) bad() {
	alice := http.Header{"Cookie": {tr.session("alice").String()}}
	fail := func(a answer) {
		require.GreaterOrEqual(tr.t, a.status, 400, a.body)
		tr.answers = append(tr.answers, a)
	}
	good := asWeb(webSecret)
	fail(tr.token(codeForm("x"), "web", tr.secrets["wrong secret"]))
	fail(tr.token(codeForm("x"), "nobody", webSecret))
	fail(tr.transmit("POST", "/token", codeForm("x").Encode(), http.Header{"Authorization": {"Basic " + webSecret}}))
	fail(tr.transmit("POST", "/token", codeForm("x", "client_secret", webSecret).Encode(), good))
	for name, text := range tr.secrets {
		escaped := url.QueryEscape(text)
		fail(tr.token(codeForm(text), "web", webSecret))
		fail(tr.token(codeForm("x"), text, webSecret))
		fail(tr.token(codeForm("x", "client_id", text)))
		fail(tr.token(refreshForm(text), "web", webSecret))
		fail(tr.token(codeForm(tr.code(request()), "code_verifier", text+"x"), "web", webSecret))
		fail(tr.token(codeForm("x", "grant_type", text), "web", webSecret))
		fail(tr.token(codeForm("x", "client_id", "web", "client_secret", text+"x")))
		fail(tr.token(codeForm("x", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", text)))
		fail(tr.token(refreshForm("x", "resource", text), "web", webSecret))
		fail(tr.transmit("POST", "/token?code="+escaped+"&client_secret="+escaped+"&refresh_token="+escaped, "grant_type=refresh_token", good))
		fail(tr.transmit("POST", "/token", "grant_type=refresh_token&refresh_token="+escaped+"&refresh_token="+escaped, good))
		fail(tr.transmit("POST", "/token", "refresh_token="+escaped+"%zz", good))
		fail(tr.transmit("POST", "/token", text, http.Header{"Content-Type": {"application/json"}}))
		fail(tr.transmit("POST", "/token", "grant_type=refresh_token", http.Header{"Authorization": {"Bearer " + text}}))
		fail(tr.transmit("POST", "/consent", url.Values{"consent": {text}, "decision": {text}}.Encode(), alice))
		fail(tr.transmit("PUT", "/token", refreshForm(text).Encode(), good))
		fail(tr.transmit("GET", "/authorize?response_type=code&client_id=web&redirect_uri="+escaped, "", alice))
		for _, parameter := range []string{"request", "scope"} {
			a := tr.transmit("GET", "/authorize?"+request(parameter, text).Encode(), "", alice)
			require.Equal(tr.t, http.StatusSeeOther, a.status, name)
			tr.answers = append(tr.answers, a)
		}
	}
}

func TestConfidentiality(t *testing.T) {
	t.Parallel()
	tr := newTour(t)
	require.Contains(t, tr.happened(), authwright.EventTokenReplayed)
	require.Contains(t, tr.happened(), authwright.EventCodeReplayed)
	require.Contains(t, tr.happened(), authwright.EventClientAuthFailed)
	require.True(t, slices.ContainsFunc(tr.events, func(e authwright.Event) bool {
		return e.Type == authwright.EventClientAuthFailed && e.ClientID == "web"
	}))
	require.NotEmpty(t, tr.log())
	require.NotEmpty(t, tr.logins)
	events, err := json.Marshal(tr.events)
	require.NoError(t, err)
	for name, text := range tr.secrets {
		t.Run("HT-11 not in the log: "+name, func(t *testing.T) {
			require.NotContains(t, tr.log(), text)
			require.NotContains(t, tr.log(), url.QueryEscape(text))
		})
		t.Run("HT-11 not in an event: "+name, func(t *testing.T) {
			require.NotContains(t, string(events), text)
		})
		t.Run("HT-11 not in the answer to a request that failed: "+name, func(t *testing.T) {
			for _, a := range tr.answers {
				require.NotContains(t, a.body+fmt.Sprint(a.header), text)
			}
		})
		t.Run("HT-11 not in a URL of ours: "+name, func(t *testing.T) {
			require.NotContains(t, strings.Join(tr.logins, "\n"), text)
		})
	}
	t.Run("HT-11 nor a hash of a credential", func(t *testing.T) {
		visible := tr.log() + fmt.Sprint(tr.events)
		kept := 0
		for _, g := range tr.stored() {
			for _, hash := range hashes(g) {
				for _, spelling := range spellings(hash) {
					kept++
					require.NotContains(t, visible, spelling)
				}
			}
		}
		require.NotZero(t, kept)
	})
}

// spellings are the ways in which bytes may be written as text.
func spellings(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return []string{string(b), hex.EncodeToString(b), base64.StdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b)}
}

// stored returns every grant of w.
func (w *world) stored() []*authwright.Grant {
	w.t.Helper()
	var grants []*authwright.Grant
	for _, c := range clients() {
		of, _, err := w.store.GrantsByClient(w.t.Context(), c.ID, "", 0)
		require.NoError(w.t, err)
		grants = append(grants, of...)
	}
	return grants
}

// hashes are the fields of g that come from secrets.
func hashes(g *authwright.Grant) [][]byte {
	return [][]byte{g.Browser, g.Secret, g.Lineage, g.Turn, g.Previous, g.Sealed}
}

func TestConfidentialityAtRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secrets := map[string]string{"client secret": webSecret, "verifier": verifier}
	var grants []*authwright.Grant // as they were at every step
	given := func(name, secret string) string {
		secrets[name] = secret
		grants = append(grants, w.stored()...)
		return secret
	}
	b := w.browser()
	page := b.authorize(request())
	_, handle := page.question(t)
	given("consent handle", handle)
	code := given("code", b.decide(page, "approve", "read", "write").location(t).Get("code"))
	first := w.token(codeForm(code), "web", webSecret).json(t)
	given("access token", first["access_token"].(string))
	given("refresh token", first["refresh_token"].(string))
	second := w.refreshed(first["refresh_token"])
	live := given("rotated refresh token", second["refresh_token"].(string))

	web, err := w.store.Client(t.Context(), "web")
	require.NoError(t, err)
	rows, err := json.Marshal([]any{web, grants})
	require.NoError(t, err)
	for name, secret := range secrets {
		t.Run("ST-01 not stored: "+name, func(t *testing.T) {
			require.NotContains(t, string(rows), secret)
		})
		raw, err := base64.RawURLEncoding.DecodeString(secret)
		if err != nil || len(raw) != 48 {
			continue // not one of those that name their grant
		}
		t.Run("ST-01 no random part of it is stored: "+name, func(t *testing.T) {
			for _, g := range grants {
				for _, field := range hashes(g) {
					require.NotContains(t, string(field), string(raw[16:32]))
					require.NotContains(t, string(field), string(raw[32:]))
				}
			}
		})
	}
	t.Run("ST-01 what can be read cannot be redeemed", func(t *testing.T) {
		w.code(request("prompt", "consent")) // one that is live
		for _, g := range w.stored() {
			id, err := base64.RawURLEncoding.DecodeString(g.ID)
			require.NoError(t, err)
			var parts [][]byte
			for _, field := range hashes(g) {
				parts = slices.AppendSeq(parts, slices.Chunk(field, 16))
			}
			for _, x := range parts {
				for _, y := range parts {
					guess := base64.RawURLEncoding.EncodeToString(slices.Concat(id, x, y))
					refused(t, w.token(codeForm(guess), "web", webSecret), "invalid_grant")
					refused(t, w.token(refreshForm(guess), "web", webSecret), "invalid_grant")
				}
			}
		}
		w.refreshed(live) // which the guesses have not broken
	})
}
