package authwright

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A ConsentRenderer asks a user to approve a client's request. It must be safe for
// concurrent use.
type ConsentRenderer interface {
	// RenderConsent writes a page with a form that posts to c.Action: the inputs
	// of c.Fields, a field named scope for each scope that is granted, and a field
	// named decision with the value approve or deny. The page's security headers
	// are set already. The server trusts nothing the form says: it can grant less
	// than was asked, never more.
	RenderConsent(w http.ResponseWriter, r *http.Request, c *Consent) error
}

// Consent is a question to a user. It can be answered once, by the user it was put to,
// in the browser it was put to, within ten minutes.
type Consent struct {
	Client      *Client
	User        *User
	Scopes      []Scope  // asked for, with descriptions
	Claims      []string // about the user that the client asked for by name, beyond its scopes
	Resources   []string // where the tokens will be good
	RedirectURI string   // where the browser goes next
	EndsAt      time.Time

	// Action is the path and query the form posts to.
	Action string

	handle *secret // of which fmt prints the address
}

// Fields returns the hidden inputs that tie the form to its question and protect
// it against forgery.
func (c *Consent) Fields() template.HTML {
	handle := ""
	if c.handle != nil { // not in a Consent that a host has made to try its page
		handle = c.handle.String()
	}
	return template.HTML(`<input type="hidden" name="consent" value="` + handle + `">`)
}

// RedirectHost returns where the browser goes next in a form to show to people: a
// host, or the scheme of an application on the device. Of such a URI, what stands where
// others have their host is for the application to read, and could be anybody's name.
func (c *Consent) RedirectHost() string {
	u, err := url.Parse(c.RedirectURI)
	if err != nil {
		return ""
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return u.Scheme
	}
	return u.Hostname()
}

// ClientHost returns the host that a client which introduced itself by a URL claims to be,
// or "" for other clients.
func (c *Consent) ClientHost() string {
	u, err := url.Parse(c.Client.ID)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	return u.Hostname()
}

// Local reports whether the browser goes to an application on the user's device,
// about which no certificate vouches for anything.
func (c *Consent) Local() bool { return !isHTTPS(c.RedirectURI) }

const (
	consentLifetime  = 10 * time.Minute // to answer
	consentRetention = time.Hour        // in which a late answer still gets an explanation
)

// mustAsk reports whether user has to be asked before req is granted.
func (s *Server) mustAsk(ctx context.Context, req *AuthorizeRequest, user *User) (bool, error) {
	c := req.Client
	if slices.Contains(req.Prompt, "consent") || c.Consent == ConsentAlways || !c.assured(req.RedirectURI) {
		return true, nil
	}
	if c.Consent == ConsentSkip {
		return false, nil
	}
	if len(s.extraClaims(req)) > 0 {
		return true, nil // which no scope stands for, so nothing remembers it
	}
	g, err := s.remembered(ctx, c, user)
	if err != nil {
		return true, unavailable(err)
	}
	return g == nil || !subset(req.Scopes, g.Scopes) || !subset(req.Resources, g.Resources), nil
}

// remembered is the record that user has consented to c, as it describes itself now, or nil.
func (s *Server) remembered(ctx context.Context, c *Client, user *User) (*Grant, error) {
	g, err := s.cfg.Storage.Grant(ctx, rememberedID(user.Subject, c.ID))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	live := g.Stage == StageRemembered && s.now().Before(g.ExpiresAt) && g.Subject == user.Subject && g.ClientID == c.ID
	if !live || !bytes.Equal(g.ClientHash, c.description()) {
		return nil, nil
	}
	return g, nil
}

// extraClaims are the claims that req asks for and that its scopes do not cover.
func (s *Server) extraClaims(req *AuthorizeRequest) []string {
	if len(req.claims) == 0 {
		return nil
	}
	covered := s.covered(req.Scopes)
	return slices.DeleteFunc(readClaims(req.claims).names(), func(name string) bool { return slices.Contains(covered, name) })
}

// rememberedID is the ID of the record that a user has consented to a client.
func rememberedID(subject, clientID string) string {
	var room [256]byte
	b := binary.AppendUvarint(append(room[:0], "authwright remembered consent 1\x00"...), uint64(len(subject)))
	sum := sha256.Sum256(append(append(b, subject...), clientID...))
	return encode(sum[:])
}

