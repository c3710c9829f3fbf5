package storagetest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// documents is a Store that keeps its promises and its grants as JSON, and that lets
// itself be broken.
type documents struct {
	*authwright.Memory // for all but grants

	mu     sync.Mutex
	grants map[string]document
}

// A document has its indexed fields beside it.
type document struct {
	indexed authwright.Grant
	data    []byte
}

func newDocuments() *documents {
	return &documents{Memory: new(authwright.Memory), grants: make(map[string]document)}
}

// get returns the grant stored as id, or nil.
func (d *documents) get(id string) *authwright.Grant {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read(id)
}

func (d *documents) read(id string) *authwright.Grant {
	g := new(authwright.Grant)
	if json.Unmarshal(d.grants[id].data, g) != nil {
		return nil
	}
	return g
}

// put stores g, whatever was there.
func (d *documents) put(g *authwright.Grant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.write(g.ID, g)
}

func (d *documents) write(id string, g *authwright.Grant) {
	data, _ := json.Marshal(g)
	d.grants[id] = document{
		indexed: authwright.Grant{ID: id, Subject: g.Subject, ClientID: g.ClientID, ExpiresAt: g.ExpiresAt},
		data:    data,
	}
}

func (d *documents) Grant(ctx context.Context, id string) (*authwright.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if g := d.get(id); g != nil {
		return g, nil
	}
	return nil, authwright.ErrNotFound
}

func (d *documents) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.Version != version(d.read(g.ID))+1 {
		return authwright.ErrConflict
	}
	d.write(g.ID, g)
	return nil
}

func version(g *authwright.Grant) int64 {
	if g == nil {
		return 0
	}
	return g.Version
}

func (d *documents) GrantsBySubject(ctx context.Context, subject, page string, limit int) ([]*authwright.Grant, string, error) {
	return d.list(ctx, func(g *authwright.Grant) bool { return g.Subject == subject }, page, limit)
}

func (d *documents) GrantsByClient(ctx context.Context, id, page string, limit int) ([]*authwright.Grant, string, error) {
	return d.list(ctx, func(g *authwright.Grant) bool { return g.ClientID == id }, page, limit)
}

func (d *documents) list(ctx context.Context, match func(*authwright.Grant) bool, page string, limit int) ([]*authwright.Grant, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if limit == 0 {
		limit = 1000
	}
	found := d.all(match)
	found = slices.DeleteFunc(found, func(g *authwright.Grant) bool { return g.ID <= page })
	if len(found) <= limit {
		return found, "", nil
	}
	return found[:limit], found[limit-1].ID, nil
}

// all returns the grants that match, by ID.
func (d *documents) all(match func(*authwright.Grant) bool) []*authwright.Grant {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []*authwright.Grant
	for id, doc := range d.grants {
		if match(&doc.indexed) {
			found = append(found, d.read(id))
		}
	}
	slices.SortFunc(found, func(a, b *authwright.Grant) int { return strings.Compare(a.ID, b.ID) })
	return found
}

func (d *documents) DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	dead := d.all(func(g *authwright.Grant) bool { return !now.Before(g.ExpiresAt) })
	if limit > 0 {
		dead = dead[:min(limit, len(dead))]
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range dead {
		delete(d.grants, g.ID)
	}
	if limit > 0 && len(dead) == limit {
		return limit, nil
	}
	n, err := d.Memory.DeleteExpired(ctx, now, max(0, limit-len(dead)))
	return len(dead) + n, err
}

// A store of another kind than Memory passes, so the suite asks for nothing but what is
// promised.
func TestDocumentsPass(t *testing.T) {
	t.Parallel()
	Run(t, func(t *testing.T, clients ...*authwright.Client) authwright.Storage {
		d := newDocuments()
		for _, c := range clients {
			require.NoError(t, d.AddClient(t.Context(), c))
		}
		return d
	})
	RunStore(t, func(*testing.T) Store { return newDocuments() })
}
