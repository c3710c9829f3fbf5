package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
)

var dialects = []sqlstore.Dialect{sqlstore.Postgres, sqlstore.SQLite, sqlstore.MySQL}

func client(id string) *authwright.Client {
	return &authwright.Client{ID: id, RedirectURIs: []string{"https://client.example/cb"}}
}

func TestNew(t *testing.T) {
	t.Parallel()
	db := sql.OpenDB(&recorder{})
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	for _, c := range []struct {
		name string
		db   *sql.DB
		cfg  sqlstore.Config
		want string // in the error
	}{
		{"no database", nil, sqlstore.Config{Dialect: sqlstore.SQLite}, "db is nil"},
		{"no dialect", db, sqlstore.Config{}, "Config.Dialect"},
		{"unknown dialect", db, sqlstore.Config{Dialect: "oracle"}, `Config.Dialect "oracle"`},
		{"default prefix", db, sqlstore.Config{Dialect: sqlstore.MySQL}, ""},
		{"prefix", db, sqlstore.Config{Dialect: sqlstore.MySQL, Prefix: "_oauth2_"}, ""},
		{"longest prefix", db, sqlstore.Config{Dialect: sqlstore.MySQL, Prefix: strings.Repeat("p", 32)}, ""},
		{"prefix too long", db, sqlstore.Config{Dialect: sqlstore.MySQL, Prefix: strings.Repeat("p", 33)}, "Config.Prefix"},
		{"prefix begins with a digit", db, sqlstore.Config{Dialect: sqlstore.MySQL, Prefix: "2_"}, "Config.Prefix"},
		{"prefix in upper case", db, sqlstore.Config{Dialect: sqlstore.MySQL, Prefix: "OAuth_"}, "Config.Prefix"},
		{"prefix with a schema", db, sqlstore.Config{Dialect: sqlstore.Postgres, Prefix: "auth."}, "Config.Prefix"},
		{"prefix with a line end", db, sqlstore.Config{Dialect: sqlstore.Postgres, Prefix: "auth_\n"}, "Config.Prefix"},
		{"prefix with SQL", db, sqlstore.Config{Dialect: sqlstore.Postgres, Prefix: "a; DROP TABLE users --"}, "Config.Prefix"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := sqlstore.New(c.db, c.cfg)
			if c.want == "" {
				require.NoError(t, err)
				require.NotNil(t, s)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.True(t, strings.HasPrefix(err.Error(), "sqlstore: "), err)
		})
	}
}

// Every statement names as many parameters as it is given, in every dialect, and no table
// without the prefix.
func TestStatements(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			r := &recorder{answer: func(string) (int64, error) { return 0, nil }}
			s := r.store(t, sqlstore.Config{Dialect: d, Prefix: "mine_"})
			ctx, now := t.Context(), time.Now()
			_, err := s.Client(ctx, "c")
			require.ErrorIs(t, err, authwright.ErrNotFound)
			require.ErrorIs(t, s.AddClient(ctx, client("c")), authwright.ErrConflict)
			require.ErrorIs(t, s.UpdateClient(ctx, client("c")), authwright.ErrNotFound)
			require.ErrorIs(t, s.DeleteClient(ctx, "c"), authwright.ErrNotFound)
			_, err = s.Grant(ctx, "g")
			require.ErrorIs(t, err, authwright.ErrNotFound)
			require.ErrorIs(t, s.SaveGrant(ctx, &authwright.Grant{ID: "g", Version: 1}), authwright.ErrConflict)
			require.ErrorIs(t, s.SaveGrant(ctx, &authwright.Grant{ID: "g", Version: 2}), authwright.ErrConflict)
			require.ErrorIs(t, s.UseOnce(ctx, "k", now), authwright.ErrConflict)
			_, _, err = s.GrantsBySubject(ctx, "u", "", 0)
			require.NoError(t, err)
			_, _, err = s.GrantsByClient(ctx, "c", "", 0)
			require.NoError(t, err)
			_, err = s.DeleteExpired(ctx, now, 0)
			require.NoError(t, err)

			taken := r.taken()
			require.GreaterOrEqual(t, len(taken), 12)
			for _, st := range taken {
				require.Len(t, st.args, parameters(t, d, st.query), st.query)
				require.Contains(t, st.query, " mine_")
				require.NotContains(t, st.query, "authwright_")
			}
		})
	}
}

// parameters counts what a statement asks for.
func parameters(t *testing.T, d sqlstore.Dialect, query string) int {
	t.Helper()
	if d == sqlstore.MySQL {
		require.NotContains(t, query, "$")
		return strings.Count(query, "?")
	}
	highest := 0
	sign := map[sqlstore.Dialect]string{sqlstore.Postgres: `\$`, sqlstore.SQLite: `\?`}[d]
	for _, m := range regexp.MustCompile(sign+`([0-9]+)`).FindAllStringSubmatch(query, -1) {
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		highest = max(highest, n)
	}
	return highest
}

func TestSaveGrantIsOneStatement(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		for version, verb := range map[int64]string{1: "INSERT ", 2: "UPDATE ", 7: "UPDATE "} {
			t.Run(fmt.Sprint(d, version), func(t *testing.T) {
				t.Parallel()
				r := new(recorder)
				s := r.store(t, sqlstore.Config{Dialect: d})
				require.NoError(t, s.SaveGrant(t.Context(), &authwright.Grant{ID: "g", Version: version}))
				taken := r.taken()
				require.Len(t, taken, 1)
				require.True(t, strings.HasPrefix(taken[0].query, verb), taken[0].query)
				if version > 1 {
					require.Contains(t, taken[0].query, "AND version = ")
					require.Equal(t, version-1, taken[0].args[len(taken[0].args)-1].Value)
				}
			})
		}
	}
}

func TestSaveGrantRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for field, g := range map[string]*authwright.Grant{
		"ID":       {ID: strings.Repeat("x", 513)},
		"Subject":  {Subject: strings.Repeat("x", 2049)},
		"ClientID": {ClientID: strings.Repeat("x", 2049)},
		"Stage":    {Stage: authwright.Stage(strings.Repeat("x", 33))},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			r := new(recorder)
			g.Version = 1
			err := r.store(t, sqlstore.Config{Dialect: sqlstore.MySQL}).SaveGrant(t.Context(), g)
			require.ErrorContains(t, err, "sqlstore: save grant: "+field+" is longer than")
			require.Empty(t, r.taken())
		})
	}
}

func TestAnInvalidClientIsNotWritten(t *testing.T) {
	t.Parallel()
	r := new(recorder)
	s := r.store(t, sqlstore.Config{Dialect: sqlstore.SQLite})
	require.ErrorContains(t, s.AddClient(t.Context(), &authwright.Client{ID: "c"}), "RedirectURIs")
	require.ErrorContains(t, s.UpdateClient(t.Context(), &authwright.Client{ID: "c"}), "RedirectURIs")
	require.Empty(t, r.taken())
}

// A stateError is an error as pgx and lib/pq return it.
type stateError string

func (e stateError) Error() string    { return "SQLSTATE " + string(e) }
func (e stateError) SQLState() string { return string(e) }

func TestRetry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		tries int
	}{
		{"serialization failure", stateError("40001"), 3},
		{"deadlock", fmt.Errorf("wrapped: %w", stateError("40P01")), 3},
		{"MySQL deadlock", errors.New("Error 1213 (40001): Deadlock found"), 3},
		{"MySQL lock wait timeout", errors.New("Error 1205 (HY000): Lock wait timeout exceeded"), 3},
		{"SQLite busy", errors.New("database is locked (5) (SQLITE_BUSY)"), 3},
		{"read-only", stateError("25006"), 1},
		{"disk full", stateError("53100"), 2},
		{"MySQL read-only", errors.New("Error 1290 (HY000): The MySQL server is running with the --read-only option"), 1},
		{"no connection", fmt.Errorf("wrapped: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")}), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for failures := range 4 {
				calls := 0
				r := &recorder{answer: func(string) (int64, error) {
					if calls++; calls <= failures {
						return 0, c.err
					}
					return 1, nil
				}}
				err := r.store(t, sqlstore.Config{Dialect: sqlstore.Postgres}).SaveGrant(t.Context(), &authwright.Grant{ID: "g", Version: 2})
				require.Equal(t, min(failures+1, c.tries), calls)
				if failures < c.tries {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, c.err)
				require.NotErrorIs(t, err, authwright.ErrConflict)
				require.True(t, strings.HasPrefix(err.Error(), "sqlstore: save grant: "), err)
			}
		})
	}
}

func TestRetryEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := &recorder{answer: func(string) (int64, error) {
		cancel()
		return 0, stateError("40001")
	}}
	_, err := r.store(t, sqlstore.Config{Dialect: sqlstore.Postgres}).Grant(ctx, "g")
	require.Error(t, err)
	require.Len(t, r.taken(), 1)
}

func TestColumnsWinOverTheDocument(t *testing.T) {
	t.Parallel()
	r := &recorder{rows: func(string) [][]driver.Value {
		return [][]driver.Value{{[]byte("g"), int64(8), "revoked", []byte("c"), []byte("u"), `{"id":"x","version":7,"stage":"active","client_id":"x","sub":"x","acr":"kept"}`}}
	}}
	g, err := r.store(t, sqlstore.Config{Dialect: sqlstore.Postgres}).Grant(t.Context(), "g")
	require.NoError(t, err)
	require.Equal(t, &authwright.Grant{ID: "g", Version: 8, Stage: authwright.StageRevoked, ClientID: "c", Subject: "u", ACR: "kept"}, g)
}

func TestDocumentsAreASCII(t *testing.T) {
	t.Parallel()
	text := "\x00 a\"é\u2028\uffff𝄞"
	var data []byte
	r := new(recorder)
	s := r.store(t, sqlstore.Config{Dialect: sqlstore.MySQL})
	require.NoError(t, s.SaveGrant(t.Context(), &authwright.Grant{ID: "g", Version: 1, State: text}))
	for _, arg := range r.taken()[0].args {
		if v, ok := arg.Value.(string); ok && strings.HasPrefix(v, "{") {
			data = []byte(v)
		}
	}
	require.NotEmpty(t, data)
	for _, b := range data {
		require.Less(t, b, byte(0x80))
	}
	var g authwright.Grant
	require.NoError(t, json.Unmarshal(data, &g))
	require.Equal(t, text, g.State)
}

func TestExpiryIsNeverEarly(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			r := new(recorder)
			at := time.UnixMilli(1_800_000_000_000)
			s := r.store(t, sqlstore.Config{Dialect: d, Now: func() time.Time { return at.Add(999 * time.Microsecond) }})
			require.NoError(t, s.UseOnce(t.Context(), "k", at.Add(time.Nanosecond)))
			require.NoError(t, s.UseOnce(t.Context(), "k", at))
			taken := r.taken()
			require.Len(t, taken, 2)
			require.Equal(t, at.UnixMilli()+1, taken[0].args[1].Value)
			require.Equal(t, at.UnixMilli(), taken[1].args[1].Value)
			if d != sqlstore.MySQL { // which asks for the time only if the key is taken
				require.Equal(t, at.UnixMilli(), taken[0].args[2].Value)
			}
		})
	}
}
