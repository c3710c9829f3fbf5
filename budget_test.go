//go:build !race

package authwright_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A lap drives a server in this process with nothing around it, so that what is measured is
// the server: a confidential client, and a user who is signed in and has consented before.
type lap struct {
	tb      testing.TB
	srv     *authwright.Server
	store   *authwright.Memory
	basic   []string // Authorization
	request *url.URL // for a code
}

const lapURI = "https://app.example.com/callback"

type signedIn struct{ user *authwright.User }

func (s signedIn) CurrentUser(*http.Request) (*authwright.User, error) { return s.user, nil }

func (signedIn) Login(http.ResponseWriter, *http.Request, *authwright.AuthorizeRequest) {}

func newLap(tb testing.TB, key authwright.SigningKey) *lap {
	tb.Helper()
	store, err := authwright.NewMemory(&authwright.Client{
		ID: "web", Secrets: []authwright.ClientSecret{stored(webSecret)}, RedirectURIs: []string{lapURI}, Scopes: []string{"read", "write"},
	})
	require.NoError(tb, err)
	srv, err := authwright.NewServer(authwright.Config{
		Issuer: "https://auth.example.com", Storage: store, SigningKeys: []authwright.SigningKey{key},
		Authenticator: signedIn{&authwright.User{Subject: "alice"}},
		OnEvent:       func(context.Context, authwright.Event) {},
	})
	require.NoError(tb, err)
	request, err := url.Parse("https://auth.example.com/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {lapURI}, "scope": {"read write"}, "state": {"af0ifjsldkj"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}.Encode())
	require.NoError(tb, err)
	l := &lap{tb: tb, srv: srv, store: store, request: request,
		basic: []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("web:"+webSecret))}}
	l.consent()
	return l
}

var consentHandle = regexp.MustCompile(`name="consent" value="([^"]+)"`)

// consent has the user agree once, which is remembered.
func (l *lap) consent() {
	page := l.serve(&http.Request{Method: "GET", URL: l.request, Header: http.Header{}})
	handle := consentHandle.FindStringSubmatch(page.Body.String())
	require.Len(l.tb, handle, 2, page.Body)
	r := l.post("/consent", "decision=approve&scope=read&scope=write&consent="+handle[1])
	r.Header["Sec-Fetch-Site"] = []string{"same-origin"}
	r.Header["Cookie"] = []string{page.Result().Cookies()[0].String()}
	require.Equal(l.tb, http.StatusSeeOther, l.serve(r).Code)
}

func (l *lap) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	l.srv.ServeHTTP(w, r)
	return w
}

func (l *lap) post(path, body string) *http.Request {
	return &http.Request{
		Method: "POST", URL: &url.URL{Path: path}, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{"Content-Type": headerForm, "Authorization": l.basic},
	}
}

var headerForm = []string{"application/x-www-form-urlencoded"}

// code asks for a code.
func (l *lap) code() string {
	w := l.serve(&http.Request{Method: "GET", URL: l.request, Header: http.Header{}})
	_, code, ok := strings.Cut(w.Header().Get("Location"), "code=")
	if !ok {
		l.tb.Fatal("no code: ", w.Code, w.Body)
	}
	code, _, _ = strings.Cut(code, "&")
	return code
}

// redeem trades a code for tokens, and returns the body.
func (l *lap) redeem(code string) []byte {
	return l.token("grant_type=authorization_code&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback&code_verifier=" + verifier + "&code=" + code)
}

func (l *lap) refresh(token string) []byte {
	return l.token("grant_type=refresh_token&refresh_token=" + token)
}

func (l *lap) token(body string) []byte {
	w := l.serve(l.post("/token", body))
	if w.Code != http.StatusOK {
		l.tb.Fatal("no token: ", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func (l *lap) introspect(token string) []byte {
	w := l.serve(l.post("/introspect", "token="+token))
	if w.Code != http.StatusOK {
		l.tb.Fatal("no answer: ", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// member is a member of a token response whose value has nothing to unescape.
func member(body []byte, name string) string {
	_, rest, _ := strings.Cut(string(body), `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// TestAllocations holds what each piece of work allocates, the signature and the recorder of
// the answer included, against its budget, and against what it was when it was measured last:
// a tenth more is a regression. The race detector allocates, too, so this runs without.
func TestAllocations(t *testing.T) {
	l := newLap(t, authwright.SigningKey{Signer: newKey(t)})
	tokens := l.redeem(l.code())
	refresh := member(tokens, "refresh_token")
	first := l.redeem(l.code())
	earlier := member(first, "access_token")
	latest := member(l.refresh(member(first, "refresh_token")), "access_token") // which the grant knows by its hash
	for _, work := range []struct {
		name             string
		budget, measured float64
		do               func()
	}{
		{"code flow", 135, 133, func() { l.redeem(l.code()) }},
		{"refresh", 105, 96, func() { refresh = member(l.refresh(refresh), "refresh_token") }},
		{"introspection", 60, 33, func() { l.introspect(latest) }},
		{"introspection of an earlier token", 60, 44, func() { l.introspect(earlier) }},
		{"key set", 12, 11, func() { l.get("/jwks") }},
		{"metadata", 12, 11, func() { l.get("/.well-known/oauth-authorization-server") }},
	} {
		t.Run(work.name, func(t *testing.T) {
			got := testing.AllocsPerRun(100, work.do)
			t.Logf("%.0f allocations, budget %.0f", got, work.budget)
			require.LessOrEqual(t, got, min(work.budget, 1.1*work.measured))
		})
	}
}

func (l *lap) get(path string) {
	w := l.serve(&http.Request{Method: "GET", URL: &url.URL{Path: path}, Header: http.Header{}})
	require.Equal(l.tb, http.StatusOK, w.Code)
}
