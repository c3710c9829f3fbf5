package authwright

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// A mint makes JWTs without the help of the code under test, in every way in which somebody
// might.
type mint struct {
	*Server
	client *Client
	ec     *ecdsa.PrivateKey
	rsa    *rsa.PrivateKey
	ecID   string // kid
	rsaID  string
	good   string // a token that is what it says
	known  bool   // whether its grant knows it
}

var mintRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

var mintNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newMint(f *testing.F) *mint {
	f.Helper()
	m := new(mint)
	var err error
	m.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	m.rsa, err = mintRSA()
	require.NoError(f, err)
	m.Server, err = NewServer(Config{
		Issuer: "https://as.example", Storage: &Memory{Now: func() time.Time { return mintNow }}, OpenID: new(OpenID), Now: func() time.Time { return mintNow },
		Authenticator: LoginRedirect("/login", "next", func(*http.Request) (*User, error) { return nil, errors.New("nobody") }),
		SigningKeys:   []SigningKey{{Signer: m.ec}, {Signer: m.rsa}}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(f, err)
	view := m.keys.at(mintNow)
	m.ecID, m.rsaID = view.signing[jose.ES256].public.KeyID, view.signing[jose.RS256].public.KeyID
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: m.ec.Public()}, {Key: m.rsa.Public()}}})
	require.NoError(f, err)
	m.client = &Client{ID: "robot", JWKS: set, GrantTypes: []string{"client_credentials"}}
	require.NoError(f, m.client.Validate())
	return m
}

// Ways to sign.
const (
	byKey    = iota // the key that the header's alg is for
	byNobody        // an empty signature
	byGood          // the signature of the good token
	byRaw           // whatever the fuzzer says
	byPEM           // HMAC with the public key for a secret
	byDER
	byJWK
	byStranger
	signings
)

