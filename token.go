package authwright

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// tokenResponse is the answer of RFC 6749, section 5.1. What is empty is left out.
type tokenResponse struct {
	access    []byte
	expiresIn int64
	refresh   string
	id        []byte
	scope     string
}

func (t *tokenResponse) json() []byte {
	o := newObject(256+len(t.access)+len(t.id)).token("access_token", t.access).text("token_type", "Bearer").number("expires_in", t.expiresIn)
	if t.refresh != "" {
		o = o.text("refresh_token", t.refresh)
	}
	if t.id != nil {
		o = o.token("id_token", t.id)
	}
	if t.scope != "" {
		o = o.text("scope", t.scope)
	}
	return o.json()
}

// tokenParams are the parameters the endpoint knows; none but resource may be
// repeated, and none may stand in the URL, where logs would keep it.
var tokenParams = []string{
	"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope",
	"client_id", "client_secret", "client_assertion", "client_assertion_type",
}

// ServeToken serves the token endpoint (RFC 6749, section 3.2).
func (s *Server) ServeToken(w http.ResponseWriter, r *http.Request) {
	s.serveAPI(w, r, s.token, http.MethodPost)
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) (any, error) {
	f, err := readParams(w, r, tokenParams)
	if err != nil {
		return nil, err
	}
	c, err := s.authenticateClient(w, r, f)
	if err != nil {
		return nil, err
	}
	grantType := f.get("grant_type")
	var present func(*http.Request, *Client, form) (*tokenResponse, error)
	switch grantType {
	case "authorization_code":
		present = s.redeemCode
	case "refresh_token":
		present = s.refresh
	case "client_credentials":
		present = s.clientCredentials
	case "":
		return nil, &Error{Code: ErrInvalidRequest, Description: "grant_type is missing"}
	default:
		return nil, ErrUnsupportedGrantType
	}
	if !c.mayUse(grantType) {
		return nil, &Error{Code: ErrUnauthorizedClient, Description: "the client may not use this grant type"}
	}
	if c.Disabled {
		return nil, &Error{Code: ErrInvalidGrant, Err: errors.New("the client is disabled")}
	}
	resp, err := present(r, c, f)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// readParams reads the form of a request to an endpoint that clients call directly.
func readParams(w http.ResponseWriter, r *http.Request, known []string) (form, error) {
	if r.URL.RawQuery != "" {
		query, err := parseForm(r.URL.RawQuery)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(query, func(p param) bool { return slices.Contains(known, p.name) }) {
			return nil, &Error{Code: ErrInvalidRequest, Description: "parameters belong into the body, not into the URL"}
		}
	}
	f, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	if name := f.repeated(known); name != "" {
		return nil, &Error{Code: ErrInvalidRequest, Description: name + " is there more than once"}
	}
	return f, nil
}

// A move is what the presentation of a secret does to its grant.
type move int

const (
	advance move = iota // the live secret: the grant moves on
	repeat              // the one before it, soon enough: the same answer again
	replay              // spent: somebody else holds it too
)

// redeem trades a code or a refresh token for the next tokens of its grant.
//
// The save is the gate. Of any number of requests that carry the same secret, one
// saves and answers; the others find the secret spent when they look again. Whether
// that is a replay is for judge to say, which first checks that the presenter is the
// rightful one: a stranger can neither spend a secret nor revoke a grant with it.
// Tokens are made before the save, so that a failing signer spends nothing, and leave
// the server only after it.
func (s *Server) redeem(ctx context.Context, c *Client, sec secret, replayed EventType, judge func(*Grant) (move, error), f form) (*tokenResponse, error) {
	for {
		g, err := s.cfg.Storage.Grant(ctx, sec.grantID())
		if errors.Is(err, ErrNotFound) {
			return nil, ErrInvalidGrant
		} else if err != nil {
			return nil, unavailable(err)
		}
		if g.ClientID != c.ID {
			return nil, &Error{Code: ErrInvalidGrant, Err: errors.New("the grant is another client's")}
		}
		m, err := judge(g)
		if err != nil {
			return nil, err
		}
		if g.Stage == StageRevoked || !s.now().Before(g.ExpiresAt) {
			return nil, &Error{Code: ErrInvalidGrant, Err: errors.New("the grant is revoked or expired")}
		}
		var resp *tokenResponse
		switch m {
		case replay:
			err = s.revokeReplayed(ctx, g, replayed)
		case repeat:
			resp, err = s.repeated(ctx, c, g, sec, f)
		case advance:
			resp, err = s.advance(ctx, c, g, sec, f)
		}
		if !errors.Is(err, ErrConflict) {
			return resp, err
		}
		if err := ctx.Err(); err != nil {
			return nil, unavailable(err)
		}
	}
}

// advance moves g on to its next refresh token, or to its first.
func (s *Server) advance(ctx context.Context, c *Client, g *Grant, sec secret, f form) (*tokenResponse, error) {
	now, event := s.now(), EventTokenRotated
	var next secret
	if g.Stage == StageCode {
		event = EventCodeRedeemed
		g.EndsAt = s.end(c)
		next = sec.redraw()
		g.startChain(next)
	} else {
		next = sec.next()
		g.rotate(sec, next)
	}
	g.Version++
	g.Stage = StageActive
	g.RotatedAt = now
	g.ExpiresAt = earlier(now.Add(s.cfg.RefreshTokenLifetime), g.EndsAt)
	if c.BackchannelLogoutURI != "" && !c.mayUse("refresh_token") {
		g.ExpiresAt = now.Add(s.cfg.RefreshTokenLifetime) // to know whom to tell of a logout
	}
	resp, err := s.newTokens(ctx, c, g, &next, f)
	if err != nil {
		return nil, err
	}
	g.Nonce = "" // a refreshed ID token has none
	g.Token = hash(resp.access)
	if err := s.cfg.Storage.SaveGrant(ctx, g); err != nil {
		return nil, storageError(err)
	}
	s.emit(ctx, event, g, "")
	return resp, nil
}

// newTokens makes the response that carries next, if any, and a new access token. The scope and
// resource parameters of f narrow the access token, not the grant (RFC 6749,
// section 6; RFC 8707, section 2.2).
func (s *Server) newTokens(ctx context.Context, c *Client, g *Grant, next *secret, f form) (*tokenResponse, error) {
	now, t := s.now(), *g
	var err error
	if t.Resources, err = s.narrowResources(g, c, f.all("resource")); err != nil {
		return nil, err
	}
	if t.Scopes, err = narrowScopes(g, f); err != nil {
		return nil, err
	}
	// What the client has lost since, it does not get.
	asked := len(t.Scopes)
	t.Scopes = keep(t.Scopes, func(name string) bool { return slices.Contains(c.Scopes, name) })
	if asked > 0 && len(t.Scopes) == 0 {
		return nil, &Error{Code: ErrInvalidScope, Description: "the client may have none of what was granted any more"}
	}
	openID := next != nil && s.isOpenID(t.Scopes)
	t.Scopes = s.meaningful(t.Scopes, t.Resources)
	expires := earlier(now.Add(s.cfg.AccessTokenLifetime), g.ExpiresAt) // or else nobody could revoke it
	scope := strings.Join(t.Scopes, " ")
	access, err := s.accessToken(ctx, &t, scope, now, expires)
	if err != nil {
		return nil, tokenError(err)
	}
	resp := &tokenResponse{access: access, expiresIn: expires.Unix() - now.Unix(), scope: scope}
	if next != nil && c.mayUse("refresh_token") && !g.Online {
		resp.refresh = next.String()
	}
	if openID {
		if resp.id, err = s.idToken(ctx, c, g, now, access); err != nil {
			return nil, tokenError(err)
		}
	}
	return resp, nil
}

// tokenError is err as a client may see it. A host that denies a user access at this point
// makes the grant worthless.
func tokenError(err error) error {
	if errors.Is(err, ErrAccessDenied) {
		return &Error{Code: ErrInvalidGrant, Err: err}
	}
	return hostError(err)
}

// revokeReplayed revokes g because one of its secrets came twice.
func (s *Server) revokeReplayed(ctx context.Context, g *Grant, event EventType) error {
	s.revoke(g)
	if err := s.cfg.Storage.SaveGrant(ctx, g); err != nil {
		return storageError(err)
	}
	s.emit(ctx, event, g, "")
	s.emit(ctx, EventGrantRevoked, g, string(event))
	return &Error{Code: ErrInvalidGrant, Err: errors.New(string(event) + "; the grant is revoked")}
}

// revoke makes g a tombstone, which stays until every access token made from it has
// expired.
func (s *Server) revoke(g *Grant) {
	g.Version++
	g.Stage = StageRevoked
	g.Turn, g.Previous, g.Sealed, g.Token = nil, nil, nil, nil
	g.ExpiresAt = s.now().Add(s.cfg.AccessTokenLifetime + time.Minute)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
