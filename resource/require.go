package resource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A failure is an answer that is not the handler's. Its texts are constants: what is
// inside this program stays there.
type failure struct {
	status      int
	code        string // RFC 6750, section 3.1; empty says nothing
	description string
}

var (
	// RFC 6750, section 3.1: "If the request lacks any authentication information
	// […], the resource server SHOULD NOT include an error code or other error
	// information."
	noCredentials  = &failure{status: http.StatusUnauthorized}
	severalHeaders = &failure{http.StatusBadRequest, "invalid_request", "there is more than one Authorization header"}
	malformed      = &failure{http.StatusBadRequest, "invalid_request", "the Authorization header is malformed"}
	severalTokens  = &failure{http.StatusBadRequest, "invalid_request", "the access token is sent by more than one method"}
	lacksScope     = &failure{http.StatusForbidden, "insufficient_scope", "the access token does not permit this"}
	// An outage must not make clients throw good tokens away.
	cannotTell = &failure{http.StatusServiceUnavailable, "temporarily_unavailable", "the access token cannot be verified now"}
	broken     = &failure{http.StatusInternalServerError, "server_error", "the server is misconfigured"}
)

// Require returns middleware that lets a request pass if it carries a valid access
// token with every one of scopes; without scopes any valid token will do. The
// handler finds the token by [FromContext].
//
// The token must be in the Authorization header; other places are where logs and
// caches find it. What does not pass is answered as RFC 6750, section 3 says, with
// 503 if a token cannot be verified now, and with 500 if the Verifier or one of scopes
// is not well-formed. CORS middleware belongs outside of this one: a preflight carries
// no token.
//
// The challenge names all of scopes, so that a client that lacks some asks for them at
// once. If a request's content decides, nest one Require in another, which reads no
// body of anybody without a token.
func (v *Verifier) Require(scopes ...string) func(http.Handler) http.Handler {
	g := &gate{v, slices.Clone(scopes), checkNeeds(scopes)}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t, f := g.admit(r)
			if f != nil {
				g.refuse(w, f)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, t)))
		})
	}
}

// A gate is what one call of Require makes.
type gate struct {
	v      *Verifier
	scopes []string
	err    error // what is wrong with scopes
}

// admit returns the token of r, or why there is none that will do.
func (g *gate) admit(r *http.Request) (*Token, *failure) {
	if err := errors.Join(g.err, g.v.ready()); err != nil {
		g.v.logger().ErrorContext(r.Context(), "resource: no request can pass", "error", err)
		return nil, broken
	}
	text, f := bearer(r)
	if f != nil {
		return nil, f
	}
	t, err := g.v.Verify(r.Context(), text)
	if err != nil {
		var reason refusal
		if !isB64Token(text) { // no good token has another syntax, so a good one is not looked at
			return nil, malformed
		}
		if errors.As(err, &reason) {
			return nil, &failure{http.StatusUnauthorized, "invalid_token", string(reason)}
		}
		return nil, cannotTell
	}
	// Only now: nobody without a token makes this server read a body.
	if inBody(r) {
		return nil, severalTokens
	}
	for _, s := range g.scopes {
		if !t.HasScope(s) {
			return nil, lacksScope
		}
	}
	return t, nil
}

func (g *gate) refuse(w http.ResponseWriter, f *failure) {
	h := w.Header()
	switch {
	case f == cannotTell:
		h.Set("Retry-After", strconv.Itoa(int(coldInterval/time.Second)))
	case f.status < http.StatusInternalServerError:
		h.Set("WWW-Authenticate", g.challenge(f))
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(f.status)
	body := "{}"
	if f.code != "" {
		body = fmt.Sprintf(`{"error":%q,"error_description":%q}`, f.code, f.description)
	}
	io.WriteString(w, body+"\n") // the client that does not read it has the status
}

// challenge returns the WWW-Authenticate header of f. RFC 6750, section 3: "The
// "Bearer" auth-scheme MUST be followed by one or more auth-param values", of which
// realm is the one there always is. The scopes are all that the operation needs, so
// that a client asks for them at once.
func (g *gate) challenge(f *failure) string {
	var b strings.Builder
	b.WriteString(`Bearer realm="` + quotable(g.v.Audience) + `"`)
	for _, param := range []struct{ name, value string }{
		{"error", f.code},
		{"error_description", f.description},
		{"scope", strings.Join(g.scopes, " ")},
		{"resource_metadata", g.v.metadataURL()},
	} {
		if param.value != "" {
			b.WriteString(", " + param.name + `="` + param.value + `"`)
		}
	}
	return b.String()
}

// quotable returns s as it may stand in a quoted string of a header.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}

// checkScopes refuses what is not one scope each (RFC 6749, section 3.3).
func checkScopes(scopes []string) error {
	for _, s := range scopes {
		if s == "" || strings.Contains(s, " ") || quotable(s) != s {
			return fmt.Errorf("%q is not a scope", s)
		}
	}
	return nil
}

// offlineAccess is the scope by which a client asks for a refresh token. What it means is
// between the client and the issuer.
const offlineAccess = "offline_access"

// checkNeeds refuses scopes that no operation can need.
func checkNeeds(scopes []string) error {
	err := checkScopes(scopes)
	if slices.Contains(scopes, offlineAccess) {
		err = errors.New("offline_access says nothing about a resource")
	}
	if err != nil {
		return fmt.Errorf("resource: Require: %w", err)
	}
	return nil
}
