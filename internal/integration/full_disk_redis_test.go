package integration_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
)

// Redis keeps what it could not write to its log, says so of every write after that, and
// writes it when there is space. Then it may be killed.
func TestRedisStoreFullDisk(t *testing.T) {
	t.Parallel()
	if withoutEngine("redis") {
		return
	}
	r := newDurableRedis(t)
	rdb := r.open(t)
	require.NoError(t, rdb.ConfigSet(t.Context(), "appendfsync", "everysec").Err()) // with always, it exits
	s, err := redisstore.New(rdb, newRedisConfig())
	require.NoError(t, err)
	c := newLocalCrowd(t, s, s, func(cfg *authwright.Config) { cfg.RequestTimeout = 10 * time.Second })
	lives, grants := livesAmongGrants(t, c, s)

	folder := rdb.ConfigGet(t.Context(), "dir").Val()["dir"]
	logs, err := filepath.Glob(filepath.Join(folder, "appendonlydir", "*.incr.aof"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	const cause = "No space left on device"
	free := failCalls(t, &proofProcess{process: r.process}, "-e", "inject=write:error=ENOSPC", "-P", logs[0])
	growUntilFull(t, s, cause, grants)
	for kind, outcomes := range presentOnce(t, c, lives) {
		require.Equal(t, map[outcome]int{unavailable: len(lives) / 2}, outcomes, kind)
	}
	requireStored(t, s, grants, nil)

	free()
	// Or it might put off what it writes while a file is on its way to the disk.
	require.NoError(t, rdb.ConfigSet(t.Context(), "appendfsync", "always").Err())
	require.Eventually(t, func() bool {
		grants[0].Version++
		if s.SaveGrant(t.Context(), grants[0]) == nil {
			return true
		}
		grants[0].Version--
		return false
	}, 10*time.Second, 10*time.Millisecond)
	r.kill()
	require.NoError(t, r.start())
	requireStored(t, s, grants, nil)
	for _, l := range lives {
		require.NoError(t, c.end(l))
	}
	requireLinearizable(t, c.history)
}
