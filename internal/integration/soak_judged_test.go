package integration_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// What the soak must not let pass, it does not. TestGrantModel shows the same of the model
// that it shares with other tests.
func TestSoakJudge(t *testing.T) {
	t.Parallel()
	t.Run("answers", judgeSoakAnswers)
	t.Run("lives", judgeSoakLives)
	t.Run("tokens", judgeSoakTokens)
	t.Run("growth", judgeSoakGrowth)
}

func judgeSoakAnswers(t *testing.T) {
	t.Parallel()
	windows := []soakWindow{
		{soakServer, "a server is killed", 10 * time.Second, 12 * time.Second},
		{soakStorage, "the network is down", 20 * time.Second, 22 * time.Second},
		{soakLoad, "overload", 30 * time.Second, 32 * time.Second},
	}
	for _, tt := range []struct {
		name       string
		want       bool
		outcome    outcome
		begin, end int // seconds
		kind       string
	}{
		{"an answer", true, granted, 1, 2, soakRefresh},
		{"a refusal, which is for the model to judge", true, refused, 1, 2, soakRefresh},
		{"503 in calm", false, unavailable, 1, 2, soakRefresh},
		{"503 because a server was killed", false, unavailable, 10, 11, soakRefresh},
		{"503 while the storage is down", true, unavailable, 21, 21, soakRefresh},
		{"503 that was waiting when it came back", true, unavailable, 18, 20, soakRefresh},
		{"503 after it came back", false, unavailable, 23, 24, soakRefresh},
		{"503 under too much load", true, unavailable, 31, 33, soakRefresh},
		{"a lost answer in calm", false, lost, 1, 2, soakRefresh},
		{"a lost answer while a server dies", true, lost, 9, 11, soakRefresh},
		{"a lost answer because the storage is down", false, lost, 21, 22, soakRefresh},
		{"a lost answer under too much load", false, lost, 31, 32, soakRefresh},
		{"no server in calm", false, notTried, 1, 2, soakRefresh},
		{"no server while one is killed", true, notTried, 11, 11, soakRefresh},
		{"keys that cannot be had in calm", false, unavailable, 1, 2, soakVerify},
		{"the same while a server is killed", true, unavailable, 10, 11, soakVerify},
		{"the same because the storage is down", false, unavailable, 21, 22, soakVerify},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := judgeSoakAnswer(soakAnswer{tt.kind, time.Duration(tt.begin) * time.Second, time.Duration(tt.end) * time.Second, tt.outcome, errors.New("why")}, windows)
			require.Equal(t, tt.want, err == nil, "%v", err)
		})
	}
}

func judgeSoakLives(t *testing.T) {
	t.Parallel()
	op := func(call, end int64, token string, o outcome, next string) porcupine.Operation {
		return porcupine.Operation{Input: presentation{token: token}, Call: call, Return: end, Output: answer{o, next}}
	}
	redeemed, revoked := op(0, 1, "", granted, "t1"), op(4, 5, "", refused, "")
	for _, tt := range []struct {
		name string
		want bool
		ops  []porcupine.Operation
	}{
		{"a life", true, []porcupine.Operation{redeemed, op(2, 3, "t1", granted, "t2"), revoked, op(6, 7, "t2", refused, "")}},
		{"a second redemption", false, []porcupine.Operation{redeemed, op(2, 3, "", granted, "t2")}},
		{"two heads", false, []porcupine.Operation{redeemed, op(2, 4, "t1", granted, "t2"), op(2, 4, "t1", granted, "t3")}},
		{"an honest client that is logged out", false, []porcupine.Operation{redeemed, op(2, math.MaxInt64, "t1", lost, ""), op(3, 4, "t1", refused, "")}},
		{"a code that is refused without a reason", false, []porcupine.Operation{op(0, 1, "", refused, ""), op(2, 3, "", refused, "")}},
		{"a code whose answer was lost", true, []porcupine.Operation{op(0, math.MaxInt64, "", lost, ""), op(2, 3, "", refused, "")}},
		{"a revoked grant that lives", false, []porcupine.Operation{redeemed, revoked, op(6, 7, "t1", granted, "t2")}},
		{"a revocation that was not acknowledged", true, []porcupine.Operation{redeemed, op(4, math.MaxInt64, "", unavailable, ""), op(6, 7, "t1", granted, "t2"), op(8, 9, "t2", refused, "")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := judgeSoakLife(tt.ops)
			require.Equal(t, tt.want, err == nil, "%v", err)
		})
	}
}

func judgeSoakTokens(t *testing.T) {
	t.Parallel()
	require.NoError(t, judgeSoakToken(true, false, false))
	require.NoError(t, judgeSoakToken(false, true, false))
	require.NoError(t, judgeSoakToken(false, false, true))
	require.Error(t, judgeSoakToken(true, true, false), "a revoked one is active")
	require.Error(t, judgeSoakToken(true, false, true), "a spent one is active")
	require.Error(t, judgeSoakToken(false, false, false), "a good one is not")
}

func judgeSoakGrowth(t *testing.T) {
	t.Parallel()
	series := func(value func(second int) float64) *soakSeries {
		s := &soakSeries{name: "heap", unit: 1 << 20, slack: 4 << 20}
		for i := range 600 {
			s.add(time.Duration(i)*time.Second, value(i)*(1<<20))
		}
		return s
	}
	for _, tt := range []struct {
		name  string
		want  bool
		value func(second int) float64
	}{
		{"flat", true, func(int) float64 { return 30 }},
		{"a saw", true, func(i int) float64 { return 20 + float64(i%20) }},
		{"warm after two minutes", true, func(i int) float64 { return float64(min(i, 100)) }},
		{"one peak", true, func(i int) float64 { return map[bool]float64{true: 900, false: 30}[i == 590] }},
		{"a leak", false, func(i int) float64 { return 30 + float64(i)/10 }},
		{"a leak in a saw", false, func(i int) float64 { return 20 + float64(i%20) + float64(i)/20 }},
		{"a step that stays", false, func(i int) float64 { return map[bool]float64{true: 60, false: 30}[i > 350] }},
		{"nothing", false, func(int) float64 { return 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := judgeSoakSeries(series(tt.value), 150*time.Second, 600*time.Second)
			require.Equal(t, tt.want, err == nil, "%v", err)
		})
	}
}
