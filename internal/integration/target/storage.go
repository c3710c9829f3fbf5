package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/sqlstore"
)

// A storage is what the stores of the module have in common.
type storage interface {
	authwright.Storage
	authwright.Index
	authwright.ClientStore
	DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error)
}

// An openedStorage holds connections until it is closed.
type openedStorage struct {
	storage
	io.Closer
}

// openStorage returns the storage that dsn, which is "memory" or a URL, names, ready for use.
// No error has more of dsn in it than its scheme: the rest may hold a password.
func openStorage(ctx context.Context, dsn string) (*openedStorage, error) {
	scheme, rest, _ := strings.Cut(dsn, ":")
	switch scheme {
	case "", "memory":
		if rest != "" {
			break
		}
		return &openedStorage{new(authwright.Memory), noCloser{}}, nil
	case "postgres", "postgresql":
		return openSQL(ctx, sqlstore.Postgres, "pgx", dsn)
	case "mysql":
		return openSQL(ctx, sqlstore.MySQL, "mysql", strings.TrimPrefix(rest, "//"))
	case "sqlite":
		return openSQL(ctx, sqlstore.SQLite, "sqlite",
			"file:"+rest+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	case "redis":
		return openRedis(ctx, strings.Split(strings.TrimPrefix(rest, "//"), ","))
	}
	return nil, fmt.Errorf("%q is not supported", scheme)
}

func openSQL(ctx context.Context, dialect sqlstore.Dialect, driver, dsn string) (*openedStorage, error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, fmt.Errorf("%s: the data source name is malformed", driver)
	}
	db.SetMaxOpenConns(20)
	if dialect == sqlstore.SQLite {
		db.SetMaxOpenConns(1) // it has one writer at a time
	}
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: dialect})
	if err == nil {
		err = store.Migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &openedStorage{store, db}, nil
}

func openRedis(ctx context.Context, addrs []string) (*openedStorage, error) {
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	store, err := redisstore.New(rdb, redisstore.Config{})
	if err == nil {
		err = store.Check(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, rdb.Close())
	}
	return &openedStorage{store, rdb}, nil
}

type noCloser struct{}

func (noCloser) Close() error { return nil }

// addClient registers c, or changes what an earlier run or another replica has
// registered.
func (s *openedStorage) addClient(ctx context.Context, c *authwright.Client) error {
	err := s.AddClient(ctx, c)
	if errors.Is(err, authwright.ErrConflict) {
		err = s.UpdateClient(ctx, c)
	}
	return err
}
