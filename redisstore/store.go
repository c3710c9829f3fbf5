package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/authwright/authwright"
)

// A Client sends commands to Redis. It must be safe for concurrent use. The clients of
// go-redis are Clients as they are.
//
// An adapter for another library gets arguments that are all strings, which may hold any
// bytes. The key, from which a Cluster client finds the node, is the fourth argument of
// EVAL and EVALSHA and the second of GET, SET and DEL; INFO has none. Replies are to be
// string or []byte, int64, []any, and nil for a null. An error reply is an error whose
// text contains that of Redis. With valkey-go that is
//
//	type client struct{ valkey.Client }
//
//	type reply struct{ valkey.ValkeyResult }
//
//	func (c client) Do(ctx context.Context, args ...any) reply {
//		words := make([]string, len(args))
//		for i, arg := range args {
//			words[i] = arg.(string)
//		}
//		cmd, key := c.B().Arbitrary(words[0]), len(words)
//		switch words[0] {
//		case "EVAL", "EVALSHA":
//			key = 3
//		case "GET", "SET", "DEL":
//			key = 1
//		}
//		cmd = cmd.Args(words[1:key]...)
//		if key < len(words) {
//			cmd = cmd.Keys(words[key]).Args(words[key+1:]...)
//		}
//		return reply{c.Client.Do(ctx, cmd.Build())}
//	}
//
//	func (r reply) Result() (any, error) {
//		v, err := r.ToAny()
//		if valkey.IsValkeyNil(err) {
//			return nil, nil
//		}
//		return v, err
//	}
type Client[R Reply] interface {
	Do(ctx context.Context, args ...any) R
}

// A Reply is the answer to one command.
type Reply interface {
	Result() (any, error)
}

// A Config says how a [Store] uses its server. Its zero value is ready to use.
type Config struct {
	// Prefix begins all keys. It must not contain braces. Empty means "authwright:".
	Prefix string

	// InsecureAcceptDataLoss takes a server that may forget what it has acknowledged:
	// one without AOF, one that evicts, or one that does not say (INFO is forbidden).
	// Set it for tests, or where you know by other means that nothing is lost. What is
	// lost, an attacker can redeem again.
	InsecureAcceptDataLoss bool

	// WaitReplicas is how many replicas must have what a call has written, or has read of a
	// grant, before it counts: all, or a failover may lose it. WaitTimeout is how long to
	// wait for them, in whole milliseconds and less than the client's read timeout. They are
	// required by [NewWaiting] and not for [New].
	WaitReplicas int
	WaitTimeout  time.Duration
}

// A Store is an [authwright.Storage] and an [authwright.Index] in Redis. It is safe for
// concurrent use.
type Store struct {
	cfg     Config
	plain   command
	sure    command     // waits for replicas, if NewWaiting made the store
	checked atomic.Bool // a server that was found good is not asked again

	saveGrant, addToIndex, readIndex script
}

// A command runs one command. Its reply is nil for a null.
type command func(ctx context.Context, args ...any) (any, error)

var (
	_ authwright.Storage = (*Store)(nil)
	_ authwright.Index   = (*Store)(nil)
)

// New returns a Store that keeps its keys in rdb, or an error that names the field of
// cfg that is wrong. It does not talk to the server; [Store.Check] does.
func New[R Reply](rdb Client[R], cfg Config) (*Store, error) {
	if rdb == nil {
		return nil, errors.New("redisstore: rdb is nil")
	}
	if cfg.WaitReplicas != 0 || cfg.WaitTimeout != 0 {
		return nil, errors.New("redisstore: Config.WaitReplicas and WaitTimeout are for NewWaiting")
	}
	do := func(ctx context.Context, args ...any) (any, error) { return result(rdb.Do(ctx, args...)) }
	return newStore(cfg, do, do)
}

func newStore(cfg Config, plain, sure command) (*Store, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = "authwright:"
	}
	if strings.ContainsAny(cfg.Prefix, "{}") {
		return nil, fmt.Errorf("redisstore: Config.Prefix %.64q must not contain braces", cfg.Prefix)
	}
	return &Store{
		cfg: cfg, plain: plain, sure: sure,
		saveGrant: newScript(saveGrant), addToIndex: newScript(addToIndex), readIndex: newScript(readIndex),
	}, nil
}

// key is the key of what kind calls id.
func (s *Store) key(kind, id string) string {
	return s.cfg.Prefix + kind + ":{" + url.QueryEscape(id) + "}"
}

// read runs a command that changes nothing, for a reply on which no grant depends.
func (s *Store) read(ctx context.Context, args ...any) (any, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return send(ctx, s.plain, args...)
}

// do runs any other command.
func (s *Store) do(ctx context.Context, args ...any) (any, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return send(ctx, s.sure, args...)
}

func send(ctx context.Context, do command, args ...any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err // not every client library looks
	}
	return do(ctx, args...)
}

func result[R Reply](r R) (any, error) {
	v, err := r.Result()
	if err != nil && err.Error() == "redis: nil" { // the Nil of go-redis
		return nil, nil
	}
	return v, err
}

// text is a reply that is a string.
func text(reply any) (string, error) {
	switch v := reply.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	}
	return "", fmt.Errorf("%w of type %T", errUnexpected, reply)
}

// millis is a time in Redis's milliseconds: never early, and never what Redis would
// refuse, since everything before 1970 is equally over.
func millis(t time.Time) int64 {
	return max(t.Add(time.Millisecond-time.Nanosecond).UnixMilli(), 1)
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// each calls f for 0 to n-1, some at a time, and returns the first error. Commands for
// several keys cannot be one command, since the keys may be on several nodes.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	turns := make(chan struct{}, 16)
	for i := range n {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if err := f(ctx, i); err != nil {
				cancel(err) // so that the others do not run into the same, one after the other
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
