package storagetest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/authwright/authwright"
)

// mangled is a store that changes each grant on its way in.
func mangled(change func(*authwright.Grant)) func(*documents) *broken {
	return func(d *documents) *broken {
		return &broken{Store: d, save: func(ctx context.Context, g *authwright.Grant) error {
			h := *g
			change(&h)
			return d.SaveGrant(ctx, &h)
		}}
	}
}

// renamed is a store that takes some IDs and keys for others.
func renamed(name func(string) string) func(*documents) *broken {
	return func(d *documents) *broken {
		return &broken{
			Store: d,
			client: func(ctx context.Context, id string) (*authwright.Client, error) {
				return d.Client(ctx, name(id))
			},
			grant: func(ctx context.Context, id string) (*authwright.Grant, error) {
				g, err := d.Grant(ctx, name(id))
				if err == nil {
					g.ID = id
				}
				return g, err
			},
			save: func(ctx context.Context, g *authwright.Grant) error {
				h := *g
				h.ID = name(g.ID)
				return d.SaveGrant(ctx, &h)
			},
			once: func(ctx context.Context, key string, until time.Time) error {
				return d.UseOnce(ctx, name(key), until)
			},
			add: func(ctx context.Context, c *authwright.Client) error {
				e := *c
				e.ID = name(c.ID)
				return d.AddClient(ctx, &e)
			},
		}
	}
}

// sharing is a store that keeps the pointers it is given and gives them away.
func sharing(d *documents) *broken {
	var grants, clients sync.Map
	return &broken{
		Store: d,
		client: func(ctx context.Context, id string) (*authwright.Client, error) {
			c, err := d.Client(ctx, id)
			if err != nil {
				return nil, err
			}
			kept, _ := clients.LoadOrStore(id, c)
			return kept.(*authwright.Client), nil
		},
		add: func(ctx context.Context, c *authwright.Client) error {
			clients.Store(c.ID, c)
			return d.AddClient(ctx, c)
		},
		grant: func(ctx context.Context, id string) (*authwright.Grant, error) {
			if kept, ok := grants.Load(id); ok {
				return kept.(*authwright.Grant), nil
			}
			return d.Grant(ctx, id)
		},
		save: func(ctx context.Context, g *authwright.Grant) error {
			grants.Store(g.ID, g)
			return d.SaveGrant(ctx, g)
		},
		list: func(ctx context.Context, _ func(*authwright.Grant) bool, _, _ string, _ int) ([]*authwright.Grant, string, error) {
			var found []*authwright.Grant
			for _, g := range grants.Range {
				found = append(found, g.(*authwright.Grant))
			}
			return found, "", nil
		},
	}
}

// ending is a store in which a broken connection looks like an answer.
func ending(answer error) func(*documents) *broken {
	return func(d *documents) *broken {
		return &broken{
			Store: d,
			client: func(ctx context.Context, id string) (*authwright.Client, error) {
				if ctx.Err() != nil {
					return nil, answer
				}
				return d.Client(ctx, id)
			},
			grant: func(ctx context.Context, id string) (*authwright.Grant, error) {
				if ctx.Err() != nil {
					return nil, answer
				}
				return d.Grant(ctx, id)
			},
			list: func(ctx context.Context, match func(*authwright.Grant) bool, _, page string, limit int) ([]*authwright.Grant, string, error) {
				if ctx.Err() != nil {
					return nil, "", answer
				}
				return d.list(ctx, match, page, limit)
			},
		}
	}
}

var grantBreakages = []breakage{
	{"answers nil for an unknown grant", "grant/unknown", func(d *documents) *broken {
		return &broken{Store: d, grant: func(_ context.Context, id string) (*authwright.Grant, error) { return d.get(id), nil }}
	}},
	{"drops a field", "grant/round-trip", mangled(func(g *authwright.Grant) { g.Sealed = nil })},
	{"keeps seconds", "grant/round-trip", mangled(func(g *authwright.Grant) { g.RotatedAt = g.RotatedAt.Truncate(time.Second) })},
	{"makes a zero time the epoch", "grant/empty", mangled(func(g *authwright.Grant) {
		if g.AuthTime.IsZero() {
			g.AuthTime = time.Unix(0, 0)
		}
	})},
	{"keeps what a save leaves out", "grant/replaced", func(d *documents) *broken {
		return &broken{Store: d, save: func(ctx context.Context, g *authwright.Grant) error {
			h := *g
			if old := d.get(g.ID); old != nil && len(h.Sealed) == 0 {
				h.Sealed = old.Sealed
			}
			return d.SaveGrant(ctx, &h)
		}}
	}},
	{"cuts text at a NUL", "grant/any-text", mangled(func(g *authwright.Grant) { g.State, _, _ = strings.Cut(g.State, "\x00") })},
	{"folds case", "grant/any-id", renamed(strings.ToLower)},
	{"ignores trailing space", "grant/any-id", renamed(func(s string) string { return strings.TrimRight(s, " ") })},
	{"cuts IDs", "grant/any-id", renamed(func(s string) string { return s[:min(len(s), 255)] })},
	{"has a column for 4,000 bytes", "grant/big", mangled(func(g *authwright.Grant) { g.State = g.State[:min(len(g.State), 4000)] })},
	{"shares pointers", "grant/copied-in", sharing},
	{"shares pointers", "grant/copied-out", sharing},
	{"says ErrNotFound when it cannot tell", "context/done", ending(authwright.ErrNotFound)},
	{"says ErrConflict when it cannot tell", "context/done", ending(authwright.ErrConflict)},
	{"does not look at the context", "context/done", func(d *documents) *broken {
		return &broken{Store: d, save: func(ctx context.Context, g *authwright.Grant) error {
			return d.SaveGrant(context.WithoutCancel(ctx), g)
		}}
	}},
	{"saves and then says that it could not", "context/done", func(d *documents) *broken {
		return &broken{Store: d, save: func(ctx context.Context, g *authwright.Grant) error {
			if err := d.SaveGrant(context.WithoutCancel(ctx), g); err != nil {
				return err
			}
			return ctx.Err()
		}}
	}},
	{"evicts another grant", "expiry/live", evicting},
	{"lets a grant go at the time it had first", "expiry/extended", func(d *documents) *broken {
		var first sync.Map
		return &broken{
			Store: d,
			save: func(ctx context.Context, g *authwright.Grant) error {
				first.LoadOrStore(g.ID, g.ExpiresAt)
				return d.SaveGrant(ctx, g)
			},
			grant: func(ctx context.Context, id string) (*authwright.Grant, error) {
				if end, ok := first.Load(id); ok && !time.Now().Before(end.(time.Time)) {
					return nil, authwright.ErrNotFound
				}
				return d.Grant(ctx, id)
			},
		}
	}},
}

// evicting is a cache that has room for one grant.
func evicting(d *documents) *broken {
	return &broken{Store: d, save: func(ctx context.Context, g *authwright.Grant) error {
		if err := d.SaveGrant(ctx, g); err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		for id := range d.grants {
			if id != g.ID {
				delete(d.grants, id)
			}
		}
		return nil
	}}
}
