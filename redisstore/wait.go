package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Pipeline sends several commands over one connection. Do queues a command, whose reply
// can be read when Exec has returned. That is the Pipeliner of go-redis.
type Pipeline[R Reply, C any] interface {
	Client[R]
	Exec(ctx context.Context) ([]C, error)
}

// NewWaiting is like [New], but a write counts only when it has reached
// [Config.WaitReplicas] replicas, by the command WAIT. Otherwise it is an error, and the
// server answers 503; the write is not undone, and the next Grant shows it.
//
// WAIT speaks of the writes of its own connection, so it has to be sent in one pipeline
// with them: through a pool, as Do is, it would go to another connection and confirm
// nothing. For the same reason it does not work in a Cluster, whose clients send it to
// any node; [Store.Check] refuses that.
func NewWaiting[P Pipeline[R, C], R Reply, C any](rdb interface{ Pipeline() P }, cfg Config) (*Store, error) {
	if rdb == nil {
		return nil, errors.New("redisstore: rdb is nil")
	}
	if cfg.WaitReplicas < 1 || cfg.WaitTimeout < time.Millisecond { // WAIT takes zero for ever
		return nil, errors.New("redisstore: Config.WaitReplicas and WaitTimeout must be at least 1 and a millisecond")
	}
	reads := func(ctx context.Context, args ...any) (any, error) {
		p := rdb.Pipeline()
		reply := p.Do(ctx, args...)
		_, _ = p.Exec(ctx) // its error is that of the reply
		return reply.Result()
	}
	writes := func(ctx context.Context, args ...any) (any, error) {
		p := rdb.Pipeline()
		reply := p.Do(ctx, args...)
		wait := p.Do(ctx, "WAIT", decimal(int64(cfg.WaitReplicas)), decimal(cfg.WaitTimeout.Milliseconds()))
		_, _ = p.Exec(ctx)
		v, err := reply.Result()
		if err != nil {
			return nil, err
		}
		n, err := number(wait.Result())
		if err != nil {
			return nil, fmt.Errorf("wait for replicas: %w", err)
		}
		if n < int64(cfg.WaitReplicas) {
			return nil, shortfall(fmt.Sprintf("the write has reached %d of %d replicas in %v", n, cfg.WaitReplicas, cfg.WaitTimeout))
		}
		return v, nil
	}
	return newStore(cfg, reads, writes)
}

// A shortfall is a write that too few replicas have. It is not written again: that would
// only wait again.
type shortfall string

func (s shortfall) Error() string { return string(s) }
