package authwright_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// idToken verifies an ID token as a client does, with a key of the key set that is for alg,
// and returns its claims.
func (w *world) idToken(text any, alg jose.SignatureAlgorithm) map[string]any {
	w.t.Helper()
	b := w.browser()
	var set jose.JSONWebKeySet
	require.NoError(w.t, json.Unmarshal([]byte(b.get(w.issuer+"/jwks").body), &set))
	jws, err := jose.ParseSignedCompact(text.(string), []jose.SignatureAlgorithm{alg})
	require.NoError(w.t, err)
	keys := set.Key(jws.Signatures[0].Header.KeyID)
	require.Len(w.t, keys, 1)
	require.Equal(w.t, string(alg), keys[0].Algorithm)
	payload, err := jws.Verify(keys[0])
	require.NoError(w.t, err)
	var c map[string]any
	require.NoError(w.t, json.Unmarshal(payload, &c))
	return c
}

func TestIDToken(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	b := w.signedIn("alice").has("sid", "one").has("acr", "urn:mfa")
	got := b.signsInTo(asking("scope", "openid profile email read"))
	id := w.idToken(got["id_token"], "RS256")

	t.Run("OI-09 it says who, for whom, by whom and how long", func(t *testing.T) {
		now := float64(w.now().Unix())
		for name, want := range map[string]any{"iss": w.issuer, "sub": "alice", "aud": "rp", "iat": now, "exp": now + 300} {
			require.Equal(t, want, id[name], name)
		}
	})
	t.Run("OI-09 and how the user signed in", func(t *testing.T) {
		require.Equal(t, "urn:mfa", id["acr"])
		require.Equal(t, []any{"pwd", "otp"}, id["amr"])
		require.EqualValues(t, w.now().Unix(), id["auth_time"])
		require.Equal(t, "one", id["sid"])
	})
	t.Run("OI-10 RS256 unless the client is registered with another", func(t *testing.T) {
		for id, alg := range map[string]jose.SignatureAlgorithm{"rp": "RS256", "rs256": "RS256", "es256": "ES256", "ps256": "PS256", "eddsa": "EdDSA"} {
			require.Equal(t, id, w.idToken(b.signsInTo(asking("client_id", id))["id_token"], alg)["aud"])
		}
	})
	t.Run("OI-10 nothing is signed with none, or with a key that is not there", func(t *testing.T) {
		for _, alg := range []string{"none", "HS256", "rs256", "RS512"} {
			c := authwright.Client{ID: "x", RedirectURIs: []string{rpCallback}, IDTokenAlg: alg}
			require.ErrorContains(t, c.Validate(), "IDTokenAlg", alg)
		}
		w := newProvider(t, func(cfg *authwright.Config) { cfg.SigningKeys = cfg.SigningKeys[:2] })
		code := w.code(asking("client_id", "eddsa"))
		a := w.token(codeForm(code, "redirect_uri", rpCallback), "eddsa", webSecret)
		require.Equal(t, http.StatusInternalServerError, a.status)
		require.Equal(t, "server_error", a.json(t)["error"])
	})
	t.Run("OI-10 a provider has a key for RS256", func(t *testing.T) {
		cfg := minimal(t)
		cfg.OpenID = new(authwright.OpenID)
		_, err := authwright.NewServer(cfg)
		require.ErrorContains(t, err, "RS256")
		cfg.SigningKeys = append(cfg.SigningKeys, authwright.SigningKey{Signer: openIDKey(), Algorithm: "PS256"})
		_, err = authwright.NewServer(cfg)
		require.ErrorContains(t, err, "RS256")
		require.Error(t, w.srv.SetSigningKeys(authwright.SigningKey{Signer: newKey(t)}))
	})
	t.Run("OI-11 at_hash is the half of the access token's hash", func(t *testing.T) {
		for id, alg := range map[string]jose.SignatureAlgorithm{"rp": "RS256", "es256": "ES256", "ps256": "PS256", "eddsa": "EdDSA"} {
			got := b.signsInTo(asking("client_id", id))
			sum := sha256.Sum256([]byte(got["access_token"].(string)))
			half := sum[:16]
			if alg == "EdDSA" { // Ed25519 hashes with SHA-512
				sum := sha512.Sum512([]byte(got["access_token"].(string)))
				half = sum[:32]
			}
			require.Equal(t, base64.RawURLEncoding.EncodeToString(half), w.idToken(got["id_token"], alg)["at_hash"], alg)
		}
	})
	t.Run("OI-12 what the scopes disclose is not in it", func(t *testing.T) {
		want := []string{"acr", "amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"}
		require.Equal(t, want, slices.Sorted(maps.Keys(id)))
	})
	t.Run("OI-13 the answer that brings it is kept nowhere", func(t *testing.T) {
		code := w.code(asking())
		a := w.token(codeForm(code, "redirect_uri", rpCallback), "rp", webSecret)
		require.Contains(t, a.json(t), "id_token")
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		require.Equal(t, "no-cache", a.header.Get("Pragma"))
	})
	t.Run("OI-14 it is no access token", func(t *testing.T) {
		text := got["id_token"].(string)
		require.Equal(t, "JWT", segment(t, text, 0)["typ"])
		require.Equal(t, "at+jwt", segment(t, got["access_token"], 0)["typ"])
		require.NotEqual(t, claims(t, got["access_token"])["aud"], id["aud"])
		require.Equal(t, http.StatusUnauthorized, w.userinfo(text).status)
		a := w.postForm("/introspect", url.Values{"token": {text}}, "rp", webSecret)
		require.Equal(t, map[string]any{"active": false}, a.json(t))
	})
	t.Run("OI-14 nor is an access token an ID token", func(t *testing.T) {
		redirected(t, b.authorize(asking("id_token_hint", got["access_token"].(string))), "invalid_request")
	})
}

