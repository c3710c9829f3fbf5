package integration_test

import (
	"context"
	"slices"
	"time"

	"github.com/authwright/authwright"
)

// A meddler stands between servers and their storage. At one call of a request it fails,
// before it has done what it was asked to or, which is worse, afterwards; or it lets
// somebody else go first.
type meddler struct {
	victimStore
	calls int
	at    int // the call to meddle with; 0 for none
	after bool
	first func()
	hit   *hit
}

// A hit is a call that has failed.
type hit struct {
	call, id string
	saved    bool // although it failed
}

// prepare has the meddler meddle with the next request.
func (m *meddler) prepare(at int, after bool, first func()) {
	m.calls, m.at, m.after, m.first, m.hit = 0, at, after, first, nil
}

func (m *meddler) meddle(call, id string, carryOut func() error) error {
	m.calls++
	if m.at == 0 || m.calls != m.at {
		return carryOut()
	}
	m.at = 0
	if m.first != nil {
		m.first()
		return carryOut()
	}
	m.hit = &hit{call: call, id: id}
	if m.after {
		m.hit.saved = carryOut() == nil && call == "SaveGrant"
	}
	return errBroken
}

func (m *meddler) Client(ctx context.Context, id string) (c *authwright.Client, err error) {
	err = m.meddle("Client", id, func() (err error) {
		c, err = m.victimStore.Client(ctx, id)
		return err
	})
	return c, err
}

func (m *meddler) Grant(ctx context.Context, id string) (g *authwright.Grant, err error) {
	err = m.meddle("Grant", id, func() (err error) {
		g, err = m.victimStore.Grant(ctx, id)
		return err
	})
	return g, err
}

func (m *meddler) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	return m.meddle("SaveGrant", g.ID, func() error { return m.victimStore.SaveGrant(ctx, g) })
}

// A liar is a storage that breaks its promise in one way.
type liar struct {
	victimStore
	save func(ctx context.Context, g *authwright.Grant) error
	read func(ctx context.Context, id string) (*authwright.Grant, error)
}

func (l *liar) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	if l.save == nil {
		return l.victimStore.SaveGrant(ctx, g)
	}
	return l.save(ctx, g)
}

func (l *liar) Grant(ctx context.Context, id string) (*authwright.Grant, error) {
	if l.read == nil {
		return l.victimStore.Grant(ctx, id)
	}
	return l.read(ctx, id)
}

// altering is a storage that changes what it is to save.
func altering(s victimStore, change func(g *authwright.Grant)) victimStore {
	return &liar{victimStore: s, save: func(ctx context.Context, g *authwright.Grant) error {
		h := *g
		change(&h)
		return s.SaveGrant(ctx, &h)
	}}
}

// liars are the mistakes that histories must find.
var liars = map[string]func(victimStore) victimStore{
	"does not compare versions": func(s victimStore) victimStore {
		grants := make(map[string]authwright.Grant)
		return &liar{s, func(_ context.Context, g *authwright.Grant) error {
			grants[g.ID] = *g
			return nil
		}, func(_ context.Context, id string) (*authwright.Grant, error) {
			g, ok := grants[id]
			if !ok {
				return nil, authwright.ErrNotFound
			}
			return &g, nil
		}}
	},
	"forgets that a grant was revoked": func(s victimStore) victimStore {
		return &liar{victimStore: s, save: func(ctx context.Context, g *authwright.Grant) error {
			if g.Stage == authwright.StageRevoked {
				return nil
			}
			return s.SaveGrant(ctx, g)
		}}
	},
	"now and then returns an older grant": func(s victimStore) victimStore {
		older, reads := make(map[string][]*authwright.Grant), 0
		return &liar{s, func(ctx context.Context, g *authwright.Grant) error {
			h := *g
			err := s.SaveGrant(ctx, g)
			if err == nil {
				older[g.ID] = append(older[g.ID], &h)
			}
			return err
		}, func(ctx context.Context, id string) (*authwright.Grant, error) {
			if reads++; reads%5 == 0 && len(older[id]) > 1 {
				g := *older[id][len(older[id])-2]
				return &g, nil
			}
			return s.Grant(ctx, id)
		}}
	},
	"says conflict after it has saved": func(s victimStore) victimStore {
		saves := 0
		return &liar{victimStore: s, save: func(ctx context.Context, g *authwright.Grant) error {
			if err := s.SaveGrant(ctx, g); err != nil {
				return err
			}
			if saves++; saves%7 == 0 {
				return authwright.ErrConflict
			}
			return nil
		}}
	},
	"loses a write": func(s victimStore) victimStore {
		saves := 0
		return &liar{victimStore: s, save: func(ctx context.Context, g *authwright.Grant) error {
			if saves++; saves%7 == 0 {
				return nil
			}
			return s.SaveGrant(ctx, g)
		}}
	},
	"does not keep the sealed successor": func(s victimStore) victimStore {
		return altering(s, func(g *authwright.Grant) { g.Sealed = nil })
	},
	"does not keep the end": func(s victimStore) victimStore {
		return altering(s, func(g *authwright.Grant) { g.EndsAt = g.EndsAt.Add(time.Minute) })
	},
	"does not keep when it was rotated": func(s victimStore) victimStore {
		return altering(s, func(g *authwright.Grant) { g.RotatedAt = g.RotatedAt.Truncate(time.Minute) })
	},
	"widens the scope": func(s victimStore) victimStore {
		return altering(s, func(g *authwright.Grant) {
			if !slices.Contains(g.Scopes, "write") {
				g.Scopes = append(slices.Clone(g.Scopes), "write")
			}
		})
	},
	"does not see that a client was disabled": func(s victimStore) victimStore { return enabling{s} },
}

// enabling is a storage that returns clients as they were.
type enabling struct{ victimStore }

func (s enabling) Client(ctx context.Context, id string) (*authwright.Client, error) {
	c, err := s.victimStore.Client(ctx, id)
	if err == nil {
		c.Disabled = false
	}
	return c, err
}
