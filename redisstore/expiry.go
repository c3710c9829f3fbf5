package redisstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/authwright/authwright"
)

// UseOnce implements [authwright.Storage]. It is SET with NX, which is atomic, and the key
// is free again at the given time by the clock of Redis.
func (s *Store) UseOnce(ctx context.Context, key string, until time.Time) error {
	// The hash bounds what strangers can make Redis keep.
	sum := sha256.Sum256([]byte(key))
	key, token := s.key("used", base64.RawURLEncoding.EncodeToString(sum[:])), rand.Text()
	reply, err := s.do(ctx, "SET", key, token, "NX", "PXAT", decimal(millis(until)))
	if err == nil && reply == nil {
		// Taken, and perhaps by this very call, whose first reply was lost: see saveGrant.
		if reply, err = s.do(ctx, "GET", key); err == nil && reply == nil {
			return authwright.ErrConflict
		}
		if err == nil {
			var taker string
			if taker, err = text(reply); err == nil && taker != token {
				return authwright.ErrConflict
			}
		}
	}
	if err != nil {
		return fmt.Errorf("redisstore: use once: %w", err)
	}
	return nil
}

// DeleteExpired deletes nothing and returns 0, since Redis does so by itself: every key
// but those of permanent clients has an expiry. It is here so that a host can change from
// one store to another.
func (s *Store) DeleteExpired(ctx context.Context, _ time.Time, _ int) (int, error) {
	return 0, ctx.Err()
}
