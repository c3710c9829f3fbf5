package authwright

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ServeAuthorize serves the authorization endpoint (RFC 6749, section 3.1).
func (s *Server) ServeAuthorize(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w)
	if !allow(w, r, http.MethodGet, http.MethodPost) {
		return
	}
	r, d := s.bounded(r)
	defer d.stop()
	if r.Method == http.MethodPost {
		s.authorizeByGet(w, r)
		return
	}
	f, err := parseForm(r.URL.RawQuery)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	req, err := s.authorizeRequest(r.Context(), f)
	if err != nil {
		s.refuse(w, r, err) // nobody to send the error to
		return
	}
	if err := s.authorize(w, r, req); err != nil {
		s.refuseClient(w, r, req, err)
	}
}

// authorizeByGet turns a POST into a GET that means the same, so that the user's
// SameSite=Lax session is there.
func (s *Server) authorizeByGet(w http.ResponseWriter, r *http.Request) {
	query, err := parseForm(r.URL.RawQuery)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	body, err := readForm(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	redirect(w, s.base+pathAuthorize+"?"+append(query, body...).encode())
}

// authorize checks req, finds the user and asks for consent. An error it returns
// belongs to the client.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, req *AuthorizeRequest) error {
	fault := s.check(req)
	silent := slices.Contains(req.Prompt, "none")
	user, err := s.currentUser(r)
	if err != nil {
		return err
	}
	if user == nil && s.bounce(w, r, pathAuthorize, req.form) {
		return nil
	}
	// Before a browser is sent on to an address that a client has chosen, its
	// user has signed in (RFC 9700, section 4.11.2).
	if fault != nil && (user != nil || silent) {
		return fault
	}
	if user == nil || fault == nil && s.wantsLogin(req, user) {
		if silent || user != nil && !req.began.IsZero() {
			// Whoever comes back from a login without having logged in would
			// be sent round in circles.
			return ErrLoginRequired
		}
		req.ReturnTo = s.returnTo(req)
		s.cfg.Authenticator.Login(w, r, req)
		return nil
	}
	if user.Subject == req.Client.ID {
		// A token whose sub is its client_id says that the client acts for itself.
		return errors.New("authwright: a user has the client's ID for a Subject")
	}
	asked, err := s.mustAsk(r.Context(), req, user)
	if err != nil {
		return err
	}
	if !asked {
		return s.issueCode(w, r, req, user)
	}
	if silent {
		return ErrConsentRequired
	}
	return s.askConsent(w, r, req, user)
}

// currentUser asks the host who is signed in. A user without a subject is nobody.
func (s *Server) currentUser(r *http.Request) (*User, error) {
	user, err := s.cfg.Authenticator.CurrentUser(r)
	if err != nil {
		return nil, hostError(err)
	}
	if user == nil {
		return nil, nil
	}
	if user.Subject == "" || len(user.Subject) > maxSubject || !isText(user.Subject) || s.cfg.OpenID != nil && !isASCII(user.Subject) {
		return nil, errors.New("authwright: Authenticator.CurrentUser returned a user without a fit Subject")
	}
	return user, nil
}

const maxSubject = 255 // and ASCII: OpenID Connect Core, section 2

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// wantsLogin reports whether user has to log in again before req can go on. Login
// times are compared in whole seconds, which is what session stores keep.
func (s *Server) wantsLogin(req *AuthorizeRequest, user *User) bool {
	authTime := user.AuthTime.Truncate(time.Second)
	began := !req.began.IsZero()
	switch {
	case req.subject != "" && user.Subject != req.subject, req.acrs != nil && !slices.Contains(req.acrs, user.ACR):
		return true // the client expects somebody else, or a stronger proof
	case began && !authTime.Before(req.began):
		return false
	case slices.Contains(req.Prompt, "login"), req.maxAge == 0, !began && slices.Contains(req.Prompt, "select_account"):
		return true
	}
	return req.maxAge >= 0 && s.now().Truncate(time.Second).Sub(authTime) > req.maxAge
}

// returnTo is the URL that resumes req, and remembers when its login began.
func (s *Server) returnTo(req *AuthorizeRequest) string {
	began := req.began
	if began.IsZero() {
		began = s.now()
	}
	f := append(req.form.without(paramBegan), param{paramBegan, strconv.FormatInt(began.Unix(), 10)})
	return s.base + pathAuthorize + "?" + f.encode()
}

// issueCode answers req with a code, without asking anybody.
func (s *Server) issueCode(w http.ResponseWriter, r *http.Request, req *AuthorizeRequest, user *User) error {
	g := s.newGrant(req, user)
	sec := newSecret()
	g.ID = sec.grantID()
	if err := s.storeCode(r.Context(), g, sec); err != nil {
		return storageError(err)
	}
	s.respond(w, r, req.reply(), param{"code", sec.String()})
	return nil
}

// storeCode makes sec the code of g.
func (s *Server) storeCode(ctx context.Context, g *Grant, sec secret) error {
	if err := s.checkFreshness(ctx, g); err != nil {
		return err
	}
	g.Version++
	g.Stage = StageCode
	g.Secret = sec.hash()
	g.ExpiresAt = s.now().Add(s.cfg.CodeLifetime)
	g.State, g.ResponseMode, g.Browser = "", "", nil
	if err := s.cfg.Storage.SaveGrant(ctx, g); err != nil {
		return err
	}
	s.emit(ctx, EventCodeIssued, g, "")
	return nil
}

// newGrant is what is known of an authorization when it begins.
func (s *Server) newGrant(req *AuthorizeRequest, user *User) *Grant {
	return &Grant{
		CreatedAt:     s.now(),
		ClientID:      req.Client.ID,
		ClientHash:    req.Client.description(),
		Subject:       user.Subject,
		Scopes:        req.Scopes,
		Resources:     req.Resources,
		AuthTime:      wholeSecond(user.AuthTime),
		ACR:           user.ACR,
		AMR:           user.AMR,
		Session:       user.Session,
		Claims:        req.claims,
		RedirectURI:   req.RedirectURI,
		State:         req.reply().state,
		ResponseMode:  req.mode,
		Nonce:         req.form.get("nonce"),
		CodeChallenge: req.challenge,
	}
}

func wholeSecond(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}
