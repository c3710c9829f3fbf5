package authwright_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A browser keeps cookies and follows redirects within the host, not out of it.
type browser struct {
	*http.Client
	w *world
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	return &browser{&http.Client{Transport: w.ts.Client().Transport, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), w.ts.URL+"/") {
			return http.ErrUseLastResponse
		}
		return nil
	}}, w}
}

// signedIn returns a browser in which name is signed in.
func (w *world) signedIn(name string) *browser {
	b := w.browser()
	u, err := url.Parse(w.ts.URL)
	require.NoError(w.t, err)
	b.Jar.SetCookies(u, []*http.Cookie{w.session(name)})
	return b
}

// An answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(c *http.Client, r *http.Request) answer {
	w.t.Helper()
	resp, err := c.Do(r)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// json decodes the body, which must be a JSON object.
func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &v), a.body)
	return v
}

// location returns the query of the redirect that a is.
func (a answer) location(t *testing.T) url.Values {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, a.status, a.body)
	u, err := url.Parse(a.header.Get("Location"))
	require.NoError(t, err)
	return u.Query()
}

// request returns the parameters of a good authorization request of web, with changes: an
// empty value removes a parameter.
func request(changes ...string) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {"https://web.example/cb"},
		"scope": {"read write"}, "state": {"xyz"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return q
}

// authorize sends an authorization request and stops at the consent page, an error page or
// the redirect to the client.
func (b *browser) authorize(q url.Values) answer {
	b.w.t.Helper()
	return b.get(b.w.issuer + "/authorize?" + q.Encode())
}

func (b *browser) get(target string) answer {
	b.w.t.Helper()
	r, err := http.NewRequestWithContext(b.w.t.Context(), http.MethodGet, target, nil)
	require.NoError(b.w.t, err)
	return b.w.do(b.Client, r)
}

var consentForm = regexp.MustCompile(`action="([^"]+)"[^>]*>\s*<input type="hidden" name="consent" value="([^"]+)"`)

// question finds the form of a consent page: where it posts to, and its handle.
func (a answer) question(t *testing.T) (action, handle string) {
	t.Helper()
	m := consentForm.FindStringSubmatch(a.body)
	require.NotNil(t, m, "not a consent page: %d %s", a.status, a.body)
	return strings.ReplaceAll(m[1], "&amp;", "&"), m[2]
}

// decide answers a consent page: decision is approve or deny.
func (b *browser) decide(page answer, decision string, scopes ...string) answer {
	b.w.t.Helper()
	action, handle := page.question(b.w.t)
	return b.post(action, url.Values{"consent": {handle}, "decision": {decision}, "scope": scopes})
}

func (b *browser) post(path string, f url.Values) answer {
	b.w.t.Helper()
	r, err := http.NewRequestWithContext(b.w.t.Context(), http.MethodPost, b.w.ts.URL+path, strings.NewReader(f.Encode()))
	require.NoError(b.w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.w.do(b.Client, r)
}
