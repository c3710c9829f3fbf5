package authwright

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Every kind of JWT has its own typ, which keeps one from passing for another
// (RFC 8725, section 3.11).
const (
	typeAccessToken = "at+jwt"     // RFC 9068, section 2.1
	typeIDToken     = "JWT"        // which is what verifiers of ID tokens expect
	typeLogoutToken = "logout+jwt" // OpenID Connect Back-Channel Logout, section 2.4
)

// reservedClaims are defined by the protocol, here or in a token this server might
// be made to issue; a host that could set them could contradict it.
var reservedClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "grant_id",
	"auth_time", "acr", "amr", "cnf", "act", "may_act", "authorization_details",
	"nonce", "azp", "at_hash", "c_hash", "s_hash", "sid", "events", "active", "token_type",
}

// accessToken signs an access token for g in the profile of RFC 9068. The Resources of g are
// the token's, and so are its Scopes, of which scope is the text.
func (s *Server) accessToken(ctx context.Context, g *Grant, scope string, now, expires time.Time) ([]byte, error) {
	claims := newObject(768)
	if s.cfg.Claims != nil {
		extra, err := s.hostClaims(ctx, g)
		if err != nil {
			return nil, err
		}
		claims = claims.members(extra)
	}
	claims = claims.text("iss", s.cfg.Issuer).text("sub", g.Subject)
	if len(g.Resources) == 1 { // RFC 7519, section 4.1.3
		claims = claims.text("aud", g.Resources[0])
	} else {
		claims = claims.texts("aud", g.Resources)
	}
	claims = claims.number("exp", expires.Unix()).number("iat", now.Unix()).text("jti", rand.Text()).
		text("client_id", g.ClientID).text("grant_id", g.ID)
	if scope != "" {
		claims = claims.text("scope", scope)
	}
	return s.keys.at(now).access.sign(typeAccessToken, g.describeLogin(claims).json())
}

// hostClaims is what the host adds to an access token for g, as a JSON object.
func (s *Server) hostClaims(ctx context.Context, g *Grant) ([]byte, error) {
	extra, err := s.cfg.Claims(ctx, g.clone())
	if err != nil {
		return nil, err
	}
	for name := range extra {
		if slices.Contains(reservedClaims, name) {
			return nil, fmt.Errorf("authwright: Config.Claims returned the claim %q, which the protocol defines", name)
		}
	}
	if extra == nil {
		extra = map[string]any{}
	}
	claims, err := json.Marshal(extra)
	if err != nil {
		return nil, fmt.Errorf("authwright: Config.Claims: %w", err)
	}
	return claims, nil
}

// leftHash is the left half of the hash of a token, by the hash that the key's
// algorithm uses (OpenID Connect Core, section 3.1.3.6).
func (k *signingKey) leftHash(token []byte) string {
	if k.alg == jose.EdDSA {
		sum := sha512.Sum512(token)
		return base64.RawURLEncoding.EncodeToString(sum[:sha512.Size/2])
	}
	return encode(hash(token)[:16])
}
