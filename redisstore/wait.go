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

// NewWaiting is like [New], but a call returns only when [Config.WaitReplicas] replicas have
// what it has written, by the command WAIT. Otherwise it returns an error, and the server
// answers 503.
//
// A write that is not confirmed is not undone. So it is with reads as with writes, but for
// those of clients: what a grant is counts when replicas have it. The retry of a refresh
// that was answered by 503 would else be given a token that the next primary does not know,
// and that of a revocation would be told that it is done. A primary that is cut off from
// its replicas, and may have been replaced, so neither writes nor reads grants.
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
	s, err := newStore(cfg, func(ctx context.Context, args ...any) (any, error) {
		p := rdb.Pipeline()
		reply := p.Do(ctx, args...)
		_, _ = p.Exec(ctx) // its error is that of the reply
		return result(reply)
	}, nil)
	if err != nil {
		return nil, err
	}
	s.sure = func(ctx context.Context, args ...any) (any, error) {
		p := rdb.Pipeline()
		reply := p.Do(ctx, args...)
		// Since Redis 7.2, WAIT does not wait for what somebody else has written, nor
		// does a command that finds nothing to change. So there is always a write.
		mark := p.Do(ctx, "SET", s.key("wait", ""), "", "EX", "60")
		wait := p.Do(ctx, "WAIT", decimal(int64(cfg.WaitReplicas)), decimal(cfg.WaitTimeout.Milliseconds()))
		_, _ = p.Exec(ctx)
		v, err := result(reply)
		if err != nil {
			return nil, err
		}
		_, err = result(mark)
		var n int64
		if err == nil {
			n, err = number(result(wait))
		}
		if err != nil {
			return nil, fmt.Errorf("wait for replicas: %w", err)
		}
		if n < int64(cfg.WaitReplicas) {
			return nil, final{fmt.Errorf("%d of %d replicas have answered in %v", n, cfg.WaitReplicas, cfg.WaitTimeout)}
		}
		return v, nil
	}
	return s, nil
}
