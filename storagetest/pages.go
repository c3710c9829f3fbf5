package storagetest

import (
	"context"
	"fmt"
	"time"

	"github.com/authwright/authwright"
)

func indexPages(ctx context.Context, s Store) error {
	ids, err := saveFor(ctx, s, "ada", "app", 24)
	if err != nil {
		return err
	}
	if _, err := saveFor(ctx, s, "bob", "other", 5); err != nil {
		return err
	}
	for _, limit := range []int{1, 2, 5, 23, 24, 25, 0} {
		for _, l := range []list{bySubject(s, "ada"), byClient(s, "app")} {
			if err := expectListed(ctx, l, limit, ids...); err != nil {
				return fmt.Errorf("limit %d: %w", limit, err)
			}
		}
	}
	return nil
}

func indexDefaultLimit(ctx context.Context, s Store) error {
	const more = 1010
	ids := make([]string, more)
	if err := together(10, func(i int) error {
		for j := i; j < more; j += 10 {
			g := emptyGrant(fmt.Sprint("grant ", j))
			g.Subject, g.ClientID = "ada", "app"
			if err := s.SaveGrant(ctx, g); err != nil {
				return err
			}
			ids[j] = g.ID
		}
		return nil
	}); err != nil {
		return err
	}
	for _, l := range []list{bySubject(s, "ada"), byClient(s, "app")} {
		grants, next, err := l(ctx, "", 0)
		if err != nil {
			return err
		}
		if len(grants) > 1000 || next == "" {
			return fmt.Errorf("the first page has %d of %d grants, and the next is %q", len(grants), more, next)
		}
		if err := expectListed(ctx, l, 0, ids...); err != nil {
			return err
		}
	}
	return nil
}

// indexMoving does what RevokeSubject does: it revokes what it finds, page after page,
// while others save, too. A list that counts from its beginning skips some then.
func indexMoving(ctx context.Context, s Store) error {
	for _, limit := range []int{1, 3, 7} {
		subject := fmt.Sprint("subject ", limit)
		ids, err := saveFor(ctx, s, subject, "app", 20)
		if err != nil {
			return err
		}
		still, err := saveFor(ctx, s, subject, "still", 20)
		if err != nil {
			return err
		}
		if err := revokeListed(ctx, s, subject, limit, append(ids, still...)); err != nil {
			return fmt.Errorf("limit %d: %w", limit, err)
		}
	}
	return nil
}

func revokeListed(ctx context.Context, s Store, subject string, limit int, ids []string) error {
	seen, saved := make(map[string]int), make(map[string]bool)
	if err := bySubject(s, subject).each(ctx, limit, func(g *authwright.Grant) error {
		seen[g.ID]++
		if g.ClientID != "app" || g.Stage == authwright.StageRevoked {
			return nil
		}
		saved[g.ID] = true
		if _, err := saveFor(ctx, s, subject, "new while "+g.ID, 1); err != nil {
			return err
		}
		return s.SaveGrant(ctx, revoked(g))
	}); err != nil {
		return err
	}
	for _, id := range ids {
		if n := seen[id]; n < 1 || n > 1 && !saved[id] {
			return fmt.Errorf("grant %q was listed %d times", id, n)
		}
	}
	return nil
}

func indexConcurrent(ctx context.Context, s Store) error {
	return together(8, func(i int) error {
		subject := fmt.Sprint("subject ", i%2)
		for j := range 5 {
			g := newGrant(fmt.Sprint("grant ", i, " ", j))
			g.Subject = subject
			for range 3 {
				if err := s.SaveGrant(ctx, g); err != nil {
					return err
				}
				if err := expectAmong(ctx, bySubject(s, subject), g); err != nil {
					return err
				}
				g.Version++
				g.ExpiresAt = fromNow(time.Hour)
			}
		}
		return nil
	})
}

// expectAmong returns an error unless l has g, as it is.
func expectAmong(ctx context.Context, l list, want *authwright.Grant) error {
	listed := false
	if err := l.each(ctx, 0, func(g *authwright.Grant) error {
		if g.ID != want.ID {
			return nil
		}
		listed = true
		return same(g, want)
	}); err != nil {
		return err
	}
	if !listed {
		return fmt.Errorf("grant %q has been saved and is not listed", want.ID)
	}
	return nil
}
