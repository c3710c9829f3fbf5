package authwright

import (
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
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
	clients sync.Map      // of *Client, by ID
	swept   atomic.Uint32 // the shard where DeleteExpired ended
}

// A shard holds the records whose IDs hash to it, so that requests for different
// grants do not wait for each other.
type shard struct {
	mu     sync.RWMutex
	grants map[string]record
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
	r := s.grants[id]
	s.mu.RUnlock()
	if r == nil {
		return nil, ErrNotFound
	}
	return r.grant(id), nil // what is stored is replaced, never changed
}

// SaveGrant implements [Storage].
func (m *Memory) SaveGrant(ctx context.Context, g *Grant) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := newRecord(g)
	s := m.shard(g.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.Version != s.grants[g.ID].version()+1 {
		return ErrConflict
	}
	if s.grants == nil {
		s.grants = make(map[string]record)
	}
	s.grants[g.ID] = r
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
	return m.list(ctx, page, limit, func(of, _ []byte) bool { return string(of) == subject })
}

// GrantsByClient implements [Index]. It looks at every grant.
func (m *Memory) GrantsByClient(ctx context.Context, clientID, page string, limit int) ([]*Grant, string, error) {
	return m.list(ctx, page, limit, func(_, of []byte) bool { return string(of) == clientID })
}

// list returns the grants that match, by ID, beginning after page.
func (m *Memory) list(ctx context.Context, page string, limit int, match func(subject, clientID []byte) bool) ([]*Grant, string, error) {
	found := make(map[string]record)
	for i := range m.shards {
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		s := &m.shards[i]
		s.mu.RLock()
		for id, r := range s.grants {
			if id > page && match(r.owner()) {
				found[id] = r
			}
		}
		s.mu.RUnlock()
	}
	ids := slices.Sorted(maps.Keys(found))
	next := ""
	if limit = pageSize(limit); len(ids) > limit {
		ids = ids[:limit]
		next = ids[limit-1]
	}
	grants := make([]*Grant, len(ids))
	for i, id := range ids {
		grants[i] = found[id].grant(id)
	}
	return grants, next, nil
}

// DeleteExpired deletes up to limit records that were of no use any more at the given
// time, and returns how many that were: fewer than limit when none are left. Zero
// means 1,000. It looks at every record until it has found enough, and begins where it
// ended the last time.
func (m *Memory) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	deleted := 0
	limit = pageSize(limit)
	first := m.swept.Load()
	for i := range uint32(len(m.shards)) {
		if err := ctx.Err(); err != nil {
			return deleted, err
		}
		n := (first + i) % uint32(len(m.shards))
		deleted += m.shards[n].deleteExpired(now, limit-deleted)
		if deleted == limit {
			m.swept.Store(n)
			return deleted, nil
		}
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
	for id, r := range s.grants {
		if deleted == limit {
			return deleted
		}
		if !now.Before(r.expiresAt()) {
			delete(s.grants, id)
			deleted++
		}
	}
	for key, until := range s.used {
		if deleted == limit {
			return deleted
		}
		if !now.Before(until) {
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
