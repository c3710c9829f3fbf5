//go:build unix && !race

package resource_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a request allocates, the ten of a verification by the standard library included, is not to
// grow by a tenth. The race detector allocates, too, so this runs without.
func TestAllocations(t *testing.T) {
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	p := newPresenter(t, v)
	headers := newRequests(samples(k))
	p.present(headers[0]) // from here on the header is known
	next := 0
	for _, work := range []struct {
		name     string
		measured float64
		do       func()
	}{
		{"a new token", 19, func() { next++; p.present(headers[next]) }},
		{"a token that was seen", 2, func() { p.present(headers[0]) }},
	} {
		t.Run(work.name, func(t *testing.T) {
			require.LessOrEqual(t, testing.AllocsPerRun(100, work.do), 1.1*work.measured)
		})
	}
}
