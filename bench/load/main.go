// Load puts server processes on loopback TCP under load and prints throughput and latency, as
// tables in Markdown.
//
//	go run ./load -storage memory
//	go run ./load -storage postgresql -processes 2
//	go run ./load -storage redis
//
// It starts the storage itself, from Debian's postgresql-15 and redis-server, in a temporary
// folder. With a database it also prints what the database does on its own: with the same
// statements from its own benchmark, and through the store without a server.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"time"
)

// options are the flags.
type options struct {
	storage     string
	processes   int
	connections int
	duration    time.Duration
	grants      int
	fsync       bool
	appendfsync string
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.storage, "storage", "memory", "memory, postgresql or redis")
	flag.IntVar(&o.processes, "processes", 1, "server processes, each on a port and a core of its own")
	flag.IntVar(&o.connections, "connections", 16, "connections of the client, in all")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "how long each measurement lasts")
	flag.IntVar(&o.grants, "grants", 10_000, "live grants that are refreshed in turn")
	flag.BoolVar(&o.fsync, "fsync", true, "PostgreSQL flushes to the disk before it answers")
	flag.StringVar(&o.appendfsync, "appendfsync", "everysec", "when Redis flushes its AOF: everysec, which is its default, or always")
	child := flag.String("serve", "", "be a server process on this storage; for the command itself")
	flag.Parse()
	var err error
	if *child != "" {
		err = serve(*child, o.connections)
	} else {
		err = o.measure()
	}
	if err != nil {
		log.Fatal("load: ", err)
	}
}

func (o *options) measure() error {
	if o.processes < 1 || o.connections < o.processes {
		return fmt.Errorf("%d processes need at least as many connections", o.processes)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	e, dsn, err := o.startStorage(ctx)
	defer e.stop()
	if err != nil {
		return err
	}
	fmt.Printf("storage %s, server processes %d (one core each, of %d), connections %d, live grants %d, %v for each measurement\n\n",
		o.storage+map[string]string{"postgresql": fmt.Sprintf(" with fsync %t", o.fsync), "redis": " with appendfsync " + o.appendfsync}[o.storage],
		o.processes, runtime.NumCPU(), o.connections, o.grants, o.duration)
	refreshes, err := o.measureHTTP(ctx, dsn)
	if err != nil || o.storage == "memory" {
		return err
	}
	storage, err := openStorage(dsn, o.connections)
	if err != nil {
		return err
	}
	if o.storage == "postgresql" {
		return o.comparePostgres(ctx, e, dsn, storage, refreshes)
	}
	return o.compareRedis(ctx, dsn, storage, refreshes)
}

// measureHTTP measures the server processes and returns how many refreshes they do in a second.
func (o *options) measureHTTP(ctx context.Context, dsn string) (perSecond float64, err error) {
	if o.storage == "memory" {
		keepAway(o.processes) // a database is placed by the kernel, and so is who shares the machine with it
	}
	var conns []*conn
	for i := range o.processes {
		s, err := startServer(i, dsn, o.connections)
		if err != nil {
			return 0, err
		}
		defer s.stop()
		for j := i; j < o.connections; j += o.processes {
			c, err := dial(s.addr)
			if err != nil {
				return 0, err
			}
			defer c.Close()
			context.AfterFunc(ctx, func() { c.Close() }) // so that an interrupt ends everything
			conns = append(conns, c)
		}
	}
	if err := each(conns, func(c *conn) error { return c.prepareGrants(max(o.grants/len(conns), 1)) }); err != nil {
		return 0, err
	}
	return o.loads(conns)
}

func (o *options) loads(conns []*conn) (perSecond float64, err error) {
	fmt.Println("| load | requests/s | p50 µs | p99 µs | p99.9 µs |\n|---|--:|--:|--:|--:|")
	if _, err = closed(conns, o.duration/5, (*conn).refresh); err != nil { // to warm up
		return 0, err
	}
	empty, err := report("empty handler, closed loop")(closed(conns, o.duration, (*conn).empty))
	if err != nil {
		return 0, err
	}
	refreshes, err := report("refresh, closed loop")(closed(conns, o.duration, (*conn).refresh))
	if err != nil {
		return 0, err
	}
	for _, share := range []float64{0.5, 0.8} {
		if _, err := report(fmt.Sprintf("refresh, at %.0f %%", share*100))(open(conns, o.duration, share*refreshes, (*conn).refresh)); err != nil {
			return 0, err
		}
	}
	if err := o.redemptions(conns, refreshes); err != nil {
		return 0, err
	}
	fmt.Printf("\nrefreshes to empty requests: %.3f (aimed at: 17,500 to 78,000, which is %.3f, in one process on memory)\n", refreshes/empty, 17.5/78)
	return refreshes, nil
}

// redemptions has codes made before each measurement, so that it is of redemptions alone.
func (o *options) redemptions(conns []*conn, refreshes float64) error {
	prepare := func(rate float64) error {
		n := int(rate*o.duration.Seconds()/float64(len(conns))*1.3) + 10 // they do not share evenly
		return each(conns, func(c *conn) error { return c.prepareCodes(n) })
	}
	if err := prepare(refreshes); err != nil {
		return err
	}
	redeemed, err := report("redemption, closed loop")(closed(conns, o.duration, (*conn).redeem))
	if err != nil {
		return err
	}
	for _, share := range []float64{0.5, 0.8} {
		if err := prepare(share * redeemed); err != nil {
			return err
		}
		if _, err := report(fmt.Sprintf("redemption, at %.0f %%", share*100))(open(conns, o.duration, share*redeemed, (*conn).redeem)); err != nil {
			return err
		}
	}
	return nil
}

// report prints a row and returns the throughput.
func report(name string) func(*outcome, error) (float64, error) {
	return func(o *outcome, err error) (float64, error) {
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("| %s | %.0f | %d | %d | %d |\n", name, o.perSecond,
			o.quantile(0.5).Microseconds(), o.quantile(0.99).Microseconds(), o.quantile(0.999).Microseconds())
		return o.perSecond, nil
	}
}
