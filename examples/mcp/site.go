package main

import (
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/authwright/authwright"
)

// A site is the application as it was: people sign in and read their notes.
type site struct {
	mu       sync.Mutex
	notebook map[string][]string // by user
	sessions map[string]session  // by cookie
}

type session struct {
	user  string
	since time.Time
}

const (
	sessionCookie   = "notebook-session"
	sessionLifetime = 8 * time.Hour
	maxSessions     = 10_000
)

// passwords of the demo's users. A real site keeps hashes of them.
var passwords = map[string]string{"alice": "wonderland", "bob": "builder"}

func newSite() *site {
	return &site{
		notebook: map[string][]string{"alice": {"Follow the white rabbit."}, "bob": {"Can we fix it?"}},
		sessions: make(map[string]session),
	}
}

func (s *site) register(mux *http.ServeMux) {
	csrf := http.NewCrossOriginProtection()
	mux.HandleFunc("GET /{$}", s.serveNotes)
	mux.HandleFunc("GET /login", s.serveForm)
	mux.Handle("POST /login", csrf.Handler(http.HandlerFunc(s.serveLogin)))
}

func (s *site) notes(user string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notebook[user])
}

func (s *site) add(user, note string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notebook[user] = append(s.notebook[user], note)
}

// currentUser is what the authorization server asks: who is it? It writes nothing.
func (s *site) currentUser(r *http.Request) (*authwright.User, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	who, ok := s.sessions[cookie.Value]
	if !ok || time.Since(who.since) > sessionLifetime {
		return nil, nil
	}
	return &authwright.User{Subject: who.user, AuthTime: who.since}, nil
}

//go:embed site.html
var siteHTML string

var pages = template.Must(template.New("").Parse(siteHTML))

func (s *site) serveNotes(w http.ResponseWriter, r *http.Request) {
	user, err := s.currentUser(r)
	if err != nil || user == nil {
		http.Redirect(w, r, "/login?next=/", http.StatusSeeOther)
		return
	}
	show(w, http.StatusOK, "notes", map[string]any{"User": user.Subject, "Notes": s.notes(user.Subject)})
}

func (s *site) serveForm(w http.ResponseWriter, r *http.Request) {
	show(w, http.StatusOK, "login", map[string]any{"Next": r.FormValue("next"), "Username": r.FormValue("login_hint")})
}

func (s *site) serveLogin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	name, next := r.PostFormValue("username"), r.PostFormValue("next")
	want, known := passwords[name]
	if right := subtle.ConstantTimeCompare([]byte(want), []byte(r.PostFormValue("password"))) == 1; !known || !right {
		show(w, http.StatusUnauthorized, "login", map[string]any{"Next": next, "Username": name, "Wrong": true})
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: s.signIn(name), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: false, // which a site by https would not say
	})
	// Nowhere else: two slashes, or one and a backslash, lead to another site.
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n") {
		next = "/"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *site) signIn(user string) (cookie string) {
	cookie = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= maxSessions {
		clear(s.sessions)
	}
	s.sessions[cookie] = session{user, time.Now()}
	return cookie
}

func show(w http.ResponseWriter, status int, page string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, page, data); err != nil {
		return // the browser is gone
	}
}
