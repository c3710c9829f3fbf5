package authwright

import (
	"errors"
	"net/http"

	"github.com/go-jose/go-jose/v4/json" // knows one spelling of a name, and refuses it twice
)

// manage serves RFC 7592: a client reads, replaces or deletes its own registration.
func (s *Server) manage(w http.ResponseWriter, r *http.Request) (any, error) {
	c, token, err := s.registered(r)
	if err != nil {
		return nil, err
	}
	c.allowOrigin(w, r)
	switch r.Method {
	case http.MethodPut:
		return s.replaceRegistration(w, r, c, token)
	case http.MethodDelete:
		// In this order what fails can be tried again: without the client, nobody may.
		if err := s.RevokeClient(r.Context(), c.ID); err != nil && !errors.Is(err, errNoIndex) {
			return nil, unavailable(err)
		}
		defer s.forgetClient(c.ID)
		if err := s.cfg.Registration.Clients.DeleteClient(r.Context(), c.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return nil, unavailable(err)
		}
		return nil, nil
	}
	return s.describeRegistration(c, "", token), nil
}

// registered is the client whose registration access token r brings. An unknown client is
// answered like a wrong token (section 2).
func (s *Server) registered(r *http.Request) (*Client, string, error) {
	wrong := &Error{Code: ErrInvalidToken, Description: "the registration access token is not valid"}
	query, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return nil, "", err
	}
	token, _ := bearer(r)
	id := query.get("client_id")
	if isHTTPS(id) { // never given out; and nothing is to be fetched here
		return nil, "", wrong
	}
	s.forgetClient(id)
	c, err := s.client(r.Context(), id)
	if errors.Is(err, ErrNotFound) {
		return nil, "", wrong
	} else if err != nil {
		return nil, "", unavailable(err)
	}
	if !(ClientSecret{Hash: c.RegistrationToken}).is(token) {
		return nil, "", wrong
	}
	return c, token, nil
}

// replaceRegistration replaces all that the client said of itself (section 2.2), and
// nothing that the server or its host did.
func (s *Server) replaceRegistration(w http.ResponseWriter, r *http.Request, old *Client, token string) (any, error) {
	m, err := readMetadata(w, r)
	if err != nil {
		return nil, err
	}
	if m.ID != old.ID {
		return nil, metadataFault("client_id must be that of the client")
	}
	if m.Secret != nil && !old.has(m.Secret) {
		return nil, metadataFault("client_secret must be that of the client, or be left out")
	}
	c, err := s.registrant(w, r, m)
	if err != nil {
		return nil, err
	}
	c.ID, c.CreatedAt, c.ExpiresAt, c.RegistrationToken = old.ID, old.CreatedAt, old.ExpiresAt, old.RegistrationToken
	c.Disabled, c.Consent, c.Resources, c.Serves, c.Origins = old.Disabled, old.Consent, old.Resources, old.Serves, old.Origins
	secret := c.newSecret()
	if len(c.Secrets) > 0 && len(old.Secrets) > 0 {
		c.Secrets, secret = old.Secrets, "" // it has one already
	}
	if err := s.admit(r, c); err != nil {
		return nil, err
	}
	defer s.forgetClient(c.ID)
	if err := s.cfg.Registration.Clients.UpdateClient(r.Context(), c); err != nil {
		return nil, unavailable(err)
	}
	return s.describeRegistration(c, secret, token), nil
}

// has reports whether a JSON string is a secret of c.
func (c *Client) has(value []byte) bool {
	var secret string
	if json.Unmarshal(value, &secret) != nil {
		return false
	}
	for _, stored := range c.Secrets {
		if stored.is(secret) {
			return true
		}
	}
	return false
}
