package authwright_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// refreshed refreshes as web and returns the token response.
func (w *world) refreshed(token any, changes ...string) map[string]any {
	w.t.Helper()
	a := w.token(refreshForm(token.(string), changes...), "web", webSecret)
	require.Equal(w.t, http.StatusOK, a.status, a.body)
	return a.json(w.t)
}

// everyResponse returns a token response of every kind the server gives for one grant.
func (w *world) everyResponse(changes ...string) map[string]map[string]any {
	w.t.Helper()
	first := w.tokens(changes...)
	w.advance(time.Minute)
	second := w.refreshed(first["refresh_token"])
	return map[string]map[string]any{
		"code":     first,
		"refresh":  second,
		"retry":    w.refreshed(first["refresh_token"]),
		"narrowed": w.refreshed(second["refresh_token"], "scope", "read"),
	}
}

// keySet fetches the published keys.
func (w *world) keySet() jose.JSONWebKeySet {
	w.t.Helper()
	var set jose.JSONWebKeySet
	require.NoError(w.t, json.Unmarshal([]byte(w.get("/jwks").body), &set))
	return set
}

// get fetches a path below the issuer, as a client that has no cookies.
func (w *world) get(path string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.issuer+path, nil)
	require.NoError(w.t, err)
	return w.do(http.DefaultClient, r)
}

// verified checks the signature of a JWT against the published keys, by its kid, and
// returns its claims with their numbers as they were written.
func (w *world) verified(token any) map[string]any {
	w.t.Helper()
	payload, err := verify(w.keySet(), token.(string))
	require.NoError(w.t, err)
	d := json.NewDecoder(strings.NewReader(string(payload)))
	d.UseNumber()
	var v map[string]any
	require.NoError(w.t, d.Decode(&v))
	return v
}

func verify(set jose.JSONWebKeySet, token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256, jose.PS256})
	if err != nil {
		return nil, err
	}
	return jws.Verify(set)
}

func signedBy(signer crypto.Signer, algorithm string) func(*authwright.Config) {
	return func(c *authwright.Config) {
		c.SigningKeys = []authwright.SigningKey{{Signer: signer, Algorithm: algorithm}}
	}
}

func TestAccessTokenHeader(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, tc := range []struct {
		name, algorithm, want string
		key                   crypto.Signer
	}{
		{"AT-02 an ECDSA key signs ES256", "", "ES256", newKey(t)},
		{"AT-02 an Ed25519 key signs EdDSA", "", "EdDSA", edKey},
		{"AT-03 an RSA key signs RS256", "", "RS256", rsaKey},
		{"AT-03 RS256 by its name", "RS256", "RS256", rsaKey},
		{"AT-02 an RSA key signs PS256", "PS256", "PS256", rsaKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, signedBy(tc.key, tc.algorithm))
			for kind, resp := range w.everyResponse() {
				require.Equal(t, tc.want, segment(t, resp["access_token"], 0)["alg"], kind)
				w.verified(resp["access_token"])
			}
		})
	}
	w := newWorld(t)
	responses := w.everyResponse()
	t.Run("AT-01 typ is at+jwt", func(t *testing.T) {
		for kind, resp := range responses {
			require.Equal(t, "at+jwt", segment(t, resp["access_token"], 0)["typ"], kind)
		}
	})
	t.Run("AT-17 kid names a published key", func(t *testing.T) {
		set := w.keySet()
		for kind, resp := range responses {
			kid, _ := segment(t, resp["access_token"], 0)["kid"].(string)
			require.NotEmpty(t, kid, kind)
			require.Len(t, set.Key(kid), 1, kind)
		}
	})
	t.Run("AT-02 a changed claim breaks the signature", func(t *testing.T) {
		a, b := w.tokens(), w.tokens("scope", "read")
		x, y := strings.Split(a["access_token"].(string), "."), strings.Split(b["access_token"].(string), ".")
		_, err := verify(w.keySet(), strings.Join(x, "."))
		require.NoError(t, err)
		_, err = verify(w.keySet(), x[0]+"."+y[1]+"."+x[2])
		require.ErrorIs(t, err, jose.ErrCryptoFailure)
	})
	t.Run("AT-02 none is no algorithm to sign with", func(t *testing.T) {
		for _, algorithm := range []string{"none", "None", "HS256", "ES384", "RS256"} {
			cfg := minimal(t)
			signedBy(newKey(t), algorithm)(&cfg)
			_, err := authwright.NewServer(cfg)
			require.ErrorContains(t, err, "SigningKeys", algorithm)
		}
	})
}

