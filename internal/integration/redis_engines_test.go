package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
)

// A redisEngine is a Redis that tests share.
type redisEngine struct {
	name string

	// open returns a client of the engine, which is started first. If it cannot be had,
	// the test fails.
	open func(t *testing.T) redis.UniversalClient
}

// withoutEngine reports whether the environment variable AUTHWRIGHT_WITHOUT names an
// engine.
func withoutEngine(name string) bool {
	return slices.Contains(strings.Fields(os.Getenv("AUTHWRIGHT_WITHOUT")), name)
}

// eachRedisEngine runs a test on all engines but those that AUTHWRIGHT_WITHOUT names:
// redis, redis-cluster.
func eachRedisEngine(t *testing.T, run func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	for _, e := range []redisEngine{{"redis", openRedis}, {"redis-cluster", openRedisCluster}} {
		if withoutEngine(e.name) {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			run(t, e.open(t))
		})
	}
}

func openRedis(t *testing.T) redis.UniversalClient {
	t.Helper()
	s, err := startedRedis()
	require.NoError(t, err, "redis is needed: apt-get install redis-server")
	return s.open(t)
}

func openRedisCluster(t *testing.T) redis.UniversalClient {
	t.Helper()
	addrs, err := startedRedisCluster()
	require.NoError(t, err, "redis-cluster is needed: apt-get install redis-server")
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

// durable are the settings that package redisstore asks for.
var durable = []string{"--appendonly", "yes", "--save", ""}

// replicated are the settings of servers of which some are replicas, which need not wait for
// each other to join.
var replicated = append([]string{"--repl-diskless-sync-delay", "0"}, durable...)

var startedRedis = sync.OnceValues(func() (*redisServer, error) { return startRedis(durable...) })

// clustered are the settings of a node of a cluster.
func clustered(timeout string) []string {
	return append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", timeout}, replicated...)
}

// startedRedisCluster starts three primaries with a replica each, once.
var startedRedisCluster = sync.OnceValues(func() (addrs []string, err error) {
	for range 6 {
		s, err := startRedis(clustered("5000")...)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, s.addr)
	}
	return addrs, joinRedisCluster(addrs)
})

