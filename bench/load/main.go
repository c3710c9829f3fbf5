// Load puts server processes on loopback TCP under load and prints throughput and latency, as
// tables in Markdown.
//
//	go run ./load -storage memory
//	go run ./load -storage memory -server osin
//	go run ./load -storage postgresql -processes 2
//	go run ./load -storage redis -driver valkey-go
//
// It starts the storage itself, from Debian's postgresql-15 and redis-server, in a temporary
// folder. With a database it also prints what the database does on its own, started anew: with
// the same statements from its own benchmark, from the driver, and from the store without a
// server.
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

	"github.com/authwright/authwright/bench/peers"
)

// options are the flags.
type options struct {
	storage     string
	server      string
	driver      string
	processes   int
	connections int
	duration    time.Duration
	rounds      int
	grants      int
	fsync       bool
	appendfsync string

	child   string // what a child process does
	process int    // which of them it is
	dsn     string // on which storage
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.storage, "storage", "memory", "memory, postgresql or redis")
	flag.StringVar(&o.server, "server", authwrightName, "authwright, or with -storage memory: go-oauth2 or osin")
	flag.StringVar(&o.driver, "driver", goRedis, "go-redis or valkey-go, of the servers with -storage redis")
	flag.IntVar(&o.processes, "processes", 1, "server processes, each on a port and a core of its own")
	flag.IntVar(&o.connections, "connections", 16, "connections of the client, in all")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "how long each measurement lasts")
	flag.IntVar(&o.rounds, "rounds", 3, "turns that the store and the database's own benchmark take")
	flag.IntVar(&o.grants, "grants", 10_000, "live grants that are refreshed in turn")
	flag.BoolVar(&o.fsync, "fsync", true, "PostgreSQL flushes to the disk before it answers")
	flag.StringVar(&o.appendfsync, "appendfsync", "everysec", "when Redis flushes its AOF: everysec, which is its default, or always")
	flag.StringVar(&o.child, "child", "", "be a child process: serve, store or driver; for the command itself")
	flag.IntVar(&o.process, "process", 0, "which child process; for the command itself")
	flag.StringVar(&o.dsn, "dsn", "", "the storage of a child process; for the command itself")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := o.run(ctx); err != nil {
		log.Fatal("load: ", err)
	}
}

func (o *options) run(ctx context.Context) error {
	switch o.child {
	case "serve":
		return o.serve()
	case "store", "driver":
		return o.alone(ctx)
	}
	if err := o.check(); err != nil {
		return err
	}
	return o.measure(ctx)
}

func (o *options) check() error {
	if o.processes < 1 || o.connections < o.processes {
		return fmt.Errorf("%d processes need at least as many connections", o.processes)
	}
	if o.rounds < 1 || o.grants < 1 {
		return fmt.Errorf("-rounds %d and -grants %d must be positive", o.rounds, o.grants)
	}
	if o.driver != goRedis && (o.driver != valkeyGo || o.storage != "redis") {
		return fmt.Errorf("-driver %q is not go-redis, or with -storage redis valkey-go", o.driver)
	}
	if o.server == authwrightName {
		return nil
	}
	if o.storage != "memory" {
		return fmt.Errorf("-server %s has no other -storage than memory", o.server)
	}
	peer, err := findPeer(o.server)
	if err == nil && !peer.Concurrent {
		err = fmt.Errorf("-server %s: its memory store is not safe for concurrent use", o.server)
	}
	return err
}

const authwrightName = "authwright"

func findPeer(name string) (*peers.Peer, error) {
	for i := range peers.All {
		if peers.All[i].Name == name {
			return &peers.All[i], nil
		}
	}
	return nil, fmt.Errorf("-server %q is not known", name)
}

func (o *options) measure(ctx context.Context) error {
	refreshes, err := o.measureHTTP(ctx)
	if err != nil || o.storage == "memory" {
		return err
	}
	cores, _ := halves()
	e, dsn, err := o.startStorage(ctx, cores) // anew, so that nothing of the load is left in it
	defer e.stop()
	if err != nil {
		return err
	}
	if o.storage == "postgresql" {
		return o.comparePostgres(ctx, e, dsn, refreshes)
	}
	return o.compareRedis(ctx, dsn, refreshes)
}

// measureHTTP measures the server processes and returns how many refreshes they do in a second.
func (o *options) measureHTTP(ctx context.Context) (perSecond float64, err error) {
	e, dsn, err := o.startStorage(ctx, "")
	defer e.stop()
	if err != nil {
		return 0, err
	}
	fmt.Printf("%s, storage %s, server processes %d (one core each, of %d), connections %d, live grants %d, %v for each measurement\n\n", o.server,
		o.storage+map[string]string{"postgresql": fmt.Sprintf(" with fsync %t", o.fsync), "redis": " with appendfsync " + o.appendfsync + " and " + o.driver}[o.storage],
		o.processes, runtime.NumCPU(), o.connections, o.grants, o.duration)
	if o.storage == "memory" {
		keepAway(o.processes) // with a database, the client and the database are placed by the kernel
	}
	var conns []*conn
	for i := range o.processes {
		s, err := o.startServer(ctx, i, dsn)
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
