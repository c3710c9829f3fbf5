package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

const sample = `goos: linux
BenchmarkSignature/alg=ES256 	 1000 	 21000 ns/op	 20000 cpu-ns/op	 6064 B/op	 59 allocs/op
BenchmarkCodeFlow/alg=ES256/impl=authwright 	 1000 	 50000 ns/op	 %s cpu-ns/op	 9000 B/op	 135 allocs/op
BenchmarkCodeFlow/alg=ES256/impl=fosite 	 1000 	 90000 ns/op	 80000 cpu-ns/op	 39000 B/op	 437 allocs/op
BenchmarkResource/token=seen 	 1000 	 90000 ns/op	 2500 cpu-ns/op	 39 B/op	 4 allocs/op
BenchmarkScaling/work=Refresh/alg=ES256/impl=authwright 	 1 	 30000 ns/op	 1.5 x-one
BenchmarkIntrospect/alg=ES256/impl=authwright 	 1000 	 90000 ns/op	 90000 cpu-ns/op	 39 B/op	 4 allocs/op	 0.61 x-base
BenchmarkHeap/grants=1000000 	 1 	 1 ns/op	 650.5 heap-B/grant
BenchmarkHeap/refreshes=100000 	 1 	 1 ns/op	 -0.01 heap-B/refresh
PASS
`

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, ns := range []string{"36000", "30000", "38000"} {
		out.WriteString(string(bytes.ReplaceAll([]byte(sample), []byte("%s"), []byte(ns))))
	}
	r, err := parse(out.Bytes())
	require.NoError(t, err)
	var table bytes.Buffer
	r.print(&table)
	for _, line := range []string{
		"| Signature ES256 | – | 20.00 |",
		"| 1.00 | 59 | 6064 |",
		"| CodeFlow ES256 | authwright | 36.00 |", // the median
		"| 1.80 | 135 | 9000 | 1.80 of 1.80 × Signature/alg=ES256, 135 of 135 allocs | OK |",
		"| CodeFlow ES256 | fosite | 80.00 |",
		"| 4.00 | 437 | 39000 |  |  |",
		"| 2.50 of 2.00 µs | OVER |",
		"| Refresh ES256 | authwright | 1.50 | ≥ 1.8 | OVER |",
		"| 0.61 | 4 | 39 | 0.61 of 0.60 × Signature/alg=ES256 | OVER |", // in turns, whatever the rounds say
		"| of a live grant (grants=1000000) | 650.5 | ≤ 700 | OK |",
		"| left behind by a refresh (refreshes=100000) | -0.0 | ≤ 0 | OK |",
	} {
		require.Contains(t, table.String(), line)
	}
}

func TestNoResults(t *testing.T) {
	t.Parallel()
	_, err := parse([]byte("PASS\n"))
	require.Error(t, err)
}

// A budget of a benchmark that has been renamed would silently hold for nothing.
func TestBudgetsWithoutTheirBase(t *testing.T) {
	t.Parallel()
	r, err := parse([]byte("BenchmarkResource/token=new 	 1 	 1 ns/op	 1 cpu-ns/op\n"))
	require.NoError(t, err)
	text, verdict := r.judge("Resource/token=new")
	require.Equal(t, "not measured: Verification/alg=ES256", text)
	require.Empty(t, verdict)
}
