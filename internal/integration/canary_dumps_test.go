package integration_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/sqlstore"
)

// canaryStores opens an empty storage of each kind, on an engine of its own, together with
// what a thief gets: what its tools dump, and its files.
func canaryStores() map[string]func(*testing.T) (victimStore, func() string) {
	return map[string]func(*testing.T) (victimStore, func() string){
		"memory": func(t *testing.T) (victimStore, func() string) {
			m := new(authwright.Memory)
			return m, func() string { return dumpMemory(t, m) }
		},
		"sqlite":     sqliteWithFiles,
		"postgresql": postgresWithFiles,
		"redis":      redisWithFiles,
	}
}

// filesIn is every file below folder. Those of a running server may go away meanwhile.
func filesIn(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		fmt.Fprintf(&b, "\n%s\n", path)
		b.Write(content)
		return nil
	}))
	return b.String()
}

func sqliteWithFiles(t *testing.T) (victimStore, func() string) {
	folder := t.TempDir()
	db := openSQLite(t, filepath.Join(folder, "test.db"))
	return newSQLStore(t, db, sqlstore.Config{Dialect: sqlstore.SQLite}), func() string {
		before := filesIn(t, folder) // with the log
		_, err := db.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)")
		require.NoError(t, err)
		return before + filesIn(t, folder)
	}
}

// postgresWithFiles is a PostgreSQL whose own log tells all that is written. A log of what
// is read has what clients call themselves, which is looked up as it comes.
func postgresWithFiles(t *testing.T) (victimStore, func() string) {
	p := newDurablePostgres(t, "logging_collector=on", "log_directory=log", "log_statement=mod")
	s := p.store(t, p.address())
	return s, func() string {
		db := openSQL(t, "pgx", p.dsn())
		_, err := db.ExecContext(t.Context(), "CHECKPOINT")
		require.NoError(t, err)
		var folder string
		require.NoError(t, db.QueryRowContext(t.Context(), "SHOW data_directory").Scan(&folder))
		host, port, _ := strings.Cut(p.address(), ":")
		var b strings.Builder
		for _, form := range []string{"plain", "custom"} {
			cmd, err := engineCommand("pg_dump", "-h", host, "-p", port, "-U", "postgres", "-F", form, "-Z", "0", "postgres")
			require.NoError(t, err)
			dump, err := cmd.Output()
			require.NoError(t, err)
			b.Write(dump)
		}
		require.Contains(t, b.String(), "authwright_grants")
		files := filesIn(t, folder)
		for _, path := range []string{"/pg_wal/", "/base/", "/log/"} {
			require.Contains(t, files, folder+path)
		}
		return b.String() + files
	}
}

// redisWithFiles is a Redis that compresses nothing and remembers every command, of which
// those that read are left out as well.
func redisWithFiles(t *testing.T) (victimStore, func() string) {
	server := newRedisServer(t, append([]string{"--rdbcompression", "no", "--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000"}, durable...)...)
	rdb := server.open(t)
	s, err := redisstore.New[*redis.Cmd](rdb, redisstore.Config{})
	require.NoError(t, err)
	return s, func() string {
		folder, err := rdb.ConfigGet(t.Context(), "dir").Result()
		require.NoError(t, err)
		slow, err := rdb.SlowLogGet(t.Context(), -1).Result()
		require.NoError(t, err)
		slow = slices.DeleteFunc(slow, func(l redis.SlowLog) bool { return l.Args[0] == "GET" })
		require.NotEmpty(t, slow)
		before := filesIn(t, folder["dir"])
		require.Contains(t, before, "appendonly")
		require.NoError(t, rdb.Save(t.Context()).Err())
		after := filesIn(t, folder["dir"])
		require.Contains(t, after, "dump.rdb")
		return dumpRedis(t, rdb, "") + fmt.Sprint(slow) + before + after
	}
}
