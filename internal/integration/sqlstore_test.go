package integration_test

import (
	crand "crypto/rand"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
	"github.com/authwright/authwright/storagetest"
)

// prefixes tells the tables of tests apart that share a database.
var prefixes atomic.Int64

// config is that of a store of its own in a database of e.
func (e sqlEngine) config() sqlstore.Config {
	return sqlstore.Config{Dialect: e.dialect, Prefix: fmt.Sprintf("t%d_", prefixes.Add(1))}
}

// newSQLStore returns a store in db. It is empty unless cfg was used before.
func newSQLStore(t *testing.T, db *sql.DB, cfg sqlstore.Config, clients ...*authwright.Client) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.New(db, cfg)
	require.NoError(t, err)
	require.NoError(t, s.Migrate(t.Context()))
	for _, c := range clients {
		require.NoError(t, s.AddClient(t.Context(), c))
	}
	return s
}

// eachSQLEngine runs a subtest on every engine, or on every one that speaks one of the
// given dialects.
func eachSQLEngine(t *testing.T, run func(*testing.T, sqlEngine), dialects ...sqlstore.Dialect) {
	t.Helper()
	for _, e := range sqlEngines() {
		if dialects != nil && !slices.Contains(dialects, e.dialect) {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			run(t, e)
		})
	}
}

func someGrant(id string) *authwright.Grant {
	now := time.Now().UTC()
	return &authwright.Grant{
		ID: id, Version: 1, Stage: authwright.StageActive, ClientID: "web", Subject: "alice",
		CreatedAt: now, ExpiresAt: now.Add(time.Hour), State: "kept as it was",
	}
}

func TestSQLStore(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		db := e.open(t)
		storagetest.Run(t, func(t *testing.T, clients ...*authwright.Client) authwright.Storage {
			return newSQLStore(t, db, e.config(), clients...)
		})
		storagetest.RunStore(t, func(t *testing.T) storagetest.Store {
			return newSQLStore(t, db, e.config())
		})
	})
}

// What a host may set for its database, for reasons of its own, changes no promise.
func TestSQLStoreSettings(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		settings := map[string]func(*testing.T) *sql.DB{}
		switch e.name {
		case "postgresql":
			for _, s := range []string{"default_transaction_isolation=serializable", "default_query_exec_mode=simple_protocol"} {
				settings[s] = func(t *testing.T) *sql.DB { return openSQL(t, "pgx", postgresDSN(t)+" "+s) }
			}
		case "mariadb":
			for _, s := range []string{"clientFoundRows=true&interpolateParams=true&charset=latin1", "charset=utf8&sql_mode=''&tx_isolation='SERIALIZABLE'"} {
				settings[s] = func(t *testing.T) *sql.DB { return openSQL(t, "mysql", mariadbDSN(t)+"?"+s) }
			}
		case "sqlite":
			settings["16 connections"] = func(t *testing.T) *sql.DB {
				db := openSQLite(t, filepath.Join(t.TempDir(), "test.db"))
				db.SetMaxOpenConns(16)
				return db
			}
		}
		for name, open := range settings {
			t.Run(name, func(t *testing.T) {
				db := open(t)
				storagetest.Run(t, func(t *testing.T, clients ...*authwright.Client) authwright.Storage {
					return newSQLStore(t, db, e.config(), clients...)
				})
			})
		}
	})
}

func TestSQLStoreMigrate(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		db := e.open(t)
		t.Run("by several replicas at once", func(t *testing.T) {
			for range 5 {
				cfg := e.config()
				errs := make([]error, 8)
				var wg sync.WaitGroup
				for i := range errs {
					wg.Go(func() {
						s, err := sqlstore.New(db, cfg)
						if err == nil {
							err = s.Migrate(t.Context())
						}
						errs[i] = err
					})
				}
				wg.Wait()
				for _, err := range errs {
					require.NoError(t, err)
				}
				require.NoError(t, newSQLStore(t, db, cfg).SaveGrant(t.Context(), someGrant("g")))
			}
		})
		t.Run("after a crash in the middle", func(t *testing.T) {
			cfg := e.config()
			newSQLStore(t, db, cfg)
			_, err := db.ExecContext(t.Context(), "DROP TABLE "+cfg.Prefix+"used")
			require.NoError(t, err)
			_, err = db.ExecContext(t.Context(), "DELETE FROM "+cfg.Prefix+"schema")
			require.NoError(t, err)
			require.NoError(t, newSQLStore(t, db, cfg).UseOnce(t.Context(), "k", time.Now()))
		})
		t.Run("a schema that is newer", func(t *testing.T) {
			cfg := e.config()
			s := newSQLStore(t, db, cfg)
			_, err := db.ExecContext(t.Context(), "INSERT INTO "+cfg.Prefix+"schema (version) VALUES (99)")
			require.NoError(t, err)
			require.ErrorContains(t, s.Migrate(t.Context()), "the schema has version 99, which is newer than")
		})
		t.Run("by the host's own tool", func(t *testing.T) {
			folder := "migrations/" + string(e.dialect)
			files, err := sqlstore.Migrations.ReadDir(folder)
			require.NoError(t, err)
			for range 2 {
				for _, f := range files {
					text, err := sqlstore.Migrations.ReadFile(folder + "/" + f.Name())
					require.NoError(t, err)
					for statement := range strings.SplitSeq(strings.TrimSpace(string(text)), ";\n") {
						_, err := db.ExecContext(t.Context(), statement)
						require.NoError(t, err)
					}
				}
			}
			s := newSQLStore(t, db, sqlstore.Config{Dialect: e.dialect})
			require.NoError(t, s.SaveGrant(t.Context(), someGrant(crand.Text())))
		})
	})
}

