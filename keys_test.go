package authwright_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/resource"
)

// oneOfEach are keys of every supported type.
func oneOfEach(t *testing.T) (*ecdsa.PrivateKey, ed25519.PrivateKey, *rsa.PrivateKey) {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return newKey(t), ed, rs
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	ec, ed, rs := oneOfEach(t)
	w := newWorld(t, func(c *authwright.Config) {
		c.SigningKeys = []authwright.SigningKey{{Signer: ec}, {Signer: ed}, {Signer: rs}, {Signer: newKey(t), NotBefore: c.Now().Add(time.Hour)}}
	})
	a := w.get("/jwks")
	require.Equal(t, http.StatusOK, a.status)
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(a.body), &set))
	require.Len(t, set.Keys, 4)

	t.Run("KY-01 public members only", func(t *testing.T) {
		public := map[any][]string{"EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}, "RSA": {"n", "e"}}
		for _, key := range set.Keys {
			for name := range key {
				require.Contains(t, append(public[key["kty"]], "kty", "kid", "use", "alg"), name, key["kty"])
			}
		}
	})
	t.Run("KY-01 no private number in whatever member", func(t *testing.T) {
		scalar, err := ec.Bytes()
		require.NoError(t, err)
		for _, private := range [][]byte{scalar, ed.Seed(), rs.D.Bytes(), rs.Primes[0].Bytes(), rs.Primes[1].Bytes()} {
			require.NotContains(t, a.body, base64.RawURLEncoding.EncodeToString(private))
		}
	})
	t.Run("KY-01 the key set is where the metadata says, over TLS", func(t *testing.T) {
		srv, err := authwright.NewServer(minimal(t))
		require.NoError(t, err)
		rec := httptest.NewRecorder()
		srv.ServeMetadata(rec, httptest.NewRequest(http.MethodGet, "/.well-known/oauth-authorization-server", nil))
		var metadata map[string]any
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &metadata))
		require.Equal(t, "https://auth.example/jwks", metadata["jwks_uri"])
	})
	t.Run("KY-02 every kid names one key", func(t *testing.T) {
		seen := map[any]bool{}
		for _, key := range set.Keys {
			require.NotEmpty(t, key["kid"])
			require.False(t, seen[key["kid"]], key["kid"])
			seen[key["kid"]] = true
		}
	})
	t.Run("KY-02 use and alg are there", func(t *testing.T) {
		want := map[any]string{"EC": "ES256", "OKP": "EdDSA", "RSA": "RS256"}
		for _, key := range set.Keys {
			require.Equal(t, "sig", key["use"])
			require.Equal(t, want[key["kty"]], key["alg"])
		}
	})
	t.Run("KY-02 a key is not there twice", func(t *testing.T) {
		for _, second := range []authwright.SigningKey{{Signer: rs}, {Signer: rs, Algorithm: "PS256"}} {
			cfg := minimal(t)
			cfg.SigningKeys = []authwright.SigningKey{{Signer: rs}, second}
			_, err := authwright.NewServer(cfg)
			require.ErrorContains(t, err, "SigningKeys", second.Algorithm)
		}
	})
	t.Run("KY-06 cacheable, for any origin, of the right type", func(t *testing.T) {
		require.Regexp(t, `max-age=[1-9]`, a.header.Get("Cache-Control"))
		require.NotContains(t, a.header.Get("Cache-Control"), "no-store")
		require.Equal(t, "*", a.header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, []string{"application/json", "application/jwk-set+json"}, a.header.Get("Content-Type"))
	})
	t.Run("KY-06 not sent again to somebody who has it", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/jwks", nil)
		require.NoError(t, err)
		for _, tags := range []string{a.header.Get("Etag"), "W/" + a.header.Get("Etag"), `"other", ` + a.header.Get("Etag")} {
			r.Header.Set("If-None-Match", tags)
			require.Equal(t, http.StatusNotModified, w.do(http.DefaultClient, r).status)
		}
		for _, tags := range []string{`"other"`, "W/", ""} {
			r.Header.Set("If-None-Match", tags)
			require.Equal(t, http.StatusOK, w.do(http.DefaultClient, r).status)
		}
	})
}

