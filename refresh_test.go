package authwright_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// refreshTokenOf is the refresh token of a token response.
func refreshTokenOf(tokens map[string]any) string { return tokens["refresh_token"].(string) }

func TestRefreshBinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := refreshTokenOf(w.tokens())
	for _, test := range []struct {
		name    string
		changes []string
		auth    []string
		want    string
	}{
		{"RT-01 another confidential client", nil, []string{"other", otherSecret}, "invalid_grant"},
		{"RT-01 a public client", []string{"client_id", "spa"}, nil, "invalid_grant"},
		{"RT-02 no authentication", nil, nil, "invalid_client"},
		{"RT-02 no secret", []string{"client_id", "web"}, nil, "invalid_client"},
		{"RT-02 a wrong secret", nil, []string{"web", otherSecret}, "invalid_client"},
		{"RT-02 a wrong secret in the form", []string{"client_id", "web", "client_secret", "x"}, nil, "invalid_client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, w.token(refreshForm(token, test.changes...), test.auth...), test.want)
			require.NotContains(t, w.happened(), authwright.EventTokenRotated)
		})
	}
	t.Run("RT-01 its own client", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.token(refreshForm(token), "web", webSecret).status)
	})
	t.Run("RT-01 a public client's token is not another public client's", func(t *testing.T) {
		token := refreshTokenOf(w.token(spaForm(w.code(spaRequest()))).json(t))
		refused(t, w.token(refreshForm(token, "client_id", "cli")), "invalid_grant")
		refused(t, w.token(refreshForm(token)), "invalid_client")
		require.Equal(t, http.StatusOK, w.token(refreshForm(token, "client_id", "spa")).status)
	})
}

func TestRefreshScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *authwright.Config) {
		cfg.Resources = []authwright.Resource{{ID: "https://a.example"}, {ID: "https://b.example"}, {ID: "https://c.example"}}
	})
	b := w.signedIn("alice")
	q := request()
	q["resource"] = []string{"https://a.example", "https://b.example"}
	code := b.decide(b.authorize(q), "approve", "read", "write").location(t).Get("code")
	tokens := w.token(codeForm(code), "web", webSecret).json(t)
	for _, test := range []struct{ name, scope string }{
		{"RT-03 a scope of nobody", "delete"},
		{"RT-03 a scope the server knows", "admin"},
		{"RT-03 the scopes granted and one more", "read write admin"},
		{"RT-03 what is no scope", "\"read\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, w.token(refreshForm(refreshTokenOf(tokens), "scope", test.scope), "web", webSecret), "invalid_scope")
		})
	}
	t.Run("RT-03 a scope the user did not grant", func(t *testing.T) {
		page := b.authorize(request("prompt", "consent"))
		code := b.decide(page, "approve", "read").location(t).Get("code")
		tokens := w.token(codeForm(code), "web", webSecret).json(t)
		refused(t, w.token(refreshForm(refreshTokenOf(tokens), "scope", "read write"), "web", webSecret), "invalid_scope")
		require.Equal(t, "read", w.rotated(t, tokens)["scope"])
	})
	t.Run("RT-03 no scope is the original grant", func(t *testing.T) {
		tokens = w.rotated(t, tokens)
		require.Equal(t, "read write", tokens["scope"])
		require.Equal(t, "read write", claims(t, tokens["access_token"])["scope"])
	})
	t.Run("RT-04 narrowing is for the access token only", func(t *testing.T) {
		for _, scope := range []string{"read", "write", "write read"} {
			tokens = w.rotated(t, tokens, "scope", scope)
			require.Equal(t, scope, tokens["scope"])
			require.Equal(t, scope, claims(t, tokens["access_token"])["scope"])
		}
		tokens = w.rotated(t, tokens, "scope", "read")
		tokens = w.rotated(t, tokens)
		require.Equal(t, "read write", tokens["scope"])
	})
	t.Run("RT-14 the resources granted, all or some", func(t *testing.T) {
		tokens = w.rotated(t, tokens, "resource", "https://b.example")
		require.Equal(t, "https://b.example", claims(t, tokens["access_token"])["aud"])
		tokens = w.rotated(t, tokens)
		require.Equal(t, []any{"https://a.example", "https://b.example"}, claims(t, tokens["access_token"])["aud"])
	})
	for _, resource := range []string{"https://c.example", "https://unknown.example", "x"} {
		t.Run("RT-22 the resource "+resource+" was not granted", func(t *testing.T) {
			refused(t, w.token(refreshForm(refreshTokenOf(tokens), "resource", resource), "web", webSecret), "invalid_target")
			f := refreshForm(refreshTokenOf(tokens), "resource", resource)
			f.Add("resource", "https://a.example")
			refused(t, w.token(f, "web", webSecret), "invalid_target")
		})
	}
	t.Run("RT-14 what the client is allowed later was not consented to", func(t *testing.T) {
		w.changeClient("web", func(c *authwright.Client) { c.Scopes = []string{"read", "write", "admin"} })
		tokens = w.rotated(t, tokens)
		require.Equal(t, "read write", tokens["scope"])
		refused(t, w.token(refreshForm(refreshTokenOf(tokens), "scope", "admin"), "web", webSecret), "invalid_scope")
	})
}

func TestRefreshRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.store.AddClient(t.Context(), &authwright.Client{
		ID: "app", Native: true, Secrets: []authwright.ClientSecret{stored("shipped")}, Scopes: []string{"read", "write"},
		RedirectURIs: []string{"com.example.app:/cb"},
	}))
	for _, test := range []struct {
		name, redirect string
		client         []string
		auth           []string
	}{
		{"RT-05 a browser app", "https://spa.example/cb", []string{"client_id", "spa"}, nil},
		{"RT-05 a native app", "http://127.0.0.1:4711/cb", []string{"client_id", "cli"}, nil},
		{"RT-05 a native app with a secret", "com.example.app:/cb", []string{"client_id", "app"}, []string{"app", "shipped"}},
		{"RT-05 a confidential client", "https://web.example/cb", []string{"client_id", "web"}, []string{"web", webSecret}},
	} {
		t.Run(test.name, func(t *testing.T) {
			code := w.code(request(append(test.client, "redirect_uri", test.redirect)...))
			a := w.token(codeForm(code, append(test.client, "redirect_uri", test.redirect)...), test.auth...)
			seen := []string{refreshTokenOf(a.json(t))}
			for range 4 {
				a = w.token(refreshForm(seen[len(seen)-1], test.client...), test.auth...)
				require.Equal(t, http.StatusOK, a.status, a.body)
				require.NotContains(t, seen, refreshTokenOf(a.json(t)))
				seen = append(seen, refreshTokenOf(a.json(t)))
			}
			refused(t, w.token(refreshForm(seen[0], test.client...), test.auth...), "invalid_grant")
			refused(t, w.token(refreshForm(seen[4], test.client...), test.auth...), "invalid_grant")
		})
	}
	for _, test := range []struct {
		name     string
		uses     int // of the chain
		replayed int
		after    time.Duration
	}{
		{"RT-06 the predecessor, after the grace", 1, 0, 30 * time.Second},
		{"RT-06 the predecessor, once the successor has been used", 2, 0, 0},
		{"RT-06 the first of many", 5, 0, 0},
		{"RT-06 one in the middle", 5, 2, 0},
		{"RT-06 one in the middle, much later", 5, 2, 13 * 24 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			chain := []map[string]any{w.tokens()}
			for range test.uses {
				chain = append(chain, w.rotated(t, chain[len(chain)-1]))
			}
			w.advance(test.after)
			require.NotContains(t, w.happened(), authwright.EventTokenReplayed)
			refused(t, w.token(refreshForm(refreshTokenOf(chain[test.replayed])), "web", webSecret), "invalid_grant")
			require.Contains(t, w.happened(), authwright.EventTokenReplayed)
			slices.Reverse(chain)
			for _, tokens := range chain {
				w.dead(t, tokens)
			}
		})
	}

	spent := w.tokens()
	live := w.rotated(t, w.rotated(t, spent))
	raw := func(token string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(token)
		require.NoError(t, err)
		return b
	}
	// A token that names the grant, and is otherwise made up or taken from another grant.
	forged := func(random []byte) string {
		return base64.RawURLEncoding.EncodeToString(append(raw(refreshTokenOf(live))[:16], random...))
	}
	for _, test := range []struct {
		name, token string
		changes     []string
		auth        []string
	}{
		{"RT-07 a replay with a wrong secret", refreshTokenOf(spent), nil, []string{"web", "wrong"}},
		{"RT-07 a replay without a secret", refreshTokenOf(spent), []string{"client_id", "web"}, nil},
		{"RT-07 a replay by another client", refreshTokenOf(spent), nil, []string{"other", otherSecret}},
		{"RT-07 a replay by a public client", refreshTokenOf(spent), []string{"client_id", "spa"}, nil},
		{"RT-17 a token with nothing of the grant's but its name", forged(make([]byte, 32)), nil, []string{"web", webSecret}},
		{"RT-17 a token with the random part of another grant's", forged(raw(refreshTokenOf(w.tokens()))[16:]), nil, []string{"web", webSecret}},
		{"RT-17 a token with half of its random part", forged(append(make([]byte, 16), raw(refreshTokenOf(live))[32:]...)), nil, []string{"web", webSecret}},
		{"RT-17 a token cut short", refreshTokenOf(live)[:63], nil, []string{"web", webSecret}},
		{"RT-17 a token and something more", refreshTokenOf(live) + "A", nil, []string{"web", webSecret}},
	} {
		t.Run(test.name+" revokes nothing", func(t *testing.T) {
			require.GreaterOrEqual(t, w.token(refreshForm(test.token, test.changes...), test.auth...).status, 400)
			live = w.rotated(t, live)
		})
	}
}

