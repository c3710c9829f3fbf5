package integration_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/sqlstore"
)

// A fullDisk is a database whose disk is full between fill and free.
type fullDisk struct {
	engine  string
	dialect sqlstore.Dialect
	cause   string // what its errors say

	// start returns a handle on an engine of one test, and fill, which is called when the
	// tables exist.
	start func(t *testing.T) (db *sql.DB, fill func() (free func()))
}

// fullDisks are full as engines meet it: tables do not grow, and what is written into the
// space that files have is written, as that into write-ahead logs. Nothing crashes, so
// nothing waits for the disk.
var fullDisks = []fullDisk{
	{"postgresql", sqlstore.Postgres, "No space left on device", func(t *testing.T) (*sql.DB, func() func()) {
		p := newDurablePostgres(t, "fsync=off")
		db := openSQL(t, "pgx", p.dsn())
		return db, func() func() {
			args := []string{"-e", "inject=pwrite64:error=ENOSPC"}
			for _, file := range tableFiles(t, db) {
				args = append(args, "-P", file, "-P", file+"_fsm")
			}
			// As long as somebody may look at them, the space of old versions is not used again.
			tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
			require.NoError(t, err)
			_, err = tx.ExecContext(t.Context(), "SELECT 1")
			require.NoError(t, err)
			end := failCalls(t, &p.proofProcess, args...)
			return func() {
				end()
				require.NoError(t, tx.Rollback())
			}
		}
	}},
	{"mariadb", sqlstore.MySQL, "is full", func(t *testing.T) (*sql.DB, func() func()) {
		m := newDurableMariaDB(t, "--innodb-flush-log-at-trx-commit=0")
		return openSQL(t, "mysql", m.dsn()), func() func() {
			return failCalls(t, &m.proofProcess, "-e", "inject=fallocate:error=ENOSPC")
		}
	}},
	{"sqlite", sqlstore.SQLite, "disk is full", func(t *testing.T) (*sql.DB, func() func()) {
		db := openSQLite(t, filepath.Join(t.TempDir(), "test.db"))
		limit := func(pages int) {
			_, err := db.ExecContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", pages))
			require.NoError(t, err)
		}
		return db, func() func() {
			limit(1) // of those that it has not got yet
			return func() { limit(1 << 30) }
		}
	}},
}

// tableFiles are the files in which PostgreSQL keeps the tables and indexes that it has
// not brought along.
func tableFiles(t *testing.T, db *sql.DB) (files []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(),
		"SELECT current_setting('data_directory') || '/' || pg_relation_filepath(oid) FROM pg_class WHERE oid >= 16384 AND relfilenode <> 0")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var file string
		require.NoError(t, rows.Scan(&file))
		files = append(files, file)
	}
	require.NoError(t, rows.Err())
	require.NotEmpty(t, files)
	return files
}

// failCalls makes system calls of a server fail as args of strace say, also those of
// children and threads that it starts meanwhile, until the function is called that it
// returns.
func failCalls(t *testing.T, server *proofProcess, args ...string) (end func()) {
	t.Helper()
	pids := append(server.children(), server.process.Pid)
	args = append([]string{"-f", "-qq", "-o", os.DevNull}, args...)
	for _, pid := range pids {
		args = append(args, "-p", fmt.Sprint(pid))
	}
	tracer := proofProcess{
		command: func() (*exec.Cmd, error) { return engineCommand("strace", args...) }, // whoever runs the server may trace it
		ready: func(context.Context) error {
			for _, pid := range pids {
				if !traced(pid) {
					return fmt.Errorf("process %d is not traced", pid)
				}
			}
			return nil
		},
	}
	require.NoError(t, tracer.start(), "strace is needed (apt-get install strace), and where there is yama its ptrace_scope is 0")
	t.Cleanup(tracer.kill)
	return func() { _, _ = tracer.end() }
}

// traced reports whether all threads are that a process still has.
func traced(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	return !slices.ContainsFunc(threads, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), "\nTracerPid:\t0\n")
	})
}
