package bench_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/bench/subject"
)

// BenchmarkCodeFlow is an authorization request, its redirect, and the redemption of the code
// for an access and a refresh token.
func BenchmarkCodeFlow(b *testing.B) {
	each(b, has, func(b *testing.B, impl *implementation, sign func()) { measureAgainst(b, flows(impl), sign) })
}

// BenchmarkRefresh is a rotation, each with the token of the one before.
func BenchmarkRefresh(b *testing.B) {
	each(b, has, func(b *testing.B, impl *implementation, sign func()) { measureAgainst(b, refreshes(impl), sign) })
	for _, n := range []int{1, 1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("alg=ES256/impl=authwright/grants=%d", n), func(b *testing.B) { benchmarkGrowth(b, n) })
	}
}

// flows returns what BenchmarkCodeFlow repeats.
func flows(impl *implementation) func() {
	return func() { impl.flow() }
}

// refreshes returns what BenchmarkRefresh repeats: the next rotation of a chain.
func refreshes(impl *implementation) func() {
	token := impl.flow().refresh
	return func() { token = impl.refresh(token).refresh }
}

// BenchmarkScaling is what two cores do of the same, in times of one. A bare signature says what
// the machine gives.
func BenchmarkScaling(b *testing.B) {
	b.Run("work=Signature/alg=ES256", func(b *testing.B) { measureScaling(b, func() func() { return signing(b, "ES256") }) })
	for _, work := range []struct {
		name string
		op   func(*implementation) func()
	}{{"CodeFlow", flows}, {"Refresh", refreshes}} {
		for _, c := range candidates {
			if !c.Concurrent {
				continue
			}
			b.Run("work="+work.name+"/alg=ES256/impl="+c.Name, func(b *testing.B) {
				impl := start(b, c, "ES256")
				measureScaling(b, func() func() { return work.op(impl) })
			})
		}
	}
}

// chains is how many of the grants are refreshed, in turn, so that they are not in the
// processor's cache merely because they were used a moment ago.
const chains = 1000

// benchmarkGrowth refreshes while n grants are alive.
func benchmarkGrowth(b *testing.B, n int) {
	srv, memory, err := subject.NewMemory(keyFor(b, "ES256"))
	require.NoError(b, err)
	impl := &implementation{Authorize: srv, Token: srv}
	live := make([]string, min(n, chains))
	for i := range live {
		live[i] = impl.flow().refresh
	}
	fill(b, memory, n-len(live))
	i := 0
	measureCollected(b, func() {
		live[i] = impl.refresh(live[i]).refresh
		if i++; i == len(live) {
			i = 0
		}
	})
}

// fill saves n grants of other users.
func fill(b *testing.B, storage authwright.Storage, n int) {
	b.Helper()
	for i := range n {
		if err := storage.SaveGrant(b.Context(), subject.Grant(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIntrospect has the client ask about its access token.
func BenchmarkIntrospect(b *testing.B) {
	each(b, introspects, func(b *testing.B, impl *implementation, sign func()) {
		form := subject.IntrospectForm + string(impl.flow().access)
		measureAgainst(b, func() { impl.active(form) }, sign)
	})
}

// BenchmarkIntrospectEarlier has the client ask about an access token that was issued before the
// last one. Its grant does not know it, so that its signature has to be verified.
func BenchmarkIntrospectEarlier(b *testing.B) {
	srv := memoryServer(b)
	impl := &implementation{Authorize: srv, Token: srv, Introspect: srv}
	first := impl.flow()
	impl.refresh(first.refresh)
	form := subject.IntrospectForm + string(first.access)
	measureAgainst(b, func() { impl.active(form) }, verification(b, "ES256"))
}
