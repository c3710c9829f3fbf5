package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/redisstore"
)

// A failoverEngine is several Redis servers of one test. When a primary is gone, one of
// its replicas is promoted.
type failoverEngine struct {
	primaries int
	nodes     []*failoverNode
	sentinels []*redis.Client
	open      func(t *testing.T) redis.UniversalClient
}

type failoverNode struct {
	*redisServer
	rdb   *redis.Client
	known string     // the address by which the others know it
	proxy *toxiproxy // at that address, if there is one
}

// A failoverRole is what a node says of itself.
type failoverRole struct {
	primary  bool
	replicas int    // of a primary: to so many it sends its writes
	follows  string // of a replica: the address of its primary
}

func (n *failoverNode) role(ctx context.Context) (failoverRole, error) {
	text, err := n.rdb.Info(ctx, "replication").Result()
	if err != nil {
		return failoverRole{}, err
	}
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[name] = value
	}
	// A replica says that its link is up some time before it is sent anything by it.
	return failoverRole{info["role"] == "master", strings.Count(text, ",state=online,"), info["master_host"] + ":" + info["master_port"]}, nil
}

// store returns a store on e that waits for so many replicas.
func (e *failoverEngine) store(t *testing.T, wait int) *redisstore.Store {
	t.Helper()
	cfg := newRedisConfig()
	if wait > 0 {
		cfg.WaitReplicas, cfg.WaitTimeout = wait, 500*time.Millisecond
		s, err := redisstore.NewWaiting(e.open(t), cfg)
		require.NoError(t, err)
		return s
	}
	s, err := redisstore.New(e.open(t), cfg)
	require.NoError(t, err)
	return s
}

// await returns when there are as many primaries as there should be among the nodes other
// than gone, and all others follow one of them.
func (e *failoverEngine) await(t *testing.T, gone *failoverNode) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		if err = e.whole(gone); err == nil {
			return
		}
	}
	require.NoError(t, err, "after a minute")
}

func (e *failoverEngine) whole(gone *failoverNode) error {
	primaries, followed, replicas := make(map[string]bool), make(map[string]bool), 0
	for _, n := range e.nodes {
		if n == gone {
			continue
		}
		r, err := n.role(context.Background())
		switch {
		case err != nil:
			return err
		case r.primary:
			primaries[n.known], replicas = true, replicas+r.replicas
		default:
			followed[r.follows] = true
			replicas--
		}
	}
	if len(primaries) != e.primaries || replicas != 0 {
		return fmt.Errorf("the primaries are %v, and send to %+d replicas more than there are", primaries, replicas)
	}
	for addr := range followed {
		if !primaries[addr] {
			return fmt.Errorf("%s is followed and no primary", addr)
		}
	}
	return nil
}

// primary returns a node that is written to.
func (e *failoverEngine) primary(t *testing.T) *failoverNode {
	t.Helper()
	for _, n := range e.nodes {
		if r, err := n.role(t.Context()); err == nil && r.primary {
			return n
		}
	}
	require.Fail(t, "there is no primary")
	return nil
}

// add starts a node. If it is to be cut off, all but clients reach it through a proxy.
func (e *failoverEngine) add(t *testing.T, cut bool, args ...string) *failoverNode {
	t.Helper()
	n := &failoverNode{known: lastingBusAddr(t)}
	n.redisServer = &redisServer{addr: n.known}
	if cut {
		n.proxy = newToxiproxy(t, n.addr)
		n.known = n.proxy.listen
		host, port, _ := strings.Cut(n.known, ":")
		args = append([]string{"--replica-announce-ip", host, "--replica-announce-port", port}, args...)
	}
	s, err := startRedisAt(n.addr, args...)
	require.NoError(t, err, "redis is needed: apt-get install redis-server")
	t.Cleanup(s.kill)
	n.redisServer, n.rdb = s, s.open(t)
	e.nodes = append(e.nodes, n)
	return n
}

// lastingBusAddr is a lastingAddr of which that is true as well 10,000 above, where nodes
// of a cluster talk to each other.
func lastingBusAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := 20_000 + rand.IntN(2_700)
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			bus, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+10_000))
			if err == nil {
				err = bus.Close()
			}
			if errors.Join(err, l.Close()) == nil {
				return fmt.Sprint("127.0.0.1:", port)
			}
		}
	}
	require.Fail(t, "no free port")
	return ""
}

