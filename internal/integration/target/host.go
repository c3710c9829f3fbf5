package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/authwright/authwright"
)

const (
	loginPath       = "/login"
	sessionLifetime = time.Hour
)

// A host is an application with users and sessions, into which the authorization server
// is built.
type host struct {
	authorize string // path of the authorization endpoint
	secure    bool   // https
	csrf      *http.CrossOriginProtection
	byName    map[string]*user
	bySubject map[string]*user

	mu       sync.Mutex
	sessions map[string]session // by cookie
}

type session struct {
	name  string // not the cookie, which is a secret
	user  *user
	since time.Time
	amr   []string // RFC 8176
}

func newHost(issuer string, users []user) (*host, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	h := &host{
		authorize: u.Path + "/authorize",
		secure:    u.Scheme == "https",
		csrf:      http.NewCrossOriginProtection(),
		byName:    make(map[string]*user),
		bySubject: make(map[string]*user),
		sessions:  make(map[string]session),
	}
	for i := range users {
		h.byName[users[i].Username] = &users[i]
		h.bySubject[users[i].Subject] = &users[i]
	}
	// Behind a proxy that rewrites Host, the issuer's origin is still ours.
	return h, h.csrf.AddTrustedOrigin(u.Scheme + "://" + u.Host)
}

func (h *host) register(mux *http.ServeMux) {
	mux.HandleFunc("GET "+loginPath, h.showLogin)
	mux.Handle("POST "+loginPath, h.csrf.Handler(http.HandlerFunc(h.takeLogin)))
}

// currentUser says whose session r belongs to.
func (h *host) currentUser(r *http.Request) (*authwright.User, error) {
	cookie, err := r.Cookie(h.cookie("").Name)
	if err != nil {
		return nil, nil
	}
	h.mu.Lock()
	s, ok := h.sessions[cookie.Value]
	h.mu.Unlock()
	if !ok || time.Since(s.since) >= sessionLifetime {
		return nil, nil
	}
	return &authwright.User{Subject: s.user.Subject, Name: s.user.Username, AuthTime: s.since, Session: s.name, AMR: s.amr}, nil
}

// claims says about the user what the file says. A user who is in the file no more may
// not have tokens. A client that acts for itself has no user.
func (h *host) claims(_ context.Context, g *authwright.Grant) (map[string]any, error) {
	if g.Subject == g.ClientID {
		return nil, nil
	}
	u, ok := h.bySubject[g.Subject]
	if !ok {
		return nil, authwright.ErrAccessDenied
	}
	return u.Claims, nil
}

// signIn begins a session and returns its cookie.
func (h *host) signIn(u *user, amr ...string) *http.Cookie {
	id := rand.Text()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions[id] = session{rand.Text(), u, time.Now(), amr}
	return h.cookie(id)
}

// signOut ends the session of r, if it has one.
func (h *host) signOut(r *http.Request) {
	if old, err := r.Cookie(h.cookie("").Name); err == nil {
		h.mu.Lock()
		delete(h.sessions, old.Value)
		h.mu.Unlock()
	}
}

func (h *host) cookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: "target-session", Value: value, Path: "/",
		HttpOnly: true, Secure: h.secure, SameSite: http.SameSiteLaxMode,
	}
}

func (h *host) deleteExpired(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.sessions, func(_ string, s session) bool { return now.Sub(s.since) >= sessionLifetime })
}

//go:embed login.html
var loginHTML string

var loginPage = template.Must(template.New("login").Parse(loginHTML))

// A loginForm is what the login page shows.
type loginForm struct{ Next, Username, Message string }

func (h *host) showLogin(w http.ResponseWriter, r *http.Request) {
	h.page(w, http.StatusOK, loginForm{Next: r.FormValue("next"), Username: r.FormValue("login_hint")})
}

func (h *host) takeLogin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	form := loginForm{Next: r.PostForm.Get("next"), Username: r.PostForm.Get("username")}
	u := h.byName[form.Username]
	if u == nil || !u.hasPassword(r.PostForm.Get("password")) {
		form.Message = "The username or the password is wrong."
		h.page(w, http.StatusUnauthorized, form)
		return
	}
	if !h.local(form.Next) {
		h.page(w, http.StatusBadRequest, form)
		return
	}
	h.signOut(r)
	http.SetCookie(w, h.signIn(u, "pwd"))
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

// local reports whether next is a request to our authorization endpoint. To send people
// anywhere else would make this an open redirector (RFC 9700, section 4.11).
func (h *host) local(next string) bool {
	path, _, _ := strings.Cut(next, "?")
	return path == h.authorize
}

// page shows the login page, without a form if there is nowhere to go afterwards.
func (h *host) page(w http.ResponseWriter, status int, form loginForm) {
	if !h.local(form.Next) {
		status, form = http.StatusBadRequest, loginForm{Message: "Begin at the application that you want to use."}
	}
	var b strings.Builder
	if err := loginPage.Execute(&b, form); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write([]byte(b.String())) // a browser that has gone has gone
}

// hasPassword compares in constant time whatever the lengths are.
func (u *user) hasPassword(password string) bool {
	want, got := sha256.Sum256([]byte(u.Password)), sha256.Sum256([]byte(password))
	return u.Password != "" && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
