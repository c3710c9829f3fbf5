package resource_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/resource"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	es, rs, ps, ed := newKey("es", "ES256"), newKey("rs", "RS256"), newKey("ps", "PS256"), newKey("ed", "EdDSA")
	silent := newKey("silent", "RS256")
	anonymous := silent
	anonymous.alg, anonymous.use = "", ""
	v, _ := verifier(es, rs, ps, ed, anonymous)
	for _, tc := range []struct{ name, token string }{
		{"ES256", token(es, nil, nil)},
		{"RS256", token(rs, nil, nil)},
		{"PS256", token(ps, nil, nil)},
		{"EdDSA", token(ed, nil, nil)},
		{"a key without alg and use", token(silent, nil, nil)},
		{"AT-16 typ in another case", token(es, object{"typ": "AT+JWT"}, nil)},
		{"AT-16 typ as a media type", token(es, object{"typ": "application/at+jwt"}, nil)},
		{"AT-16 aud among others", token(es, nil, object{"aud": []string{"https://other.example.com", audience}})},
		{"no scope", token(es, nil, object{"scope": nil})},
		{"nbf now", token(es, nil, object{"nbf": start.Unix()})},
		{"J10 the issuer's clock is ahead", token(es, nil, object{"iat": start.Unix() + 10, "nbf": start.Unix() + 10})},
		{"J10 the issuer's clock is behind", token(es, nil, object{"exp": start.Unix() - 9})},
		{"J04 jku and x5u", token(es, object{"jku": "https://evil.test/", "x5u": "https://evil.test/"}, nil)},
		{"J04 jwk", token(es, object{"jwk": newKey("x", "ES256").jwk()}, nil)},
		{"claims of other names", token(es, nil, object{"Größe": 1, "Sub2": 2, "groups": []string{"a"}})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, http.StatusOK, get(t, protect(v), tc.token).Code)
		})
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	var got *resource.Token
	h := v.Require("read")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = resource.FromContext(r.Context()) }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "bEARER  "+token(k, nil, object{"grant_id": "g1", "scope": "read  write", "name": "Alice"}))
	h.ServeHTTP(httptest.NewRecorder(), r)

	require.NotNil(t, got)
	require.Equal(t, "t1", got.ID)
	require.Equal(t, "alice", got.Subject)
	require.Equal(t, "app", got.ClientID)
	require.Equal(t, "g1", got.GrantID)
	require.Equal(t, []string{"read", "write"}, got.Scopes)
	require.True(t, got.IssuedAt.Equal(start))
	require.True(t, got.Expiry.Equal(start.Add(10*time.Minute)))
	require.True(t, got.HasScope("write"))
	require.False(t, got.HasScope("admin"))
	var c struct {
		Name string `json:"name"`
	}
	require.NoError(t, got.Claims(&c))
	require.Equal(t, "Alice", c.Name)

	require.Nil(t, resource.FromContext(t.Context()))
	require.False(t, resource.FromContext(t.Context()).HasScope("read"))
}

const (
	malformed = "the access token is malformed"
	notAccess = "the token is not an access token"
	badAlg    = "the access token is signed with an algorithm that is not accepted"
	badKey    = "the access token is signed with an unknown key"
	badSig    = "the signature of the access token is wrong"
	extension = "the access token uses an extension that is not supported"
	badClaim  = "the access token lacks a claim or has a malformed one"
	badIssuer = "the access token is of another issuer"
	badAud    = "the access token is for another audience"
	early     = "the access token is not valid yet"
	expired   = "the access token expired"
	tooLarge  = "the access token is too large"
	bound     = "the access token is bound to a key and no proof is accepted here"
)

type refused struct{ name, token, reason string }

// testRefused sends every token and wants the reason; no error and no log may tell
// anything of the token.
func testRefused(t *testing.T, v *resource.Verifier, cases []refused) {
	t.Helper()
	log := new(logBuffer)
	v.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w := get(t, protect(v), tc.token)
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.Equal(t, "invalid_token", challenge(t, w)["error"])
			require.Equal(t, tc.reason, challenge(t, w)["error_description"])

			_, err := v.Verify(t.Context(), tc.token)
			require.ErrorIs(t, err, resource.ErrInvalidToken)
			require.EqualError(t, err, "resource: invalid token: "+tc.reason)
			require.Empty(t, log.String())
		})
	}
}

func TestTokenType(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	var cases []refused
	for _, typ := range []any{nil, "", "JWT", "jwt", "logout+jwt", "dpop+jwt", "token-introspection+jwt", "at+jwt ", "xat+jwt", "application/JWT", 1, []string{"at+jwt"}} {
		name, _ := json.Marshal(typ)
		cases = append(cases, refused{"AT-16 J05 typ " + string(name), token(k, object{"typ": typ}, nil), notAccess})
	}
	testRefused(t, v, cases)
}

