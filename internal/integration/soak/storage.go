package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/sqlstore"
)

// A storage is one of the stores of this module on a database that is not always there.
type storage struct {
	store
	connections func() int // to the database
}

type store interface {
	authwright.Storage
	authwright.ClientStore
	DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error)
}

// openStorage returns when the database has answered.
func openStorage(ctx context.Context, cfg *config) (*storage, error) {
	s, prepare, err := newStorage(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if err = s.begin(ctx, cfg, prepare); err == nil {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func newStorage(cfg *config) (s *storage, prepare func(context.Context) error, err error) {
	scheme, addr, _ := strings.Cut(cfg.Storage, "://")
	switch scheme {
	case "postgres":
		db, err := sql.Open("pgx", cfg.Storage)
		if err != nil {
			return nil, nil, err
		}
		db.SetMaxOpenConns(20)
		db.SetMaxIdleConns(20)
		s, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.Postgres, Now: cfg.now})
		if err != nil {
			return nil, nil, err
		}
		return &storage{s, func() int { return db.Stats().OpenConnections }}, s.Migrate, nil
	case "redis":
		rdb := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 20, ContextTimeoutEnabled: true})
		s, err := redisstore.New(rdb, redisstore.Config{})
		if err != nil {
			return nil, nil, err
		}
		return &storage{s, func() int { return int(rdb.PoolStats().TotalConns) }}, s.Check, nil
	}
	return nil, nil, fmt.Errorf("storage: %q is neither postgres nor redis", scheme)
}

func (s *storage) begin(ctx context.Context, cfg *config, prepare func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := prepare(ctx); err != nil {
		return err
	}
	for _, c := range cfg.Clients {
		if err := s.AddClient(ctx, c); err != nil && !errors.Is(err, authwright.ErrConflict) {
			return err
		}
	}
	return nil
}

// sweep deletes what has expired.
func (s *storage) sweep(ctx context.Context, log *slog.Logger, now time.Time) {
	const limit = 1000
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for deleted := limit; deleted == limit; {
		var err error
		if deleted, err = s.DeleteExpired(ctx, now, limit); err != nil {
			log.Warn("soak: expired records are still there", slog.Any("error", err))
			return
		}
	}
}
