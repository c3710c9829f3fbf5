package authwright

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// OpenID makes the server an OpenID Provider (OpenID Connect Core 1.0) for requests with
// the scope openid. It needs an RSA key among [Config.SigningKeys], because every client
// may rely on RS256; it need not be the first.
type OpenID struct {
	// UserInfo returns what is known of a user, under the names of OpenID Connect
	// Core, section 5.1, and of the host's own. A client gets of it what its scopes
	// cover, and what it asked for by name and the user was shown. Nil means that
	// nothing but the subject is known. It runs for every ID token and every request
	// for user information; if it returns [ErrAccessDenied], the user may not have
	// tokens now.
	UserInfo func(ctx context.Context, subject string) (map[string]any, error)

	// Logout ends the host's session of the user of r, by a cookie on w for
	// instance, and writes no body. Nil means that clients cannot log users out.
	// With [Config.Index] the clients that the user has signed in to are told, and
	// what they got without offline_access is revoked. A host's own button can do
	// all this, too, by a form that posts confirm=yes to [Server.ServeLogout].
	Logout func(w http.ResponseWriter, r *http.Request) error

	// IDTokenLifetime is five minutes if zero.
	IDTokenLifetime time.Duration
}

// standardScopes are those of OpenID Connect Core, sections 5.4 and 11, and the claims
// they cover.
var standardScopes = []Scope{
	{Name: "openid", Description: "Know who you are"},
	{Name: "profile", Description: "See your profile, such as your name and picture", Claims: []string{
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
		"picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
	}},
	{Name: "email", Description: "See your email address", Claims: []string{"email", "email_verified"}},
	{Name: "address", Description: "See your postal address", Claims: []string{"address"}},
	{Name: "phone", Description: "See your phone number", Claims: []string{"phone_number", "phone_number_verified"}},
	{Name: "offline_access", Description: "Do all this while you are not there"},
}

// withOpenID adds to cfg what an OpenID Provider has.
func (cfg *Config) withOpenID() error {
	if cfg.OpenID == nil {
		return nil
	}
	openID := *cfg.OpenID
	cfg.OpenID = &openID
	if openID.IDTokenLifetime == 0 {
		cfg.OpenID.IDTokenLifetime = 5 * time.Minute
	}
	if cfg.OpenID.IDTokenLifetime < time.Second || cfg.OpenID.IDTokenLifetime > 24*time.Hour {
		return errors.New("OpenID: IDTokenLifetime must be between a second and a day")
	}
	var names []string
	for _, sc := range standardScopes {
		names = append(names, sc.Name)
		if i := slices.IndexFunc(cfg.Scopes, func(own Scope) bool { return own.Name == sc.Name }); i < 0 {
			cfg.Scopes = append(cfg.Scopes, sc)
		} else if cfg.Scopes[i].Claims == nil {
			cfg.Scopes[i].Claims = sc.Claims
		}
	}
	// The server is itself a resource, with the userinfo endpoint.
	i := slices.IndexFunc(cfg.Resources, func(r Resource) bool { return canonicalResource(r.ID) == canonicalResource(cfg.Issuer) })
	if i < 0 {
		cfg.Resources = append(cfg.Resources, Resource{ID: cfg.Issuer, Scopes: names})
	} else if cfg.Resources[i].ID != cfg.Issuer {
		return fmt.Errorf("Resources: %q must be spelled like Issuer, which it is with OpenID", cfg.Resources[i].ID)
	}
	return nil
}

func isStandardScope(name string) bool {
	return slices.ContainsFunc(standardScopes, func(sc Scope) bool { return sc.Name == name })
}

// isOpenID reports whether a request with these scopes is one of OpenID Connect
// (OpenID Connect Core, section 3.1.2.1).
func (s *Server) isOpenID(scopes []string) bool {
	return s.cfg.OpenID != nil && slices.Contains(scopes, "openid")
}

// covered are the claims that scopes disclose.
func (s *Server) covered(scopes []string) []string {
	var names []string
	for _, sc := range s.cfg.Scopes {
		if slices.Contains(scopes, sc.Name) {
			names = append(names, sc.Claims...)
		}
	}
	return names
}

// userClaims are the claims of g's user with the given names, as far as they are known. The
// host is asked even if there are none, because it may deny the user everything.
func (s *Server) userClaims(ctx context.Context, g *Grant, names []string) (map[string]any, error) {
	claims := make(map[string]any)
	if s.cfg.OpenID.UserInfo == nil {
		return claims, nil
	}
	known, err := s.cfg.OpenID.UserInfo(ctx, g.Subject)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		value, err := json.Marshal(known[name])
		if err != nil {
			return nil, fmt.Errorf("authwright: OpenID.UserInfo: the claim %q: %w", name, err)
		}
		if !slices.Contains(nothing, string(value)) && !slices.Contains(reservedClaims, name) {
			claims[name] = json.RawMessage(value)
		}
	}
	return claims, nil
}

// nothing is what a claim that is not known looks like. Section 5.3.2 has it left out.
var nothing = []string{`null`, `""`, `[]`, `{}`}

// idToken signs an ID token for g (OpenID Connect Core, section 2). On refresh it says of
// the login what the first one said, and has no nonce (section 12.2).
func (s *Server) idToken(ctx context.Context, c *Client, g *Grant, now time.Time, access []byte) ([]byte, error) {
	key := s.keys.at(now).signing[c.idTokenAlg()]
	if key == nil {
		return nil, errors.New("authwright: no signing key for the client's IDTokenAlg")
	}
	asked := slices.Collect(maps.Keys(readClaims(g.Claims).IDToken))
	known, err := s.userClaims(ctx, g, asked)
	if err != nil {
		return nil, err
	}
	user, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	claims := newObject(512+len(user)).members(user).
		text("iss", s.cfg.Issuer).text("sub", g.Subject).text("aud", c.ID).
		number("iat", now.Unix()).number("exp", now.Add(s.cfg.OpenID.IDTokenLifetime).Unix()).
		text("at_hash", key.leftHash(access))
	if g.Nonce != "" {
		claims = claims.text("nonce", g.Nonce)
	}
	if g.Session != "" {
		claims = claims.text("sid", g.Session)
	}
	return key.sign(typeIDToken, g.describeLogin(claims).json())
}

// describeLogin adds how the user of g signed in when the grant began, which does not change
// when tokens are refreshed (RFC 9068, section 2.2.1).
func (g *Grant) describeLogin(claims object) object {
	if !g.AuthTime.IsZero() {
		claims = claims.number("auth_time", g.AuthTime.Unix())
	}
	if g.ACR != "" {
		claims = claims.text("acr", g.ACR)
	}
	if len(g.AMR) > 0 {
		claims = claims.texts("amr", g.AMR)
	}
	return claims
}

// idTokenHint is what an ID token says that a client got here before. It may have
// expired; it must have been signed here.
type idTokenHint struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Session  string   `json:"sid"`
}

func (s *Server) readIDToken(text string) (*idTokenHint, error) {
	payload, err := s.readJWT(text, typeIDToken)
	if err != nil {
		return nil, err
	}
	hint := new(idTokenHint)
	if err := json.Unmarshal(payload, hint); err != nil {
		return nil, err
	}
	if hint.Issuer != s.cfg.Issuer || hint.Subject == "" || len(hint.Audience) != 1 {
		return nil, errors.New("authwright: not an ID token of this server")
	}
	return hint, nil
}
