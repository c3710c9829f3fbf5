package authwright

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a [Storage] for tests, examples and single processes. It behaves like
// a database: it copies what goes in and out, and it forgets nothing by itself;
// call [Memory.DeleteExpired] now and then. Its zero value is empty and ready to
// use. A Memory must not be copied after first use.
type Memory struct {
	// Now is the clock by which keys of UseOnce expire. If nil, [time.Now].
	Now func() time.Time

	seed    sync.Once
	hash    maphash.Seed
	shards  [64]shard
	clients sync.Map // of *Client, by ID
}

// A shard holds the records whose IDs hash to it, so that requests for different
// grants do not wait for each other.
type shard struct {
	mu     sync.RWMutex
	grants map[string]*Grant
	used   map[string]time.Time
}

var (
	_ Storage = (*Memory)(nil)
	_ Index   = (*Memory)(nil)
)

// NewMemory returns a Memory that holds clients, or an error if one of them is not
// valid.
func NewMemory(clients ...*Client) (*Memory, error) {
	m := new(Memory)
	for _, c := range clients {
		if err := m.AddClient(context.Background(), c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// AddClient registers c. It returns ErrConflict if its ID is taken.
func (m *Memory) AddClient(ctx context.Context, c *Client) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if _, taken := m.clients.LoadOrStore(c.ID, c.clone()); taken {
		return ErrConflict
	}
	return nil
}

// UpdateClient replaces the registration of c. It returns ErrNotFound if there is
// none.
func (m *Memory) UpdateClient(ctx context.Context, c *Client) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	for {
		old, ok := m.clients.Load(c.ID)
		if !ok {
			return ErrNotFound
		}
		if m.clients.CompareAndSwap(c.ID, old, c.clone()) {
			return nil
		}
	}
}

// DeleteClient forgets the client registered as id. It returns ErrNotFound if there
// is none. Its grants stay, and are worth nothing without it.
func (m *Memory) DeleteClient(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, ok := m.clients.LoadAndDelete(id); !ok {
		return ErrNotFound
	}
	return nil
}

// Client implements [Storage].
func (m *Memory) Client(ctx context.Context, id string) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, ok := m.clients.Load(id)
	if !ok {
		return nil, ErrNotFound
	}
	return c.(*Client).clone(), nil
}

// Grant implements [Storage].
func (m *Memory) Grant(ctx context.Context, id string) (*Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := m.shard(id)
	s.mu.RLock()
	g := s.grants[id]
	s.mu.RUnlock()
	if g == nil {
		return nil, ErrNotFound
	}
	return g.clone(), nil // what is stored is replaced, never changed
}

// SaveGrant implements [Storage].
func (m *Memory) SaveGrant(ctx context.Context, g *Grant) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g = g.clone()
	s := m.shard(g.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	var version int64
	if old := s.grants[g.ID]; old != nil {
		version = old.Version
	}
	if g.Version != version+1 {
		return ErrConflict
	}
	if s.grants == nil {
		s.grants = make(map[string]*Grant)
	}
	s.grants[g.ID] = g
	return nil
}

// UseOnce implements [Storage].
func (m *Memory) UseOnce(ctx context.Context, key string, until time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := m.now()
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.used[key]) {
		return ErrConflict
	}
	if s.used == nil {
		s.used = make(map[string]time.Time)
	}
	s.used[key] = until
	return nil
}

// GrantsBySubject implements [Index]. It looks at every grant.
func (m *Memory) GrantsBySubject(ctx context.Context, subject, page string, limit int) ([]*Grant, string, error) {
	return m.list(ctx, page, limit, func(g *Grant) bool { return g.Subject == subject })
}

// GrantsByClient implements [Index]. It looks at every grant.
func (m *Memory) GrantsByClient(ctx context.Context, clientID, page string, limit int) ([]*Grant, string, error) {
	return m.list(ctx, page, limit, func(g *Grant) bool { return g.ClientID == clientID })
}

// list returns the grants that match, by ID, beginning after page.
func (m *Memory) list(ctx context.Context, page string, limit int, match func(*Grant) bool) ([]*Grant, string, error) {
	var found []*Grant
	for i := range m.shards {
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		s := &m.shards[i]
		s.mu.RLock()
		for id, g := range s.grants {
			if id > page && match(g) {
				found = append(found, g)
			}
		}
		s.mu.RUnlock()
	}
	slices.SortFunc(found, func(a, b *Grant) int { return strings.Compare(a.ID, b.ID) })
	next := ""
	if limit = pageSize(limit); len(found) > limit {
		found = found[:limit]
		next = found[limit-1].ID
	}
	for i, g := range found {
		found[i] = g.clone()
	}
	return found, next, nil
}

// DeleteExpired deletes up to limit records that were of no use any more at the given
// time, and returns how many that were: fewer than limit when none are left. Zero
// means 1,000.
func (m *Memory) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	deleted := 0
	limit = pageSize(limit)
	for i := range m.shards {
		if err := ctx.Err(); err != nil {
			return deleted, err
		}
		deleted += m.shards[i].deleteExpired(now, limit-deleted)
	}
	m.clients.Range(func(id, c any) bool {
		end := c.(*Client).ExpiresAt
		if deleted < limit && !end.IsZero() && !now.Before(end) && m.clients.CompareAndDelete(id, c) {
			deleted++ // unless it has just been updated
		}
		return deleted < limit
	})
	return deleted, nil
}

func (s *shard) deleteExpired(now time.Time, limit int) (deleted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, g := range s.grants {
		if deleted < limit && !now.Before(g.ExpiresAt) {
			delete(s.grants, id)
			deleted++
		}
	}
	for key, until := range s.used {
		if deleted < limit && !now.Before(until) {
			delete(s.used, key)
			deleted++
		}
	}
	return deleted
}

// pageSize is a limit with its default.
func pageSize(limit int) int {
	if limit <= 0 {
		return 1000
	}
	return limit
}

func (m *Memory) shard(key string) *shard {
	m.seed.Do(func() { m.hash = maphash.MakeSeed() })
	return &m.shards[maphash.String(m.hash, key)%uint64(len(m.shards))]
}

func (m *Memory) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}
