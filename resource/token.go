package resource

import (
	"context"
	stdjson "encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
)

// A Token is a verified access token. It is shared by all who handle the request, and
// perhaps by other requests: treat it as read-only.
type Token struct {
	ID       string // jti; empty if an [Introspection] does not say, like IssuedAt
	Subject  string // sub: the user or, if a client acts for itself, that client
	ClientID string // client_id
	GrantID  string // grant_id; empty unless the issuer names its grants
	Scopes   []string
	IssuedAt time.Time
	Expiry   time.Time

	payload []byte
}

// HasScope reports whether t carries scope. A nil Token carries none.
func (t *Token) HasScope(scope string) bool {
	return t != nil && slices.Contains(t.Scopes, scope)
}

// Claims decodes the claims of t, all of them, into v as [encoding/json.Unmarshal]
// does.
func (t *Token) Claims(v any) error { return stdjson.Unmarshal(t.payload, v) }

type tokenKey struct{}

// FromContext returns the token of a request that [Verifier.Require] let through,
// and nil for any other.
func FromContext(ctx context.Context) *Token {
	t, _ := ctx.Value(tokenKey{}).(*Token)
	return t
}

// A refusal is why a token is not good: one of a few sentences, which the client may
// read. It has the character set of RFC 6750, section 3.
type refusal string

const (
	refusedSize      refusal = "the access token is too large"
	refusedSyntax    refusal = "the access token is malformed"
	refusedType      refusal = "the token is not an access token"
	refusedAlgorithm refusal = "the access token is signed with an algorithm that is not accepted"
	refusedExtension refusal = "the access token uses an extension that is not supported"
	refusedKey       refusal = "the access token is signed with an unknown key"
	refusedSignature refusal = "the signature of the access token is wrong"
	refusedClaims    refusal = "the access token lacks a claim or has a malformed one"
	refusedIssuer    refusal = "the access token is of another issuer"
	refusedAudience  refusal = "the access token is for another audience"
	refusedEarly     refusal = "the access token is not valid yet"
	refusedExpired   refusal = "the access token expired"
	refusedBound     refusal = "the access token is bound to a key and no proof is accepted here"
	refusedInactive  refusal = "the access token is not active"
	refusedRevoked   refusal = "the access token was revoked"
)

func (r refusal) Error() string { return ErrInvalidToken.Error() + ": " + string(r) }

func (r refusal) Unwrap() error { return ErrInvalidToken }

// claims are the members of a payload. They come from go-jose's decoder: unlike
// encoding/json it refuses repeated members and never takes ISS for iss.
type claims map[string]json.RawMessage

// read makes a Token of a payload whose signature is good (RFC 9068, section 4).
func (v *Verifier) read(payload []byte) (*Token, error) {
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, refusedClaims
	}
	return v.accept(c, payload, "iss", "aud", "exp", "sub", "client_id", "iat", "jti")
}

// accept makes a Token of the claims in payload. They must be there if they are
// required, and are checked if they are there.
func (v *Verifier) accept(c claims, payload []byte, required ...string) (*Token, error) {
	lacking := func(name string) bool { return c[name] == nil }
	if c.ambiguous() || slices.ContainsFunc(required, lacking) {
		return nil, refusedClaims
	}
	if iss, ok := c.text("iss"); !ok && !lacking("iss") {
		return nil, refusedClaims
	} else if ok && iss != v.Issuer {
		return nil, refusedIssuer
	}
	if aud, ok := c.texts("aud"); !ok {
		return nil, refusedClaims
	} else if !slices.Contains(aud, v.Audience) {
		return nil, refusedAudience
	}
	t, err := c.token()
	if err != nil {
		return nil, err
	}
	t.payload = payload
	notBefore := t.IssuedAt
	if _, ok := c["nbf"]; ok {
		nbf, ok := c.date("nbf")
		if !ok {
			return nil, refusedClaims
		}
		if nbf.After(notBefore) {
			notBefore = nbf
		}
	}
	switch now := v.now(); {
	case notBefore.After(now.Add(v.leeway())):
		return nil, refusedEarly
	case !now.Before(t.Expiry.Add(v.leeway())):
		return nil, refusedExpired
	}
	// RFC 9449, section 7.2 and RFC 8705, section 3: whoever accepts a bound token
	// without the proof makes it a bearer token again.
	if _, bound := c["cnf"]; bound {
		return nil, refusedBound
	}
	return t, nil
}

// token reads the claims that this package names.
func (c claims) token() (*Token, error) {
	t := &Token{}
	for _, claim := range []struct {
		name  string
		value *string
	}{{"jti", &t.ID}, {"sub", &t.Subject}, {"client_id", &t.ClientID}} {
		if c[claim.name] == nil {
			continue
		}
		if *claim.value, _ = c.text(claim.name); *claim.value == "" {
			return nil, refusedClaims
		}
	}
	var issued, expires bool
	t.IssuedAt, issued = c.date("iat")
	t.Expiry, expires = c.date("exp")
	if !issued && c["iat"] != nil || !expires {
		return nil, refusedClaims
	}
	if _, ok := c["grant_id"]; ok {
		if t.GrantID, ok = c.text("grant_id"); !ok {
			return nil, refusedClaims
		}
	}
	if _, ok := c["scope"]; ok {
		scope, ok := c.text("scope")
		if !ok {
			return nil, refusedClaims
		}
		t.Scopes = slices.DeleteFunc(strings.Split(scope, " "), func(s string) bool { return s == "" })
	}
	return t, nil
}

// text returns the claim name if it is a string.
func (c claims) text(name string) (string, bool) {
	raw := c[name]
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// texts returns the claim name if it is a string or an array of strings (RFC 7519,
// section 4.1.3).
func (c claims) texts(name string) ([]string, bool) {
	if s, ok := c.text(name); ok {
		return []string{s}, true
	}
	var list []*string
	if err := json.Unmarshal(c[name], &list); err != nil || list == nil || slices.Contains(list, nil) {
		return nil, false
	}
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = *s
	}
	return texts, true
}

// date returns the claim name if it is a time. RFC 7519 allows fractions and
// exponents; no issuer sends them, and every reader of them rounds differently.
func (c claims) date(name string) (time.Time, bool) {
	const lastSecond = 253402300799 // of the year 9999
	n, err := strconv.ParseUint(string(c[name]), 10, 64)
	if err != nil || n > lastSecond {
		return time.Time{}, false
	}
	return time.Unix(int64(n), 0), true
}

// ambiguous reports whether two members differ in nothing but case. encoding/json,
// and so [Token.Claims], would take the one for the other.
func (c claims) ambiguous() bool {
	var folded map[string]bool
	for name := range c {
		if !strings.ContainsFunc(name, func(r rune) bool { return 'A' <= r && r <= 'Z' || r >= utf8.RuneSelf }) {
			continue
		}
		fold := strings.ToLower(strings.ToUpper(name)) // ſ is an s, too
		if _, ok := c[fold]; fold != name && ok || folded[fold] {
			return true
		}
		if folded == nil {
			folded = make(map[string]bool)
		}
		folded[fold] = true
	}
	return false
}
