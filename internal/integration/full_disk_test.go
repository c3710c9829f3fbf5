package integration_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
)

// A full disk is an error that says so, and a 503 to clients. What was acknowledged is
// there and can be read, what was refused is not, and when there is space again all goes
// on without a restart: no client has lost its code or its token.
func TestSQLStoreFullDisk(t *testing.T) {
	t.Parallel()
	for _, e := range fullDisks {
		if withoutEngine(e.engine) {
			continue
		}
		t.Run(e.engine, func(t *testing.T) {
			t.Parallel()
			db, fill := e.start(t)
			s := newSQLStore(t, db, sqlstore.Config{Dialect: e.dialect})
			log, err := os.Create(filepath.Join(t.TempDir(), "log"))
			require.NoError(t, err)
			defer log.Close()
			c := newLocalCrowd(t, s, s, func(cfg *authwright.Config) {
				cfg.RequestTimeout = 10 * time.Second // so that no 503 says only that the machine is busy
				cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
			})
			lives, grants := livesAmongGrants(t, c, s)

			free := fill()
			var writes []write
			for _, newWrite := range newWrites(s) {
				writes = append(writes, writeUntilFull(t, e.cause, newWrite)...)
			}
			growUntilFull(t, s, e.cause, grants)
			for kind, outcomes := range presentOnce(t, c, lives) {
				require.Positive(t, outcomes[unavailable], "of each %s: %v", kind, outcomes)
			}
			text, err := os.ReadFile(log.Name())
			require.NoError(t, err)
			require.Contains(t, string(text), e.cause)
			requireStored(t, s, grants, writes)

			free()
			requireStored(t, s, grants, writes)
			for _, w := range writes {
				if err := w.do(t.Context()); w.done {
					require.ErrorIs(t, err, authwright.ErrConflict)
				} else {
					require.NoError(t, err)
				}
			}
			for _, l := range lives {
				require.NoError(t, c.end(l))
			}
			requireLinearizable(t, c.history)
		})
	}
}

// livesAmongGrants returns clients that hold a code or a refresh token, and grants that
// are stored beside theirs, so that they can take their space.
func livesAmongGrants(t *testing.T, c *crowd, s authwright.Storage) (lives []life, grants []*authwright.Grant) {
	t.Helper()
	for i := range 24 {
		var l life
		var err error
		l.grant, l.code, err = c.newGrant()
		require.NoError(t, err)
		if i%2 == 0 {
			a, _, err := c.keepRedeeming(l.grant, l.code)
			require.NoError(t, err)
			l.token = a.token
		}
		lives = append(lives, l)
		g := someGrant(rand.Text())
		require.NoError(t, s.SaveGrant(t.Context(), g))
		grants = append(grants, g)
	}
	return lives, grants
}

// A write stores something that can be stored once.
type write struct {
	do   func(context.Context) error
	read func(context.Context) (any, error) // nil if there is no reading it
	want any
	done bool // it was acknowledged
}

func newWrites(s *sqlstore.Store) []func() write {
	grant := func(size int) func() write {
		return func() write {
			g := someGrant(rand.Text())
			g.State = strings.Repeat("x", size)
			return write{
				do:   func(ctx context.Context) error { return s.SaveGrant(ctx, g) },
				read: func(ctx context.Context) (any, error) { return s.Grant(ctx, g.ID) },
				want: g,
			}
		}
	}
	client := func() write {
		c := &authwright.Client{ID: rand.Text(), RedirectURIs: []string{"https://web.example/" + strings.Repeat("x", 1000)}}
		return write{
			do:   func(ctx context.Context) error { return s.AddClient(ctx, c) },
			read: func(ctx context.Context) (any, error) { return s.Client(ctx, c.ID) },
			want: c,
		}
	}
	key := func() write {
		k, until := strings.Repeat(rand.Text(), 16), time.Now().Add(time.Hour)
		return write{do: func(ctx context.Context) error { return s.UseOnce(ctx, k, until) }}
	}
	return []func() write{grant(1000), grant(0), client, key}
}

// writeUntilFull writes until nothing is taken any more.
func writeUntilFull(t *testing.T, cause string, newWrite func() write) (writes []write) {
	t.Helper()
	for refused := 0; refused < 10; {
		require.Less(t, len(writes), 2000, "there is space")
		w := newWrite()
		if err := w.do(t.Context()); err != nil {
			unanswered(t, err, cause)
			refused++
		} else {
			w.done, refused = true, 0
		}
		writes = append(writes, w)
	}
	return writes
}

// growUntilFull saves each grant with ever longer contents until that is refused.
func growUntilFull(t *testing.T, s authwright.Storage, cause string, grants []*authwright.Grant) {
	t.Helper()
	for i := range grants {
		for {
			require.Less(t, len(grants[i].State), 10_000, "there is space")
			next := *grants[i]
			next.Version++
			next.State += rand.Text()
			if err := s.SaveGrant(t.Context(), &next); err != nil {
				require.ErrorContains(t, err, cause)
				require.NotErrorIs(t, err, authwright.ErrConflict)
				break
			}
			grants[i] = &next
		}
	}
}

// presentOnce presents what clients hold, and counts the outcomes.
func presentOnce(t *testing.T, c *crowd, lives []life) map[string]map[outcome]int {
	t.Helper()
	count := map[string]map[outcome]int{"code": {}, "token": {}}
	for i := range lives {
		var a answer
		var err error
		kind, l := "token", &lives[i]
		if l.token != "" {
			a, err = c.refresh(c.replicas[0].url, l.grant, l.token)
		} else {
			kind = "code"
			a, err = c.redeem(c.replicas[0].url, l.grant, l.code)
		}
		require.NoError(t, err)
		if a.outcome == granted {
			l.token = a.token
		}
		count[kind][a.outcome]++
	}
	return count
}

// requireStored checks that everything acknowledged is there as it was saved, and nothing
// that was refused.
func requireStored(t *testing.T, s authwright.Storage, grants []*authwright.Grant, writes []write) {
	t.Helper()
	for _, g := range grants {
		got, err := s.Grant(t.Context(), g.ID)
		require.NoError(t, err)
		require.Equal(t, g, got)
	}
	for _, w := range writes {
		if w.read == nil {
			continue
		}
		got, err := w.read(t.Context())
		if !w.done {
			require.ErrorIs(t, err, authwright.ErrNotFound)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, w.want, got)
	}
}
