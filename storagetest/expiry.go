package storagetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/authwright/authwright"
)

func expiryLive(ctx context.Context, s authwright.Storage) error {
	live, dead := newGrant("live"), newGrant("dead")
	dead.ExpiresAt = fromNow(-time.Hour)
	for _, g := range []*authwright.Grant{live, dead} {
		if err := s.SaveGrant(ctx, g); err != nil {
			return fmt.Errorf("grant %q: %w", g.ID, err)
		}
	}
	// It may be gone; what is there must be it.
	if err := expectGrant(ctx, s, dead); err != nil && !errors.Is(err, authwright.ErrNotFound) {
		return err
	}
	// Who has forgotten it cannot tell that it ever was.
	for _, version := range []int64{1, 2} {
		again := newGrant("dead")
		again.Version, again.ExpiresAt = version, dead.ExpiresAt
		if err := s.SaveGrant(ctx, again); err != nil && !errors.Is(err, authwright.ErrConflict) {
			return fmt.Errorf("version %d of an expired grant: %w", version, err)
		}
	}
	if err := expectGrant(ctx, s, live); err != nil {
		return fmt.Errorf("live grant: %w", err)
	}
	if err := refuses(ctx, s, live, 1, 3); err != nil {
		return fmt.Errorf("live grant: %w", err)
	}
	return saveAndExpect(ctx, s, successor(live))
}

func expiryExtended(ctx context.Context, s authwright.Storage) error {
	const soon = 400 * time.Millisecond
	var grants []*authwright.Grant
	for i := range 3 {
		g := newGrant(fmt.Sprint("extended ", i))
		g.ExpiresAt = fromNow(soon)
		if err := s.SaveGrant(ctx, g); err != nil {
			return err
		}
		g = successor(g)
		if err := s.SaveGrant(ctx, g); err != nil {
			return err
		}
		grants = append(grants, g)
	}
	for end := time.Now().Add(soon + soon/4); time.Now().Before(end); time.Sleep(soon / 8) {
		for _, g := range grants {
			if err := expectGrant(ctx, s, g); err != nil {
				return err
			}
		}
	}
	for _, g := range grants {
		if err := saveAndExpect(ctx, s, successor(g)); err != nil {
			return err
		}
	}
	return nil
}
