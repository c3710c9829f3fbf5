package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/bench/subject"
	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/sqlstore"
)

// startStorage starts the engine of the storage on cores and returns by what name openStorage
// finds it. The client is registered in it.
func (o *options) startStorage(ctx context.Context, cores string) (e *engine, dsn string, err error) {
	if e, err = newEngine(cores); err != nil {
		return e, "", err
	}
	switch o.storage {
	case "memory":
		dsn = "memory"
	case "postgresql":
		dsn, err = e.startPostgres(ctx, o.fsync)
	case "redis":
		dsn, err = e.startRedis(ctx, o.appendfsync)
	default:
		err = fmt.Errorf("-storage %q is not one of memory, postgresql, redis", o.storage)
	}
	return e, dsn, err
}

// startPostgres starts PostgreSQL as Debian configures it, but on a Unix socket of its own.
func (e *engine) startPostgres(ctx context.Context, fsync bool) (string, error) {
	data := filepath.Join(e.folder, "data")
	if _, _, err := run("", "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"); err != nil {
		return "", err
	}
	dsn := "host=" + e.folder + " user=postgres dbname=postgres"
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return "", err
	}
	defer db.Close()
	args := []string{"-D", data, "-k", e.folder, "-c", "listen_addresses=", "-c", "max_connections=200"}
	if !fsync {
		args = append(args, "-F")
	}
	if err := e.start(func() error { return db.PingContext(ctx) }, "postgres", args...); err != nil {
		return "", err
	}
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.Postgres})
	if err != nil {
		return "", err
	}
	if err := store.Migrate(ctx); err != nil {
		return "", err
	}
	return dsn, store.AddClient(ctx, subject.Client())
}

// startRedis starts Redis with AOF, without which package redisstore refuses to work.
func (e *engine) startRedis(ctx context.Context, appendfsync string) (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	addr := fmt.Sprint("127.0.0.1:", port)
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer rdb.Close()
	if err := e.start(func() error { return rdb.Ping(ctx).Err() }, "redis-server",
		"--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--dir", e.folder, "--daemonize", "no",
		"--appendonly", "yes", "--appendfsync", appendfsync, "--save", ""); err != nil {
		return "", err
	}
	store, err := redisstore.New(rdb, redisstore.Config{})
	if err != nil {
		return "", err
	}
	return "redis:" + addr, store.AddClient(ctx, subject.Client())
}

// openStorage is what a child process does.
func (o *options) openStorage() (authwright.Storage, error) {
	if o.dsn == "memory" {
		return authwright.NewMemory(subject.Client())
	}
	if addr, ok := strings.CutPrefix(o.dsn, "redis:"); ok {
		if o.driver == valkeyGo {
			c, err := openValkey(addr)
			if err != nil {
				return nil, err
			}
			return redisstore.New(c, redisstore.Config{})
		}
		return redisstore.New(openRedis(addr, o.connections), redisstore.Config{})
	}
	db, err := openPostgres(o.dsn, o.connections)
	if err != nil {
		return nil, err
	}
	return sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.Postgres})
}

func openPostgres(dsn string, connections int) (*sql.DB, error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections) // as many as are open, or they are closed after each use
	return db, nil
}

// The clients of Redis, as -driver calls them.
const (
	goRedis  = "go-redis"
	valkeyGo = "valkey-go"
)

func openRedis(addr string, connections int) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, PoolSize: connections, ContextTimeoutEnabled: true})
}
