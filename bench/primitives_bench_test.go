package bench_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// signed is as long as what is signed of an access token.
var signed = []byte(strings.Repeat("x", 400))

// sign is one signature by the standard library, hash included.
func sign(key crypto.Signer) ([]byte, error) {
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256(signed)
		return ecdsa.SignASN1(rand.Reader, key, digest[:])
	case *rsa.PrivateKey:
		digest := sha256.Sum256(signed)
		return rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	default:
		return key.Sign(nil, signed, crypto.Hash(0))
	}
}

// verify is its verification.
func verify(public crypto.PublicKey, signature []byte) bool {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(signed)
		return ecdsa.VerifyASN1(public, digest[:], signature)
	case *rsa.PublicKey:
		digest := sha256.Sum256(signed)
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(public, signed, signature)
	}
	return false
}

// BenchmarkSignature is the measure of all others.
func BenchmarkSignature(b *testing.B) {
	for _, alg := range algorithms {
		b.Run("alg="+alg, func(b *testing.B) { measure(b, signing(b, alg)) })
	}
}

// signing makes one bare signature.
func signing(b *testing.B, alg string) func() {
	key := keyFor(b, alg)
	return func() {
		if signature, err := sign(key); err != nil || len(signature) < 64 {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerification(b *testing.B) {
	for _, alg := range algorithms {
		b.Run("alg="+alg, func(b *testing.B) { measure(b, verification(b, alg)) })
	}
}

// verification verifies one bare signature.
func verification(b *testing.B, alg string) func() {
	key := keyFor(b, alg)
	signature, err := sign(key)
	require.NoError(b, err)
	public := key.Public()
	return func() {
		if !verify(public, signature) {
			b.Fatal("the signature is not good")
		}
	}
}
