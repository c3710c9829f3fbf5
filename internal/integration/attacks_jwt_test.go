package integration_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/resource"
)

// TestAttacksOnJWT is section J of docs/threat-model.md.
func TestAttacksOnJWT(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "J01 no signature", run: unsigned},
		{name: "J02 the public key as a secret", run: confusedAlgorithm},
		{name: "J04 a key that the token brings", run: broughtKeys},
		{name: "J05 another kind of token", run: otherTokens},
		{name: "J07 a token for somebody else", run: otherAudience},
		{name: "J09 extensions", run: extendedHeader},
		{name: "J10 impossible times", run: impossibleTimes},
		{name: "J12 a token of a million dots", run: manyDots},
		{name: "J15 a hook that contradicts the protocol", run: reservedClaims, change: withReservedClaim},
		{name: "J17 weak and old keys", run: signingKeys},
	})
}

// withReservedClaim adds the claim that the user is named after.
func withReservedClaim(cfg *authwright.Config) {
	cfg.Claims = func(_ context.Context, g *authwright.Grant) (map[string]any, error) {
		if name, ok := strings.CutPrefix(g.Subject, "claim:"); ok {
			return map[string]any{name: "mallory", "fine": true}, nil
		}
		return nil, nil
	}
}

// decoded is a part of a JWT, which is not verified.
func decoded(t *testing.T, part string) (object map[string]any) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &object))
	return object
}

func payloadOf(t *testing.T, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	require.Len(t, parts, 3, jwt)
	return decoded(t, parts[1])
}

// A forger makes JWTs from a good access token of alice for c1.
type forger struct {
	t               *testing.T
	v               *victim
	good            issued
	header, payload map[string]any
}

func (v *victim) forger() *forger {
	v.t.Helper()
	f := &forger{t: v.t, v: v, good: v.tokens("scope", "openid read")}
	parts := strings.Split(f.good.Access, ".")
	f.header, f.payload = decoded(v.t, parts[0]), decoded(v.t, parts[1])
	return f
}

// rs256 signs with the victim's own key, so that nothing but what was forged is wrong.
func rs256(input []byte) []byte {
	key, err := victimKey()
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(input)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return nil
	}
	return sig
}

func hs256(secret []byte) func([]byte) []byte {
	return func(input []byte) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write(input)
		return h.Sum(nil)
	}
}

// forge is the good token with changes; nil removes a member.
func (f *forger) forge(header, payload map[string]any, sign func([]byte) []byte) string {
	f.t.Helper()
	parts := make([]string, 2)
	for i, object := range []struct{ base, changes map[string]any }{{f.header, header}, {f.payload, payload}} {
		m := maps.Clone(object.base)
		maps.Copy(m, object.changes)
		maps.DeleteFunc(m, func(_ string, value any) bool { return value == nil })
		b, err := json.Marshal(m)
		require.NoError(f.t, err)
		parts[i] = base64.RawURLEncoding.EncodeToString(b)
	}
	input := strings.Join(parts, ".")
	var sig []byte
	if sign != nil {
		sig = sign([]byte(input))
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (f *forger) verifier(audience string) *resource.Verifier {
	return &resource.Verifier{Issuer: f.v.issuer, Audience: audience, Keys: f.v.srv.JWKS, Now: f.v.now}
}

func (v *victim) userInfo(token string) reaction {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.issuer+"/userinfo", nil)
	require.NoError(v.t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	return v.do(r)
}

func (f *forger) accepted(token string) {
	f.t.Helper()
	require.Equal(f.t, http.StatusOK, f.v.userInfo(token).status)
	require.Equal(f.t, true, f.v.introspect(token)["active"])
	_, err := f.verifier("https://api.example.com").Verify(f.t.Context(), token)
	require.NoError(f.t, err)
}

// refused checks that token opens nothing, and that revoking it revokes nothing.
func (f *forger) refused(name, token string) {
	f.t.Helper()
	a := f.v.userInfo(token)
	require.Equal(f.t, http.StatusUnauthorized, a.status, name)
	require.Contains(f.t, a.header.Get("WWW-Authenticate"), `error="invalid_token"`, name)
	require.Equal(f.t, map[string]any{"active": false}, f.v.introspect(token), name)
	f.unverified(name, token)
	f.v.post("/revoke", url.Values{"token": {token}}, "c1", secretOf1)
	f.v.live(f.good)
}

// unverified checks that the module's verifier does not take token.
func (f *forger) unverified(name, token string) {
	f.t.Helper()
	_, err := f.verifier("https://api.example.com").Verify(f.t.Context(), token)
	require.ErrorIs(f.t, err, resource.ErrInvalidToken, name)
}

func unsigned(t *testing.T, v *victim) {
	f := v.forger()
	f.accepted(f.forge(nil, nil, rs256)) // so that it is the forgery that is refused
	for _, alg := range []any{"none", "None", "nOnE", "NONE", "", nil, 0, []string{"none"}} {
		f.refused("alg none", f.forge(map[string]any{"alg": alg}, nil, nil))
		f.refused("alg none and a signature", f.forge(map[string]any{"alg": alg}, nil, rs256))
	}
	f.refused("no signature", f.forge(nil, nil, nil))
	parts := strings.Split(f.good.Access, ".")
	f.refused("no third part", parts[0]+"."+parts[1])
	f.refused("another payload", parts[0]+"."+strings.Split(f.forge(nil, map[string]any{"sub": "mallory"}, nil), ".")[1]+"."+parts[2])
	hint := f.forge(map[string]any{"alg": "none", "typ": "JWT"}, map[string]any{"aud": "c1"}, nil)
	v.signedIn("alice").authorize(asking("scope", "openid", "id_token_hint", hint)).failed(t, v, "invalid_request")
}

func confusedAlgorithm(t *testing.T, v *victim) {
	f := v.forger()
	key, err := victimKey()
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	jwks, err := v.srv.JWKS(t.Context())
	require.NoError(t, err)
	var set struct{ Keys []json.RawMessage }
	require.NoError(t, json.Unmarshal(jwks, &set))
	for name, secret := range map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "PKCS #1": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)}),
		"DER": der, "JWKS": jwks, "JWK": set.Keys[0], "modulus": key.N.Bytes(), "client secret": []byte(secretOf1), "empty": {},
	} {
		f.refused(name, f.forge(map[string]any{"alg": "HS256"}, nil, hs256(secret)))
	}
	for _, alg := range []string{"PS256", "RS384", "RS512", "ES256", "EdDSA", "rs256"} {
		f.refused(alg, f.forge(map[string]any{"alg": alg}, nil, rs256))
	}
}

