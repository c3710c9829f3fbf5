package authtest_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/authtest"
	"github.com/authwright/authwright/resource"
)

var errDown = errors.New("the database has gone away")

func TestFail(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	a := newApp(t, as.Issuer, authtest.ConfidentialClient, as.Secret)
	tokens, err := as.Flow(authtest.Token{Scopes: []string{"openid"}})
	require.NoError(t, err)
	known, fresh := as.Verifier(as.Issuer), as.Verifier(as.Issuer)
	_, err = known.Verify(t.Context(), tokens.AccessToken)
	require.NoError(t, err)

	as.Fail(errDown)
	_, err = as.Refresh(tokens)
	require.ErrorIs(t, err, authwright.ErrTemporarilyUnavailable)
	_, err = as.Authorize("alice", a.authorizeURL())
	require.ErrorContains(t, err, "503 Service Unavailable: This is not your doing")
	_, err = as.Flow(authtest.Token{})
	require.ErrorContains(t, err, "503 Service Unavailable")
	require.ErrorIs(t, as.RevokeSubject(t.Context(), "alice"), errDown)
	require.ErrorIs(t, as.RevokeClient(t.Context(), authtest.ConfidentialClient), errDown)
	require.ErrorIs(t, as.RevokeGrant(t.Context(), "any"), errDown)
	for _, path := range []string{"/jwks", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		require.Equal(t, http.StatusServiceUnavailable, status(t, as.Issuer+path), path)
	}
	_, err = known.Verify(t.Context(), tokens.AccessToken)
	require.NoError(t, err, "a resource server goes on with the keys it knows")
	_, err = fresh.Verify(t.Context(), tokens.AccessToken)
	require.ErrorIs(t, err, errDown)

	as.Fail(nil)
	require.Equal(t, http.StatusOK, status(t, as.Issuer+"/jwks"))
	_, err = as.Refresh(tokens)
	require.NoError(t, err, "nothing was lost")
}

// The signer fails although the storage, which is asked first, does not.
func TestFailingSigner(t *testing.T) {
	t.Parallel()
	var as *authtest.Server
	as = authtest.NewServer(t, func(c *authwright.Config) {
		c.Claims = func(context.Context, *authwright.Grant) (map[string]any, error) { as.Fail(errDown); return nil, nil }
	})
	_, err := as.Flow(authtest.Token{})
	require.ErrorIs(t, err, authwright.ErrServerError)
}

func status(t *testing.T, target string) int {
	t.Helper()
	resp, err := http.Get(target)
	require.NoError(t, err)
	text(t, resp)
	return resp.StatusCode
}

func TestKeys(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	as := authtest.NewServer(t, func(c *authwright.Config) {
		c.SigningKeys, c.OpenID = []authwright.SigningKey{{Signer: ed}}, nil
	})
	elsewhere := &resource.Verifier{Issuer: as.Issuer, Audience: as.Issuer, Now: as.Now}
	verify := func(text string) error {
		_, err := elsewhere.Verify(t.Context(), text)
		return err
	}
	first := as.Token(authtest.Token{})
	require.NoError(t, verify(first))

	as.RotateKeys()
	second := as.Token(authtest.Token{})
	require.NotEqual(t, kid(first), kid(second), "the new key signs at once")
	require.NoError(t, verify(second))
	require.NoError(t, verify(first))

	as.RotateKeys()
	third := as.Token(authtest.Token{})
	require.NotEqual(t, kid(second), kid(third))

	as.ReplaceKeys()
	fourth := as.Token(authtest.Token{})
	as.Advance(2 * time.Minute) // longer than a resource server waits between fetches
	require.NoError(t, verify(fourth))
	for _, text := range []string{first, second, third} {
		require.ErrorContains(t, verify(text), "unknown key")
	}
}

func TestKeysOfEveryAlgorithm(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	before, err := as.Flow(authtest.Token{Scopes: []string{"openid"}})
	require.NoError(t, err)
	as.RotateKeys()
	after, err := as.Flow(authtest.Token{Scopes: []string{"openid"}})
	require.NoError(t, err)
	require.NotEqual(t, kid(before.AccessToken), kid(after.AccessToken))
	require.NotEqual(t, kid(before.IDToken), kid(after.IDToken))
	require.Error(t, as.SetSigningKeys())
	require.Error(t, as.SetSigningKeys(authwright.SigningKey{}))
}

// kid is the header of a JWT, in which only the kid changes.
func kid(jwt string) string {
	header, _, _ := strings.Cut(jwt, ".")
	return header
}

