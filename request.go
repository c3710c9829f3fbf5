package authwright

import (
	"context"
	"encoding/json"
	"errors"
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
	mode      string        // response_mode, once it is known to be supported
	maxAge    time.Duration // negative: no demand
	challenge string
	claims    json.RawMessage
	subject   string    // the only user who will do; empty: anybody
	acrs      []string  // of which the login must have one; nil: no demand
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
	openID := s.cfg.OpenID != nil && slices.Contains(strings.Fields(f.get("scope")), "openid")
	if uri == "" && len(c.RedirectURIs) == 1 && !openID { // OpenID Connect requires it
		uri = c.RedirectURIs[0]
	}
	if !c.redirectsTo(uri) || !s.cfg.Profile.allowsRedirect(uri) {
		return nil, &Error{Code: ErrInvalidRequest, Description: "redirect URI is not registered"}
	}
	return &AuthorizeRequest{
		Client:      c,
		RedirectURI: uri,
		Prompt:      strings.Fields(f.get("prompt")),
		LoginHint:   f.get("login_hint"),
		UILocales:   strings.Fields(f.get("ui_locales")),
		ACRValues:   strings.Fields(f.get("acr_values")),
		// What is not known goes no further: a code_verifier sent here by mistake
		// has no business in a URL of the login page.
		form:   f.only(authorizeParams, "resource"),
		maxAge: -1,
	}, nil
}

// redirectsTo reports whether uri is a redirect URI of c. One that should never have
// been registered is not.
func (c *Client) redirectsTo(uri string) bool {
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		return matchRedirect(registered, uri, c.public()) && validateRedirectURI(registered) == nil
	})
}

// stillRedirectsTo reports whether uri, which was a redirect URI of c when a code was sent
// there, is registered yet.
func (c *Client) stillRedirectsTo(uri string) bool {
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool { return matchRedirect(registered, uri, c.public()) })
}

// check validates the rest of a request. An error it returns belongs to the client.
func (s *Server) check(req *AuthorizeRequest) error {
	f := req.form
	if modes := f.all("response_mode"); len(modes) == 1 && modes[0] == "form_post" {
		req.mode = modes[0] // for errors, too
	}
	if name := f.repeated(authorizeParams); name != "" {
		return &Error{Code: ErrInvalidRequest, Description: name + " is there more than once"}
	}
	switch responseType := strings.TrimSpace(f.get("response_type")); {
	case responseType == "":
		return &Error{Code: ErrInvalidRequest, Description: "response_type is missing"}
	case responseType != "code":
		return ErrUnsupportedResponseType
	case !req.Client.mayUse("authorization_code"):
		return ErrUnauthorizedClient
	}
	for _, name := range []string{"request", "request_uri", "registration"} {
		if f.has(name) {
			return &Error{Code: ErrorCode(name + "_not_supported")}
		}
	}
	switch f.get("response_mode") {
	case "", "query", "form_post":
	default:
		return &Error{Code: ErrInvalidRequest, Description: "response_mode is not supported"}
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
	if text := f.get(paramBegan); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if began := time.Unix(seconds, 0); err == nil && !began.After(s.now()) && began.After(s.now().Add(-maxLogin)) {
			req.began = began
		}
	}
	var err error
	if req.Scopes, err = s.requestedScopes(req.Client, s.cfg.Profile.tolerated(req.Client, f.get("scope"))); err != nil {
		return err
	}
	if req.Resources, err = s.requestedResources(req.Client, f.all("resource"), req.Scopes); err != nil {
		return err
	}
	if (s.cfg.OpenID != nil || s.cfg.Profile == MCP) && !req.Client.mayUse("refresh_token") {
		// OpenID Connect Core, section 11: who cannot have it is not refused, either.
		req.Scopes = slices.DeleteFunc(req.Scopes, func(name string) bool { return name == offlineAccess })
	}
	openID := s.isOpenID(req.Scopes)
	if req.challenge, err = parseChallenge(f, req.Client.InsecureWithoutPKCE && openID && !req.Client.public() && s.cfg.Profile != MCP); err != nil || !openID {
		return err
	}
	return s.checkOpenID(req)
}

// checkOpenID validates what OpenID Connect Core, section 3.1.2.1 adds to a request.
func (s *Server) checkOpenID(req *AuthorizeRequest) error {
	if len(req.ACRValues) > maxParams { // each is compared with all before it
		return &Error{Code: ErrInvalidRequest, Description: "acr_values has too many values"}
	}
	var err error
	if req.claims, err = parseClaims(req.form.get("claims")); err != nil {
		return err
	}
	claims := readClaims(req.claims)
	req.subject, req.acrs = claims.subject(), claims.acrs()
	req.ACRValues = union(slices.Clone(req.acrs), req.ACRValues)
	if text := req.form.get("id_token_hint"); text != "" {
		hint, err := s.readIDToken(text)
		if err != nil {
			return &Error{Code: ErrInvalidRequest, Description: "id_token_hint is not an ID token of this server", Err: err}
		}
		if req.subject != "" && req.subject != hint.Subject {
			return ErrLoginRequired
		}
		req.subject = hint.Subject
	}
	return nil
}
