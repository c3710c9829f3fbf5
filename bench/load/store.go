package main

import (
	"context"
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/bench/subject"
)

// A pair reads grant i and saves its next version: what a redemption costs a storage.
type pair func(ctx context.Context, i int) error

// alone is a child process that repeats a pair with no server around it. It prints how many
// times a second.
func (o *options) alone(ctx context.Context) error {
	p, err := o.openPair(ctx)
	if err != nil {
		return err
	}
	// Each caller has grants of its own, of all processes, so that no two meet.
	var callers []int
	for i := o.process; i < min(o.connections, o.grants); i += o.processes {
		callers = append(callers, i)
	}
	// Connections are made and statements prepared before the clock starts, as those of the tools.
	if err := each(callers, func(caller int) error { return p(ctx, caller) }); err != nil {
		return err
	}
	var done atomic.Int64
	begin := time.Now()
	err = each(callers, func(caller int) error {
		mine := (o.grants-caller-1)/o.connections + 1
		for time.Since(begin) < o.duration {
			if err := p(ctx, caller+rand.IntN(mine)*o.connections); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	fmt.Println(float64(done.Load()) / time.Since(begin).Seconds())
	return err
}

func (o *options) openPair(ctx context.Context) (pair, error) {
	if o.child == "driver" {
		if addr, ok := strings.CutPrefix(o.dsn, "redis:"); ok {
			return redisPair(ctx, openRedis(addr, o.connections), o.grants)
		}
		return postgresPair(ctx, o.dsn, o.connections)
	}
	storage, err := o.openStorage()
	return func(ctx context.Context, i int) error {
		g, err := storage.Grant(ctx, grantID(i))
		if err != nil {
			return err
		}
		g.Version++
		g.ExpiresAt = time.UnixMilli(expiry())
		return storage.SaveGrant(ctx, g)
	}, err
}

// expiry is when a grant expires that is refreshed now, in milliseconds. It costs PostgreSQL more
// to index it anywhere else.
func expiry() int64 { return time.Now().AddDate(0, 0, 14).UnixMilli() }

// grantID is the ID of grant i, in an order as random as that of a server's.
func grantID(i int) string { return fmt.Sprintf("%x", md5.Sum(fmt.Append(nil, i))) }

// save saves n new grants.
func save(ctx context.Context, storage authwright.Storage, n int, id func(i int) string) error {
	for i := range n {
		g := subject.Grant(i)
		g.ID = id(i)
		if err := storage.SaveGrant(ctx, g); err != nil {
			return err
		}
	}
	return nil
}