// A host with an answer of its own to everything that a test server also answers.
func TestChanges(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	var events []authwright.EventType
	own := &authwright.Memory{Now: func() time.Time { return start }}
	as := authtest.NewServer(t, withNotes, func(c *authwright.Config) {
		c.Issuer = "https://auth.example/oauth"
		c.Now = func() time.Time { return start }
		c.Storage = own
		c.Consent = ownPage{}
		c.RefuseReusedChallenges = true
		c.Authenticator = authwright.LoginRedirect("/host/login", "next", func(r *http.Request) (*authwright.User, error) {
			if r.Header.Get("Host-User") == "" {
				return nil, nil
			}
			return &authwright.User{Subject: r.Header.Get("Host-User")}, nil
		})
		c.OnEvent = func(_ context.Context, e authwright.Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e.Type)
		}
	})
	require.Equal(t, "https://auth.example/oauth", as.Issuer)
	as.Advance(time.Minute)
	require.Equal(t, start.Add(time.Minute), as.Now())

	token, err := as.Verifier(notes).Verify(t.Context(), as.Token(authtest.Token{}))
	require.NoError(t, err)
	require.Equal(t, "alice", token.Subject)
	require.True(t, token.IssuedAt.Equal(as.Now()))
	_, err = own.Grant(t.Context(), token.GrantID)
	require.NoError(t, err)
	_, err = as.Store.Grant(t.Context(), token.GrantID)
	require.ErrorIs(t, err, authwright.ErrNotFound)
	require.ErrorContains(t, as.RevokeSubject(t.Context(), "alice"), "Index is not set", "the index of another storage finds nothing")
	require.Equal(t, types(as), events)
	require.Contains(t, events, authwright.EventCodeRedeemed)

	a := &app{issuer: as.Issuer, id: authtest.ConfidentialClient, Server: &httptest.Server{URL: "https://client.example"}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.authorizeURL(), nil)
	require.NoError(t, err)
	resp, err := as.Client("").Transport.RoundTrip(r)
	require.NoError(t, err)
	require.Contains(t, resp.Header.Get("Location"), "/host/login?")
	r.Header.Set("Host-User", "carol")
	resp, err = as.Client("").Transport.RoundTrip(r)
	require.NoError(t, err)
	require.Contains(t, text(t, resp), "<h1>carol?</h1>")

	a.extra = url.Values{"prompt": {"login"}}
	answer, err := as.Authorize("alice", a.authorizeURL())
	require.NoError(t, err, "who has signed in here does so again here")
	require.NotEmpty(t, answer.Get("code"))
	_, err = as.Authorize("alice", a.authorizeURL())
	require.ErrorContains(t, err, "was used before")
}

type ownPage struct{}

func (ownPage) RenderConsent(w http.ResponseWriter, _ *http.Request, c *authwright.Consent) error {
	_, err := fmt.Fprintf(w, "<h1>%s?</h1><form method=post action=%q>%s<button name=decision value=approve>Yes</button></form>", c.User.Subject, c.Action, c.Fields())
	return err
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t, withNotes)
	token := as.Token(authtest.Token{})
	active := func() string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, as.Issuer+"/introspect", strings.NewReader("token="+token))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(authtest.ConfidentialClient, as.Secret)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		return text(t, resp)
	}
	require.Contains(t, active(), `"active":true`)
	as.Revoke(token)
	require.JSONEq(t, `{"active": false}`, active())
}

// It runs alone, since it counts the goroutines of the whole program.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("server", func(t *testing.T) {
		as := authtest.NewServer(t)
		a := newApp(t, as.Issuer, authtest.ConfidentialClient, as.Secret)
		resp, err := as.Login("alice").Get(a.URL + "/login")
		require.NoError(t, err)
		text(t, resp)
		v := &resource.Verifier{Issuer: as.Issuer, Audience: as.Issuer, Client: new(http.Client)}
		_, err = v.Verify(t.Context(), as.Token(authtest.Token{}))
		require.NoError(t, err)
	})
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%s", stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// A stopped is a test that records why it ended.
type stopped struct {
	testing.TB
	reason  string
	cleanup []func()
}

func (s *stopped) Cleanup(f func()) { s.cleanup = append(s.cleanup, f) }

func (s *stopped) Fatalf(format string, args ...any) {
	s.reason = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestFatal(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		run    func(t testing.TB)
		reason string
	}{
		{"no issuer", func(t testing.TB) { authtest.NewServer(t, func(c *authwright.Config) { c.Issuer = "" }) }, "Config.Issuer"},
		{"no storage", func(t testing.TB) { authtest.NewServer(t, func(c *authwright.Config) { c.Storage = nil }) }, "Config.Storage"},
		{"no keys", func(t testing.TB) { authtest.NewServer(t, func(c *authwright.Config) { c.SigningKeys = nil }) }, "Config.SigningKeys"},
		{"no signer", func(t testing.TB) {
			authtest.NewServer(t, func(c *authwright.Config) { c.SigningKeys = append(c.SigningKeys, authwright.SigningKey{}) })
		}, "Signer is required"},
		{"Token", func(t testing.TB) { authtest.NewServer(t).Token(authtest.Token{ClientID: "nobody"}) }, "nobody"},
		{"Revoke of nonsense", func(t testing.TB) { authtest.NewServer(t).Revoke("nonsense") }, "not an access token"},
		{"Revoke of another server's", func(t testing.TB) {
			authtest.NewServer(t).Revoke(authtest.NewServer(t).Token(authtest.Token{}))
		}, "not found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := &stopped{TB: t}
			done := make(chan bool)
			go func() {
				defer close(done)
				tc.run(s)
				t.Error("it went on")
			}()
			<-done
			require.Contains(t, s.reason, tc.reason)
			for _, f := range s.cleanup {
				f()
			}
		})
	}
}
