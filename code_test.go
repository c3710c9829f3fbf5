package authwright_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// stage returns the stage of a grant.
func (w *world) stage(id string) authwright.Stage {
	w.t.Helper()
	g, err := w.store.Grant(w.t.Context(), id)
	require.NoError(w.t, err)
	return g.Stage
}

// grantID returns the grant that an access token names.
func grantID(t *testing.T, accessToken any) string {
	t.Helper()
	id, _ := claims(t, accessToken)["grant_id"].(string)
	require.NotEmpty(t, id)
	return id
}

// dead checks that nothing of a token response is good any more: the refresh token is
// refused, and the access token is inactive with the grant it was made from.
func (w *world) dead(t *testing.T, tokens map[string]any) {
	t.Helper()
	require.Equal(t, authwright.StageRevoked, w.stage(grantID(t, tokens["access_token"])))
	a := w.postForm("/introspect", url.Values{"token": {tokens["access_token"].(string)}}, "web", webSecret)
	require.Equal(t, false, a.json(t)["active"], a.body)
	// Last, because presenting a spent token would itself revoke the grant.
	refused(t, w.token(refreshForm(tokens["refresh_token"].(string)), "web", webSecret), "invalid_grant")
}

// rotated refreshes as web and returns the token response.
func (w *world) rotated(t *testing.T, tokens map[string]any, changes ...string) map[string]any {
	t.Helper()
	a := w.token(refreshForm(tokens["refresh_token"].(string), changes...), "web", webSecret)
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a.json(t)
}

func TestCodeUnusable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("alice")
	page := b.authorize(request())
	_, handle := page.question(t)
	used := b.decide(page, "approve", "read", "write").location(t).Get("code")
	tokens := w.token(codeForm(used), "web", webSecret).json(t)
	// Of a grant of its own, because a replay revokes.
	twice := w.code(request())
	require.Equal(t, http.StatusOK, w.token(codeForm(twice), "web", webSecret).status)
	revoked := w.code(request())
	require.NoError(t, w.srv.RevokeGrant(t.Context(), w.grantOf(revoked).ID))
	foreign := w.code(spaRequest())
	expired := w.code(request())
	w.advance(time.Minute - time.Millisecond)
	last := w.code(request())
	require.Equal(t, http.StatusOK, w.token(codeForm(last), "web", webSecret).status)
	w.advance(time.Millisecond)

	unknown := w.token(codeForm(strings.Repeat("A", 64)), "web", webSecret)
	for _, test := range []struct{ name, code string }{
		{"CG-01 another client's code", foreign},
		{"CG-02 an expired code", expired},
		{"CG-02 a used code", twice},
		{"CG-02 a used code again", twice},
		{"CG-02 a revoked code", revoked},
		{"CG-02 a code of another server", newWorld(t).code(request())},
		{"CG-02 what is no code", "x"},
		{"CG-02 a code and something more", last + "A"},
		{"CG-02 a refresh token", tokens["refresh_token"].(string)},
		{"CG-02 an access token", tokens["access_token"].(string)},
		{"CG-02 the handle of a consent page", handle},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.token(codeForm(test.code, "redirect_uri", ""), "web", webSecret)
			refused(t, a, "invalid_grant")
			alike(t, unknown, a)
		})
	}
	t.Run("CG-02 what passes for a code by mistake revokes nothing", func(t *testing.T) { w.rotated(t, tokens) })
	t.Run("CG-02 the handle of an open consent page", func(t *testing.T) {
		_, handle := b.authorize(request("prompt", "consent")).question(t)
		alike(t, unknown, w.token(codeForm(handle), "web", webSecret))
	})
	t.Run("CG-02 a code lives as long as configured", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.CodeLifetime = 5 * time.Second })
		first, second := w.code(request()), w.code(request())
		w.advance(5*time.Second - time.Millisecond)
		require.Equal(t, http.StatusOK, w.token(codeForm(first), "web", webSecret).status)
		w.advance(time.Millisecond)
		refused(t, w.token(codeForm(second), "web", webSecret), "invalid_grant")
	})
	for _, test := range []struct {
		name string
		f    url.Values
	}{
		{"CG-09 no code", codeForm("")},
		{"CG-09 an empty code", url.Values{"grant_type": {"authorization_code"}, "code": {""}, "code_verifier": {verifier}}},
		{"CG-09 a refresh token in its place", refreshForm("x", "grant_type", "authorization_code", "code_verifier", verifier)},
	} {
		t.Run(test.name, func(t *testing.T) { refused(t, w.token(test.f, "web", webSecret), "invalid_request") })
	}
}

