package integration_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/storagetest"
)

// growthSizes are the numbers of grants to measure at, in ascending order:
// AUTHWRIGHT_GROWTH, separated by spaces, or 1,000.
func growthSizes(t *testing.T) (sizes []int) {
	t.Helper()
	for text := range strings.FieldsSeq(os.Getenv("AUTHWRIGHT_GROWTH")) {
		n, err := strconv.Atoi(text)
		require.NoError(t, err, "AUTHWRIGHT_GROWTH")
		sizes = append(sizes, n)
	}
	if sizes == nil {
		return []int{1000}
	}
	return sizes
}

// A growingStore is filled, measured, and filled further.
type growingStore struct {
	storagetest.Store
	durable func(on bool) error // whether a write is on the disk when it is acknowledged
	bytes   func() (int64, error)
}

// The table that this prints stands in docs/storage.md. Costs are in microseconds, medians
// of one caller who waits for each answer; bytes are those of a grant with its indexes.
//
// It measures, so it does not run beside other tests.
func TestGrowth(t *testing.T) {
	sizes := growthSizes(t)
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprintln(w, "\t"+strings.Join([]string{"grants", "Client", "Grant", "SaveGrant new", "SaveGrant next", "UseOnce", "by subject, 10", "by client, 100", "DeleteExpired/grant", "bytes/grant"}, "\t")+"\t")
	for _, e := range growingStores() {
		if withoutEngine(e.name) {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			s := e.open(t)
			require.NoError(t, s.AddClient(t.Context(), &authwright.Client{ID: "web", RedirectURIs: []string{proofRedirect}}))
			empty, err := s.bytes()
			require.NoError(t, err)
			have := 0
			for _, n := range sizes {
				require.NoError(t, s.durable(false))
				require.NoError(t, s.fill(t.Context(), have, n))
				have = n
				require.NoError(t, s.durable(true))
				size, err := s.bytes()
				require.NoError(t, err)
				each := (size - empty) / int64(n)
				require.Greater(t, each, int64(300), "hashes alone are more")
				require.Less(t, size-empty, int64(n)*6000+16<<20, "a file grows in steps")
				fmt.Fprintf(w, "%s\t%d\t", e.name, n)
				for _, d := range s.measure(t, n) {
					fmt.Fprintf(w, "%.1f\t", float64(d.Nanoseconds())/1000)
				}
				fmt.Fprintf(w, "%d\t\n", each)
			}
		})
	}
	require.NoError(t, w.Flush())
	t.Logf("\n%s", table.String())
}

const grantsPerSubject = 10

// growthGrant is grant i as it is after a refresh. Every field that a server fills is.
func growthGrant(i int) *authwright.Grant {
	now := time.Now().UTC().Truncate(time.Millisecond)
	hash := func() []byte {
		b := make([]byte, 32)
		crand.Read(b)
		return b
	}
	return &authwright.Grant{
		ID: fmt.Sprintf("grant-%016d", i), Version: 1, Stage: authwright.StageActive,
		CreatedAt: now, ExpiresAt: now.AddDate(0, 0, 14), EndsAt: now.AddDate(0, 0, 90),
		ClientID: "web", Subject: fmt.Sprintf("user-%08d", i/grantsPerSubject), Scopes: []string{"read", "write"}, Resources: []string{"https://api.example"},
		AuthTime: now, RedirectURI: proofRedirect, CodeChallenge: proofChallenge,
		Secret: hash(), Lineage: hash(), Turn: hash(), Previous: hash(), Sealed: hash()[:16], RotatedAt: now,
	}
}

// fill saves the grants from have to want, several at a time.
func (s *growingStore) fill(ctx context.Context, have, want int) error {
	const writers = 16
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for k := range writers {
		wg.Go(func() {
			for i := have + k; i < want && errs[k] == nil; i += writers {
				errs[k] = s.SaveGrant(ctx, growthGrant(i))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// measure returns the cost of each method in a store of n grants, which it leaves at that.
func (s *growingStore) measure(t *testing.T, n int) []time.Duration {
	ctx, now := t.Context(), time.Now()
	id := func() string { return growthGrant(rand.IntN(n)).ID }
	extra := 0
	created := func() *authwright.Grant { // expired, so that DeleteExpired finds it
		g := growthGrant(n + extra)
		g.ClientID, g.Subject = "another", "nobody"
		g.CreatedAt, g.ExpiresAt, g.EndsAt = now.Add(-2*time.Hour), now.Add(-time.Hour), now.Add(-time.Hour)
		extra++
		return g
	}
	costs := []time.Duration{
		median(t, func() error { _, err := s.Client(ctx, "web"); return err }),
		median(t, func() error { _, err := s.Grant(ctx, id()); return err }),
		medianOf(t, created, func(g *authwright.Grant) error { return s.SaveGrant(ctx, g) }),
		medianOf(t, func() *authwright.Grant {
			g, err := s.Grant(ctx, id())
			require.NoError(t, err)
			g.Version++
			return g
		}, func(g *authwright.Grant) error { return s.SaveGrant(ctx, g) }),
		median(t, func() error { return s.UseOnce(ctx, crand.Text(), now.Add(-time.Hour)) }),
		median(t, func() error {
			return find(ctx, s.GrantsBySubject, growthGrant(rand.IntN(n)).Subject, grantsPerSubject)
		}),
		median(t, func() error { return find(ctx, s.GrantsByClient, "web", 100) }),
	}
	begin, deleted := time.Now(), 0
	for more := true; more; {
		k, err := s.DeleteExpired(ctx, now, 0)
		require.NoError(t, err)
		deleted += k
		more = k == 1000
	}
	return append(costs, time.Since(begin)/time.Duration(max(deleted, 1)))
}

// find lists grants until there are enough. A page may have fewer than it was asked for
// before the last one does.
func find(ctx context.Context, list func(ctx context.Context, value, page string, limit int) ([]*authwright.Grant, string, error), value string, want int) error {
	found, page := 0, ""
	for {
		grants, next, err := list(ctx, value, page, want-found)
		if err != nil {
			return err
		}
		found += len(grants)
		if found >= want {
			return nil
		}
		if next == "" {
			return fmt.Errorf("%d grants of %d of %s", found, want, value)
		}
		page = next
	}
}

func median(t *testing.T, f func() error) time.Duration {
	t.Helper()
	return medianOf(t, func() struct{} { return struct{}{} }, func(struct{}) error { return f() })
}

// medianOf is the median duration of f, called for some time with what prepare returns.
func medianOf[T any](t *testing.T, prepare func() T, f func(T) error) time.Duration {
	t.Helper()
	var took []time.Duration
	for begin := time.Now(); len(took) < 5 || len(took) < 500 && time.Since(begin) < time.Second; {
		v := prepare()
		start := time.Now()
		require.NoError(t, f(v))
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
