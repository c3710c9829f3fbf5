package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/authwright/authwright"
)

func saveCreateOnce(ctx context.Context, s authwright.Storage) error {
	first, second := newGrant("taken"), newGrant("taken")
	second.Subject = "mallory"
	if err := s.SaveGrant(ctx, first); err != nil {
		return err
	}
	if err := expect(s.SaveGrant(ctx, second), authwright.ErrConflict); err != nil {
		return err
	}
	return expectGrant(ctx, s, first)
}

func saveMissing(ctx context.Context, s authwright.Storage) error {
	g := newGrant("missing")
	for _, g.Version = range []int64{2, 3, 1 << 40} {
		if err := expect(s.SaveGrant(ctx, g), authwright.ErrConflict); err != nil {
			return fmt.Errorf("version %d: %w", g.Version, err)
		}
		_, err := s.Grant(ctx, g.ID)
		if err := expect(err, authwright.ErrNotFound); err != nil {
			return fmt.Errorf("after the conflict: %w", err)
		}
	}
	return nil
}

func saveGap(ctx context.Context, s authwright.Storage) error {
	stored := newGrant("gap")
	if err := s.SaveGrant(ctx, stored); err != nil {
		return err
	}
	return refuses(ctx, s, stored, 3, 4, 100, 1<<40, 0, -1)
}

func saveStale(ctx context.Context, s authwright.Storage) error {
	stored := newGrant("stale")
	for ; ; stored.Version++ {
		if err := s.SaveGrant(ctx, stored); err != nil {
			return err
		}
		if stored.Version == 5 {
			return refuses(ctx, s, stored, 5, 4, 3, 2, 1)
		}
	}
}

func saveConflict(ctx context.Context, s authwright.Storage) error {
	stored := newGrant("conflict")
	if err := s.SaveGrant(ctx, stored); err != nil {
		return err
	}
	stored.Version++
	if err := s.SaveGrant(ctx, stored); err != nil {
		return err
	}
	if err := refuses(ctx, s, stored, 1, 2, 4); err != nil {
		return err
	}
	return saveAndExpect(ctx, s, successor(stored))
}

// refuses returns an error unless each of versions conflicts with the stored grant and
// leaves it as it is.
func refuses(ctx context.Context, s authwright.Storage, stored *authwright.Grant, versions ...int64) error {
	for _, version := range versions {
		g := &authwright.Grant{ID: stored.ID, Version: version, Stage: authwright.StageRevoked, Subject: "mallory", ExpiresAt: fromNow(2 * time.Hour)}
		if err := expect(s.SaveGrant(ctx, g), authwright.ErrConflict); err != nil {
			return fmt.Errorf("version %d on top of %d: %w", version, stored.Version, err)
		}
		if err := expectGrant(ctx, s, stored); err != nil {
			return fmt.Errorf("after version %d conflicted: %w", version, err)
		}
	}
	return nil
}

func saveOneWinner(ctx context.Context, s authwright.Storage) error {
	for version := int64(1); version <= 12; version++ {
		winner, err := race(32, func(i int) error {
			g := newGrant("contested")
			g.Version, g.Nonce = version, strconv.Itoa(i)
			return s.SaveGrant(ctx, g)
		})
		if err != nil {
			return fmt.Errorf("version %d: %w", version, err)
		}
		g, err := s.Grant(ctx, "contested")
		if err != nil {
			return err
		}
		if g.Version != version || g.Nonce != strconv.Itoa(winner) {
			return fmt.Errorf("stored is version %d of caller %s, but caller %d was told that it saved version %d", g.Version, g.Nonce, winner, version)
		}
	}
	return nil
}

func saveNoLostUpdate(ctx context.Context, s authwright.Storage) error {
	const callers, updates = 16, 20
	g := newGrant("counter")
	g.Nonce = "0"
	if err := s.SaveGrant(ctx, g); err != nil {
		return err
	}
	if err := together(callers, func(int) error {
		for range updates {
			if err := update(ctx, s, g.ID, increment); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	got, err := s.Grant(ctx, g.ID)
	if err != nil {
		return err
	}
	if want := callers * updates; got.Nonce != strconv.Itoa(want) || got.Version != int64(want)+1 {
		return fmt.Errorf("after %d updates the counter is %s and the version %d", want, got.Nonce, got.Version)
	}
	return nil
}

func increment(g *authwright.Grant) error {
	n, err := strconv.Atoi(g.Nonce)
	g.Nonce = strconv.Itoa(n + 1)
	return err
}

// stuck is how often in a row a caller may be told that somebody else was first.
const stuck = 5000

// update reads, changes and saves a grant, again and again until nobody comes in
// between.
func update(ctx context.Context, s authwright.Storage, id string, change func(*authwright.Grant) error) error {
	for range stuck {
		g, err := s.Grant(ctx, id)
		if err != nil {
			return err
		}
		if err := change(g); err != nil {
			return err
		}
		dawdle()
		g.Version++
		if err := s.SaveGrant(ctx, g); !errors.Is(err, authwright.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("%d conflicts in a row, with nobody to win them", stuck)
}

func saveManyGrants(ctx context.Context, s authwright.Storage) error {
	return together(24, func(i int) error {
		for j := range 3 {
			g := newGrant(fmt.Sprint("many ", i, " ", j))
			for ; g.Version <= 4; g.Version++ {
				if err := saveAndExpect(ctx, s, g); err != nil {
					return fmt.Errorf("grant %q: %w", g.ID, err)
				}
			}
		}
		return nil
	})
}
