package redisstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/authwright/authwright"
)

// Client implements [authwright.Storage].
func (s *Store) Client(ctx context.Context, id string) (*authwright.Client, error) {
	reply, err := s.read(ctx, "GET", s.key("client", id))
	if err != nil {
		return nil, fmt.Errorf("redisstore: client: %w", err)
	}
	if reply == nil {
		return nil, authwright.ErrNotFound
	}
	data, err := text(reply)
	if err != nil {
		return nil, fmt.Errorf("redisstore: client: %w", err)
	}
	c := new(authwright.Client)
	if err := json.Unmarshal([]byte(data), c); err != nil {
		return nil, fmt.Errorf("redisstore: client: record %.64q is corrupt: %w", id, err)
	}
	return c, nil
}

// AddClient registers c, until its ExpiresAt if that is set. It returns
// [authwright.ErrConflict] if its ID is taken.
func (s *Store) AddClient(ctx context.Context, c *authwright.Client) error {
	return s.setClient(ctx, c, "add client", "NX", authwright.ErrConflict)
}

// UpdateClient replaces the registration of c. It then lasts until the ExpiresAt of the
// new one, or for good if that is zero. UpdateClient returns [authwright.ErrNotFound] if
// there is none.
func (s *Store) UpdateClient(ctx context.Context, c *authwright.Client) error {
	return s.setClient(ctx, c, "update client", "XX", authwright.ErrNotFound)
}

// setClient writes c on the condition NX or XX, and returns otherwise if that is not met.
func (s *Store) setClient(ctx context.Context, c *authwright.Client, what, condition string, otherwise error) error {
	if err := c.Validate(); err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("redisstore: %s: %w", what, err)
	}
	args := []any{"SET", s.key("client", c.ID), string(data), condition}
	if !c.ExpiresAt.IsZero() { // without PXAT, SET takes away the expiry that was there
		args = append(args, "PXAT", decimal(millis(c.ExpiresAt)))
	}
	reply, err := s.do(ctx, args...)
	switch {
	case err != nil:
		return fmt.Errorf("redisstore: %s: %w", what, err)
	case reply == nil:
		return otherwise
	}
	return nil
}

// DeleteClient forgets the client registered as id. It returns [authwright.ErrNotFound] if
// there is none. Its grants stay, and are worth nothing without it.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	deleted, err := number(s.do(ctx, "DEL", s.key("client", id)))
	switch {
	case err != nil:
		return fmt.Errorf("redisstore: delete client: %w", err)
	case deleted == 0:
		return authwright.ErrNotFound
	}
	return nil
}
