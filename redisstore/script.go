package redisstore

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A script runs in Redis as one atomic step on one key.
type script struct{ source, sha string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source)) // by which Redis calls it; nothing relies on its strength
	return script{source, hex.EncodeToString(sum[:])}
}

// run runs sc by its hash, and sends the source to a node that does not have it: a new one, one
// that was restarted or promoted, or whose scripts were flushed. It may be another than the one
// that was checked, so it is checked first.
func (s *Store) run(ctx context.Context, sc script, key string, args ...any) (any, error) {
	args = append([]any{"EVALSHA", sc.sha, "1", key}, args...)
	reply, err := s.do(ctx, args...)
	if err != nil && strings.Contains(err.Error(), "NOSCRIPT") {
		s.checked.Store(false)
		args[0], args[1] = "EVAL", sc.source
		reply, err = s.do(ctx, args...)
	}
	return reply, err
}

// errUnexpected is an answer, and one that makes no sense.
var errUnexpected = errors.New("unexpected reply")

// number is a reply that is an integer.
func number(reply any, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	n, ok := reply.(int64)
	if !ok {
		return 0, fmt.Errorf("%w of type %T", errUnexpected, reply)
	}
	return n, nil
}
