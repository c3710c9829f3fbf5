package storagetest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

var clientBreakages = []breakage{
	{"drops a field", "client/known", func(d *documents) *broken {
		return &broken{Store: d, client: func(ctx context.Context, id string) (*authwright.Client, error) {
			c, err := d.Client(ctx, id)
			if err == nil {
				c.DefaultScopes = nil
			}
			return c, err
		}}
	}},
	{"answers nil for an unknown client", "client/unknown", func(d *documents) *broken {
		return &broken{Store: d, client: func(ctx context.Context, id string) (*authwright.Client, error) {
			c, err := d.Client(ctx, id)
			if errors.Is(err, authwright.ErrNotFound) {
				err = nil
			}
			return c, err
		}}
	}},
	{"folds case", "client/unknown", renamed(strings.ToLower)},
	{"shares pointers", "client/copied", sharing},

	{"drops a field", "admin/add", func(d *documents) *broken {
		return &broken{Store: d, add: func(ctx context.Context, c *authwright.Client) error {
			e := *c
			e.CreatedAt = time.Time{}
			return d.AddClient(ctx, &e)
		}}
	}},
	{"lets the last writer win", "admin/add-once", func(d *documents) *broken {
		return &broken{Store: d, add: addOrUpdate(d)}
	}},
	{"looks and then writes", "admin/one-winner", func(d *documents) *broken {
		return &broken{Store: d, add: func(ctx context.Context, c *authwright.Client) error {
			if _, err := d.Client(ctx, c.ID); err == nil {
				return authwright.ErrConflict
			}
			yield()
			return addOrUpdate(d)(ctx, c)
		}}
	}},
	{"creates what it cannot update", "admin/update", func(d *documents) *broken {
		return &broken{Store: d, update: addOrUpdate(d)}
	}},
	{"takes an update that changes nothing for none", "admin/update", func(d *documents) *broken {
		return &broken{Store: d, update: func(ctx context.Context, c *authwright.Client) error {
			if old, err := d.Client(ctx, c.ID); err == nil && same(old, c) == nil {
				return authwright.ErrNotFound
			}
			return d.UpdateClient(ctx, c)
		}}
	}},
	{"deletes the grants of a client, too", "admin/delete", func(d *documents) *broken {
		return &broken{Store: d, remove: func(ctx context.Context, id string) error {
			clear(d.grants)
			return d.DeleteClient(ctx, id)
		}}
	}},
	{"deletes what is not there", "admin/delete", func(d *documents) *broken {
		return &broken{Store: d, remove: func(ctx context.Context, id string) error {
			_ = d.DeleteClient(ctx, id)
			return nil
		}}
	}},
	{"does not validate", "admin/invalid", func(d *documents) *broken {
		return &broken{Store: d, update: func(ctx context.Context, c *authwright.Client) error {
			if c.Validate() != nil {
				return nil
			}
			return d.UpdateClient(ctx, c)
		}}
	}},
	{"shares pointers", "admin/copied-in", sharing},
	{"folds case", "admin/any-id", renamed(strings.ToLower)},
	{"cuts IDs", "admin/any-id", renamed(func(s string) string { return s[:min(len(s), 255)] })},
}

func addOrUpdate(d *documents) func(context.Context, *authwright.Client) error {
	return func(ctx context.Context, c *authwright.Client) error {
		if err := d.AddClient(ctx, c); !errors.Is(err, authwright.ErrConflict) {
			return err
		}
		return d.UpdateClient(ctx, c)
	}
}

// listing is a store whose lists are as edit leaves them.
func listing(edit func([]*authwright.Grant) []*authwright.Grant) func(*documents) *broken {
	return func(d *documents) *broken {
		return &broken{Store: d, list: func(ctx context.Context, match func(*authwright.Grant) bool, _, page string, limit int) ([]*authwright.Grant, string, error) {
			found, next, err := d.list(ctx, match, page, limit)
			return edit(found), next, err
		}}
	}
}

// matching is a store that takes some subjects and clients for others.
func matching(equal func(a, b string) bool) func(*documents) *broken {
	return func(d *documents) *broken {
		return &broken{Store: d, list: func(ctx context.Context, _ func(*authwright.Grant) bool, of, page string, limit int) ([]*authwright.Grant, string, error) {
			return d.list(ctx, func(g *authwright.Grant) bool { return equal(g.Subject, of) || equal(g.ClientID, of) }, page, limit)
		}}
	}
}

