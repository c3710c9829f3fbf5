package authwright

import (
	"net/http"
	"slices"
)

// A reply is where the answer to an authorization request goes, and how. Its uri is known
// to be one of the client's.
type reply struct{ uri, state, mode string }

func (req *AuthorizeRequest) reply() reply {
	return reply{uri: req.RedirectURI, state: req.form.one("state"), mode: req.mode}
}

func (g *Grant) reply() reply { return reply{g.RedirectURI, g.State, g.ResponseMode} }

// response is f as an authorization response: it returns the client's state, and names this
// server (RFC 9207).
func (s *Server) response(to reply, f ...param) form {
	return append(form(f), param{"state", to.state}, param{"iss", s.cfg.Issuer}).present()
}

// respond sends the browser back to the client with an authorization response (RFC 6749,
// section 4.1.2).
func (s *Server) respond(w http.ResponseWriter, r *http.Request, to reply, f ...param) {
	f = s.response(to, f...)
	if to.mode != "form_post" {
		redirect(w, withResponse(to.uri, f))
		return
	}
	// OAuth 2.0 Form Post Response Mode: the browser posts what it would have
	// carried in a URL, by a script if it runs one.
	fields := make([]field, 0, len(f))
	for _, p := range f {
		fields = append(fields, field{p.name, p.value})
	}
	s.page(w, r, http.StatusOK, "form_post", page{Title: "One moment", Back: to.uri, Fields: fields})
}

// refuseClient tells a client what was wrong with its request. If nobody has vouched for the
// client, the user decides whether to go there (RFC 9700, section 4.11.2).
func (s *Server) refuseClient(w http.ResponseWriter, r *http.Request, req *AuthorizeRequest, err error) {
	e := authorizationError(err)
	if s.trusts(r, req) {
		s.respondError(w, r, req.reply(), e)
		return
	}
	s.log(r, e)
	s.page(w, r, e.status(), "error", page{
		Title: "This request cannot go on", Message: e.Description, Code: string(e.Code), Client: (&Consent{RedirectURI: req.RedirectURI}).RedirectHost(),
		Back: withResponse(req.RedirectURI, s.response(req.reply(), param{"error", string(e.Code)}, param{"error_description", printable(e.Description)})),
	})
}

// trusts reports whether a client may be told of an error without asking the user: somebody
// has vouched for it, be it the user, who has consented to it before and whom it asks not to
// disturb. Whoever else says prompt=none would have an open redirector.
func (s *Server) trusts(r *http.Request, req *AuthorizeRequest) bool {
	if !req.Client.Unverified {
		return true
	}
	user, err := s.currentUser(r)
	if err != nil || user == nil || !slices.Contains(req.Prompt, "none") {
		return false
	}
	g, err := s.remembered(r.Context(), req.Client, user)
	return err == nil && g != nil
}

// respondError tells a client of the failure of its request.
func (s *Server) respondError(w http.ResponseWriter, r *http.Request, to reply, err error) {
	e := authorizationError(err)
	s.log(r, e)
	s.respond(w, r, to, param{"error", string(e.Code)}, param{"error_description", printable(e.Description)})
}

// authorizationError turns err into one of the authorization endpoint.
func authorizationError(err error) *Error {
	e := asError(err)
	switch e.Code {
	case ErrServerError, ErrInvalidClient, ErrInvalidGrant, ErrUnsupportedGrantType, ErrInvalidToken,
		ErrInsufficientScope, ErrInvalidClientMetadata, ErrInvalidRedirectURI:
		return &Error{Code: ErrServerError, Err: e}
	}
	return e
}
