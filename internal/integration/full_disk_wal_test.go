package integration_test

import (
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
)

// When its write-ahead log has no room to go on, PostgreSQL panics in the middle of a
// commit, which may have got to the disk all the same. No code is lost with it.
func TestFullWriteAheadLog(t *testing.T) {
	t.Parallel()
	if withoutEngine("postgresql") {
		return
	}
	p := newDurablePostgres(t, "restart_after_crash=off", // which is in vain as long as there is no space
		"wal_recycle=off", "wal_writer_delay=10s") // so that it is a commit that needs the next file
	db := openSQL(t, "pgx", p.dsn())
	newSQLStore(t, db, sqlstore.Config{Dialect: sqlstore.Postgres})
	// A commit waits a moment for others that it could write to the disk as well.
	store := newSQLStore(t, openSQL(t, "pgx", p.dsn()+"?commit_delay=100000&commit_siblings=0"), sqlstore.Config{Dialect: sqlstore.Postgres})
	c := newLocalCrowd(t, store, store, func(cfg *authwright.Config) { cfg.RequestTimeout = 10 * time.Second })
	lives := make([]life, 8)
	require.NoError(t, atDesks(len(lives), func(i int) (err error) { // which opens as many connections
		lives[i].grant, lives[i].code, err = c.newGrant()
		return err
	}))
	endLogFile(t, db)
	end := failCalls(t, &p.proofProcess, "-e", "inject=pwritev:error=ENOSPC") // by which it makes files for its log

	var clients sync.WaitGroup
	answers, errs := make([]answer, len(lives)), make([]error, len(lives))
	for i, l := range lives {
		clients.Go(func() { answers[i], _, errs[i] = c.keepRedeeming(l.grant, l.code) })
	}
	crossLogFile(t, db)
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		require.Fail(t, "there is space")
	}
	require.Contains(t, p.log(), "No space left on device\n")
	require.Contains(t, p.log(), "Failed process was running: UPDATE authwright_grants")
	end()
	require.NoError(t, p.start())
	clients.Wait()
	for i := range lives {
		require.NoError(t, errs[i])
		require.Equal(t, granted, answers[i].outcome, "code %d is lost", i)
		lives[i].token = answers[i].token
		require.NoError(t, c.end(lives[i]))
	}
	requireLinearizable(t, c.history)
}

// logSpace is how much more goes into the file to which the log is written.
const logSpace = "(16<<20) - mod(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0'), 16<<20)::int"

// endLogFile writes until hardly anything more goes into the last file that the log has.
func endLogFile(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, query := range []string{
		"SELECT pg_logical_emit_message(true, '', repeat('x', " + logSpace + " - 100000))",
		"ALTER SYSTEM SET fsync = off", // when it starts again, so that it does so at once
	} {
		_, err := db.ExecContext(t.Context(), query)
		require.NoError(t, err)
	}
	var more int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_ls_waldir() WHERE name > pg_walfile_name(pg_current_wal_insert_lsn())").Scan(&more))
	require.Zero(t, more, "the next file is there already")
}

// crossLogFile writes beyond the end of the file while a commit waits that stands before it.
func crossLogFile(t *testing.T, db *sql.DB) {
	t.Helper()
	waits := "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'WALWrite'" // for the one that waits
	require.Eventually(t, func() (waiting bool) {
		return db.QueryRow(waits).Scan(&waiting) == nil && waiting
	}, 10*time.Second, time.Millisecond)
	_, _ = db.ExecContext(t.Context(), "SELECT pg_logical_emit_message(false, '', repeat('x', "+logSpace+"))")
}
