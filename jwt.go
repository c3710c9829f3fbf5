package authwright

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// accessToken signs an access token for g in the profile of RFC 9068. The Scopes and
// Resources of g are the token's.
func (s *Server) accessToken(ctx context.Context, g *Grant, now, expires time.Time) (string, error) {
	claims := make(map[string]any, 16)
	if s.cfg.Claims != nil {
		extra, err := s.cfg.Claims(ctx, g.clone())
		if err != nil {
			return "", err
		}
		for name := range extra {
			if slices.Contains(reservedClaims, name) {
				return "", fmt.Errorf("authwright: Config.Claims returned the claim %q, which the protocol defines", name)
			}
		}
		maps.Copy(claims, extra)
	}
	claims["iss"] = s.cfg.Issuer
	claims["sub"] = g.Subject
	claims["aud"] = audience(g.Resources)
	claims["exp"] = expires.Unix()
	claims["iat"] = now.Unix()
	claims["jti"] = rand.Text()
	claims["client_id"] = g.ClientID
	claims["grant_id"] = g.ID
	if len(g.Scopes) > 0 {
		claims["scope"] = strings.Join(g.Scopes, " ")
	}
	// Section 2.2.1: what is said of the user's login is said of the original one.
	g.describeLogin(claims)
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("authwright: Config.Claims: %w", err)
	}
	return s.keys.at(now).access.sign(typeAccessToken, payload)
}

// sign returns payload as a JWT of type typ.
func (k *signingKey) sign(typ string, payload []byte) (string, error) {
	jws, err := k.signers[typ].Sign(payload)
	if err != nil {
		return "", fmt.Errorf("authwright: signing: %w", err)
	}
	return jws.CompactSerialize()
}

// leftHash is the left half of the hash of a token, by the hash that the key's
// algorithm uses (OpenID Connect Core, section 3.1.3.6).
func (k *signingKey) leftHash(token string) string {
	if k.alg == jose.EdDSA {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:sha512.Size/2])
	}
	return base64.RawURLEncoding.EncodeToString(hash([]byte(token))[:16])
}
