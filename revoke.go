package authwright

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// revocationParams are the parameters of RFC 7009, section 2.1. The hint is optional
// and decides nothing: a token tells by itself what it is.
var revocationParams = []string{
	"token", "token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type",
}

// ServeRevoke serves the revocation endpoint (RFC 7009). Revoking any token of a grant
// revokes the grant, and with it every token that was made from it.
func (s *Server) ServeRevoke(w http.ResponseWriter, r *http.Request) {
	s.serveAPI(w, r, s.revokeToken, http.MethodPost)
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) (any, error) {
	f, err := readParams(w, r, revocationParams)
	if err != nil {
		return nil, err
	}
	c, err := s.authenticateClient(w, r, f)
	if err != nil {
		return nil, err
	}
	if !f.has("token") {
		return nil, &Error{Code: ErrInvalidRequest, Description: "token is missing"}
	}
	g, _, err := s.findToken(r.Context(), f.get("token"))
	if err == nil && g.ClientID != c.ID {
		return nil, &Error{Code: ErrUnauthorizedClient, Description: "the token was issued to another client"}
	}
	if err == nil {
		err = s.revokeGrant(r.Context(), g.ID, "client")
	}
	switch {
	case errors.Is(err, errNoToken):
		return nil, &Error{Code: "unsupported_token_type", Description: "only access tokens and refresh tokens can be revoked"}
	case err != nil && !errors.Is(err, ErrNotFound): // section 2.2: an invalid token is as good as revoked
		return nil, &Error{Code: ErrTemporarilyUnavailable, Description: "the token may still be valid; try again", RetryAfter: time.Second, Err: err}
	}
	return struct{}{}, nil
}

// errNoToken says that something was issued here and opens no resource, so that there is
// nothing to revoke: a code or an ID token.
var errNoToken = fmt.Errorf("authwright: neither an access token nor a refresh token: %w", ErrNotFound)

// findToken finds the grant that a token, of either kind, was made from. The claims are
// those of an access token, and nil for a refresh token. Whatever is not a token of this
// server, or was made from a grant that is gone, is ErrNotFound.
func (s *Server) findToken(ctx context.Context, text string) (*Grant, *accessClaims, error) {
	if sec, ok := parseSecret(text); ok {
		g, err := s.cfg.Storage.Grant(ctx, sec.grantID())
		if err != nil {
			return nil, nil, err
		}
		if same(g.Lineage, hash(sec.lineage[:])) {
			return g, nil, nil
		}
		if same(g.Secret, sec.hash()) {
			return nil, nil, errNoToken
		}
		return nil, nil, ErrNotFound
	}
	g, claims, err := s.findAccessToken(ctx, text)
	if errors.Is(err, ErrNotFound) {
		if _, err := s.readJWT(text, typeIDToken); err == nil {
			return nil, nil, errNoToken
		}
	}
	return g, claims, err
}
