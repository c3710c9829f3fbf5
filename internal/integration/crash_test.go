package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crashCount is how often each process is killed: AUTHWRIGHT_CRASHES, or 10.
func crashCount(t *testing.T) int {
	t.Helper()
	text := os.Getenv("AUTHWRIGHT_CRASHES")
	if text == "" {
		return 10
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "AUTHWRIGHT_CRASHES")
	return n
}

// A server process, or the database, is killed again and again while clients work.
// Nothing that was committed is lost and nothing is redeemed twice. A client whose
// request was not answered asks again: for a refresh it gets the token that it missed, and
// for a code either its tokens or, if these got lost with the answer, a refusal.
func TestCrashes(t *testing.T) {
	t.Parallel()
	eachDurableEngine(t, func(t *testing.T, start func(*testing.T) durableEngine) {
		t.Parallel()
		e := start(t)
		for victim, crash := range map[string]func(*crowd, int) error{
			"server": func(c *crowd, i int) error {
				r := c.replicas[i%len(c.replicas)]
				r.kill()
				return r.start()
			},
			"database": func(c *crowd, i int) error {
				e.kill()
				if i%2 == 1 { // every other time it is missed
					before := c.unanswered.Load()
					for waited := 0; c.unanswered.Load() == before && waited < 10_000; waited++ {
						<-time.After(time.Millisecond)
					}
				}
				return e.start()
			},
		} {
			t.Run(victim, func(t *testing.T) {
				replicas := startReplicas(t, replicaCount, e.dsn())
				var sum toll
				for left := crashCount(t); left > 0; left -= crashesAtATime {
					sum.add(surviveCrashes(t, newCrowd(replicas), min(left, crashesAtATime), crash))
				}
				t.Logf("%+v", sum)
			})
		}
	})
}

// crashesAtATime is after how many crashes everything is checked: often enough for no code
// to expire before.
const crashesAtATime = 10

// A toll is what crashes have done. A code that got lost is one that was refused to the
// client that presented it first, because the answer of the server did not arrive, or
// that of the database to the server.
type toll struct {
	Crashes, Grants       int
	Answered, Unanswered  int64 // requests to the token endpoint
	LostCodes, LostBy503s int
}

func (s *toll) add(t toll) {
	s.Crashes += t.Crashes
	s.Grants += t.Grants
	s.Answered += t.Answered
	s.Unanswered += t.Unanswered
	s.LostCodes += t.LostCodes
	s.LostBy503s += t.LostBy503s
}

// A life is how far a client has got with a grant.
type life struct {
	grant       int
	code, token string // token is empty if the code was not presented yet
	revoked     bool
	lostBy      outcome // why the code was refused to its client
}

func surviveCrashes(t *testing.T, c *crowd, crashes int, crash func(*crowd, int) error) toll {
	t.Helper()
	var mu sync.Mutex
	var lives []life
	faults := make(chan error, deskCount)
	working, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	for range deskCount {
		clients.Go(func() {
			for working.Err() == nil {
				l, err := c.live()
				mu.Lock()
				lives = append(lives, l)
				mu.Unlock()
				if err != nil {
					faults <- err
					stop()
				}
			}
		})
	}
	for i := range crashes {
		before := c.answered.Load()
		require.Eventually(t, func() bool { return c.answered.Load() > before+100 || working.Err() != nil }, time.Minute, 5*time.Millisecond, "the work goes on")
		if working.Err() != nil {
			break
		}
		<-time.After(rand.N(50 * time.Millisecond)) // anywhere in it
		require.NoError(t, crash(c, i))
	}
	stop()
	clients.Wait()
	close(faults)
	for err := range faults {
		require.NoError(t, err)
	}

	// All that was acknowledged is still there.
	require.NoError(t, atDesks(len(lives), func(i int) error { return c.end(lives[i]) }))
	requireLinearizable(t, c.history)
	sum := toll{Crashes: crashes, Grants: int(c.grants.Load()), Answered: c.answered.Load(), Unanswered: c.unanswered.Load()}
	for _, l := range lives {
		switch l.lostBy {
		case lost:
			sum.LostCodes++
		case unavailable:
			sum.LostBy503s++
		}
	}
	return sum
}

// live is the life of a grant as its client sees it. Some clients take their time to
// redeem a code, and from some it is stolen.
func (c *crowd) live() (l life, err error) {
	if l.grant, l.code, err = c.newGrant(); err != nil {
		return l, err
	}
	kind := rand.IntN(8)
	if kind == 0 {
		return l, nil
	}
	a, lostBy, err := c.keepRedeeming(l.grant, l.code)
	if err != nil || a.outcome == refused {
		l.revoked, l.lostBy = true, lostBy
		return l, err
	}
	l.token = a.token
	for range 3 {
		next, err := c.keepRefreshing(l.grant, l.token)
		if err != nil || next.outcome == refused {
			return l, cmpErr(err, "grant %d: the live token was refused", l.grant)
		}
		again, err := c.keepRefreshing(l.grant, l.token)
		if err != nil || again != next {
			return l, cmpErr(err, "grant %d: a retry got %v after %v", l.grant, again, next)
		}
		l.token = next.token
	}
	if kind == 1 {
		a, _, err = c.keepRedeeming(l.grant, l.code)
		l.revoked = true
		if err != nil || a.outcome != refused {
			return l, cmpErr(err, "code %d was redeemed twice", l.grant)
		}
	}
	return l, nil
}

// end presents what is left of a life.
func (c *crowd) end(l life) error {
	if l.token == "" && !l.revoked {
		a, _, err := c.keepRedeeming(l.grant, l.code)
		if err != nil || a.outcome != granted {
			return cmpErr(err, "code %d was forgotten", l.grant)
		}
		l.token = a.token
	}
	if l.token != "" {
		a, err := c.keepRefreshing(l.grant, l.token)
		if err != nil || (a.outcome == granted) == l.revoked {
			return cmpErr(err, "grant %d, revoked %t: %v", l.grant, l.revoked, a)
		}
	}
	a, _, err := c.keepRedeeming(l.grant, l.code)
	if err != nil || a.outcome != refused {
		return cmpErr(err, "code %d was redeemed twice", l.grant)
	}
	return nil
}

// cmpErr is err, or the fault that there is without one.
func cmpErr(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return brokenPromise(fmt.Sprintf(format, args...))
}

// A brokenPromise is an answer that contradicts one before it.
type brokenPromise string

func (b brokenPromise) Error() string { return string(b) }
