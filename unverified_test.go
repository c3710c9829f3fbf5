package authwright_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// Clients that introduced themselves: anybody can have one that leads anywhere.
func TestUnverified(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registration())
	stranger := asRegistered(w.registered(newcomer.with("token_endpoint_auth_method", "none")))
	with := func(changes ...string) (q map[string][]string) {
		q = request(append([]string{"client_id", stranger.Get("client_id"), "redirect_uri", stranger.Get("redirect_uri")}, changes...)...)
		return q
	}
	faults := map[string][]string{
		"RU-17 a bad scope":          {"scope", "admin"},
		"RU-17 no PKCE":              {"code_challenge", ""},
		"RU-17 a response type":      {"response_type", "token"},
		"RU-17 a missing type":       {"response_type", ""},
		"RU-17 an unknown resource":  {"resource", "https://evil.example"},
		"RU-17 an unsupported mode":  {"response_mode", "fragment"},
		"RU-17 silence":              {"prompt", "none"},
		"RU-17 silence and a fault":  {"prompt", "none", "scope", "admin"},
		"RU-17 silence of a paradox": {"prompt", "none login"},
	}
	for name, changes := range faults {
		t.Run(name, func(t *testing.T) {
			a := w.signedIn("alice").authorize(with(changes...))
			errorPage(t, a)
			require.Empty(t, a.header.Get("Refresh"))
			require.Regexp(t, `id="back"[^>]*href="https://new\.example/cb\?error=[a-z_]+&amp;[^"]*state=xyz&amp;iss=[^"]*">Back to new\.example<`, a.body)
			if len(changes) == 2 && changes[0] == "prompt" {
				errorPage(t, w.browser().authorize(with(changes...)))
			}
		})
	}
	t.Run("RU-17 the user who has consented has decided", func(t *testing.T) {
		b := w.signedIn("bob")
		require.NotEmpty(t, b.decide(b.authorize(with("scope", "read")), "approve", "read").location(t).Get("code"))
		require.NotEmpty(t, b.authorize(with("scope", "read", "prompt", "none")).location(t).Get("code"))
		redirected(t, b.authorize(with("prompt", "none")), "consent_required")
		redirected(t, b.authorize(with("prompt", "none", "scope", "admin")), "invalid_scope")
		errorPage(t, b.authorize(with("scope", "admin")))
		errorPage(t, w.signedIn("alice").authorize(with("prompt", "none")))
		errorPage(t, w.browser().authorize(with("prompt", "none")))
		require.NoError(t, w.srv.RevokeSubject(t.Context(), "bob"))
		errorPage(t, b.authorize(with("prompt", "none")))
	})
	t.Run("RU-17 an answer of the user goes where the page said", func(t *testing.T) {
		b := w.signedIn("carol")
		redirected(t, b.decide(b.authorize(with()), "deny"), "access_denied")
	})
	t.Run("RU-17 clients that the host knows are told at once", func(t *testing.T) {
		redirected(t, w.signedIn("alice").authorize(request("scope", "admin")), "invalid_scope")
		redirected(t, w.browser().authorize(request("prompt", "none")), "login_required")
	})
	t.Run("UI-09 nobody has checked it, and the page says so", func(t *testing.T) {
		const words = "Nobody here has checked"
		require.Contains(t, w.signedIn("dave").authorize(with()).body, words)
		require.NotContains(t, w.signedIn("dave").authorize(request()).body, words)
	})
}

// A challenge or a nonce that a client sends again is one that it has made up only once.
func TestReusedChallenge(t *testing.T) {
	t.Parallel()
	strict := func(cfg *authwright.Config) { cfg.RefuseReusedChallenges = true }
	second := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	t.Run("PK-16 a challenge that was used before", func(t *testing.T) {
		w := newWorld(t, strict)
		b := w.signedIn("alice")
		require.NotEmpty(t, w.code(request()))
		redirected(t, b.authorize(request()), "invalid_request")
		redirected(t, w.signedIn("alice").authorize(request("state", "other", "scope", "read", "nonce", "n")), "invalid_request")
		require.NotEmpty(t, b.authorize(request("code_challenge", s256(second))).location(t).Get("code"))
		bob := w.signedIn("bob")
		redirected(t, bob.decide(bob.authorize(request()), "approve", "read", "write"), "invalid_request")
	})
	t.Run("PK-16 a nonce that was used before", func(t *testing.T) {
		w := newWorld(t, strict)
		require.NotEmpty(t, w.code(request("nonce", "n")))
		redirected(t, w.signedIn("alice").authorize(request("nonce", "n", "code_challenge", s256(second))), "invalid_request")
	})
	t.Run("PK-16 another client's is another", func(t *testing.T) {
		w := newWorld(t, strict)
		require.NotEmpty(t, w.code(request("nonce", "n")))
		require.NotEmpty(t, w.code(request("nonce", "n", "client_id", "spa", "redirect_uri", "https://spa.example/cb")))
	})
	t.Run("PK-16 a question that is asked again is not a code", func(t *testing.T) {
		w := newWorld(t, strict)
		b := w.signedIn("alice")
		consentPage(t, b.authorize(request()))
		page := b.authorize(request())
		redirected(t, b.decide(b.authorize(request()), "deny"), "access_denied")
		require.NotEmpty(t, b.decide(page, "approve", "read").location(t).Get("code"))
	})
	t.Run("PK-16 for as long as a client is likely to remember it", func(t *testing.T) {
		w := newWorld(t, strict)
		require.NotEmpty(t, w.code(request()))
		w.advance(24*time.Hour - time.Millisecond)
		redirected(t, w.signedIn("alice").authorize(request()), "invalid_request")
		w.advance(time.Millisecond)
		require.NotEmpty(t, w.code(request()))
	})
	t.Run("PK-16 only if the host wants it", func(t *testing.T) {
		w := newWorld(t)
		for range 2 {
			require.Equal(t, http.StatusOK, w.token(codeForm(w.code(request("nonce", "n"))), "web", webSecret).status)
		}
	})
}
