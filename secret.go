package authwright

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// A secret is what a browser or a client holds to move a grant on: the consent
// form's handle, a code or a refresh token. It names its grant, so that one read
// by key finds it, and carries 256 random bits (RFC 6749, section 10.10).
//
// For a refresh token the bits fall into two halves. All tokens of a chain share
// the lineage and each has its own turn, so that a spent token is told from a
// forged one without keeping the spent ones.
type secret struct{ id, lineage, turn [16]byte }

func newSecret() (s secret) {
	rand.Read(s.id[:])
	return s.redraw()
}

// redraw returns a fresh secret for the same grant.
func (s secret) redraw() secret {
	rand.Read(s.lineage[:])
	rand.Read(s.turn[:])
	return s
}

// next returns the successor of s in its chain.
func (s secret) next() secret {
	rand.Read(s.turn[:])
	return s
}

const secretSize = 48

// String returns the secret as it is on the wire.
func (s secret) String() string {
	var b [secretSize]byte
	copy(b[:], s.id[:])
	copy(b[16:], s.lineage[:])
	copy(b[32:], s.turn[:])
	return encode(b[:])
}

func (s secret) grantID() string { return encode(s.id[:]) }

// encode is base64url for what is short.
func encode(b []byte) string {
	var text [64]byte
	return string(base64.RawURLEncoding.AppendEncode(text[:0], b))
}

// parseSecret reads what String wrote, and only in that spelling.
func parseSecret(text string) (s secret, ok bool) {
	var b [secretSize]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(secretSize) {
		return s, false
	}
	if n, err := strictBase64.Decode(b[:], []byte(text)); err != nil || n != secretSize { // it skips line breaks
		return s, false
	}
	copy(s.id[:], b[:])
	copy(s.lineage[:], b[16:])
	copy(s.turn[:], b[32:])
	return s, true
}

var strictBase64 = base64.RawURLEncoding.Strict()

// hash is what a grant keeps of a one-time secret.
func (s secret) hash() []byte {
	var b [32]byte
	copy(b[copy(b[:], s.lineage[:]):], s.turn[:])
	return hash(b[:])
}

// startChain makes s the first refresh token of g.
func (g *Grant) startChain(s secret) {
	g.Lineage = hash(s.lineage[:])
	g.Turn = hash(s.turn[:])
	g.Previous, g.Sealed = nil, nil
}

// rotate makes next the live refresh token of g in the place of s.
func (g *Grant) rotate(s, next secret) {
	g.Previous = g.Turn
	g.Turn = hash(next.turn[:])
	g.Sealed = mask(s, next.turn)
}

// successor returns the token that s was rotated into, which only somebody who
// holds s can ask for: the storage keeps it masked with a hash of s.
func (g *Grant) successor(s secret) (next secret, ok bool) {
	if len(g.Sealed) != len(next.turn) {
		return next, false
	}
	next = s
	copy(next.turn[:], mask(s, [16]byte(g.Sealed)))
	return next, same(g.Turn, hash(next.turn[:]))
}

// mask hides turn under a key that is derived from s, and brings it back.
func mask(s secret, turn [16]byte) []byte {
	var in [len(maskDomain) + secretSize]byte
	n := copy(in[:], maskDomain)
	n += copy(in[n:], s.id[:])
	n += copy(in[n:], s.lineage[:])
	copy(in[n:], s.turn[:])
	key := sha256.Sum256(in[:])
	subtle.XORBytes(turn[:], turn[:], key[:])
	return turn[:]
}

const maskDomain = "authwright sealed successor 1\x00"

func hash(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

// same compares two hashes in constant time. An empty hash is the same as none.
func same(a, b []byte) bool {
	return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1
}
