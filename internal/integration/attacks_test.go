package integration_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
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

// An attack is a line of docs/threat-model.md, which its name begins with.
type attack struct {
	name string
	run  func(t *testing.T, v *victim)

	// change, if set, is applied to the victim's Config.
	change func(*authwright.Config)
}

// tryEverywhere tries each attack on a victim of its own, on every storage but those that
// AUTHWRIGHT_WITHOUT names.
func tryEverywhere(t *testing.T, attacks []attack) {
	t.Parallel()
	for name, open := range victimStores() {
		if withoutEngine(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, a := range attacks {
				t.Run(a.name, func(t *testing.T) {
					store, dump := open(t)
					v := newVictim(t, store)
					v.dump = dump
					v.start(a.change)
					a.run(t, v)
				})
			}
		})
	}
}

// A victimStore is what every storage of this module is.
type victimStore interface {
	authwright.Storage
	authwright.Index
	authwright.ClientStore
}

// A victim is a host with an authorization server, and everything that its attackers see
// of it. Its clients are c1 and c2, which are confidential, p1, which is public, and n1,
// which is installed on devices; its users sign in at /login as whom login_hint says, or
// as alice.
type victim struct {
	t     *testing.T
	store victimStore
	srv   *authwright.Server
	ts    *httptest.Server

	// issuer is the origin of ts.
	issuer string

	// dump is everything that the storage holds, as its operator can read it.
	dump func() string

	// user, if set, stands between the session cookie and the server.
	user func(*authwright.User) (*authwright.User, error)

	mu     sync.Mutex
	ahead  time.Duration // of the real clock, by which Redis expires keys
	events []authwright.Event
	logs   bytes.Buffer
}

const (
	secretOf1 = "a secret of c1: +%&=é, 0123456789-0123456789"
	secretOf2 = "c2-secret-0123456789-0123456789-0123456789"
	c1URI     = "https://app.example.com/cb"
	c2URI     = "https://other.example.com/cb"
	p1URI     = "https://spa.example.com/cb"
)

// victimKey signs for every victim.
var victimKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newVictim(t *testing.T, store victimStore) *victim {
	t.Helper()
	v := &victim{t: t, store: store}
	if m, ok := store.(*authwright.Memory); ok {
		m.Now = v.now
	}
	for _, c := range []*authwright.Client{
		{ID: "c1", Secrets: storedSecrets(secretOf1), RedirectURIs: []string{c1URI}, Serves: []string{"https://api.example.com"}},
		{ID: "c2", Secrets: storedSecrets(secretOf2), RedirectURIs: []string{c2URI}},
		{ID: "p1", RedirectURIs: []string{p1URI}},
		{ID: "n1", Native: true, RedirectURIs: []string{"http://127.0.0.1/cb", "com.example.app:/cb"}},
	} {
		c.Scopes = []string{"read", "write", "openid", "offline_access"}
		require.NoError(t, store.AddClient(t.Context(), c))
	}
	return v
}

