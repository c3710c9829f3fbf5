package resource

import (
	"context"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// verifyJWT returns the token that text is by its signature (RFC 9068, section 4).
func (v *Verifier) verifyJWT(ctx context.Context, text string) (*Token, error) {
	// Reading a header costs a hundred times its size, and comes before the signature.
	if strings.IndexByte(text, '.') > maxHeader {
		return nil, refusedSyntax
	}
	jws, err := jose.ParseSignedCompact(text, v.algorithms)
	if errors.As(err, new(*jose.ErrUnexpectedSignatureAlgorithm)) {
		return nil, refusedAlgorithm
	} else if err != nil {
		return nil, refusedSyntax // the cause may quote the token
	}
	header := jws.Signatures[0].Protected
	if err := checkHeader(header); err != nil {
		return nil, err
	}
	key, err := v.cache.find(ctx, header.KeyID, jose.SignatureAlgorithm(header.Algorithm))
	if err != nil {
		return nil, err
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return nil, refusedSignature
	}
	return v.read(payload)
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
