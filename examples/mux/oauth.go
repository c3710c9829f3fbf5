package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/authwright/authwright"
)

// What the application says to its authorization server.
var (
	_ authwright.Authenticator   = (*site)(nil)
	_ authwright.ConsentRenderer = (*site)(nil)
)

// CurrentUser implements [authwright.Authenticator]: it answers and writes nothing.
func (s *site) CurrentUser(r *http.Request) (*authwright.User, error) {
	who, ok := s.session(r)
	if !ok {
		return nil, nil
	}
	return &authwright.User{Subject: who.name, AuthTime: who.at}, nil
}

// Login implements [authwright.Authenticator] by the login page that was there already.
func (s *site) Login(w http.ResponseWriter, r *http.Request, req *authwright.AuthorizeRequest) {
	q := url.Values{"next": {req.ReturnTo}, "username": {req.LoginHint}}
	http.Redirect(w, r, "/login?"+q.Encode(), http.StatusSeeOther)
}

// RenderConsent implements [authwright.ConsentRenderer] in the look of the site.
func (s *site) RenderConsent(w http.ResponseWriter, _ *http.Request, c *authwright.Consent) error {
	s.show(w, http.StatusOK, "consent", c)
	return nil
}

// claims puts into the token what the user may do. It runs for every token, so that a
// permission that is withdrawn is gone with the next refresh.
func (s *site) claims(_ context.Context, g *authwright.Grant) (map[string]any, error) {
	permissions := []string{"shelf.view"}
	if slices.Contains(g.Scopes, "books:lend") {
		permissions = append(permissions, "shelf.lend")
	}
	return map[string]any{"permissions": permissions}, nil
}

// A connection is an application that somebody has connected.
type connection struct {
	Client *authwright.Client
	Since  time.Time
	Scopes []string
}

// add notes one more grant of the same client, which may run on several devices.
func (c *connection) add(g *authwright.Grant) {
	if g.CreatedAt.Before(c.Since) {
		c.Since = g.CreatedAt
	}
	for _, scope := range g.Scopes {
		if !slices.Contains(c.Scopes, scope) {
			c.Scopes = append(c.Scopes, scope)
		}
	}
}

// serveApps shows which applications may act for the user.
func (s *site) serveApps(w http.ResponseWriter, r *http.Request) {
	who, ok := s.session(r)
	if !ok {
		http.Redirect(w, r, "/login?next=/apps", http.StatusSeeOther)
		return
	}
	var list []*connection
	err := s.grants(r.Context(), who.name, func(g *authwright.Grant) error {
		if g.Stage != authwright.StageActive || !time.Now().Before(g.ExpiresAt) {
			return nil
		}
		i := slices.IndexFunc(list, func(c *connection) bool { return c.Client.ID == g.ClientID })
		if i < 0 {
			c, err := s.storage.Client(r.Context(), g.ClientID)
			if errors.Is(err, authwright.ErrNotFound) {
				return nil // its grants are worth nothing any more
			} else if err != nil {
				return err
			}
			list, i = append(list, &connection{Client: c, Since: g.CreatedAt}), len(list)
		}
		list[i].add(g)
		return nil
	})
	if err != nil {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	s.show(w, http.StatusOK, "apps", list)
}

// disconnect revokes all that the user ever granted to a client, the remembered consent
// too: next time, the client has to ask.
func (s *site) disconnect(srv *authwright.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := s.session(r)
		if !ok {
			http.Error(w, "sign in first", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		client := r.PostFormValue("client")
		err := s.grants(r.Context(), who.name, func(g *authwright.Grant) error {
			if g.ClientID != client {
				return nil
			}
			return srv.RevokeGrant(r.Context(), g.ID)
		})
		if err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/apps", http.StatusSeeOther)
	})
}

// grants calls f with every grant of a user, whatever its stage.
func (s *site) grants(ctx context.Context, subject string, f func(*authwright.Grant) error) error {
	for page, more := "", true; more; more = page != "" {
		list, next, err := s.storage.GrantsBySubject(ctx, subject, page, 0)
		if err != nil {
			return err
		}
		for _, g := range list {
			if err := f(g); err != nil {
				return err
			}
		}
		page = next
	}
	return nil
}