// newFailoverCluster starts three primaries with a replica each.
func newFailoverCluster(t *testing.T) *failoverEngine {
	t.Helper()
	e := &failoverEngine{primaries: 3}
	var addrs []string
	for range 6 {
		addrs = append(addrs, e.add(t, false, clustered("1500")...).addr)
	}
	require.NoError(t, joinRedisCluster(addrs))
	e.open = func(t *testing.T) redis.UniversalClient {
		rdb := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: addrs, ContextTimeoutEnabled: true,
			ClusterStateReloadInterval: time.Second, // by default it may take a minute to notice
		})
		t.Cleanup(func() { require.NoError(t, rdb.Close()) })
		return rdb
	}
	e.await(t, nil)
	return e
}

// newFailoverSentinels starts a primary with two replicas, and three sentinels.
func newFailoverSentinels(t *testing.T, cut bool, args ...string) *failoverEngine {
	t.Helper()
	e := &failoverEngine{primaries: 1}
	for range 3 {
		e.add(t, cut, append(args, replicated...)...)
	}
	host, port, _ := strings.Cut(e.nodes[0].known, ":")
	for _, n := range e.nodes[1:] {
		require.NoError(t, n.rdb.ReplicaOf(t.Context(), host, port).Err())
	}
	e.await(t, nil)
	sentinels := e.watch(t, host, port)
	e.open = func(t *testing.T) redis.UniversalClient {
		opt := &redis.FailoverOptions{MasterName: "it", SentinelAddrs: sentinels, ContextTimeoutEnabled: true}
		if cut {
			opt.Dialer = e.dial
		}
		rdb := redis.NewFailoverClient(opt)
		t.Cleanup(func() { require.NoError(t, rdb.Close()) })
		return rdb
	}
	return e
}

// dial connects a client to what others call addr, and goes round the proxy.
func (e *failoverEngine) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	for _, n := range e.nodes {
		if n.known == addr {
			addr = n.addr
		}
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// watch starts three sentinels that watch the primary at host and port, and returns when
// they know its two replicas and each other.
func (e *failoverEngine) watch(t *testing.T, host, port string) (addrs []string) {
	t.Helper()
	for range 3 {
		folder, err := engineFolder()
		require.NoError(t, err)
		addr, file := lastingAddr(t), filepath.Join(folder, "sentinel.conf")
		_, own, _ := strings.Cut(addr, ":")
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "bind 127.0.0.1\nport %s\ndir %s\n"+
			"sentinel monitor it %s %s 2\nsentinel down-after-milliseconds it 2000\nsentinel failover-timeout it 3000\n",
			own, folder, host, port), 0o600))
		require.NoError(t, ownEngine(file))
		s := &redisServer{addr: addr, args: []string{file, "--sentinel"}}
		require.NoError(t, s.start())
		t.Cleanup(s.kill)
		addrs, e.sentinels = append(addrs, addr), append(e.sentinels, s.open(t))
	}
	for _, rdb := range e.sentinels {
		// They look around more often than by default, and do not pause for half a minute
		// because the machine was busy.
		require.NoError(t, rdb.Do(t.Context(), "SENTINEL", "DEBUG", "PUBLISH-PERIOD", "500", "INFO-PERIOD", "1000", "TILT-PERIOD", "1000").Err())
	}
	e.agree(t, host+":"+port)
	return addrs
}

// agree returns when all sentinels know that the primary is at addr, and of its two replicas
// and each other, and none of them replaces it.
func (e *failoverEngine) agree(t *testing.T, addr string) {
	t.Helper()
	for _, rdb := range e.sentinels {
		require.Eventually(t, func() bool {
			cmd := redis.NewMapStringStringCmd(context.Background(), "SENTINEL", "MASTER", "it")
			err := rdb.Process(context.Background(), cmd)
			says := cmd.Val()
			return err == nil && says["ip"]+":"+says["port"] == addr && says["flags"] == "master" && says["num-slaves"] == "2" && says["num-other-sentinels"] == "2"
		}, time.Minute, 20*time.Millisecond)
	}
}
