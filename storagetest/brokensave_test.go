package storagetest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/authwright/authwright"
)

// allowing is a store that saves whenever allowed says so, in one atomic step.
func allowing(allowed func(old, g *authwright.Grant) bool) func(*documents) *broken {
	return func(d *documents) *broken {
		return &broken{Store: d, save: func(ctx context.Context, g *authwright.Grant) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			if !allowed(d.read(g.ID), g) {
				return authwright.ErrConflict
			}
			d.write(g.ID, g)
			return nil
		}}
	}
}

// ignorant is a store that knows of no versions once a grant is there.
var ignorant = allowing(func(old, g *authwright.Grant) bool { return old != nil || g.Version == 1 })

// readThenWrite is a store whose comparison and write are two steps.
func readThenWrite(d *documents) *broken {
	return &broken{Store: d, save: func(_ context.Context, g *authwright.Grant) error {
		if old := d.get(g.ID); g.Version != version(old)+1 {
			return authwright.ErrConflict
		}
		yield()
		d.put(g)
		return nil
	}}
}

var saveBreakages = []breakage{
	{"lets the last writer win", "save/create-once", allowing(func(old, g *authwright.Grant) bool {
		return g.Version == 1 || g.Version == version(old)+1
	})},
	{"creates what it cannot update", "save/missing", allowing(func(old, g *authwright.Grant) bool {
		return old == nil || g.Version == old.Version+1
	})},
	{"takes any later version", "save/gap", allowing(func(old, g *authwright.Grant) bool {
		return old == nil && g.Version == 1 || g.Version > version(old)
	})},
	{"takes a version again", "save/stale", allowing(func(old, g *authwright.Grant) bool {
		return old == nil && g.Version == 1 || old != nil && (g.Version == old.Version || g.Version == old.Version+1)
	})},
	{"writes before it compares", "save/conflict", func(d *documents) *broken {
		return &broken{Store: d, save: func(_ context.Context, g *authwright.Grant) error {
			old := d.get(g.ID)
			d.put(g)
			if g.Version != version(old)+1 {
				return authwright.ErrConflict
			}
			return nil
		}}
	}},
	{"reads, compares and writes", "save/one-winner", readThenWrite},
	{"tells a loser that it won", "save/one-winner", func(d *documents) *broken {
		return &broken{Store: d, save: func(ctx context.Context, g *authwright.Grant) error {
			if err := d.SaveGrant(ctx, g); err != nil && g.Nonce != "7" {
				return err
			}
			return nil
		}}
	}},
	{"ignores the version", "save/no-lost-update", ignorant},
	{"reads, compares and writes", "save/no-lost-update", readThenWrite},
	{"has one version for all", "save/many-grants", func(d *documents) *broken {
		var busy sync.Mutex
		return &broken{Store: d, save: func(ctx context.Context, g *authwright.Grant) error {
			if !busy.TryLock() {
				return authwright.ErrConflict
			}
			defer busy.Unlock()
			yield()
			return d.SaveGrant(ctx, g)
		}}
	}},
	{"ignores the version", "revoke/order", ignorant},
	{"ignores the version", "revoke/race", ignorant},
	{"reads from a replica that lags", "revoke/race", lagging},
}

// lagging is a store that reads what was true a moment ago.
func lagging(d *documents) *broken {
	const lag = 3 * time.Millisecond
	type past struct {
		grant *authwright.Grant
		until time.Time
	}
	var replica sync.Map
	return &broken{
		Store: d,
		save: func(ctx context.Context, g *authwright.Grant) error {
			old := d.get(g.ID)
			err := d.SaveGrant(ctx, g)
			if err == nil {
				replica.Store(g.ID, past{old, time.Now().Add(lag)})
			}
			return err
		},
		grant: func(ctx context.Context, id string) (*authwright.Grant, error) {
			if p, ok := replica.Load(id); ok && p.(past).grant != nil && time.Now().Before(p.(past).until) {
				h := *p.(past).grant
				return &h, nil
			}
			return d.Grant(ctx, id)
		},
		list: func(ctx context.Context, match func(*authwright.Grant) bool, _, page string, limit int) ([]*authwright.Grant, string, error) {
			found, next, err := d.list(ctx, match, page, limit)
			return slices.DeleteFunc(found, func(g *authwright.Grant) bool {
				p, ok := replica.Load(g.ID)
				return ok && time.Now().Before(p.(past).until)
			}), next, err
		},
	}
}

var onceBreakages = []breakage{
	{"never refuses", "once/used", func(d *documents) *broken {
		return &broken{Store: d, once: func(context.Context, string, time.Time) error { return nil }}
	}},
	{"looks and then writes", "once/one-winner", func(d *documents) *broken {
		var used sync.Map
		return &broken{Store: d, once: func(_ context.Context, key string, until time.Time) error {
			if _, ok := used.Load(key); ok {
				return authwright.ErrConflict
			}
			yield()
			used.Store(key, until)
			return nil
		}}
	}},
	{"never frees", "once/freed", func(d *documents) *broken {
		return &broken{Store: d, once: func(ctx context.Context, key string, _ time.Time) error {
			return d.UseOnce(ctx, key, time.Now().Add(time.Hour))
		}}
	}},
	{"frees all at once", "once/freed", func(d *documents) *broken {
		return &broken{Store: d, once: func(ctx context.Context, key string, _ time.Time) error {
			return d.UseOnce(ctx, key, time.Now().Add(5*time.Millisecond))
		}}
	}},
	{"keeps keys among grants", "once/apart", func(d *documents) *broken {
		return &broken{Store: d, once: func(ctx context.Context, key string, until time.Time) error {
			return d.SaveGrant(ctx, &authwright.Grant{ID: key, Version: 1, ExpiresAt: until})
		}}
	}},
	{"folds case", "once/any-key", renamed(strings.ToLower)},
	{"cuts at a NUL", "once/any-key", renamed(func(s string) string { before, _, _ := strings.Cut(s, "\x00"); return before })},
}
