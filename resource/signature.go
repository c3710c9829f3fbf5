package resource

import (
	"maps"
	"strings"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"

	"github.com/authwright/authwright/internal/jws"
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
	if _, ok := jws.Decode(nil, text); !ok {
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
	decoded, ok := jws.Decode(room[:0], payload)
	if !ok {
		return c, false
	}
	c.payload = string(decoded)
	c.signature, ok = jws.Decode(nil, signature)
	return c, ok
}
