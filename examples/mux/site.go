package main

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/authwright/authwright"
)

//go:embed site.html
var siteHTML string

// A site is the application as it was.
type site struct {
	pages   *template.Template
	storage *authwright.Memory

	mu       sync.Mutex
	sessions map[string]session // by cookie
}

// A session is somebody signed in. A real site has a session store, and keeps its
// members' passwords hashed.
type session struct {
	name string
	at   time.Time
}

const (
	cookieName  = "shelf-session"
	maxSessions = 1000
)

func newSite(storage *authwright.Memory) *site {
	return &site{
		pages:    template.Must(template.New("").Parse(siteHTML)),
		storage:  storage,
		sessions: make(map[string]session),
	}
}

// session returns who is signed in on r.
func (s *site) session(r *http.Request) (session, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.sessions[c.Value]
	return found, ok
}

func (s *site) serveShelf(w http.ResponseWriter, r *http.Request) {
	who, _ := s.session(r)
	if r.URL.Path != "/" {
		s.show(w, http.StatusNotFound, "missing", nil)
		return
	}
	s.show(w, http.StatusOK, "shelf", who.name)
}

// A form is what the login page shows.
type form struct{ Next, Username, Error string }

func (s *site) serveForm(w http.ResponseWriter, r *http.Request) {
	s.show(w, http.StatusOK, "login", form{Next: r.FormValue("next"), Username: r.FormValue("username")})
}

func (s *site) serveLogin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	name, password, next := r.PostFormValue("username"), r.PostFormValue("password"), r.PostFormValue("next")
	if name != "alice" || subtle.ConstantTimeCompare([]byte(password), []byte("wonderland")) != 1 {
		s.show(w, http.StatusUnauthorized, "login", form{next, name, "Nobody here has that name and password."})
		return
	}
	// An address of this site and of no other, for browsers too, which take a
	// backslash for a slash.
	if u, err := url.Parse(next); err != nil || u.Host != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.Contains(next, `\`) {
		next = "/"
	}
	id := rand.Text()
	s.mu.Lock()
	for old := range s.sessions { // any one, so that nobody can fill memory
		if len(s.sessions) < maxSessions {
			break
		}
		delete(s.sessions, old)
	}
	s.sessions[id] = session{name, time.Now()}
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// show writes nothing before the whole page is there.
func (s *site) show(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, data); err != nil {
		log.Printf("mux: %v", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
