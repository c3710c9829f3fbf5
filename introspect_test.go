package authwright_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// inactive checks that a says nothing about a token.
func inactive(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, `{"active":false}`, a.body)
	uncached(t, a)
}

// described returns what a caller is told of a token that is good.
func described(t *testing.T, a answer) map[string]any {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	uncached(t, a)
	v := a.json(t)
	require.Equal(t, true, v["active"], a.body)
	return v
}

// signJWT signs payload, a JSON object, with headers of a test's choice.
func signJWT(t *testing.T, alg jose.SignatureAlgorithm, key any, header map[string]any, payload string) string {
	t.Helper()
	opts := new(jose.SignerOptions)
	for name, v := range header {
		if name == "b64" {
			opts.WithBase64(v.(bool))
		} else {
			opts.WithHeader(jose.HeaderKey(name), v)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	require.NoError(t, err)
	jws, err := signer.Sign([]byte(payload))
	require.NoError(t, err)
	text, err := jws.CompactSerialize()
	require.NoError(t, err)
	return text
}

// marshal is v as JSON.
func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func TestIntrospectCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enroll(&authwright.Client{ID: "app", Native: true, Secrets: []authwright.ClientSecret{stored("shipped")}, RedirectURIs: []string{"com.example.app:/cb"}})
	w.enroll(&authwright.Client{ID: "disabled", Disabled: true, Secrets: []authwright.ClientSecret{stored("s")}, RedirectURIs: []string{"https://x.example/cb"}})
	tokens := w.tokens()
	browsers := w.token(spaForm(w.code(spaRequest()))).json(t)

	for _, test := range []struct {
		name string
		f    url.Values
		auth []string
	}{
		{"IN-01 nobody in particular", ofToken(tokens["access_token"]), nil},
		{"IN-01 a confidential client by its name alone", ofToken(tokens["access_token"], "client_id", "web"), nil},
		{"IN-01 a public client asks about its own token", ofToken(browsers["access_token"], "client_id", "spa"), nil},
		{"IN-01 a native client, whose secret everybody has", ofToken("x"), []string{"app", "shipped"}},
		{"IN-01 a client that was disabled", ofToken("x"), []string{"disabled", "s"}},
		{"IN-04 a wrong secret", ofToken(tokens["access_token"]), []string{"web", "wrong"}},
		{"IN-04 a client that does not exist", ofToken(tokens["access_token"]), []string{"nobody", "x"}},
		{"IN-04 a wrong secret in the form", ofToken(tokens["access_token"], "client_id", "web", "client_secret", "wrong"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.postForm("/introspect", test.f, test.auth...)
			refused(t, a, "invalid_client")
			require.NotContains(t, a.body, "active")
			uncached(t, a)
			if test.auth != nil {
				require.Regexp(t, `^Basic realm="[^"]+"`, a.header.Get("WWW-Authenticate"))
			}
		})
	}
	t.Run("IN-01 the client authenticates in the header", func(t *testing.T) {
		described(t, w.postForm("/introspect", ofToken(tokens["access_token"]), "web", webSecret))
	})
	t.Run("IN-01 the client authenticates in the form", func(t *testing.T) {
		described(t, w.postForm("/introspect", ofToken(tokens["access_token"], "client_id", "web", "client_secret", webSecret)))
	})
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
		t.Run("IN-01 "+method+" is not allowed", func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), method, w.issuer+"/introspect?"+ofToken(tokens["access_token"]).Encode(), nil)
			require.NoError(t, err)
			r.SetBasicAuth("web", webSecret)
			a := w.do(http.DefaultClient, r)
			require.Equal(t, http.StatusMethodNotAllowed, a.status)
			require.Equal(t, "POST", a.header.Get("Allow"))
		})
	}
	t.Run("IN-01 token is required", func(t *testing.T) {
		refused(t, w.postForm("/introspect", url.Values{}, "web", webSecret), "invalid_request")
		refused(t, w.postForm("/introspect", url.Values{"token": {"x", "y"}}, "web", webSecret), "invalid_request")
		refused(t, w.postForm("/introspect?token=x", url.Values{}, "web", webSecret), "invalid_request")
	})
	t.Run("IN-08 whoever guesses has to wait", func(t *testing.T) {
		var asked []string
		w := newWorld(t, func(cfg *authwright.Config) {
			cfg.Limit = func(r *http.Request, clientID string) time.Duration {
				asked = append(asked, r.URL.Path+" "+clientID)
				return time.Minute
			}
		})
		a := w.postForm("/introspect", ofToken("x"), "web", webSecret)
		require.Equal(t, http.StatusTooManyRequests, a.status)
		require.Equal(t, "60", a.header.Get("Retry-After"))
		require.Equal(t, []string{"/introspect web"}, asked)
		uncached(t, a)
	})
}

