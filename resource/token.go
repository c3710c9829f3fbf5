package resource

import (
	"context"
	"encoding/json"
	"slices"
	"time"
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

	notBefore time.Time // the later of iat and nbf
	payload   string    // which the texts above are parts of
}

// HasScope reports whether t carries scope. A nil Token carries none.
func (t *Token) HasScope(scope string) bool {
	return t != nil && slices.Contains(t.Scopes, scope)
}

// Claims decodes the claims of t, all of them, into v as [encoding/json.Unmarshal]
// does.
func (t *Token) Claims(v any) error { return json.Unmarshal([]byte(t.payload), v) }

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
