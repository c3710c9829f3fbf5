package authwright

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/authwright/authwright/internal/jws"
	"github.com/authwright/authwright/internal/plain"
)

// accessClaims are the claims of an access token that this server acts on.
type accessClaims struct {
	Issuer   string   `json:"iss"`
	Audience audience `json:"aud"`
	Expires  int64    `json:"exp"`
	Subject  string   `json:"sub"`
	Scope    string   `json:"scope"`
	GrantID  string   `json:"grant_id"`

	payload string
}

// parseAccessClaims reads a payload.
func parseAccessClaims(payload string) (*accessClaims, error) {
	if c, ok := plainAccessClaims(payload); ok {
		return c, nil
	}
	c := &accessClaims{payload: payload}
	if err := json.Unmarshal([]byte(payload), c); err != nil {
		return nil, fmt.Errorf("authwright: access token: %w", err)
	}
	return c, nil
}

// plainAccessClaims does the same for most payloads, in a fraction of the time.
func plainAccessClaims(payload string) (c *accessClaims, ok bool) {
	var room [16]plain.Member
	members, ok := plain.Members(payload, room[:0])
	if !ok {
		return nil, false
	}
	c = &accessClaims{payload: payload}
	for _, m := range members {
		switch m.Name {
		case "iss":
			c.Issuer, ok = plain.Text(m.Value)
		case "aud":
			c.Audience, ok = plainAudience(m.Value)
		case "exp":
			var err error
			c.Expires, err = strconv.ParseInt(m.Value, 10, 64)
			ok = err == nil
		case "sub":
			c.Subject, ok = plain.Text(m.Value)
		case "scope":
			c.Scope, ok = plain.Text(m.Value)
		case "grant_id":
			c.GrantID, ok = plain.Text(m.Value)
		}
		if !ok {
			return nil, false
		}
	}
	return c, true
}

func plainAudience(value string) (audience, bool) {
	if text, ok := plain.Text(value); ok {
		return audience{text}, true
	}
	texts, ok := plain.Texts(value)
	if !ok {
		return nil, false
	}
	return slices.Collect(texts), true
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
	if sum := jws.Sum256(text); !same(g.Token, sum[:]) && !key.signed(text) {
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
	var room [1 << 10]byte // of which a string is made
	decoded, ok := jws.Decode(room[:0], payload)
	if !ok {
		return nil, nil, errors.New("authwright: access token: malformed")
	}
	c, err := parseAccessClaims(string(decoded))
	if err != nil {
		return nil, nil, err
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
	parsed, err := jose.ParseSignedCompact(text, keys.algorithms)
	if err != nil {
		return nil, errors.New("authwright: JWT: malformed") // err quotes the header
	}
	header := parsed.Signatures[0].Protected
	if got := jwtType(header); got != strings.ToLower(typ) || isExtended(header) {
		return nil, fmt.Errorf("authwright: JWT: not of type %s", typ)
	}
	key := keys.byID[header.KeyID]
	if key == nil || string(key.alg) != header.Algorithm {
		return nil, errors.New("authwright: JWT: no such key")
	}
	payload, err := parsed.Verify(key.public)
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
		if _, ok := jws.Decode(nil, segment); !ok {
			return false
		}
	}
	return true
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