// wrongPresentations are all the ways to present a code of web without the right to it.
var wrongPresentations = []struct {
	name    string
	changes []string
	auth    []string
}{
	{"a wrong secret", nil, []string{"web", "wrong"}},
	{"no secret", []string{"client_id", "web"}, nil},
	{"another client", nil, []string{"other", otherSecret}},
	{"a public client", []string{"client_id", "spa"}, nil},
	{"a wrong verifier", []string{"code_verifier", strings.Repeat("x", 43)}, []string{"web", webSecret}},
	{"a malformed verifier", []string{"code_verifier", "x"}, []string{"web", webSecret}},
	{"no verifier", []string{"code_verifier", ""}, []string{"web", webSecret}},
	{"a wrong redirect_uri", []string{"redirect_uri", "https://evil.example/cb"}, []string{"web", webSecret}},
}

func TestCodeReplay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		replay func(w *world, tokens map[string]any) map[string]any // what the client holds when the code comes again
	}{
		{"CG-04 at once", func(_ *world, tokens map[string]any) map[string]any { return tokens }},
		{"CG-04 after half a minute", func(w *world, tokens map[string]any) map[string]any {
			w.advance(30 * time.Second)
			return tokens
		}},
		{"CG-04 after a refresh", func(w *world, tokens map[string]any) map[string]any {
			return w.rotated(w.t, tokens)
		}},
		{"CG-04 after many refreshes that narrowed the scope", func(w *world, tokens map[string]any) map[string]any {
			for range 5 {
				w.advance(24 * time.Hour)
				tokens = w.rotated(w.t, tokens, "scope", "read")
			}
			return tokens
		}},
		{"CG-12 after the code has expired", func(w *world, tokens map[string]any) map[string]any {
			w.advance(13 * 24 * time.Hour)
			return tokens
		}},
		{"CG-12 after the storage has been tidied", func(w *world, tokens map[string]any) map[string]any {
			w.advance(24 * time.Hour)
			_, err := w.store.DeleteExpired(w.t.Context(), w.now(), 0)
			require.NoError(w.t, err)
			return tokens
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			code := w.code(request())
			tokens := test.replay(w, w.token(codeForm(code), "web", webSecret).json(t))
			refused(t, w.token(codeForm(code), "web", webSecret), "invalid_grant")
			w.dead(t, tokens)
			require.Contains(t, w.happened(), authwright.EventCodeReplayed)
		})
	}
	t.Run("CG-12 a client without refresh tokens", func(t *testing.T) {
		w := newWorld(t)
		w.changeClient("web", func(c *authwright.Client) { c.GrantTypes = []string{"authorization_code"} })
		code := w.code(request())
		access := w.token(codeForm(code), "web", webSecret).json(t)["access_token"]
		w.advance(10*time.Minute - time.Second) // as long as the token lives
		_, err := w.store.DeleteExpired(t.Context(), w.now(), 0)
		require.NoError(t, err)
		refused(t, w.token(codeForm(code), "web", webSecret), "invalid_grant")
		require.Equal(t, authwright.StageRevoked, w.stage(grantID(t, access)))
	})
	t.Run("CG-04 other grants of the same user and client live on", func(t *testing.T) {
		w := newWorld(t)
		tokens, code := w.tokens(), w.code(request())
		for range 2 {
			w.token(codeForm(code), "web", webSecret)
		}
		require.Contains(t, w.happened(), authwright.EventCodeReplayed)
		w.rotated(t, tokens)
	})

	w := newWorld(t)
	for _, test := range wrongPresentations {
		t.Run("CG-05 a replay with "+test.name+" revokes nothing", func(t *testing.T) {
			code := w.code(request())
			tokens := w.token(codeForm(code), "web", webSecret).json(t)
			require.GreaterOrEqual(t, w.token(codeForm(code, test.changes...), test.auth...).status, 400)
			w.rotated(t, tokens)
			require.NotContains(t, w.happened(), authwright.EventCodeReplayed)
		})
		t.Run("CG-06 "+test.name+" does not consume the code", func(t *testing.T) {
			code := w.code(request())
			for range 3 {
				require.GreaterOrEqual(t, w.token(codeForm(code, test.changes...), test.auth...).status, 400)
			}
			require.Equal(t, http.StatusOK, w.token(codeForm(code), "web", webSecret).status)
		})
	}
	t.Run("CG-01 a public client's code is another public client's", func(t *testing.T) {
		code := w.code(spaRequest())
		refused(t, w.token(spaForm(code, "client_id", "cli")), "invalid_grant")
		refused(t, w.token(spaForm(code, "client_id", ""), "web", webSecret), "invalid_grant")
		require.Equal(t, http.StatusOK, w.token(spaForm(code)).status)
	})
}

