package integration_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// A presentation of a code or a refresh token is an operation on a grant.
type presentation struct {
	grant int
	token string // the refresh token; "" for the code
}

// An outcome is what the presenter learns.
type outcome int

const (
	granted     outcome = iota
	refused             // invalid_grant
	lost                // no answer, or 503: it may have happened, and may still happen
	unavailable         // like lost, but there was an answer, of 503
	notTried            // nothing was sent
)

func (o outcome) unknown() bool { return o == lost || o == unavailable }

// An answer carries the next refresh token if the outcome is granted.
type answer struct {
	outcome outcome
	token   string
}

// A history is what clients did at what time. It is safe for concurrent use.
type history struct {
	mu    sync.Mutex
	begin time.Time
	ops   []porcupine.Operation
}

func newHistory() *history { return &history{begin: time.Now()} }

// record calls f, which makes p.
func (h *history) record(p presentation, f func() answer) answer {
	call := time.Since(h.begin)
	a := f()
	end := int64(time.Since(h.begin))
	if a.outcome == notTried {
		return a
	}
	if a.outcome.unknown() {
		end = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{Input: p, Call: int64(call), Output: a, Return: end})
	return a
}

// A grantState is what the model knows of a grant. The live token is empty if whoever
// made it did not get the answer.
type grantState struct {
	stage          string // code, active, revoked
	live, previous string
}

// grantModel says what a grant may do within RefreshGrace, if all presentations happened
// one after the other. It is the promise of the library in twenty lines.
var grantModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{grantState{stage: "code"}} },
	Step: func(state, input, output any) []any {
		s, token, a := state.(grantState), input.(presentation).token, output.(answer)
		if a.outcome.unknown() {
			return []any{s, present(s, token, "").state}
		}
		after := present(s, token, a.token)
		if after.granted != (a.outcome == granted) {
			return nil
		}
		return []any{after.state}
	},
}).ToModel()

type effect struct {
	granted bool
	state   grantState
}

// present is what the presentation of token, or of the code, does to s if a successor
// comes of it that is called next.
func present(s grantState, token, next string) effect {
	revoked := effect{false, grantState{stage: "revoked"}}
	switch {
	case s.stage == "revoked":
		return revoked
	case token == "" && s.stage == "code":
		return effect{true, grantState{"active", next, ""}}
	case token == "" || s.stage == "code": // a second redemption; a token from nowhere
		return revoked
	case token == s.live:
		if next == token {
			return revoked // it must be another one
		}
		return effect{true, grantState{"active", next, token}}
	case token == s.previous && (s.live == "" || next == "" || next == s.live): // a retry
		return effect{true, grantState{"active", cmp.Or(s.live, next), token}}
	}
	return revoked
}

// requireLinearizable checks that what h has recorded could have happened in an order
// that agrees with the clock and the model.
func requireLinearizable(t *testing.T, h *history) {
	t.Helper()
	grants := make(map[int][]porcupine.Operation)
	for _, op := range h.ops {
		g := op.Input.(presentation).grant
		grants[g] = append(grants[g], op)
	}
	for grant, ops := range grants {
		result := porcupine.CheckOperationsTimeout(grantModel, ops, time.Minute)
		require.Equal(t, porcupine.Ok, result, "grant %d: %s", grant, describe(ops))
	}
}

func describe(ops []porcupine.Operation) string {
	ops = slices.SortedFunc(slices.Values(ops), func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&b, "\n%v to %v: %+v %+v", time.Duration(op.Call), time.Duration(op.Return), op.Input, op.Output)
	}
	return b.String()
}

// The model takes what the library promises, and nothing else.
func TestGrantModel(t *testing.T) {
	t.Parallel()
	const never = math.MaxInt64
	op := func(call, end int64, token string, o outcome, next string) porcupine.Operation {
		return porcupine.Operation{Input: presentation{token: token}, Call: call, Return: end, Output: answer{o, next}}
	}
	redeemed := op(0, 1, "", granted, "t1")
	for _, tt := range []struct {
		name string
		want bool
		ops  []porcupine.Operation
	}{
		{"a chain", true, []porcupine.Operation{redeemed, op(2, 3, "t1", granted, "t2"), op(4, 5, "t2", granted, "t3")}},
		{"a code that is redeemed twice", false, []porcupine.Operation{op(0, 9, "", granted, "t1"), op(0, 9, "", granted, "t2")}},
		{"the same by one answer", false, []porcupine.Operation{op(0, 9, "", granted, "t1"), op(0, 9, "", granted, "t1")}},
		{"a code that nobody can redeem", false, []porcupine.Operation{op(0, 9, "", refused, ""), op(0, 9, "", refused, "")}},
		{"a race for a code", true, []porcupine.Operation{op(0, 9, "", refused, ""), op(0, 9, "", granted, "t1"), op(0, 9, "", refused, "")}},
		{"a refusal before the redemption", false, []porcupine.Operation{op(0, 1, "", refused, ""), op(2, 3, "", granted, "t1")}},
		{"a replay that does not revoke", false, []porcupine.Operation{redeemed, op(2, 3, "", refused, ""), op(4, 5, "t1", granted, "t2")}},
		{"a refresh beside a replay", true, []porcupine.Operation{redeemed, op(2, 5, "", refused, ""), op(3, 4, "t1", granted, "t2")}},
		{"a live token that is refused", false, []porcupine.Operation{redeemed, op(2, 3, "t1", refused, "")}},
		{"a retry", true, []porcupine.Operation{redeemed, op(2, 3, "t1", granted, "t2"), op(4, 5, "t1", granted, "t2")}},
		{"two heads", false, []porcupine.Operation{redeemed, op(2, 9, "t1", granted, "t2"), op(2, 9, "t1", granted, "t3")}},
		{"a retry after the successor was used", false, []porcupine.Operation{redeemed, op(2, 3, "t1", granted, "t2"), op(4, 5, "t2", granted, "t3"), op(6, 7, "t1", granted, "t2")}},
		{"a replay of a token", true, []porcupine.Operation{redeemed, op(2, 3, "t1", granted, "t2"), op(4, 5, "t2", granted, "t3"), op(6, 7, "t1", refused, ""), op(8, 9, "t3", refused, "")}},
		{"a token that does not change", false, []porcupine.Operation{redeemed, op(2, 3, "t1", granted, "t1")}},
		{"a token before the redemption", false, []porcupine.Operation{op(0, 1, "t0", granted, "t1")}},
		{"a redemption that got lost", true, []porcupine.Operation{op(0, never, "", lost, ""), op(2, 3, "", refused, "")}},
		{"a redemption that was never made", true, []porcupine.Operation{op(0, never, "", lost, ""), op(2, 3, "", granted, "t1")}},
		{"a redemption that was lost and is made twice", false, []porcupine.Operation{op(0, never, "", lost, ""), op(2, 3, "", granted, "t1"), op(4, 5, "", granted, "t2")}},
		{"a refresh that got lost", true, []porcupine.Operation{redeemed, op(2, never, "t1", unavailable, ""), op(4, 5, "t1", granted, "t2"), op(6, 7, "t1", granted, "t2")}},
		{"a refresh that was lost and has two successors", false, []porcupine.Operation{redeemed, op(2, never, "t1", unavailable, ""), op(4, 5, "t1", granted, "t2"), op(6, 7, "t1", granted, "t3")}},
		{"a refresh that got lost and burns the chain", false, []porcupine.Operation{redeemed, op(2, never, "t1", lost, ""), op(4, 5, "t1", refused, "")}},
		{"a replay that got lost and comes late", true, []porcupine.Operation{redeemed, op(2, never, "", lost, ""), op(4, 5, "t1", granted, "t2"), op(6, 7, "t2", refused, "")}},
		{"a grant that was forgotten", false, []porcupine.Operation{redeemed, op(2, 3, "t1", granted, "t2"), op(4, 5, "t1", granted, "t3")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, porcupine.CheckOperations(grantModel, tt.ops))
		})
	}
}
