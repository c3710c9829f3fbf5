package main

import (
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"
)

// An outcome is what a load has come to.
type outcome struct {
	perSecond float64
	latencies []time.Duration // in ascending order
}

// quantile is the latency that a share of the requests did not exceed.
func (o *outcome) quantile(share float64) time.Duration {
	if len(o.latencies) == 0 {
		return 0
	}
	return o.latencies[min(int(share*float64(len(o.latencies))), len(o.latencies)-1)]
}

// each runs f for all items at once.
func each[T any](items []T, f func(T) error) error {
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	for i, item := range items {
		wg.Go(func() { errs[i] = f(item) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// join puts the latencies of all connections together.
func join(took chan []time.Duration, elapsed time.Duration) *outcome {
	close(took)
	var all []time.Duration
	for mine := range took {
		all = append(all, mine...)
	}
	slices.Sort(all)
	return &outcome{float64(len(all)) / elapsed.Seconds(), all}
}

// closed has every connection send its next request when it has the answer to the one
// before. It finds the capacity; its latencies are those of a server that is never idle.
func closed(conns []*conn, d time.Duration, op func(*conn) error) (*outcome, error) {
	took := make(chan []time.Duration, len(conns))
	begin := time.Now()
	err := each(conns, func(c *conn) error {
		mine := make([]time.Duration, 0, 1<<16)
		defer func() { took <- mine }()
		for sent := begin; sent.Sub(begin) < d; {
			if err := op(c); errors.Is(err, errNoCodes) {
				return nil
			} else if err != nil {
				return err
			}
			now := time.Now()
			mine = append(mine, now.Sub(sent))
			sent = now
		}
		return nil
	})
	return join(took, time.Since(begin)), err
}

// open has requests arrive at a constant rate, whether or not the server keeps up, and counts
// from when each should have been sent: one that waits for a connection waits all the same.
func open(conns []*conn, d time.Duration, rate float64, op func(*conn) error) (*outcome, error) {
	n := int(rate * d.Seconds())
	arrivals := make(chan time.Time, n)
	took := make(chan []time.Duration, len(conns))
	begin := time.Now()
	go arrive(arrivals, begin, rate, n)
	err := each(conns, func(c *conn) error {
		mine := make([]time.Duration, 0, 1<<16)
		var failed error
		for at := range arrivals {
			if failed == nil {
				failed = op(c)
				mine = append(mine, time.Since(at))
			}
		}
		took <- mine
		return failed
	})
	return join(took, time.Since(begin)), err
}

// arrive sends the times of n arrivals when they have come. It sleeps in the kernel, which is
// exact to some microseconds; the runtime's timers are not.
func arrive(arrivals chan<- time.Time, begin time.Time, rate float64, n int) {
	exactTimers()
	for i := range n {
		at := begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		for wait := time.Until(at); wait > 0; wait = time.Until(at) {
			ts := syscall.NsecToTimespec(wait.Nanoseconds())
			_ = syscall.Nanosleep(&ts, nil) // again, if a signal interrupts it
		}
		arrivals <- at
	}
	close(arrivals)
}
