package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/internal/document"
)

// Client implements [authwright.Storage].
func (s *Store) Client(ctx context.Context, id string) (*authwright.Client, error) {
	var data []byte
	err := retry(ctx, func() error {
		return s.db.QueryRowContext(ctx, s.sql.client, s.key(id)).Scan(&data)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, authwright.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("sqlstore: client: %w", err)
	}
	c := new(authwright.Client)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("sqlstore: client: record %.64q is corrupt: %w", id, err)
	}
	return c, nil
}

// AddClient registers c. It returns [authwright.ErrConflict] if its ID is taken.
func (s *Store) AddClient(ctx context.Context, c *authwright.Client) error {
	data, err := registration(c)
	if err != nil {
		return err
	}
	return s.one(ctx, "add client", authwright.ErrConflict, s.sql.addClient, s.key(c.ID), data, expiry(c))
}

// UpdateClient replaces the registration of c. It returns [authwright.ErrNotFound] if
// there is none.
func (s *Store) UpdateClient(ctx context.Context, c *authwright.Client) error {
	data, err := registration(c)
	if err != nil {
		return err
	}
	return s.one(ctx, "update client", authwright.ErrNotFound, s.sql.updateClient, data, expiry(c), s.key(c.ID))
}

// DeleteClient forgets the client registered as id. It returns [authwright.ErrNotFound]
// if there is none. Its grants stay, and are worth nothing without it.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.one(ctx, "delete client", authwright.ErrNotFound, s.sql.deleteClient, s.key(id))
}

// expiry is when the registration of c may be deleted: NULL for one that lasts.
func expiry(c *authwright.Client) any {
	if c.ExpiresAt.IsZero() {
		return nil
	}
	return roundUp(c.ExpiresAt)
}

// registration is the record of a client that may be registered.
func registration(c *authwright.Client) (string, error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("sqlstore: %w", err)
	}
	// INSERT IGNORE would put question marks in the places of what a character set lacks.
	return string(document.AppendASCII(nil, data)), nil
}