func TestCodeRedirectURI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.changeClient("web", func(c *authwright.Client) {
		c.RedirectURIs = append(c.RedirectURIs, "https://web.example/cb2", "http://127.0.0.1/cb?x=%2F")
	})
	const web, loopback = "https://web.example/cb", "http://127.0.0.1:4711/cb?x=%2F"
	for _, test := range []struct {
		name, asked, sent string
		ok                bool
	}{
		{"CG-07 the same", web, web, true},
		{"CG-07 the same on the loopback interface", loopback, loopback, true},
		{"CG-07 another that is registered", web, "https://web.example/cb2", false},
		{"CG-07 another that is not registered", web, "https://evil.example/cb", false},
		{"CG-07 a slash more", web, web + "/", false},
		{"CG-07 a question mark more", web, web + "?", false},
		{"CG-07 another case", web, "https://WEB.example/cb", false},
		{"CG-07 the default port", web, "https://web.example:443/cb", false},
		{"CG-07 an escape more", web, "https://web.example/c%62", false},
		{"CG-07 an escape less", loopback, "http://127.0.0.1:4711/cb?x=/", false},
		{"CG-07 another loopback port", loopback, "http://127.0.0.1:4712/cb?x=%2F", false},
		{"CG-07 no loopback port", loopback, "http://127.0.0.1/cb?x=%2F", false},
		{"CG-08 sent at the authorization endpoint only", web, "", true},
		{"CG-08 sent at the authorization endpoint only, by a loopback client", loopback, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.token(codeForm(w.code(request("redirect_uri", test.asked)), "redirect_uri", test.sent), "web", webSecret)
			if test.ok {
				require.Equal(t, http.StatusOK, a.status, a.body)
			} else {
				refused(t, a, "invalid_grant")
			}
		})
	}
	t.Run("CG-08 sent at the token endpoint only", func(t *testing.T) {
		other := request("client_id", "other", "redirect_uri", "")
		a := w.token(codeForm(w.code(other), "redirect_uri", "https://other.example/cb"), "other", otherSecret)
		require.Equal(t, http.StatusOK, a.status, a.body)
		refused(t, w.token(codeForm(w.code(other)), "other", otherSecret), "invalid_grant")
	})
}

func TestCodeScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, scope := range []string{"read", "admin", "read write admin", "\"é\\"} {
		t.Run("CG-10 the scope "+scope+" is ignored", func(t *testing.T) {
			r := w.token(codeForm(w.code(request()), "scope", scope), "web", webSecret).json(t)
			require.Equal(t, "read write", r["scope"])
			require.Equal(t, "read write", claims(t, r["access_token"])["scope"])
		})
	}
}

// endings are what may happen to an authorization while its client is away. The subject
// that Config.Claims refuses is gone.
var endings = []struct {
	name string
	end  func(t *testing.T, w *world, gone map[string]bool)
	want string
}{
	{"the client is disabled", func(_ *testing.T, w *world, _ map[string]bool) {
		w.changeClient("web", func(c *authwright.Client) { c.Disabled = true })
	}, "invalid_grant"},
	{"the client is deleted", func(t *testing.T, w *world, _ map[string]bool) {
		require.NoError(t, w.store.DeleteClient(t.Context(), "web"))
	}, "invalid_client"},
	{"the subject is gone", func(_ *testing.T, _ *world, gone map[string]bool) { gone["alice"] = true }, "invalid_grant"},
	{"the grant is revoked", func(t *testing.T, w *world, _ map[string]bool) {
		grants, _, err := w.store.GrantsBySubject(t.Context(), "alice", "", 0)
		require.NoError(t, err)
		for _, g := range grants {
			require.NoError(t, w.srv.RevokeGrant(t.Context(), g.ID))
		}
	}, "invalid_grant"},
	{"all grants of the subject are revoked", func(t *testing.T, w *world, _ map[string]bool) {
		require.NoError(t, w.srv.RevokeSubject(t.Context(), "alice"))
	}, "invalid_grant"},
	{"all grants of the client are revoked", func(t *testing.T, w *world, _ map[string]bool) {
		require.NoError(t, w.srv.RevokeClient(t.Context(), "web"))
	}, "invalid_grant"},
}

// perishable starts a world whose subjects are gone as soon as they are in gone.
func perishable(t *testing.T) (w *world, gone map[string]bool) {
	gone = map[string]bool{}
	return newWorld(t, func(cfg *authwright.Config) {
		cfg.Claims = func(_ context.Context, g *authwright.Grant) (map[string]any, error) {
			if gone[g.Subject] {
				return nil, authwright.ErrAccessDenied
			}
			return nil, nil
		}
	}), gone
}

func TestCodeEndings(t *testing.T) {
	t.Parallel()
	for _, test := range endings {
		t.Run("CG-11 "+test.name, func(t *testing.T) {
			w, gone := perishable(t)
			code := w.code(request())
			test.end(t, w, gone)
			refused(t, w.token(codeForm(code), "web", webSecret), test.want)
		})
	}
	t.Run("CG-11 the redirect URI is not registered any more", func(t *testing.T) {
		w := newWorld(t)
		code := w.code(request())
		w.changeClient("web", func(c *authwright.Client) { c.RedirectURIs = []string{"https://web.example/new"} })
		refused(t, w.token(codeForm(code), "web", webSecret), "invalid_grant")
	})
}
