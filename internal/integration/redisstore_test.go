package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/storagetest"
)

func TestRedisStore(t *testing.T) {
	t.Parallel()
	eachRedisEngine(t, func(t *testing.T, rdb redis.UniversalClient) {
		storagetest.Run(t, func(t *testing.T, clients ...*authwright.Client) authwright.Storage {
			return newRedisStore(t, rdb, clients...)
		})
		storagetest.RunStore(t, func(t *testing.T) storagetest.Store { return newRedisStore(t, rdb) })

		t.Run("D08 every key but those of permanent clients expires", func(t *testing.T) {
			var keys, lasting sync.Map
			redisEachPrimary(t, rdb, func(ctx context.Context, node *redis.Client) error {
				for i := node.Scan(ctx, 0, "*", 1000).Iterator(); i.Next(ctx); {
					kind := strings.Split(i.Val(), ":")[1]
					keys.Store(kind, true)
					if ttl := node.PTTL(ctx, i.Val()); ttl.Err() != nil {
						return ttl.Err()
					} else if ttl.Val() == -1 && kind != "client" {
						lasting.Store(i.Val(), true)
					}
				}
				return nil
			})
			for _, kind := range []string{"client", "grant", "used", "by-subject", "by-client"} {
				_, found := keys.Load(kind)
				require.True(t, found, "there must be a key of kind %s", kind)
			}
			lasting.Range(func(key, _ any) bool {
				require.Fail(t, "a key has no TTL", key)
				return true
			})
		})
	})
}

func TestRedisStoreCheck(t *testing.T) {
	t.Parallel()
	if withoutEngine("redis") {
		return
	}
	server := newRedisServer(t) // as it comes
	rdb := server.open(t)
	set := func(name, value string) { require.NoError(t, rdb.ConfigSet(t.Context(), name, value).Err()) }
	check := func(t *testing.T, want string) {
		t.Helper()
		s := newRedisStore(t, rdb)
		if want == "" {
			require.NoError(t, s.Check(t.Context()))
			require.NoError(t, s.SaveGrant(t.Context(), redisGrant("g")))
			return
		}
		require.ErrorContains(t, s.Check(t.Context()), want)
		require.ErrorContains(t, s.SaveGrant(t.Context(), redisGrant("g")), want)
		cfg := newRedisConfig()
		cfg.InsecureAcceptDataLoss = true
		s, err := redisstore.New(rdb, cfg)
		require.NoError(t, err)
		require.NoError(t, s.Check(t.Context()))
		require.NoError(t, s.SaveGrant(t.Context(), redisGrant("g")))
	}
	check(t, "appendonly yes")
	set("appendonly", "yes")
	check(t, "")
	set("maxmemory-policy", "allkeys-lru")
	check(t, "")
	set("maxmemory", "100mb")
	check(t, "has allkeys-lru")
	set("maxmemory-policy", "noeviction")
	check(t, "")

	require.NoError(t, rdb.Do(t.Context(), "ACL", "SETUSER", "mute", "on", "nopass", "~*", "+@all", "-info").Err())
	rdb = redis.NewClient(&redis.Options{Addr: server.addr, Username: "mute", Password: "any"})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	check(t, "unless Config.InsecureAcceptDataLoss is set: NOPERM")

	// A server that does not evict refuses.
	set("maxmemory", "1mb")
	s, err := redisstore.New(server.open(t), newRedisConfig())
	require.NoError(t, err)
	err = s.SaveGrant(t.Context(), redisGrant("g"))
	require.ErrorContains(t, err, "OOM")
	require.NotErrorIs(t, err, authwright.ErrConflict)
}

