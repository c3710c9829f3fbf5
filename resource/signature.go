package resource

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"maps"
	"strings"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"
)

// go-jose parses a header several times and encodes again what it has decoded, which makes a
// token cost a fifth more. An issuer writes few headers, though: one for each key. Here is what is
// left to do once go-jose has accepted one.

// A header is what counts of one that was accepted.
type header struct {
	kid string
	alg jose.SignatureAlgorithm
}

// maxHeaders is how many headers are remembered at most.
const maxHeaders = 16

// headers are those of good signatures, by their text in tokens. A stranger can add none.
type headers struct {
	known atomic.Pointer[map[string]header]
}

func (hs *headers) find(text string) (header, bool) {
	known := hs.known.Load()
	if known == nil {
		return header{}, false
	}
	h, ok := (*known)[text]
	return h, ok
}

// keep remembers h, if no other text stands for the same. If another request does so at the
// same time, this one is in vain, and there will be more.
func (hs *headers) keep(text string, h header) {
	if _, ok := decode(nil, text); !ok {
		return
	}
	old, known := hs.known.Load(), make(map[string]header)
	if old != nil && len(*old) < maxHeaders {
		maps.Copy(known, *old)
	}
	known[strings.Clone(text)] = h // and not the token around it
	hs.known.CompareAndSwap(old, &known)
}

// A compact is a JWS in compact serialization, taken apart (RFC 7515, section 7.1).
type compact struct {
	header    string // as it was sent
	input     string // of the signature
	payload   string
	signature []byte
}

// split takes text apart if no other text stands for the same. What else go-jose accepts, it
// may: bits that stand for nothing.
func split(text string) (c compact, ok bool) {
	var payload, signature string
	if c.header, payload, ok = strings.Cut(text, "."); !ok {
		return c, false
	}
	if payload, signature, ok = strings.Cut(payload, "."); !ok {
		return c, false
	}
	c.input = text[:len(text)-len(signature)-1]
	var room [1 << 10]byte // of which a string is made
	decoded, ok := decode(room[:0], payload)
	if !ok {
		return c, false
	}
	c.payload = string(decoded)
	c.signature, ok = decode(nil, signature)
	return c, ok
}

var strict = base64.RawURLEncoding.Strict()

// decode decodes base64url that encoding would give again, into room if there is enough.
func decode(room []byte, text string) ([]byte, bool) {
	data, err := strict.AppendDecode(room, []byte(text))
	return data, err == nil && strict.EncodedLen(len(data)) == len(text)
}

// verify reports whether signature is one of input by k, which must be a key for alg.
func (k *publicKey) verify(alg jose.SignatureAlgorithm, input string, signature []byte) bool {
	if key, ok := k.key.(ed25519.PublicKey); ok {
		return ed25519.Verify(key, []byte(input), signature)
	}
	var room [sha512.Size]byte
	hash, digest := digestFor(alg, input, room[:0])
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		size := (key.Curve.Params().BitSize + 7) / 8 // RFC 7518, section 3.4
		return len(signature) == 2*size && ecdsa.VerifyASN1(key, digest, asn1(signature[:size], signature[size:]))
	case *rsa.PublicKey:
		if alg[:2] == "PS" {
			return rsa.VerifyPSS(key, hash, digest, signature, nil) == nil
		}
		return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	}
	return false
}

// digestFor returns the hash function of alg (RFC 7518, section 3.1), and in room what it makes
// of input.
func digestFor(alg jose.SignatureAlgorithm, input string, room []byte) (crypto.Hash, []byte) {
	switch alg[2:] {
	case "384":
		sum := sha512.Sum384([]byte(input))
		return crypto.SHA384, append(room, sum[:]...)
	case "512":
		sum := sha512.Sum512([]byte(input))
		return crypto.SHA512, append(room, sum[:]...)
	}
	sum := hash(input)
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
