package storagetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/authwright/authwright"
)

func onceUsed(ctx context.Context, s authwright.Storage) error {
	until := time.Now().Add(time.Hour)
	if err := s.UseOnce(ctx, "key", until); err != nil {
		return err
	}
	for _, until := range []time.Time{until, until.Add(time.Hour), until.Add(-time.Minute)} {
		if err := expect(s.UseOnce(ctx, "key", until), authwright.ErrConflict); err != nil {
			return err
		}
	}
	return s.UseOnce(ctx, "another key", until)
}

func onceOneWinner(ctx context.Context, s authwright.Storage) error {
	for round := range 8 {
		key := fmt.Sprint("jti ", round)
		if _, err := race(64, func(int) error {
			return s.UseOnce(ctx, key, time.Now().Add(time.Hour))
		}); err != nil {
			return err
		}
		if err := expect(s.UseOnce(ctx, key, time.Now().Add(time.Hour)), authwright.ErrConflict); err != nil {
			return fmt.Errorf("after the race: %w", err)
		}
	}
	return nil
}

func onceFreed(ctx context.Context, s authwright.Storage) error {
	if err := s.UseOnce(ctx, "lasting", time.Now().Add(time.Hour)); err != nil {
		return err
	}
	if err := s.UseOnce(ctx, "short", time.Now().Add(30*time.Millisecond)); err != nil {
		return err
	}
	// A clock that counts in seconds may take one more.
	for end := time.Now().Add(3 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := s.UseOnce(ctx, "short", time.Now().Add(time.Hour))
		if err == nil {
			break
		}
		if !errors.Is(err, authwright.ErrConflict) {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("a key recorded for 30 ms is not free after 3 s: %w", err)
		}
	}
	for _, key := range []string{"short", "lasting"} {
		if err := expect(s.UseOnce(ctx, key, time.Now().Add(time.Hour)), authwright.ErrConflict); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
	}
	return nil
}

func onceApart(ctx context.Context, s authwright.Storage) error {
	g := newGrant("shared")
	if err := s.SaveGrant(ctx, g); err != nil {
		return err
	}
	for _, key := range []string{"shared", "app"} {
		if err := s.UseOnce(ctx, key, time.Now().Add(time.Hour)); err != nil {
			return fmt.Errorf("key %q, which is only the ID of something: %w", key, err)
		}
	}
	if err := expectGrant(ctx, s, g); err != nil {
		return err
	}
	if err := s.UseOnce(ctx, "other", time.Now().Add(time.Hour)); err != nil {
		return err
	}
	if err := saveAndExpect(ctx, s, newGrant("other")); err != nil {
		return fmt.Errorf("ID %q, which is only a used key: %w", "other", err)
	}
	return expectClient(ctx, s, fullClient())
}

func onceAnyKey(ctx context.Context, s authwright.Storage) error {
	until := time.Now().Add(time.Hour)
	for _, key := range oddTexts() {
		if err := s.UseOnce(ctx, key, until); err != nil {
			return fmt.Errorf("key %.40q, unlike any before: %w", key, err)
		}
	}
	for _, key := range oddTexts() {
		if err := expect(s.UseOnce(ctx, key, until), authwright.ErrConflict); err != nil {
			return fmt.Errorf("key %.40q: %w", key, err)
		}
	}
	return nil
}

func contextDone(ctx context.Context, s authwright.Storage) error {
	stored := newGrant("stored")
	if err := s.SaveGrant(ctx, stored); err != nil {
		return err
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, knownClient := s.Client(done, "app")
	_, unknownClient := s.Client(done, "nobody")
	_, knownGrant := s.Grant(done, "stored")
	_, unknownGrant := s.Grant(done, "nothing")
	for _, call := range []struct {
		name string
		err  error
	}{
		{"Client, known", knownClient},
		{"Client, unknown", unknownClient},
		{"Grant, known", knownGrant},
		{"Grant, unknown", unknownGrant},
		{"SaveGrant, new", s.SaveGrant(done, newGrant("new"))},
		{"SaveGrant, next version", s.SaveGrant(done, successor(stored))},
		{"SaveGrant, taken ID", s.SaveGrant(done, newGrant("stored"))},
		{"UseOnce", s.UseOnce(done, "key", time.Now().Add(time.Hour))},
	} {
		if call.err == nil || errors.Is(call.err, authwright.ErrNotFound) || errors.Is(call.err, authwright.ErrConflict) {
			return fmt.Errorf("%s: got error %v", call.name, call.err)
		}
	}
	if err := expectGrant(ctx, s, stored); err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	for _, g := range []*authwright.Grant{newGrant("new"), successor(stored)} {
		if err := saveAndExpect(ctx, s, g); err != nil {
			return fmt.Errorf("afterwards, grant %q: %w", g.ID, err)
		}
	}
	if err := s.UseOnce(ctx, "key", time.Now().Add(time.Hour)); err != nil {
		return fmt.Errorf("afterwards, UseOnce: %w", err)
	}
	return nil
}
