package authwright_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/storagetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	t.Run("ST-02 a conditional write says who won", memoryOneWinner)
	t.Run("ST-06 what goes in and what comes out is copied", memoryCopies)
	t.Run("ST-07 the contract is an executable suite, and Memory passes it", func(t *testing.T) {
		t.Parallel()
		storagetest.Run(t, func(t *testing.T, clients ...*authwright.Client) authwright.Storage {
			m, err := authwright.NewMemory(clients...)
			require.NoError(t, err)
			return m
		})
		storagetest.RunStore(t, func(*testing.T) storagetest.Store { return new(authwright.Memory) })
	})
}

func memoryOneWinner(t *testing.T) {
	t.Parallel()
	m := new(authwright.Memory)
	for name, write := range map[string]func() error{
		"the first save": func() error {
			return m.SaveGrant(t.Context(), &authwright.Grant{ID: "g", Version: 1})
		},
		"a key": func() error { return m.UseOnce(t.Context(), "k", time.Now().Add(time.Hour)) },
		"a client": func() error {
			return m.AddClient(t.Context(), &authwright.Client{ID: "c", RedirectURIs: []string{"https://c.example/cb"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			const callers = 64
			var won, lost atomic.Int64
			var wg sync.WaitGroup
			start := make(chan struct{})
			for range callers {
				wg.Go(func() {
					<-start
					if err := write(); err == nil {
						won.Add(1)
					} else if errors.Is(err, authwright.ErrConflict) {
						lost.Add(1)
					}
				})
			}
			close(start)
			wg.Wait()
			require.EqualValues(t, 1, won.Load())
			require.EqualValues(t, callers-1, lost.Load())
		})
	}
}

func memoryCopies(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := &authwright.Client{ID: "c", RedirectURIs: []string{"https://c.example/cb"}, Scopes: []string{"read"}}
	m, err := authwright.NewMemory(c)
	require.NoError(t, err)
	g := &authwright.Grant{ID: "g", Version: 1, ClientID: "c", Subject: "ada", Scopes: []string{"read"}, Turn: []byte{1}}
	require.NoError(t, m.SaveGrant(ctx, g))

	spoil := func(g *authwright.Grant, c *authwright.Client) {
		g.Stage, g.Scopes[0], g.Turn[0] = authwright.StageRevoked, "admin", 0xff
		c.Disabled, c.RedirectURIs[0], c.Scopes[0] = true, "https://evil.example/cb", "admin"
	}
	spoil(g, c)
	for range 2 {
		g, err := m.Grant(ctx, "g")
		require.NoError(t, err)
		require.Equal(t, &authwright.Grant{ID: "g", Version: 1, ClientID: "c", Subject: "ada", Scopes: []string{"read"}, Turn: []byte{1}}, g)
		c, err := m.Client(ctx, "c")
		require.NoError(t, err)
		require.Equal(t, &authwright.Client{ID: "c", RedirectURIs: []string{"https://c.example/cb"}, Scopes: []string{"read"}}, c)
		listed, _, err := m.GrantsBySubject(ctx, "ada", "", 0)
		require.NoError(t, err)
		require.Equal(t, []*authwright.Grant{g}, listed)
		spoil(g, c)
		listed[0].Scopes[0] = "admin"
	}
}

// A cache may forget what it has no room for; a storage may not.
func TestMemoryNeverEvicts(t *testing.T) {
	t.Parallel()
	const grants = 20_000
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	m := &authwright.Memory{Now: func() time.Time { return now }}
	for i := range grants {
		id, until := strconv.Itoa(i), now.Add(time.Duration(1+i)*time.Millisecond)
		require.NoError(t, m.SaveGrant(t.Context(), &authwright.Grant{ID: id, Version: 1, ExpiresAt: until}))
		require.NoError(t, m.UseOnce(t.Context(), id, until))
	}
	n, err := m.DeleteExpired(t.Context(), now, 2*grants)
	require.NoError(t, err)
	require.Zero(t, n)
	for i := range grants {
		g, err := m.Grant(t.Context(), strconv.Itoa(i))
		require.NoError(t, err)
		require.ErrorIs(t, m.SaveGrant(t.Context(), g), authwright.ErrConflict)
		require.ErrorIs(t, m.UseOnce(t.Context(), g.ID, now), authwright.ErrConflict)
	}
}

func TestMemoryDeleteExpired(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name         string
		grants, keys int // that have expired, next to as many that have not
		limit        int
		want         []int
	}{
		{name: "nothing", limit: 5, want: []int{0, 0}},
		{name: "grants", grants: 10, limit: 4, want: []int{4, 4, 2, 0}},
		{name: "keys", keys: 10, limit: 4, want: []int{4, 4, 2, 0}},
		{name: "both", grants: 3, keys: 3, limit: 5, want: []int{5, 1, 0}},
		{name: "zero means 1,000", grants: 900, keys: 900, limit: 0, want: []int{1000, 800, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &authwright.Memory{Now: func() time.Time { return now.Add(-time.Hour) }}
			save := func(prefix string, until time.Time) {
				for i := range tt.grants {
					require.NoError(t, m.SaveGrant(t.Context(), &authwright.Grant{ID: prefix + strconv.Itoa(i), Version: 1, Subject: prefix, ExpiresAt: until}))
				}
				for i := range tt.keys {
					require.NoError(t, m.UseOnce(t.Context(), prefix+strconv.Itoa(i), until))
				}
			}
			save("dead", now) // it is of no use from that moment on
			save("live", now.Add(time.Nanosecond))
			for _, want := range tt.want {
				n, err := m.DeleteExpired(t.Context(), now, tt.limit)
				require.NoError(t, err)
				require.Equal(t, want, n)
			}
			dead, _, err := m.GrantsBySubject(t.Context(), "dead", "", 0)
			require.NoError(t, err)
			require.Empty(t, dead)
			live, _, err := m.GrantsBySubject(t.Context(), "live", "", 0)
			require.NoError(t, err)
			require.Len(t, live, tt.grants)
			for i := range tt.keys {
				require.NoError(t, m.UseOnce(t.Context(), "dead"+strconv.Itoa(i), now))
				require.ErrorIs(t, m.UseOnce(t.Context(), "live"+strconv.Itoa(i), now), authwright.ErrConflict)
			}
		})
	}
}

// However little is deleted at a time, all that has expired goes, while other grants come and
// go meanwhile.
func TestMemoryDeleteExpiredGoesRound(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	m := new(authwright.Memory)
	const grants = 2000
	for i := range grants {
		until := now.Add(time.Duration(i%2) * time.Hour)
		require.NoError(t, m.SaveGrant(t.Context(), &authwright.Grant{ID: strconv.Itoa(i), Version: 1, ExpiresAt: until}))
	}
	for deleted := 0; deleted < grants/2; {
		n, err := m.DeleteExpired(t.Context(), now, 7)
		require.NoError(t, err)
		require.Positive(t, n)
		deleted += n
		require.NoError(t, m.SaveGrant(t.Context(), &authwright.Grant{ID: fmt.Sprint("new ", deleted), Version: 1, ExpiresAt: now.Add(time.Hour)}))
	}
	n, err := m.DeleteExpired(t.Context(), now, 7)
	require.NoError(t, err)
	require.Zero(t, n)
	for i := range grants {
		_, err := m.Grant(t.Context(), strconv.Itoa(i))
		require.Equal(t, i%2 == 0, errors.Is(err, authwright.ErrNotFound))
	}
}

func TestMemoryKeysExpireByItsClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	m := &authwright.Memory{Now: func() time.Time { return now }}
	until := now.Add(time.Minute)
	require.NoError(t, m.UseOnce(t.Context(), "k", until))
	now = until.Add(-time.Nanosecond)
	require.ErrorIs(t, m.UseOnce(t.Context(), "k", until), authwright.ErrConflict)
	now = until
	require.NoError(t, m.UseOnce(t.Context(), "k", until.Add(time.Minute)))
	require.ErrorIs(t, m.UseOnce(t.Context(), "k", until), authwright.ErrConflict)
}