// minimal is a Config of a server that nobody connects to.
func minimal(t *testing.T) authwright.Config {
	t.Helper()
	store, err := authwright.NewMemory(clients()...)
	require.NoError(t, err)
	return authwright.Config{
		Issuer:  "https://auth.example",
		Storage: store,
		Authenticator: authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) {
			return &authwright.User{Subject: "alice"}, nil
		}),
		SigningKeys: []authwright.SigningKey{{Signer: newKey(t)}},
		Logger:      slog.New(slog.DiscardHandler),
	}
}

func TestAccessTokenClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authwright.Config) { c.Issuer += "/tenants/one" })
	responses := w.everyResponse()
	for _, tc := range []struct {
		name, claim string
		want        any // nil: anything but empty
	}{
		{"AT-04 iss is there", "iss", nil},
		{"AT-04 exp is there", "exp", nil},
		{"AT-04 aud is there", "aud", nil},
		{"AT-04 sub is there", "sub", nil},
		{"AT-04 client_id is the client", "client_id", "web"},
		{"AT-04 iat is there", "iat", nil},
		{"AT-04 jti is there", "jti", nil},
		{"AT-05 iss is the issuer, path and all", "iss", w.issuer},
		{"AT-09 sub is the user", "sub", "alice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for kind, resp := range responses {
				got := claims(t, resp["access_token"])[tc.claim]
				require.NotEmpty(t, got, kind)
				if tc.want != nil {
					require.Equal(t, tc.want, got, kind)
				}
			}
		})
	}
	t.Run("AT-05 iss is what the metadata says", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.ts.URL+"/.well-known/oauth-authorization-server/tenants/one", nil)
		require.NoError(t, err)
		issuer := w.do(http.DefaultClient, r).json(t)["issuer"]
		for kind, resp := range responses {
			require.Equal(t, issuer, claims(t, resp["access_token"])["iss"], kind)
		}
	})
	t.Run("AT-07 scope is one string", func(t *testing.T) {
		for kind, resp := range responses {
			want := "read write"
			if kind == "narrowed" {
				want = "read"
			}
			require.Equal(t, want, claims(t, resp["access_token"])["scope"], kind)
			require.Equal(t, want, resp["scope"], kind)
		}
	})
	t.Run("AT-07 a default scope is there as well", func(t *testing.T) {
		b := w.signedIn("alice")
		code := b.decide(b.authorize(request("scope", "", "prompt", "consent")), "approve", "read").location(t).Get("code")
		require.Equal(t, "read", claims(t, w.token(codeForm(code), "web", webSecret).json(t)["access_token"])["scope"])
	})
	t.Run("AT-12 jti is unique", func(t *testing.T) {
		seen := map[any]bool{}
		for kind, resp := range responses {
			seen[claims(t, resp["access_token"])["jti"]] = true
			require.NotEqual(t, claims(t, resp["access_token"])["grant_id"], claims(t, resp["access_token"])["jti"], kind)
		}
		require.Len(t, seen, len(responses))
	})
	w.enroll(&authwright.Client{
		ID: "machine", Secrets: []authwright.ClientSecret{stored(otherSecret)}, RedirectURIs: []string{"https://web.example/cb"},
		Scopes: []string{"read"}, DefaultScopes: []string{"read"}, GrantTypes: []string{"client_credentials", "authorization_code"},
	})
	t.Run("AT-09 sub is the client that acts for itself", func(t *testing.T) {
		c := claims(t, w.token(url.Values{"grant_type": {"client_credentials"}}, "machine", otherSecret).json(t)["access_token"])
		require.Equal(t, "machine", c["sub"])
		require.Equal(t, "machine", c["client_id"])
	})
	t.Run("AT-09 nobody else is called like the client", func(t *testing.T) {
		redirected(t, w.signedIn("machine").authorize(request("client_id", "machine", "scope", "read")), "server_error")
		c := claims(t, w.token(codeForm(w.codeOf("machine", request())), "web", webSecret).json(t)["access_token"])
		require.Equal(t, "machine", c["sub"], "a user who is called like another client")
		require.NotEqual(t, c["sub"], c["client_id"])
	})
}

// codeOf is like code, for another user than alice.
func (w *world) codeOf(user string, q url.Values) string {
	w.t.Helper()
	b := w.signedIn(user)
	return b.decide(b.authorize(q), "approve", "read").location(w.t).Get("code")
}