func broughtKeys(t *testing.T, v *victim) {
	f := v.forger()
	address, visits := canary(t)
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	sign := func(input []byte) []byte {
		sum := sha256.Sum256(input)
		sig, _ := rsa.SignPKCS1v15(rand.Reader, own, crypto.SHA256, sum[:])
		return sig
	}
	jwk := map[string]any{
		"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(own.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(own.E)).Bytes()), "kid": f.header["kid"],
	}
	for name, header := range map[string]map[string]any{
		"nothing": {}, "jwk": {"jwk": jwk}, "jwk without kid": {"jwk": jwk, "kid": nil}, "jku": {"jku": address + "/jwks"}, "x5u": {"x5u": address + "/chain"},
		"jku and kid": {"jku": address + "/jwks", "kid": "mine"}, "kid that is a URL": {"kid": address + "/jwks"}, "kid that is a path": {"kid": "../../../dev/null"}, "kid that is SQL": {"kid": "x' UNION SELECT 'k"},
		"x5c": {"x5c": []string{base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&own.PublicKey))}},
	} {
		f.refused(name, f.forge(header, nil, sign))
	}
	f.refused("iss", f.forge(nil, map[string]any{"iss": address}, sign))
	require.Zero(t, visits.Load())
}

func otherTokens(t *testing.T, v *victim) {
	f := v.forger()
	f.refused("ID token", f.good.ID)
	f.refused("ID token for the resource", f.forge(map[string]any{"typ": "JWT"}, nil, rs256))
	f.refused("no type", f.forge(map[string]any{"typ": nil}, nil, rs256))
	for _, typ := range []string{"logout+jwt", "client-authentication+jwt", "at+jwtx", "application/json", "dpop+jwt"} {
		f.refused(typ, f.forge(map[string]any{"typ": typ}, nil, rs256))
	}
	require.Equal(t, http.StatusUnauthorized, v.userInfo(f.good.Refresh).status)
	require.Equal(t, http.StatusUnauthorized, v.userInfo(v.code(asking())).status)
	f.unverified("refresh token", f.good.Refresh)
	f.unverified("code", v.code(asking()))
	// What tells a refresh token from an access token is there for whoever introspects.
	require.NotContains(t, v.introspect(f.good.Refresh), "aud")
	// An access token is no hint.
	v.signedIn("alice").authorize(asking("scope", "openid", "id_token_hint", f.good.Access)).failed(t, v, "invalid_request")
	v.token(refreshing(f.good.Access), "c1", secretOf1).refused(t, "invalid_grant")
}

func otherAudience(t *testing.T, v *victim) {
	f := v.forger()
	_, err := f.verifier("https://rs2.example.com").Verify(t.Context(), f.good.Access)
	require.ErrorIs(t, err, resource.ErrInvalidToken)
	_, err = f.verifier("").Verify(t.Context(), f.good.Access) // which is a mistake, not "any"
	require.ErrorContains(t, err, "Audience")
	for name, aud := range map[string]any{
		"the client": "c1", "absent": nil, "empty": "", "no element": []string{}, "others": []string{"a", "https://rs2.example.com"}, "prefix": "https://api.example.co", "longer": "https://api.example.com/", "object": map[string]any{}, "number": 1,
	} {
		token := f.forge(nil, map[string]any{"aud": aud}, rs256)
		f.unverified(name, token)
		require.Equal(t, http.StatusUnauthorized, v.userInfo(token).status, name)
	}
	only := v.tokens("scope", "openid read", "resource", "https://api.example.com")
	require.Equal(t, http.StatusUnauthorized, v.userInfo(only.Access).status)
	second := v.tokens("resource", "https://rs2.example.com")
	f.unverified("of another resource", second.Access)
}

