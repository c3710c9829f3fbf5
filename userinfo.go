package authwright

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// ServeUserInfo serves the userinfo endpoint (OpenID Connect Core, section 5.3) for access
// tokens that were issued for this server.
func (s *Server) ServeUserInfo(w http.ResponseWriter, r *http.Request) {
	if s.cfg.OpenID == nil {
		http.NotFound(w, r)
		return
	}
	s.serveAPI(w, r, s.userInfo, http.MethodGet, http.MethodPost)
}

// userInfo adds to an error the challenge of RFC 6750, section 3.
func (s *Server) userInfo(w http.ResponseWriter, r *http.Request) (any, error) {
	claims, err := s.describeUser(w, r)
	if err == nil {
		return claims, nil
	}
	e, challenge := asError(err), `Bearer realm="`+s.cfg.Issuer+`"`
	if !errors.Is(err, errNoCredentials) { // who brought no token is told no error
		challenge += `, error="` + string(e.Code) + `", error_description="` + printable(e.Description) + `"`
	}
	if e.Code == ErrInsufficientScope {
		challenge += `, scope="openid"`
	}
	if e.status() < 500 {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	return nil, err
}

// describeUser is what the client that presents an access token may know of its user.
func (s *Server) describeUser(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	text, err := presentedToken(w, r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	g, token, err := s.findAccessToken(ctx, text)
	if errors.Is(err, ErrNotFound) {
		return nil, &Error{Code: ErrInvalidToken, Description: "the access token is not valid", Err: err}
	} else if err != nil {
		return nil, unavailable(err)
	}
	if err := s.allowOrigin(w, r, g.ClientID); err != nil {
		return nil, err
	}
	live, err := s.alive(ctx, g, nil)
	if err != nil {
		return nil, unavailable(err)
	}
	scopes := strings.Fields(token.Scope)
	switch {
	case !live || g.Subject != token.Subject:
		return nil, errTokenRevoked
	case !slices.Contains(token.Audience, s.cfg.Issuer):
		return nil, &Error{Code: ErrInvalidToken, Description: "the access token is for another resource"}
	case !slices.Contains(scopes, "openid"):
		return nil, &Error{Code: ErrInsufficientScope, Description: "the scope openid is required"}
	}
	names := append(s.covered(scopes), slices.Collect(maps.Keys(readClaims(g.Claims).UserInfo))...)
	claims, err := s.userClaims(ctx, g, names)
	if errors.Is(err, ErrAccessDenied) {
		return nil, &Error{Code: ErrInvalidToken, Description: "the user has no access any more", Err: err}
	} else if err != nil {
		return nil, err
	}
	claims["sub"] = g.Subject
	return claims, nil
}

var (
	errTokenRevoked  = &Error{Code: ErrInvalidToken, Description: "the access token was revoked"}
	errNoCredentials = &Error{Code: ErrInvalidToken, Description: "an access token is required"}
)

// presentedToken is the access token of r: from the Authorization header or, as RFC 6750,
// section 2.2 has it, from a form; never from a URL, where logs would keep it.
func presentedToken(w http.ResponseWriter, r *http.Request) (string, error) {
	query, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	var body form
	if r.Method == http.MethodPost && r.ContentLength != 0 {
		if f, err := readForm(w, r); err == nil {
			body = f
		} else if !errors.Is(err, errMediaType) {
			return "", err
		}
	}
	text, present := bearer(r)
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case query.has("access_token"):
		return "", &Error{Code: ErrInvalidRequest, Description: "an access token does not belong into a URL"}
	case len(r.Header.Values("Authorization")) > 1, present && body.has("access_token"), len(body.all("access_token")) > 1:
		return "", &Error{Code: ErrInvalidRequest, Description: "more than one access token"}
	case present && text == "" && strings.EqualFold(scheme, "Bearer"):
		return "", &Error{Code: ErrInvalidRequest, Description: "the Authorization header has no token"}
	case present && text == "":
		return "", errNoCredentials // RFC 6750, section 3.1: of another scheme is none
	case present:
		return text, nil
	case body.has("access_token"):
		return body.get("access_token"), nil
	}
	return "", errNoCredentials
}
