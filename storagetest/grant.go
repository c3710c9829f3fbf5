package storagetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/authwright/authwright"
)

func grantUnknown(ctx context.Context, s authwright.Storage) error {
	if err := s.SaveGrant(ctx, newGrant("something")); err != nil {
		return err
	}
	_, err := s.Grant(ctx, "nothing")
	return expect(err, authwright.ErrNotFound)
}

func grantRoundTrip(ctx context.Context, s authwright.Storage) error {
	return saveAndExpect(ctx, s, newGrant("round trip"))
}

func grantEmpty(ctx context.Context, s authwright.Storage) error {
	g := emptyGrant("empty")
	if err := saveAndExpect(ctx, s, g); err != nil {
		return err
	}
	g.Version++
	g.Scopes, g.Resources, g.AMR = []string{}, []string{}, []string{}
	g.Secret, g.Turn = []byte{}, []byte{}
	return saveAndExpect(ctx, s, g)
}

func grantReplaced(ctx context.Context, s authwright.Storage) error {
	if err := saveAndExpect(ctx, s, newGrant("replaced")); err != nil {
		return err
	}
	g := emptyGrant("replaced")
	g.Version = 2
	if err := saveAndExpect(ctx, s, g); err != nil {
		return err
	}
	return saveAndExpect(ctx, s, successor(g))
}

// emptyGrant returns version 1 of a live grant with nothing that it can do without.
func emptyGrant(id string) *authwright.Grant {
	live := newGrant(id)
	return &authwright.Grant{ID: id, Version: 1, Stage: authwright.StageConsent, ExpiresAt: live.ExpiresAt}
}

func grantAnyText(ctx context.Context, s authwright.Storage) error {
	for i, text := range []string{everyRune(), strings.Join(oddTexts(), ""), strings.Repeat("\x00", 64)} {
		g := newGrant(fmt.Sprint("text ", i))
		g.ACR, g.State, g.Nonce = text, text, text
		g.Scopes, g.AMR, g.Resources = []string{text, "", text}, []string{text}, []string{text}
		g.Secret, g.Sealed = []byte(text), everyByte()
		if err := saveAndExpect(ctx, s, g); err != nil {
			return err
		}
	}
	return nil
}

func grantAnyID(ctx context.Context, s authwright.Storage) error {
	var saved []*authwright.Grant
	for i, id := range oddTexts() {
		g := emptyGrant(id)
		g.Nonce = fmt.Sprint(i)
		if err := s.SaveGrant(ctx, g); err != nil {
			return fmt.Errorf("ID %.40q, unlike any before: %w", id, err)
		}
		saved = append(saved, g)
	}
	for _, g := range saved {
		if err := expectGrant(ctx, s, g); err != nil {
			return fmt.Errorf("ID %.40q: %w", g.ID, err)
		}
	}
	return nil
}

func grantBig(ctx context.Context, s authwright.Storage) error {
	g := newGrant("big")
	g.State = strings.Repeat("0123456789abcde\x00", 512)
	g.Scopes = nil
	for i := range 200 {
		g.Scopes = append(g.Scopes, fmt.Sprintf("https://api.example/scopes/%d/read-and-write", i))
	}
	if err := saveAndExpect(ctx, s, g); err != nil {
		return err
	}
	g.Version++
	g.State = strings.Repeat("𝄞", 2048)
	return saveAndExpect(ctx, s, g)
}

func grantCopiedIn(ctx context.Context, s authwright.Storage) error {
	for version := int64(1); version <= 2; version++ {
		g, want := newGrant("copied in"), newGrant("copied in")
		g.Version, want.Version = version, version
		g.CreatedAt, g.ExpiresAt, g.EndsAt = want.CreatedAt, want.ExpiresAt, want.EndsAt
		if err := s.SaveGrant(ctx, g); err != nil {
			return err
		}
		scribble(reflect.ValueOf(g))
		if err := expectGrant(ctx, s, want); err != nil {
			return fmt.Errorf("version %d, after a change to what was saved: %w", version, err)
		}
	}
	return nil
}

func grantCopiedOut(ctx context.Context, s authwright.Storage) error {
	want := newGrant("copied out")
	if err := s.SaveGrant(ctx, want); err != nil {
		return err
	}
	g, err := s.Grant(ctx, want.ID)
	if err != nil {
		return err
	}
	other, err := s.Grant(ctx, want.ID)
	if err != nil {
		return err
	}
	scribble(reflect.ValueOf(g))
	if err := same(other, want); err != nil {
		return fmt.Errorf("after a change to another reader's copy: %w", err)
	}
	if err := expectGrant(ctx, s, want); err != nil {
		return fmt.Errorf("after a change to a reader's copy: %w", err)
	}
	return nil
}

func saveAndExpect(ctx context.Context, s authwright.Storage, g *authwright.Grant) error {
	if err := s.SaveGrant(ctx, g); err != nil {
		return fmt.Errorf("save of version %d: %w", g.Version, err)
	}
	return expectGrant(ctx, s, g)
}

func expectGrant(ctx context.Context, s authwright.Storage, want *authwright.Grant) error {
	got, err := s.Grant(ctx, want.ID)
	if err != nil {
		return err
	}
	return same(got, want)
}

// expect returns nil if err wraps target.
func expect(err, target error) error {
	if !errors.Is(err, target) {
		return fmt.Errorf("got error %v, want one that wraps %q", err, target)
	}
	return nil
}