// MySQL does not count a row as changed in which nothing changes.
func TestSQLStoreUpdateThatChangesNothing(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		c := &authwright.Client{ID: "web", RedirectURIs: []string{"https://web.example/cb"}}
		s := newSQLStore(t, e.open(t), e.config(), c)
		require.NoError(t, s.UpdateClient(t.Context(), c))
		require.NoError(t, s.UpdateClient(t.Context(), c))
	})
}

// The longest values fit into the indexes, even if they do not compress.
func TestSQLStoreLongestValues(t *testing.T) {
	t.Parallel()
	random := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('!' + rand.IntN('~'-'!'))
		}
		return string(b)
	}
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		s := newSQLStore(t, e.open(t), e.config())
		g := someGrant(random(512))
		g.ClientID, g.Subject = random(2048), random(2048)
		require.NoError(t, s.SaveGrant(t.Context(), g))
		got, err := s.Grant(t.Context(), g.ID)
		require.NoError(t, err)
		require.Equal(t, g, got)
		c := &authwright.Client{ID: g.ClientID, RedirectURIs: []string{"https://web.example/cb"}}
		require.NoError(t, s.AddClient(t.Context(), c))
		require.ErrorIs(t, s.AddClient(t.Context(), c), authwright.ErrConflict)
	})
}

// What is no text at all, as a stranger may send it, is simply not there.
func TestSQLStoreBytes(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		s := newSQLStore(t, e.open(t), e.config())
		for _, id := range []string{"\xff", "a\x00b", "\xed\xa0\x80", strings.Repeat("\xfe", 10_000)} {
			_, err := s.Client(t.Context(), id)
			require.ErrorIs(t, err, authwright.ErrNotFound)
			_, err = s.Grant(t.Context(), id)
			require.ErrorIs(t, err, authwright.ErrNotFound)
			require.NoError(t, s.UseOnce(t.Context(), id, time.Now().Add(time.Hour)))
			require.ErrorIs(t, s.UseOnce(t.Context(), id, time.Now().Add(time.Hour)), authwright.ErrConflict)
		}
	})
}

// An operator revokes in an emergency, as the migrations say.
func TestSQLStoreRevokedBySQL(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		db, cfg := e.open(t), e.config()
		s := newSQLStore(t, db, cfg)
		mine, other := someGrant("alice's"), someGrant("bob's")
		other.Subject = "bob"
		require.NoError(t, s.SaveGrant(t.Context(), mine))
		require.NoError(t, s.SaveGrant(t.Context(), other))
		_, err := db.ExecContext(t.Context(), "UPDATE "+cfg.Prefix+"grants SET stage = 'revoked', version = version + 1 WHERE subject = 'alice'")
		require.NoError(t, err)

		got, err := s.Grant(t.Context(), mine.ID)
		require.NoError(t, err)
		require.Equal(t, authwright.StageRevoked, got.Stage)
		got, err = s.Grant(t.Context(), other.ID)
		require.NoError(t, err)
		require.Equal(t, other, got)
		mine.Version++ // by a refresh that was under way
		require.ErrorIs(t, s.SaveGrant(t.Context(), mine), authwright.ErrConflict)
	})
}

// PostgreSQL picks the rows to delete before it locks them. One that is saved in between
// is not expired any more, and stays.
func TestSQLStoreDeleteExpiredLosesToSave(t *testing.T) {
	t.Parallel()
	eachSQLEngine(t, func(t *testing.T, e sqlEngine) {
		db, cfg := e.open(t), e.config()
		s := newSQLStore(t, db, cfg)
		g := someGrant("extended")
		g.ExpiresAt = time.Now().Add(-time.Second)
		require.NoError(t, s.SaveGrant(t.Context(), g))

		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.ExecContext(t.Context(), "UPDATE "+cfg.Prefix+"grants SET expires_at = $1", time.Now().Add(time.Hour).UnixMilli())
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			_, err := s.DeleteExpired(t.Context(), time.Now(), 0)
			done <- err
		}()
		waits := "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM " + cfg.Prefix + "%'"
		require.Eventually(t, func() (waiting bool) {
			return db.QueryRow(waits).Scan(&waiting) == nil && waiting
		}, 10*time.Second, 5*time.Millisecond)
		require.NoError(t, tx.Commit())
		require.NoError(t, <-done)
		_, err = s.Grant(t.Context(), g.ID)
		require.NoError(t, err)
	}, sqlstore.Postgres)
}