func storedSecrets(secrets ...string) (stored []authwright.ClientSecret) {
	for _, secret := range secrets {
		sum := sha256.Sum256([]byte(secret))
		stored = append(stored, authwright.ClientSecret{Hash: "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])})
	}
	return stored
}

// start starts the server of v, with a Config that change may change.
func (v *victim) start(change func(*authwright.Config)) {
	v.t.Helper()
	mux := http.NewServeMux()
	v.ts = httptest.NewUnstartedServer(mux)
	v.ts.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that nobody needed in the end
	v.ts.StartTLS()
	v.t.Cleanup(v.ts.Close)
	v.issuer = v.ts.URL
	cfg := v.config()
	if change != nil {
		change(&cfg)
	}
	srv, err := authwright.NewServer(cfg)
	require.NoError(v.t, err)
	v.srv = srv
	srv.Register(mux)
	mux.HandleFunc("GET /login", v.login)
}

func (v *victim) config() authwright.Config {
	v.t.Helper()
	key, err := victimKey()
	require.NoError(v.t, err)
	return authwright.Config{
		Issuer:        v.issuer,
		Storage:       v.store,
		Index:         v.store,
		Authenticator: authwright.LoginRedirect("/login", "next", v.currentUser),
		SigningKeys:   []authwright.SigningKey{{Signer: key}},
		Scopes:        []authwright.Scope{{Name: "read"}, {Name: "write"}, {Name: "admin"}},
		Resources:     []authwright.Resource{{ID: "https://api.example.com"}, {ID: "https://rs2.example.com"}},
		OpenID:        &authwright.OpenID{Logout: func(http.ResponseWriter, *http.Request) error { return nil }},
		OnEvent:       v.record,
		Logger:        slog.New(slog.NewJSONHandler(victimLog{v}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:           v.now,
	}
}

func (v *victim) now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Now().Add(v.ahead)
}

// advance moves the clock.
func (v *victim) advance(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ahead += d
}

// updateClient changes the registration of a client.
func (v *victim) updateClient(id string, change func(*authwright.Client)) {
	v.t.Helper()
	c, err := v.store.Client(v.t.Context(), id)
	require.NoError(v.t, err)
	change(c)
	require.NoError(v.t, v.store.UpdateClient(v.t.Context(), c))
}

// A reaction is an answer of a victim.
type reaction struct {
	status int
	header http.Header
	body   string
}

// do sends r, follows no redirect, and keeps no cookie.
func (v *victim) do(r *http.Request) reaction {
	v.t.Helper()
	return v.send(v.ts.Client().Transport, r)
}

func (v *victim) send(by http.RoundTripper, r *http.Request) reaction {
	v.t.Helper()
	resp, err := by.RoundTrip(r)
	require.NoError(v.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	return reaction{resp.StatusCode, resp.Header, string(body)}
}

// post posts a form as the client auth, an ID and a secret, or as nobody.
func (v *victim) post(path string, f url.Values, auth ...string) reaction {
	v.t.Helper()
	return v.do(v.form(path, f, auth...))
}

func (v *victim) form(path string, f url.Values, auth ...string) *http.Request {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.issuer+path, strings.NewReader(f.Encode()))
	require.NoError(v.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(auth) == 2 {
		r.SetBasicAuth(url.QueryEscape(auth[0]), url.QueryEscape(auth[1]))
	}
	return r
}

func (v *victim) token(f url.Values, auth ...string) reaction {
	v.t.Helper()
	return v.post("/token", f, auth...)
}

// introspect asks as c1 about a token.
func (v *victim) introspect(token string) map[string]any {
	v.t.Helper()
	a := v.post("/introspect", url.Values{"token": {token}}, "c1", secretOf1)
	require.Equal(v.t, http.StatusOK, a.status, a.body)
	return a.json(v.t)
}

// json is the body, which must be a JSON object.
func (a reaction) json(t *testing.T) (object map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.body), &object), a.body)
	return object
}

// refused checks that the token endpoint, or one like it, refuses the request with code.
func (a reaction) refused(t *testing.T, code string) {
	t.Helper()
	require.Equal(t, code, a.json(t)["error"], a.body)
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	require.Equal(t, status, a.status, a.body)
	require.NotContains(t, a.body, "token\":")
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
}

// granted is what the token endpoint has issued.
func (a reaction) granted(t *testing.T) issued {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	var i issued
	require.NoError(t, json.Unmarshal([]byte(a.body), &i))
	require.NotEmpty(t, i.Access)
	return i
}

// issued are tokens.
type issued struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Scope   string `json:"scope"`
}

// errorPage checks that the user is told, and nobody else.
func (a reaction) errorPage(t *testing.T, why ...any) {
	t.Helper()
	require.GreaterOrEqual(t, a.status, 400, why...)
	require.Less(t, a.status, 500, why...)
	require.Empty(t, a.header.Values("Location"), why...)
	require.Contains(t, a.body, `id="error"`, why...)
	require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"), why...)
}

// toClient is the query of a redirect to uri.
func (a reaction) toClient(t *testing.T, uri string) url.Values {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, a.status, a.body)
	target, query, _ := strings.Cut(a.header.Get("Location"), "?")
	require.Equal(t, uri, target)
	q, err := url.ParseQuery(query)
	require.NoError(t, err)
	return q
}

// failed checks that c1 is told of an error.
func (a reaction) failed(t *testing.T, v *victim, code string) {
	t.Helper()
	q := a.toClient(t, c1URI)
	require.Equal(t, code, q.Get("error"), q)
	require.Equal(t, v.issuer, q.Get("iss"))
	require.Empty(t, q.Get("code"))
}
