package sqlstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/authwright/authwright"
)

// UseOnce implements [authwright.Storage].
//
// In PostgreSQL and SQLite it is one statement: an insert that may take over a row that
// has expired. MySQL cannot put a condition on that. There one statement records a new
// key, and only if it is taken two more delete it in case it has expired and try again;
// whatever runs in between, the insert alone decides who was first.
func (s *Store) UseOnce(ctx context.Context, key string, until time.Time) error {
	// The hash fits every key into a short index, and gives away none.
	hash := sha256.Sum256([]byte(key))
	id, expires, now := hash[:], roundUp(until), s.now().UnixMilli()
	if s.dialect != MySQL {
		return s.one(ctx, "use once", authwright.ErrConflict, s.sql.useOnce, id, expires, now)
	}
	err := s.one(ctx, "use once", authwright.ErrConflict, s.sql.addKey, id, expires)
	if !errors.Is(err, authwright.ErrConflict) {
		return err
	}
	if _, err := s.exec(ctx, s.sql.freeKey, id, now); err != nil {
		return fmt.Errorf("sqlstore: use once: %w", err)
	}
	return s.one(ctx, "use once", authwright.ErrConflict, s.sql.addKey, id, expires)
}

// DeleteExpired deletes up to limit records that were of no use any more at the given
// time, and returns how many that were: fewer than limit when none are left. Zero
// means 1,000. Every replica may call it, at any time; small batches keep the locks
// short.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	if limit <= 0 {
		limit = 1000
	}
	deleted := 0
	for _, query := range []string{s.sql.deleteGrants, s.sql.deleteKeys, s.sql.deleteClients} {
		n, err := s.exec(ctx, query, now.UnixMilli(), limit-deleted)
		if err != nil {
			return deleted, fmt.Errorf("sqlstore: delete expired: %w", err)
		}
		deleted += int(n)
		if deleted >= limit {
			break
		}
	}
	return deleted, nil
}