func TestMemoryZeroValue(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(m *authwright.Memory) error{
		"Client":       func(m *authwright.Memory) error { _, err := m.Client(t.Context(), "c"); return err },
		"Grant":        func(m *authwright.Memory) error { _, err := m.Grant(t.Context(), "g"); return err },
		"UpdateClient": func(m *authwright.Memory) error { return m.UpdateClient(t.Context(), clients()[0]) },
		"DeleteClient": func(m *authwright.Memory) error { return m.DeleteClient(t.Context(), "c") },
		"DeleteExpired": func(m *authwright.Memory) error {
			if n, err := m.DeleteExpired(t.Context(), time.Now(), 0); n != 0 || err != nil {
				return errors.New("deleted something")
			}
			return authwright.ErrNotFound
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, use(new(authwright.Memory)), authwright.ErrNotFound)
		})
	}
	require.NoError(t, new(authwright.Memory).AddClient(t.Context(), clients()[0]))
	require.NoError(t, new(authwright.Memory).SaveGrant(t.Context(), &authwright.Grant{ID: "g", Version: 1}))
	require.NoError(t, new(authwright.Memory).UseOnce(t.Context(), "k", time.Now()))
}

func TestNewMemory(t *testing.T) {
	t.Parallel()
	good := &authwright.Client{ID: "good", RedirectURIs: []string{"https://good.example/cb"}}
	m, err := authwright.NewMemory(good)
	require.NoError(t, err)
	c, err := m.Client(t.Context(), "good")
	require.NoError(t, err)
	require.Equal(t, good, c)

	m, err = authwright.NewMemory(good, &authwright.Client{ID: "bad", RedirectURIs: []string{"javascript:alert(1)"}})
	require.ErrorContains(t, err, `client "bad"`)
	require.Nil(t, m)

	m, err = authwright.NewMemory(good, good)
	require.ErrorIs(t, err, authwright.ErrConflict)
	require.Nil(t, m)
}