// A public is a signer of which only the public half is of interest.
type public struct{ key crypto.PublicKey }

func (p public) Public() crypto.PublicKey                                { return p.key }
func (public) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, io.EOF }

func TestSigningKeyStrength(t *testing.T) {
	t.Parallel()
	n := new(big.Int).Lsh(big.NewInt(1), 2047) // a modulus of 2048 bits
	short := new(big.Int).Rsh(n, 1)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	for _, tc := range []struct {
		name string
		key  crypto.Signer
		ok   bool
	}{
		{"KY-04 RSA of 2048 bits", public{&rsa.PublicKey{N: n, E: 65537}}, true},
		{"KY-04 RSA of 2047 bits", public{&rsa.PublicKey{N: short, E: 65537}}, false},
		{"KY-04 RSA of 1024 bits", public{&rsa.PublicKey{N: new(big.Int).Rsh(n, 1024), E: 65537}}, false},
		{"KY-04 P-256", newKey(t), true},
		{"KY-04 P-224, which no JWS algorithm uses", p224, false},
		{"KY-04 P-384, which ES256 does not go with", p384, false},
		{"KY-04 no key at all", nil, false},
		{"KY-04 a shared secret", public{[]byte("0123456789abcdef0123456789abcdef")}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := minimal(t)
			cfg.SigningKeys = []authwright.SigningKey{{Signer: tc.key}}
			srv, err := authwright.NewServer(cfg)
			if tc.ok {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "SigningKeys")
				return
			}
			// The same holds for a key that comes later; what is there stays.
			before, err := srv.JWKS(t.Context())
			require.NoError(t, err)
			require.Error(t, srv.SetSigningKeys(authwright.SigningKey{Signer: p224}))
			require.Error(t, srv.SetSigningKeys())
			after, err := srv.JWKS(t.Context())
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

// A rotation is watched minute by minute, as resource servers see it that fetch the key
// set every five minutes.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	const cached = 5 * time.Minute
	for _, tc := range []struct {
		name   string
		rotate func(t *testing.T, w *world, old, next crypto.Signer)
	}{
		{"KY-03 a key that is added to a running server", func(t *testing.T, w *world, old, next crypto.Signer) {
			require.NoError(t, w.srv.SetSigningKeys(authwright.SigningKey{Signer: next}, authwright.SigningKey{Signer: old}))
		}},
		{"KY-03 a key with a date to begin", func(t *testing.T, w *world, old, next crypto.Signer) {
			require.NoError(t, w.srv.SetSigningKeys(authwright.SigningKey{Signer: old}, authwright.SigningKey{Signer: next, NotBefore: w.now().Add(12 * time.Minute)}))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			old, next := newKey(t), newKey(t)
			w := newWorld(t, signedBy(old, ""))
			resp := w.tokens()
			var sets []jose.JSONWebKeySet // one per minute
			var tokens []string
			signers := map[any]bool{}
			for minute := range 40 {
				if minute == 6 {
					tc.rotate(t, w, old, next)
				}
				resp = w.refreshed(resp["refresh_token"])
				sets, tokens = append(sets, w.keySet()), append(tokens, resp["access_token"].(string))
				signers[segment(t, resp["access_token"], 0)["kid"]] = true
				stale := sets[max(0, minute-int(cached/time.Minute))]
				_, err := verify(stale, tokens[minute])
				require.NoError(t, err, "minute %d: signed before it was published", minute)
				for _, live := range tokens[max(0, minute-9):] { // ten minutes
					_, err := verify(sets[minute], live)
					require.NoError(t, err, "minute %d: a key is gone before its tokens", minute)
				}
				w.advance(time.Minute)
			}
			require.Len(t, signers, 2, "the new key signs in the end")
			require.Len(t, sets[len(sets)-1].Keys, 1, "the old key goes in the end")
		})
	}
	t.Run("KY-03 a leaked key can be taken away at once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		resp := w.tokens()
		require.NoError(t, w.srv.SetSigningKeys(authwright.SigningKey{Signer: newKey(t)}))
		_, err := verify(w.keySet(), resp["access_token"].(string))
		require.Error(t, err)
		w.verified(w.refreshed(resp["refresh_token"])["access_token"])
	})
}