// joinRedisCluster makes six servers three primaries with a replica each.
func joinRedisCluster(addrs []string) error {
	create := append([]string{"--cluster", "create"}, addrs...)
	if err := runEngine("redis-cli", append(create, "--cluster-replicas", "1", "--cluster-yes")...); err != nil {
		return err
	}
	for _, addr := range addrs {
		if err := redisAnswers(addr, nil, func(ctx context.Context, rdb *redis.Client) error {
			info, err := rdb.ClusterInfo(ctx).Result()
			if err == nil && !strings.Contains(info, "cluster_state:ok") {
				return errors.New(info)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// A redisServer is one process with a folder and a port of its own.
type redisServer struct {
	addr    string
	args    []string
	process *os.Process
	exited  chan struct{}
}

// newRedisServer starts a server for one test.
func newRedisServer(t *testing.T, args ...string) *redisServer {
	t.Helper()
	s, err := startRedis(args...)
	require.NoError(t, err, "redis is needed: apt-get install redis-server")
	t.Cleanup(s.kill)
	return s
}

func startRedis(args ...string) (*redisServer, error) {
	port, err := freeRedisPort()
	if err != nil {
		return nil, err
	}
	return startRedisAt(fmt.Sprint("127.0.0.1:", port), args...)
}

func startRedisAt(addr string, args ...string) (*redisServer, error) {
	folder, err := engineFolder()
	if err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(addr, ":")
	s := &redisServer{addr: addr, args: append([]string{"--bind", host, "--port", port, "--dir", folder, "--daemonize", "no"}, args...)}
	return s, s.start()
}

// start starts the process, also after kill, and returns when it answers.
func (s *redisServer) start() error {
	cmd, err := engineCommand("redis-server", s.args...)
	if err != nil {
		return err
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	started, exited := make(chan error), make(chan struct{})
	engines.stopped.Go(func() {
		runtime.LockOSThread() // it is the parent of Pdeathsig
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	})
	if err := <-started; err != nil {
		return err
	}
	engines.Lock()
	engines.processes = append(engines.processes, cmd.Process)
	engines.Unlock()
	s.process, s.exited = cmd.Process, exited
	err = redisAnswers(s.addr, exited, func(ctx context.Context, rdb *redis.Client) error { return rdb.Ping(ctx).Err() })
	select {
	case <-exited:
		return errors.New(out.String())
	default:
		return err
	}
}

// kill is kill -9. It returns when the process is gone.
func (s *redisServer) kill() {
	_ = s.process.Kill()
	<-s.exited
}

func (s *redisServer) open(t *testing.T) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: s.addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

// redisAnswers returns when a server answers as it should, or has exited.
func redisAnswers(addr string, exited <-chan struct{}, ask func(context.Context, *redis.Client) error) error {
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer rdb.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := ask(ctx, rdb)
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			return err
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freeRedisPort returns a port that is free together with the one 10,000 above it, on
// which the nodes of a cluster talk to each other.
func freeRedisPort() (int, error) {
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		bus, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+10_000))
		if err == nil {
			err = bus.Close()
		}
		if closeErr := l.Close(); err == nil && closeErr == nil {
			return port, nil
		}
	}
	return 0, errors.New("no two free ports 10,000 apart")
}

// redisPrefixes tells the keys of tests apart that share a server.
var redisPrefixes atomic.Int64

func newRedisConfig() redisstore.Config {
	return redisstore.Config{Prefix: fmt.Sprintf("t%d:", redisPrefixes.Add(1))}
}

// newRedisStore returns an empty store in rdb.
func newRedisStore[R redisstore.Reply](t *testing.T, rdb redisstore.Client[R], clients ...*authwright.Client) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(rdb, newRedisConfig())
	require.NoError(t, err)
	for _, c := range clients {
		require.NoError(t, s.AddClient(t.Context(), c))
	}
	return s
}

// redisGrant is version 1 of a grant whose code waits to be redeemed.
func redisGrant(id string) *authwright.Grant {
	return &authwright.Grant{
		ID: id, Version: 1, Stage: authwright.StageCode, ClientID: "app", Subject: "ada",
		CreatedAt: time.Now().UTC(), ExpiresAt: time.Now().Add(time.Minute).UTC(),
	}
}

// redisRotation makes g the next version of a grant that is refreshed until end.
func redisRotation(g *authwright.Grant, end time.Time) *authwright.Grant {
	g.Version++
	g.Stage, g.ExpiresAt, g.EndsAt = authwright.StageActive, time.Now().Add(14*24*time.Hour).UTC(), end
	return g
}

func redisListed(t *testing.T, s *redisstore.Store, subject string) (ids []string) {
	t.Helper()
	grants, next, err := s.GrantsBySubject(t.Context(), subject, "", 0)
	require.NoError(t, err)
	require.Empty(t, next)
	for _, g := range grants {
		ids = append(ids, g.ID)
	}
	return ids
}

// redisEachPrimary calls f for every node that is written to.
func redisEachPrimary(t *testing.T, rdb redis.UniversalClient, f func(context.Context, *redis.Client) error) {
	t.Helper()
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		require.NoError(t, cluster.ForEachMaster(t.Context(), f))
		return
	}
	require.NoError(t, f(t.Context(), rdb.(*redis.Client)))
}

// A countedRedis counts the commands that it sends, but for scripts that a node does not
// have yet, and for the check of a node for that: other tests flush them.
type countedRedis struct {
	redis.UniversalClient
	sent *atomic.Int64
}

func (c countedRedis) Do(ctx context.Context, args ...any) *redis.Cmd {
	if args[0] != "EVAL" && args[0] != "INFO" {
		c.sent.Add(1)
	}
	return c.UniversalClient.Do(ctx, args...)
}

// A stutteringRedis sends every command twice and returns the second reply, like a
// library that tries again because the connection broke before the first.
type stutteringRedis struct{ redis.UniversalClient }

func (c stutteringRedis) Do(ctx context.Context, args ...any) *redis.Cmd {
	c.UniversalClient.Do(ctx, args...)
	return c.UniversalClient.Do(ctx, args...)
}
