package authtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"html/template"
	"net/http"
	"strings"

	"github.com/authwright/authwright"
)

const (
	loginPath     = "/authtest/login"
	sessionCookie = "authtest-session"
)

// signIn begins a session of user, which the cookie it returns holds.
func (s *Server) signIn(user authwright.User) *http.Cookie {
	user.Session = cmp.Or(user.Session, rand.Text())
	if user.AuthTime.IsZero() {
		user.AuthTime = s.Now()
	}
	key := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[key] = user
	return &http.Cookie{Name: sessionCookie, Value: key, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// currentUser returns who is signed in on r, or nil.
func (s *Server) currentUser(r *http.Request) (*authwright.User, error) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if user, ok := s.sessions[c.Value]; ok {
		return &user, nil
	}
	return nil, nil
}

// logout ends the session of r.
func (s *Server) logout(_ http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(sessionCookie); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sessions, c.Value)
	}
	return nil
}

// authenticator knows the users of [Server.Login] and asks host, if there is one, about
// everybody else.
func (s *Server) authenticator(host authwright.Authenticator) authwright.Authenticator {
	own := authwright.LoginRedirect(loginPath, "next", s.currentUser)
	if host == nil {
		return own
	}
	return either{own, host}
}

type either struct{ own, host authwright.Authenticator }

func (e either) CurrentUser(r *http.Request) (*authwright.User, error) {
	if user, err := e.own.CurrentUser(r); user != nil || err != nil {
		return user, err
	}
	return e.host.CurrentUser(r)
}

func (e either) Login(w http.ResponseWriter, r *http.Request, req *authwright.AuthorizeRequest) {
	if user, err := e.own.CurrentUser(r); user != nil && err == nil {
		e.own.Login(w, r, req)
		return
	}
	e.host.Login(w, r, req)
}

// loginPage is for browsers with a window. It takes everybody's word.
var loginPage = template.Must(template.New("login").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Sign in</title>
<main>
<h1>Sign in</h1>
<form method="post">
<input type="hidden" name="next" value="{{.Next}}">
<label>As <input id="subject" name="subject" value="{{.Hint}}" autofocus required></label>
<button id="login">Sign in</button>
</form>
</main>
</html>
`))

// serveLogin asks who is there. Whoever has a session is signed in again at once.
func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(sessionCookie); err == nil && s.renew(c.Value) {
		leave(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	page := struct{ Next, Hint string }{r.FormValue("next"), r.FormValue("login_hint")}
	if err := loginPage.Execute(w, page); err != nil {
		s.t.Logf("authtest: the login page: %v", err) // the browser has gone
	}
}

// renew makes a session's login a new one, and reports whether there is such a session.
func (s *Server) renew(key string) bool {
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	user, ok := s.sessions[key]
	if ok {
		user.AuthTime = now
		s.sessions[key] = user
	}
	return ok
}

func (s *Server) takeLogin(w http.ResponseWriter, r *http.Request) {
	subject := r.FormValue("subject")
	if subject == "" {
		http.Error(w, "authtest: subject is missing", http.StatusBadRequest)
		return
	}
	http.SetCookie(w, s.signIn(authwright.User{Subject: subject}))
	leave(w, r)
}

// leave goes back to where the login page was needed, which is on this host.
func leave(w http.ResponseWriter, r *http.Request) {
	next := r.FormValue("next")
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) {
		next = "/"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// describe is what the userinfo endpoint knows of everybody.
func describe(_ context.Context, subject string) (map[string]any, error) {
	return map[string]any{
		"name": subject, "preferred_username": subject,
		"email": subject + "@example.com", "email_verified": true,
	}, nil
}
