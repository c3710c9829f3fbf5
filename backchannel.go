package authwright

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// endSession tells the clients that the session of user is over, and revokes what they were
// given in it. Grants with offline_access outlive it (OpenID Connect Back-Channel Logout,
// section 2.7), and so do those of plain OAuth, which knows no sessions.
func (s *Server) endSession(ctx context.Context, user *User) error {
	if s.cfg.Index == nil {
		return nil
	}
	told := make(map[string]bool)
	for page, more := "", true; more; {
		grants, next, err := s.cfg.Index.GrantsBySubject(ctx, user.Subject, page, 0)
		if err != nil {
			return err
		}
		for _, g := range grants {
			if !s.isPartOf(g, user) {
				continue
			}
			if g.Stage == StageActive && !told[g.ClientID] {
				told[g.ClientID] = true
				s.tell(ctx, user, g.ClientID)
			}
			if slices.Contains(g.Scopes, "offline_access") {
				continue
			}
			if err := s.revokeGrant(ctx, g.ID, "logout"); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		page, more = next, next != ""
	}
	return nil
}

// isPartOf reports whether g belongs to the session of user, and is of any use still. If the
// host does not tell sessions apart, all belong to it.
func (s *Server) isPartOf(g *Grant, user *User) bool {
	alive := (g.Stage == StageCode || g.Stage == StageActive) && s.now().Before(g.ExpiresAt)
	return alive && s.isOpenID(g.Scopes) && (user.Session == "" || g.Session == user.Session)
}

// tell sends a client the news that user has logged out (OpenID Connect Back-Channel Logout
// 1.0), without letting the user wait for it, nor for the client's own document.
func (s *Server) tell(ctx context.Context, user *User, clientID string) {
	ctx = context.WithoutCancel(ctx)
	s.background.Go(func() {
		if err := s.notify(ctx, user, clientID); err != nil && !errors.Is(err, ErrNotFound) {
			s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "authwright: back-channel logout failed",
				slog.String("client_id", limit(clientID)), slog.Any("cause", err))
		}
	})
}

// notify tells a client, if it wants to know. Here nobody but us can stop the host's code from
// waiting for ever, or a panic of it from ending the program.
func (s *Server) notify(ctx context.Context, user *User, clientID string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("authwright: panic: %v\n%s", v, debug.Stack())
		}
	}()
	lookup, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	defer cancel()
	c, err := s.client(lookup, clientID)
	if err != nil || c.BackchannelLogoutURI == "" {
		return err
	}
	return s.sendLogout(ctx, c, user)
}

func (s *Server) sendLogout(ctx context.Context, c *Client, user *User) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	token, err := s.logoutToken(c, user)
	if err != nil {
		return err
	}
	body := strings.NewReader(url.Values{"logout_token": {string(token)}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BackchannelLogoutURI, body)
	if err != nil || req.URL.Scheme != "https" {
		return errors.New("authwright: not an https URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.fetch.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return errors.New("authwright: the client answered " + resp.Status)
	}
	return nil
}

// logoutToken is the token of section 2.4. It has no nonce, so that no ID token is one.
func (s *Server) logoutToken(c *Client, user *User) ([]byte, error) {
	now := s.now()
	key := s.keys.at(now).signing[c.idTokenAlg()]
	if key == nil {
		return nil, errors.New("authwright: no signing key for the client's IDTokenAlg")
	}
	claims := map[string]any{
		"iss": s.cfg.Issuer, "aud": c.ID, "sub": user.Subject, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}},
	}
	if user.Session != "" {
		claims["sid"] = user.Session
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	return key.sign(typeLogoutToken, payload)
}

// Close waits until the clients that were to be told of a logout have been told, or until
// ctx ends. Nothing else outlives its request.
func (s *Server) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		s.background.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