func TestIDTokenNonce(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	b := w.signedIn("alice")
	for _, test := range []struct{ name, nonce string }{
		{"OI-02 a nonce comes back", "n-0S6_WzA2Mj"},
		{"OI-02 a nonce of 64 characters", strings.Repeat("0123456789abcdef", 4)},
		{"OI-02 a nonce of 1024 characters", strings.Repeat("0123456789abcdef", 64)},
		{"OI-02 a nonce that means something elsewhere", "\"<&>' \\u0041%41+ ü"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, prompt := range []string{"", "consent"} { // with and without a page in between
				require.Equal(t, test.nonce, w.idToken(b.signsInTo(asking("nonce", test.nonce, "prompt", prompt))["id_token"], "RS256")["nonce"])
			}
		})
	}
	t.Run("OI-02 without a nonce there is none", func(t *testing.T) {
		require.NotContains(t, w.idToken(b.signsInTo(asking("nonce", ""))["id_token"], "RS256"), "nonce")
	})
	t.Run("OI-02 each code has its own", func(t *testing.T) {
		first, second := b.authorize(asking("nonce", "1")), b.authorize(asking("nonce", "2"))
		require.Equal(t, "2", claims(t, b.redeems(asking(), second)["id_token"])["nonce"])
		require.Equal(t, "1", claims(t, b.redeems(asking(), first)["id_token"])["nonce"])
	})
}

func TestIDTokenRefreshed(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	b := w.signedIn("alice").has("acr", "urn:mfa").has("sid", "one")
	got := b.signsInTo(asking("scope", "openid read"))
	first := w.idToken(got["id_token"], "RS256")
	w.advance(time.Hour)
	b.has("acr", "urn:other").signsInTo(asking("prompt", "login"))
	a := w.token(refreshForm(got["refresh_token"].(string)), "rp", webSecret)
	again := w.token(refreshForm(got["refresh_token"].(string)), "rp", webSecret) // its answer was lost

	for name, a := range map[string]answer{"OI-15 a refreshed ID token speaks of the same login": a, "OI-15 so does one that was asked for twice": again} {
		t.Run(name, func(t *testing.T) {
			id := w.idToken(a.json(t)["id_token"], "RS256")
			for _, name := range []string{"iss", "sub", "aud", "auth_time", "acr", "amr", "sid"} {
				require.Equal(t, first[name], id[name], name)
			}
			require.EqualValues(t, w.now().Unix(), id["iat"])
			require.EqualValues(t, w.now().Unix()+300, id["exp"])
			require.NotEqual(t, first["at_hash"], id["at_hash"])
		})
	}
	t.Run("OI-16 it has no nonce", func(t *testing.T) {
		for _, a := range []answer{a, again} {
			require.NotContains(t, w.idToken(a.json(t)["id_token"], "RS256"), "nonce")
		}
	})
	t.Run("OI-01 a refresh without openid brings no ID token", func(t *testing.T) {
		a := w.token(refreshForm(a.json(t)["refresh_token"].(string), "scope", "read"), "rp", webSecret)
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.NotContains(t, a.json(t), "id_token")
	})
}

