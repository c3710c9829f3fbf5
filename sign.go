package authwright

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/authwright/authwright/internal/jws"
)

// This page makes a JWS of what this server says itself: two segments and a signature, by a
// key that was checked when it was configured (RFC 7515, section 7.1), and recognises one that
// comes back. go-jose would take a quarter of a signature longer to assemble the same bytes; it
// reads all that others have written, and the tests hold the two against each other.

// sign returns payload as a JWT of type typ.
func (k *signingKey) sign(typ string, payload []byte) ([]byte, error) {
	header := k.headers[typ]
	token := make([]byte, 0, len(header)+1+base64.RawURLEncoding.EncodedLen(len(payload))+1+base64.RawURLEncoding.EncodedLen(k.size))
	token = append(append(token, header...), '.')
	token = base64.RawURLEncoding.AppendEncode(token, payload)
	signature, err := k.signature(token)
	if err != nil {
		return nil, fmt.Errorf("authwright: signing: %w", err)
	}
	token = append(token, '.')
	if k.alg != jose.ES256 {
		return base64.RawURLEncoding.AppendEncode(token, signature), nil
	}
	fixed, err := fixedSignature(signature)
	if err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.AppendEncode(token, fixed[:]), nil
}

// signature is that of RFC 7518, section 3 or RFC 8037, section 3.1, but in DER for ECDSA.
func (k *signingKey) signature(input []byte) ([]byte, error) {
	if k.alg == jose.EdDSA {
		return k.signer.Sign(rand.Reader, input, crypto.Hash(0))
	}
	var opts crypto.SignerOpts = crypto.SHA256
	if k.alg == jose.PS256 {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	digest := sha256.Sum256(input)
	return k.signer.Sign(randomness(k.signer), digest[:], opts)
}

// signed reports whether text is a JWS that k has signed, in the only spelling there is.
func (k *signingKey) signed(text string) bool {
	i := strings.LastIndexByte(text, '.')
	var room [512]byte
	signature, ok := jws.Decode(room[:0], text[i+1:])
	return i >= 0 && ok && jws.Verify(k.alg, k.public.Key, text[:i], signature)
}

// randomness is what signer may use. A key in memory needs none for ECDSA: what it derives
// from key and message (RFC 6979) is as good, and sooner there.
func randomness(signer crypto.Signer) io.Reader {
	if _, ok := signer.(*ecdsa.PrivateKey); ok {
		return nil
	}
	return rand.Reader
}

var errSignature = errors.New("authwright: signing: the Signer returned no ECDSA signature")

// fixedSignature turns the DER of a P-256 signature, as every [crypto.Signer] returns it, into
// the two numbers of 32 bytes of RFC 7518, section 3.4. At this size each length is one byte.
func fixedSignature(der []byte) (signature [64]byte, err error) {
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return signature, errSignature
	}
	rest := der[2:]
	for _, number := range [...][]byte{signature[:32], signature[32:]} {
		if len(rest) < 2 || rest[0] != 0x02 || int(rest[1]) > len(rest)-2 {
			return signature, errSignature
		}
		digits := rest[2 : 2+rest[1]]
		rest = rest[2+rest[1]:]
		for len(digits) > 0 && digits[0] == 0 {
			digits = digits[1:]
		}
		if len(digits) == 0 || len(digits) > len(number) {
			return signature, errSignature
		}
		copy(number[len(number)-len(digits):], digits)
	}
	if len(rest) != 0 {
		return signature, errSignature
	}
	return signature, nil
}
