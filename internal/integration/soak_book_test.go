package integration_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The kinds of requests, in the order of the report.
const (
	soakAuthorize  = "authorization"
	soakRedeem     = "redemption of a code"
	soakRefresh    = "refresh"
	soakRetry      = "refresh, repeated"
	soakReplay     = "replay by a thief"
	soakRevoke     = "revocation"
	soakIntrospect = "introspection"
	soakMachine    = "client credentials"
	soakVerify     = "verification by a resource"
)

var soakKinds = []string{soakAuthorize, soakRedeem, soakRefresh, soakRetry, soakReplay, soakRevoke, soakIntrospect, soakMachine, soakVerify}

// A soakOperation lasts from when it was due to when it had an answer, with all attempts.
type soakOperation struct{ due, done time.Duration }

// A soakBook is all that is written down of a run. It is safe for concurrent use.
type soakBook struct {
	begun time.Time

	lives, shed          atomic.Int64 // shed are lives that were not begun, since there were too many
	lostCodes, lostBy503 atomic.Int64
	spared               atomic.Int64 // tokens that were too old to be judged when their answer came

	mu         sync.Mutex
	counts     map[string]map[outcome]int
	troubled   []soakAnswer // all that are neither granted nor refused
	operations []soakOperation
	windows    []soakWindow
	faults     []error
	faultCount int
}

func newSoakBook() *soakBook {
	b := &soakBook{begun: time.Now(), counts: make(map[string]map[outcome]int)}
	for _, kind := range soakKinds {
		b.counts[kind] = make(map[outcome]int)
	}
	return b
}

// now is the time since the run began.
func (b *soakBook) now() time.Duration { return time.Since(b.begun) }

func (b *soakBook) answered(a soakAnswer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[a.kind][a.outcome]++
	if a.outcome != granted && a.outcome != refused {
		b.troubled = append(b.troubled, a)
	}
}

func (b *soakBook) operated(o soakOperation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.operations = append(b.operations, o)
}

// fault writes down what is wrong. The first few say what it is.
func (b *soakBook) fault(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faultCount++
	if len(b.faults) < 20 {
		b.faults = append(b.faults, fmt.Errorf("at %v: %w", b.now().Round(time.Millisecond), err))
	}
}

// requests are all that were sent so far, whatever came of them.
func (b *soakBook) requests() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for kind, counts := range b.counts {
		for _, count := range counts {
			if kind != soakVerify { // which is none
				n += count
			}
		}
	}
	return n
}

// during writes down that something is wrong while f runs, and may be felt for a while
// afterwards.
func (b *soakBook) during(trouble soakTrouble, name string, felt time.Duration, f func() error) error {
	from := b.now()
	err := f()
	b.note(soakWindow{trouble, name, from, b.now() + felt})
	return err
}

// note writes down that something was wrong. Too much work goes on if there was too much a
// moment ago.
func (b *soakBook) note(w soakWindow) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.windows, func(old soakWindow) bool { return w.trouble == soakLoad && old.name == w.name && w.from <= old.to })
	if i < 0 {
		b.windows = append(b.windows, w)
		return
	}
	b.windows[i].to = max(b.windows[i].to, w.to)
}

// calm is the number of seconds between two times in which nothing was wrong.
func (b *soakBook) calm(from, to time.Duration) (n int) {
	for at := from; at < to; at += time.Second {
		if !soakDuring(b.windows, at, at+time.Second) {
			n++
		}
	}
	return n
}

// close judges what can be judged only when all windows are known.
func (b *soakBook) close() {
	b.mu.Lock()
	troubled, windows := b.troubled, slices.Clone(b.windows)
	b.mu.Unlock()
	for _, a := range troubled {
		if err := judgeSoakAnswer(a, windows); err != nil {
			b.fault(err)
		}
	}
}
