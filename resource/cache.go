package resource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	minAge     = time.Minute // how long a set is fresh, whatever Cache-Control says
	defaultAge = 5 * time.Minute
	maxAge     = time.Hour

	// A set that was fresh a moment ago serves while the next one is fetched, so
	// that a busy server never waits. One that is older has to be replaced first:
	// the issuer may have withdrawn a key since.
	grace = time.Minute

	lifetime     = 24 * time.Hour   // how long a set serves if there is no newer one
	loadTimeout  = 10 * time.Second // for metadata and keys together
	missInterval = 10 * time.Second // between fetches for keys that are not in the set
	warmInterval = 10 * time.Second // between failing fetches
	coldInterval = time.Second      // the same, before there ever was a set
)

// A keyCache keeps the issuer's keys. Readers of a fresh set take no lock.
type keyCache struct {
	// load gets a key set and how long it is fresh.
	load      func(ctx context.Context) ([]byte, time.Duration, error)
	inProcess bool // load is cheap: it may be called for every unknown key
	now       func() time.Time
	log       *slog.Logger

	current atomic.Pointer[keySet] // nil before the first

	mu     sync.Mutex
	flight *flight   // the load that is going on, or nil
	missed time.Time // when a load last began for an unknown key
	failed time.Time // when a load last failed, or zero after one that did not
	err    error     // why
}

// A flight is one load that any number of requests wait for.
type flight struct {
	ctx  context.Context // of the load: no request's own
	done chan struct{}
}

// find returns the key kid for alg.
func (c *keyCache) find(ctx context.Context, kid string, alg jose.SignatureAlgorithm) (*publicKey, error) {
	before := c.current.Load()
	set, err := c.set(ctx, before)
	if err != nil {
		return nil, err
	}
	// The issuer may have a new key. The second round is for a request that finds a
	// load under way: that one may have begun before the key was there.
	renewed := set != before
	for range 2 {
		if renewed || set.find(kid, alg) != nil {
			break
		}
		var f *flight
		f, renewed = c.begin(set, true)
		if set, err = c.wait(ctx, f); err != nil {
			return nil, err
		}
	}
	if key := set.find(kid, alg); key != nil {
		return key, nil
	}
	if err := c.failure(); err != nil {
		// Nobody can tell whether the key is made up.
		return nil, err
	}
	return nil, refusedKey
}

// set returns the keys to use, given those that were in use when the request came.
func (c *keyCache) set(ctx context.Context, last *keySet) (*keySet, error) {
	now := c.now()
	usable := last != nil && now.Before(last.expires)
	if usable && now.Before(last.fresh) {
		return last, nil
	}
	f, _ := c.begin(last, false)
	if usable && now.Before(last.fresh.Add(grace)) {
		return last, nil
	}
	return c.wait(ctx, f)
}

// begin returns the load under way, starting one if there is none and it is time
// for one; mine reports whether it did. The flight is nil if there is no load to
// wait for, be it that another set than seen is there already.
func (c *keyCache) begin(seen *keySet, miss bool) (f *flight, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	switch {
	case c.flight != nil:
		return c.flight, false
	case c.current.Load() != seen:
		return nil, false
	case !c.inProcess && miss && within(missInterval, c.missed, now):
		return nil, false
	case !c.inProcess && within(coldInterval, c.failed, now):
		return nil, false
	}
	if miss {
		c.missed = now
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	c.flight = &flight{ctx, make(chan struct{})}
	go func(f *flight) {
		defer cancel()
		defer close(f.done)
		c.renew(f.ctx)
	}(c.flight)
	return c.flight, true
}

// within reports whether now is in the interval d that began at start.
func within(d time.Duration, start, now time.Time) bool {
	since := now.Sub(start)
	return !start.IsZero() && 0 <= since && since < d
}

// wait returns the keys there are after f, which may be nil.
func (c *keyCache) wait(ctx context.Context, f *flight) (*keySet, error) {
	if f != nil {
		select {
		case <-f.done:
		case <-f.ctx.Done(): // load does not heed its context
		case <-ctx.Done():
			return nil, fmt.Errorf("resource: waiting for the keys of the issuer: %w", ctx.Err())
		}
	}
	if set := c.current.Load(); set != nil && c.now().Before(set.expires) {
		return set, nil
	}
	if err := c.failure(); err != nil {
		return nil, err
	}
	return nil, errors.New("resource: there are no keys of the issuer")
}

// failure returns why the last load failed, or nil.
func (c *keyCache) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// renew replaces the keys or, if that fails, keeps them for a while.
func (c *keyCache) renew(ctx context.Context) {
	old := c.current.Load()
	set, err := c.next(ctx, old)
	if err != nil {
		err = fmt.Errorf("resource: keys of the issuer: %w", err)
		c.log.ErrorContext(ctx, "resource: cannot get the keys of the issuer", "error", err, "serving_old_keys", old != nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight, c.err, c.failed = nil, err, time.Time{}
	if err != nil {
		c.failed = c.now()
		if old == nil {
			return
		}
		kept := *old
		kept.fresh = c.failed.Add(warmInterval)
		set = &kept
	}
	c.current.Store(set)
}

// next loads the set that comes after old. A panic of the host's function, which
// net/http would catch in a handler, must not end the program from here.
func (c *keyCache) next(ctx context.Context, old *keySet) (set *keySet, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	source, age, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	set = &keySet{source: bytes.Clone(source)}
	if old != nil && bytes.Equal(old.source, source) {
		set.keys = old.keys
	} else if set.keys, err = parseKeys(source); err != nil {
		return nil, err
	}
	now := c.now()
	set.fresh, set.expires = now.Add(age), now.Add(lifetime)
	return set, nil
}
