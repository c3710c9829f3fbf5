package authwright

import (
	"context"
	"sync"
	"time"
)

// A deadline is the context of a request that ends at a time. It is what
// [context.WithDeadline] returns, but for the timer, which it starts when somebody waits for
// the end: most storages do, and [Memory] only asks whether it has come.
type deadline struct {
	context.Context // of the request
	at              time.Time

	mu      sync.Mutex
	waited  context.Context // the same with a timer; nil as long as nobody waits
	cancel  context.CancelFunc
	stopped bool
}

// Deadline implements [context.Context].
func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

// Done implements [context.Context].
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waited == nil {
		d.waited, d.cancel = context.WithDeadline(d.Context, d.at)
		if d.stopped {
			d.cancel()
		}
	}
	return d.waited.Done()
}

// Err implements [context.Context].
func (d *deadline) Err() error {
	d.mu.Lock()
	waited, stopped := d.waited, d.stopped
	d.mu.Unlock()
	if waited != nil {
		return waited.Err()
	}
	if err := d.Context.Err(); err != nil {
		return err
	}
	switch {
	case stopped:
		return context.Canceled
	case !time.Now().Before(d.at):
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements [context.Context]. With the timer's, package context finds out that its
// own contexts can be told of the end without a goroutine.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	waited := d.waited
	d.mu.Unlock()
	if waited != nil {
		return waited.Value(key)
	}
	return d.Context.Value(key)
}

// stop ends d, like the cancel function of a context.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	if d.cancel != nil {
		d.cancel()
	}
}
