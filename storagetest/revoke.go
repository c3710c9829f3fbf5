package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/authwright/authwright"
)

func revokeOrder(ctx context.Context, s authwright.Storage) error {
	read := newGrant("rotated first")
	if err := s.SaveGrant(ctx, read); err != nil {
		return err
	}
	rotation := successor(read)
	if err := saveAndExpect(ctx, s, rotation); err != nil {
		return err
	}
	if err := expect(s.SaveGrant(ctx, revoked(read)), authwright.ErrConflict); err != nil {
		return fmt.Errorf("a revocation that had not seen the rotation: %w", err)
	}
	if err := saveAndExpect(ctx, s, revoked(rotation)); err != nil {
		return fmt.Errorf("a revocation that looked again: %w", err)
	}

	read = newGrant("revoked first")
	if err := s.SaveGrant(ctx, read); err != nil {
		return err
	}
	tombstone := revoked(read)
	if err := saveAndExpect(ctx, s, tombstone); err != nil {
		return err
	}
	if err := expect(s.SaveGrant(ctx, successor(read)), authwright.ErrConflict); err != nil {
		return fmt.Errorf("a rotation that had not seen the revocation: %w", err)
	}
	return expectGrant(ctx, s, tombstone)
}

func revokeRace(ctx context.Context, s authwright.Storage) error {
	for round := range 20 {
		g := newGrant(fmt.Sprint("round ", round))
		if err := s.SaveGrant(ctx, g); err != nil {
			return err
		}
		if err := revokeAgainstRotations(ctx, s, g.ID); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

// revokeAgainstRotations lets one caller revoke a grant that others refresh without end.
func revokeAgainstRotations(ctx context.Context, s authwright.Storage, id string) error {
	var over atomic.Bool
	if err := together(4, func(i int) error {
		if i > 0 {
			return rotateUntilRevoked(ctx, s, id, &over)
		}
		defer over.Store(true)
		dawdle()
		return update(ctx, s, id, func(g *authwright.Grant) error {
			version := g.Version
			*g = *revoked(g)
			g.Version = version // update counts
			return nil
		})
	}); err != nil {
		return err
	}
	g, err := s.Grant(ctx, id)
	if err == nil && g.Stage != authwright.StageRevoked {
		err = fmt.Errorf("version %d is %s after the revocation", g.Version, g.Stage)
	}
	return err
}

// rotateUntilRevoked refreshes a grant until it reads that it is revoked, which must be
// at once when the revocation is over.
func rotateUntilRevoked(ctx context.Context, s authwright.Storage, id string, over *atomic.Bool) error {
	for conflicts := 0; conflicts < stuck; conflicts++ {
		late := over.Load()
		g, err := s.Grant(ctx, id)
		if err != nil {
			return err
		}
		if g.Stage == authwright.StageRevoked {
			return nil
		}
		if late {
			return fmt.Errorf("version %d is read as %s after the revocation", g.Version, g.Stage)
		}
		dawdle()
		late = over.Load()
		err = s.SaveGrant(ctx, successor(g))
		if err == nil && late {
			return fmt.Errorf("version %d is saved after the revocation", g.Version+1)
		}
		if err == nil {
			conflicts = 0
		} else if !errors.Is(err, authwright.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("%d conflicts in a row, with nobody to win them", stuck)
}
