package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/authwright/authwright"
)

// rsaKey is the RSA key that every server of a process begins with: to make one takes
// longer than most tests.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// firstKeys are an ECDSA key for access tokens and an RSA key for ID tokens.
func firstKeys() ([]authwright.SigningKey, error) {
	es, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	rs, err := rsaKey()
	if err != nil {
		return nil, err
	}
	return []authwright.SigningKey{{Signer: es}, {Signer: rs}}, nil
}

// RotateKeys makes new keys sign from now on, of the algorithms of those there are. The
// old ones stay in the key set for as long as their tokens live. This is a rotation
// without the usual announcement: a resource server meets a token of a key it has not
// seen, and has to fetch the set again.
func (s *Server) RotateKeys() {
	s.t.Helper()
	next := s.newKeys()
	keys := slices.Concat(next, s.signingKeys())
	// The server lets a key that is new to it wait. One that it knows already signs
	// when it is told to, so it is told twice.
	for range 2 {
		if err := s.SetSigningKeys(keys...); err != nil {
			s.t.Fatalf("authtest: RotateKeys: %v", err)
		}
	}
}

// ReplaceKeys makes new keys sign, and withdraws the old ones as if they had leaked. What
// they have signed is worthless, once a resource server has fetched the new set.
func (s *Server) ReplaceKeys() {
	s.t.Helper()
	if err := s.SetSigningKeys(s.newKeys()...); err != nil {
		s.t.Fatalf("authtest: ReplaceKeys: %v", err)
	}
}

// SetSigningKeys is [authwright.Server.SetSigningKeys], with keys that [Server.Fail] reaches.
func (s *Server) SetSigningKeys(keys ...authwright.SigningKey) error {
	if err := s.Server.SetSigningKeys(s.breakable(keys)...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.Clone(keys)
	return nil
}

func (s *Server) signingKeys() []authwright.SigningKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys
}

// breakable returns keys that answer with what the server was told to fail with.
func (s *Server) breakable(keys []authwright.SigningKey) []authwright.SigningKey {
	keys = slices.Clone(keys)
	for i, key := range keys {
		if key.Signer != nil {
			keys[i].Signer = signer{key.Signer, s}
		}
	}
	return keys
}

// newKeys returns a key for each algorithm that there is a key for, in the same order.
func (s *Server) newKeys() []authwright.SigningKey {
	s.t.Helper()
	var keys []authwright.SigningKey
	var seen []string
	for _, old := range s.signingKeys() {
		kind := fmt.Sprintf("%T %s", old.Signer.Public(), old.Algorithm)
		if slices.Contains(seen, kind) {
			continue
		}
		seen = append(seen, kind)
		key, err := newKey(old.Signer.Public())
		if err != nil {
			s.t.Fatalf("authtest: a new signing key: %v", err)
		}
		// The server's time is in milliseconds, and the key must not be ahead of it.
		keys = append(keys, authwright.SigningKey{Signer: key, Algorithm: old.Algorithm, NotBefore: s.Now().Truncate(time.Millisecond)})
	}
	return keys
}

// newKey returns a key of the kind of old.
func newKey(old crypto.PublicKey) (crypto.Signer, error) {
	switch old := old.(type) {
	case *rsa.PublicKey:
		return rsa.GenerateKey(rand.Reader, old.N.BitLen())
	case ed25519.PublicKey:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
}
