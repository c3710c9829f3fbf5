package authwright

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"slices"
)

var (
	errExpired  = &Error{Code: ErrInvalidRequest, Description: "This page has expired, or was answered before."}
	errForeign  = &Error{Code: ErrAccessDenied, Description: "This page was not opened in this browser.", Status: http.StatusForbidden}
	errDecision = &Error{Code: ErrInvalidRequest, Description: "The form was incomplete."}
)

// ServeConsent takes the user's answer to the consent page. The form's handle is
// single-use and belongs to one user in one browser, so neither a forged nor a
// transplanted form is accepted. Everything else that counts was stored when the
// question was put.
func (s *Server) ServeConsent(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w)
	if !allow(w, r, http.MethodPost) {
		return
	}
	r, d := s.bounded(r)
	defer d.stop()
	if err := s.csrf.Check(r); err != nil {
		s.refuse(w, r, &Error{Code: ErrAccessDenied, Description: errForeign.Description, Status: http.StatusForbidden, Err: err})
		return
	}
	f, err := readForm(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	g, sec, err := s.question(r, f)
	if err != nil {
		s.refuseAnswer(w, r, g, err)
		return
	}
	if err := s.answer(w, r, f, g, sec); errors.Is(err, ErrConflict) {
		s.refuseAnswer(w, r, nil, errExpired)
	} else if err != nil {
		s.respondError(w, r, g.reply(), err)
	}
}

// question finds what the form f answers. If it returns a grant with its error, that
// is a question whose time is over.
func (s *Server) question(r *http.Request, f form) (*Grant, secret, error) {
	if f.repeated([]string{"consent", "decision"}) != "" {
		return nil, secret{}, errDecision
	}
	sec, ok := parseSecret(f.get("consent"))
	if !ok {
		return nil, sec, errExpired
	}
	g, err := s.cfg.Storage.Grant(r.Context(), sec.grantID())
	if errors.Is(err, ErrNotFound) {
		return nil, sec, errExpired
	} else if err != nil {
		return nil, sec, unavailable(err)
	}
	if g.Stage != StageConsent || !same(g.Secret, sec.hash()) {
		return nil, sec, errExpired
	}
	cookie, err := r.Cookie(s.browserCookie().Name)
	if err != nil || !same(g.Browser, hash([]byte(cookie.Value))) {
		return nil, sec, errForeign
	}
	if !s.now().Before(g.CreatedAt.Add(consentLifetime)) {
		return g, sec, errExpired
	}
	return g, sec, nil
}

// answer carries out the decision, if it is of the user who was asked. An error it
// returns belongs to the client.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, f form, g *Grant, sec secret) error {
	ctx := r.Context()
	c, err := s.client(ctx, g.ClientID)
	if errors.Is(err, ErrNotFound) || err == nil && (c.Disabled || !c.redirectsTo(g.RedirectURI)) {
		// Whatever the client was when it asked, it is not any more.
		s.refuse(w, r, &Error{Code: ErrUnauthorizedClient, Description: "This application has been disabled.", Err: err})
		return nil
	} else if err != nil {
		return unavailable(err)
	}
	user, err := s.currentUser(r)
	if err != nil {
		return err
	}
	if user == nil || user.Subject != g.Subject || user.Session != g.Session || !bytes.Equal(g.ClientHash, c.description()) {
		// Somebody else is signed in by now, or anew, or the client calls itself
		// something else: the request starts again, as theirs.
		if again := s.restart(r); again != "" {
			redirect(w, again)
		} else {
			s.refuse(w, r, errExpired)
		}
		return nil
	}
	asked := g.Scopes
	g.Scopes = keep(asked, func(name string) bool { return slices.Contains(f.all("scope"), name) })
	g.Online = slices.Contains(asked, "offline_access") && !slices.Contains(g.Scopes, "offline_access")
	switch decision := f.get("decision"); {
	case decision == "deny", decision == "approve" && len(asked) > 0 && len(g.Scopes) == 0:
		g.Version++
		g.Stage = StageRevoked
		g.Secret, g.Browser = nil, nil
		if err := s.cfg.Storage.SaveGrant(ctx, g); err != nil {
			return storageError(err)
		}
		s.emit(ctx, EventConsentDenied, g, "")
		return ErrAccessDenied
	case decision != "approve":
		s.refuse(w, r, errDecision)
		return nil
	}
	if g.Claims, err = s.withoutDeclined(g.Claims, asked, g.Scopes); err != nil {
		return err
	}
	to, code := g.reply(), sec.redraw()
	if err := s.storeCode(ctx, g, code); err != nil {
		g.State, g.ResponseMode = to.state, to.mode
		return storageError(err)
	}
	s.emit(ctx, EventConsentGiven, g, "")
	if err := s.remember(ctx, g); err != nil {
		s.log(r, &Error{Code: ErrServerError, Description: "the consent could not be remembered", Err: err})
	}
	if err := s.keepClient(ctx, c); err != nil {
		s.log(r, &Error{Code: ErrServerError, Description: "the client's registration could not be kept", Err: err})
	}
	s.respond(w, r, to, param{"code", code.String()})
	return nil
}

// storageError is err as the client may see it, if it was not a lost race.
func storageError(err error) error {
	if e := new(Error); errors.Is(err, ErrConflict) || errors.As(err, &e) {
		return err
	}
	return unavailable(err)
}

// refuseAnswer explains an answer that does not count, and how to go on.
func (s *Server) refuseAnswer(w http.ResponseWriter, r *http.Request, g *Grant, err error) {
	e := asError(err)
	s.log(r, e)
	p := page{Title: "This did not work", Message: e.Description, Code: string(e.Code), Restart: s.restart(r)}
	if g != nil {
		c, err := s.client(r.Context(), g.ClientID)
		if err == nil && !c.Disabled && c.redirectsTo(g.RedirectURI) {
			p.Client = cmp.Or(c.Name, c.ID)
			p.Back = withResponse(g.RedirectURI, s.response(g.reply(),
				param{"error", string(ErrAccessDenied)}, param{"error_description", "the consent page expired"}))
		}
	}
	s.page(w, r, e.status(), "error", p)
}

// restart is the URL of the authorization request that the consent page was for. It
// comes back in the form's action and is checked like any other.
func (s *Server) restart(r *http.Request) string {
	f, err := parseForm(r.URL.RawQuery)
	if err != nil || len(f) == 0 {
		return ""
	}
	return s.base + pathAuthorize + "?" + f.encode()
}
