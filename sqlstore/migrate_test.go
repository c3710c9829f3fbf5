package sqlstore_test

import (
	"database/sql/driver"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/sqlstore"
)

// version answers the query for the version of the schema.
func version(n int64) func(string) [][]driver.Value {
	return func(string) [][]driver.Value { return [][]driver.Value{{n}} }
}

// written returns the statements that are no queries.
func written(r *recorder) (queries []string) {
	for _, st := range r.taken() {
		if !strings.HasPrefix(st.query, "SELECT") {
			queries = append(queries, st.query)
		}
	}
	return queries
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			r := &recorder{rows: version(0)}
			s := r.store(t, sqlstore.Config{Dialect: d, Prefix: "mine_"})
			require.NoError(t, s.Migrate(t.Context()))
			queries := written(r)
			require.NotEmpty(t, queries)
			for _, q := range queries {
				require.Contains(t, q, "mine_")
				require.NotContains(t, q, "authwright_")
				require.NotContains(t, q, ";\n", "more than one statement")
				require.Regexp(t, `IF NOT EXISTS|INSERT IGNORE|ON CONFLICT DO NOTHING`, q, "cannot be run again")
			}

			r.rows = version(1)
			require.NoError(t, s.Migrate(t.Context()))
			require.Empty(t, written(r), "there was nothing to do")

			r.rows = version(99)
			require.ErrorContains(t, s.Migrate(t.Context()), "the schema has version 99, which is newer than the 1 of this program")
			require.Empty(t, written(r))
		})
	}
}

func TestMigrateNamesTheCause(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	r := &recorder{answer: func(string) (int64, error) { return 0, down }}
	err := r.store(t, sqlstore.Config{Dialect: sqlstore.Postgres}).Migrate(t.Context())
	require.ErrorIs(t, err, down)
	require.ErrorContains(t, err, "sqlstore: migrate: ")

	denied := errors.New("permission denied")
	r = &recorder{rows: version(0), answer: func(query string) (int64, error) {
		if strings.Contains(query, "authwright_used") {
			return 0, denied
		}
		return 0, nil
	}}
	err = r.store(t, sqlstore.Config{Dialect: sqlstore.Postgres}).Migrate(t.Context())
	require.ErrorIs(t, err, denied)
	require.ErrorContains(t, err, "0001_tables.sql")
	for _, q := range written(r) {
		require.NotContains(t, q, "INSERT", "a migration that failed must not be recorded")
	}
}

// The files are an interface: hosts copy them, and each dialect has the same ones.
func TestMigrations(t *testing.T) {
	t.Parallel()
	var want []string
	for _, d := range dialects {
		files, err := sqlstore.Migrations.ReadDir("migrations/" + string(d))
		require.NoError(t, err)
		var names []string
		for i, f := range files {
			require.Regexp(t, `^[0-9]{4}_[a-z_]+\.sql$`, f.Name())
			names = append(names, f.Name())
			text, err := sqlstore.Migrations.ReadFile("migrations/" + string(d) + "/" + f.Name())
			require.NoError(t, err)
			recorded := regexp.MustCompile(`INTO authwright_schema \(version\) VALUES \(([0-9]+)\)`).FindAllStringSubmatch(string(text), -1)
			require.Len(t, recorded, 1, f.Name())
			require.Equal(t, "000"+recorded[0][1], f.Name()[:4])
			require.Equal(t, i+1, int(f.Name()[3]-'0'))
		}
		if want == nil {
			want = names
		}
		require.Equal(t, want, names, string(d))
	}
	require.NotEmpty(t, want)
}