func TestRedisStoreScriptFlush(t *testing.T) {
	t.Parallel()
	eachRedisEngine(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newRedisStore(t, rdb)
		for i := range 20 {
			g := redisGrant(fmt.Sprint("g", i))
			for range 3 {
				redisEachPrimary(t, rdb, func(ctx context.Context, node *redis.Client) error { return node.ScriptFlush(ctx).Err() })
				require.NoError(t, s.SaveGrant(t.Context(), g))
				require.ErrorIs(t, s.SaveGrant(t.Context(), g), authwright.ErrConflict)
				require.Len(t, redisListed(t, s, "ada"), i+1)
				redisRotation(g, time.Now().Add(30*24*time.Hour))
			}
		}
	})
}

func TestRedisStoreCorruptRecord(t *testing.T) {
	t.Parallel()
	eachRedisEngine(t, func(t *testing.T, rdb redis.UniversalClient) {
		cfg := newRedisConfig()
		s, err := redisstore.New(rdb, cfg)
		require.NoError(t, err)
		key := cfg.Prefix + "grant:{g}"
		require.NoError(t, s.SaveGrant(t.Context(), redisGrant("g")))
		record := rdb.Get(t.Context(), key).Val()
		for _, corrupt := range []string{"", "x", record[:20], record[:len(record)-1], "{}", strings.Repeat("1 ", 200)} {
			require.NoError(t, rdb.Set(t.Context(), key, corrupt, redis.KeepTTL).Err())
			_, err := s.Grant(t.Context(), "g")
			require.ErrorContains(t, err, "corrupt", corrupt)
			_, _, err = s.GrantsByClient(t.Context(), "app", "", 0)
			require.ErrorContains(t, err, "corrupt", corrupt)
			if corrupt != "" {
				require.ErrorIs(t, s.SaveGrant(t.Context(), redisGrant("g")), authwright.ErrConflict, corrupt)
			}
		}
		require.NoError(t, rdb.Set(t.Context(), key, record, redis.KeepTTL).Err())
		require.NoError(t, s.SaveGrant(t.Context(), redisRotation(redisGrant("g"), time.Now().Add(time.Hour))))
	})
}

// A server that is killed takes nothing back, and a store works on without a restart.
func TestRedisStoreOutage(t *testing.T) {
	t.Parallel()
	if withoutEngine("redis") {
		return
	}
	server := newRedisServer(t, durable...)
	s := newRedisStore(t, server.open(t))
	const codes = 300
	end := time.Now().Add(30 * 24 * time.Hour)
	for i := range codes {
		g := redisGrant(fmt.Sprint("g", i))
		require.NoError(t, s.SaveGrant(t.Context(), g))
		require.NoError(t, s.SaveGrant(t.Context(), redisRotation(g, end)))
	}
	require.NoError(t, s.UseOnce(t.Context(), "key", end))
	server.kill()

	_, clientErr := s.Client(t.Context(), "app")
	_, grantErr := s.Grant(t.Context(), "g0")
	_, _, listErr := s.GrantsBySubject(t.Context(), "ada", "", 0)
	fresh := newRedisStore(t, server.open(t))
	for method, err := range map[string]error{
		"Client": clientErr, "Grant": grantErr, "GrantsBySubject": listErr,
		"SaveGrant": s.SaveGrant(t.Context(), redisGrant("new")), "UseOnce": s.UseOnce(t.Context(), "key", end),
		"DeleteClient": s.DeleteClient(t.Context(), "app"), "Check": fresh.Check(t.Context()),
	} {
		require.ErrorContains(t, err, "connection refused", method)
		require.NotErrorIs(t, err, authwright.ErrNotFound, method)
		require.NotErrorIs(t, err, authwright.ErrConflict, method)
	}

	require.NoError(t, server.start())
	require.Eventually(t, func() bool { return s.Check(context.Background()) == nil }, 10*time.Second, 20*time.Millisecond, "the pool notices within a second")
	for i := range codes {
		g := redisRotation(redisGrant(fmt.Sprint("g", i)), end)
		require.ErrorIs(t, s.SaveGrant(t.Context(), g), authwright.ErrConflict, "a spent code came back")
	}
	require.ErrorIs(t, s.UseOnce(t.Context(), "key", end), authwright.ErrConflict)
	require.Len(t, redisListed(t, s, "ada"), codes)
	require.NoError(t, fresh.SaveGrant(t.Context(), redisGrant("new")))
}

