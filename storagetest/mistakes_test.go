package storagetest

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A broken Store does as its Store does, but for what is set.
type broken struct {
	Store
	client func(ctx context.Context, id string) (*authwright.Client, error)
	grant  func(ctx context.Context, id string) (*authwright.Grant, error)
	save   func(ctx context.Context, g *authwright.Grant) error
	once   func(ctx context.Context, key string, until time.Time) error
	add    func(ctx context.Context, c *authwright.Client) error
	update func(ctx context.Context, c *authwright.Client) error
	remove func(ctx context.Context, id string) error
	expire func(ctx context.Context, now time.Time, limit int) (int, error)

	// list is both lists; of is the subject or the client.
	list func(ctx context.Context, match func(*authwright.Grant) bool, of, page string, limit int) ([]*authwright.Grant, string, error)
}

func (b *broken) Client(ctx context.Context, id string) (*authwright.Client, error) {
	if b.client != nil {
		return b.client(ctx, id)
	}
	return b.Store.Client(ctx, id)
}

func (b *broken) Grant(ctx context.Context, id string) (*authwright.Grant, error) {
	if b.grant != nil {
		return b.grant(ctx, id)
	}
	return b.Store.Grant(ctx, id)
}

func (b *broken) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	if b.save != nil {
		return b.save(ctx, g)
	}
	return b.Store.SaveGrant(ctx, g)
}

func (b *broken) UseOnce(ctx context.Context, key string, until time.Time) error {
	if b.once != nil {
		return b.once(ctx, key, until)
	}
	return b.Store.UseOnce(ctx, key, until)
}

func (b *broken) AddClient(ctx context.Context, c *authwright.Client) error {
	if b.add != nil {
		return b.add(ctx, c)
	}
	return b.Store.AddClient(ctx, c)
}

func (b *broken) UpdateClient(ctx context.Context, c *authwright.Client) error {
	if b.update != nil {
		return b.update(ctx, c)
	}
	return b.Store.UpdateClient(ctx, c)
}

func (b *broken) DeleteClient(ctx context.Context, id string) error {
	if b.remove != nil {
		return b.remove(ctx, id)
	}
	return b.Store.DeleteClient(ctx, id)
}

func (b *broken) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	if b.expire != nil {
		return b.expire(ctx, now, limit)
	}
	return b.Store.DeleteExpired(ctx, now, limit)
}

func (b *broken) GrantsBySubject(ctx context.Context, subject, page string, limit int) ([]*authwright.Grant, string, error) {
	if b.list != nil {
		return b.list(ctx, func(g *authwright.Grant) bool { return g.Subject == subject }, subject, page, limit)
	}
	return b.Store.GrantsBySubject(ctx, subject, page, limit)
}

func (b *broken) GrantsByClient(ctx context.Context, id, page string, limit int) ([]*authwright.Grant, string, error) {
	if b.list != nil {
		return b.list(ctx, func(g *authwright.Grant) bool { return g.ClientID == id }, id, page, limit)
	}
	return b.Store.GrantsByClient(ctx, id, page, limit)
}

// A breakage is a mistake that somebody might make, and the check that is there for it.
type breakage struct {
	mistake string
	check   string
	make    func(d *documents) *broken
}

// Each mistake is found by the check that is meant for it, and there is no check that
// cannot fail.
func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	breakages := slices.Concat(grantBreakages, saveBreakages, onceBreakages, clientBreakages, indexBreakages)
	for _, b := range breakages {
		t.Run(b.check+" finds a store that "+b.mistake, func(t *testing.T) {
			t.Parallel()
			require.Error(t, runCheck(t, b.check, b.make))
		})
	}
	unproven := make(map[string]bool)
	for _, c := range storageChecks {
		unproven[c.name] = true
	}
	for _, c := range storeChecks {
		unproven[c.name] = true
	}
	for _, b := range breakages {
		delete(unproven, b.check)
	}
	require.Empty(t, unproven, "checks that no mistake proves")
}

// runCheck returns what a check says about a broken store, and fails the test if it does
// not approve of the same store unbroken.
func runCheck(t *testing.T, name string, breakIt func(*documents) *broken) error {
	t.Helper()
	for _, c := range storageChecks {
		if c.name == name {
			require.NoError(t, c.run(t.Context(), withClients(t)))
			return c.run(t.Context(), breakIt(withClients(t)))
		}
	}
	for _, c := range storeChecks {
		if c.name == name {
			require.NoError(t, c.run(t.Context(), newDocuments()))
			return c.run(t.Context(), breakIt(newDocuments()))
		}
	}
	require.Fail(t, "no such check", name)
	return nil
}

func withClients(t *testing.T) *documents {
	d := newDocuments()
	for _, c := range someClients() {
		require.NoError(t, d.AddClient(t.Context(), c))
	}
	return d
}

// yield lets every other goroutine go first.
func yield() {
	for range 8 {
		runtime.Gosched()
	}
}

// A storage that loses any one field fails.
func TestEveryFieldIsMissed(t *testing.T) {
	t.Parallel()
	for f := range reflect.TypeFor[authwright.Grant]().Fields() {
		d := newDocuments()
		forgetful := &broken{Store: d, grant: func(ctx context.Context, id string) (*authwright.Grant, error) {
			g, err := d.Grant(ctx, id)
			if err == nil {
				reflect.ValueOf(g).Elem().FieldByIndex(f.Index).SetZero()
			}
			return g, err
		}}
		require.ErrorContains(t, grantRoundTrip(t.Context(), forgetful), "Grant."+f.Name)
	}
	for f := range reflect.TypeFor[authwright.Client]().Fields() {
		d := withClients(t)
		forgetful := &broken{Store: d, client: func(ctx context.Context, id string) (*authwright.Client, error) {
			c, err := d.Client(ctx, id)
			if err == nil {
				reflect.ValueOf(c).Elem().FieldByIndex(f.Index).SetZero()
			}
			return c, err
		}}
		require.ErrorContains(t, clientKnown(t.Context(), forgetful), "Client."+f.Name)
	}
}
