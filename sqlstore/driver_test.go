package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/sqlstore"
)

// A recorder is a database that writes down what it is asked.
type recorder struct {
	mu         sync.Mutex
	statements []statement

	// answer says how many rows a statement changed; nil means one. It returns the rows
	// of a query through rows.
	answer func(query string) (changed int64, err error)
	rows   func(query string) [][]driver.Value
}

type statement struct {
	query string
	args  []driver.NamedValue
}

// store returns a store in r.
func (r *recorder) store(t *testing.T, cfg sqlstore.Config) *sqlstore.Store {
	t.Helper()
	db := sql.OpenDB(r)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(db, cfg)
	require.NoError(t, err)
	return s
}

// taken returns the statements so far and forgets them.
func (r *recorder) taken() []statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.statements
	r.statements = nil
	return taken
}

func (r *recorder) record(query string, args []driver.NamedValue) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, statement{query, args})
	if r.answer == nil {
		return 1, nil
	}
	return r.answer(query)
}

func (r *recorder) Connect(context.Context) (driver.Conn, error) { return conn{r}, nil }
func (r *recorder) Driver() driver.Driver                        { return nil }

type conn struct{ r *recorder }

var errUnused = errors.New("not for a store that needs neither transactions nor prepared statements")

func (c conn) Prepare(string) (driver.Stmt, error) { return nil, errUnused }
func (c conn) Begin() (driver.Tx, error)           { return nil, errUnused }
func (c conn) Close() error                        { return nil }

func (c conn) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	changed, err := c.r.record(query, args)
	return driver.RowsAffected(changed), err
}

func (c conn) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if _, err := c.r.record(query, args); err != nil {
		return nil, err
	}
	if c.r.rows == nil {
		return &table{}, nil
	}
	return &table{c.r.rows(query)}, nil
}

type table struct{ rows [][]driver.Value }

func (t *table) Columns() []string {
	if len(t.rows) == 0 {
		return nil
	}
	return make([]string, len(t.rows[0]))
}

func (t *table) Close() error { return nil }

func (t *table) Next(dest []driver.Value) error {
	if len(t.rows) == 0 {
		return io.EOF
	}
	copy(dest, t.rows[0])
	t.rows = t.rows[1:]
	return nil
}