func TestSignature(t *testing.T) {
	t.Parallel()
	es, rs := newKey("es", "ES256"), newKey("rs", "RS256")
	enc := newKey("enc", "ES256")
	enc.use = "enc"
	v, _ := verifier(es, rs, enc)
	attacker := newKey("es", "ES256")
	der, err := x509.MarshalPKIXPublicKey(rs.private.Public())
	require.NoError(t, err)
	jwk, err := json.Marshal(rs.jwk())
	require.NoError(t, err)
	cert := newKey("x", "ES256")
	good := token(es, nil, nil)
	input := good[:strings.LastIndex(good, ".")]
	bob := token(es, nil, object{"sub": "bob"})
	ps := rs
	ps.alg = "PS256"
	unknown := newKey("unknown", "ES256")

	cases := []refused{
		{"J01 none", token(key{id: "es", alg: "none"}, nil, nil), badAlg},
		{"J01 None", token(key{id: "es", alg: "None"}, nil, nil), badAlg},
		{"J01 nOnE", token(key{id: "es", alg: "nOnE"}, nil, nil), badAlg},
		{"J01 empty", token(key{id: "es", alg: ""}, nil, nil), badAlg},
		{"J01 absent", token(key{id: "es"}, object{"alg": nil}, nil), badAlg},
		{"J01 null", token(es, object{"alg": json.RawMessage("null")}, nil), badAlg},
		{"J01 none with a signature", token(es, object{"alg": "none"}, nil), badAlg},
		{"J01 no signature", input + ".", badSig},
		{"J02 HS256 with the public key in PEM", token(key{id: "rs", alg: "HS256", secret: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, nil, nil), badAlg},
		{"J02 HS256 with the public key in DER", token(key{id: "rs", alg: "HS256", secret: der}, nil, nil), badAlg},
		{"J02 HS256 with the JWK", token(key{id: "rs", alg: "HS256", secret: jwk}, nil, nil), badAlg},
		{"J02 an algorithm that is not listed", token(es, object{"alg": "ES384"}, nil), badAlg},
		{"J02 the alg of another key", token(rs, object{"kid": "es"}, nil), badKey},
		{"J02 not the alg of the key", token(ps, nil, nil), badKey},
		{"J04 jwk", token(attacker, object{"jwk": attacker.jwk()}, nil), badSig},
		{"J04 jwk and no kid", token(attacker, object{"jwk": attacker.jwk(), "kid": nil}, nil), badKey},
		{"J04 private jwk", token(attacker, object{"jwk": object{"kty": "oct", "k": "AAAA"}}, nil), malformed},
		{"J04 x5c", token(attacker, object{"x5c": []string{base64.StdEncoding.EncodeToString(certificate(t, cert))}}, nil), badSig},
		{"J09 unknown crit", token(es, object{"crit": []string{"exp"}, "exp": 1}, nil), extension},
		{"J09 empty crit", token(es, object{"crit": []string{}}, nil), extension},
		{"J09 crit that is no array", token(es, object{"crit": "b64"}, nil), extension},
		{"J09 b64 true", token(es, object{"crit": []string{"b64"}, "b64": true}, nil), extension},
		{"J09 b64 false", token(es, object{"crit": []string{"b64"}, "b64": false}, nil), extension},
		{"J09 b64 without crit", token(es, object{"b64": false}, nil), extension},
		{"unknown kid", token(unknown, nil, nil), badKey},
		{"no kid", token(es, object{"kid": nil}, nil), badKey},
		{"kid that is no string", token(es, object{"kid": 1}, nil), malformed},
		{"key for encryption", token(enc, nil, nil), badKey},
		{"other key", token(attacker, nil, nil), badSig},
		{"the signature of another token", input + bob[strings.LastIndex(bob, "."):], badSig},
		{"two alg", sign(es, []byte(`{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"es"}`), payload(nil)), malformed},
		{"ALG", sign(es, []byte(`{"ALG":"ES256","typ":"at+jwt","kid":"es"}`), payload(nil)), badAlg},
		{"header is no JSON", sign(es, []byte(`{"alg"`), payload(nil)), malformed},
		{"header is null", sign(es, []byte(`null`), payload(nil)), malformed},
		{"header is an array", sign(es, []byte(`[]`), payload(nil)), malformed},
		{"no dots", "abc", malformed},
		{"one part too many", good + ".", malformed},
		{"encrypted", "e30.e30.e30.e30.e30", malformed},
		{"padding", good + "==", malformed},
	}
	testRefused(t, v, cases)
}

// A key that does not say what it is for is still for its own kind only.
func TestKeyKind(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	keys := []key{newKey("EC", "ES256"), {id: "P-384", private: p384}, newKey("RSA", "RS256"), newKey("OKP", "EdDSA")}
	for i := range keys {
		keys[i].alg = ""
	}
	v, _ := verifier(keys...)
	v.Algorithms = []string{"ES256", "ES384", "ES512", "PS256", "RS256", "EdDSA"}
	fits := map[string]string{"ES256": "EC", "ES384": "P-384", "RS256": "RSA", "PS256": "RSA", "EdDSA": "OKP"}
	var cases []refused
	for _, k := range keys {
		for _, alg := range v.Algorithms {
			reason := badKey
			if fits[alg] == k.id {
				reason = badSig // the key was found
			}
			signed := token(k, object{"alg": alg}, nil)
			cases = append(cases, refused{"J02 " + alg + " with " + k.id, signed[:strings.LastIndex(signed, ".")] + ".AAAA", reason})
		}
	}
	testRefused(t, v, cases)
}

func certificate(t *testing.T, k key) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, k.private.Public(), k.private)
	require.NoError(t, err)
	return der
}

