package integration_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/sqlstore"
)

// growingStores are all stores, on engines that flush each write to the disk when they are
// measured and not while they are filled.
func growingStores() []struct {
	name string
	open func(*testing.T) *growingStore
} {
	return []struct {
		name string
		open func(*testing.T) *growingStore
	}{
		{"memory", growMemory},
		{"sqlite", growSQLite},
		{"postgresql", growPostgres},
		{"mariadb", growMariaDB},
		{"redis", growRedis},
	}
}

func growMemory(*testing.T) *growingStore {
	m := new(authwright.Memory)
	return &growingStore{m, func(bool) error { return nil }, func() (int64, error) {
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		runtime.KeepAlive(m)
		return int64(stats.HeapAlloc), nil
	}}
}

func growSQLite(t *testing.T) *growingStore {
	file := filepath.Join(t.TempDir(), "test.db")
	db := openSQLite(t, file)
	s := newSQLStore(t, db, sqlstore.Config{Dialect: sqlstore.SQLite})
	return &growingStore{s, setting(db, "PRAGMA synchronous = FULL", "PRAGMA synchronous = OFF"), func() (int64, error) {
		if _, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			return 0, err
		}
		return fileSize(file)
	}}
}

func growPostgres(t *testing.T) *growingStore {
	db := openSQL(t, "pgx", newDurablePostgres(t, "max_wal_size=4GB").dsn())
	s := newSQLStore(t, db, sqlstore.Config{Dialect: sqlstore.Postgres})
	set := setting(db, "ALTER SYSTEM SET synchronous_commit = on", "ALTER SYSTEM SET synchronous_commit = off")
	return &growingStore{s, func(on bool) error {
		if err := set(on); err != nil {
			return err
		}
		_, err := db.Exec("SELECT pg_reload_conf()")
		return err
	}, func() (size int64, err error) {
		if _, err := db.Exec("VACUUM ANALYZE authwright_grants"); err != nil {
			return 0, err
		}
		return size, db.QueryRow("SELECT pg_total_relation_size('authwright_grants')").Scan(&size)
	}}
}

func growMariaDB(t *testing.T) *growingStore {
	m := newDurableMariaDB(t, "--innodb-buffer-pool-size=512M")
	db := openSQL(t, "mysql", m.dsn())
	s := newSQLStore(t, db, sqlstore.Config{Dialect: sqlstore.MySQL})
	set := setting(db, "SET GLOBAL innodb_flush_log_at_trx_commit = 1", "SET GLOBAL innodb_flush_log_at_trx_commit = 0")
	return &growingStore{s, set, func() (int64, error) {
		return fileSize(filepath.Join(m.folder, "data", "test", "authwright_grants.ibd"))
	}}
}

// setting runs one of two statements.
func setting(db *sql.DB, on, off string) func(bool) error {
	statements := map[bool]string{true: on, false: off}
	return func(on bool) error {
		_, err := db.Exec(statements[on])
		return err
	}
}

func fileSize(name string) (int64, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func growRedis(t *testing.T) *growingStore {
	rdb := redis.NewClient(&redis.Options{Addr: newDurableRedis(t).addr, PoolSize: 32, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	s, err := redisstore.New(rdb, redisstore.Config{})
	require.NoError(t, err)
	fsync := map[bool]string{true: "always", false: "everysec"}
	return &growingStore{s, func(on bool) error {
		return rdb.ConfigSet(context.Background(), "appendfsync", fsync[on]).Err()
	}, func() (size int64, err error) {
		info, err := rdb.Info(context.Background(), "memory").Result()
		if err != nil {
			return 0, err
		}
		_, used, _ := strings.Cut(info, "\nused_memory:")
		_, err = fmt.Sscan(used, &size)
		return size, err
	}}
}
