package authwright

import (
	"context"
	"errors"
	"net/http"
)

// refresh serves grant_type=refresh_token (RFC 6749, section 6). Every refresh token
// is used once; the one that replaces it is part of the answer (RFC 9700, section
// 4.14.2).
func (s *Server) refresh(r *http.Request, c *Client, f form) (*tokenResponse, error) {
	text := f.get("refresh_token")
	if text == "" {
		return nil, &Error{Code: ErrInvalidRequest, Description: "refresh_token is missing"}
	}
	sec, ok := parseSecret(text)
	if !ok {
		return nil, ErrInvalidGrant
	}
	return s.redeem(r.Context(), c, sec, EventTokenReplayed, func(g *Grant) (move, error) {
		return s.judgeRefresh(g, sec)
	}, f)
}

// judgeRefresh says what the presentation of a refresh token means. A lineage that is
// not the grant's was never given out, and means nothing.
func (s *Server) judgeRefresh(g *Grant, sec secret) (move, error) {
	if !same(g.Lineage, hash(sec.lineage[:])) {
		return 0, ErrInvalidGrant
	}
	turn := hash(sec.turn[:])
	if same(g.Turn, turn) {
		return advance, nil
	}
	// Without grace there is none at a server whose clock is behind, either.
	if s.cfg.RefreshGrace > 0 && same(g.Previous, turn) && s.now().Before(g.RotatedAt.Add(s.cfg.RefreshGrace)) {
		if _, ok := g.successor(sec); ok {
			return repeat, nil
		}
	}
	return replay, nil
}

// repeated answers a refresh that was answered before, by the same request sent twice or
// by a client that never saw the answer: the same refresh token, which has not been used
// yet, with a new access token. Nothing changes, so there is nothing to save; a second
// look does for the save, so that a revocation meanwhile is not outrun.
func (s *Server) repeated(ctx context.Context, c *Client, g *Grant, sec secret, f form) (*tokenResponse, error) {
	next, _ := g.successor(sec)
	resp, err := s.newTokens(ctx, c, g, &next, f)
	if err != nil {
		return nil, err
	}
	if latest, err := s.cfg.Storage.Grant(ctx, g.ID); err != nil && !errors.Is(err, ErrNotFound) {
		return nil, unavailable(err)
	} else if err != nil || latest.Version != g.Version {
		return nil, ErrConflict
	}
	s.emit(ctx, EventTokenRetried, g, "")
	return resp, nil
}
