package storagetest

import (
	"context"
	"fmt"
	"reflect"

	"github.com/authwright/authwright"
)

func clientKnown(ctx context.Context, s authwright.Storage) error {
	for _, want := range someClients() {
		if err := expectClient(ctx, s, want); err != nil {
			return err
		}
	}
	return nil
}

func clientUnknown(ctx context.Context, s authwright.Storage) error {
	for _, id := range []string{"nobody", "", "App", "app ", " app", "ap", "app\x00", "ap_", "ap%", "*", "{app}"} {
		_, err := s.Client(ctx, id)
		if err := expect(err, authwright.ErrNotFound); err != nil {
			return fmt.Errorf("client %q: %w", id, err)
		}
	}
	return nil
}

func clientCopied(ctx context.Context, s authwright.Storage) error {
	c, err := s.Client(ctx, "app")
	if err != nil {
		return err
	}
	other, err := s.Client(ctx, "app")
	if err != nil {
		return err
	}
	scribble(reflect.ValueOf(c))
	if err := same(other, fullClient()); err != nil {
		return fmt.Errorf("after a change to another reader's copy: %w", err)
	}
	if err := expectClient(ctx, s, fullClient()); err != nil {
		return fmt.Errorf("after a change to a reader's copy: %w", err)
	}
	return nil
}

func expectClient(ctx context.Context, s authwright.Storage, want *authwright.Client) error {
	got, err := s.Client(ctx, want.ID)
	if err != nil {
		return fmt.Errorf("client %.80q: %w", want.ID, err)
	}
	return same(got, want)
}