func TestRedisStoreRoundTrips(t *testing.T) {
	t.Parallel()
	eachRedisEngine(t, func(t *testing.T, rdb redis.UniversalClient) {
		var sent atomic.Int64
		cfg := newRedisConfig()
		s, err := redisstore.New(countedRedis{rdb, &sent}, cfg)
		require.NoError(t, err)
		require.NoError(t, s.Check(t.Context()))
		day := 24 * time.Hour
		save := func(g *authwright.Grant) int64 {
			t.Helper()
			sent.Store(0)
			require.NoError(t, s.SaveGrant(t.Context(), g))
			n := sent.Load()
			// However it got there, its entry outlives its record.
			for _, index := range []string{"by-subject:{" + g.Subject + "}", "by-client:{" + g.ClientID + "}"} {
				until := rdb.ZScore(t.Context(), cfg.Prefix+index, g.ID).Val()
				require.Greater(t, until, float64(g.ExpiresAt.Add(time.Minute).UnixMilli()))
				expires := rdb.PExpireTime(t.Context(), cfg.Prefix+index).Val()
				require.GreaterOrEqual(t, float64(expires.Milliseconds()), until)
			}
			kept := rdb.PExpireTime(t.Context(), cfg.Prefix+"grant:{"+url.QueryEscape(g.ID)+"}").Val()
			require.InDelta(t, g.ExpiresAt.Add(time.Minute).UnixMilli(), kept.Milliseconds(), 1, "a clock may be fast")
			return n
		}
		g := redisGrant("g")
		require.EqualValues(t, 3, save(g), "a code is indexed first")
		end := time.Now().Add(90 * day)
		require.EqualValues(t, 1, save(redisRotation(g, end)), "a redemption")
		for range 3 {
			require.EqualValues(t, 1, save(redisRotation(g, end)), "a rotation")
		}
		index := rdb.ZScore(t.Context(), cfg.Prefix+"by-subject:{ada}", g.ID).Val()
		late := redisGrant(g.ID)
		late.Stage = authwright.StageConsent
		require.ErrorIs(t, s.SaveGrant(t.Context(), late), authwright.ErrConflict)
		require.Equal(t, index, rdb.ZScore(t.Context(), cfg.Prefix+"by-subject:{ada}", g.ID).Val(), "a save that loses shortens nothing")
		g.Version, g.Stage, g.ExpiresAt = g.Version+1, authwright.StageRevoked, end.Add(11*time.Minute)
		require.EqualValues(t, 1, save(g), "a revocation, even after the last moment")

		g = redisGrant("longer than foreseen")
		require.EqualValues(t, 3, save(g))
		require.EqualValues(t, 1, save(redisRotation(g, end.Add(365*day))))
		g.Version, g.ExpiresAt = g.Version+1, end.Add(20*day)
		require.EqualValues(t, 4, save(g), "refused, indexed, saved")
		g.Version, g.ExpiresAt = g.Version+1, end.Add(365*day)
		require.EqualValues(t, 1, save(g), "once is enough")

		g.Version++
		g.Subject = "bob"
		require.EqualValues(t, 4, save(g), "somebody else's now")
		require.Equal(t, []string{g.ID}, redisListed(t, s, "bob"))
		require.NotContains(t, redisListed(t, s, "ada"), g.ID)
	})
}

func TestRedisStoreSentTwice(t *testing.T) {
	t.Parallel()
	eachRedisEngine(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newRedisStore(t, stutteringRedis{rdb})
		g := redisGrant("g")
		for range 3 {
			require.NoError(t, s.SaveGrant(t.Context(), g))
			require.ErrorIs(t, s.SaveGrant(t.Context(), g), authwright.ErrConflict, "another call with the same content")
			redisRotation(g, time.Now().Add(time.Hour))
		}
		until := time.Now().Add(time.Hour)
		require.NoError(t, s.UseOnce(t.Context(), "key", until))
		require.ErrorIs(t, s.UseOnce(t.Context(), "key", until), authwright.ErrConflict)
	})
}

