package storagetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/authwright/authwright"
)

func adminAdd(ctx context.Context, s Store) error {
	for _, c := range someClients() {
		if err := s.AddClient(ctx, c); err != nil {
			return err
		}
	}
	return clientKnown(ctx, s)
}

func adminAddOnce(ctx context.Context, s Store) error {
	if err := s.AddClient(ctx, fullClient()); err != nil {
		return err
	}
	if err := expect(s.AddClient(ctx, plainClient("app")), authwright.ErrConflict); err != nil {
		return err
	}
	return expectClient(ctx, s, fullClient())
}

func adminOneWinner(ctx context.Context, s Store) error {
	for round := range 4 {
		id := fmt.Sprint("client-", round)
		winner, err := race(16, func(i int) error {
			c := plainClient(id)
			c.Name = strconv.Itoa(i)
			return s.AddClient(ctx, c)
		})
		if err != nil {
			return err
		}
		want := plainClient(id)
		want.Name = strconv.Itoa(winner)
		if err := expectClient(ctx, s, want); err != nil {
			return err
		}
	}
	return nil
}

func adminUpdate(ctx context.Context, s Store) error {
	if err := expect(s.UpdateClient(ctx, fullClient()), authwright.ErrNotFound); err != nil {
		return err
	}
	_, err := s.Client(ctx, "app")
	if err := expect(err, authwright.ErrNotFound); err != nil {
		return fmt.Errorf("after an update of nothing: %w", err)
	}
	if err := s.AddClient(ctx, plainClient("bystander")); err != nil {
		return err
	}
	if err := s.AddClient(ctx, fullClient()); err != nil {
		return err
	}
	// An update that changes nothing is one too: the second of each.
	for _, c := range []*authwright.Client{plainClient("app"), plainClient("app"), fullClient(), fullClient()} {
		if err := s.UpdateClient(ctx, c); err != nil {
			return err
		}
		if err := expectClient(ctx, s, c); err != nil {
			return err
		}
	}
	return expectClient(ctx, s, plainClient("bystander"))
}

func adminDelete(ctx context.Context, s Store) error {
	if err := expect(s.DeleteClient(ctx, "app"), authwright.ErrNotFound); err != nil {
		return err
	}
	g := newGrant("of a client that goes")
	if err := s.SaveGrant(ctx, g); err != nil {
		return err
	}
	for range 2 {
		for _, id := range []string{"app", "bystander"} {
			if err := s.AddClient(ctx, plainClient(id)); err != nil {
				return err
			}
		}
		if err := s.DeleteClient(ctx, "app"); err != nil {
			return err
		}
		_, err := s.Client(ctx, "app")
		if err := expect(err, authwright.ErrNotFound); err != nil {
			return err
		}
		for _, err := range []error{s.DeleteClient(ctx, "app"), s.UpdateClient(ctx, plainClient("app"))} {
			if err := expect(err, authwright.ErrNotFound); err != nil {
				return fmt.Errorf("after the deletion: %w", err)
			}
		}
		if err := s.DeleteClient(ctx, "bystander"); err != nil {
			return err
		}
	}
	if err := expectGrant(ctx, s, g); err != nil {
		return err
	}
	return expectListed(ctx, byClient(s, "app"), 0, g.ID)
}

func adminInvalid(ctx context.Context, s Store) error {
	if err := s.AddClient(ctx, fullClient()); err != nil {
		return err
	}
	invalid := fullClient()
	invalid.RedirectURIs = []string{"https://app.example/cb#fragment"}
	if err := s.UpdateClient(ctx, invalid); err == nil {
		return fmt.Errorf("UpdateClient took a client that Validate refuses: %w", invalid.Validate())
	}
	if err := expectClient(ctx, s, fullClient()); err != nil {
		return fmt.Errorf("after the update was refused: %w", err)
	}
	invalid.ID = "invalid"
	if err := s.AddClient(ctx, invalid); err == nil {
		return fmt.Errorf("AddClient took a client that Validate refuses: %w", invalid.Validate())
	}
	_, err := s.Client(ctx, "invalid")
	return expect(err, authwright.ErrNotFound)
}

func adminCopiedIn(ctx context.Context, s Store) error {
	for _, save := range []func(context.Context, *authwright.Client) error{s.AddClient, s.UpdateClient} {
		c := fullClient()
		if err := save(ctx, c); err != nil {
			return err
		}
		scribble(reflect.ValueOf(c))
		if err := expectClient(ctx, s, fullClient()); err != nil {
			return err
		}
	}
	return nil
}

func adminAnyID(ctx context.Context, s Store) error {
	long := strings.Repeat("c", 2047)
	ids := []string{
		long, long + "a", long + "A", "app", "App", "APP", "app_", "app%", "app*", "app?", "a[p]p", "{app}", "app}", "{a}pp",
		"'app'", `"app"`, "`app`", `app\`, `app\\`, "app:", "app:1", "app/", "../app", "%61pp", "https://app.example/client.json?a=1#b",
		"$1", "?1", ":app", "1", "01", "1.0", "null", "--", ";",
	}
	for i, id := range ids {
		c := plainClient(id)
		c.Name = strconv.Itoa(i)
		if err := s.AddClient(ctx, c); err != nil {
			return fmt.Errorf("client ID %.40q, unlike any before: %w", id, err)
		}
	}
	for i, id := range slices.Backward(ids) {
		c := plainClient(id)
		c.Name = strconv.Itoa(i)
		if err := expectClient(ctx, s, c); err != nil {
			return err
		}
		if err := s.DeleteClient(ctx, id); err != nil {
			return fmt.Errorf("client ID %.40q: %w", id, err)
		}
	}
	return nil
}
