package sqlstore_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
)

// What the store costs on top of a driver that costs nothing: in time, and in garbage.

// instant is a driver of one grant, which answers at once and keeps nothing.
type instant struct{ row []driver.Value }

func (d instant) Connect(context.Context) (driver.Conn, error) { return d, nil }
func (d instant) Driver() driver.Driver                        { return nil }
func (d instant) Prepare(string) (driver.Stmt, error)          { return nil, errUnused }
func (d instant) Begin() (driver.Tx, error)                    { return nil, errUnused }
func (d instant) Close() error                                 { return nil }

func (d instant) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), nil
}

func (d instant) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &instantRows{row: d.row}, nil
}

type instantRows struct {
	row  []driver.Value
	done bool
}

func (r *instantRows) Columns() []string { return make([]string, len(r.row)) }
func (r *instantRows) Close() error      { return nil }

func (r *instantRows) Next(dest []driver.Value) error {
	if r.done {
		return io.EOF
	}
	r.done = true
	copy(dest, r.row)
	return nil
}

// benchGrant is a grant as it is after a refresh.
func benchGrant() *authwright.Grant {
	now := time.Now().UTC()
	hash := func(text string) []byte { h := sha256.Sum256([]byte(text)); return h[:] }
	return &authwright.Grant{
		ID: "AAAAAAAAAAAAAAAAAAAAAA", Version: 3, Stage: authwright.StageActive,
		CreatedAt: now, ExpiresAt: now.AddDate(0, 0, 14), EndsAt: now.AddDate(0, 0, 90), RotatedAt: now, AuthTime: now,
		ClientID: "web", Subject: "user-00000001", Scopes: []string{"read", "write"}, Resources: []string{"https://api.example"},
		RedirectURI: "https://web.example/callback", CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		Secret: hash("secret"), Lineage: hash("lineage"), Turn: hash("turn"), Previous: hash("previous"), Sealed: hash("sealed")[:16],
	}
}

func benchStore(b *testing.B) (*sqlstore.Store, *authwright.Grant) {
	b.Helper()
	g := benchGrant()
	data, err := json.Marshal(g)
	require.NoError(b, err)
	db := sql.OpenDB(instant{[]driver.Value{[]byte(g.ID), g.Version, string(g.Stage), []byte(g.ClientID), []byte(g.Subject), string(data)}})
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	s, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.Postgres})
	require.NoError(b, err)
	b.ReportAllocs()
	return s, g
}

func BenchmarkGrant(b *testing.B) {
	s, g := benchStore(b)
	for b.Loop() {
		if _, err := s.Grant(b.Context(), g.ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSaveGrant(b *testing.B) {
	s, g := benchStore(b)
	for b.Loop() {
		if err := s.SaveGrant(b.Context(), g); err != nil {
			b.Fatal(err)
		}
	}
}

// What database/sql takes of it.
func BenchmarkDriver(b *testing.B) {
	db := sql.OpenDB(instant{[]driver.Value{[]byte("document")}})
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	var data []byte
	b.ReportAllocs()
	for b.Loop() {
		_, err := db.ExecContext(b.Context(), "UPDATE", int64(1), "stage", []byte("client"), []byte("subject"), int64(1), int64(1), "document", []byte("id"), int64(1))
		if err := errors.Join(err, db.QueryRowContext(b.Context(), "SELECT", []byte("id")).Scan(&data)); err != nil {
			b.Fatal(err)
		}
	}
}
