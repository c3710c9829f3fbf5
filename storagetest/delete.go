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
	if err := deleteAll(ctx, s, limit, dead); err != nil {
		return err
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

// deleteAll calls DeleteExpired until none is left of as many records as have expired.
func deleteAll(ctx context.Context, s Store, limit, expired int) error {
	for calls := 0; ; calls++ {
		n, err := s.DeleteExpired(ctx, time.Now(), limit)
		if err != nil {
			return err
		}
		if n < 0 || n > limit {
			return fmt.Errorf("deleted %d records, but the limit is %d", n, limit)
		}
		if n < limit {
			return nil
		}
		if calls > expired {
			return fmt.Errorf("still deleting after %d calls", calls)
		}
	}
}

func deleteClients(ctx context.Context, s Store) error {
	const dead, limit = 5, 2
	expiring := func(id string, at time.Time) *authwright.Client {
		c := plainClient(id)
		c.ExpiresAt = at
		return c
	}
	for i := range dead {
		if err := s.AddClient(ctx, expiring(fmt.Sprint("dead-", i), fromNow(longAgo))); err != nil {
			return err
		}
	}
	live := []*authwright.Client{plainClient("endless"), expiring("live", fromNow(time.Hour)), plainClient("kept"), expiring("renewed", fromNow(time.Hour))}
	const soon = 500 * time.Millisecond
	var end time.Time
	for _, c := range live {
		before := *c
		if c.ID == "kept" || c.ID == "renewed" { // before it was updated
			end = fromNow(soon)
			before.ExpiresAt = end
		}
		if err := s.AddClient(ctx, &before); err != nil {
			return err
		}
		if err := s.UpdateClient(ctx, c); err != nil {
			return fmt.Errorf("client %q, within %v: %w", c.ID, soon, err)
		}
	}
	time.Sleep(time.Until(end))
	if err := deleteAll(ctx, s, limit, dead); err != nil {
		return err
	}
	for i := range dead {
		_, err := s.Client(ctx, fmt.Sprint("dead-", i))
		if err := expect(err, authwright.ErrNotFound); err != nil {
			return fmt.Errorf("a client that expired two days ago, when none is left to delete: %w", err)
		}
	}
	for _, c := range live {
		if err := expectClient(ctx, s, c); err != nil {
			return err
		}
	}
	return nil
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
