package integration_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/sqlstore"
)

// throughputTime is how long each measurement runs and how often: AUTHWRIGHT_THROUGHPUT and
// five times, or once for a moment that shows no more than that the measuring works.
func throughputTime(t *testing.T) (d time.Duration, rounds int) {
	t.Helper()
	text := os.Getenv("AUTHWRIGHT_THROUGHPUT")
	if text == "" {
		return 200 * time.Millisecond, 1
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "AUTHWRIGHT_THROUGHPUT")
	return d, 5
}

const (
	throughputGrants      = 10_000
	throughputConnections = 16
)

// A speed is how many pairs were done in a second, and the microseconds that this process
// computed for each, which the work of others on the machine disturbs less.
type speed struct{ perSecond, cpu float64 }

// A pair is what a redemption or a refresh does with the storage: read a grant and save it.
// Each way of doing so is measured in turn, several times, with 16 connections: the tool
// that comes with the database, the driver alone, and the store.
type pairing struct{ tool, driver, store func(*testing.T) speed }

func (p pairing) measure(t *testing.T, name string) {
	t.Helper()
	_, rounds := throughputTime(t)
	var best [3]speed
	for range rounds {
		for i, f := range []func(*testing.T) speed{p.tool, p.driver, p.store} {
			if v := f(t); v.perSecond > best[i].perSecond {
				best[i] = v
			}
		}
	}
	tool, driver, store := best[0], best[1], best[2]
	t.Logf("%s: tool %.0f, driver %.0f, store %.0f pairs/s; store/tool %.2f, store/driver %.2f; CPU of each, driver %.0f µs, store %.0f µs", name,
		tool.perSecond, driver.perSecond, store.perSecond, store.perSecond/tool.perSecond, store.perSecond/driver.perSecond, driver.cpu, store.cpu)
}

// These ratios stand in docs/storage.md. It measures, so it does not run beside other tests.
func TestThroughput(t *testing.T) {
	for name, run := range map[string]func(*testing.T){"postgresql": throughputOfPostgres, "redis": throughputOfRedis} {
		if !withoutEngine(name) {
			t.Run(name, run)
		}
	}
}

