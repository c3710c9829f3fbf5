package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/internal/document"
)

// The longest values that every dialect takes and can index. Longer ones are refused
// here, before a database in a lenient mode truncates them.
const (
	maxID      = 512
	maxSubject = 2048
	maxClient  = 2048
	maxStage   = 32
)

// Grant implements [authwright.Storage].
func (s *Store) Grant(ctx context.Context, id string) (g *authwright.Grant, err error) {
	err = retry(ctx, func() error {
		g, err = scanGrant(s.db.QueryRowContext(ctx, s.sql.grant, s.key(id)))
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, authwright.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("sqlstore: grant: %w", err)
	}
	return g, nil
}

// scanGrant reads a grant. Its columns win over the document, so that what an operator
// changes in them counts, but for the times, which are rounded there.
func scanGrant(row interface{ Scan(...any) error }) (*authwright.Grant, error) {
	var id, stage, clientID, subject, data string
	var version int64
	if err := row.Scan(&id, &version, &stage, &clientID, &subject, &data); err != nil {
		return nil, err
	}
	g, err := document.ParseGrant(data)
	if err != nil {
		return nil, fmt.Errorf("record %.64q is corrupt: %w", id, err)
	}
	g.ID, g.Version, g.Stage = id, version, authwright.Stage(stage)
	g.ClientID, g.Subject = clientID, subject
	return g, nil
}

// SaveGrant implements [authwright.Storage].
//
// It is one statement and one round trip: for version 1
//
//	INSERT … ON CONFLICT (id) DO NOTHING
//
// and for every later one
//
//	UPDATE … WHERE id = $8 AND version = $9
//
// which changes one row if it wins and none if it loses. It needs no transaction,
// because a statement is one by itself, and no isolation level: the database locks the
// row, and whoever waited for the lock compares the version that the winner wrote
// (PostgreSQL, MySQL), or is refused and tries again (stricter isolation levels,
// CockroachDB, SQLite).
//
// If the connection breaks after the statement was sent, nobody knows whether it was
// carried out, and [database/sql] repeats only what was never sent. SaveGrant then saves
// again, for eight seconds at most, and so finds out; see settle. Only an error that remains
// after that may hide a success.
func (s *Store) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	if err := check(g); err != nil {
		return err
	}
	text, err := document.AppendGrant(nil, g)
	if err != nil {
		return fmt.Errorf("sqlstore: save grant: %w", err)
	}
	data := string(text)
	query, args := s.sql.addGrant, []any{
		g.Version, string(g.Stage), s.key(g.ClientID), s.key(g.Subject),
		g.CreatedAt.UnixMilli(), roundUp(g.ExpiresAt), data, s.key(g.ID),
	}
	if g.Version != 1 {
		query, args = s.sql.updateGrant, append(args, g.Version-1)
	}
	save := func(ctx context.Context) error {
		return s.one(ctx, "save grant", authwright.ErrConflict, query, args...)
	}
	return s.settle(ctx, save(ctx), save, func(ctx context.Context) error { return s.stored(ctx, g, data) })
}

// check refuses what does not fit into the columns.
func check(g *authwright.Grant) error {
	for _, v := range []struct {
		name  string
		value string
		max   int
	}{
		{"ID", g.ID, maxID},
		{"Subject", g.Subject, maxSubject},
		{"ClientID", g.ClientID, maxClient},
		{"Stage", string(g.Stage), maxStage},
	} {
		if len(v.value) > v.max {
			return fmt.Errorf("sqlstore: save grant: %s is longer than %d bytes", v.name, v.max)
		}
	}
	return nil
}

// roundUp is an expiry in the database's milliseconds: never early.
func roundUp(t time.Time) int64 { return t.Add(time.Millisecond - time.Nanosecond).UnixMilli() }

// GrantsBySubject implements [authwright.Index]. A page holds 1,000 grants at most.
func (s *Store) GrantsBySubject(ctx context.Context, subject, page string, limit int) ([]*authwright.Grant, string, error) {
	return s.list(ctx, s.sql.bySubject, subject, page, limit)
}

// GrantsByClient implements [authwright.Index]. A page holds 1,000 grants at most.
func (s *Store) GrantsByClient(ctx context.Context, clientID, page string, limit int) ([]*authwright.Grant, string, error) {
	return s.list(ctx, s.sql.byClient, clientID, page, limit)
}

// list reads one page of an index, which is in the order of the IDs: page is the last
// ID of the page before. One row more than asked for says whether there is another.
func (s *Store) list(ctx context.Context, query, value, page string, limit int) (found []*authwright.Grant, next string, err error) {
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	err = retry(ctx, func() error {
		found, err = s.scanGrants(ctx, query, s.key(value), s.key(page), limit+1)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("sqlstore: grants: %w", err)
	}
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].ID
	}
	return found, next, nil
}

func (s *Store) scanGrants(ctx context.Context, query string, args ...any) ([]*authwright.Grant, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []*authwright.Grant
	for rows.Next() {
		g, err := scanGrant(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, g)
	}
	return found, rows.Err()
}