// forged signs claims with a key that has nothing to do with the server, with a header
// that says where to find it.
func forged(t *testing.T, typ string, header, claims map[string]any) string {
	t.Helper()
	return signed(t, newKey(t), typ, header, claims)
}

func signed(t *testing.T, key *ecdsa.PrivateKey, typ string, header, claims map[string]any) string {
	t.Helper()
	opts := new(jose.SignerOptions).WithType(jose.ContentType(typ))
	for name, value := range header {
		opts.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, opts)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	jws, err := signer.Sign(payload)
	require.NoError(t, err)
	text, err := jws.CompactSerialize()
	require.NoError(t, err)
	return text
}

// accepted returns the names of the ways in which w takes token for what it is not.
func (w *world) accepted(token string) []string {
	w.t.Helper()
	var ways []string
	for name, f := range map[string]url.Values{
		"code":             codeForm(token),
		"refresh_token":    refreshForm(token),
		"client_assertion": codeForm(w.code(request()), "client_assertion", token, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
		"client_secret":    codeForm(w.code(request()), "client_id", "web", "client_secret", token),
	} {
		var auth []string
		if name == "code" || name == "refresh_token" {
			auth = []string{"web", webSecret}
		}
		if a := w.token(f, auth...); a.status < 400 || a.status >= 500 {
			ways = append(ways, name)
		}
	}
	for _, name := range []string{"request", "id_token_hint"} {
		a := w.browser().authorize(request(name, token, "prompt", "none"))
		if a.location(w.t).Get("code") != "" {
			ways = append(ways, name)
		}
	}
	return ways
}

func TestForeignKeys(t *testing.T) {
	t.Parallel()
	var fetched atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	t.Cleanup(trap.Close)
	w := newWorld(t)
	own := claims(t, w.tokens()["access_token"])
	jwk := jose.JSONWebKey{Key: newKey(t).Public(), KeyID: "mine", Algorithm: "ES256"}
	for name, header := range map[string]map[string]any{
		"KY-05 jku":               {"jku": trap.URL + "/jwks"},
		"KY-05 x5u":               {"x5u": trap.URL + "/cert"},
		"KY-05 jwk":               {"jwk": jwk},
		"KY-05 kid that is a URL": {"kid": trap.URL + "/jwks"},
		"KY-05 kid that is ours":  {"kid": w.keySet().Keys[0].KeyID, "jku": trap.URL},
	} {
		t.Run(name, func(t *testing.T) {
			token := forged(t, "at+jwt", header, own)
			require.Empty(t, w.accepted(token))
			_, err := w.verifier().Verify(t.Context(), token)
			require.ErrorIs(t, err, resource.ErrInvalidToken)
			require.Zero(t, fetched.Load())
		})
	}
}

// verifier is a resource server beside w.
func (w *world) verifier() *resource.Verifier {
	return &resource.Verifier{Issuer: w.issuer, Audience: w.issuer, Keys: w.srv.JWKS, Now: w.now}
}

func TestTokenKinds(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	w := newWorld(t, signedBy(key, ""))
	resp := w.tokens()
	access := resp["access_token"].(string)
	t.Run("KY-07 every JWT that is issued has the type of its kind", func(t *testing.T) {
		kinds := map[string]string{"access_token": "at+jwt", "id_token": "JWT"}
		for name, value := range resp {
			if text, ok := value.(string); ok && strings.Count(text, ".") == 2 {
				require.Equal(t, kinds[name], segment(t, text, 0)["typ"], name)
			}
		}
	})
	t.Run("KY-07 an access token passes for nothing else", func(t *testing.T) {
		require.Empty(t, w.accepted(access))
	})
	for _, typ := range []string{"at+jwt", "JWT", "logout+jwt", "dpop+jwt", "oauth-authz-req+jwt", "client-authentication+jwt", "token-introspection+jwt", "oauth-id-jag+jwt"} {
		t.Run("KY-07 as an access token: "+typ, func(t *testing.T) {
			token := signed(t, key, typ, map[string]any{"kid": w.keySet().Keys[0].KeyID}, claims(t, access))
			_, err := w.verifier().Verify(t.Context(), token)
			if typ == "at+jwt" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, resource.ErrInvalidToken)
			}
		})
	}
}