// pairs calls f with IDs that begin with first, from as many goroutines as there are
// connections.
func pairs(t *testing.T, first string, f func(ctx context.Context, id string) error) speed {
	t.Helper()
	var done atomic.Int64
	errs := make([]error, throughputConnections)
	end, _ := throughputTime(t)
	begin, computed := time.Now(), computing(t)
	var wg sync.WaitGroup
	for k := range throughputConnections {
		wg.Go(func() {
			for errs[k] == nil && time.Since(begin) < end {
				errs[k] = f(t.Context(), throughputID(first, rand.IntN(throughputGrants)))
				done.Add(1)
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	n := float64(done.Load())
	return speed{n / time.Since(begin).Seconds(), float64((computing(t) - computed).Microseconds()) / n}
}

// computing is how long this process has computed so far.
func computing(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// throughputID is such as the tools can make up: redis-benchmark begins them with zeros,
// pgbench does not.
func throughputID(first string, i int) string { return fmt.Sprintf("%s%011d", first, i) }

// saveNext is the pair through a store. Whoever loses against another goroutine has
// written as well, and counts.
func saveNext(s authwright.Storage) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		g, err := s.Grant(ctx, id)
		if err != nil {
			return err
		}
		g.Version++
		if err = s.SaveGrant(ctx, g); err == authwright.ErrConflict {
			return nil
		}
		return err
	}
}

func fillForThroughput(t *testing.T, first string, s authwright.Storage) {
	t.Helper()
	require.NoError(t, atDesks(throughputGrants, func(i int) error {
		g := growthGrant(i)
		g.ID = throughputID(first, i)
		return s.SaveGrant(context.Background(), g)
	}))
}

func throughputOfPostgres(t *testing.T) {
	p := newDurablePostgres(t)
	db := openSQL(t, "pgx", p.dsn())
	db.SetMaxOpenConns(throughputConnections)
	s := newSQLStore(t, db, sqlstore.Config{Dialect: sqlstore.Postgres})
	fillForThroughput(t, "1", s)
	folder, err := engineFolder() // pgbench runs as nobody
	require.NoError(t, err)
	script := filepath.Join(folder, "pairs.sql")
	const read = "SELECT id, version, stage, client_id, subject, created_at, expires_at, data FROM authwright_grants WHERE id = "
	const save = "UPDATE authwright_grants SET version = %s, stage = %s, client_id = %s, subject = %s," +
		" created_at = %s, expires_at = %s, data = %s WHERE id = %s AND version = %s"
	require.NoError(t, os.WriteFile(script, []byte(`\set i random(0, `+strconv.Itoa(throughputGrants-1)+`)
\set key 100000000000 + :i
`+read+":key \\gset\n\\set next :version + 1\n"+
		fmt.Sprintf(save, ":next", ":stage", ":client_id", ":subject", ":created_at", ":expires_at", ":data", ":key", ":version")+";\n"), 0o644))
	for _, commit := range []string{"on", "off"} {
		require.NoError(t, setting(db, "ALTER SYSTEM SET synchronous_commit = on", "ALTER SYSTEM SET synchronous_commit = off")(commit == "on"))
		_, err := db.Exec("SELECT pg_reload_conf()")
		require.NoError(t, err)
		pairing{
			tool: func(t *testing.T) speed {
				host, port, _ := strings.Cut(p.address(), ":")
				seconds, _ := throughputTime(t)
				out := toolOutput(t, "pgbench", "-n", "-M", "prepared", "-c", strconv.Itoa(throughputConnections), "-j", "2", "-T",
					strconv.Itoa(int(max(seconds, time.Second).Seconds())), "-f", script, "-h", host, "-p", port, "-U", "postgres", "postgres")
				return speed{perSecond: figure(t, `tps = ([0-9.]+)`, out)}
			},
			driver: func(t *testing.T) speed { return pairs(t, "1", bareSQL(db, read, save)) },
			store:  func(t *testing.T) speed { return pairs(t, "1", saveNext(s)) },
		}.measure(t, "PostgreSQL, synchronous_commit="+commit)
	}
}

// bareSQL is the pair with the statements alone.
func bareSQL(db *sql.DB, read, save string) func(context.Context, string) error {
	read += "$1"
	save = fmt.Sprintf(save, "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9")
	return func(ctx context.Context, id string) error {
		var key, stage, client, subject, data []byte
		var version, created, expires int64
		if err := db.QueryRowContext(ctx, read, []byte(id)).Scan(&key, &version, &stage, &client, &subject, &created, &expires, &data); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, save, version+1, string(stage), client, subject, created, expires, string(data), key, version)
		return err
	}
}

func throughputOfRedis(t *testing.T) {
	server := newDurableRedis(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.addr, PoolSize: throughputConnections, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	var sent savedCommand
	s, err := redisstore.New(recordingRedis{rdb, &sent}, redisstore.Config{})
	require.NoError(t, err)
	fillForThroughput(t, "0", s)
	require.NoError(t, saveNext(s)(t.Context(), throughputID("0", 0))) // the last command is now that of a refresh
	s, err = redisstore.New(rdb, redisstore.Config{})
	require.NoError(t, err)

	save := repeatable(t, &sent)
	bare := bareRedis{rdb, save}
	require.NoError(t, atDesks(throughputGrants, func(i int) error { return bare.pair(context.Background(), throughputID("0", i)) }))
	for _, fsync := range []string{"always", "everysec"} {
		require.NoError(t, rdb.ConfigSet(t.Context(), "appendfsync", fsync).Err())
		pairing{
			tool: func(t *testing.T) speed {
				get := redisBenchmark(t, server.addr, "GET", barePrefix+"__rand_int__}")
				words := slices.Clone(save)
				words[3] = barePrefix + "__rand_int__}"
				return speed{perSecond: 1 / (1/get + 1/redisBenchmark(t, server.addr, words...))}
			},
			driver: func(t *testing.T) speed { return pairs(t, "0", bare.pair) },
			store:  func(t *testing.T) speed { return pairs(t, "0", saveNext(s)) },
		}.measure(t, "Redis, appendfsync="+fsync)
	}
}

// A savedCommand is the last command that saved a grant.
type savedCommand struct {
	sync.Mutex
	args []any
}

// repeatable makes of the command one that writes the same each time: see saveGrant in
// package redisstore.
func repeatable(t *testing.T, c *savedCommand) (words []string) {
	t.Helper()
	for _, arg := range c.args {
		words = append(words, arg.(string))
	}
	require.Len(t, words, 12)
	words[4], words[7] = "0", words[6]
	return words
}

const barePrefix = "bare:grant:{"

// bareRedis is the pair with the commands alone.
type bareRedis struct {
	rdb  *redis.Client
	save []string
}

func (b bareRedis) pair(ctx context.Context, id string) error {
	args := make([]any, len(b.save))
	for i, word := range b.save {
		args[i] = word
	}
	args[3] = barePrefix + id + "}"
	if err := b.rdb.Do(ctx, "GET", args[3]).Err(); err != nil && err != redis.Nil {
		return err
	}
	return b.rdb.Do(ctx, args...).Err()
}

type recordingRedis struct {
	*redis.Client
	saved *savedCommand
}

func (r recordingRedis) Do(ctx context.Context, args ...any) *redis.Cmd {
	if len(args) == 12 && args[0] == "EVALSHA" {
		r.saved.Lock()
		r.saved.args = args
		r.saved.Unlock()
	}
	return r.Client.Do(ctx, args...)
}

// redisBenchmark returns how often per second a command was answered.
func redisBenchmark(t *testing.T, addr string, words ...string) float64 {
	t.Helper()
	host, port, _ := strings.Cut(addr, ":")
	seconds, _ := throughputTime(t)
	out := toolOutput(t, "redis-benchmark", append([]string{"-h", host, "-p", port, "-c", strconv.Itoa(throughputConnections),
		"-n", strconv.Itoa(int(10_000 * seconds.Seconds())), "-r", strconv.Itoa(throughputGrants), "-q"}, words...)...)
	return figure(t, `([0-9.]+) requests per second`, out)
}

func toolOutput(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd, err := engineCommand(program, args...)
	require.NoError(t, err)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func figure(t *testing.T, pattern, text string) float64 {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, m, text)
	f, err := strconv.ParseFloat(m[1], 64)
	require.NoError(t, err)
	return f
}
