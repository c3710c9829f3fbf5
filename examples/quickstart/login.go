package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// An account is somebody who can sign in.
type account struct {
	Subject, Name, Email string
	Roles, Permissions   []string
	password             [sha256.Size]byte // a real host hashes slowly: bcrypt, Argon2
}

// A login is who signed in, and when.
type login struct {
	*account
	at time.Time
}

// accounts is the part of the program that a host application has already.
type accounts struct {
	people map[string]*account // by user name, which is the subject, too
	logins *sessions[login]
}

func newAccounts() *accounts {
	return &accounts{
		people: map[string]*account{
			"alice": {
				Subject: "alice", Name: "Alice Liddell", Email: "alice@example.com",
				Roles: []string{"editor"}, Permissions: []string{"notes.list", "notes.create"},
				password: sha256.Sum256([]byte("wonderland")),
			},
			"bob": {
				Subject: "bob", Name: "Bob Builder", Email: "bob@example.com",
				Roles: []string{"reader"}, Permissions: []string{"notes.list"},
				password: sha256.Sum256([]byte("builder")),
			},
		},
		logins: newSessions[login]("quickstart-login"),
	}
}

func (a *accounts) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /login", a.serveForm)
	mux.HandleFunc("POST /login", a.serveLogin)
	mux.HandleFunc("POST /logout", a.serveLogout)
}

// currentUser is all that the authorization server asks of the host.
func (a *accounts) currentUser(r *http.Request) (*authwright.User, error) {
	l, ok := a.logins.find(r)
	if !ok {
		return nil, nil
	}
	return &authwright.User{Subject: l.Subject, Name: l.Name, AuthTime: l.at, AMR: []string{"pwd"}}, nil
}

// claims says in the token what an API needs to know of its user: what the user may do,
// and who it is if the client was allowed to see that.
func (a *accounts) claims(_ context.Context, g *authwright.Grant) (map[string]any, error) {
	who, ok := a.people[g.Subject]
	if !ok {
		return nil, authwright.ErrAccessDenied // has left meanwhile
	}
	claims := map[string]any{"roles": who.Roles, "permissions": who.Permissions}
	if slices.Contains(g.Scopes, "profile") {
		claims["name"], claims["email"] = who.Name, who.Email
	}
	return claims, nil
}

// A loginForm is what the login page shows.
type loginForm struct{ Next, Username, Error string }

func (a *accounts) serveForm(w http.ResponseWriter, r *http.Request) {
	render(w, http.StatusOK, "login", loginForm{
		Next:     localPath(r.FormValue("next")),
		Username: r.FormValue("login_hint"),
	})
}

func (a *accounts) serveLogin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "unreadable form", http.StatusBadRequest)
		return
	}
	next, username := localPath(r.PostForm.Get("next")), r.PostForm.Get("username")
	who := a.check(username, r.PostForm.Get("password"))
	if who == nil {
		render(w, http.StatusUnauthorized, "login", loginForm{next, username, "That is not the user name and password of anybody here."})
		return
	}
	a.logins.begin(w, r, login{who, time.Now()})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// check takes the same time whether the user or the password is unknown.
func (a *accounts) check(username, password string) *account {
	who, known := a.people[username]
	if !known {
		who = new(account)
	}
	sum := sha256.Sum256([]byte(password))
	if subtle.ConstantTimeCompare(sum[:], who.password[:]) == 1 && known {
		return who
	}
	return nil
}

func (a *accounts) serveLogout(w http.ResponseWriter, r *http.Request) {
	a.logins.end(w, r)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// localPath returns next if it leads to this site, and the start page if not: a login
// page that sends people anywhere is a phisher's best friend. Browsers take a backslash
// for a slash.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.Contains(next, `\`) {
		return "/"
	}
	return next
}