// sign makes a compact JWS of the header and the payload as they are.
func (m *mint) sign(t testing.TB, header, payload string, how uint8, raw []byte) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	sum := sha256.Sum256([]byte(input))
	var sig []byte
	mac := func(key []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(input))
		return h.Sum(nil)
	}
	ec := m.ec
	switch how %= signings; how {
	case byStranger, byKey:
		var err error
		if how == byStranger {
			ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			require.NoError(t, err)
		} else if strings.Contains(header, "RS256") {
			sig, err = rsa.SignPKCS1v15(nil, m.rsa, crypto.SHA256, sum[:])
			require.NoError(t, err)
			break
		}
		r, s, err := ecdsa.Sign(rand.Reader, ec, sum[:])
		require.NoError(t, err)
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case byGood:
		return input + m.good[strings.LastIndexByte(m.good, '.'):]
	case byRaw:
		sig = raw
	case byPEM, byDER:
		der, err := x509.MarshalPKIXPublicKey(m.ec.Public())
		require.NoError(t, err)
		if how == byPEM {
			der = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		}
		sig = mac(der)
	case byJWK:
		sig = mac(m.client.JWKS)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// parts decodes the header and the payload of a token, leniently.
func parts(t testing.TB, text string) (header, payload map[string]any) {
	t.Helper()
	segments := strings.Split(text, ".")
	require.Len(t, segments, 3)
	for i, v := range []*map[string]any{&header, &payload} {
		b, err := base64.RawURLEncoding.DecodeString(segments[i])
		require.NoError(t, err)
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		require.NoError(t, d.Decode(v))
	}
	return header, payload
}

// honest checks what must be true of every JWT that is accepted: it was signed with the key that
// the header names, by that key's algorithm, and it is of the right type.
func (m *mint) honest(t testing.TB, text string, how uint8, types ...string) (payload map[string]any) {
	t.Helper()
	header, payload := parts(t, text)
	typ, _ := header["typ"].(string)
	require.Contains(t, types, strings.TrimPrefix(strings.ToLower(typ), "application/"))
	require.Nil(t, header["crit"])
	require.Nil(t, header["b64"])
	if how%signings != byKey { // then it is the good one, perhaps with unused bits of base64 flipped
		h, p := parts(t, m.good)
		require.Equal(t, h, header)
		require.Equal(t, p, payload)
	}
	require.Contains(t, []any{"ES256", "RS256"}, header["alg"])
	return payload
}

// headers are J01, J02, J04, J05 and J09 of those that have been tried on others.
func (m *mint) headers(alg, kid, typ string) []string {
	return []string{
		fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q}`, alg, kid, typ),
		fmt.Sprintf(`{"alg":"none","kid":%q,"typ":%q}`, kid, typ), fmt.Sprintf(`{"alg":"nOnE","kid":%q,"typ":%q}`, kid, typ),
		fmt.Sprintf(`{"alg":"","kid":%q,"typ":%q}`, kid, typ), fmt.Sprintf(`{"kid":%q,"typ":%q}`, kid, typ),
		fmt.Sprintf(`{"alg":"HS256","kid":%q,"typ":%q}`, kid, typ), fmt.Sprintf(`{"alg":"PS256","kid":%q,"typ":%q}`, kid, typ),
		fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, alg, kid), fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, kid), fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"logout+jwt"}`, alg, kid),
		fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"application/%s"}`, alg, kid, typ), fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, kid), fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":[%q]}`, alg, kid, typ),
		fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q,"crit":["exp"]}`, alg, kid, typ), fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q,"b64":false,"crit":["b64"]}`, alg, kid, typ), fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q,"b64":true}`, alg, kid, typ),
		fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q,"jku":"https://evil.test/k","x5u":"https://evil.test/c","jwk":{"kty":"oct","k":"AA"}}`, alg, kid, typ),
		fmt.Sprintf(`{"alg":%q,"kid":"","typ":%q}`, alg, typ), fmt.Sprintf(`{"alg":%q,"kid":"../../dev/null","typ":%q}`, alg, typ), fmt.Sprintf(`{"alg":%q,"alg":"none","kid":%q,"typ":%q}`, alg, kid, typ),
		fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q,"zip":"DEF","p2c":1e9}`, alg, kid, typ), `[]`, `null`, ``, `{`,
	}
}

// payloads are J07 and J10: times and audiences that are not what they should be.
func payloads(good string) []string {
	list := []string{good, "", "{}", "null", "[]", strings.Repeat("[", 1000), good + good, strings.Replace(good, "as.example", "as.example.evil.test", 1)}
	for _, exp := range []string{"0", "-1", "1e308", "1e400", `"9999999999"`, "null", "9999999999.5", "9223372036854775807", "99999999999999999999", "true"} {
		list = append(list, strings.Replace(good, `"exp":`, `"exp":`+exp+`,"x":`, 1))
	}
	list = append(list, strings.Replace(good, `"jti"`, `"x"`, 1), strings.Replace(good, `"grant_id"`, `"x"`, 1), strings.Replace(good, `"aud"`, `"x"`, 1))
	return append(list, strings.Replace(good, `"aud":`, `"aud":["https://other.example"],"x":`, 1), strings.Replace(good, `"aud":`, `"aud":[],"x":`, 1),
		strings.Replace(good, `"iss"`, `"ISS"`, 1), strings.Replace(good, `{`, `{"iss":"https://evil.test",`, 1), strings.Replace(good, `"sub":"alice"`, `"sub":null`, 1))
}

func (m *mint) seed(f *testing.F, alg, kid, typ, payload string) {
	m.good = m.sign(f, m.headers(alg, kid, typ)[0], payload, byKey, nil)
	for how := range uint8(signings) {
		for _, h := range m.headers(alg, kid, typ) {
			f.Add(h, payload, how, []byte{})
		}
		for _, p := range payloads(payload) {
			f.Add(m.headers(alg, kid, typ)[0], p, how, []byte{0x30, 0x06, 2, 1, 1, 2, 1, 1})
		}
	}
	f.Add(strings.Repeat(".", 10_000), "", uint8(byRaw), make([]byte, 64))
}

// readAccessToken reads a token of the grant g, which may know the good one by its
// hash.
func (m *mint) readAccessToken(text string) (*accessClaims, error) {
	m.cfg.Storage = new(Memory)
	g := &Grant{ID: "g", Version: 1, Stage: StageActive, ExpiresAt: mintNow.Add(time.Hour)}
	if m.known {
		g.Token = hash([]byte(m.good))
	}
	if err := m.cfg.Storage.SaveGrant(context.Background(), g); err != nil {
		return nil, err
	}
	_, claims, err := m.findAccessToken(context.Background(), text)
	return claims, err
}

func FuzzAccessToken(f *testing.F) {
	m := newMint(f)
	m.seed(f, "ES256", m.ecID, "at+jwt", fmt.Sprintf(`{"iss":"https://as.example","sub":"alice","aud":"https://as.example","client_id":"web","grant_id":"g","jti":"j","iat":%d,"exp":%d}`, mintNow.Unix(), mintNow.Unix()+600))
	_, err := m.readAccessToken(m.good)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, header, payload string, how uint8, raw []byte) {
		text := m.sign(t, header, payload, how, raw)
		m.known = len(raw)%2 == 1
		got, err := m.readAccessToken(text)
		if err != nil {
			require.Nil(t, got)
			return
		}
		m.honest(t, text, how, "at+jwt")
		decoded := &accessClaims{payload: got.payload}
		require.NoError(t, json.Unmarshal([]byte(got.payload), decoded))
		require.Equal(t, decoded, got)
		require.Equal(t, "https://as.example", got.Issuer)
		require.NotEmpty(t, got.GrantID)
		require.Greater(t, got.Expires, mintNow.Unix())
		_, err = m.readIDToken(text)
		require.Error(t, err, "it is one kind of token")
	})
}

func FuzzIDTokenHint(f *testing.F) {
	m := newMint(f)
	m.seed(f, "RS256", m.rsaID, "JWT", fmt.Sprintf(`{"iss":"https://as.example","sub":"alice","aud":"web","iat":%d,"exp":%d}`, mintNow.Unix(), mintNow.Unix()+300))
	_, err := m.readIDToken(m.good)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, header, payload string, how uint8, raw []byte) {
		text := m.sign(t, header, payload, how, raw)
		hint, err := m.readIDToken(text)
		if err != nil {
			require.Nil(t, hint)
			return
		}
		m.honest(t, text, how, "jwt")
		require.Equal(t, "https://as.example", hint.Issuer)
		require.NotEmpty(t, hint.Subject)
		require.Len(t, hint.Audience, 1)
		_, err = m.readAccessToken(text)
		require.Error(t, err, "it is one kind of token")
	})
}

func FuzzClientAssertion(f *testing.F) {
	m := newMint(f)
	m.seed(f, "ES256", "", "JWT", fmt.Sprintf(`{"iss":"robot","sub":"robot","aud":"https://as.example","jti":"j","iat":%d,"exp":%d}`, mintNow.Unix(), mintNow.Unix()+60))
	require.NoError(f, m.verifyAssertion(context.Background(), m.client, m.good))
	f.Fuzz(func(t *testing.T, header, payload string, how uint8, raw []byte) {
		m.cfg.Storage = &Memory{Now: func() time.Time { return mintNow }}
		text := m.sign(t, header, payload, how, raw)
		err := m.verifyAssertion(t.Context(), m.client, text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidClient)
			return
		}
		claims := m.honest(t, text, how, "", "jwt", "client-authentication+jwt")
		require.Equal(t, m.client.ID, assertedClient(text))
		require.Equal(t, []any{m.client.ID, m.client.ID, "https://as.example"}, []any{claims["iss"], claims["sub"], claims["aud"]})
		require.NotEmpty(t, claims["jti"])
		exp, err := claims["exp"].(json.Number).Float64()
		require.NoError(t, err)
		require.Greater(t, exp, float64(mintNow.Unix()))
		require.LessOrEqual(t, exp, float64(mintNow.Add(maxAssertion+assertionSkew).Unix()))
		require.ErrorIs(t, m.verifyAssertion(t.Context(), m.client, text), ErrInvalidClient, "it is good once")
	})
}
