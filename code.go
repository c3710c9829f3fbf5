package authwright

import (
	"errors"
	"net/http"
)

// redeemCode serves grant_type=authorization_code (RFC 6749, section 4.1.3).
func (s *Server) redeemCode(r *http.Request, c *Client, f form) (*tokenResponse, error) {
	code, verifier := f.get("code"), f.get("code_verifier")
	switch {
	case code == "":
		return nil, &Error{Code: ErrInvalidRequest, Description: "code is missing"}
	case verifier == "" && !c.InsecureWithoutPKCE:
		return nil, &Error{Code: ErrInvalidGrant, Description: "code_verifier is missing"}
	case verifier != "" && !isVerifier(verifier):
		return nil, &Error{Code: ErrInvalidRequest, Description: "code_verifier must be 43 to 128 unreserved characters"}
	}
	sec, ok := parseSecret(code)
	if !ok {
		return nil, ErrInvalidGrant
	}
	return s.redeem(r.Context(), c, sec, EventCodeReplayed, func(g *Grant) (move, error) {
		return judgeCode(g, c, sec, f)
	}, f.without("scope")) // section 4.1.3 knows no scope
}

// judgeCode says what the presentation of a code means. Only a presenter who holds
// everything that the code was bound to has presented it at all.
func judgeCode(g *Grant, c *Client, sec secret, f form) (move, error) {
	if g.Stage == StageConsent || !same(g.Secret, sec.hash()) {
		return 0, ErrInvalidGrant
	}
	pkce, verifier, uri := g.CodeChallenge != "", f.get("code_verifier"), f.get("redirect_uri")
	switch {
	case !pkce && verifier != "": // RFC 9700, section 2.1.1: a downgrade
		return 0, &Error{Code: ErrInvalidRequest, Description: "code_verifier without code_challenge"}
	case !pkce && (!c.InsecureWithoutPKCE || c.public()), pkce && !verifyPKCE(g.CodeChallenge, verifier):
		return 0, &Error{Code: ErrInvalidGrant, Err: errors.New("the code_verifier does not match")}
	}
	// RFC 6749 requires it, OAuth 2.1 dropped it for PKCE; what is sent must match.
	if (uri != "" || !pkce) && uri != g.RedirectURI {
		return 0, &Error{Code: ErrInvalidGrant, Err: errors.New("the redirect_uri does not match")}
	}
	if !c.stillRedirectsTo(g.RedirectURI) {
		return 0, &Error{Code: ErrInvalidGrant, Err: errors.New("the redirect_uri is not registered any more")}
	}
	if g.Stage == StageCode {
		return advance, nil
	}
	return replay, nil
}
