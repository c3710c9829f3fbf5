package authwright

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// ServeIntrospect serves the introspection endpoint (RFC 7662) for clients that
// authenticate. A client learns about its own tokens and, if it is a resource server,
// about access tokens for the resources it serves; of all others it learns nothing.
func (s *Server) ServeIntrospect(w http.ResponseWriter, r *http.Request) {
	s.serveAPI(w, r, s.introspect, http.MethodPost)
}

func (s *Server) introspect(w http.ResponseWriter, r *http.Request) (any, error) {
	f, err := readParams(w, r, revocationParams)
	if err != nil {
		return nil, err
	}
	c, err := s.authenticateClient(w, r, f)
	if err != nil {
		return nil, err
	}
	if c.public() || c.Disabled {
		// Section 2.1: an endpoint that anybody could ask would test guesses.
		return nil, errClientAuth
	}
	if !f.has("token") {
		return nil, &Error{Code: ErrInvalidRequest, Description: "token is missing"}
	}
	answer, err := s.describeToken(r.Context(), c, f.get("token"))
	if errors.Is(err, ErrNotFound) {
		return newObject(32).boolean("active", false), nil
	} else if err != nil {
		return nil, unavailable(err)
	}
	return answer, nil
}

// describeToken is what c may know of a token, or ErrNotFound.
func (s *Server) describeToken(ctx context.Context, c *Client, text string) (object, error) {
	g, claims, err := s.findToken(ctx, text)
	if err != nil {
		return nil, err
	}
	live, err := s.alive(ctx, g, c)
	if err != nil {
		return nil, err
	} else if !live {
		return nil, ErrNotFound
	}
	if claims != nil {
		if g.ClientID != c.ID && !slices.ContainsFunc(claims.Audience, func(aud string) bool { return slices.Contains(c.Serves, aud) }) {
			return nil, ErrNotFound
		}
		answer := newObject(64+len(claims.payload)).boolean("active", true).text("token_type", "Bearer")
		return answer.members([]byte(claims.payload)), nil
	}
	sec, _ := parseSecret(text)
	if m, err := s.judgeRefresh(g, sec); err != nil || m != advance || g.ClientID != c.ID || !c.mayUse("refresh_token") {
		return nil, ErrNotFound
	}
	// No aud and no token_type, so that no resource takes it for an access token.
	return newObject(512).boolean("active", true).text("client_id", g.ClientID).text("sub", g.Subject).text("scope", strings.Join(g.Scopes, " ")).
		text("iss", s.cfg.Issuer).number("exp", g.ExpiresAt.Unix()).number("iat", g.RotatedAt.Unix()), nil
}

// GrantActive reports whether access tokens made from the grant stored as id are good until
// they expire: it has not been revoked, and its client is still known. It is what
// [github.com/authwright/authwright/resource.Verifier] calls Live.
func (s *Server) GrantActive(ctx context.Context, id string) (bool, error) {
	g, err := s.cfg.Storage.Grant(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return s.alive(ctx, g, nil)
}

// alive reports whether tokens of g are good: it is active, and so is its client, which may
// be c, who is asking, if anybody is. The document of a client that has one is not fetched for
// this, or else its host would decide how soon resources answer.
func (s *Server) alive(ctx context.Context, g *Grant, c *Client) (bool, error) {
	if g.Stage != StageActive || !s.now().Before(g.ExpiresAt) {
		return false, nil
	}
	if c == nil || c.ID != g.ClientID {
		var err error
		c, err = s.storedClient(ctx, g.ClientID)
		if errors.Is(err, ErrNotFound) {
			return s.admitDocument(ctx, g.ClientID) == nil, nil
		} else if err != nil {
			return false, err
		}
	}
	return !c.Disabled && (c.ExpiresAt.IsZero() || s.now().Before(c.ExpiresAt)), nil
}
