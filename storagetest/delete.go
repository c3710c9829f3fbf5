package storagetest

import (
	"context"
	"fmt"
	"time"

	"github.com/authwright/authwright"
)

// The dead have been so for a while: a store may keep a record for some time after it
// has expired.
const longAgo = -48 * time.Hour

func deleteDead(ctx context.Context, s Store) error {
	const dead, limit = 7, 3
	for i := range dead {
		g := newGrant(fmt.Sprint("dead ", i))
		g.ExpiresAt = fromNow(longAgo)
		if err := s.SaveGrant(ctx, g); err != nil {
			return err
		}
	}
	live, err := saveFor(ctx, s, "ada", "app", 2)
	if err != nil {
		return err
	}
	for calls := 0; ; calls++ {
		n, err := s.DeleteExpired(ctx, time.Now(), limit)
		if err != nil {
			return err
		}
		if n < 0 || n > limit {
			return fmt.Errorf("deleted %d records, but the limit is %d", n, limit)
		}
		if n < limit {
			break
		}
		if calls > dead {
			return fmt.Errorf("still deleting after %d calls", calls)
		}
	}
	for i := range dead {
		_, err := s.Grant(ctx, fmt.Sprint("dead ", i))
		if err := expect(err, authwright.ErrNotFound); err != nil {
			return fmt.Errorf("a grant that expired two days ago, when none is left to delete: %w", err)
		}
	}
	if err := expectListed(ctx, bySubject(s, "ada"), 0, live...); err != nil {
		return err
	}
	return s.SaveGrant(ctx, newGrant("dead 0"))
}

func deleteLive(ctx context.Context, s Store) error {
	ids, err := saveFor(ctx, s, "ada", "app", 5)
	if err != nil {
		return err
	}
	if err := s.AddClient(ctx, fullClient()); err != nil {
		return err
	}
	until := time.Now().Add(time.Hour)
	if err := s.UseOnce(ctx, "key", until); err != nil {
		return err
	}
	for _, now := range []time.Time{time.Now(), time.Now().Add(longAgo)} {
		for _, limit := range []int{0, 1, 100} {
			n, err := s.DeleteExpired(ctx, now, limit)
			if err != nil {
				return err
			}
			if n != 0 {
				return fmt.Errorf("says that it deleted %d records, and all are of use", n)
			}
		}
	}
	if err := expectListed(ctx, bySubject(s, "ada"), 0, ids...); err != nil {
		return err
	}
	if err := expect(s.UseOnce(ctx, "key", until), authwright.ErrConflict); err != nil {
		return fmt.Errorf("a used key: %w", err)
	}
	for _, id := range ids {
		g := newGrant(id)
		g.Version = 2
		if err := saveAndExpect(ctx, s, g); err != nil {
			return err
		}
	}
	return expectClient(ctx, s, fullClient())
}
