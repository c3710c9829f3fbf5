package integration_test

import (
	"context"
	"fmt"
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

func TestRedisStoreWaitsForReplica(t *testing.T) {
	t.Parallel()
	if withoutEngine("redis") {
		return
	}
	primary, replica := newRedisServer(t, replicated...), newRedisServer(t, replicated...)
	host, port, _ := strings.Cut(primary.addr, ":")
	rdb, copied := primary.open(t), replica.open(t)
	require.NoError(t, copied.ReplicaOf(t.Context(), host, port).Err())

	cfg := newRedisConfig()
	cfg.WaitReplicas, cfg.WaitTimeout = 1, 500*time.Millisecond
	s, err := redisstore.NewWaiting(rdb, cfg)
	require.NoError(t, err)
	require.NoError(t, s.Check(t.Context()))
	for i := 0; ; i++ { // until the replica has connected
		if err = s.SaveGrant(t.Context(), redisGrant(fmt.Sprint("first", i))); err == nil {
			break
		}
		require.ErrorContains(t, err, "0 of 1 replicas")
		require.Less(t, i, 60)
	}
	var saves sync.WaitGroup
	var missing atomic.Int64
	for i := range 16 {
		saves.Go(func() {
			for j := range 25 {
				id := fmt.Sprint("g", i, "-", j)
				if err := s.SaveGrant(context.Background(), redisGrant(id)); err != nil || copied.Exists(context.Background(), cfg.Prefix+"grant:{"+id+"}").Val() == 0 {
					missing.Add(1)
				}
			}
		})
	}
	saves.Wait()
	require.Zero(t, missing.Load(), "grants that were saved and are not on the replica")

	require.ErrorContains(t, newRedisStore(t, copied).SaveGrant(t.Context(), redisGrant("g")), "READONLY")

	replica.kill()
	err = s.SaveGrant(t.Context(), redisRotation(redisGrant("g0-0"), time.Now().Add(time.Hour)))
	require.ErrorContains(t, err, "0 of 1 replicas")
	require.NotErrorIs(t, err, authwright.ErrConflict)
	record := func(rdb *redis.Client) string {
		return rdb.GetRange(t.Context(), cfg.Prefix+"grant:{g0-0}", 0, 1).Val()
	}
	require.Equal(t, "2 ", record(rdb), "it is written")
	_, err = s.Grant(t.Context(), "g0-0")
	require.ErrorContains(t, err, "0 of 1 replicas", "what may be lost is not shown")
	_, err = s.Client(t.Context(), "app")
	require.ErrorIs(t, err, authwright.ErrNotFound, "a read of clients waits for nobody")

	require.NoError(t, replica.start())
	require.NoError(t, copied.ReplicaOf(t.Context(), host, port).Err())
	require.Eventually(t, func() bool {
		g, err := s.Grant(context.Background(), "g0-0")
		return err == nil && g.Version == 2
	}, time.Minute, 20*time.Millisecond, "a read confirms it")
	require.Equal(t, "2 ", record(copied))
}

func TestRedisStoreDoesNotWaitInCluster(t *testing.T) {
	t.Parallel()
	if withoutEngine("redis-cluster") {
		return
	}
	cfg := newRedisConfig()
	cfg.WaitReplicas, cfg.WaitTimeout = 1, time.Second
	s, err := redisstore.NewWaiting(openRedisCluster(t), cfg)
	require.NoError(t, err)
	require.ErrorContains(t, s.Check(t.Context()), "Cluster")
}
