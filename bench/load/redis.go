package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/bench/subject"
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
	// redis-benchmark puts twelve digits for a place, so those are the IDs.
	for i := range o.grants {
		g := subject.Grant(i)
		g.ID = fmt.Sprintf("%012d", i)
		if err := store.SaveGrant(ctx, g); err != nil {
			return err
		}
	}
	g, err := store.Grant(ctx, fmt.Sprintf("%012d", 0))
	if err != nil {
		return err
	}
	g.Version++
	if err := store.SaveGrant(ctx, g); err != nil {
		return err
	}
	save, err := repeatable(rdb.last)
	if err != nil {
		return err
	}
	set, err := o.redisBenchmark(addr, save...)
	if err != nil {
		return err
	}
	get, err := o.redisBenchmark(addr, "GET", save[3])
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

// repeatable turns the command of one save into one that can be sent for any grant any number
// of times and always writes: it asks for the version that it leaves behind, with a token that
// is never the same. Its arguments are EVALSHA, hash, 1, key, before, version, needed,
// indexed, places, token, expires and grant.
func repeatable(command []string) ([]string, error) {
	const key, before, version, token, grant = 3, 4, 5, 9, 11
	if len(command) != grant+1 || command[before] != "1" || command[version] != "2" {
		return nil, errors.New("SaveGrant does not send what it did when this was written")
	}
	const random = "__rand_int__"
	command[key] = strings.Replace(command[key], fmt.Sprintf("%012d", 0), random, 1)
	command[version], command[token] = "1", random
	return command, nil
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
