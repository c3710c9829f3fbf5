package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// A soakPlan says how often what happens in a run of a given length.
type soakPlan struct {
	length, calibration        time.Duration
	servers, database, outages time.Duration // from one to the next
	outage                     time.Duration // how long one is at most
	rotation                   time.Duration
}

func newSoakPlan(length time.Duration) soakPlan {
	between := func(least, d, most time.Duration) time.Duration { return max(least, min(d, most)) }
	return soakPlan{
		length:      length,
		calibration: between(2*time.Second, length/10, 15*time.Second),
		servers:     between(3*time.Second, length/5, 11*time.Second),
		outages:     between(5*time.Second, length/4, 31*time.Second),
		database:    between(8*time.Second, length/2, 73*time.Second),
		outage:      between(time.Second, length/15, 4*time.Second),
		rotation:    between(10*time.Second, length/10, time.Minute),
	}
}

// How long something may still be felt: connections have to be made again, and whoever has
// waited comes all at once.
const (
	soakFeltServer  = time.Second
	soakFeltStorage = 4 * time.Second
	soakFeltLoad    = time.Second
)

// A soakTroubler makes trouble until its context ends.
type soakTroubler struct {
	*soakClient
	plan     soakPlan
	replicas []*replica
	engine   durableEngine
	proxy    *toxiproxy

	kills, crashes int
	outages        map[string]int
}

// trouble returns when everything works again.
func (s *soakTroubler) trouble(ctx context.Context) error {
	errs := make(chan error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { errs <- s.again(ctx, s.plan.servers, s.killServer) })
	wg.Go(func() { errs <- s.again(ctx, s.plan.database, s.killDatabase) })
	err := s.again(ctx, s.plan.outages, s.cutNetwork)
	wg.Wait()
	return errors.Join(err, <-errs, <-errs)
}

// again calls f at intervals.
func (s *soakTroubler) again(ctx context.Context, interval time.Duration, f func(i int) error) error {
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval/2 + rand.N(interval)):
		}
		if err := f(i); err != nil {
			return err
		}
	}
}

// killServer kills any server but the first.
func (s *soakTroubler) killServer(i int) error {
	s.kills++
	n := 1 + i%(len(s.replicas)-1)
	return s.during(soakServer, fmt.Sprintf("server %d is killed", n), soakFeltServer, func() error {
		s.replicas[n].kill()
		s.readLog(n)
		err := s.replicas[n].start()
		s.http[n].CloseIdleConnections() // lest a busy client has not noticed yet
		return err
	})
}

// readLog looks for panics, which net/http survives and clients see as a lost answer.
func (s *soakTroubler) readLog(server int) {
	text, err := io.ReadAll(io.NewSectionReader(s.replicas[server].output, 0, 1<<30))
	if err != nil {
		s.fault(err)
	}
	if _, panicked, found := strings.Cut(string(text), "panic"); found {
		s.fault(fmt.Errorf("server %d has panicked%.2000s", server, panicked))
	}
}

func (s *soakTroubler) killDatabase(int) error {
	s.crashes++
	return s.during(soakStorage, "the database is killed", soakFeltStorage, func() error {
		s.engine.kill()
		<-time.After(rand.N(s.plan.outage))
		return s.engine.start()
	})
}

// cutNetwork spoils the connections between all servers and the database.
func (s *soakTroubler) cutNetwork(i int) error {
	faults := []struct {
		name        string
		begin, heal func(*toxiproxy)
	}{
		{"down", func(p *toxiproxy) { p.enable(false) }, func(p *toxiproxy) { p.enable(true) }},
		{"slow", func(p *toxiproxy) { p.poison("latency", "downstream", map[string]int{"latency": 100}) }, (*toxiproxy).heal},
		{"reset", func(p *toxiproxy) { p.poison("reset_peer", "downstream", map[string]int{"timeout": 0}) }, (*toxiproxy).heal},
		{"replies vanish", func(p *toxiproxy) { p.poison("timeout", "downstream", map[string]int{"timeout": 0}) }, (*toxiproxy).heal},
		{"too slow", func(p *toxiproxy) { p.poison("latency", "downstream", map[string]int{"latency": 10_000}) }, (*toxiproxy).heal},
		{"requests vanish", func(p *toxiproxy) { p.poison("timeout", "upstream", map[string]int{"timeout": 0}) }, (*toxiproxy).heal},
	}
	fault := faults[i%len(faults)]
	s.outages[fault.name]++
	return s.during(soakStorage, "the network is "+fault.name, soakFeltStorage, func() error {
		fault.begin(s.proxy)
		<-time.After(s.plan.outage/2 + rand.N(s.plan.outage/2))
		fault.heal(s.proxy)
		return nil
	})
}
