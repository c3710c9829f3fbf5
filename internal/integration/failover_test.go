package integration_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A primary goes while clients work, and a replica is promoted. The server answers 503
// meanwhile, and goes on by itself. Then the primary comes back and is a replica.
//
// A store that waits for all replicas loses nothing that was acknowledged. Without, as in a
// Cluster, a primary that is killed takes the last write of each client at most, since the
// one before was on its way to the replicas before the client could send the next. All else
// is measured and not bounded.
//
// AUTHWRIGHT_FAILOVERS is how many primaries go in each case. Without it, one goes in those
// that CI has time for. The figures are in docs/storage.md.
func TestFailover(t *testing.T) {
	t.Parallel()
	n := failoverCount(t)
	lag := []string{"--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"}
	for _, tt := range []struct {
		name    string
		ci      bool
		cluster bool
		take    taking
		wait    int // for so many of two replicas
		args    []string
	}{
		{name: "Cluster, killed", take: killed, cluster: true, ci: true},
		{name: "Sentinel, killed", take: killed},
		{name: "Sentinel, killed, WAIT 1", take: killed, wait: 1},
		{name: "Sentinel, killed, WAIT 2", take: killed, wait: 2, ci: true},
		{name: "Sentinel, cut off", take: cutOff},
		{name: "Sentinel, cut off, min-replicas-to-write", take: cutOff, args: lag},
		{name: "Sentinel, cut off, WAIT 1", take: cutOff, wait: 1},
		{name: "Sentinel, cut off, WAIT 2", take: cutOff, wait: 2},
		{name: "Sentinel, replaced", take: replaced},
	} {
		if n == 0 && !tt.ci || withoutEngine(map[bool]string{false: "redis", true: "redis-cluster"}[tt.cluster]) {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			if n == 0 {
				t.Parallel()
			}
			var e *failoverEngine
			if tt.cluster {
				e = newFailoverCluster(t)
			} else {
				e = newFailoverSentinels(t, strings.Contains(tt.name, "cut off"), tt.args...)
			}
			sum := surviveFailovers(t, e, tt.wait, tt.take, max(n, 1))
			t.Log(sum)
			if tt.wait == 2 {
				require.Zero(t, sum.Lost)
			}
			if tt.cluster {
				require.LessOrEqual(t, sum.Worst, deskCount)
			}
		})
	}
}

func failoverCount(t *testing.T) int {
	t.Helper()
	text := os.Getenv("AUTHWRIGHT_FAILOVERS")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "AUTHWRIGHT_FAILOVERS")
	return n
}

// A taking takes a primary away, and returns what gives it back.
type taking func(*testing.T, *failoverEngine, *failoverNode) (giveBack func() error)

// killed is kill -9.
func killed(_ *testing.T, _ *failoverEngine, n *failoverNode) func() error {
	n.kill()
	return n.start
}

// cutOff takes a primary away from its replicas and the sentinels, by a network in which
// packets vanish, but not from clients: they go on until a sentinel tells them not to.
func cutOff(t *testing.T, _ *failoverEngine, n *failoverNode) func() error {
	n.proxy.t = t
	for _, stream := range []string{"upstream", "downstream"} {
		n.proxy.call(http.MethodPost, "/toxics", map[string]any{"name": stream, "type": "timeout", "stream": stream, "attributes": map[string]int{"timeout": 0}})
	}
	return func() error {
		n.proxy.enable(false) // what has vanished is not made up for in the same connection
		for _, stream := range []string{"upstream", "downstream"} {
			n.proxy.call(http.MethodDelete, "/toxics/"+stream, nil)
		}
		n.proxy.enable(true)
		return nil
	}
}

// replaced lets the sentinels replace a primary that is well, as they also do when it is
// slow to answer them. It goes on until it is told, with the replica that was not promoted.
func replaced(t *testing.T, e *failoverEngine, n *failoverNode) func() error {
	e.agree(t, n.known) // or they might go on with an earlier one
	require.NoError(t, e.sentinels[0].Do(t.Context(), "SENTINEL", "FAILOVER", "it").Err())
	return func() error { return nil }
}

// Only the first primary is checked before anything is written. One that is promoted later does
// not have the scripts of the store, which checks it for that.
func TestFailoverToReplicaThatForgets(t *testing.T) {
	t.Parallel()
	if withoutEngine("redis") {
		return
	}
	primary, replica := newRedisServer(t, replicated...), newRedisServer(t, "--save", "", "--repl-diskless-sync-delay", "0")
	host, port, _ := strings.Cut(primary.addr, ":")
	copied := replica.open(t)
	require.NoError(t, copied.ReplicaOf(t.Context(), host, port).Err())
	var address atomic.Value // as behind a name or a proxy
	address.Store(primary.addr)
	rdb := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true, Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address.Load().(string))
	}})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	s := newRedisStore(t, rdb)
	g := redisGrant("g")
	require.NoError(t, s.SaveGrant(t.Context(), g))
	require.Eventually(t, func() bool {
		return copied.DBSize(context.Background()).Val() == rdb.DBSize(context.Background()).Val()
	}, time.Minute, 5*time.Millisecond)

	primary.kill()
	require.NoError(t, copied.ReplicaOf(t.Context(), "NO", "ONE").Err())
	address.Store(replica.addr)
	require.Eventually(t, func() bool { return rdb.Ping(context.Background()).Err() == nil }, time.Minute, 5*time.Millisecond)
	redisRotation(g, time.Now().Add(time.Hour))
	require.ErrorContains(t, s.SaveGrant(t.Context(), g), "appendonly yes")
	_, err := s.Grant(t.Context(), "g")
	require.ErrorContains(t, err, "appendonly yes")
	require.NoError(t, copied.ConfigSet(t.Context(), "appendonly", "yes").Err())
	require.NoError(t, s.SaveGrant(t.Context(), g), "without a restart")
}
