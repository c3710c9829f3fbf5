package authwright

import (
	"errors"
	"net/http"
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
		if err := s.cfg.Registration.Clients.DeleteClient(r.Context(), c.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return nil, unavailable(err)
		}
		if err := s.RevokeClient(r.Context(), c.ID); err != nil && !errors.Is(err, errNoIndex) {
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
	c, err := s.client(r.Context(), query.get("client_id"))
	if errors.Is(err, ErrNotFound) {
		return nil, "", wrong
	} else if err != nil {
		return nil, "", unavailable(err)
	}
	h, err := ClientSecret{Hash: c.RegistrationToken}.parse()
	if err != nil || token == "" || !same(h.sum, hash([]byte(token))) {
		return nil, "", wrong
	}
	return c, token, nil
}

// replaceRegistration replaces all of it (section 2.2), save for what is the server's.
func (s *Server) replaceRegistration(w http.ResponseWriter, r *http.Request, old *Client, token string) (any, error) {
	c, secret, err := s.readRegistration(w, r)
	if err != nil {
		return nil, err
	}
	c.ID, c.CreatedAt, c.ExpiresAt, c.RegistrationToken = old.ID, old.CreatedAt, old.ExpiresAt, old.RegistrationToken
	c.Disabled = old.Disabled
	if len(c.Secrets) > 0 && len(old.Secrets) > 0 {
		c.Secrets, secret = old.Secrets, "" // it has one already
	}
	if err := s.admit(r, c); err != nil {
		return nil, err
	}
	if err := s.cfg.Registration.Clients.UpdateClient(r.Context(), c); err != nil {
		return nil, unavailable(err)
	}
	return s.describeRegistration(c, secret, token), nil
}
