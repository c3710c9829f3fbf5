package authwright

import (
	"context"
	"errors"
)

// RevokeGrant revokes the grant stored as id, and with it every token made from it: for
// a user who disconnects an application. It returns [ErrNotFound] if there is none, and
// nil if it was revoked before. When it returns nil, no refresh that is under way will
// succeed.
func (s *Server) RevokeGrant(ctx context.Context, id string) error {
	return s.revokeGrant(ctx, id, "host")
}

// revokeGrant revokes a grant for a reason.
func (s *Server) revokeGrant(ctx context.Context, id, reason string) error {
	for {
		g, err := s.cfg.Storage.Grant(ctx, id)
		if err != nil {
			return err
		}
		if g.Stage == StageRevoked {
			return nil
		}
		s.revoke(g)
		err = s.cfg.Storage.SaveGrant(ctx, g)
		if err == nil {
			s.emit(ctx, EventGrantRevoked, g, reason)
			return nil
		}
		if !errors.Is(err, ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}

// RevokeSubject revokes every grant of a user, remembered consents included: for a
// changed password, or somebody who leaves. It needs [Config.Index]. If it returns an
// error, some may have been revoked; call it again.
func (s *Server) RevokeSubject(ctx context.Context, subject string) error {
	if s.cfg.Index == nil {
		return errNoIndex
	}
	return s.revokeAll(ctx, func(page string) ([]*Grant, string, error) {
		return s.cfg.Index.GrantsBySubject(ctx, subject, page, 0)
	})
}

// RevokeClient revokes every grant of a client, remembered consents included. It needs
// [Config.Index]. If it returns an error, some may have been revoked; call it again.
func (s *Server) RevokeClient(ctx context.Context, clientID string) error {
	if s.cfg.Index == nil {
		return errNoIndex
	}
	return s.revokeAll(ctx, func(page string) ([]*Grant, string, error) {
		return s.cfg.Index.GrantsByClient(ctx, clientID, page, 0)
	})
}

var errNoIndex = errors.New("authwright: Config.Index is not set")

func (s *Server) revokeAll(ctx context.Context, list func(page string) ([]*Grant, string, error)) error {
	page := ""
	for {
		grants, next, err := list(page)
		if err != nil {
			return err
		}
		for _, g := range grants {
			if err := s.RevokeGrant(ctx, g.ID); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		if next == "" {
			return nil
		}
		page = next
	}
}
