package redisstore

import (
	"context"
	"errors"
	"strings"
	"time"
)

// settling is how long a save whose reply did not come is looked after: long enough for a
// connection that was reset and for a server that starts again after a crash. Only saves that
// were under way wait for that; all else fails when it reads, at once.
const settling = 8 * time.Second

// settle finds out how a save ended that returned err, if that leaves it open, by saving
// again: saveGrant recognises its own earlier write, and whichever of the two commands
// arrives later changes nothing. A record that is merely unchanged would prove nothing,
// since the first command may still be on its way.
func settle(ctx context.Context, outcome int64, err error, save func(context.Context) (int64, error)) (int64, error) {
	if !open(err) {
		return outcome, err
	}
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 160*time.Millisecond) {
		select {
		case <-ctx.Done():
			return 0, err
		case <-time.After(pause):
		}
		if outcome, again := save(ctx); !open(again) {
			return outcome, again
		}
	}
}

// A final error is one that the store makes itself. To try again would not change it soon.
type final struct{ error }

// open reports whether err leaves open how a command ended: Redis did not answer, or
// what answered is only starting. The error replies of Redis begin with a word in capital
// letters, and mean that nothing was done.
func open(err error) bool {
	if err == nil || errors.Is(err, errUnexpected) || errors.As(err, new(final)) {
		return false
	}
	word, _, more := strings.Cut(err.Error(), " ")
	switch word {
	case "LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN":
		return true
	}
	return !more || word != strings.ToUpper(word)
}
