package authwright_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// The PKCE pair of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// Secrets of the clients of every world.
const (
	webSecret   = "web-secret-0123456789-0123456789-0123456789"
	otherSecret = "other-secret-0123456789-0123456789-01234567"
)

// A world is a host application with an authorization server mounted in it, and what
// its tests need: a clock, a log, the events, and clients and users to play with.
//
// Clients: web and other are confidential, spa is public with an https redirect, cli is
// public on the loopback interface. Users sign in at /login by name.
type world struct {
	t      *testing.T
	srv    *authwright.Server
	store  *authwright.Memory
	ts     *httptest.Server
	issuer string

	mu     sync.Mutex
	clock  time.Time
	events []authwright.Event
	logs   bytes.Buffer
}

// newWorld starts a world. Each change is applied to the Config before the server is made.
func newWorld(t *testing.T, changes ...func(*authwright.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	mux := http.NewServeMux()
	w.ts = httptest.NewServer(mux)
	t.Cleanup(w.ts.Close)

	w.store = &authwright.Memory{Now: w.now}
	for _, c := range clients() {
		require.NoError(t, w.store.AddClient(t.Context(), c))
	}
	cfg := authwright.Config{
		Issuer:        w.ts.URL,
		Storage:       w.store,
		Authenticator: authwright.LoginRedirect("/login", "next", w.currentUser),
		SigningKeys:   []authwright.SigningKey{{Signer: newKey(t)}},
		Scopes: []authwright.Scope{
			{Name: "read", Description: "Read your notes"},
			{Name: "write", Description: "Change your notes"},
			{Name: "admin", Description: "Administer everything"},
		},
		Index:   w.store,
		OnEvent: w.record,
		Logger:  slog.New(slog.NewJSONHandler(lockedWriter{w}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:     w.now,
	}
	for _, change := range changes {
		change(&cfg)
	}
	srv, err := authwright.NewServer(cfg)
	require.NoError(t, err)
	w.srv, w.issuer = srv, cfg.Issuer
	srv.Register(mux)
	mux.HandleFunc("GET /login", w.login)
	return w
}

func clients() []*authwright.Client {
	return []*authwright.Client{
		{
			ID: "web", Name: "Web Notes", Secrets: []authwright.ClientSecret{stored(webSecret)},
			RedirectURIs: []string{"https://web.example/cb"}, Scopes: []string{"read", "write"}, DefaultScopes: []string{"read"},
		},
		{
			ID: "other", Name: "Other", Secrets: []authwright.ClientSecret{stored(otherSecret)},
			RedirectURIs: []string{"https://other.example/cb"}, Scopes: []string{"read", "write"},
		},
		{ID: "spa", Name: "Browser Notes", RedirectURIs: []string{"https://spa.example/cb"}, Scopes: []string{"read", "write"}},
		{ID: "cli", Name: "Command Line", RedirectURIs: []string{"http://127.0.0.1/cb"}, Scopes: []string{"read", "write"}},
	}
}

// stored is a known secret in the form NewSecret stores.
func stored(secret string) authwright.ClientSecret {
	return authwright.ClientSecret{Hash: "sha256:" + base64.RawURLEncoding.EncodeToString(sha(secret))}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// advance moves the clock.
func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) record(_ context.Context, e authwright.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// happened returns the types of the events so far.
func (w *world) happened() []authwright.EventType {
	w.mu.Lock()
	defer w.mu.Unlock()
	var types []authwright.EventType
	for _, e := range w.events {
		types = append(types, e.Type)
	}
	return types
}

func (w *world) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs.String()
}

type lockedWriter struct{ w *world }

func (l lockedWriter) Write(b []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.logs.Write(b)
}

// currentUser reads the host's session cookie, which holds a name and a time.
func (w *world) currentUser(r *http.Request) (*authwright.User, error) {
	c, err := r.Cookie("session")
	if err != nil {
		return nil, nil
	}
	name, at, _ := strings.Cut(c.Value, "|")
	since, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return nil, err
	}
	return &authwright.User{Subject: name, AuthTime: since}, nil
}

// login is the host's login page: it signs in whoever login_hint names, or alice.
func (w *world) login(rw http.ResponseWriter, r *http.Request) {
	name := r.FormValue("login_hint")
	if name == "" {
		name = "alice"
	}
	http.SetCookie(rw, w.session(name))
	http.Redirect(rw, r, r.FormValue("next"), http.StatusSeeOther)
}

func (w *world) session(name string) *http.Cookie {
	return &http.Cookie{Name: "session", Value: name + "|" + w.now().Format(time.RFC3339), Path: "/"}
}

// code runs the flow up to the code: alice signs in and allows everything.
func (w *world) code(q url.Values) string {
	w.t.Helper()
	b := w.signedIn("alice")
	a := b.authorize(q)
	if a.status == http.StatusOK {
		a = b.decide(a, "approve", strings.Fields(q.Get("scope"))...)
	}
	code := a.location(w.t).Get("code")
	require.NotEmpty(w.t, code, a.header.Get("Location"))
	return code
}

// token posts a form to the token endpoint. Two auth values are an ID and a secret for the
// Authorization header.
func (w *world) token(f url.Values, auth ...string) answer {
	w.t.Helper()
	return w.postForm("/token", f, auth...)
}

func (w *world) postForm(path string, f url.Values, auth ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.issuer+path, strings.NewReader(f.Encode()))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(auth) == 2 {
		r.SetBasicAuth(url.QueryEscape(auth[0]), url.QueryEscape(auth[1]))
	}
	return w.do(w.ts.Client(), r)
}

// codeForm is a good redemption of code, with changes as in request.
func codeForm(code string, changes ...string) url.Values {
	f := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://web.example/cb"}, "code_verifier": {verifier}}
	for i := 0; i+1 < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			f.Del(changes[i])
		}
	}
	return f
}

