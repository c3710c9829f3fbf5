package integration_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A soakDirect asks the database itself, not through the proxy.
type soakDirect struct {
	rows  func(context.Context) (int, error) // how many there are, or keys
	write func(context.Context) error        // returns when something is on the disk
}

func newSoakDirect(t *testing.T, e durableEngine) *soakDirect {
	t.Helper()
	if _, ok := e.(durableRedis); ok {
		rdb := redis.NewClient(&redis.Options{Addr: e.address(), PoolSize: 2, ContextTimeoutEnabled: true})
		t.Cleanup(func() { require.NoError(t, rdb.Close()) })
		return &soakDirect{func(ctx context.Context) (int, error) {
			n, err := rdb.DBSize(ctx).Result()
			return int(n), err
		}, func(ctx context.Context) error { return rdb.Set(ctx, "soak", "a write", 0).Err() }}
	}
	db, err := sql.Open("pgx", e.dsn())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(2)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE soak (id int PRIMARY KEY, n int)")
	require.NoError(t, err)
	return &soakDirect{func(ctx context.Context) (n int, err error) {
		return n, db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM authwright_grants) + (SELECT count(*) FROM authwright_used)").Scan(&n)
	}, func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "INSERT INTO soak VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = soak.n + 1")
		return err
	}}
}

// A machine that is busy with something else stalls everything, and answers 503 then. The
// witness of that has nothing to do with this module: a write to the database, a few times a
// second, that should have been done within soakStall of when it was due.
const soakStall = 250 * time.Millisecond

// watchMachine writes down when the machine stalls, until ctx ends.
func (s *soakTroubler) watchMachine(ctx context.Context, db *soakDirect) {
	for due := s.now(); ctx.Err() == nil; due = s.now() + soakStall {
		<-time.After(due - s.now())
		writing, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := db.write(writing)
		cancel()
		if done := s.now(); err == nil && done-due > soakStall {
			s.note(soakWindow{soakLoad, "the machine stalls", due, done + soakFeltLoad})
		}
	}
}

// watchLoad writes down when more is waiting than should be, until ctx ends: the machine
// has more to do than it can, or something is left from when it could not.
func (s *soakTroubler) watchLoad(ctx context.Context, most int64) {
	for ctx.Err() == nil {
		<-time.After(50 * time.Millisecond)
		if now := s.now(); s.waiting.Load() > most {
			s.note(soakWindow{soakLoad, "too much is waiting", now - 50*time.Millisecond, now + soakFeltLoad})
		}
	}
}