var indexBreakages = []breakage{
	{"leaves out what is revoked", "index/complete", listing(func(found []*authwright.Grant) []*authwright.Grant {
		return slices.DeleteFunc(found, func(g *authwright.Grant) bool { return g.Stage == authwright.StageRevoked })
	})},
	{"goes by the beginning of a subject", "index/complete", matching(strings.HasPrefix)},
	{"lists columns only", "index/record", listing(func(found []*authwright.Grant) []*authwright.Grant {
		for _, g := range found {
			g.Turn, g.Scopes = nil, nil
		}
		return found
	})},
	{"takes clients for subjects", "index/unknown", matching(func(a, b string) bool { return a == b })},
	{"ignores the limit", "index/pages", func(d *documents) *broken {
		return &broken{Store: d, list: func(ctx context.Context, match func(*authwright.Grant) bool, _, _ string, _ int) ([]*authwright.Grant, string, error) {
			return d.all(match), "", nil
		}}
	}},
	{"begins a page with the end of the one before", "index/pages", func(d *documents) *broken {
		return &broken{Store: d, list: func(ctx context.Context, match func(*authwright.Grant) bool, _, page string, limit int) ([]*authwright.Grant, string, error) {
			found, next, err := d.list(ctx, match, page, limit)
			if next != "" {
				next = next[:len(next)-1]
			}
			return found, next, err
		}}
	}},
	{"knows one page only", "index/pages", func(d *documents) *broken {
		return &broken{Store: d, list: func(ctx context.Context, match func(*authwright.Grant) bool, _, page string, limit int) ([]*authwright.Grant, string, error) {
			found, _, err := d.list(ctx, match, page, limit)
			return found, "", err
		}}
	}},
	{"has no limit of its own", "index/default-limit", func(d *documents) *broken {
		return &broken{Store: d, list: func(ctx context.Context, match func(*authwright.Grant) bool, _, page string, limit int) ([]*authwright.Grant, string, error) {
			if limit == 0 {
				limit = 1 << 30
			}
			return d.list(ctx, match, page, limit)
		}}
	}},
	{"counts from the beginning", "index/moving", func(d *documents) *broken {
		return &broken{Store: d, list: func(_ context.Context, match func(*authwright.Grant) bool, _, page string, limit int) ([]*authwright.Grant, string, error) {
			found := d.all(match)
			slices.SortStableFunc(found, func(a, b *authwright.Grant) int { return int(a.Version - b.Version) })
			from, _ := strconv.Atoi(page)
			from = min(from, len(found))
			to := min(from+limit, len(found))
			if to == len(found) {
				return found[from:], "", nil
			}
			return found[from:to], strconv.Itoa(to), nil
		}}
	}},
	{"folds case", "index/any-subject", matching(strings.EqualFold)},
	{"indexes before it compares", "index/conflict", func(d *documents) *broken {
		subjects := make(map[string]string)
		return &broken{
			Store: d,
			save: func(ctx context.Context, g *authwright.Grant) error {
				subjects[g.Subject] = g.ID
				return d.SaveGrant(ctx, g)
			},
			list: func(ctx context.Context, _ func(*authwright.Grant) bool, of, page string, limit int) ([]*authwright.Grant, string, error) {
				return d.list(ctx, func(g *authwright.Grant) bool { return g.ID == subjects[of] || g.ClientID == of }, page, limit)
			},
		}
	}},
	{"indexes a moment later", "index/concurrent", lagging},
	{"shares pointers", "index/copied-out", sharing},
	{"says ErrNotFound when it cannot tell", "index/context", ending(authwright.ErrNotFound)},
	{"lists nothing when it cannot tell", "index/context", ending(nil)},

	{"deletes nothing", "delete-expired/dead", func(d *documents) *broken {
		return &broken{Store: d, expire: func(context.Context, time.Time, int) (int, error) { return 0, nil }}
	}},
	{"ignores the limit", "delete-expired/dead", func(d *documents) *broken {
		return &broken{Store: d, expire: func(ctx context.Context, now time.Time, _ int) (int, error) {
			return d.DeleteExpired(ctx, now, 0)
		}}
	}},
	{"never ends", "delete-expired/dead", func(d *documents) *broken {
		return &broken{Store: d, expire: func(_ context.Context, _ time.Time, limit int) (int, error) { return limit, nil }}
	}},
	{"goes by the wrong time", "delete-expired/live", func(d *documents) *broken {
		return &broken{Store: d, expire: func(ctx context.Context, now time.Time, limit int) (int, error) {
			return d.DeleteExpired(ctx, now.Add(24*time.Hour), limit)
		}}
	}},
	{"keeps clients for ever", "delete-expired/clients", func(d *documents) *broken {
		return &broken{Store: d, expire: func(context.Context, time.Time, int) (int, error) { return 0, nil }}
	}},
	{"remembers when a client was to expire", "delete-expired/clients", func(d *documents) *broken {
		return &broken{Store: d, update: func(ctx context.Context, c *authwright.Client) error {
			old, err := d.Client(ctx, c.ID)
			if err != nil {
				return err
			}
			changed := *c
			changed.ExpiresAt = old.ExpiresAt
			return d.UpdateClient(ctx, &changed)
		}}
	}},
	{"takes clients that last for expired ones", "delete-expired/clients", func(d *documents) *broken {
		return &broken{Store: d, expire: func(ctx context.Context, now time.Time, limit int) (int, error) {
			if err := d.DeleteClient(ctx, "endless"); err != nil && !errors.Is(err, authwright.ErrNotFound) {
				return 0, err
			}
			return d.DeleteExpired(ctx, now, limit)
		}}
	}},
	{"deletes live grants and does not say so", "delete-expired/live", func(d *documents) *broken {
		return &broken{Store: d, expire: func(ctx context.Context, now time.Time, limit int) (int, error) {
			clear(d.grants)
			return 0, nil
		}}
	}},
}
