package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
)

// A recordingRedis remembers the command with which a grant was saved last.
type recordingRedis struct {
	*redis.Client
	mu   sync.Mutex
	last []string
}

func (r *recordingRedis) Do(ctx context.Context, args ...any) *redis.Cmd {
	if args[0] == "EVALSHA" {
		r.mu.Lock()
		r.last = nil
		for _, arg := range args {
			r.last = append(r.last, fmt.Sprint(arg))
		}
		r.mu.Unlock()
	}
	return r.Client.Do(ctx, args...)
}

// compareRedis prints what redis-benchmark and package redisstore do in the same Redis, which
// is then idle but for them.
func (o *options) compareRedis(ctx context.Context, dsn string, storage authwright.Storage, refreshes float64) error {
	addr, _ := strings.CutPrefix(dsn, "redis:")
	rdb := &recordingRedis{Client: openRedis(addr, o.connections)}
	defer rdb.Close()
	store, err := redisstore.New(rdb, redisstore.Config{})
	if err != nil {
		return err
	}
	ids := make([]string, o.grants) // redis-benchmark puts twelve digits for a place
	for i := range ids {
		ids[i] = fmt.Sprintf("%012d", i)
	}
	if err := save(ctx, store, ids); err != nil {
		return err
	}
	g, err := store.Grant(ctx, ids[0])
	if err != nil {
		return err
	}
	g.Version++
	if err := store.SaveGrant(ctx, g); err != nil {
		return err
	}
	command, err := rdb.repeatable(ctx)
	if err != nil {
		return err
	}
	set, err := o.redisBenchmark(addr, command...)
	if err != nil {
		return err
	}
	get, err := o.redisBenchmark(addr, "GET", command[3])
	if err != nil {
		return err
	}
	alone, err := o.storeAlone(ctx, storage)
	if err != nil {
		return err
	}
	redemption, refresh := 1/(1/get+1/set), 1/(2/get+1/set)
	fmt.Printf("\n| Redis, %d connections | per second | of redis-benchmark |\n|---|--:|--:|\n", o.connections)
	fmt.Printf("| redis-benchmark: GET | %.0f | |\n| redis-benchmark: EVALSHA of SaveGrant | %.0f | |\n", get, set)
	fmt.Printf("| both in turn, by calculation | %.0f | |\n| redisstore: Grant, SaveGrant | %.0f | %.2f |\n", redemption, alone, alone/redemption)
	fmt.Printf("| GET, GET, EVALSHA, by calculation | %.0f | |\n| refreshes over HTTP | %.0f | %.2f |\n", refresh, refreshes, refreshes/refresh)
	return nil
}

// repeatable turns the command of the last save into one that can be sent for any grant any
// number of times and always writes: it asks for the version that it leaves behind, with a
// token that is never the same. Its arguments are EVALSHA, hash, 1, key, before, version,
// needed, indexed, places, token, expires and grant.
func (r *recordingRedis) repeatable(ctx context.Context) ([]string, error) {
	const key, before, version, token, arguments = 3, 4, 5, 9, 12
	const random = "__rand_int__"
	command := slices.Clone(r.last)
	if len(command) == arguments && command[before] == "1" && command[version] == "2" {
		command[key] = strings.Replace(command[key], fmt.Sprintf("%012d", 0), random, 1)
		command[version], command[token] = "1", random
		args := make([]any, arguments)
		for i, arg := range command {
			args[i] = strings.ReplaceAll(arg, random, fmt.Sprintf("%012d", 1))
		}
		// The script says 1 when it has written. It says so too, and writes nothing, for a
		// token that it has just seen; here it has not.
		if saved, err := r.Client.Do(ctx, args...).Int(); err == nil && saved == 1 {
			return command, nil
		}
	}
	return nil, errors.New("redisstore does not save as it did when this was written")
}

var redisRate = regexp.MustCompile(`([0-9.]+) requests per second`)

func (o *options) redisBenchmark(addr string, args ...string) (float64, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	requests := int(o.duration.Seconds() * 30_000) // which is near enough to the duration
	out, err := run("redis-benchmark", append([]string{"-h", host, "-p", port, "-c", strconv.Itoa(o.connections),
		"-n", strconv.Itoa(max(requests, 1000)), "-r", strconv.Itoa(o.grants), "-q"}, args...)...)
	if err != nil {
		return 0, err
	}
	if strings.Contains(strings.ToLower(out), "error") {
		return 0, fmt.Errorf("redis-benchmark: %s", out)
	}
	rates := redisRate.FindAllStringSubmatch(out, -1)
	if rates == nil {
		return 0, fmt.Errorf("redis-benchmark printed no rate: %s", out)
	}
	return strconv.ParseFloat(rates[len(rates)-1][1], 64)
}
