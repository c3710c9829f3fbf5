package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"

	"github.com/authwright/authwright"
)

// openID reports whether the target is an OpenID Provider.
func (c *config) openID() bool {
	if c.OpenID != nil {
		return *c.OpenID
	}
	return slices.Contains(c.Scopes.names(), "openid")
}

// knownScopes are those that a client may ask for if it does not say.
func (c *config) knownScopes() []string {
	known := c.Scopes.names()
	if c.openID() { // the library adds them
		for _, name := range []string{"openid", "profile", "email", "address", "phone", "offline_access"} {
			if !slices.Contains(known, name) {
				known = append(known, name)
			}
		}
	}
	return known
}

// extend switches on what the file asks for beyond OAuth with clients that are known.
func (c *config) extend(settings *authwright.Config, store *openedStorage, h *host) error {
	if c.Profile == "mcp" {
		settings.Profile = authwright.MCP
	}
	if c.openID() {
		settings.OpenID = &authwright.OpenID{UserInfo: h.userInfo, Logout: h.logout}
	}
	if c.Registration {
		settings.Registration = &authwright.Registration{Clients: store}
		settings.ClientDocuments = new(authwright.ClientDocuments)
	}
	if c.InitialAccessToken != "" {
		settings.Registration.InitialAccessTokens = []authwright.ClientSecret{hashToken(c.InitialAccessToken)}
	}
	if u, err := url.Parse(c.Issuer); err == nil {
		settings.InsecureFetchLoopback = slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
	}
	if c.FetchRoots == "" {
		return nil
	}
	text, err := os.ReadFile(c.FetchRoots)
	if err != nil {
		return fmt.Errorf("fetch_roots: %w", err)
	}
	settings.FetchRoots = x509.NewCertPool()
	if !settings.FetchRoots.AppendCertsFromPEM(text) {
		return errors.New("fetch_roots: there is no certificate in the file")
	}
	return nil
}

// userInfo is what the file says about a user, who may not have tokens if it says nothing.
func (h *host) userInfo(_ context.Context, subject string) (map[string]any, error) {
	u, ok := h.bySubject[subject]
	if !ok {
		return nil, authwright.ErrAccessDenied
	}
	return u.Claims, nil
}

// logout ends the session of r.
func (h *host) logout(w http.ResponseWriter, r *http.Request) error {
	h.signOut(r)
	gone := h.cookie("")
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	return nil
}