func TestRedisStoreClientExpires(t *testing.T) {
	t.Parallel()
	eachRedisEngine(t, func(t *testing.T, rdb redis.UniversalClient) {
		cfg := newRedisConfig()
		s, err := redisstore.New(rdb, cfg)
		require.NoError(t, err)
		key := cfg.Prefix + "client:{app}"
		c := &authwright.Client{ID: "app", RedirectURIs: []string{"https://app.example/cb"}, ExpiresAt: time.Now().Add(time.Hour).UTC()}
		expires := func() int64 { return rdb.PExpireTime(t.Context(), key).Val().Milliseconds() }
		within := func() { t.Helper(); require.InDelta(t, c.ExpiresAt.UnixMilli(), expires(), 1) }

		require.NoError(t, s.AddClient(t.Context(), c))
		within()
		c.ExpiresAt = time.Time{}
		require.NoError(t, s.UpdateClient(t.Context(), c))
		require.Equal(t, time.Duration(-1), rdb.PTTL(t.Context(), key).Val(), "permanent again")
		c.ExpiresAt = time.Now().Add(2 * time.Hour).UTC()
		require.NoError(t, s.UpdateClient(t.Context(), c))
		within()
		c.ExpiresAt = time.Now().Add(20 * time.Millisecond).UTC()
		require.NoError(t, s.UpdateClient(t.Context(), c))
		require.Eventually(t, func() bool {
			_, err := s.Client(context.Background(), "app")
			return errors.Is(err, authwright.ErrNotFound)
		}, 5*time.Second, 5*time.Millisecond)
		c.ExpiresAt = time.Time{}
		require.ErrorIs(t, s.UpdateClient(t.Context(), c), authwright.ErrNotFound)
		require.NoError(t, s.AddClient(t.Context(), c))
	})
}

// What is past leaves the indexes with the next that comes.
func TestRedisStoreIndexIsBounded(t *testing.T) {
	t.Parallel()
	eachRedisEngine(t, func(t *testing.T, rdb redis.UniversalClient) {
		cfg := newRedisConfig()
		s, err := redisstore.New(rdb, cfg)
		require.NoError(t, err)
		index := cfg.Prefix + "by-client:{app}"
		for i := range 250 { // as if they had been there for months
			require.NoError(t, rdb.ZAdd(t.Context(), index, redis.Z{Score: 1e12, Member: fmt.Sprint("g", i)}).Err())
		}
		for i, want := range []int64{151, 52, 3, 4} {
			require.NoError(t, s.SaveGrant(t.Context(), redisGrant(fmt.Sprint("new", i))))
			require.Equal(t, want, rdb.ZCard(t.Context(), index).Val())
		}
	})
}

// The order of an index is by time, and nothing keeps grants from ending at the same one.
func TestRedisStorePagesOfTheSameTime(t *testing.T) {
	t.Parallel()
	eachRedisEngine(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newRedisStore(t, rdb)
		want := make(map[string]int)
		g := redisGrant("")
		for _, g.ExpiresAt = range []time.Time{g.ExpiresAt, g.ExpiresAt.Add(time.Hour), g.ExpiresAt.Add(2 * time.Hour)} {
			for range 7 {
				g.ID = fmt.Sprint(len(want))
				want[g.ID] = 1
				require.NoError(t, s.SaveGrant(t.Context(), g))
			}
		}
		for limit := range 22 {
			got := make(map[string]int)
			for page, more := "", true; more; more = page != "" {
				grants, next, err := s.GrantsBySubject(t.Context(), "ada", page, limit+1)
				require.NoError(t, err)
				require.LessOrEqual(t, len(grants), limit+1)
				for _, g := range grants {
					got[g.ID]++
				}
				page = next
			}
			require.Equal(t, want, got, limit)
		}
	})
}
