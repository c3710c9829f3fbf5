package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// accounts are the application's own users and sessions, in its own tables.
type accounts struct{ db *sql.DB }

const (
	sessionLife  = 12 * time.Hour
	passwordCost = 600_000
)

// migrate makes the tables, and a user to try things with.
func (a *accounts) migrate(ctx context.Context) error {
	for _, statement := range []string{
		`CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, full_name TEXT NOT NULL, salt TEXT NOT NULL, password TEXT NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, name TEXT NOT NULL, since BIGINT NOT NULL, until BIGINT NOT NULL)`,
	} {
		if _, err := a.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	salt := rand.Text()
	hash, err := passwordHash("wonderland", salt)
	if err != nil {
		return err
	}
	_, err = a.db.ExecContext(ctx, `INSERT INTO users (name, full_name, salt, password) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		"alice", "Alice Liddell", salt, hash)
	return err
}

func passwordHash(password, salt string) (string, error) {
	sum, err := pbkdf2.Key(sha256.New, password, []byte(salt), passwordCost, 32)
	return base64.StdEncoding.EncodeToString(sum), err
}

// currentUser answers from the session cookie.
func (a *accounts) currentUser(r *http.Request) (*authwright.User, error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return nil, nil
	}
	u := new(authwright.User)
	var since int64
	err = a.db.QueryRowContext(r.Context(), `SELECT u.name, u.full_name, s.since FROM sessions s JOIN users u ON u.name = s.name
		WHERE s.id = $1 AND s.until > $2`, sessionID(cookie.Value), time.Now().Unix()).Scan(&u.Subject, &u.Name, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	u.AuthTime = time.Unix(since, 0)
	return u, err
}

// claims go into every access token. A user who is gone gets none.
func (a *accounts) claims(ctx context.Context, g *authwright.Grant) (map[string]any, error) {
	var name string
	err := a.db.QueryRowContext(ctx, `SELECT full_name FROM users WHERE name = $1`, g.Subject).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, authwright.ErrAccessDenied
	}
	return map[string]any{"name": name, "permissions": []string{"notes"}}, err
}

//go:embed login.html
var loginHTML string

var loginTemplate = template.Must(template.New("login").Parse(loginHTML))

func (a *accounts) loginPage(w http.ResponseWriter, r *http.Request) {
	a.form(w, http.StatusOK, r.FormValue("next"), "")
}

func (a *accounts) form(w http.ResponseWriter, status int, next, fault string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	loginTemplate.Execute(w, struct{ Next, Fault string }{next, fault})
}

func (a *accounts) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	name, next := r.PostFormValue("username"), r.PostFormValue("next")
	ok, err := a.verify(r.Context(), name, r.PostFormValue("password"))
	if err != nil {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	if !ok {
		a.form(w, http.StatusUnauthorized, next, "That is not the right name and password.")
		return
	}
	token, now := rand.Text(), time.Now()
	_, err = a.db.ExecContext(r.Context(), `INSERT INTO sessions (id, name, since, until) VALUES ($1, $2, $3, $4)`,
		sessionID(token), name, now.Unix(), now.Add(sessionLife).Unix())
	if err != nil {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "session", Value: token, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode})
	// Back to the authorization server and nowhere else.
	if !strings.HasPrefix(next, "/authorize?") {
		next = "/healthz"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (a *accounts) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie("session"); err == nil {
		if _, err := a.db.ExecContext(r.Context(), `DELETE FROM sessions WHERE id = $1`, sessionID(cookie.Value)); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
	}
	http.SetCookie(w, &http.Cookie{Name: "session", Path: "/", MaxAge: -1})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// verify takes as long for a name that does not exist as for one that does.
func (a *accounts) verify(ctx context.Context, name, password string) (bool, error) {
	var salt, want string
	err := a.db.QueryRowContext(ctx, `SELECT salt, password FROM users WHERE name = $1`, name).Scan(&salt, &want)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	got, err := passwordHash(password, salt)
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1, err
}

func (a *accounts) deleteExpired(ctx context.Context, now time.Time) error {
	_, err := a.db.ExecContext(ctx, `DELETE FROM sessions WHERE until <= $1`, now.Unix())
	return err
}

// sessionID is what the table knows of a session cookie.
func sessionID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
