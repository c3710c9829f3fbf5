package sqlstore_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
)

// lostReplies are errors after which nobody knows whether a statement was carried out.
var lostReplies = map[string]error{
	"connection reset":   errors.New("read: connection reset by peer"),
	"end of file":        io.ErrUnexpectedEOF,
	"MySQL":              errors.New("invalid connection"),
	"MySQL, killed":      errors.New("Error 1927 (70100): Connection was killed"),
	"PostgreSQL crashes": stateError("57P02"),
	"outcome unknown":    fmt.Errorf("wrapped: %w", stateError("40003")),
}

// A fragileDB is a table of one grant whose replies get lost.
type fragileDB struct {
	recorder
	version int64
	data    string

	lose func(statement int) (carriedOut bool, err error) // nil: the reply arrives
	asks int
}

func newFragileDB(version int64, lose func(int) (bool, error)) *fragileDB {
	db := &fragileDB{version: version, lose: lose}
	db.answer = func(query string) (int64, error) {
		db.asks++
		carriedOut, err := db.lose(db.asks)
		if err != nil && !carriedOut || strings.HasPrefix(query, "SELECT") {
			return 0, err
		}
		args := db.statements[len(db.statements)-1].args
		version := args[0].Value.(int64)
		if db.version != version-1 {
			return 0, err
		}
		db.version, db.data = version, args[6].Value.(string)
		return 1, err
	}
	db.rows = func(string) [][]driver.Value {
		args := db.statements[len(db.statements)-1].args
		if args[1].Value != db.version {
			return nil
		}
		return [][]driver.Value{{db.data}}
	}
	return db
}

func loseFirst(n int, carriedOut bool, err error) func(int) (bool, error) {
	return func(statement int) (bool, error) {
		if statement > n {
			return true, nil
		}
		return carriedOut, err
	}
}

// A save whose reply is lost is done again, which tells whether it was done.
func TestSaveGrantWithoutReply(t *testing.T) {
	t.Parallel()
	for name, lost := range lostReplies {
		for version := int64(1); version <= 2; version++ {
			for replies := 1; replies <= 3; replies++ {
				for _, carriedOut := range []bool{true, false} {
					t.Run(fmt.Sprint(name, " version ", version, " lost ", replies, " carried out ", carriedOut), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							db := newFragileDB(version-1, loseFirst(replies, carriedOut, lost))
							s := db.store(t, sqlstore.Config{Dialect: sqlstore.Postgres})
							g := &authwright.Grant{ID: "g", Version: version, Turn: []byte("ours")}
							require.NoError(t, s.SaveGrant(t.Context(), g))
							require.Equal(t, version, db.version)
							require.Contains(t, db.data, `"turn":"b3Vycw=="`)
							require.ErrorIs(t, s.SaveGrant(t.Context(), g), authwright.ErrConflict, "another call with the same content")
						})
					})
				}
			}
		}
	}
}

// PostgreSQL may say that a commit has failed, crash, and find it in its log.
func TestSaveGrantWhenPostgresPanics(t *testing.T) {
	t.Parallel()
	for _, state := range []stateError{"53100", "58030", "XX000"} {
		for _, carriedOut := range []bool{true, false} {
			t.Run(fmt.Sprint(state, " carried out ", carriedOut), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					db := newFragileDB(1, func(statement int) (bool, error) {
						switch statement {
						case 1:
							return carriedOut, state
						case 2, 3:
							return false, errors.New("connection refused")
						}
						return true, nil
					})
					s := db.store(t, sqlstore.Config{Dialect: sqlstore.Postgres})
					require.NoError(t, s.SaveGrant(t.Context(), &authwright.Grant{ID: "g", Version: 2}))
					require.Equal(t, int64(2), db.version)
				})
			})
		}
		t.Run(fmt.Sprint(state, " without a crash"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				db := newFragileDB(1, func(int) (bool, error) { return false, state })
				begin := time.Now()
				err := db.store(t, sqlstore.Config{Dialect: sqlstore.Postgres}).SaveGrant(t.Context(), &authwright.Grant{ID: "g", Version: 2})
				require.ErrorIs(t, err, state)
				require.Equal(t, 2, db.asks)
				require.Less(t, time.Since(begin), 50*time.Millisecond)
			})
		})
	}
}

// Somebody else saves while the reply of ours does not come.
func TestSaveGrantWithoutReplyLoses(t *testing.T) {
	t.Parallel()
	for name, later := range map[string]int64{"the same version": 0, "a later one": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var db *fragileDB
				db = newFragileDB(1, func(statement int) (bool, error) {
					if statement > 1 {
						return true, nil
					}
					db.version, db.data = 2+later, "theirs"
					return true, io.ErrUnexpectedEOF
				})
				err := db.store(t, sqlstore.Config{Dialect: sqlstore.Postgres}).SaveGrant(t.Context(), &authwright.Grant{ID: "g", Version: 2})
				require.ErrorIs(t, err, authwright.ErrConflict)
				require.Equal(t, "theirs", db.data)
			})
		})
	}
}

// Without an answer there is an end to it, and the end of the context comes first.
func TestSaveGrantGivesUp(t *testing.T) {
	t.Parallel()
	for _, deadline := range []time.Duration{time.Hour, 300 * time.Millisecond} {
		for name, lost := range lostReplies {
			t.Run(fmt.Sprint(name, deadline), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), deadline)
					defer cancel()
					db := newFragileDB(1, func(int) (bool, error) { return false, lost })
					begin := time.Now()
					err := db.store(t, sqlstore.Config{Dialect: sqlstore.Postgres}).SaveGrant(ctx, &authwright.Grant{ID: "g", Version: 2})
					require.ErrorIs(t, err, lost)
					require.NotErrorIs(t, err, authwright.ErrConflict)
					require.Equal(t, min(deadline, 8*time.Second), time.Since(begin))
					require.LessOrEqual(t, db.asks, 60)
				})
			})
		}
	}
}

// SQLite is in this process: its errors are answers.
func TestSaveGrantInSQLiteIsAnswered(t *testing.T) {
	t.Parallel()
	db := newFragileDB(1, func(int) (bool, error) { return false, errors.New("disk I/O error (10)") })
	err := db.store(t, sqlstore.Config{Dialect: sqlstore.SQLite}).SaveGrant(t.Context(), &authwright.Grant{ID: "g", Version: 2})
	require.ErrorContains(t, err, "disk I/O error")
	require.Equal(t, 1, db.asks)
}
