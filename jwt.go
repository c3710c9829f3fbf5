package authwright

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// typeAccessToken is the typ of RFC 9068, section 2.1, which keeps other JWTs of the
// same issuer from passing for access tokens.
const typeAccessToken = "at+jwt"

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
	if !g.AuthTime.IsZero() {
		claims["auth_time"] = g.AuthTime.Unix()
	}
	if g.ACR != "" {
		claims["acr"] = g.ACR
	}
	if len(g.AMR) > 0 {
		claims["amr"] = g.AMR
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("authwright: Config.Claims: %w", err)
	}
	return s.keys.at(now).access.sign(payload)
}

// audience is one string for one resource (RFC 7519, section 4.1.3).
func audience(resources []string) any {
	if len(resources) == 1 {
		return resources[0]
	}
	return resources
}

func (k *signingKey) sign(payload []byte) (string, error) {
	jws, err := k.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("authwright: signing: %w", err)
	}
	return jws.CompactSerialize()
}