func refreshForm(token string, changes ...string) url.Values {
	f := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i+1 < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
	}
	return f
}

// tokens runs the whole flow for web and returns the token response.
func (w *world) tokens(changes ...string) map[string]any {
	w.t.Helper()
	a := w.token(codeForm(w.code(request(changes...))), "web", webSecret)
	require.Equal(w.t, http.StatusOK, a.status, a.body)
	return a.json(w.t)
}

// claims decodes the payload of a JWT without verifying it.
func claims(t *testing.T, jwt any) map[string]any {
	t.Helper()
	return segment(t, jwt, 1)
}

// segment decodes the i-th part of a JWT: 0 is its header, 1 its payload.
func segment(t *testing.T, jwt any, i int) map[string]any {
	t.Helper()
	parts := strings.Split(jwt.(string), ".")
	require.Len(t, parts, 3)
	b, err := base64.RawURLEncoding.DecodeString(parts[i])
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(b, &v))
	return v
}

// refused checks that a is the token endpoint's error code with the usual status.
func refused(t *testing.T, a answer, code string) {
	t.Helper()
	require.Equal(t, code, a.json(t)["error"], a.body)
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	require.Equal(t, status, a.status, a.body)
}

// errorPage checks that a is a page for the user that leads nowhere.
func errorPage(t *testing.T, a answer) {
	t.Helper()
	require.GreaterOrEqual(t, a.status, 400, a.body)
	require.Less(t, a.status, 500, a.body)
	require.Empty(t, a.header.Get("Location"))
	require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
	require.Contains(t, a.body, `id="error"`)
}

// redirected checks that a sends the browser to the client with an error.
func redirected(t *testing.T, a answer, code string) {
	t.Helper()
	q := a.location(t)
	require.Equal(t, code, q.Get("error"), a.header.Get("Location"))
	require.Empty(t, q.Get("code"))
}
