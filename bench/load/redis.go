package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/authwright/authwright/bench/subject"
	"github.com/authwright/authwright/redisstore"
)

// A recordingRedis remembers the last EVALSHA, with which a grant was saved.
type recordingRedis struct {
	*redis.Client
	last []string
}

func (r *recordingRedis) Do(ctx context.Context, args ...any) *redis.Cmd {
	if args[0] == "EVALSHA" {
		r.last = nil
		for _, arg := range args {
			r.last = append(r.last, fmt.Sprint(arg))
		}
	}
	return r.Client.Do(ctx, args...)
}

// commandKey is where in a command that saves a grant the key is.
const commandKey = 3

// recordSave saves a grant and returns a command that does the same for any grant any number
// of times and always writes, with %s for its ID. It wants the version that it leaves behind,
// and says that the indexes have the grant for as long as is needed.
func recordSave(ctx context.Context, rdb *redis.Client) ([]string, error) {
	const before, version, needed, indexed, arguments = 4, 5, 6, 7, 12
	r := &recordingRedis{Client: rdb}
	store, err := redisstore.New(r, redisstore.Config{})
	if err != nil {
		return nil, err
	}
	g := subject.Grant(0)
	g.ID = rand.Text() // children record too
	if err := store.SaveGrant(ctx, g); err != nil {
		return nil, err
	}
	g.Version++
	if err := store.SaveGrant(ctx, g); err != nil {
		return nil, err
	}
	c := r.last
	if len(c) != arguments || c[before] != "1" || c[version] != "2" || !strings.Contains(c[commandKey], g.ID) {
		return nil, errors.New("redisstore does not save as it did when this was written")
	}
	c[commandKey] = strings.Replace(c[commandKey], g.ID, "%s", 1)
	c[version], c[indexed] = c[before], c[needed]
	return c, nil
}

// toolID is the ID of grant i of redis-benchmark, which puts twelve digits in the place of
// __rand_int__. The store has others, since what a recorded command leaves is no next version.
func toolID(i int) string { return fmt.Sprintf("%012d", i) }

// redisPair is a pair of the driver alone, with arguments that are made once.
func redisPair(ctx context.Context, rdb *redis.Client, n int) (pair, error) {
	save, err := recordSave(ctx, rdb)
	if err != nil {
		return nil, err
	}
	gets, saves := make([][]any, n), make([][]any, n)
	for i := range n {
		key := fmt.Sprintf(save[commandKey], toolID(i))
		gets[i] = []any{"GET", key}
		for _, arg := range save {
			saves[i] = append(saves[i], arg)
		}
		saves[i][commandKey] = key
	}
	return func(ctx context.Context, i int) error {
		if err := rdb.Do(ctx, gets[i]...).Err(); err != nil {
			return err
		}
		if saved, err := rdb.Do(ctx, saves[i]...).Int(); err != nil || saved != 1 {
			return errors.Join(err, fmt.Errorf("the recorded command was answered %d", saved))
		}
		return nil
	}, nil
}

// compareRedis prints what redis-benchmark, the driver and package redisstore do in the same
// Redis.
func (o *options) compareRedis(ctx context.Context, dsn string, refreshes float64) error {
	addr, _ := strings.CutPrefix(dsn, "redis:")
	rdb := openRedis(addr, o.connections)
	defer rdb.Close()
	store, err := redisstore.New(rdb, redisstore.Config{})
	if err != nil {
		return err
	}
	for _, id := range []func(int) string{toolID, grantID} {
		if err := save(ctx, store, o.grants, id); err != nil {
			return err
		}
	}
	command, err := recordSave(ctx, rdb)
	if err != nil {
		return err
	}
	command[commandKey] = fmt.Sprintf(command[commandKey], "__rand_int__")
	rates, err := o.medians(func() error { return nil },
		func() (rate, error) { return o.redisBenchmark(addr, "GET", command[commandKey]) },
		func() (rate, error) { return o.redisBenchmark(addr, command...) },
		o.children(ctx, "driver", goRedis, dsn),
		o.children(ctx, "store", goRedis, dsn),
		o.children(ctx, "store", valkeyGo, dsn))
	if err != nil {
		return err
	}
	get, set := rates[0], rates[1]
	redemption := rate{1 / (1/get.perSecond + 1/set.perSecond), get.cpu + set.cpu}
	refresh := rate{1 / (2/get.perSecond + 1/set.perSecond), 2*get.cpu + set.cpu}
	o.heading("Redis", "redis-benchmark")
	row("redis-benchmark: GET", get, 0)
	row("redis-benchmark: EVALSHA of SaveGrant", set, 0)
	row("both in turn, by calculation", redemption, 0)
	row("go-redis: GET, EVALSHA", rates[2], redemption.perSecond)
	row("redisstore on go-redis: Grant, SaveGrant", rates[3], redemption.perSecond)
	row("redisstore on valkey-go: Grant, SaveGrant", rates[4], redemption.perSecond)
	row("GET, GET, EVALSHA, by calculation", refresh, 0)
	row("refreshes over HTTP, "+o.driver, rate{perSecond: refreshes}, refresh.perSecond)
	return nil
}

var redisRate = regexp.MustCompile(`([0-9.]+) requests per second`)

func (o *options) redisBenchmark(addr string, args ...string) (rate, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return rate{}, err
	}
	requests := max(int(o.duration.Seconds()*60_000), 1000) // which is near enough to the duration
	_, clients := halves()
	out, spent, err := run(clients, "redis-benchmark", slices.Concat([]string{"-h", host, "-p", port, "-c", strconv.Itoa(o.connections), "--threads", strconv.Itoa(o.processes),
		"-n", strconv.Itoa(requests), "-r", strconv.Itoa(o.grants), "-q"}, args)...)
	if err != nil {
		return rate{}, err
	}
	rates := redisRate.FindAllStringSubmatch(out, -1)
	if rates == nil || strings.Contains(strings.ToLower(out), "error") {
		return rate{}, fmt.Errorf("redis-benchmark: %s", out)
	}
	perSecond, err := strconv.ParseFloat(rates[len(rates)-1][1], 64)
	return newRate(perSecond, spent, float64(requests)/perSecond), err
}
