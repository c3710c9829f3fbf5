package authtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/authtest"
)

// The PKCE pair of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// An app is a client that knows no more than its configuration.
type app struct {
	*httptest.Server
	issuer, id, secret string
	extra              url.Values // for the authorization request
}

func newApp(t *testing.T, issuer, id, secret string) *app {
	t.Helper()
	a := startApp(issuer, id, secret)
	t.Cleanup(a.Close)
	return a
}

func startApp(issuer, id, secret string) *app {
	a := &app{issuer: issuer, id: id, secret: secret}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, a.authorizeURL(), http.StatusFound) })
	mux.HandleFunc("GET /callback", a.callback)
	a.Server = httptest.NewServer(mux)
	return a
}

func (a *app) authorizeURL() string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {a.URL + "/callback"}, "scope": {"openid notes"},
		"state": {"xyz"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for name := range a.extra {
		q.Set(name, a.extra.Get(name))
	}
	return a.issuer + "/authorize?" + q.Encode()
}

// callback greets the user, or says what went wrong.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("error") != "" {
		http.Error(w, r.FormValue("error"), http.StatusForbidden)
		return
	}
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {a.id}, "code": {r.FormValue("code")}, "redirect_uri": {a.URL + "/callback"}, "code_verifier": {verifier}}
	if a.secret != "" {
		form.Set("client_secret", a.secret)
	}
	resp, err := http.PostForm(a.issuer+"/token", form)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	var tokens struct {
		ID    string `json:"id_token"`
		Scope string `json:"scope"`
		Error string `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("ID-Token", tokens.ID)
	fmt.Fprintf(w, "%s %s%s", r.FormValue("state"), tokens.Scope, tokens.Error)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	for _, tc := range []struct {
		name       string
		id, secret string
		extra      url.Values
		body       string
	}{
		{"confidential client", authtest.ConfidentialClient, as.Secret, nil, "xyz openid notes"},
		{"public client on this machine", authtest.PublicClient, "", nil, "xyz openid notes"},
		{"wrong secret", authtest.ConfidentialClient, as.Secret + "x", nil, "xyz invalid_client"},
		{"client that insists on a login", authtest.PublicClient, "", url.Values{"prompt": {"login"}}, "xyz openid notes"},
		{"client that may not ask", authtest.PublicClient, "", url.Values{"prompt": {"none"}}, "consent_required\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, as.Issuer, tc.id, tc.secret)
			a.extra = tc.extra
			resp, err := as.Login("alice").Get(a.URL + "/login")
			require.NoError(t, err)
			require.Equal(t, tc.body, text(t, resp))
			require.Equal(t, a.URL+"/callback", resp.Request.URL.Scheme+"://"+resp.Request.URL.Host+resp.Request.URL.Path)
		})
	}
}

func TestLoginAgain(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	a := newApp(t, as.Issuer, authtest.ConfidentialClient, as.Secret)
	b := as.Login("alice", func(u *authwright.User) { u.ACR, u.AMR, u.Session = "mfa", []string{"hwk"}, "s1" })
	login := func() map[string]any {
		resp, err := b.Get(a.URL + "/login")
		require.NoError(t, err)
		require.Equal(t, "xyz openid notes", text(t, resp))
		return payload(t, resp.Header.Get("ID-Token"))
	}
	first := login()
	require.Equal(t, "mfa", first["acr"])
	require.Equal(t, []any{"hwk"}, first["amr"])
	require.Equal(t, "s1", first["sid"])

	as.Advance(10 * time.Minute)
	require.Equal(t, first["auth_time"], login()["auth_time"])
	a.extra = url.Values{"max_age": {"60"}}
	again := login()
	require.InDelta(t, as.Now().Unix(), again["auth_time"], 5)
	require.Equal(t, "s1", again["sid"], "it is the same session")
}

func TestDeny(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	a := newApp(t, as.Issuer, authtest.ConfidentialClient, as.Secret)
	resp, err := as.Deny("bob").Get(a.URL + "/login")
	require.NoError(t, err)
	require.Equal(t, "access_denied\n", text(t, resp))
	require.Equal(t, []authwright.EventType{authwright.EventConsentDenied}, types(as))

	resp, err = as.Login("bob").Get(a.URL + "/login")
	require.NoError(t, err)
	require.Equal(t, "xyz openid notes", text(t, resp))
	resp, err = as.Deny("bob").Get(a.URL + "/login")
	require.NoError(t, err)
	require.Equal(t, "xyz openid notes", text(t, resp), "a consent is remembered")
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	a := newApp(t, as.Issuer, authtest.ConfidentialClient, as.Secret)
	for _, target := range []string{a.authorizeURL(), a.URL + "/login"} {
		q, err := as.Authorize("alice", target)
		require.NoError(t, err)
		require.Equal(t, "xyz", q.Get("state"))
		require.Equal(t, as.Issuer, q.Get("iss"))
		require.NotEmpty(t, q.Get("code"))
	}

	a.extra = url.Values{"code_challenge_method": {"plain"}}
	q, err := as.Authorize("alice", a.authorizeURL())
	require.ErrorIs(t, err, authwright.ErrInvalidRequest)
	require.ErrorContains(t, err, "S256")
	require.Equal(t, "xyz", q.Get("state"))

	a.extra = url.Values{"redirect_uri": {"http://elsewhere.example/cb"}}
	_, err = as.Authorize("alice", a.authorizeURL())
	require.ErrorContains(t, err, "/authorize answered 400 Bad Request: redirect URI is not registered")

	loop := httptest.NewServer(http.RedirectHandler("/", http.StatusFound))
	defer loop.Close()
	_, err = as.Authorize("alice", loop.URL)
	require.ErrorContains(t, err, "redirects")
}

// A browser that this package knows nothing of meets the login page and the consent page.
func TestPages(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	a := newApp(t, as.Issuer, authtest.ConfidentialClient, as.Secret)
	a.extra = url.Values{"login_hint": {`<bob>`}}
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	b := &http.Client{Jar: jar}
	resp, err := b.Get(a.URL + "/login")
	require.NoError(t, err)
	page := text(t, resp)
	require.Contains(t, page, `value="&lt;bob&gt;"`)

	next := regexp.MustCompile(`name="next" value="([^"]+)"`).FindStringSubmatch(page)
	require.NotNil(t, next, page)
	resp, err = b.PostForm(resp.Request.URL.String(), url.Values{"subject": {"bob"}})
	require.NoError(t, err)
	page = text(t, resp)
	require.Contains(t, page, `id="approve"`)
	require.Contains(t, page, "<bdi>bob</bdi>")

	for _, next := range []string{"https://evil.example/", "//evil.example/", `/\evil.example/`, ""} {
		b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := b.Get(as.Issuer + "/authtest/login?" + url.Values{"next": {next}}.Encode())
		require.NoError(t, err)
		require.Equal(t, "/", resp.Header.Get("Location"), next)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	resp, err = b.PostForm(as.Issuer+"/authtest/login", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, text(t, resp))
}

func TestLogout(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	a := newApp(t, as.Issuer, authtest.ConfidentialClient, as.Secret)
	b := as.Login("alice")
	resp, err := b.Get(a.URL + "/login")
	require.NoError(t, err)
	text(t, resp)

	tokens, err := as.Flow(authtest.Token{Scopes: []string{"openid"}})
	require.NoError(t, err)
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	target := as.Issuer + "/logout?" + url.Values{"post_logout_redirect_uri": {a.URL + "/bye"}, "client_id": {a.id}}.Encode()
	resp, err = b.PostForm(target, url.Values{"confirm": {"yes"}})
	require.NoError(t, err)
	require.Equal(t, a.URL+"/bye", resp.Header.Get("Location"), text(t, resp))
	resp, err = b.Get(a.authorizeURL())
	require.NoError(t, err)
	require.Contains(t, resp.Header.Get("Location"), "/authtest/login?", text(t, resp))
	_, err = as.Refresh(tokens)
	require.NoError(t, err, "another session is not over")
}