func TestIntrospectInactive(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	w := newWorld(t, signedBy(key, ""), withIDTokens(t))
	w.advance(-91 * 24 * time.Hour)
	expired := w.tokens()
	w.advance(91 * 24 * time.Hour)
	used := w.tokens("scope", "read openid")
	live := w.rotated(t, used)
	dead := w.tokens()
	require.NoError(t, w.srv.RevokeGrant(t.Context(), grantID(t, dead["access_token"])))
	browsers := w.token(spaForm(w.code(spaRequest()))).json(t)
	code := w.code(request())
	elsewhere := newWorld(t).tokens()

	text := live["access_token"].(string)
	header := segment(t, text, 0)
	forge := func(alg jose.SignatureAlgorithm, key any, change map[string]any, without ...string) string {
		h, p := map[string]any{"typ": header["typ"], "kid": header["kid"]}, claims(t, text)
		for name, v := range change {
			if _, ok := p[name]; ok {
				p[name] = v
			} else {
				h[name] = v
			}
		}
		for _, name := range without {
			delete(p, name)
		}
		return signJWT(t, alg, key, h, marshal(t, p))
	}
	require.True(t, w.active(t, forge(jose.ES256, key, nil)), "a forgery by the server's own key is none")
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	parts := strings.Split(text, ".")
	for _, test := range []struct {
		name  string
		token any
	}{
		{"IN-02 what is no token", "x"},
		{"IN-02 what looks like a refresh token", strings.Repeat("A", 64)},
		{"IN-02 a refresh token that has expired", expired["refresh_token"]},
		{"IN-02 an access token that has expired", expired["access_token"]},
		{"IN-02 a refresh token that was revoked", dead["refresh_token"]},
		{"IN-02 an access token that was revoked", dead["access_token"]},
		{"IN-02 a refresh token that was used", used["refresh_token"]},
		{"IN-02 another client's refresh token", browsers["refresh_token"]},
		{"IN-02 another client's access token", browsers["access_token"]},
		{"IN-02 another server's refresh token", elsewhere["refresh_token"]},
		{"IN-02 another server's access token", elsewhere["access_token"]},
		{"IN-02 a code", code},
		{"IN-02 an ID token", used["id_token"]},
		{"IN-02 an access token without its signature", parts[0] + "." + parts[1] + "."},
		{"IN-02 an access token with another's payload", parts[0] + "." + strings.Split(used["access_token"].(string), ".")[1] + "." + parts[2]},
		{"IN-02 an access token of another type", forge(jose.ES256, key, map[string]any{"typ": "JWT"})},
		{"IN-02 an access token of another issuer", forge(jose.ES256, key, map[string]any{"iss": "https://other.example"})},
		{"IN-02 an access token without a grant", forge(jose.ES256, key, nil, "grant_id")},
		{"IN-02 an access token without an end", forge(jose.ES256, key, nil, "exp")},
		{"IN-02 an access token whose end is text", forge(jose.ES256, key, map[string]any{"exp": "2099-01-01"})},
		{"IN-02 an access token of an unknown key", forge(jose.ES256, newKey(t), map[string]any{"kid": "x"})},
		{"IN-02 an access token of another key", forge(jose.ES256, newKey(t), nil)},
		{"IN-02 an access token with the public key for a secret", forge(jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil)},
		{"IN-02 an access token with a critical extension", forge(jose.ES256, key, map[string]any{"crit": []string{"x"}, "x": true})},
		{"IN-02 an access token that is not base64", forge(jose.ES256, key, map[string]any{"b64": false})},
		{"IN-02 dots without end", strings.Repeat("a.", 10_000)},
	} {
		t.Run(test.name, func(t *testing.T) {
			inactive(t, w.postForm("/introspect", ofToken(test.token), "web", webSecret))
		})
	}
	t.Run("IN-02 tokens of a client that may not refresh any more", func(t *testing.T) {
		w.changeClient("web", func(c *authwright.Client) { c.GrantTypes = []string{"authorization_code"} })
		defer w.changeClient("web", func(c *authwright.Client) { c.GrantTypes = nil })
		inactive(t, w.postForm("/introspect", ofToken(live["refresh_token"]), "web", webSecret))
	})
	t.Run("IN-02 tokens of a client that is gone", func(t *testing.T) {
		w.changeClient("other", func(c *authwright.Client) { c.Serves = []string{w.issuer} })
		described(t, w.postForm("/introspect", ofToken(text), "other", otherSecret))
		w.changeClient("web", func(c *authwright.Client) { c.Disabled = true })
		inactive(t, w.postForm("/introspect", ofToken(text), "other", otherSecret))
		w.changeClient("web", func(c *authwright.Client) { c.Disabled = false })
		require.NoError(t, w.store.DeleteClient(t.Context(), "web"))
		inactive(t, w.postForm("/introspect", ofToken(text), "other", otherSecret))
	})
}

func TestIntrospectActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *authwright.Config) {
		cfg.Claims = func(context.Context, *authwright.Grant) (map[string]any, error) {
			return map[string]any{"account": uint64(9007199254740993)}, nil
		}
	})
	w.changeClient("web", func(c *authwright.Client) {
		c.GrantTypes = []string{"authorization_code", "refresh_token", "client_credentials"}
	})
	tokens := w.tokens()
	t.Run("IN-03 an access token", func(t *testing.T) {
		a := w.postForm("/introspect", ofToken(tokens["access_token"]), "web", webSecret)
		got, want := described(t, a), claims(t, tokens["access_token"])
		for name, v := range map[string]any{"scope": "read write", "client_id": "web", "sub": "alice", "iss": w.issuer, "token_type": "Bearer"} {
			require.Equal(t, v, got[name], name)
		}
		for _, name := range []string{"exp", "iat", "aud", "jti"} {
			require.NotEmpty(t, got[name], name)
			require.Equal(t, want[name], got[name], name)
		}
		require.IsType(t, 0.0, got["exp"])
		require.Contains(t, a.body, `"account":9007199254740993`, "digit by digit")
	})
	t.Run("IN-03 a refresh token", func(t *testing.T) {
		got := described(t, w.postForm("/introspect", ofToken(tokens["refresh_token"]), "web", webSecret))
		require.Equal(t, map[string]any{
			"active": true, "scope": "read write", "client_id": "web", "sub": "alice", "iss": w.issuer,
			"iat": float64(w.now().Unix()), "exp": float64(w.now().Add(14 * 24 * time.Hour).Unix()),
		}, got, "and nothing that makes it an access token")
	})
	for kind, resp := range w.everyResponse() {
		t.Run("IN-06 the JWT of a response of the kind "+kind, func(t *testing.T) {
			got := described(t, w.postForm("/introspect", ofToken(resp["access_token"]), "web", webSecret))
			require.Equal(t, claims(t, resp["access_token"])["jti"], got["jti"])
		})
	}
	t.Run("IN-06 the JWT of a client that acts for itself", func(t *testing.T) {
		token := w.token(url.Values{"grant_type": {"client_credentials"}}, "web", webSecret).json(t)["access_token"]
		got := described(t, w.postForm("/introspect", ofToken(token), "web", webSecret))
		require.Equal(t, "web", got["sub"])
	})
	for _, kind := range []string{"refresh_token", "access_token"} {
		for _, hint := range []string{"refresh_token", "access_token", "x", "", "Access_Token"} {
			t.Run("IN-07 "+kind+" with the hint "+hint, func(t *testing.T) {
				described(t, w.postForm("/introspect", ofToken(tokens[kind], "token_type_hint", hint), "web", webSecret))
			})
		}
	}
	t.Run("IN-11 no answer is cached", func(t *testing.T) {
		for _, a := range []answer{
			w.postForm("/introspect", ofToken(tokens["access_token"]), "web", webSecret),
			w.postForm("/introspect", ofToken(tokens["refresh_token"]), "web", webSecret),
			w.postForm("/introspect", ofToken("x"), "web", webSecret),
			w.postForm("/introspect", url.Values{}, "web", webSecret),
			w.postForm("/introspect", ofToken("x"), "web", "wrong"),
		} {
			require.Equal(t, "no-store", a.header.Get("Cache-Control"), a.body)
			require.Equal(t, "application/json", a.header.Get("Content-Type"))
		}
	})
}

func TestIntrospectAudience(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notesAndFiles)
	server := func(id string, serves ...string) {
		w.enroll(&authwright.Client{ID: id, Secrets: []authwright.ClientSecret{stored("s")}, GrantTypes: []string{}, Serves: serves})
	}
	server("notes", "https://notes.example/")
	server("files", "https://files.example/api")
	server("both", "https://files.example/api", "https://notes.example/")
	server("none")
	tokens := w.tokens("resource", "https://notes.example/", "scope", "read")
	for _, test := range []struct {
		name, caller string
		active       bool
	}{
		{"IN-05 the resource that the token is for", "notes", true},
		{"IN-05 who serves that resource and another", "both", true},
		{"IN-05 another resource", "files", false},
		{"IN-05 a caller that is no resource", "none", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.postForm("/introspect", ofToken(tokens["access_token"]), test.caller, "s")
			if test.active {
				require.Equal(t, "https://notes.example/", described(t, a)["aud"])
			} else {
				inactive(t, a)
			}
			inactive(t, w.postForm("/introspect", ofToken(tokens["refresh_token"]), test.caller, "s"))
		})
	}
	t.Run("IN-05 the client that has the token", func(t *testing.T) {
		described(t, w.postForm("/introspect", ofToken(tokens["access_token"]), "web", webSecret))
	})
	t.Run("IN-05 another client", func(t *testing.T) {
		inactive(t, w.postForm("/introspect", ofToken(tokens["access_token"]), "other", otherSecret))
	})
}