func TestRefreshTokenSecrecy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(request())
	chain := []map[string]any{w.token(codeForm(code), "web", webSecret).json(t)}
	for range 3 {
		chain = append(chain, w.rotated(t, chain[len(chain)-1]))
	}
	t.Run("RT-17 a token cannot be guessed", func(t *testing.T) {
		parts := map[string]bool{}
		for range 50 {
			b, err := base64.RawURLEncoding.DecodeString(refreshTokenOf(w.tokens()))
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(b), 32)
			for _, part := range [][]byte{b[:16], b[16:32], b[32:]} {
				require.False(t, parts[string(part)], "a part of a token comes twice")
				parts[string(part)] = true
			}
		}
	})
	t.Run("RT-17 the storage holds no token", func(t *testing.T) {
		grants, _, err := w.store.GrantsBySubject(t.Context(), "alice", "", 0)
		require.NoError(t, err)
		for _, tokens := range chain {
			b, err := base64.RawURLEncoding.DecodeString(refreshTokenOf(tokens))
			require.NoError(t, err)
			for _, g := range grants {
				for _, kept := range [][]byte{g.Secret, g.Lineage, g.Turn, g.Previous, g.Sealed} {
					require.False(t, bytes.Contains(kept, b[16:32]) || bytes.Contains(kept, b[32:]))
				}
			}
		}
	})
	t.Run("RT-17 a code is not a refresh token", func(t *testing.T) {
		refused(t, w.token(refreshForm(code), "web", webSecret), "invalid_grant")
		refused(t, w.token(refreshForm(w.code(request())), "web", webSecret), "invalid_grant")
		w.rotated(t, chain[3]) // and revokes nothing
	})
}

func TestRefreshRetry(t *testing.T) {
	t.Parallel()
	const grace = 30 * time.Second
	t.Run("RT-09 the same successor and a new access token", func(t *testing.T) {
		w := newWorld(t)
		lost := w.tokens()
		answer := w.rotated(t, lost)
		w.advance(grace - time.Millisecond)
		again := w.rotated(t, lost, "scope", "read")
		require.Equal(t, refreshTokenOf(answer), refreshTokenOf(again))
		require.NotEqual(t, answer["access_token"], again["access_token"])
		require.Equal(t, "read", again["scope"])
		require.Equal(t, "read write", w.rotated(t, again)["scope"])
		require.NotContains(t, w.happened(), authwright.EventGrantRevoked)
	})
	t.Run("RT-09 retries do not prolong the grace", func(t *testing.T) {
		w := newWorld(t)
		lost := w.tokens()
		w.rotated(t, lost)
		for range 3 {
			w.advance(9 * time.Second)
			w.rotated(t, lost)
		}
		w.advance(3 * time.Second)
		refused(t, w.token(refreshForm(lost["refresh_token"].(string)), "web", webSecret), "invalid_grant")
		w.dead(t, lost)
	})
	t.Run("RT-09 the grace can be set", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.RefreshGrace = 2 * time.Minute })
		lost := w.tokens()
		w.rotated(t, lost)
		w.advance(2*time.Minute - time.Millisecond)
		w.rotated(t, lost)
		w.advance(time.Millisecond)
		refused(t, w.token(refreshForm(lost["refresh_token"].(string)), "web", webSecret), "invalid_grant")
		w.dead(t, lost)
	})
	t.Run("RT-09 the grace can be switched off", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.RefreshGrace = -1 })
		lost := w.tokens()
		w.rotated(t, lost)
		refused(t, w.token(refreshForm(lost["refresh_token"].(string)), "web", webSecret), "invalid_grant")
		w.dead(t, lost)
	})
	t.Run("RT-09 the grace can be switched off where clocks differ", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.RefreshGrace = -1 })
		lost := w.tokens()
		w.rotated(t, lost)
		w.advance(-30 * time.Second) // as at a replica whose clock is behind
		refused(t, w.token(refreshForm(lost["refresh_token"].(string)), "web", webSecret), "invalid_grant")
		w.dead(t, lost)
	})
	t.Run("RT-09 a retry is no way past the scope or the client", func(t *testing.T) {
		w := newWorld(t)
		lost := w.tokens()
		live := w.rotated(t, lost)
		refused(t, w.token(refreshForm(refreshTokenOf(lost), "scope", "admin"), "web", webSecret), "invalid_scope")
		refused(t, w.token(refreshForm(refreshTokenOf(lost)), "other", otherSecret), "invalid_grant")
		w.rotated(t, live)
	})
}
