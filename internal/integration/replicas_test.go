package integration_test

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	replicaCount = 3
	raceCount    = 1000 // codes, and as many chains
	deskCount    = 16   // codes or chains at a time
	desk         = 4    // clients that have the same secret
)

// Three servers share a storage. 64 clients, in groups that have the same secrets, race
// through all of them: a code is redeemed once, and a refresh chain has one head.
func TestReplicas(t *testing.T) {
	t.Parallel()
	eachDurableEngine(t, func(t *testing.T, start func(*testing.T) durableEngine) {
		t.Parallel()
		e := start(t)
		c := newCrowd(startReplicas(t, replicaCount, e.dsn()))
		t.Run("codes", func(t *testing.T) { require.NoError(t, atDesks(raceCount, c.raceCode)) })
		t.Run("chains", func(t *testing.T) { require.NoError(t, atDesks(raceCount, c.raceChain)) })
		require.Zero(t, c.unanswered.Load())
		requireLinearizable(t, c.history)
		t.Logf("%d requests to the token endpoint, for %d grants", c.answered.Load(), c.grants.Load())
	})
}

// atDesks calls f n times, some at a time.
func atDesks(n int, f func(i int) error) error {
	jobs, errs := make(chan int), make(chan error, deskCount)
	var wg sync.WaitGroup
	for range deskCount {
		wg.Go(func() {
			var first error
			for i := range jobs {
				if first == nil {
					first = f(i)
				}
			}
			errs <- first
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	return all
}

// together lets the clients of a desk present something at once, each to another replica
// than its neighbour.
func (c *crowd) together(i int, present func(client int, replica string) (answer, error)) ([desk]answer, error) {
	var answers [desk]answer
	var errs [desk]error
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for k := range desk {
		wg.Go(func() {
			<-begin
			answers[k], errs[k] = present(k, c.replicas[(i+k)%len(c.replicas)].url)
		})
	}
	close(begin)
	wg.Wait()
	return answers, errors.Join(errs[:]...)
}

// raceCode lets several clients redeem one code. One of them does. The others show that
// the code has been stolen, so that the winner's token is worth nothing.
func (c *crowd) raceCode(i int) error {
	grant, code, err := c.newGrant()
	if err != nil {
		return err
	}
	answers, err := c.together(i, func(_ int, replica string) (answer, error) { return c.redeem(replica, grant, code) })
	if err != nil {
		return err
	}
	var tokens []string
	for _, a := range answers {
		if a.outcome == granted {
			tokens = append(tokens, a.token)
		}
	}
	if len(tokens) != 1 {
		return fmt.Errorf("code %d was redeemed %d times", grant, len(tokens))
	}
	a, err := c.refresh(c.replicas[i%len(c.replicas)].url, grant, tokens[0])
	if err == nil && a.outcome != refused {
		err = fmt.Errorf("grant %d survives a replay: %v", grant, a)
	}
	return err
}

// raceChain lets several clients refresh one chain, like the tabs of one application.
// While all have the live token, they get the same next one. Then some are late.
func (c *crowd) raceChain(i int) error {
	grant, code, err := c.newGrant()
	if err != nil {
		return err
	}
	a, err := c.redeem(c.replicas[i%len(c.replicas)].url, grant, code)
	first, live, previous := a.token, a.token, ""
	for range 3 {
		if err != nil || a.outcome != granted {
			return cmp.Or(err, fmt.Errorf("grant %d: %v", grant, a))
		}
		var answers [desk]answer
		answers, err = c.together(i, func(_ int, replica string) (answer, error) { return c.refresh(replica, grant, live) })
		a = answers[0]
		if answers != [desk]answer{a, a, a, a} {
			return fmt.Errorf("grant %d has several heads: %v", grant, answers)
		}
		live, previous = a.token, live
	}
	if _, err := c.together(i, func(k int, replica string) (answer, error) {
		return c.refresh(replica, grant, [desk]string{live, previous, live, previous}[k])
	}); err != nil {
		return err
	}
	// A token that was spent long ago ends all of it.
	if a, err = c.refresh(c.replicas[i%len(c.replicas)].url, grant, first); err == nil && a.outcome != refused {
		return fmt.Errorf("grant %d: a replay got %v", grant, a)
	}
	if a, err = c.refresh(c.replicas[(i+1)%len(c.replicas)].url, grant, live); err == nil && a.outcome != refused {
		return fmt.Errorf("grant %d survives a replay: %v", grant, a)
	}
	return err
}