func TestIDTokenHint(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	alice, bob := w.signedIn("alice"), w.signedIn("bob")
	hint := alice.signsInTo(asking())["id_token"].(string)
	bob.signsInTo(asking())
	w.advance(30 * 24 * time.Hour) // it expired long ago, and the consent is remembered

	t.Run("OI-08 the user who is signed in", func(t *testing.T) {
		require.NotEmpty(t, alice.authorize(asking("id_token_hint", hint, "prompt", "none")).location(t).Get("code"))
	})
	t.Run("OI-08 another one, and nobody", func(t *testing.T) {
		redirected(t, bob.authorize(asking("id_token_hint", hint, "prompt", "none")), "login_required")
		redirected(t, w.browser().authorize(asking("id_token_hint", hint, "prompt", "none")), "login_required")
	})
	t.Run("OI-08 another one may become the right one", func(t *testing.T) {
		b := w.signedIn("bob")
		next := b.still().authorize(asking("id_token_hint", hint)).location(t).Get("next")
		redirected(t, b.still().get(w.ts.URL+next), "login_required")
		got := b.signsInTo(asking("id_token_hint", hint, "login_hint", "alice"))
		require.Equal(t, "alice", claims(t, got["id_token"])["sub"])
	})
	t.Run("OI-08 a hint whose key has been replaced", func(t *testing.T) {
		w := newProvider(t, func(cfg *authwright.Config) { cfg.SigningKeys = cfg.SigningKeys[:2] })
		old := []authwright.SigningKey{{Signer: newKey(t)}, {Signer: openIDKey()}}
		b := w.signedIn("alice")
		hint := b.signsInTo(asking())["id_token"].(string)
		require.NoError(t, w.srv.SetSigningKeys(append(old, authwright.SigningKey{Signer: secondRSAKey()})...))
		w.advance(24 * time.Hour)
		require.NotContains(t, b.get(w.issuer+"/jwks").body, segment(t, hint, 0)["kid"])
		require.NotEmpty(t, b.authorize(asking("id_token_hint", hint)).location(t).Get("code"))
		require.NoError(t, w.srv.SetSigningKeys(old[0], authwright.SigningKey{Signer: secondRSAKey()}))
		redirected(t, b.authorize(asking("id_token_hint", hint)), "invalid_request")
	})
	t.Run("OI-08 what was not signed here is no hint", func(t *testing.T) {
		for name, forged := range forgeries(t, hint) {
			redirected(t, alice.authorize(asking("id_token_hint", forged)), "invalid_request")
			require.Contains(t, w.log(), "not an ID token", name)
		}
		other := newProvider(t)
		redirected(t, alice.authorize(asking("id_token_hint", other.signedIn("alice").signsInTo(asking())["id_token"].(string))), "invalid_request")
	})
}

// forgeries are what becomes of an ID token in the hands of somebody else.
func forgeries(t *testing.T, hint string) map[string]string {
	t.Helper()
	parts := strings.Split(hint, ".")
	encode := func(v any) string {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	mallory := claims(t, hint)
	mallory["sub"] = "mallory"
	found := map[string]string{
		"another payload":   parts[0] + "." + encode(mallory) + "." + parts[2],
		"no signature":      parts[0] + "." + parts[1] + ".",
		"another signature": hint[:len(hint)-8] + "AAAAAAAA",
		"two parts":         parts[0] + "." + parts[1],
		"nothing":           "..",
	}
	for _, alg := range []string{"none", "None", "", "HS256", "PS256"} {
		header := segment(t, hint, 0)
		header["alg"] = alg
		found["alg "+alg] = encode(header) + "." + parts[1] + "." + parts[2]
		found["alg "+alg+" without a signature"] = encode(header) + "." + parts[1] + "."
	}
	key, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, new(jose.SignerOptions).WithType("JWT").WithHeader("kid", segment(t, hint, 0)["kid"]))
	require.NoError(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	jws, err := key.Sign(payload)
	require.NoError(t, err)
	found["a key of the forger's"], err = jws.CompactSerialize()
	require.NoError(t, err)
	return found
}

// The host may change its mind about a user at any time.
func TestIDTokenDenied(t *testing.T) {
	t.Parallel()
	var answer error
	w := newProvider(t, func(cfg *authwright.Config) {
		cfg.OpenID.UserInfo = func(context.Context, string) (map[string]any, error) { return map[string]any{"name": "A"}, answer }
	})
	b := w.signedIn("alice")
	q := asking("claims", `{"id_token":{"name":null}}`)
	got := b.signsInTo(q)
	require.Equal(t, "A", claims(t, got["id_token"])["name"])
	answer = authwright.ErrAccessDenied
	t.Run("OI-15 a user who is denied access gets no ID token", func(t *testing.T) {
		refused(t, w.token(refreshForm(got["refresh_token"].(string)), "rp", webSecret), "invalid_grant")
		require.Equal(t, http.StatusUnauthorized, w.userinfo(got["access_token"].(string)).status)
	})
	answer = context.DeadlineExceeded
	t.Run("OI-15 and one of whom nothing can be learned now gets it later", func(t *testing.T) {
		require.Equal(t, http.StatusServiceUnavailable, w.token(refreshForm(got["refresh_token"].(string)), "rp", webSecret).status)
		answer = nil
		require.Equal(t, http.StatusOK, w.token(refreshForm(got["refresh_token"].(string)), "rp", webSecret).status)
	})
}
