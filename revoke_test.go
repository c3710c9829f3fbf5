package authwright_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// ofToken is a form for the revocation and the introspection endpoint, with changes as in
// request.
func ofToken(token any, changes ...string) url.Values {
	f := url.Values{"token": {token.(string)}}
	for i := 0; i+1 < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
	}
	return f
}

// active asks about a token as web.
func (w *world) active(t *testing.T, token any) bool {
	t.Helper()
	a := w.postForm("/introspect", ofToken(token), "web", webSecret)
	require.Equal(t, http.StatusOK, a.status, a.body)
	active, ok := a.json(t)["active"].(bool)
	require.True(t, ok, a.body)
	return active
}

// alive checks that a token response of web is as good as ever.
func (w *world) alive(t *testing.T, tokens map[string]any) {
	t.Helper()
	require.True(t, w.active(t, tokens["access_token"]))
	w.rotated(t, tokens)
}

// revoked checks that a is what a client is told whose token is no good any more.
func revoked(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	uncached(t, a)
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// withIDTokens makes the server an OpenID Provider, whose clients may ask for openid.
func withIDTokens(t *testing.T) func(*authwright.Config) {
	t.Helper()
	key, err := rsaKey()
	require.NoError(t, err)
	return func(cfg *authwright.Config) {
		cfg.OpenID = &authwright.OpenID{UserInfo: func(_ context.Context, subject string) (map[string]any, error) {
			return map[string]any{"email": subject + "@users.example"}, nil
		}}
		cfg.SigningKeys = append(cfg.SigningKeys, authwright.SigningKey{Signer: key})
		memory := cfg.Storage.(*authwright.Memory)
		for _, id := range []string{"web", "other"} {
			c, err := memory.Client(t.Context(), id)
			require.NoError(t, err)
			c.Scopes = append(c.Scopes, "openid", "email")
			require.NoError(t, memory.UpdateClient(t.Context(), c))
		}
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, kind := range []string{"refresh_token", "access_token"} {
		t.Run("RV-01 a token of the kind "+kind, func(t *testing.T) {
			tokens := w.tokens()
			revoked(t, w.postForm("/revoke", ofToken(tokens[kind]), "web", webSecret))
			w.dead(t, tokens)
		})
		for _, hint := range []string{"refresh_token", "access_token", "id_token", "x", "", "Refresh_Token"} {
			t.Run("RV-04 "+kind+" with the hint "+hint, func(t *testing.T) {
				tokens := w.tokens()
				revoked(t, w.postForm("/revoke", ofToken(tokens[kind], "token_type_hint", hint), "web", webSecret))
				w.dead(t, tokens)
			})
		}
	}
	tokens := w.tokens()
	refresh := refreshTokenOf(tokens)
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
		t.Run("RV-01 "+method+" is not allowed", func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), method, w.issuer+"/revoke?"+ofToken(refresh).Encode(), nil)
			require.NoError(t, err)
			r.SetBasicAuth("web", webSecret)
			a := w.do(http.DefaultClient, r)
			require.Equal(t, http.StatusMethodNotAllowed, a.status)
			require.Equal(t, "POST", a.header.Get("Allow"))
		})
	}
	for _, test := range []struct{ name, query, contentType, body string }{
		{"RV-01 no token", "", "application/x-www-form-urlencoded", "token_type_hint=refresh_token"},
		{"RV-01 an empty token", "", "application/x-www-form-urlencoded", "token="},
		{"RV-01 two tokens", "", "application/x-www-form-urlencoded", "token=x&" + ofToken(refresh).Encode()},
		{"RV-01 a token in the URL", "?" + ofToken(refresh).Encode(), "application/x-www-form-urlencoded", ""},
		{"RV-01 JSON", "", "application/json", `{"token":"` + refresh + `"}`},
		{"RV-01 no content type", "", "", ofToken(refresh).Encode()},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.issuer+"/revoke"+test.query, strings.NewReader(test.body))
			require.NoError(t, err)
			r.SetBasicAuth("web", webSecret)
			r.Header.Set("Content-Type", test.contentType)
			refused(t, w.do(http.DefaultClient, r), "invalid_request")
		})
	}
	t.Run("RV-01 a request that is refused revokes nothing", func(t *testing.T) { w.alive(t, tokens) })
}

