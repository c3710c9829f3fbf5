package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/authwright/authwright"
)

// A trouble is what the next call of a hook, or of a method of the storage, meets.
type trouble struct {
	sync.Mutex
	at      string // the hook; empty: none
	panics  bool
	blocked chan struct{} // if not nil, told of the call, which then waits for the other
	release chan struct{}
}

var errTrouble = errors.New("the host's own trouble")

// happens is called by every hook. It keeps the stack of the request, and gets it into
// trouble if that is wanted.
func (tr *tour) happens(at string) error {
	tr.stack(false)
	tr.trouble.Lock()
	wanted, panics, blocked, release := tr.trouble.at == at, tr.trouble.panics, tr.trouble.blocked, tr.trouble.release
	tr.trouble.Unlock()
	switch {
	case !wanted:
		return nil
	case blocked != nil:
		blocked <- struct{}{}
		<-release
		return nil
	case panics:
		panic(errTrouble)
	}
	return errTrouble
}

// in runs f while at is in trouble.
func (tr *tour) in(at string, panics bool, f func()) {
	tr.trouble.Lock()
	tr.trouble.at, tr.trouble.panics = at, panics
	tr.trouble.Unlock()
	f()
	tr.trouble.Lock()
	tr.trouble.at = ""
	tr.trouble.Unlock()
}

// leftovers are what a dump has in the place of an argument that was in a register: whatever
// lay there before, eight bytes of a secret perhaps. Nothing can be done about that.
var leftovers = regexp.MustCompile(`0x[0-9a-f]+\?`)

// stack keeps what a dump of this goroutine shows, or of all.
func (tr *tour) stack(all bool) {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, all)
	for n == len(buf) { // there is more
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, all)
	}
	buf = buf[:n]
	text := leftovers.ReplaceAllString(string(buf), "?")
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.stacks.WriteString(text)
}

// A keptStore keeps what it is given to store, and is a hook of the tour.
type keptStore struct {
	victimStore
	tour *tour

	mu      sync.Mutex
	written strings.Builder
}

func (s *keptStore) keep(values ...any) {
	text, err := json.Marshal(values)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written.Write(text)
	if err != nil {
		s.written.WriteString(err.Error())
	}
}

func (s *keptStore) Client(ctx context.Context, id string) (*authwright.Client, error) {
	if err := s.tour.happens("Client"); err != nil {
		return nil, err
	}
	return s.victimStore.Client(ctx, id)
}

func (s *keptStore) Grant(ctx context.Context, id string) (*authwright.Grant, error) {
	if err := s.tour.happens("Grant"); err != nil {
		return nil, err
	}
	return s.victimStore.Grant(ctx, id)
}

func (s *keptStore) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	s.keep(g)
	if err := s.tour.happens("SaveGrant"); err != nil {
		return err
	}
	return s.victimStore.SaveGrant(ctx, g)
}

func (s *keptStore) UseOnce(ctx context.Context, key string, until time.Time) error {
	s.keep(key)
	if err := s.tour.happens("UseOnce"); err != nil {
		return err
	}
	return s.victimStore.UseOnce(ctx, key, until)
}

func (s *keptStore) AddClient(ctx context.Context, c *authwright.Client) error {
	s.keep(c)
	if err := s.tour.happens("AddClient"); err != nil {
		return err
	}
	return s.victimStore.AddClient(ctx, c)
}

func (s *keptStore) UpdateClient(ctx context.Context, c *authwright.Client) error {
	s.keep(c)
	if err := s.tour.happens("UpdateClient"); err != nil {
		return err
	}
	return s.victimStore.UpdateClient(ctx, c)
}

func (s *keptStore) GrantsBySubject(ctx context.Context, subject, page string, limit int) ([]*authwright.Grant, string, error) {
	if err := s.tour.happens("GrantsBySubject"); err != nil {
		return nil, "", err
	}
	return s.victimStore.GrantsBySubject(ctx, subject, page, limit)
}
