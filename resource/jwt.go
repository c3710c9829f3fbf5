package resource

import (
	"context"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/authwright/authwright/internal/jws"
)

// verifyJWT returns the token that text is by its signature (RFC 9068, section 4). What does
// not change while the issuer has the key is not asked again of a token that comes again.
func (v *Verifier) verifyJWT(ctx context.Context, text string) (*Token, error) {
	id := jws.Sum256(text)
	if s := v.seen.find(&id); s != nil {
		key, err := v.cache.find(ctx, s.header.kid, s.header.alg)
		if err != nil {
			return nil, err
		}
		if key == s.key { // another of the same name has to prove itself
			return s.token, v.checkTime(s.token)
		}
	}
	c, plain := split(text)
	h, known := v.headers.find(c.header)
	if !plain || !known {
		return v.verifyJWS(ctx, text)
	}
	key, err := v.cache.find(ctx, h.kid, h.alg)
	if err != nil {
		return nil, err
	}
	if !jws.Verify(h.alg, key.key, c.input, c.signature) {
		return nil, refusedSignature
	}
	t, err := v.read(c.payload)
	if err == nil && len(text) <= maxSeen {
		v.seen.keep(&seen{id, h, key, t})
	}
	return t, err
}

// verifyJWS does the same by go-jose, which knows all that a token can be, and remembers the
// header.
func (v *Verifier) verifyJWS(ctx context.Context, text string) (*Token, error) {
	// Reading a header costs a hundred times its size, and comes before the signature.
	if strings.IndexByte(text, '.') > maxHeader || !isB64Token(text) {
		return nil, refusedSyntax
	}
	parsed, err := jose.ParseSignedCompact(text, v.algorithms)
	if errors.As(err, new(*jose.ErrUnexpectedSignatureAlgorithm)) {
		return nil, refusedAlgorithm
	} else if err != nil {
		return nil, refusedSyntax // the cause may quote the token
	}
	protected := parsed.Signatures[0].Protected
	if err := checkHeader(protected); err != nil {
		return nil, err
	}
	h := header{protected.KeyID, jose.SignatureAlgorithm(protected.Algorithm)}
	key, err := v.cache.find(ctx, h.kid, h.alg)
	if err != nil {
		return nil, err
	}
	payload, err := parsed.Verify(key.key)
	if err != nil {
		return nil, refusedSignature
	}
	encoded, _, _ := strings.Cut(text, ".")
	v.headers.keep(encoded, h)
	return v.read(string(payload))
}

// checkHeader is about what alg does not say. Keys that come with the token (jwk,
// jku, x5c, x5u) are not looked at (RFC 8725, section 3.10).
func checkHeader(h jose.Header) error {
	// RFC 9068, section 4: "The resource server MUST verify that the "typ" header
	// value is "at+jwt" or "application/at+jwt" and reject tokens carrying any
	// other value." It is what keeps an ID token from passing.
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	if !strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt") {
		return refusedType
	}
	// No extension is understood here (RFC 7515, section 4.1.11). b64 is one that
	// go-jose would accept.
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, ok := h.ExtraHeaders[name]; ok {
			return refusedExtension
		}
	}
	if h.KeyID == "" {
		return refusedKey
	}
	return nil
}
