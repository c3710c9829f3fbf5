package authwright

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An Authenticator connects the server to the host's own users and login page. It
// must be safe for concurrent use.
type Authenticator interface {
	// CurrentUser returns the user signed in on r, or nil if nobody is, which
	// includes somebody whose second factor is still to come. It must not write
	// a response: the server also asks on behalf of requests that must not be
	// interrupted, such as prompt=none.
	CurrentUser(r *http.Request) (*User, error)

	// Login writes a response that leads the user through the host's login and,
	// in the end, back to req.ReturnTo. It is called when nobody is signed in,
	// and when somebody who is has to sign in again, or as somebody else.
	Login(w http.ResponseWriter, r *http.Request, req *AuthorizeRequest)
}

// A User is somebody the host has authenticated.
type User struct {
	// Subject is stable, unique at this issuer and never reassigned. It becomes
	// the sub claim, and has at most 255 bytes; with [Config.OpenID], of ASCII.
	Subject string

	// Name is shown on the consent page. Empty means Subject.
	Name string

	// AuthTime is when the user last signed in. Without it no client can insist
	// on a fresh login: prompt=login and max_age are answered login_required.
	AuthTime time.Time

	// Session names the host's session of this user in this browser, and is told
	// to clients as sid. It must not be the secret in the session cookie. Empty
	// means that logging out concerns all of the user's sessions.
	Session string

	// ACR and AMR say how the user signed in (OpenID Connect Core, section 2).
	// Empty means that nothing is said.
	ACR string
	AMR []string
}

// LoginRedirect returns an [Authenticator] for a host with a login page of its own.
// A user who has to log in is sent to page with the way back, a path on this host,
// in the query parameter next, and with login_hint if the client sent one.
func LoginRedirect(page, next string, currentUser func(r *http.Request) (*User, error)) Authenticator {
	return loginRedirect{page, next, currentUser}
}

type loginRedirect struct {
	page, next  string
	currentUser func(r *http.Request) (*User, error)
}

func (l loginRedirect) CurrentUser(r *http.Request) (*User, error) { return l.currentUser(r) }

func (l loginRedirect) Login(w http.ResponseWriter, _ *http.Request, req *AuthorizeRequest) {
	q := url.Values{l.next: {req.ReturnTo}}
	if req.LoginHint != "" {
		q.Set("login_hint", req.LoginHint)
	}
	sep := "?"
	if strings.Contains(l.page, "?") {
		sep = "&"
	}
	redirect(w, l.page+sep+q.Encode())
}

// bounce gives a session cookie that is SameSite=Strict its chance. The browser
// withholds it from a navigation that began at the client's site, and sends it with
// one that begins here. It reports whether it answered.
func (s *Server) bounce(w http.ResponseWriter, r *http.Request, path string, f form) bool {
	h := r.Header
	if h.Get("Sec-Fetch-Site") != "cross-site" || h.Get("Sec-Fetch-Dest") != "document" || f.has(paramBounced) {
		return false
	}
	f = append(f.without(paramBounced), param{paramBounced, "1"})
	s.page(w, r, http.StatusOK, "bounce", page{Title: "One moment", Next: s.base + path + "?" + f.encode()})
	return true
}
