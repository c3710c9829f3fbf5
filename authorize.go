package authwright

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An AuthorizeRequest is a request to the authorization endpoint whose client and
// redirect URI are known to be good.
type AuthorizeRequest struct {
	Client      *Client
	RedirectURI string   // as the client sent it, or its only registered one
	Scopes      []string // asked for; nil if the request is at fault
	Resources   []string // where the tokens will be good
	Prompt      []string // OpenID Connect Core, section 3.1.2.1
	LoginHint   string   // whom the client expects; hostile until escaped
	UILocales   []string // languages in order of preference
	ACRValues   []string // authentication contexts in order of preference

	// ReturnTo is the path and query that resume this request after login. It
	// holds no secret and works any number of times.
	ReturnTo string

	form      form
	maxAge    time.Duration // negative: no demand
	challenge string
	began     time.Time // when a login was first asked for; zero on the first visit
}

// authorizeParams are the parameters the endpoint knows; none but resource may be
// repeated.
var authorizeParams = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge",
	"code_challenge_method", "response_mode", "nonce", "prompt", "max_age", "login_hint",
	"acr_values", "ui_locales", "display", "claims_locales", "id_token_hint", "claims",
	"request", "request_uri", "registration", paramBegan, paramBounced,
}

// Parameters this server adds to its own URL when it sends the user to log in. They
// need no protection: whoever changes them could as well drop prompt from the request.
const (
	paramBegan   = "authwright_began"   // when a new login was asked for, in Unix seconds
	paramBounced = "authwright_bounced" // a SameSite=Strict session has had its chance
)

// maxLogin is how long a user may take to log in again.
const maxLogin = time.Hour

// ServeAuthorize serves the authorization endpoint (RFC 6749, section 3.1).
func (s *Server) ServeAuthorize(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w)
	if !allow(w, r, http.MethodGet, http.MethodPost) {
		return
	}
	r, cancel := s.bounded(r)
	defer cancel()
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
		s.redirectError(w, r, req.RedirectURI, f, err)
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

// authorizeRequest reads a request as far as a client and a redirect URI that may
// be told about errors (RFC 6749, section 4.1.2.1).
func (s *Server) authorizeRequest(ctx context.Context, f form) (*AuthorizeRequest, error) {
	if name := f.repeated([]string{"client_id", "redirect_uri"}); name != "" {
		return nil, &Error{Code: ErrInvalidRequest, Description: name + " is there more than once"}
	}
	c, err := s.client(ctx, f.get("client_id"))
	if errors.Is(err, ErrNotFound) {
		return nil, &Error{Code: ErrInvalidRequest, Description: "unknown client", Err: err}
	} else if err != nil {
		return nil, unavailable(err)
	}
	if c.Disabled {
		return nil, &Error{Code: ErrUnauthorizedClient, Description: "this application has been disabled"}
	}
	uri := f.get("redirect_uri")
	if uri == "" && len(c.RedirectURIs) == 1 {
		uri = c.RedirectURIs[0]
	}
	if !c.redirectsTo(uri) {
		return nil, &Error{Code: ErrInvalidRequest, Description: "redirect URI is not registered"}
	}
	return &AuthorizeRequest{
		Client:      c,
		RedirectURI: uri,
		Prompt:      strings.Fields(f.get("prompt")),
		LoginHint:   f.get("login_hint"),
		UILocales:   strings.Fields(f.get("ui_locales")),
		ACRValues:   strings.Fields(f.get("acr_values")),
		form:        f,
		maxAge:      -1,
	}, nil
}

// redirectsTo reports whether uri is a redirect URI of c. One that should never have
// been registered is not.
func (c *Client) redirectsTo(uri string) bool {
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		return matchRedirect(registered, uri, c.public()) && validateRedirectURI(registered) == nil
	})
}

// check validates the rest of a request. An error it returns belongs to the client.
func (s *Server) check(req *AuthorizeRequest) error {
	f := req.form
	if name := f.repeated(authorizeParams); name != "" {
		return &Error{Code: ErrInvalidRequest, Description: name + " is there more than once"}
	}
	switch types := strings.Fields(f.get("response_type")); {
	case len(types) == 0:
		return &Error{Code: ErrInvalidRequest, Description: "response_type is missing"}
	case len(types) != 1 || types[0] != "code":
		return ErrUnsupportedResponseType
	case !req.Client.mayUse("authorization_code"):
		return ErrUnauthorizedClient
	}
	for _, name := range []string{"request", "request_uri", "registration"} {
		if f.has(name) {
			return &Error{Code: ErrorCode(name + "_not_supported")}
		}
	}
	if mode := f.get("response_mode"); mode != "" && mode != "query" {
		return &Error{Code: ErrInvalidRequest, Description: "response_mode is not supported"}
	}
	var err error
	if req.challenge, err = parseChallenge(f.get("code_challenge"), f.get("code_challenge_method")); err != nil {
		return err
	}
	if len(req.Prompt) > 1 && slices.Contains(req.Prompt, "none") {
		return &Error{Code: ErrInvalidRequest, Description: "prompt=none goes with no other value"}
	}
	if text := f.get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return &Error{Code: ErrInvalidRequest, Description: "max_age is not a number of seconds"}
		}
		req.maxAge = time.Duration(seconds) * time.Second
	}
	if seconds, err := strconv.ParseInt(f.get(paramBegan), 10, 64); err == nil {
		if began := time.Unix(seconds, 0); !began.After(s.now()) && began.After(s.now().Add(-maxLogin)) {
			req.began = began
		}
	}
	if req.Scopes, err = s.requestedScopes(req.Client, f.get("scope")); err != nil {
		return err
	}
	req.Resources, err = s.requestedResources(req.Client, f.all("resource"), req.Scopes)
	return err
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
	if user == nil && s.bounce(w, r, req) {
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
	if err != nil || user == nil {
		return nil, err
	}
	if user.Subject == "" || len(user.Subject) > maxSubject || !isText(user.Subject) {
		return nil, errors.New("authwright: Authenticator.CurrentUser returned a user without a fit Subject")
	}
	return user, nil
}

const maxSubject = 255 // OpenID Connect Core, section 2

// wantsLogin reports whether user has to log in again before req can go on. Login
// times are compared in whole seconds, which is what session stores keep.
func (s *Server) wantsLogin(req *AuthorizeRequest, user *User) bool {
	authTime := user.AuthTime.Truncate(time.Second)
	began := !req.began.IsZero()
	switch {
	case began && !authTime.Before(req.began):
		return false
	case slices.Contains(req.Prompt, "login"), !began && slices.Contains(req.Prompt, "select_account"):
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
		return unavailable(err)
	}
	s.respond(w, g.RedirectURI, req.form.get("state"), param{"code", sec.String()})
	return nil
}

// storeCode makes sec the code of g.
func (s *Server) storeCode(ctx context.Context, g *Grant, sec secret) error {
	g.Version++
	g.Stage = StageCode
	g.Secret = sec.hash()
	g.ExpiresAt = s.now().Add(s.cfg.CodeLifetime)
	g.State, g.Browser = "", nil
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
		Subject:       user.Subject,
		Scopes:        req.Scopes,
		Resources:     req.Resources,
		AuthTime:      wholeSecond(user.AuthTime),
		ACR:           user.ACR,
		AMR:           user.AMR,
		RedirectURI:   req.RedirectURI,
		State:         req.form.get("state"),
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

// respond sends the browser back to the client with an authorization response
// (RFC 6749, section 4.1.2), which names this server (RFC 9207).
func (s *Server) respond(w http.ResponseWriter, uri, state string, f ...param) {
	redirect(w, withResponse(uri, append(form(f), param{"state", state}, param{"iss", s.cfg.Issuer}).present()))
}

// redirectError tells a client whose redirect URI is known to be good what was wrong
// with the request f.
func (s *Server) redirectError(w http.ResponseWriter, r *http.Request, uri string, f form, err error) {
	state := f.get("state")
	if len(f.all("state")) > 1 {
		state = ""
	}
	e := s.authorizationError(err)
	s.log(r, e)
	s.respond(w, uri, state, param{"error", string(e.Code)}, param{"error_description", printable(e.Description)})
}

// authorizationError turns err into one of the authorization endpoint.
func (s *Server) authorizationError(err error) *Error {
	e := asError(err)
	switch e.Code {
	case ErrServerError:
		return &Error{Code: ErrServerError, Err: e}
	case ErrInvalidClient, ErrInvalidGrant, ErrUnsupportedGrantType:
		return &Error{Code: ErrServerError, Err: e}
	}
	return e
}
