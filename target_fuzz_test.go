package authwright_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A target is a server that is asked in the same process, without a network. Its user is
// whoever the cookie session names.
type target struct {
	*authwright.Server
	store *authwright.Memory
}

const targetIssuer = "https://as.example"

var targetNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// newTarget makes a target. Each change is applied to the Config before the server is made.
func newTarget(t testing.TB, changes ...func(*authwright.Config)) *target {
	t.Helper()
	now := func() time.Time { return targetNow }
	tg := &target{store: &authwright.Memory{Now: now}}
	everything := []string{"read", "write", "openid", "email", "offline_access"}
	for _, c := range append(clients(),
		&authwright.Client{ID: "house", Consent: authwright.ConsentSkip, RedirectURIs: []string{"https://house.example/cb", "https://house.example/cb?a=%31&code=x"}, Scopes: everything},
		&authwright.Client{ID: "native", Native: true, RedirectURIs: []string{"com.example.app:/cb", "http://[::1]/cb", "http://localhost/cb"}, Scopes: everything, DefaultScopes: []string{"read"}},
		&authwright.Client{ID: "stranger", Unverified: true, RedirectURIs: []string{"https://stranger.example/cb"}, PostLogoutRedirectURIs: []string{"https://stranger.example/bye?x"}, Scopes: everything},
		&authwright.Client{ID: "robot", Secrets: []authwright.ClientSecret{stored("s")}, GrantTypes: []string{"client_credentials"}, Scopes: everything},
	) {
		require.NoError(t, tg.store.AddClient(t.Context(), c))
	}
	cfg := authwright.Config{
		Issuer: targetIssuer, Storage: tg.store, Index: tg.store, Now: now, Logger: slog.New(slog.DiscardHandler),
		Authenticator: authwright.LoginRedirect("/login", "next", func(r *http.Request) (*authwright.User, error) {
			c, err := r.Cookie("session")
			if err != nil {
				return nil, nil
			}
			return &authwright.User{Subject: c.Value, AuthTime: targetNow.Add(-time.Minute)}, nil
		}),
		SigningKeys:  []authwright.SigningKey{{Signer: edKey()}, {Signer: openIDKey()}},
		Scopes:       []authwright.Scope{{Name: "read"}, {Name: "write"}, {Name: "admin"}},
		OpenID:       &authwright.OpenID{Logout: func(http.ResponseWriter, *http.Request) error { return nil }},
		Registration: &authwright.Registration{Clients: tg.store, Scopes: []string{"read", "write"}},
	}
	for _, change := range changes {
		change(&cfg)
	}
	var err error
	tg.Server, err = authwright.NewServer(cfg)
	require.NoError(t, err)
	return tg
}

// send asks for path with whatever bytes the fuzzer has found, and checks what is true of every
// answer.
func (tg *target) send(t testing.TB, method, path, query, body string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.URL.RawQuery = query
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	tg.ServeHTTP(w, r)
	require.Less(t, w.Code, 500, "nothing that comes from outside breaks the server: %s", w.Body)
	for name, values := range w.Header() {
		for _, value := range values {
			require.False(t, strings.ContainsAny(value, "\r\n\x00"), "%s: %q", name, value)
		}
	}
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	return w
}

// forget empties the storage, clients that were registered beforehand excepted.
func (tg *target) forget(t testing.TB) {
	t.Helper()
	for {
		n, err := tg.store.DeleteExpired(t.Context(), targetNow.Add(200*365*24*time.Hour), 0)
		require.NoError(t, err)
		if n == 0 {
			return
		}
	}
}

// restore makes records, and nothing else, what the storage holds.
func (tg *target) restore(t testing.TB, records ...*authwright.Grant) {
	t.Helper()
	tg.forget(t)
	for _, g := range records {
		again := *g
		again.Version = 1
		require.NoError(t, tg.store.SaveGrant(t.Context(), &again))
	}
}

// kept returns everything that is stored of users and of the clients that act for themselves.
func (tg *target) kept(t testing.TB) (all []*authwright.Grant) {
	t.Helper()
	for _, subject := range []string{"alice", "robot"} {
		grants, _, err := tg.store.GrantsBySubject(t.Context(), subject, "", 0)
		require.NoError(t, err)
		all = append(all, grants...)
	}
	return all
}

// asAlice is the header of a browser in which alice is signed in, with more, which come in pairs.
func asAlice(more ...string) http.Header {
	h := http.Header{"Cookie": {"session=alice"}}
	return with(h, more...)
}

func with(h http.Header, more ...string) http.Header {
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] != "" {
			h[more[i]] = append(h[more[i]], more[i+1])
		}
	}
	return h
}

// home reports whether location is a response to a redirect URI that client has registered:
// those bytes, on any port if it is on the loopback interface, and the response after them.
func (tg *target) home(t testing.TB, clientID, location string) bool {
	t.Helper()
	c, err := tg.store.Client(t.Context(), clientID)
	if err != nil {
		return false
	}
	for _, uri := range append(c.RedirectURIs, c.PostLogoutRedirectURIs...) {
		base, _, _ := strings.Cut(uri, "?")
		if strings.HasPrefix(location, base+"?") || location == uri {
			return true
		}
		host, path, _ := strings.Cut(base, "/cb")
		if rest, ok := strings.CutPrefix(location, host+":"); ok && strings.HasPrefix(uri, "http://") {
			port, rest, _ := strings.Cut(rest, "/")
			if strings.Trim(port, "0123456789") == "" && strings.HasPrefix("/"+rest, "/cb"+path+"?") {
				return true
			}
		}
	}
	return false
}

// hiddenValue returns the value of a hidden input of a page.
func hiddenValue(page, name string) string {
	_, rest, _ := strings.Cut(page, `name="`+name+`" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// fields reads a JSON object.
func fields(t testing.TB, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var v map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v), w.Body.String())
	return v
}

// once is the value of a parameter that a form has once, by another reading than the server's.
// What has no value is not there (RFC 6749, section 3.1).
func once(form, name string) string {
	q, err := url.ParseQuery(form)
	values := slices.DeleteFunc(q[name], func(v string) bool { return v == "" })
	if err != nil || len(values) != 1 {
		return ""
	}
	return values[0]
}