func TestCanary(t *testing.T) {
	t.Parallel()
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("J04 the URL of a token was fetched") }))
	defer canary.Close()
	attacker := newKey("k", "ES256")
	v, _ := verifier(newKey("k", "ES256"))
	testRefused(t, v, []refused{
		{"J04 jku", token(attacker, object{"jku": canary.URL}, nil), badSig},
		{"J04 x5u", token(attacker, object{"x5u": canary.URL}, nil), badSig},
		{"J04 jku and iss", token(attacker, object{"jku": canary.URL}, object{"iss": canary.URL}), badSig},
	})
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	for _, tc := range []struct {
		name   string
		change func(*resource.Verifier)
	}{
		{"no Issuer", func(v *resource.Verifier) { v.Issuer = "" }},
		{"J07 no Audience", func(v *resource.Verifier) { v.Audience = "" }},
		{"J10 Leeway above a minute", func(v *resource.Verifier) { v.Leeway = time.Minute + 1 }},
		{"negative Leeway", func(v *resource.Verifier) { v.Leeway = -1 }},
		{"J01 none", func(v *resource.Verifier) { v.Algorithms = []string{"ES256", "none"} }},
		{"J02 HS256", func(v *resource.Verifier) { v.Algorithms = []string{"HS256"} }},
		{"http Issuer", func(v *resource.Verifier) { v.Issuer, v.Keys = "http://auth.example.com", nil }},
		{"http Issuer by address", func(v *resource.Verifier) { v.Issuer, v.Keys = "http://192.0.2.1", nil }},
		{"Issuer of a host like this one", func(v *resource.Verifier) { v.Issuer, v.Keys = "http://127.0.0.1.example.com", nil }},
		{"Issuer with a query", func(v *resource.Verifier) { v.Issuer, v.Keys = "https://auth.example.com?", nil }},
		{"Issuer with a user", func(v *resource.Verifier) { v.Issuer, v.Keys = "https://user@auth.example.com", nil }},
		{"Issuer that is no URL", func(v *resource.Verifier) { v.Issuer, v.Keys = "auth", nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v, _ := verifier(k)
			tc.change(v)
			// Each field above is all that is wrong: the token has no say in it.
			_, err := v.Verify(t.Context(), token(k, nil, object{"iss": v.Issuer, "aud": []string{v.Audience, audience}}))
			require.ErrorContains(t, err, "resource: Verifier: ")
			require.NotErrorIs(t, err, resource.ErrInvalidToken)
			require.Equal(t, http.StatusInternalServerError, get(t, protect(v), token(k, nil, nil)).Code)
		})
	}

	t.Run("Algorithms", func(t *testing.T) {
		t.Parallel()
		ed := newKey("ed", "EdDSA")
		v, _ := verifier(k, ed)
		v.Algorithms = []string{"EdDSA"}
		require.Equal(t, http.StatusOK, get(t, protect(v), token(ed, nil, nil)).Code)
		require.Equal(t, badAlg, challenge(t, get(t, protect(v), token(k, nil, nil)))["error_description"])
	})
}

func TestTokenSize(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	testRefused(t, v, []refused{
		{"J12 a million dots", strings.Repeat("a.", 1_000_000) + "a", tooLarge},
		{"J12 a million dots and nothing else", strings.Repeat(".", 1_000_000), tooLarge},
		{"J12 many dots", strings.Repeat("a.", 8000), malformed},
		{"J12 a large claim", token(k, nil, object{"x": strings.Repeat("x", 16<<10)}), tooLarge},
		{"J12 a long header", token(k, object{"x": strings.Repeat("x", 4<<10)}, nil), malformed},
		{"J12 a deep header", sign(k, []byte(strings.Repeat("[", 12000)), payload(nil)), malformed},
	})
	t.Run("J12 a claim that is not too large", func(t *testing.T) {
		require.Equal(t, http.StatusOK, get(t, protect(v), token(k, nil, object{"x": strings.Repeat("x", 11<<10)})).Code)
	})
}

// It runs alone, since it counts what the whole program allocates.
func TestTokenAllocation(t *testing.T) {
	v, _ := verifier(newKey("k", "ES256"))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	dots := strings.Repeat("a.", 1_000_000) + "a"
	r.Header.Set("Authorization", "Bearer "+dots)
	h, w := protect(v), httptest.NewRecorder()

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h.ServeHTTP(w, r)
	runtime.ReadMemStats(&after)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(dots)/4), "J12")
}
