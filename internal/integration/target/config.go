package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// A config is what the file says.
type config struct {
	Addr        string
	Issuer      string
	TLS         *tlsFiles
	Profile     string
	Storage     string
	Clients     []client
	Users       []user
	Resources   []resource
	Scopes      scopes
	Lifetimes   lifetimes
	AutoLogin   string
	AutoConsent bool

	OpenID             *bool
	Registration       bool
	InitialAccessToken string
	FetchRoots         string
}

func (c *config) UnmarshalJSON(data []byte) error {
	return decodeObject(data, map[string]any{
		"addr":         &c.Addr,
		"issuer":       &c.Issuer,
		"tls":          &c.TLS,
		"profile":      &c.Profile,
		"storage":      &c.Storage,
		"clients":      &c.Clients,
		"users":        &c.Users,
		"resources":    &c.Resources,
		"scopes":       &c.Scopes,
		"lifetimes":    &c.Lifetimes,
		"auto_login":   &c.AutoLogin,
		"auto_consent": &c.AutoConsent,

		"openid":               &c.OpenID,
		"registration":         &c.Registration,
		"initial_access_token": &c.InitialAccessToken,
		"fetch_roots":          &c.FetchRoots,
	})
}

// readConfig returns what the file of that name says, or an error that names the member
// at fault.
func readConfig(name string) (*config, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	c := new(config)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// check finds what the library would not, because it does not know of it.
func (c *config) check() error {
	if c.Addr == "" {
		return errors.New("addr: required")
	}
	if c.TLS != nil && !strings.HasPrefix(c.Issuer, "https://") {
		return errors.New("tls: the issuer is not https")
	}
	switch c.Profile {
	case "", "oauth21", "mcp": // the first two are the same: nothing weaker can be had
	default:
		return fmt.Errorf("profile: %q is unknown", c.Profile)
	}
	if c.InitialAccessToken != "" && !c.Registration {
		return errors.New("initial_access_token: there is no registration")
	}
	clients := make(map[string]bool)
	for _, cl := range c.Clients {
		if clients[cl.ID] {
			return fmt.Errorf("clients: client_id %q is there twice", cl.ID)
		}
		clients[cl.ID] = true
	}
	subjects, names := make(map[string]bool), make(map[string]bool)
	for _, u := range c.Users {
		if u.Subject == "" || u.Username == "" {
			return errors.New("users: sub and username are required")
		}
		if subjects[u.Subject] || names[u.Username] {
			return fmt.Errorf("users: sub %q or username %q is there twice", u.Subject, u.Username)
		}
		subjects[u.Subject], names[u.Username] = true, true
	}
	if c.AutoLogin != "" && !names[c.AutoLogin] {
		return fmt.Errorf("auto_login: no user has the username %q", c.AutoLogin)
	}
	return nil
}

type tlsFiles struct{ Cert, Key string }

func (f *tlsFiles) UnmarshalJSON(data []byte) error {
	return decodeObject(data, map[string]any{"cert": &f.Cert, "key": &f.Key})
}

type user struct {
	Subject, Username string
	Password          string // empty: cannot sign in by the form
	Claims            claims
}

func (u *user) UnmarshalJSON(data []byte) error {
	return decodeObject(data, map[string]any{
		"sub": &u.Subject, "username": &u.Username, "password": &u.Password, "claims": &u.Claims,
	})
}

// claims reach a token as they stand in the file, numbers of any size included.
type claims map[string]any

func (c *claims) UnmarshalJSON(data []byte) error {
	*c = make(claims)
	return eachMember(data, func(name string, value json.RawMessage) error {
		(*c)[name] = value
		return nil
	})
}

// A resource is a string, or an object if not every scope has a meaning there.
type resource authwright.Resource

func (r *resource) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &r.ID) == nil {
		return nil
	}
	return decodeObject(data, map[string]any{"id": &r.ID, "scopes": &r.Scopes})
}

// scopes keep the order of the file, which is that of the consent page.
type scopes []authwright.Scope

func (s *scopes) UnmarshalJSON(data []byte) error {
	*s = make(scopes, 0) // none, which is not the same as any
	return eachMember(data, func(name string, value json.RawMessage) error {
		sc := authwright.Scope{Name: name}
		err := json.Unmarshal(value, &sc.Description)
		*s = append(*s, sc)
		return err
	})
}

func (s scopes) names() []string {
	var names []string
	for _, sc := range s {
		names = append(names, sc.Name)
	}
	return names
}

type lifetimes struct {
	Code, AccessToken, RefreshToken lifetime
	RefreshGrace                    grace
}

func (l *lifetimes) UnmarshalJSON(data []byte) error {
	return decodeObject(data, map[string]any{
		"code":          &l.Code,
		"access_token":  &l.AccessToken,
		"refresh_token": &l.RefreshToken,
		"refresh_grace": &l.RefreshGrace,
	})
}

// A lifetime is a duration in the notation of Go. The library takes zero for its
// default; in a file it is a mistake.
type lifetime time.Duration

func (l *lifetime) UnmarshalJSON(data []byte) error {
	d, err := parseDuration(data)
	if err == nil && d <= 0 {
		return errors.New("must be positive")
	}
	*l = lifetime(d)
	return err
}

// A grace may be zero, which is negative in the library.
type grace time.Duration

func (g *grace) UnmarshalJSON(data []byte) error {
	d, err := parseDuration(data)
	if d == 0 {
		d = -1
	}
	*g = grace(d)
	return err
}

func parseDuration(data []byte) (time.Duration, error) {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return 0, err
	}
	return time.ParseDuration(text)
}
