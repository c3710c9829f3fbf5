package authwright_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

func TestAssertionKeys(t *testing.T) {
	t.Parallel()
	es := newKey(t)
	rs, err := rsaKey()
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(rs.Public())
	require.NoError(t, err)
	spki := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	secret := []byte("0123456789-0123456789-0123456789-0123456789")
	jwk := func(key any, change func(*jose.JSONWebKey)) jose.JSONWebKey {
		k := jose.JSONWebKey{Key: key, KeyID: "1"}
		change(&k)
		return k
	}
	w := newWorld(t)
	type m = map[string]any
	for i, test := range []struct {
		name   string
		set    []byte
		only   string // the registered algorithm
		alg    jose.SignatureAlgorithm
		key    any
		header m
		ok     bool
	}{
		{"CA-20 ES256", keySetOf(t, es), "", jose.ES256, es, nil, true},
		{"CA-20 RS256", keySetOf(t, rs), "", jose.RS256, rs, nil, true},
		{"CA-20 PS256", keySetOf(t, rs), "", jose.PS256, rs, nil, true},
		{"CA-20 EdDSA", keySetOf(t, ed), "", jose.EdDSA, ed, nil, true},
		{"CA-20 the algorithm that is registered", keySetOf(t, rs), "PS256", jose.PS256, rs, nil, true},
		{"CA-20 not the algorithm that is registered", keySetOf(t, rs), "PS256", jose.RS256, rs, nil, false},
		{"CA-20 not the kind that is registered", keySetOf(t, rs, es), "ES256", jose.RS256, rs, nil, false},
		{"CA-20 the algorithm of the key", keySetOf(t, jwk(rs, func(k *jose.JSONWebKey) { k.Algorithm = "PS256" })), "", jose.PS256, rs, nil, true},
		{"CA-20 not the algorithm of the key", keySetOf(t, jwk(rs, func(k *jose.JSONWebKey) { k.Algorithm = "PS256" })), "", jose.RS256, rs, nil, false},
		{"CA-20 an algorithm that is not allowed", keySetOf(t, rs), "", jose.RS512, rs, nil, false},
		{"CA-20 an algorithm that is not allowed, registered", keySetOf(t, rs), "RS512", jose.RS512, rs, nil, false},
		{"CA-20 a curve that is not allowed", keySetOf(t, p384), "", jose.ES384, p384, nil, false},
		{"CA-20 HMAC with the public key as a secret", keySetOf(t, rs), "", jose.HS256, spki, nil, false},
		{"CA-20 HMAC with the public key as a secret, registered", keySetOf(t, rs), "HS256", jose.HS256, spki, nil, false},
		{"CA-20 HMAC with a secret that is registered", keySetOf(t, secret), "HS256", jose.HS256, secret, nil, false},
		{"CA-20 a key for encryption", keySetOf(t, jwk(es, func(k *jose.JSONWebKey) { k.Use = "enc" })), "", jose.ES256, es, nil, false},
		{"CA-20 a weak key", keySetOf(t, weak), "", jose.RS256, weak, nil, false},
		{"CA-20 a set with the private key in it", []byte(marshal(t, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: es}}})), "", jose.ES256, es, nil, false},
		{"CA-20 a key that is not the client's", keySetOf(t, newKey(t)), "", jose.ES256, es, nil, false},
		{"CA-20 a key in the header that is not the client's", keySetOf(t, newKey(t)), "", jose.ES256, es, m{"jwk": jose.JSONWebKey{Key: es.Public()}}, false},
		{"CA-20 a critical extension", keySetOf(t, es), "", jose.ES256, es, m{"crit": []string{"x"}, "x": 1}, false},
		{"CA-20 a payload that is not base64", keySetOf(t, es), "", jose.ES256, es, m{"b64": false}, false},
		{"CA-20 one key of several, by kid", keySetOf(t, newKey(t), jwk(es, func(*jose.JSONWebKey) {}), jwk(rs, func(k *jose.JSONWebKey) { k.KeyID = "2" })), "", jose.ES256, es, m{"kid": "1"}, true},
		{"CA-20 one key of several, without kid", keySetOf(t, newKey(t), rs, es), "", jose.ES256, es, nil, true},
		{"CA-20 the kid of another key", keySetOf(t, jwk(es, func(*jose.JSONWebKey) {})), "", jose.ES256, es, m{"kid": "2"}, false},
		{"CA-21 client-authentication+jwt", keySetOf(t, es), "", jose.ES256, es, m{"typ": "client-authentication+jwt"}, true},
		{"CA-21 client-authentication+jwt in full", keySetOf(t, es), "", jose.ES256, es, m{"typ": "application/Client-Authentication+JWT"}, true},
		{"CA-21 JWT", keySetOf(t, es), "", jose.ES256, es, m{"typ": "JWT"}, true},
		{"CA-21 no type", keySetOf(t, es), "", jose.ES256, es, nil, true},
		{"CA-23 the type of an access token", keySetOf(t, es), "", jose.ES256, es, m{"typ": "at+jwt"}, false},
		{"CA-23 the type of a request object", keySetOf(t, es), "", jose.ES256, es, m{"typ": "oauth-authz-req+jwt"}, false},
		{"CA-23 the type of a DPoP proof", keySetOf(t, es), "", jose.ES256, es, m{"typ": "dpop+jwt"}, false},
		{"CA-23 the type of a logout token", keySetOf(t, es), "", jose.ES256, es, m{"typ": "logout+jwt"}, false},
		{"CA-23 a type that is no text", keySetOf(t, es), "", jose.ES256, es, m{"typ": 1}, false},
		{"CA-22 a set with keys that nobody here can use", []byte(strings.Replace(string(keySetOf(t, es)), `[`, `[{"kty":"XYZ"},{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"},{"kty":"OKP","crv":"X25519","x":"AA"},{},7,`, 1)), "", jose.ES256, es, nil, true},
		{"CA-22 a set without keys", []byte(`{"keys":[]}`), "", jose.ES256, es, nil, false},
		{"CA-22 a set that is none", []byte(`{}`), "", jose.ES256, es, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := fmt.Sprint("signer-", i)
			w.addSigner(id, test.set, func(c *authwright.Client) { c.AuthSigningAlg = test.only })
			a := w.present(signJWT(t, test.alg, test.key, test.header, w.statement(id, nil)))
			if test.ok {
				require.Equal(t, http.StatusOK, a.status, a.body)
			} else {
				refused(t, a, "invalid_client")
			}
		})
	}
	w.addSigner("robot", keySetOf(t, es))
	for _, alg := range []string{"none", "None", "nOnE", "", "HS256", "RS1"} {
		t.Run("CA-20 the algorithm is "+alg, func(t *testing.T) {
			part := base64.RawURLEncoding.EncodeToString
			unsigned := part([]byte(marshal(t, m{"alg": alg}))) + "." + part([]byte(w.statement("robot", nil))) + "."
			refused(t, w.present(unsigned), "invalid_client")
			refused(t, w.present(unsigned+part([]byte("x"))), "invalid_client")
		})
	}
	t.Run("CA-20 where the header says that keys are, nobody looks", func(t *testing.T) {
		canary, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer canary.Close()
		at := "http://" + canary.Addr().String()
		w := newWorld(t, func(cfg *authwright.Config) { cfg.InsecureFetchLoopback = true })
		w.addSigner("robot", keySetOf(t, newKey(t)))
		for _, name := range []string{"jku", "x5u"} {
			refused(t, w.present(signJWT(t, jose.ES256, es, m{name: at}, w.statement("robot", nil))), "invalid_client")
		}
		require.NoError(t, canary.(*net.TCPListener).SetDeadline(time.Now().Add(time.Millisecond)))
		_, err = canary.Accept()
		require.Error(t, err, "nobody came")
	})
}
