package authwright_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

const racers = 32

// together sends a form to the token endpoints of servers from many clients at the same
// moment, as web, and returns the answers.
func together(t *testing.T, f url.Values, servers ...*world) []answer {
	t.Helper()
	answers, errs := make([]answer, racers), make([]error, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, servers[i%len(servers)].issuer+"/token", strings.NewReader(f.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("web", webSecret)
		wg.Go(func() {
			<-start
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				errs[i] = err
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			answers[i], errs[i] = answer{resp.StatusCode, resp.Header, string(body)}, err
		})
	}
	close(start)
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	return answers
}

// granted returns the token responses among answers; the others must be invalid_grant.
func granted(t *testing.T, answers []answer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, a := range answers {
		if a.status == http.StatusOK {
			all = append(all, a.json(t))
		} else {
			refused(t, a, "invalid_grant")
		}
	}
	return all
}

// gather returns a function that holds its callers back until so many have come, once.
func gather(callers int32) func(context.Context) {
	var come atomic.Int32
	all := make(chan struct{})
	return func(ctx context.Context) {
		if come.Add(1) == callers {
			close(all)
		}
		select {
		case <-all:
		case <-ctx.Done():
		}
	}
}

// slowly gives way to others at every step to and from the storage.
func slowly(context.Context, *authwright.Grant) error {
	for range 20 {
		runtime.Gosched()
	}
	return nil
}

// races are storages on which a check and a write that are not one step fall apart.
var races = []struct {
	name  string
	start func(t *testing.T, changes ...func(*authwright.Config)) (w, replica *world, begin func())
}{
	{"as it comes", func(t *testing.T, changes ...func(*authwright.Config)) (*world, *world, func()) {
		i := new(interference)
		w := newWorld(t, append(changes, i.install)...)
		return w, i.replica(w), func() {}
	}},
	{"with a slow storage", func(t *testing.T, changes ...func(*authwright.Config)) (*world, *world, func()) {
		i := &interference{afterGrant: slowly, beforeSave: slowly, afterSave: slowly}
		w := newWorld(t, append(changes, i.install)...)
		return w, i.replica(w), func() {}
	}},
	{"when everybody has read before anybody writes", func(t *testing.T, changes ...func(*authwright.Config)) (*world, *world, func()) {
		i := new(interference)
		w := newWorld(t, append(changes, i.install)...)
		return w, i.replica(w), func() {
			wait := gather(racers)
			i.beforeSave = func(ctx context.Context, _ *authwright.Grant) error { wait(ctx); return nil }
		}
	}},
}

func TestCodeRace(t *testing.T) {
	t.Parallel()
	for _, race := range races {
		t.Run("CG-03 32 redemptions of one code, "+race.name, func(t *testing.T) {
			w, replica, begin := race.start(t)
			code := w.code(request())
			begin()
			won := granted(t, together(t, codeForm(code), w, replica))
			require.Len(t, won, 1)
			require.NotEmpty(t, won[0]["refresh_token"])
			w.dead(t, won[0]) // each of the others was a replay
		})
	}
}

func TestRefreshRace(t *testing.T) {
	t.Parallel()
	for _, race := range races {
		t.Run("RT-08 32 refreshes with one token have one successor, "+race.name, func(t *testing.T) {
			w, replica, begin := race.start(t)
			tokens := w.tokens()
			begin()
			all := granted(t, together(t, refreshForm(refreshTokenOf(tokens)), w, replica))
			require.Len(t, all, racers)
			for _, other := range all {
				require.Equal(t, refreshTokenOf(all[0]), refreshTokenOf(other))
			}
			live := w.rotated(t, all[0])
			require.NotContains(t, w.happened(), authwright.EventGrantRevoked)
			w.advance(time.Minute)
			refused(t, w.token(refreshForm(refreshTokenOf(all[0])), "web", webSecret), "invalid_grant")
			w.dead(t, live)
		})
		t.Run("RT-08 32 refreshes with one token and no grace, "+race.name, func(t *testing.T) {
			w, replica, begin := race.start(t, func(cfg *authwright.Config) { cfg.RefreshGrace = -1 })
			tokens := w.tokens()
			begin()
			all := granted(t, together(t, refreshForm(refreshTokenOf(tokens)), w, replica))
			require.Len(t, all, 1)
			w.dead(t, all[0])
		})
	}
}

func TestRevocationRace(t *testing.T) {
	t.Parallel()
	// A revocation that happens, as a whole, while a request holds what it has read.
	for _, test := range []struct {
		name string
		make func(w *world, lost map[string]any) url.Values
	}{
		{"RT-16 revoked while a refresh is under way", func(_ *world, tokens map[string]any) url.Values {
			return refreshForm(refreshTokenOf(tokens))
		}},
		{"RT-16 revoked while a retry is under way", func(w *world, tokens map[string]any) url.Values {
			w.rotated(w.t, tokens)
			return refreshForm(refreshTokenOf(tokens))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var armed atomic.Bool
			i := new(interference)
			var w *world
			i.afterGrant = func(ctx context.Context, g *authwright.Grant) error {
				if armed.CompareAndSwap(true, false) {
					return w.srv.RevokeGrant(ctx, g.ID)
				}
				return nil
			}
			w = newWorld(t, i.install)
			tokens := w.tokens()
			f := test.make(w, tokens)
			armed.Store(true)
			refused(t, w.token(f, "web", webSecret), "invalid_grant")
			require.False(t, armed.Load())
			w.dead(t, tokens)
		})
	}
	t.Run("RT-16 revoked while a code is redeemed", func(t *testing.T) {
		var armed atomic.Bool
		i := new(interference)
		var w *world
		i.beforeSave = func(ctx context.Context, g *authwright.Grant) error {
			if armed.CompareAndSwap(true, false) {
				return w.srv.RevokeGrant(ctx, g.ID)
			}
			return nil
		}
		w = newWorld(t, i.install)
		code := w.code(request())
		armed.Store(true)
		refused(t, w.token(codeForm(code), "web", webSecret), "invalid_grant")
	})
	for _, race := range races[:2] {
		t.Run("RT-16 revoked among 32 refreshes, "+race.name, func(t *testing.T) {
			w, replica, _ := race.start(t)
			for range 5 {
				tokens := w.tokens()
				id := grantID(t, tokens["access_token"])
				var wg sync.WaitGroup
				var err error
				wg.Go(func() {
					slowly(t.Context(), nil)
					err = w.srv.RevokeGrant(t.Context(), id)
				})
				all := granted(t, together(t, refreshForm(refreshTokenOf(tokens)), w, replica))
				wg.Wait()
				require.NoError(t, err)
				for _, minted := range append(all, tokens) {
					w.dead(t, minted)
				}
			}
		})
	}
	t.Run("RT-16 a tombstone outlives what was minted", func(t *testing.T) {
		w := newWorld(t)
		tokens := w.tokens()
		id := grantID(t, tokens["access_token"])
		w.advance(time.Second)
		tokens = w.rotated(t, tokens)
		require.NoError(t, w.srv.RevokeGrant(t.Context(), id))
		exp := time.Unix(int64(claims(t, tokens["access_token"])["exp"].(float64)), 0)
		w.advance(exp.Sub(w.now()))
		_, err := w.store.DeleteExpired(t.Context(), w.now(), 0)
		require.NoError(t, err)
		require.Equal(t, authwright.StageRevoked, w.stage(id))
	})
}

func TestRefreshLostSave(t *testing.T) {
	t.Parallel()
	// The storage saves, and the news of it gets lost.
	var losing atomic.Bool
	i := &interference{afterSave: func(context.Context, *authwright.Grant) error {
		if losing.Load() {
			return errors.New("connection reset by peer")
		}
		return nil
	}}
	w := newWorld(t, i.install)
	t.Run("RT-09 the storage's answer is lost", func(t *testing.T) {
		tokens := w.tokens()
		losing.Store(true)
		a := w.token(refreshForm(refreshTokenOf(tokens)), "web", webSecret)
		losing.Store(false)
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		tokens = w.rotated(t, tokens)
		w.rotated(t, tokens)
	})
}