func TestRevokeWhose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := w.tokens()
	for _, kind := range []string{"refresh_token", "access_token"} {
		for _, test := range []struct {
			name string
			f    url.Values
			auth []string
			code string
		}{
			{"RV-02 nobody in particular revokes ", ofToken(tokens[kind]), nil, "invalid_client"},
			{"RV-02 a confidential client by its name alone revokes ", ofToken(tokens[kind], "client_id", "web"), nil, "invalid_client"},
			{"RV-02 a wrong secret revokes ", ofToken(tokens[kind]), []string{"web", "wrong"}, "invalid_client"},
			{"RV-02 another client's secret revokes ", ofToken(tokens[kind]), []string{"web", otherSecret}, "invalid_client"},
			{"RV-02 another client revokes ", ofToken(tokens[kind]), []string{"other", otherSecret}, "unauthorized_client"},
			{"RV-02 a public client revokes another's ", ofToken(tokens[kind], "client_id", "spa"), nil, "unauthorized_client"},
		} {
			t.Run(test.name+kind, func(t *testing.T) {
				refused(t, w.postForm("/revoke", test.f, test.auth...), test.code)
				require.True(t, w.active(t, tokens[kind]))
			})
		}
		t.Run("RV-02 a public client revokes its own "+kind, func(t *testing.T) {
			mine := w.token(spaForm(w.code(spaRequest()))).json(t)
			refused(t, w.postForm("/revoke", ofToken(mine[kind], "client_id", "cli")), "unauthorized_client")
			mine = w.token(refreshForm(refreshTokenOf(mine), "client_id", "spa")).json(t)
			revoked(t, w.postForm("/revoke", ofToken(mine[kind], "client_id", "spa")))
			refused(t, w.token(refreshForm(refreshTokenOf(mine), "client_id", "spa")), "invalid_grant")
			require.Equal(t, authwright.StageRevoked, w.stage(grantID(t, mine["access_token"])))
		})
	}
	t.Run("RV-02 what was refused is as good as ever", func(t *testing.T) { w.alive(t, tokens) })
	t.Run("RV-02 the client may authenticate in the form", func(t *testing.T) {
		tokens := w.tokens()
		revoked(t, w.postForm("/revoke", ofToken(tokens["refresh_token"], "client_id", "web", "client_secret", webSecret)))
		w.dead(t, tokens)
	})
}

func TestRevokeUseless(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withIDTokens(t))
	before, dead, elsewhere := w.tokens(), w.tokens(), newWorld(t).tokens()
	w.advance(10 * time.Minute)
	revoked(t, w.postForm("/revoke", ofToken(dead["refresh_token"]), "web", webSecret))
	x := strings.Split(before["access_token"].(string), ".")
	for _, test := range []struct {
		name  string
		token any
	}{
		{"RV-03 what is no token", "x"},
		{"RV-03 what looks like a refresh token", strings.Repeat("A", 64)},
		{"RV-03 what looks like an access token", "a.b.c"},
		{"RV-03 a JWT without a signature", x[0] + "." + x[1] + "."},
		{"RV-03 another server's refresh token", elsewhere["refresh_token"]},
		{"RV-03 another server's access token", elsewhere["access_token"]},
		{"RV-03 a refresh token that was revoked", dead["refresh_token"]},
		{"RV-03 an access token that was revoked", dead["access_token"]},
		{"RV-03 an access token that has expired", before["access_token"]},
	} {
		t.Run(test.name, func(t *testing.T) {
			revoked(t, w.postForm("/revoke", ofToken(test.token), "web", webSecret))
		})
	}
	t.Run("RV-03 a refresh token that has expired, and is forgotten", func(t *testing.T) {
		w := newWorld(t)
		tokens := w.tokens()
		w.advance(91 * 24 * time.Hour)
		revoked(t, w.postForm("/revoke", ofToken(tokens["refresh_token"]), "web", webSecret))
		w.advance(91 * 24 * time.Hour)
		_, err := w.store.DeleteExpired(t.Context(), w.now(), 0)
		require.NoError(t, err)
		revoked(t, w.postForm("/revoke", ofToken(tokens["refresh_token"]), "web", webSecret))
		revoked(t, w.postForm("/revoke", ofToken(tokens["access_token"]), "web", webSecret))
	})
	t.Run("RV-03 none of this revokes anything", func(t *testing.T) { w.rotated(t, before) })

	t.Run("RV-06 an ID token cannot be revoked", func(t *testing.T) {
		tokens := w.tokens("scope", "read openid")
		require.NotEmpty(t, tokens["id_token"])
		refused(t, w.postForm("/revoke", ofToken(tokens["id_token"]), "web", webSecret), "unsupported_token_type")
		w.alive(t, tokens)
	})
	t.Run("RV-06 a code cannot be revoked", func(t *testing.T) {
		code := w.code(request())
		refused(t, w.postForm("/revoke", ofToken(code), "web", webSecret), "unsupported_token_type")
		tokens := w.token(codeForm(code), "web", webSecret).json(t)
		refused(t, w.postForm("/revoke", ofToken(code), "web", webSecret), "unsupported_token_type")
		w.alive(t, tokens)
	})
}

func TestRevokeReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withIDTokens(t))
	userInfo := func(token any) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/userinfo", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token.(string))
		return w.do(http.DefaultClient, r)
	}
	for _, kind := range []string{"refresh_token", "access_token"} {
		bystander := w.tokens("scope", "read openid")
		first := w.tokens("scope", "read openid")
		second := w.rotated(t, first)
		third := w.rotated(t, second, "scope", "openid")
		for _, tokens := range []map[string]any{first, second, third} {
			require.Equal(t, http.StatusOK, userInfo(tokens["access_token"]).status)
		}
		revoked(t, w.postForm("/revoke", ofToken(third[kind]), "web", webSecret))
		// Look before a spent token is presented, which would revoke by itself.
		t.Run("RV-05 with the "+kind+" goes every token of the grant", func(t *testing.T) {
			require.Equal(t, authwright.StageRevoked, w.stage(grantID(t, first["access_token"])))
			for _, tokens := range []map[string]any{first, second, third} {
				require.False(t, w.active(t, tokens["access_token"]))
			}
		})
		t.Run("RV-08 after the "+kind+" no JWT of the grant is good for userinfo", func(t *testing.T) {
			for _, tokens := range []map[string]any{first, second, third} {
				require.Equal(t, http.StatusUnauthorized, userInfo(tokens["access_token"]).status)
			}
		})
		t.Run("RV-05 after the "+kind+" no refresh token of the grant is good", func(t *testing.T) {
			for _, tokens := range []map[string]any{third, second, first} {
				refused(t, w.token(refreshForm(refreshTokenOf(tokens)), "web", webSecret), "invalid_grant")
			}
		})
		t.Run("RV-05 with the "+kind+" goes no other grant", func(t *testing.T) { w.alive(t, bystander) })
	}
	t.Run("RV-05 a refresh token that was spent before revokes as well", func(t *testing.T) {
		first := w.tokens()
		second := w.rotated(t, first)
		revoked(t, w.postForm("/revoke", ofToken(first["refresh_token"]), "web", webSecret))
		w.dead(t, second)
	})
	t.Run("RV-08 a JWT of client credentials is revocable", func(t *testing.T) {
		w.changeClient("web", func(c *authwright.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
		token := w.token(url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, "web", webSecret).json(t)["access_token"]
		require.True(t, w.active(t, token))
		revoked(t, w.postForm("/revoke", ofToken(token), "web", webSecret))
		require.False(t, w.active(t, token))
	})
}

func TestRevokeOutage(t *testing.T) {
	t.Parallel()
	var broken atomic.Value
	broken.Store("")
	fail := func(place string) error {
		if broken.Load() == place {
			return errors.New("dial tcp db.internal:5432: connection refused")
		}
		return nil
	}
	between := &interference{
		afterClient: func(context.Context, *authwright.Client) error { return fail("client") },
		afterGrant:  func(context.Context, *authwright.Grant) error { return fail("grant") },
		beforeSave:  func(context.Context, *authwright.Grant) error { return fail("save") },
	}
	w := newWorld(t, between.install)
	for _, place := range []string{"client", "grant", "save"} {
		for _, kind := range []string{"refresh_token", "access_token"} {
			t.Run("RV-07 a storage that fails at the "+place+" leaves the "+kind, func(t *testing.T) {
				tokens := w.tokens()
				broken.Store(place)
				a := w.postForm("/revoke", ofToken(tokens[kind]), "web", webSecret)
				broken.Store("")
				require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
				require.NotContains(t, a.body, "db.internal")
				if place != "client" {
					require.NotEmpty(t, a.header.Get("Retry-After"))
				}
				w.alive(t, tokens)
			})
		}
	}
	t.Run("RV-07 a caller who must wait is told how long", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) {
			cfg.Limit = func(r *http.Request, _ string) time.Duration {
				if strings.HasSuffix(r.URL.Path, "/revoke") {
					return 1500 * time.Millisecond
				}
				return 0
			}
		})
		tokens := w.tokens()
		a := w.postForm("/revoke", ofToken(tokens["refresh_token"]), "web", webSecret)
		require.Contains(t, []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}, a.status)
		require.Equal(t, "2", a.header.Get("Retry-After"))
		w.alive(t, tokens)
	})
}

func TestRevokeEverywhere(t *testing.T) {
	t.Parallel()
	between := new(interference)
	w := newWorld(t, between.install)
	replica := between.replica(w)
	t.Run("RV-09 another replica knows at once", func(t *testing.T) {
		tokens := w.tokens()
		require.True(t, replica.active(t, tokens["access_token"]))
		revoked(t, w.postForm("/revoke", ofToken(tokens["refresh_token"]), "web", webSecret))
		require.False(t, replica.active(t, tokens["access_token"]))
		refused(t, replica.token(refreshForm(refreshTokenOf(tokens)), "web", webSecret), "invalid_grant")
	})
	for _, test := range []struct {
		name  string
		spent bool // the refresh is one that is repeated within the grace
	}{{"RV-09 revocation beats a refresh in flight on another replica", false}, {"RV-09 revocation beats a refresh that is repeated", true}} {
		t.Run(test.name, func(t *testing.T) {
			first := w.tokens()
			if test.spent {
				w.rotated(t, first)
			}
			// The refresh has seen the grant alive when the revocation comes.
			var begun atomic.Bool
			var revocation answer
			between.afterGrant = func(context.Context, *authwright.Grant) error {
				if begun.CompareAndSwap(false, true) {
					revocation = w.postForm("/revoke", ofToken(first["access_token"]), "web", webSecret)
				}
				return nil
			}
			a := replica.token(refreshForm(refreshTokenOf(first)), "web", webSecret)
			between.afterGrant = nil
			revoked(t, revocation)
			refused(t, a, "invalid_grant")
			w.dead(t, first)
		})
	}
}
