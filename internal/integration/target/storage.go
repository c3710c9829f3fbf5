package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// A storage is what the stores of the module have in common.
type storage interface {
	authwright.Storage
	authwright.Index
	AddClient(ctx context.Context, c *authwright.Client) error
	UpdateClient(ctx context.Context, c *authwright.Client) error
	DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error)
}

// An openedStorage holds connections until it is closed.
type openedStorage struct {
	storage
	io.Closer
}

// openStorage returns the storage that dsn, which is "memory" or a URL, names.
func openStorage(dsn string) (*openedStorage, error) {
	switch scheme, _, _ := strings.Cut(dsn, ":"); {
	case dsn == "", dsn == "memory":
		return &openedStorage{new(authwright.Memory), noCloser{}}, nil
	default:
		return nil, fmt.Errorf("%q is not supported", scheme) // the rest may hold a password
	}
}

type noCloser struct{}

func (noCloser) Close() error { return nil }

// addClient registers c, or changes what an earlier run or another replica has
// registered.
func (s *openedStorage) addClient(ctx context.Context, c *authwright.Client) error {
	err := s.AddClient(ctx, c)
	if errors.Is(err, authwright.ErrConflict) {
		err = s.UpdateClient(ctx, c)
	}
	return err
}
