package integration_test

import (
	"context"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"
)

// A soakLife is a grant, or a token of a client's own, as its client sees it.
type soakLife struct {
	*soakClient
	ctx     context.Context // when it ends, nobody thinks any more
	hurry   bool            // nobody thinks at all
	history *history

	code, verifier string
	live, previous string // refresh tokens
	access         string
	issued         time.Time // of access
	revoked        bool
}

func (c *soakClient) newLife(ctx context.Context, hurry bool) *soakLife {
	return &soakLife{soakClient: c, ctx: ctx, hurry: hurry, history: &history{begin: c.begun}}
}

// think lets time pass as people and programs do.
func (l *soakLife) think(most time.Duration) {
	if l.hurry {
		return
	}
	select {
	case <-l.ctx.Done():
	case <-time.After(rand.N(most)):
	}
}

// run is a whole life, and what the judge says of it.
func (l *soakLife) run() {
	defer l.lives.Add(1)
	if rand.IntN(6) == 0 {
		l.machine()
		return
	}
	l.web()
	if err := judgeSoakLife(l.history.ops); err != nil {
		l.fault(err)
	}
}

// machine is a client that acts for itself. Its token is good, and dead once it is revoked.
func (l *soakLife) machine() {
	if l.until(soakMachine, func(server int) (o outcome) {
		var reply soakReply
		reply, o = l.post(soakMachine, server, "/token", "machine", url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}})
		l.received(reply, o)
		return o
	}) != granted {
		return
	}
	l.introspect("machine", l.access, false)
	if rand.IntN(4) == 0 {
		l.revoke("machine", true)
		l.introspect("machine", l.access, false)
	}
}

// web is a client that acts for a user.
func (l *soakLife) web() {
	if l.until(soakAuthorize, func(server int) (o outcome) {
		var reply soakReply
		reply, l.verifier, o = l.authorize(server)
		l.code = reply.code
		return o
	}) != granted || rand.IntN(20) == 0 { // somebody closes the window
		return
	}
	l.think(time.Second)
	if !l.redeem() {
		return
	}
	for range 2 + rand.IntN(4) {
		l.think(3 * time.Second)
		if rand.IntN(20) == 0 {
			l.think(soakIdle) // the laptop is closed
		}
		if !l.refresh() {
			return
		}
		if rand.IntN(2) == 0 {
			l.introspect("web", l.access, false)
		}
	}
	l.end()
}

// redeem presents the code until there is an answer. It may be lost with an answer that did
// not arrive, which docs/storage.md explains.
func (l *soakLife) redeem() bool {
	lostBy := notTried
	o := l.until(soakRedeem, func(server int) outcome {
		a := l.present(soakRedeem, server, "")
		if a.outcome == lost || a.outcome == unavailable && lostBy != lost {
			lostBy = a.outcome
		}
		l.live = a.token
		return a.outcome
	})
	switch {
	case o == granted:
		return true
	case o == refused && lostBy == lost:
		l.lostCodes.Add(1)
	case o == refused && lostBy == unavailable:
		l.lostBy503.Add(1)
	}
	return false
}

// refresh presents the live token: once, or again as if the answer had been lost, or twice at
// once as two tabs do.
func (l *soakLife) refresh() bool {
	token := l.live
	again := func() outcome {
		return l.until(soakRetry, func(server int) outcome { return l.present(soakRetry, server, token).outcome })
	}
	var tabs sync.WaitGroup
	way := rand.IntN(8)
	if way == 0 {
		tabs.Go(func() { again() })
	}
	var next string
	o := l.until(soakRefresh, func(server int) outcome {
		a := l.present(soakRefresh, server, token)
		next = a.token
		return a.outcome
	})
	tabs.Wait()
	if o == granted && way <= 2 && way > 0 {
		o = again()
	}
	l.live, l.previous = next, token
	return o == granted // what else it may be, the judge knows
}

// end is how grants end: most are abandoned, some are revoked, some are stolen from.
func (l *soakLife) end() {
	token := l.live
	switch rand.IntN(8) {
	case 0:
		l.introspect("web", l.live, false)
		l.introspect("web", l.previous, true)
		return
	case 1: // a thief has the code
		l.until(soakReplay, func(server int) outcome { return l.present(soakReplay, server, "").outcome })
		l.revoked = true
	case 2, 3:
		l.revoke("web", true)
	case 4, 5:
		l.revoke("web", false)
	default:
		return
	}
	l.introspect("web", l.access, false)
	l.introspect("web", l.live, false)
	l.think(soakIdle)
	l.introspect("web", l.access, false)
	l.until(soakReplay, func(server int) outcome { return l.present(soakReplay, server, token).outcome })
}
