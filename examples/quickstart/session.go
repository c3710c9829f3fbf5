package main

import (
	"crypto/rand"
	"net/http"
	"slices"
	"sync"
)

// maxSessions bounds the memory that strangers can fill. The oldest make room.
const maxSessions = 1000

// sessions keeps on the server what a browser's cookie stands for.
type sessions[T any] struct {
	cookie string // its name

	mu     sync.Mutex
	values map[string]T
	order  []string // oldest first
}

func newSessions[T any](cookie string) *sessions[T] {
	return &sessions[T]{cookie: cookie, values: make(map[string]T)}
}

// find returns the session of r's browser, if it has one.
func (s *sessions[T]) find(r *http.Request) (value T, ok bool) {
	c, err := r.Cookie(s.cookie)
	if err != nil {
		return value, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok = s.values[c.Value]
	return value, ok
}

// begin gives the browser a new session. Its name is new, too: one that somebody planted
// before the login is worth nothing after it.
func (s *sessions[T]) begin(w http.ResponseWriter, r *http.Request, value T) {
	s.forget(r)
	id := rand.Text()
	s.mu.Lock()
	s.values[id] = value
	s.order = append(s.order, id)
	if len(s.order) > maxSessions {
		delete(s.values, s.order[0])
		s.order = slices.Delete(s.order, 0, 1)
	}
	s.mu.Unlock()
	s.setCookie(w, id, 0)
}

func (s *sessions[T]) end(w http.ResponseWriter, r *http.Request) {
	s.forget(r)
	s.setCookie(w, "", -1)
}

func (s *sessions[T]) forget(r *http.Request) {
	c, err := r.Cookie(s.cookie)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, c.Value)
	s.order = slices.DeleteFunc(s.order, func(id string) bool { return id == c.Value })
}

// setCookie lacks Secure, and the prefix __Host-, because localhost has no TLS.
func (s *sessions[T]) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookie, Value: value, MaxAge: maxAge,
		Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
