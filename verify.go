package authwright

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// accessClaims are the claims of an access token that this server acts on.
type accessClaims struct {
	Issuer   string   `json:"iss"`
	Audience audience `json:"aud"`
	Expires  int64    `json:"exp"`
	ClientID string   `json:"client_id"`
	Subject  string   `json:"sub"`
	Scope    string   `json:"scope"`
	GrantID  string   `json:"grant_id"`

	payload []byte
}

// findAccessToken returns what an access token of this server says, and the grant that it was
// made from. The checks are those of RFC 9068, section 4, but for the audience, which is the
// caller's business. Whatever is no such token, or whose grant is gone, is ErrNotFound.
//
// The grant knows the last token by its hash, which takes a hundredth of the time that its
// signature takes; all others are verified.
func (s *Server) findAccessToken(ctx context.Context, text string) (*Grant, *accessClaims, error) {
	claims, key, err := s.allegedClaims(text)
	if err != nil {
		return nil, nil, errors.Join(ErrNotFound, err)
	}
	g, err := s.cfg.Storage.Grant(ctx, claims.GrantID)
	if err != nil {
		return nil, nil, err
	}
	if !same(g.Token, hash([]byte(text))) && !key.signed(text) {
		return nil, nil, fmt.Errorf("authwright: access token: the signature is wrong: %w", ErrNotFound)
	}
	return g, claims, nil
}

// allegedClaims are those of an access token whose signature is still to be verified, with the
// key for that. If it is one of this server, its header is that of one of its keys, byte by
// byte; so no header is parsed (RFC 8725, section 3).
func (s *Server) allegedClaims(text string) (*accessClaims, *signingKey, error) {
	header, rest, _ := strings.Cut(text, ".")
	payload, _, _ := strings.Cut(rest, ".")
	key := s.keys.at(s.now()).headers[header]
	if !isJWT(text, maxOwnHeader) || key == nil {
		return nil, nil, errors.New("authwright: not an access token of this server")
	}
	c := new(accessClaims)
	var err error
	if c.payload, err = strictBase64.DecodeString(payload); err != nil {
		return nil, nil, errors.New("authwright: access token: malformed")
	}
	if err := json.Unmarshal(c.payload, c); err != nil {
		return nil, nil, fmt.Errorf("authwright: access token: %w", err)
	}
	if c.Issuer != s.cfg.Issuer || c.GrantID == "" || len(c.GrantID) > maxGrantID || s.now().Unix() >= c.Expires {
		return nil, nil, errors.New("authwright: access token expired, or not from here")
	}
	return c, key, nil
}

const maxGrantID = 64 // bytes, and more than those that are made here have

// readJWT returns the payload of a JWT that this server signed and that has type typ.
// Only the server's own keys are tried, each with its own algorithm; whatever else the
// header says about keys is not looked at (RFC 8725, section 3).
func (s *Server) readJWT(text, typ string) ([]byte, error) {
	if !isJWT(text, maxOwnHeader) || !isCanonical(text) {
		return nil, errors.New("authwright: not a JWT")
	}
	keys := s.keys.at(s.now())
	jws, err := jose.ParseSignedCompact(text, keys.algorithms)
	if err != nil {
		return nil, errors.New("authwright: JWT: malformed") // err quotes the header
	}
	header := jws.Signatures[0].Protected
	if got := jwtType(header); got != strings.ToLower(typ) || isExtended(header) {
		return nil, fmt.Errorf("authwright: JWT: not of type %s", typ)
	}
	key := keys.byID[header.KeyID]
	if key == nil || string(key.alg) != header.Algorithm {
		return nil, errors.New("authwright: JWT: no such key")
	}
	payload, err := jws.Verify(key.public)
	if err != nil {
		return nil, errors.New("authwright: JWT: the signature is wrong")
	}
	return payload, nil
}

const (
	maxJWT       = 16 << 10
	maxOwnHeader = 512     // bytes of base64: algorithm, key and type
	maxHeader    = 4 << 10 // of others, who add certificates
)

// isJWT reports whether text has the form of a JWT whose header has at most header bytes.
// Reading a header costs a hundred times its size, and comes before the signature.
func isJWT(text string, header int) bool {
	return len(text) <= maxJWT && strings.Count(text, ".") == 2 && strings.IndexByte(text, '.') <= header
}

// isCanonical reports whether each segment of a JWT is the only spelling of what it says.
func isCanonical(jwt string) bool {
	for segment := range strings.SplitSeq(jwt, ".") {
		if _, ok := decodeSegment(segment); !ok {
			return false
		}
	}
	return true
}

// decodeSegment decodes a segment of a JWT in the only spelling of what it says. Others have line
// breaks, or bits in the last letter that nobody looks at.
func decodeSegment(segment string) ([]byte, bool) {
	b, err := strictBase64.DecodeString(segment)
	return b, err == nil && base64.RawURLEncoding.EncodedLen(len(b)) == len(segment)
}

// jwtType is the typ of h, in small letters and without the prefix that may be left out
// (RFC 7515, section 4.1.9). Without any it is empty.
func jwtType(h jose.Header) string {
	typ, ok := h.ExtraHeaders[jose.HeaderType]
	if !ok {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(fmt.Sprint(typ)), "application/")
}

// isExtended reports whether h has extensions, which whoever does not understand them must
// refuse (RFC 7515, section 4.1.11). None is understood here; go-jose knows b64, with which
// the same bytes have two meanings.
func isExtended(h jose.Header) bool {
	_, critical := h.ExtraHeaders["crit"]
	_, b64 := h.ExtraHeaders["b64"]
	return critical || b64
}

// audience is an aud claim: one string, or an array of them (RFC 7519, section 4.1.3).
type audience []string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(a))
	}
	*a = make(audience, 1)
	return json.Unmarshal(b, &(*a)[0])
}