// remember records what user has consented to, so that the next request need not
// ask. If it fails, the next request asks.
func (s *Server) remember(ctx context.Context, g *Grant) error {
	id := rememberedID(g.Subject, g.ClientID)
	for {
		past, err := s.cfg.Storage.Grant(ctx, id)
		if errors.Is(err, ErrNotFound) {
			past = &Grant{ID: id, CreatedAt: s.now(), ClientID: g.ClientID, Subject: g.Subject}
		} else if err != nil {
			return err
		}
		if past.Stage != StageRemembered || !s.now().Before(past.ExpiresAt) || !bytes.Equal(past.ClientHash, g.ClientHash) {
			past.Scopes, past.Resources = nil, nil
		}
		past.ClientHash = g.ClientHash
		past.Version++
		past.Stage = StageRemembered
		past.Scopes = union(past.Scopes, g.Scopes)
		past.Resources = union(past.Resources, g.Resources)
		past.ExpiresAt = s.now().Add(s.cfg.ConsentLifetime)
		if err := s.cfg.Storage.SaveGrant(ctx, past); !errors.Is(err, ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// askConsent puts req to the user.
func (s *Server) askConsent(w http.ResponseWriter, r *http.Request, req *AuthorizeRequest, user *User) error {
	g := s.newGrant(req, user)
	sec := newSecret()
	g.ID = sec.grantID()
	g.Version = 1
	g.Stage = StageConsent
	g.Secret = sec.hash()
	g.Browser = hash([]byte(s.browser(w, r)))
	g.ExpiresAt = g.CreatedAt.Add(consentRetention)
	if err := s.cfg.Storage.SaveGrant(r.Context(), g); err != nil {
		return unavailable(err)
	}
	c := &Consent{
		Client:      req.Client,
		User:        user,
		Scopes:      s.describe(req.Scopes),
		Claims:      s.extraClaims(req),
		Resources:   req.Resources,
		RedirectURI: req.RedirectURI,
		EndsAt:      s.end(req.Client),
		Action:      s.base + pathConsent + "?" + req.form.encode(),
		handle:      &sec,
	}
	tracked := &trackedWriter{ResponseWriter: w}
	err := s.cfg.Consent.RenderConsent(tracked, r, c)
	if err != nil && tracked.wrote {
		s.log(r, asError(err))
		return nil
	}
	return err
}

// end is when an authorization that c gets now is over for good.
func (s *Server) end(c *Client) time.Time {
	if !c.mayUse("refresh_token") {
		return s.now().Add(s.cfg.AccessTokenLifetime)
	}
	return s.now().Add(s.cfg.RefreshTokenMaxLifetime)
}

// describe returns scopes as the host describes them, in the host's order.
func (s *Server) describe(names []string) []Scope {
	var described []Scope
	for _, sc := range s.cfg.Scopes {
		if slices.Contains(names, sc.Name) {
			described = append(described, Scope{Name: sc.Name, Description: cmp.Or(sc.Description, sc.Name)})
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(described, func(sc Scope) bool { return sc.Name == name }) {
			described = append(described, Scope{Name: name, Description: name})
		}
	}
	return described
}

// browser returns what tells this browser from others, and gives it a cookie if it
// has none. The cookie is no session: without the user's own it opens nothing.
func (s *Server) browser(w http.ResponseWriter, r *http.Request) string {
	cookie := s.browserCookie()
	if old, err := r.Cookie(cookie.Name); err == nil && old.Value != "" {
		return old.Value
	}
	cookie.Value = rand.Text()
	http.SetCookie(w, cookie)
	return cookie.Value
}

// browserCookie has the __Host- prefix, which keeps other hosts of the same domain
// from planting one; browsers grant it to https only.
func (s *Server) browserCookie() *http.Cookie {
	c := &http.Cookie{Name: "authwright-browser", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if strings.HasPrefix(s.cfg.Issuer, "https://") {
		c.Name, c.Secure = "__Host-"+c.Name, true
	}
	return c
}

// trackedWriter knows whether a response has begun.
type trackedWriter struct {
	http.ResponseWriter
	wrote bool
}

func (t *trackedWriter) WriteHeader(status int) {
	t.wrote = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *trackedWriter) Write(b []byte) (int, error) {
	t.wrote = true
	return t.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (t *trackedWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }
