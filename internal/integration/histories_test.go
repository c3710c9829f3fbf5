package integration_test

import (
	"cmp"
	"flag"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/authwright/authwright"
)

// historyCount is how many histories there are with Memory; with databases there are a
// twentieth. For more of them:
//
//	AUTHWRIGHT_HISTORIES=20000 go test -run TestHistories -timeout 0 .
var historyCount = 400

// historySteps is how long they are on average.
const historySteps = 60

// What rapid calls checks and steps are flags of the process. Those of the command line come
// later, and win.
func init() {
	if n, err := strconv.Atoi(os.Getenv("AUTHWRIGHT_HISTORIES")); err == nil && n > 0 {
		historyCount = n
	}
	for name, value := range map[string]int{"rapid.checks": historyCount, "rapid.steps": historySteps} {
		if err := flag.Set(name, strconv.Itoa(value)); err != nil {
			panic(err)
		}
	}
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
}

// Servers whose clocks differ share a storage that fails now and then. Whatever their users,
// clients and thieves do, in whatever order, each answer and all that is stored is what a
// model of a page predicts.
func TestHistories(t *testing.T) {
	t.Parallel()
	for name, open := range victimStores() {
		if withoutEngine(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, _ := open(t)
			count := max(1, historyCount/20)
			if name == "memory" {
				count = historyCount
			}
			seen := make(map[string]int)
			done, failed := 0, false
			rapid.Check(t, func(rt *rapid.T) {
				p := plans.Draw(rt, "history")
				if done >= count && !failed {
					return // rapid has one number for all tests
				}
				done++
				if name == "memory" {
					store = new(authwright.Memory)
				}
				if err := p.happen(t, store, seen, false); err != nil {
					failed = true
					rt.Fatalf("%v", err)
				}
			})
			t.Log(seen)
			if name == "memory" && done >= 400 {
				requireEventful(t, seen)
			}
		})
	}
}

// requireEventful checks that everything has happened that histories should be about.
func requireEventful(t *testing.T, seen map[string]int) {
	t.Helper()
	for _, what := range []string{
		"asked for consent", "a consent is remembered", "replayed", "repeated within the grace", "lost", "saved, and said not to", "unavailable",
		"revoked by a client", "forgotten", "cut short by the end", "overtaken", "denied", "declined offline_access",
		"invalid_grant", "invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_token_type", "temporarily_unavailable",
	} {
		require.Positive(t, seen[what], what)
	}
}

// The model must be able to fail: each mistake of a storage shows in some history, also to
// those who cannot look into it.
func TestHistoriesFindMistakes(t *testing.T) {
	t.Parallel()
	for name, lie := range liars {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found []string
			for seed := 1; seed <= 200 && len(found) < 2; seed++ {
				if err := plans.Example(seed).happen(t, lie(new(authwright.Memory)), make(map[string]int), true); err != nil {
					found = append(found, err.Error())
				}
			}
			require.NotEmpty(t, found)
			t.Log(slices.MinFunc(found, func(a, b string) int { return cmp.Compare(len(a), len(b)) }))
		})
	}
}

// The grace is measured by the clock of the server that is asked.
func TestHistoryOfTwoTabs(t *testing.T) {
	t.Parallel()
	p := plan{lifetimes: lifetimes{unused: time.Hour, end: time.Hour, grace: 30 * time.Second}, skew: [3]time.Duration{0, 29 * time.Second, 30 * time.Second}}
	p.steps = []step{{do: "sign in", scope: "read"}, {do: "refresh"}, {do: "refresh", token: 1, server: 1}}
	seen := make(map[string]int)
	require.NoError(t, p.happen(t, new(authwright.Memory), seen, false))
	require.Equal(t, 1, seen["repeated within the grace"])
	require.Zero(t, seen["replayed"])
	p.steps[2].server = 2 // where the grace is over at once
	require.NoError(t, p.happen(t, new(authwright.Memory), seen, false))
	require.Equal(t, 1, seen["repeated within the grace"])
	require.Equal(t, 1, seen["replayed"])
}