func TestAccessTokenPrivacy(t *testing.T) {
	t.Parallel()
	user := func(c *authwright.Config) {
		c.Authenticator = authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) {
			return &authwright.User{Subject: "u-1", Name: "Alice Liddell", AuthTime: c.Now()}, nil
		})
	}
	t.Run("AT-13 nothing but the protocol's claims by default", func(t *testing.T) {
		t.Parallel()
		want := []string{"aud", "auth_time", "client_id", "exp", "grant_id", "iat", "iss", "jti", "scope", "sub"}
		for kind, resp := range newWorld(t, user).everyResponse() {
			var got []string
			for name, value := range claims(t, resp["access_token"]) {
				got = append(got, name)
				require.NotContains(t, fmt.Sprint(value), "Liddell", kind)
			}
			require.ElementsMatch(t, want, got, kind)
		}
	})
	t.Run("AT-13 what the host adds is the host's decision", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, user, func(c *authwright.Config) {
			c.Claims = func(_ context.Context, g *authwright.Grant) (map[string]any, error) {
				return map[string]any{"role": "editor of " + g.Subject}, nil
			}
		})
		for kind, resp := range w.everyResponse() {
			require.Equal(t, "editor of u-1", claims(t, resp["access_token"])["role"], kind)
		}
	})
	t.Run("AT-04 the host cannot replace a claim of the protocol", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "cnf", "auth_time"} {
			w := newWorld(t, func(c *authwright.Config) {
				c.Claims = func(context.Context, *authwright.Grant) (map[string]any, error) {
					return map[string]any{name: "forged"}, nil
				}
			})
			a := w.token(codeForm(w.code(request())), "web", webSecret)
			require.Equal(t, http.StatusInternalServerError, a.status, name)
			require.Equal(t, map[string]any{"error": "server_error"}, a.json(t), name)
		}
	})
}

func TestAccessTokenLogin(t *testing.T) {
	t.Parallel()
	var user atomic.Pointer[authwright.User]
	w := newWorld(t, func(c *authwright.Config) {
		c.Authenticator = authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) { return user.Load(), nil })
	})
	user.Store(&authwright.User{Subject: "alice", AuthTime: w.now().Add(-time.Hour), ACR: "gold", AMR: []string{"pwd", "otp"}})
	login := w.now().Add(-time.Hour).Unix()
	code := w.code(request())
	// Meanwhile the user signs in again, in another way.
	user.Store(&authwright.User{Subject: "alice", AuthTime: w.now(), ACR: "bronze", AMR: []string{"pin"}})
	first := w.token(codeForm(code), "web", webSecret).json(t)
	w.advance(time.Hour)
	w.code(request("scope", "read"))
	second := w.refreshed(first["refresh_token"])
	retried := w.refreshed(first["refresh_token"])
	third := w.refreshed(second["refresh_token"], "scope", "read")
	for _, tc := range []struct {
		name, claim string
		want        any
	}{
		{"AT-11 auth_time stays that of the original login", "auth_time", float64(login)},
		{"AT-11 acr stays that of the original login", "acr", "gold"},
		{"AT-11 amr stays that of the original login", "amr", []any{"pwd", "otp"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i, resp := range []map[string]any{first, second, retried, third} {
				require.Equal(t, tc.want, claims(t, resp["access_token"])[tc.claim], i)
			}
		})
	}
	t.Run("AT-11 what is not known is not claimed", func(t *testing.T) {
		user.Store(&authwright.User{Subject: "bob"})
		c := claims(t, w.tokens()["access_token"])
		for _, name := range []string{"auth_time", "acr", "amr"} {
			require.NotContains(t, c, name)
		}
	})
}

func TestAccessTokenLifetime(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*authwright.Config)
		wait   time.Duration
		want   int64
	}{
		{"AT-14 ten minutes by default", func(*authwright.Config) {}, 0, 600},
		{"AT-12 as the host says", func(c *authwright.Config) { c.AccessTokenLifetime = 90 * time.Second }, 0, 90},
		{"AT-12 between two seconds", func(*authwright.Config) {}, 1700 * time.Millisecond, 600},
		{"AT-12 not beyond the end of the grant", func(c *authwright.Config) { c.RefreshTokenMaxLifetime = time.Hour }, 55 * time.Minute, 300},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.change)
			w.advance(300 * time.Millisecond)
			first := w.tokens()
			w.advance(tc.wait)
			last := w.refreshed(first["refresh_token"])
			for _, resp := range []map[string]any{first, last} {
				c := w.verified(resp["access_token"])
				iat, err := c["iat"].(json.Number).Int64()
				require.NoError(t, err)
				exp, err := c["exp"].(json.Number).Int64()
				require.NoError(t, err)
				require.Equal(t, resp["expires_in"], float64(exp-iat))
			}
			require.EqualValues(t, tc.want, last["expires_in"])
			require.EqualValues(t, w.now().Unix(), claims(t, last["access_token"])["iat"])
		})
	}
	t.Run("AT-14 at most a day", func(t *testing.T) {
		t.Parallel()
		cfg := minimal(t)
		cfg.AccessTokenLifetime = 24*time.Hour + time.Second
		_, err := authwright.NewServer(cfg)
		require.ErrorContains(t, err, "AccessTokenLifetime")
	})
}
