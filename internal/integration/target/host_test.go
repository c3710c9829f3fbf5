package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A world is a running target and a browser that does not follow redirects.
type world struct {
	t      *testing.T
	issuer string
	target *target
	client *http.Client
}

// newWorld starts a target. Members are those that come after issuer, each preceded by
// a comma.
func newWorld(t *testing.T, members string) *world {
	t.Helper()
	mux := http.NewServeMux()
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	issuer := ts.URL + "/as"
	cfg, err := readConfig(write(t, `{"addr": "none", "issuer": "`+issuer+`",
		"clients": [
			{"client_id": "web", "redirect_uris": ["https://web.example/cb"]},
			{"client_id": "new", "redirect_uris": ["https://new.example/cb"]},
			{"client_id": "cli", "redirect_uris": ["http://127.0.0.1/cb"]}
		],
		"users": [{"sub": "u1", "username": "alice", "password": "wonderland", "claims": {"email": "alice@example.com", "phone_number": "", "plan": "free"}}, {"sub": "u2", "username": "bob"}],
		"scopes": {"read": "", "write": ""}`+members+`}`))
	require.NoError(t, err)
	store, err := openStorage(t.Context(), cfg.Storage)
	require.NoError(t, err)
	target, err := newTarget(t.Context(), cfg, store, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	mux.Handle("/", target)
	return &world{t, issuer, target, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// keepCookies gives the browser a cookie jar.
func (w *world) keepCookies() {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	w.client.Jar = jar
}

func (w *world) do(r *http.Request, err error) (status int, location *url.URL, body string) {
	w.t.Helper()
	require.NoError(w.t, err)
	resp, err := w.client.Do(r)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	location = new(url.URL)
	if resp.Header.Get("Location") != "" {
		location, err = resp.Location()
		require.NoError(w.t, err)
	}
	return resp.StatusCode, location, string(text)
}

func (w *world) get(address string) (int, *url.URL, string) {
	w.t.Helper()
	return w.do(http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil))
}

// post sends the login form as a page at origin would.
func (w *world) post(origin, next, username, password string) (int, *url.URL, string) {
	w.t.Helper()
	form := url.Values{"next": {next}, "username": {username}, "password": {password}}
	address := strings.TrimSuffix(w.issuer, "/as") + loginPath
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", origin)
	return w.do(r, nil)
}

// request is an authorization request; more are parameters of it.
func (w *world) request(client, redirect string, more ...string) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirect}, "scope": {"read write"}, "state": {"s"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return w.issuer + "/authorize?" + q.Encode()
}

func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	origin := strings.TrimSuffix(w.issuer, "/as")
	for _, tt := range []struct {
		name, origin, next, username, password string
		status                                 int
	}{
		{"right password", origin, "/as/authorize?x=y", "alice", "wonderland", http.StatusSeeOther},
		{"wrong password", origin, "/as/authorize?x=y", "alice", "wonder", http.StatusUnauthorized},
		{"no password", origin, "/as/authorize?x=y", "alice", "", http.StatusUnauthorized},
		{"user without a password", origin, "/as/authorize?x=y", "bob", "", http.StatusUnauthorized},
		{"unknown user", origin, "/as/authorize?x=y", "eve", "wonderland", http.StatusUnauthorized},
		{"form of another site", "https://evil.example", "/as/authorize?x=y", "alice", "wonderland", http.StatusForbidden},
		{"next elsewhere", origin, "https://evil.example/as/authorize", "alice", "wonderland", http.StatusBadRequest},
		{"next at another host", origin, "//evil.example/as/authorize", "alice", "wonderland", http.StatusBadRequest},
		{"next by backslash", origin, `/\evil.example/as/authorize`, "alice", "wonderland", http.StatusBadRequest},
		{"next is another page", origin, "/as/authorize/../../login", "alice", "wonderland", http.StatusBadRequest},
		{"no next", origin, "", "alice", "wonderland", http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, location, body := w.post(tt.origin, tt.next, tt.username, tt.password)
			require.Equal(t, tt.status, status, body)
			switch tt.status {
			case http.StatusSeeOther:
				require.Equal(t, origin+tt.next, location.String())
			case http.StatusUnauthorized:
				require.Contains(t, body, `name="password"`)
				require.Contains(t, body, "is wrong")
				require.NotContains(t, body, "wonder")
				fallthrough
			default:
				require.Zero(t, *location)
			}
		})
	}
	t.Run("the form is plain, and what is put into it is text", func(t *testing.T) {
		_, location, _ := w.get(w.request("web", "https://web.example/cb", "login_hint", `"><script>`))
		require.Equal(t, loginPath, location.Path)
		status, _, body := w.get(location.String())
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, body, `name="username" value="&#34;&gt;&lt;script&gt;"`)
	})
	t.Run("a login that leads nowhere has no form", func(t *testing.T) {
		status, _, body := w.get(origin + loginPath + "?next=https://evil.example/")
		require.Equal(t, http.StatusBadRequest, status)
		require.NotContains(t, body, "evil.example")
		require.NotContains(t, body, "<form")
	})
}

func TestLoginAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `, "auto_consent": true`)
	w.keepCookies()
	origin := strings.TrimSuffix(w.issuer, "/as")
	// login follows an authorization request through the login page.
	login := func(address string) *url.URL {
		_, page, _ := w.get(address)
		require.Equal(t, loginPath, page.Path)
		_, back, body := w.post(origin, page.Query().Get("next"), "alice", "wonderland")
		require.Equal(t, "/as/authorize", back.Path, body)
		_, answer, _ := w.get(back.String())
		return answer
	}
	plain := w.request("web", "https://web.example/cb")
	again := w.request("web", "https://web.example/cb", "prompt", "login")
	aged := w.request("web", "https://web.example/cb", "max_age", "60")

	require.NotEmpty(t, login(plain).Query().Get("code"))
	for _, address := range []string{plain, aged} {
		_, answer, _ := w.get(address)
		require.NotEmpty(t, answer.Query().Get("code"), "the session is there")
	}
	require.NotEmpty(t, login(again).Query().Get("code"), "prompt=login asks, and is content with the login that follows")

	w.age(2 * time.Minute)
	require.NotEmpty(t, login(aged).Query().Get("code"), "max_age asks, and is content with the login that follows")
	require.Len(t, w.target.host.sessions, 1, "a login replaces the session before it")

	w.age(sessionLifetime)
	require.NotEmpty(t, login(plain).Query().Get("code"), "a session ends")
	w.age(sessionLifetime)
	w.target.host.deleteExpired(time.Now())
	require.Empty(t, w.target.host.sessions)
}

// age makes every session older by d.
func (w *world) age(d time.Duration) {
	h := w.target.host
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, s := range h.sessions {
		s.since = s.since.Add(-d)
		h.sessions[id] = s
	}
}

func TestAutomatic(t *testing.T) {
	t.Parallel()
	const both = `, "auto_login": "bob", "auto_consent": true`
	for _, tt := range []struct {
		name, members, client, redirect string
		more                            []string
	}{
		{"https", both, "web", "https://web.example/cb", nil},
		{"public client on the device, about which the library always asks", both, "cli", "http://127.0.0.1:7/cb", nil},
		{"prompt=login", both, "web", "https://web.example/cb", []string{"prompt", "login"}},
		{"prompt=consent", both, "web", "https://web.example/cb", []string{"prompt", "consent"}},
		{"max_age=0", both, "cli", "http://127.0.0.1:7/cb", []string{"max_age", "0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.members)
			for range 2 { // the second time without what the first may have left behind
				status, answer, body := w.get(w.request(tt.client, tt.redirect, tt.more...))
				require.Equal(t, http.StatusSeeOther, status, body)
				require.True(t, strings.HasPrefix(answer.String(), tt.redirect+"?"), answer)
				require.Equal(t, "s", answer.Query().Get("state"))
				token := w.redeem(tt.client, tt.redirect, answer.Query().Get("code"))
				require.Contains(t, token, `"scope":"read write"`)
			}
			w.keepCookies()
			for range 2 { // with a session of before
				_, answer, _ := w.get(w.request(tt.client, tt.redirect, tt.more...))
				require.NotEmpty(t, answer.Query().Get("code"), answer)
			}
		})
	}
	t.Run("prompt=none without a session signs nobody in", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, both)
		_, answer, _ := w.get(w.request("web", "https://web.example/cb", "prompt", "none"))
		require.Equal(t, "login_required", answer.Query().Get("error"))
	})
	t.Run("prompt=none with a session and no need of consent", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, both)
		w.keepCookies()
		w.get(w.request("web", "https://web.example/cb"))
		_, answer, _ := w.get(w.request("new", "https://new.example/cb", "prompt", "none"))
		require.NotEmpty(t, answer.Query().Get("code"), answer)
	})
	t.Run("auto_login leaves the consent page", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, `, "auto_login": "bob"`)
		status, _, body := w.get(w.request("web", "https://web.example/cb"))
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, body, `id="approve"`)
		require.Contains(t, body, "bob")
	})
	t.Run("an error is answered as without", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, both)
		_, answer, _ := w.get(w.request("web", "https://web.example/cb", "scope", "admin"))
		require.Equal(t, "invalid_scope", answer.Query().Get("error"))
		status, _, body := w.get(w.request("web", "https://evil.example/cb"))
		require.Equal(t, http.StatusBadRequest, status, body)
	})
}

// redeem trades a code for tokens.
func (w *world) redeem(client, redirect, code string) string {
	w.t.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {client}, "redirect_uri": {redirect}, "code": {code},
		"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.issuer+"/token", strings.NewReader(form.Encode()))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _, body := w.do(r, nil)
	require.Equal(w.t, http.StatusOK, status, body)
	return body
}
