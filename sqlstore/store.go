package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// A Config says how a [Store] uses its database.
type Config struct {
	// Dialect is the SQL that the database speaks. Required.
	Dialect Dialect

	// Prefix begins the names of all tables and indexes: up to 32 lower-case
	// letters, digits and underscores. Empty means "authwright_".
	Prefix string

	// Now is the clock by which keys of UseOnce expire. If nil, [time.Now]. Servers
	// that share a database should have clocks that agree.
	Now func() time.Time
}

// A Store is an [authwright.Storage] and an [authwright.Index] in a SQL database. It
// holds nothing but the handle and is safe for concurrent use.
type Store struct {
	db      *sql.DB
	dialect Dialect
	prefix  string
	now     func() time.Time
	sql     statements
}

var (
	_ authwright.Storage = (*Store)(nil)
	_ authwright.Index   = (*Store)(nil)
)

var validPrefix = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,31}$`)

// New returns a Store that keeps its tables in db, or an error that names the field of
// cfg that is wrong. It does not talk to the database; [Store.Migrate] does.
func New(db *sql.DB, cfg Config) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlstore: db is nil")
	}
	switch cfg.Dialect {
	case Postgres, SQLite, MySQL:
	default:
		return nil, fmt.Errorf("sqlstore: Config.Dialect %.64q is not one of %s, %s, %s", string(cfg.Dialect), Postgres, SQLite, MySQL)
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	if !validPrefix.MatchString(cfg.Prefix) {
		return nil, fmt.Errorf("sqlstore: Config.Prefix %.64q must be 1 to 32 of a-z, 0-9 and _, and not begin with a digit", cfg.Prefix)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{db, cfg.Dialect, cfg.Prefix, cfg.Now, cfg.Dialect.statements(cfg.Prefix)}, nil
}

// key is a string of arbitrary bytes as a column of IDs takes it.
func (s *Store) key(v string) any {
	if s.dialect == SQLite {
		return v
	}
	return []byte(v)
}

// exec runs one statement and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	err = retry(ctx, func() error {
		result, err := s.db.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		changed, err = result.RowsAffected()
		return err
	})
	return changed, err
}

// one runs a statement that changes one row, or none and then means otherwise.
func (s *Store) one(ctx context.Context, what string, otherwise error, query string, args ...any) error {
	changed, err := s.exec(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("sqlstore: %s: %w", what, err)
	}
	if changed == 0 {
		return otherwise
	}
	return nil
}

// retry runs f up to three times while the database refuses it for a passing reason.
//
// Such a refusal promises that nothing was done, so nothing can be done twice. Every
// other error leaves that open (a connection that broke may have delivered its
// statement) and goes to the caller.
func retry(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == 3 || !passing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(time.Duration(try) * 20 * time.Millisecond)):
		}
	}
}

// passing reports whether the database undid a statement for the sake of another one
// that ran at the same time. Drivers are not imported, so it goes by what they share.
func passing(err error) bool {
	var coded interface{ SQLState() string } // of pgx and lib/pq
	if errors.As(err, &coded) {
		switch coded.SQLState() {
		case "40001", "40P01": // serialization failure, deadlock
			return true
		case "23505", "42710", "42P07": // CREATE … IF NOT EXISTS that lost a race
			return true
		}
		return false
	}
	text := err.Error()
	for _, s := range []string{
		"Error 1213", "Error 1205", "Error 1020", // MySQL: deadlock, lock wait timeout, record has changed
		"database is locked", "table is locked", // SQLite: BUSY, LOCKED
	} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}
