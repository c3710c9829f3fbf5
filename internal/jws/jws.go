// Package jws verifies signatures of JSON Web Tokens whose header is known already (RFC 7515,
// section 5.2). What it takes and what go-jose takes is the same, but for other spellings.
package jws

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"

	"github.com/go-jose/go-jose/v4"
)

var strict = base64.RawURLEncoding.Strict()

// Decode decodes a segment in the only spelling of what it says, into room if there is enough. Other
// spellings have line breaks, or bits in the last letter that nobody looks at.
func Decode(room []byte, segment string) ([]byte, bool) {
	data, err := strict.AppendDecode(room, []byte(segment))
	return data, err == nil && strict.EncodedLen(len(data)) == len(segment)
}

// Sum256 returns the SHA-256 of text. For that, a token of usual size is copied to the stack only.
func Sum256(text string) [sha256.Size]byte {
	var room [1 << 10]byte
	if len(text) > len(room) {
		return sha256.Sum256([]byte(text))
	}
	return sha256.Sum256(room[:copy(room[:], text)])
}

// Verify reports whether signature is one of input by the owner of key, which must be a key for alg.
func Verify(alg jose.SignatureAlgorithm, key crypto.PublicKey, input string, signature []byte) bool {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, []byte(input), signature)
	case *ecdsa.PublicKey:
		var room [sha512.Size]byte
		_, digest := digestFor(alg, input, room[:0])
		size := (key.Curve.Params().BitSize + 7) / 8 // RFC 7518, section 3.4
		return len(signature) == 2*size && ecdsa.VerifyASN1(key, digest, asn1(signature[:size], signature[size:]))
	case *rsa.PublicKey:
		hash, digest := digestFor(alg, input, nil)
		if alg[:2] == "PS" {
			return rsa.VerifyPSS(key, hash, digest, signature, nil) == nil // with salt of any length
		}
		return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	}
	return false
}

// digestFor returns the hash function of alg (RFC 7518, section 3.1), and what it makes of input,
// in room if there is enough.
func digestFor(alg jose.SignatureAlgorithm, input string, room []byte) (crypto.Hash, []byte) {
	switch alg[2:] {
	case "384":
		sum := sha512.Sum384([]byte(input))
		return crypto.SHA384, append(room, sum[:]...)
	case "512":
		sum := sha512.Sum512([]byte(input))
		return crypto.SHA512, append(room, sum[:]...)
	}
	sum := Sum256(input)
	return crypto.SHA256, append(room, sum[:]...)
}

// asn1 returns the signature of r and s as crypto/ecdsa wants it: a sequence of two integers in
// DER. By way of [math/big] this takes ten allocations instead of one.
func asn1(r, s []byte) []byte {
	const sequence, integer, longer = 0x30, 0x02, 0x81
	der := make([]byte, 3, 3+2*(3+len(r)))
	for _, n := range [][]byte{r, s} {
		n = bytes.TrimLeft(n, "\x00")
		sign := 0
		if len(n) == 0 || n[0] >= 0x80 {
			sign = 1 // a zero, lest it be negative
		}
		der = append(der, integer, byte(sign+len(n)))
		der = append(der, make([]byte, sign)...)
		der = append(der, n...)
	}
	if length := byte(len(der) - 3); length >= 0x80 {
		der[0], der[1], der[2] = sequence, longer, length
		return der
	}
	der[1], der[2] = sequence, byte(len(der)-3)
	return der[1:]
}
