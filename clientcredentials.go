package authwright

import (
	"net/http"
	"slices"
)

// clientCredentials serves grant_type=client_credentials (RFC 6749, section 4.4): a
// client that acts for itself. There is no user to send away and so no refresh token.
func (s *Server) clientCredentials(r *http.Request, c *Client, f form) (*tokenResponse, error) {
	// A client that introduced itself has what users consent to. By itself it has
	// nothing, or everybody would have; and nothing is written for a stranger.
	if c.public() || c.Unverified {
		return nil, &Error{Code: ErrUnauthorizedClient, Description: "the grant is for confidential clients that are known here"}
	}
	scopes, err := s.requestedScopes(c, f.get("scope"))
	if err != nil {
		return nil, err
	}
	// The scopes of OpenID Connect are about a user. If the client had them, the
	// userinfo endpoint would look for a user of its name.
	scopes = slices.DeleteFunc(scopes, func(name string) bool { return s.cfg.OpenID != nil && isStandardScope(name) })
	resources, err := s.requestedResources(c, f.all("resource"), scopes)
	if err != nil {
		return nil, err
	}
	now := s.now()
	g := &Grant{
		ID:        newSecret().grantID(),
		Version:   1,
		Stage:     StageActive,
		CreatedAt: now,
		ExpiresAt: now.Add(s.cfg.AccessTokenLifetime),
		EndsAt:    now.Add(s.cfg.AccessTokenLifetime),
		ClientID:  c.ID,
		// Section 5 of RFC 9068: no user has the ID of the client as subject, so
		// that sub and client_id are the same only here.
		Subject:   c.ID,
		Scopes:    scopes,
		Resources: resources,
	}
	resp, err := s.newTokens(r.Context(), c, g, nil, f)
	if err != nil {
		return nil, err
	}
	// The token is revocable like any other, so it has a grant like any other.
	g.Token = hash(resp.access)
	if err := s.cfg.Storage.SaveGrant(r.Context(), g); err != nil {
		return nil, unavailable(err)
	}
	s.emit(r.Context(), EventTokenIssued, g, "")
	return resp, nil
}