func extendedHeader(_ *testing.T, v *victim) {
	f := v.forger()
	for name, header := range map[string]map[string]any{
		"unknown": {"crit": []string{"x"}, "x": 1}, "empty": {"crit": []string{}}, "text": {"crit": "x"}, "exp": {"crit": []string{"exp"}, "exp": 1}, "b64": {"b64": false, "crit": []string{"b64"}},
		"b64 without crit": {"b64": false}, "b64 true": {"b64": true, "crit": []string{"b64"}},
	} {
		f.refused(name, f.forge(header, nil, rs256))
	}
}

func impossibleTimes(t *testing.T, v *victim) {
	f := v.forger()
	now := float64(v.now().Unix())
	for name, exp := range map[string]any{
		"past": now - 61, "absent": nil, "text": "9999999999", "huge": json.Number("1e308"), "negative": -now, "zero": 0, "object": map[string]any{}, "true": true, "array": []float64{now + 100},
	} {
		f.refused("exp "+name, f.forge(nil, map[string]any{"exp": exp}, rs256))
	}
	for _, name := range []string{"nbf", "iat"} { // this server has never looked ahead; the verifier checks
		for kind, value := range map[string]any{"future": now + 300, "text": "0", "huge": json.Number("1e308"), "negative huge": json.Number("-1e308"), "object": map[string]any{}} {
			f.unverified(name+" "+kind, f.forge(nil, map[string]any{name: value}, rs256))
		}
	}
	f.unverified("iat absent", f.forge(nil, map[string]any{"iat": nil}, rs256))
	v.advance(10*time.Minute + 61*time.Second)
	f.unverified("expired", f.good.Access)
	require.Equal(t, http.StatusUnauthorized, v.userInfo(f.good.Access).status)
}

func manyDots(t *testing.T, v *victim) {
	f := v.forger()
	dots := strings.Repeat(".", 30_000)
	f.refused("dots", dots)
	f.refused("dots and text", strings.Repeat("a.", 15_000)+"a")
	require.Equal(t, http.StatusUnauthorized, v.userInfo(strings.Repeat(".", 900_000)).status)
	a := v.post("/introspect", url.Values{"token": {strings.Repeat(".", 1_000_000)}}, "c1", secretOf1)
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	f.unverified("a million dots", strings.Repeat(".", 1_000_000))
	f.unverified("a million parts", strings.Repeat("a.", 500_000)+"a")
}

func reservedClaims(t *testing.T, v *victim) {
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "grant_id", "cnf", "act", "auth_time", "acr", "amr", "active", "token_type"} {
		code := v.code(asking(), "claim:"+name)
		a := v.token(redeeming(code), "c1", secretOf1)
		require.Equal(t, http.StatusInternalServerError, a.status, name)
		require.Equal(t, map[string]any{"error": "server_error"}, a.json(t), name)
		require.Contains(t, v.log(), name)
	}
	fine := v.token(redeeming(v.code(asking(), "claim:department")), "c1", secretOf1).granted(t)
	require.Equal(t, "mallory", payloadOf(t, fine.Access)["department"])
}

func signingKeys(t *testing.T, v *victim) {
	f := v.forger()
	old, err := victimKey()
	require.NoError(t, err)
	next, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	require.NoError(t, v.srv.SetSigningKeys(authwright.SigningKey{Signer: old}, authwright.SigningKey{Signer: next, NotBefore: v.now().Add(6 * time.Minute)}))
	f.accepted(f.good.Access)
	v.advance(7 * time.Minute)
	require.NotEqual(t, f.header["kid"], v.forger().header["kid"])
	f.accepted(f.good.Access) // until it expires
	require.NoError(t, v.srv.SetSigningKeys(authwright.SigningKey{Signer: next}))
	require.Equal(t, http.StatusUnauthorized, v.userInfo(f.good.Access).status) // or until the key is gone
	f.unverified("of a key that was removed", f.good.Access)
	body, err := v.srv.JWKS(t.Context())
	require.NoError(t, err)
	require.NotRegexp(t, `"(d|p|q|dp|dq|qi|k|oth)"`, string(body))

	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil { // Go itself makes none, unless it is told to
		weak = &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, keys := range map[string][]authwright.SigningKey{
		"none": {}, "nil": {{Signer: next}, {}}, "1024 bits": {{Signer: next}, {Signer: weak}}, "P-384": {{Signer: next}, {Signer: p384}}, "twice": {{Signer: next}, {Signer: next}},
		"HS256": {{Signer: next, Algorithm: "HS256"}}, "none alg": {{Signer: next, Algorithm: "none"}}, "alg of another key": {{Signer: next}, {Signer: ed, Algorithm: "ES256"}},
	} {
		require.Error(t, v.srv.SetSigningKeys(keys...), name)
		cfg := v.config()
		cfg.SigningKeys = keys
		_, err := authwright.NewServer(cfg)
		require.ErrorContains(t, err, "SigningKeys", name)
	}
}
