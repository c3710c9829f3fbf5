package integration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A failoverToll is what failovers have done. A grant is lost if an answer contradicts one
// that was given before.
type failoverToll struct {
	Failovers, Grants    int
	Answered, Unanswered int64
	LostCodes            int             // refused to their client after a 503
	Lost                 int             // grants
	Twice                int             // codes that were redeemed twice
	Worst                int             // the most grants that one failover has cost
	Down                 []time.Duration // until a replica was promoted and there were answers
}

func (s failoverToll) String() string {
	slices.Sort(s.Down)
	return fmt.Sprintf("%d failovers, %d grants, %d requests answered, %d by 503, %d codes lost by that, %d grants lost (at most %d at once, %d codes redeemed twice), down for %v, at most %v",
		s.Failovers, s.Grants, s.Answered, s.Unanswered, s.LostCodes, s.Lost, s.Worst, s.Twice,
		s.Down[len(s.Down)/2].Round(10*time.Millisecond), s.Down[len(s.Down)-1].Round(10*time.Millisecond))
}

// surviveFailovers takes the primary of e away n times while clients work.
func surviveFailovers(t *testing.T, e *failoverEngine, wait int, take taking, n int) failoverToll {
	t.Helper()
	store := e.store(t, wait)
	require.NoError(t, store.Check(t.Context()))
	c := newLocalCrowd(t, store, store, func(cfg *authwright.Config) { cfg.RequestTimeout = 2 * time.Second })
	var sum failoverToll
	for range n {
		survived(t, e, newCrowd(c.replicas), wait, take, &sum)
	}
	return sum
}

func survived(t *testing.T, e *failoverEngine, c *crowd, wait int, take taking, sum *failoverToll) {
	t.Helper()
	held, err := c.hold(deskCount)
	require.NoError(t, err)
	stop := c.work(t)
	progress := func() {
		before := c.answered.Load()
		require.Eventually(t, func() bool { return c.answered.Load() > before+100 }, time.Minute, 5*time.Millisecond, "the work goes on")
	}
	progress()
	old, begin := e.primary(t), time.Since(c.begin)
	giveBack := take(t, e, old)
	claimed := make(chan error, 1)
	go func() { claimed <- atDesks(len(held), func(i int) error { return c.claim(held[i]) }) }()
	e.await(t, old)
	if wait < 2 {
		progress()
		sum.Down = append(sum.Down, time.Since(c.begin)-begin)
	}
	require.NoError(t, giveBack())
	_ = old.rdb.Set(t.Context(), "stray", "", 0).Err() // it may think that it is a primary
	e.await(t, nil)
	require.Zero(t, old.rdb.Exists(t.Context(), "stray").Val(), "what it took meanwhile is undone")
	progress()
	require.NoError(t, <-claimed)
	if wait == 2 { // it is one of two replicas now, and both are waited for
		sum.Down = append(sum.Down, time.Since(c.begin)-begin)
	}
	lives := stop()

	require.NoError(t, atDesks(len(lives), func(i int) error { return kept(c.end(lives[i])) }))
	lost := sum.Lost
	c.contradictions(t, begin, sum)
	sum.Worst = max(sum.Worst, sum.Lost-lost)
	sum.Failovers++
	sum.Grants += int(c.grants.Load())
	sum.Answered += c.answered.Load()
	sum.Unanswered += c.unanswered.Load()
	for _, l := range lives {
		if l.lostBy == unavailable {
			sum.LostCodes++
		}
	}
}

// hold returns the lives of patient clients: half of them have a code, half a refresh token.
func (c *crowd) hold(n int) (lives []life, err error) {
	for i := range n {
		var l life
		if l.grant, l.code, err = c.newGrant(); err != nil {
			return nil, err
		}
		if i%2 == 0 {
			a, _, err := c.keepRedeeming(l.grant, l.code)
			if err != nil {
				return nil, err
			}
			l.token = a.token
		}
		lives = append(lives, l)
	}
	return lives, nil
}

// claim presents what a patient client has had since long before the primary went. It gets
// the next token, at once or after some 503s. A code may have been spent by one of them.
func (c *crowd) claim(l life) error {
	if l.token != "" {
		a, err := c.keepRefreshing(l.grant, l.token)
		if err != nil || a.outcome != granted {
			return errors.Join(err, fmt.Errorf("the old token of grant %d: %v", l.grant, a))
		}
		return nil
	}
	a, lostBy, err := c.keepRedeeming(l.grant, l.code)
	if err != nil || a.outcome != granted && lostBy != unavailable {
		return errors.Join(err, fmt.Errorf("the old code of grant %d: %v", l.grant, a))
	}
	return nil
}

// work lets clients work until stop is called.
func (c *crowd) work(t *testing.T) (stop func() []life) {
	working, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var lives []life
	var faults error
	var clients sync.WaitGroup
	for range deskCount {
		clients.Go(func() {
			for working.Err() == nil {
				l, err := c.live()
				mu.Lock()
				lives, faults = append(lives, l), errors.Join(faults, kept(err))
				mu.Unlock()
			}
		})
	}
	return func() []life {
		cancel()
		clients.Wait()
		require.NoError(t, faults, "an answer that is neither right nor 503")
		return lives
	}
}

// kept is err unless it is a broken promise, which contradictions counts.
func kept(err error) error {
	if errors.As(err, new(brokenPromise)) {
		return nil
	}
	return err
}

// contradictions counts the grants to which things have happened that cannot. The primary
// was taken away at the given time.
func (c *crowd) contradictions(t *testing.T, taken time.Duration, sum *failoverToll) {
	t.Helper()
	grants := make(map[int][]porcupine.Operation)
	for _, op := range c.ops {
		require.NotEqual(t, lost, op.Output.(answer).outcome, "a server that lives answers")
		grant := op.Input.(presentation).grant
		grants[grant] = append(grants[grant], op)
	}
	for grant, ops := range grants {
		if porcupine.CheckOperationsTimeout(grantModel, ops, time.Minute) == porcupine.Ok {
			continue
		}
		if sum.Lost++; sum.Lost <= 3 {
			t.Logf("the primary was taken away at %v, and grant %d is lost: %s", taken, grant, describe(ops))
		}
		redeemed := 0
		for _, op := range ops {
			if op.Input.(presentation).token == "" && op.Output.(answer).outcome == granted {
				redeemed++
			}
		}
		if redeemed > 1 {
			sum.Twice++
		}
	}
}
