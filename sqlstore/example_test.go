package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"time"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
)

// A host opens its database with the driver of its choice, here github.com/jackc/pgx/v5/stdlib.
func Example() {
	ctx := context.Background()
	db, err := sql.Open("pgx", "postgres://app@db.example/app")
	if err != nil {
		log.Fatal(err)
	}
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.Postgres})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	err = store.AddClient(ctx, &authwright.Client{
		ID:           "notes",
		Name:         "Notes",
		RedirectURIs: []string{"https://notes.example/callback"},
	})
	if err != nil && !errors.Is(err, authwright.ErrConflict) {
		log.Fatal(err)
	}
	_ = authwright.Config{Storage: store, Index: store} // and the rest
}

// Storage keeps grants in a [sqlstore.Store] and finds clients in a table that the
// application has had for years. It is an [authwright.Storage], because the embedded
// store has the other methods; it is no [authwright.Index] less, either.
type Storage struct {
	*sqlstore.Store
	db *sql.DB
}

// Client takes the place of the store's own.
func (s Storage) Client(ctx context.Context, id string) (*authwright.Client, error) {
	c := &authwright.Client{ID: id, Scopes: []string{"read", "write"}}
	var redirectURI string
	err := s.db.QueryRowContext(ctx, "SELECT title, callback_url FROM apps WHERE slug = $1", id).Scan(&c.Name, &redirectURI)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, authwright.ErrNotFound // and any other error as it is: an outage is no answer
	} else if err != nil {
		return nil, err
	}
	c.RedirectURIs = []string{redirectURI}
	return c, nil
}

// A host that has a table of applications already embeds the store and overrides Client.
func Example_clientsInYourOwnTable() {
	db, err := sql.Open("pgx", "postgres://app@db.example/app")
	if err != nil {
		log.Fatal(err)
	}
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.Postgres})
	if err != nil {
		log.Fatal(err)
	}
	_ = authwright.Config{Storage: Storage{store, db}, Index: store} // and the rest
}

// What has expired is deleted in batches, so that no statement holds its locks for long.
func ExampleStore_DeleteExpired() {
	sweep := func(ctx context.Context, store *sqlstore.Store) {
		const batch = 1000
		ticker := time.NewTicker(time.Minute)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			for n := batch; n == batch; {
				var err error
				if n, err = store.DeleteExpired(ctx, time.Now(), batch); err != nil {
					log.Print(err) // and again in a minute
				}
			}
		}
	}
	_ = sweep
}
