package bench_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/bench/subject"
)

// BenchmarkHeap weighs the memory that a live grant takes and that a refresh leaves behind.
// Grants are saved for other users, or made by flows and a refresh.
func BenchmarkHeap(b *testing.B) {
	const grants, made, rotations = 1_000_000, 100_000, 100_000
	srv, memory, err := subject.NewMemory(keyFor(b, "ES256"))
	require.NoError(b, err)
	impl := &implementation{Authorize: srv, Token: srv}
	b.Run(fmt.Sprintf("refreshes=%d", rotations), func(b *testing.B) {
		for b.Loop() {
			refresh := refreshes(impl)
			before := heap()
			for range rotations {
				refresh()
			}
			b.ReportMetric(float64(heap()-before)/rotations, "heap-B/refresh")
		}
	})
	b.Run(fmt.Sprintf("flows=%d", made), func(b *testing.B) {
		for b.Loop() {
			before := heap()
			for range made {
				// Requests share no memory, or it would not be seen who holds on to theirs.
				impl.refresh(impl.redeem(impl.codeAt(distinct(authorizeURL))).refresh)
			}
			b.ReportMetric(float64(heap()-before)/made, "heap-B/grant")
		}
	})
	b.Run(fmt.Sprintf("grants=%d", grants), func(b *testing.B) {
		for b.Loop() {
			before := heap()
			fill(b, memory, grants)
			b.ReportMetric(float64(heap()-before)/grants, "heap-B/grant")
		}
	})
	impl.flow() // the server and its storage are still in use
}

// distinct returns a copy of u.
func distinct(u *url.URL) *url.URL {
	v := *u
	v.RawQuery = strings.Clone(u.RawQuery)
	return &v
}
