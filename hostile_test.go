package authwright_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// What a stranger may put into an authorization request: RFC 6749, section 10.14.
func TestAuthorizeHostile(t *testing.T) {
	t.Parallel()
	const hostile = "\"'><script>alert(1)</script>\r\nX-Injected: 1\r\n\r\n<b>"
	w := newWorld(t)
	b := w.signedIn("alice")
	q := request("state", hostile, "login_hint", hostile, "ui_locales", hostile, "nonce", hostile, "extra", hostile)
	harmless := func(t *testing.T, a answer) {
		t.Helper()
		require.NotContains(t, a.body, "<script")
		for name, values := range a.header {
			require.NotEqual(t, "X-Injected", name)
			require.NotContains(t, values[0], "<")
			require.NotContains(t, values[0], `">`)
		}
	}

	t.Run("AZ-20 hostile values are harmless in the redirect to the login page", func(t *testing.T) {
		a := w.browser().still().authorize(q)
		harmless(t, a)
		next, err := url.Parse(a.location(t).Get("next"))
		require.NoError(t, err)
		require.Equal(t, hostile, next.Query().Get("state"))
		require.Equal(t, hostile, a.location(t).Get("login_hint"))
	})
	t.Run("AZ-20 hostile values are harmless on the consent page and in the response", func(t *testing.T) {
		page := b.authorize(q)
		consentPage(t, page)
		harmless(t, page)
		a := b.decide(page, "approve", "read")
		harmless(t, a)
		require.Equal(t, hostile, a.location(t).Get("state"))
	})
	t.Run("AZ-20 hostile values are harmless on error pages and in error responses", func(t *testing.T) {
		for _, name := range []string{"client_id", "redirect_uri"} {
			a := b.authorize(request(name, hostile))
			errorPage(t, a)
			harmless(t, a)
		}
		for _, name := range []string{"scope", "response_type", "response_mode", "prompt", "code_challenge_method", "resource", "max_age"} {
			a := b.authorize(request(name, hostile, "state", hostile))
			if name != "prompt" {
				require.Equal(t, hostile, a.location(t).Get("state"), name)
			}
			harmless(t, a)
		}
	})
	t.Run("AZ-20 hostile values are harmless on the page that gives a strict session its chance", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/authorize?"+q.Encode(), nil)
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Dest", "document")
		a := w.do(w.browser().Client, r)
		require.NotEmpty(t, a.header.Get("Refresh"))
		harmless(t, a)
	})
	t.Run("AZ-20 a stranger can neither break nor flood the log", func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn("alice")
		flood := strings.Repeat("x", 20_000)
		for _, name := range []string{"client_id", "redirect_uri", "scope", "state", "response_type", "resource"} {
			b.authorize(request(name, flood, "prompt", "none"))
			b.authorize(request(name, hostile, "prompt", "none"))
		}
		require.Less(t, len(w.log()), 10_000)
		for line := range strings.Lines(w.log()) {
			require.True(t, json.Valid([]byte(line)), line)
		}
	})
}

func TestAuthorizeSize(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	w := newWorld(t, alwaysAsk, func(cfg *authwright.Config) {
		cfg.Storage = registry{cfg.Storage, func(*authwright.Client) { asked.Add(1) }}
	})
	b := w.signedIn("alice")

	t.Run("AZ-21 a long state works", func(t *testing.T) {
		for _, n := range []int{1_000, 8_000} {
			long := strings.Repeat("s~", n/2)
			require.Equal(t, long, b.decide(b.authorize(request("state", long)), "approve", "read").location(t).Get("state"))
		}
	})
	t.Run("AZ-21 a request that is too large never reaches the storage", func(t *testing.T) {
		asked.Store(0)
		large := request("state", strings.Repeat("s", 33<<10))
		a := b.authorize(large)
		errorPage(t, a)
		require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
		a = b.post("/authorize", large)
		errorPage(t, a)
		require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
		errorPage(t, b.raw(request().Encode()+strings.Repeat("&x=1", 100)))
		require.Zero(t, asked.Load())
		consentPage(t, b.authorize(request()))
		require.NotZero(t, asked.Load(), "the storage is counted at all")
	})
	t.Run("AZ-22 the endpoint has no fragment", func(t *testing.T) {
		endpoint := b.get(w.issuer + "/.well-known/oauth-authorization-server").json(t)["authorization_endpoint"]
		require.Equal(t, w.issuer+"/authorize", endpoint)
		for _, issuer := range []string{"https://as.example/#", "https://as.example#", "https://as.example/a#b"} {
			_, err := authwright.NewServer(authwright.Config{Issuer: issuer, Storage: w.store, Authenticator: authwright.LoginRedirect("/", "n", w.currentUser), SigningKeys: []authwright.SigningKey{{Signer: newKey(t)}}})
			require.ErrorContains(t, err, "Issuer")
		}
	})
}
