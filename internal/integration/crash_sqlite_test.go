package integration_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
)

// sqliteWriter, if set, is the file into which a copy of this program writes until it is
// killed.
const sqliteWriter = "AUTHWRIGHT_SQLITE_WRITER"

// sqliteSteps are what a server writes, in the order of a flow.
func sqliteSteps(t *testing.T, s *sqlstore.Store) []func() error {
	begin := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	save := func(id string, version int64, stage authwright.Stage, expires time.Time) func() error {
		return func() error {
			return s.SaveGrant(t.Context(), &authwright.Grant{
				ID: id, Version: version, Stage: stage, ClientID: "web", Subject: "alice",
				CreatedAt: begin, ExpiresAt: expires, State: strings.Repeat("state", 100),
			})
		}
	}
	later := begin.Add(time.Hour)
	return []func() error{
		func() error { return s.Migrate(t.Context()) },
		func() error {
			return s.AddClient(t.Context(), &authwright.Client{ID: "web", RedirectURIs: []string{"https://web.example/cb"}})
		},
		save("g", 1, authwright.StageConsent, later),
		save("g", 2, authwright.StageCode, later),
		save("g", 3, authwright.StageActive, later),
		func() error { return s.UseOnce(t.Context(), "key", later) },
		save("g", 4, authwright.StageActive, later.Add(time.Hour)),
		save("old", 1, authwright.StageCode, begin),
		save("other", 1, authwright.StageCode, later),
		func() error {
			_, err := s.DeleteExpired(t.Context(), begin, 0)
			return err
		},
		save("g", 5, authwright.StageRevoked, later),
	}
}

// A program is killed before each of the calls by which it writes to its SQLite database,
// one after the other. Whatever was acknowledged is there, what was not is there or
// not, and the next program goes on from that.
func TestCrashesOfSQLite(t *testing.T) {
	if file := os.Getenv(sqliteWriter); file != "" {
		writeSQLite(t, file)
		return
	}
	t.Parallel()
	_, err := exec.LookPath("strace")
	require.NoError(t, err, "strace is needed: apt-get install strace")
	want := sqliteStates(t)
	acknowledged := make([]int, len(want))
	kills := 0
	for n := 1; ; n++ {
		file := filepath.Join(t.TempDir(), "test.db")
		acked, killed := killWriter(t, file, n)
		if !killed {
			require.Equal(t, len(want)-1, acked)
			break
		}
		kills++
		acknowledged[acked]++

		db := openSQLite(t, file)
		s, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.SQLite})
		require.NoError(t, err)
		done := acked
		if got := sqliteState(db); got != want[done] {
			done++
			require.Equal(t, want[done], got, "before write %d, with %d steps acknowledged", n, acked)
		}
		require.NoError(t, s.Migrate(t.Context()))
		for _, step := range sqliteSteps(t, s)[done:] {
			require.NoError(t, step())
		}
		require.Equal(t, want[len(want)-1], sqliteState(db))
		var verdict string
		require.NoError(t, db.QueryRow("PRAGMA integrity_check").Scan(&verdict))
		require.Equal(t, "ok", verdict)
	}
	for step, count := range acknowledged[:len(want)-1] {
		require.Positive(t, count, "never killed in step %d", step+1)
	}
	t.Logf("killed before each of %d writes, in all %d steps", kills, len(want)-1)
}

// sqliteStates are the contents of a database before the first step and after each.
func sqliteStates(t *testing.T) []string {
	db := openSQLite(t, filepath.Join(t.TempDir(), "test.db"))
	s, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.SQLite})
	require.NoError(t, err)
	states := []string{sqliteState(db)}
	for _, step := range sqliteSteps(t, s) {
		require.NoError(t, step())
		states = append(states, sqliteState(db))
	}
	return states
}

// sqliteState is all that a database contains, or "" before there is a whole schema.
func sqliteState(db *sql.DB) string {
	var state string
	if err := db.QueryRow(`SELECT COALESCE((SELECT group_concat(version) FROM authwright_schema), '')
		|| COALESCE((SELECT group_concat(id || data) FROM authwright_clients), '')
		|| COALESCE((SELECT group_concat(id || version || stage || expires_at || data) FROM authwright_grants), '')
		|| COALESCE((SELECT group_concat(hex(id) || expires_at) FROM authwright_used), '')`).Scan(&state); err != nil {
		return ""
	}
	return state
}

// writeSQLite takes all steps, and says so after each.
func writeSQLite(t *testing.T, file string) {
	runtime.LockOSThread() // strace counts the calls of each thread
	s, err := sqlstore.New(openSQLite(t, file), sqlstore.Config{Dialect: sqlstore.SQLite})
	require.NoError(t, err)
	for i, step := range sqliteSteps(t, s) {
		require.NoError(t, step())
		fmt.Println("step", i+1)
	}
}

// killWriter runs writeSQLite in a process that is killed before its nth write to a file,
// and returns how many steps it has acknowledged.
func killWriter(t *testing.T, file string, n int) (steps int, killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=pwrite64",
		"-e", fmt.Sprint("inject=pwrite64:signal=KILL:when=", n), os.Args[0], "-test.run=^TestCrashesOfSQLite$")
	cmd.Env = append(os.Environ(), sqliteWriter+"="+file)
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if i := 0; strings.HasPrefix(line, "step ") {
			_, err := fmt.Sscanf(line, "step %d", &i)
			require.NoError(t, err)
			require.Equal(t, steps+1, i)
			steps = i
		}
	}
	if err == nil {
		return steps, false
	}
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit) && !exit.Exited(), "%v: %s", err, out) // by a signal
	return steps, true
}
