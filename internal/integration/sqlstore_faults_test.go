package integration_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
)

// unanswered checks that err says what is wrong, and is not taken for an answer.
func unanswered(t *testing.T, err error, cause string) {
	t.Helper()
	require.ErrorContains(t, err, "sqlstore: ")
	require.ErrorContains(t, err, cause)
	require.NotErrorIs(t, err, authwright.ErrNotFound)
	require.NotErrorIs(t, err, authwright.ErrConflict)
}

// unansweredAll does so for every method.
func unansweredAll(t *testing.T, s *sqlstore.Store, cause string) {
	t.Helper()
	unansweredWrites(t, s, cause)
	_, err := s.Client(t.Context(), "web")
	unanswered(t, err, cause)
	_, err = s.Grant(t.Context(), "g")
	unanswered(t, err, cause)
	_, _, err = s.GrantsBySubject(t.Context(), "alice", "", 0)
	unanswered(t, err, cause)
	_, _, err = s.GrantsByClient(t.Context(), "web", "", 0)
	unanswered(t, err, cause)
}

func unansweredWrites(t *testing.T, s *sqlstore.Store, cause string) {
	t.Helper()
	next := someGrant("g")
	next.Version++
	c := &authwright.Client{ID: "web", RedirectURIs: []string{"https://web.example/cb"}}
	unanswered(t, s.SaveGrant(t.Context(), someGrant("another")), cause)
	unanswered(t, s.SaveGrant(t.Context(), next), cause)
	unanswered(t, s.UseOnce(t.Context(), "k", time.Now().Add(time.Hour)), cause)
	unanswered(t, s.AddClient(t.Context(), c), cause)
	unanswered(t, s.UpdateClient(t.Context(), c), cause)
	unanswered(t, s.DeleteClient(t.Context(), "web"), cause)
	_, err := s.DeleteExpired(t.Context(), time.Now().Add(2*time.Hour), 0)
	unanswered(t, err, cause)
}

func TestSQLStoreUnreachable(t *testing.T) {
	t.Parallel()
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for _, c := range []struct {
		dialect     sqlstore.Dialect
		driver, dsn string
		cause       string
	}{
		{sqlstore.Postgres, "pgx", "host=" + nowhere + " user=postgres", "no such file or directory"},
		{sqlstore.MySQL, "mysql", "root@unix(" + nowhere + ")/test", "no such file or directory"},
		{sqlstore.SQLite, "sqlite", "file:" + nowhere + "/test.db", "unable to open database file"},
	} {
		t.Run(string(c.dialect), func(t *testing.T) {
			t.Parallel()
			s, err := sqlstore.New(openSQL(t, c.driver, c.dsn), sqlstore.Config{Dialect: c.dialect})
			require.NoError(t, err)
			unanswered(t, s.Migrate(t.Context()), c.cause)
			unansweredAll(t, s, c.cause)
		})
	}
}

func TestSQLStoreWithoutTables(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		cfg := e.config()
		s, err := sqlstore.New(e.open(t), cfg)
		require.NoError(t, err)
		unansweredAll(t, s, cfg.Prefix)
	})
}

// A server that may only read says so to whoever writes, and serves the others.
func TestSQLStoreReadOnly(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		var db, readOnly *sql.DB
		var cause string
		switch e.name {
		case "postgresql":
			db, readOnly = e.open(t), openSQL(t, "pgx", postgresDSN(t)+" default_transaction_read_only=on")
			cause = "read-only transaction"
		case "mariadb":
			db, readOnly = e.open(t), openSQL(t, "mysql", mariadbDSN(t)+"?tx_read_only=1")
			cause = "READ ONLY transaction"
		case "sqlite":
			file := filepath.Join(t.TempDir(), "test.db")
			db, readOnly = openSQLite(t, file), openSQLite(t, file, "query_only(1)")
			cause = "readonly database"
		}
		cfg := e.config()
		writer := newSQLStore(t, db, cfg)
		want := someGrant("g")
		require.NoError(t, writer.SaveGrant(t.Context(), want))

		reader := newSQLStore(t, readOnly, cfg) // nothing to migrate
		unansweredWrites(t, reader, cause)
		for _, s := range []*sqlstore.Store{reader, writer} {
			got, err := s.Grant(t.Context(), "g")
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		empty, err := sqlstore.New(readOnly, e.config())
		require.NoError(t, err)
		unanswered(t, empty.Migrate(t.Context()), cause)
	})
}

func TestSQLStoreCorruptRecord(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		db, cfg := e.open(t), e.config()
		s := newSQLStore(t, db, cfg, &authwright.Client{ID: "web", RedirectURIs: []string{"https://web.example/cb"}})
		require.NoError(t, s.SaveGrant(t.Context(), someGrant("damaged")))
		require.NoError(t, s.SaveGrant(t.Context(), someGrant("sound")))
		for _, damage := range []string{"", "{", `{"scopes": "read"}`, "\\0"} {
			for _, query := range []string{"UPDATE " + cfg.Prefix + "grants SET data = '" + damage + "' WHERE id = 'damaged'", "UPDATE " + cfg.Prefix + "clients SET data = '" + damage + "'"} {
				_, err := db.ExecContext(t.Context(), query)
				require.NoError(t, err)
			}
			_, err := s.Grant(t.Context(), "damaged")
			unanswered(t, err, `sqlstore: grant: record "damaged" is corrupt: `)
			_, _, err = s.GrantsBySubject(t.Context(), "alice", "", 0)
			unanswered(t, err, `sqlstore: grants: record "damaged" is corrupt: `)
			_, err = s.Client(t.Context(), "web")
			unanswered(t, err, `sqlstore: client: record "web" is corrupt: `)
			_, err = s.Grant(t.Context(), "sound")
			require.NoError(t, err)
		}
	})
}

// Connections that the database has closed are replaced, without a restart and without a
// write that happens twice.
func TestSQLStoreLostConnections(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		admin := e.open(t)
		var db *sql.DB
		var kill string
		switch e.dialect {
		case sqlstore.Postgres:
			db = openSQL(t, "pgx", postgresDSN(t)+" application_name=victim")
			kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'victim'"
		case sqlstore.MySQL:
			for _, query := range []string{"CREATE OR REPLACE USER victim", "GRANT ALL ON test.* TO victim"} {
				_, err := admin.ExecContext(t.Context(), query)
				require.NoError(t, err)
			}
			db = openSQL(t, "mysql", strings.Replace(mariadbDSN(t), "root@", "victim@", 1))
			kill = "KILL USER victim"
		}
		s := newSQLStore(t, db, e.config())
		g := someGrant("g")
		require.NoError(t, s.SaveGrant(t.Context(), g))
		for range 5 {
			_, err := admin.ExecContext(t.Context(), kill)
			require.NoError(t, err)
			g.Version++
			if err := s.SaveGrant(t.Context(), g); err != nil {
				unanswered(t, err, "")
				require.Eventually(t, func() bool {
					got, err := s.Grant(t.Context(), "g")
					if err == nil && got.Version == g.Version-1 {
						err = s.SaveGrant(t.Context(), g)
					}
					return err == nil
				}, 10*time.Second, 5*time.Millisecond)
			}
			got, err := s.Grant(t.Context(), "g")
			require.NoError(t, err)
			require.Equal(t, g.Version, got.Version)
		}
	}, sqlstore.Postgres, sqlstore.MySQL)
}
