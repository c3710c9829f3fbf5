package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
)

// open opens PostgreSQL or, without a DSN, a SQLite file that survives a crash of the machine.
func open(o options) (*sql.DB, sqlstore.Dialect, error) {
	if o.dsn != "" {
		db, err := sql.Open("pgx", o.dsn)
		if err != nil {
			return nil, sqlstore.Postgres, err
		}
		db.SetMaxOpenConns(32)
		db.SetMaxIdleConns(32)
		db.SetConnMaxLifetime(30 * time.Minute)
		return db, sqlstore.Postgres, nil
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(o.data, "auth.db")+
		"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, sqlstore.SQLite, err
	}
	db.SetMaxOpenConns(1)
	return db, sqlstore.SQLite, nil
}

// seed registers the demonstration's client. Yours come from your own administration.
func seed(ctx context.Context, store *sqlstore.Store) error {
	err := store.AddClient(ctx, &authwright.Client{
		ID: "cli", Name: "Command line", RedirectURIs: []string{"http://127.0.0.1/callback"},
		Scopes: []string{"notes:read", "notes:write"},
	})
	if errors.Is(err, authwright.ErrConflict) {
		return nil
	}
	return err
}
