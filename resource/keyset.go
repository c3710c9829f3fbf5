package resource

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// supported are the algorithms a Verifier can be told to accept. Every one of them
// has a private key that the issuer keeps to itself.
var supported = []jose.SignatureAlgorithm{
	jose.ES256, jose.ES384, jose.ES512,
	jose.PS256, jose.PS384, jose.PS512,
	jose.RS256, jose.RS384, jose.RS512,
	jose.EdDSA,
}

// A keySet is the issuer's public keys. It does not change once it is in use.
type keySet struct {
	source  []byte // what it was parsed from
	keys    map[string][]*publicKey
	fresh   time.Time // until then nobody asks for a new one
	expires time.Time // from then on it is not used
}

// A publicKey stays the same one for as long as the issuer publishes the same set.
type publicKey struct {
	alg string // empty if the key does not say
	key any    // *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey
}

// find returns the key kid if it is one for alg, and nil if there is none. A key is
// for one algorithm or one family, so the token cannot choose how it is used
// (RFC 8725, section 3.1).
func (s *keySet) find(kid string, alg jose.SignatureAlgorithm) *publicKey {
	for _, k := range s.keys[kid] {
		if (k.alg == "" || k.alg == string(alg)) && verifies(k.key, alg) {
			return k
		}
	}
	return nil
}

func verifies(key any, alg jose.SignatureAlgorithm) bool {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return alg == jose.ES256 && key.Curve == elliptic.P256() ||
			alg == jose.ES384 && key.Curve == elliptic.P384() ||
			alg == jose.ES512 && key.Curve == elliptic.P521()
	case *rsa.PublicKey:
		return strings.HasPrefix(string(alg), "RS") || strings.HasPrefix(string(alg), "PS")
	case ed25519.PublicKey:
		return alg == jose.EdDSA
	}
	return false
}

// parseKeys returns the keys of a JSON Web Key Set by their IDs. As RFC 7517,
// section 5 wants it, one that is not understood does not spoil the others.
func parseKeys(source []byte) (map[string][]*publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(source, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys := make(map[string][]*publicKey, len(set.Keys))
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(raw); err != nil || k.Use != "" && k.Use != "sig" {
			continue
		}
		switch key := k.Key.(type) {
		case *rsa.PublicKey:
			if key.N.BitLen() < 2048 { // RFC 7518, section 3.3
				continue
			}
		case *ecdsa.PublicKey, ed25519.PublicKey:
		default: // a secret or private key has no business here
			continue
		}
		keys[k.KeyID] = append(keys[k.KeyID], &publicKey{k.Algorithm, k.Key})
	}
	if len(keys) == 0 {
		return nil, errors.New("key set: there is no usable key in it")
	}
	return keys, nil
}
