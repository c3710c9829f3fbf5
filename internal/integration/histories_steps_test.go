package integration_test

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// A plan is a history before it has happened: what everybody is going to do. Which grant
// and which token that is about shows only when it happens.
type plan struct {
	lifetimes
	skew  [3]time.Duration // by which the clocks of the servers are ahead
	steps []step
}

// GoString keeps rapid from printing what the history itself says better.
func (p plan) GoString() string { return fmt.Sprintf("%d steps", len(p.steps)) }

func (p plan) settings() string {
	return fmt.Sprintf("refresh tokens live %v and %v in all, grace %v, clocks ahead by %v", p.unused, p.end, p.grace, p.skew)
}

// A step is one request, or something else that happens.
type step struct {
	do     string
	how    string // what is special about it
	server int
	grant  int // counted from the newest
	token  int // likewise
	who    int // of the clients, or of the users
	scope  string
	wait   time.Duration
	lost   bool // the client does not get the answer

	// The storage fails at a call, before or after it has carried it out.
	failAt int
	after  bool

	// Somebody else does something just before a call of this request.
	meanwhile   *step
	meanwhileAt int
}

// What may happen, in an order that is well mixed in each part of it, because rapid favours
// the beginning of a list.
var everyStep = strings.Split("sign in,refresh,refresh,wait,refresh,authorize,consent,redeem,refresh,again,wait,sign in,revoke,refresh,redeem,consent,"+
	"introspect,again,refresh,authorize,wait,consent,redeem,refresh,client,sign in,revoke,sweep,revoke grant,refresh,revoke subject,client", ",")

// How things are done: the right way first.
var everyHow = map[string][]string{
	"consent": {"approve all", "approve one", "deny", "approve all", "approve none", "decide nothing", "in another browser", "as another user", "approve one"},
	"redeem": {"", "", "by another client", "wrong verifier", "wrong redirect_uri", "", "no redirect_uri", "no verifier", "short verifier",
		"wrong code", "wrong secret", "the refresh token"},
	"refresh":    {"", "", "", "", "", "", "", "", "by another client", "", "", "a forged turn", "", "a forged lineage", "wrong secret", "the code"},
	"revoke":     {"an access token", "a refresh token", "by another client", "the code", "a forged turn", "a forged lineage", "garbage", "wrong secret", "an access token"},
	"introspect": {"by another client", "wrong secret", "by the client", "by a public client"},
	"client":     {"enable", "withdraw write", "disable", "enable", "give write back", "enable"},
	"authorize":  {"", "prompt=consent", "prompt=consent"},
	"sign in":    {"", "approve one", "", "prompt=consent"},
}

var everyWait = []time.Duration{
	time.Second, 29 * time.Second, 5 * time.Second, 30 * time.Second, 31 * time.Second, time.Minute, 15 * time.Second, 9 * time.Minute, 10 * time.Minute,
	time.Hour, 61 * time.Second, 24 * time.Hour, 13 * 24 * time.Hour, 14 * 24 * time.Hour, 15 * 24 * time.Hour, 40 * 24 * time.Hour,
}

var everyScope = []string{"read write", "read write offline_access", "read write", "read", "write", "offline_access read", "read admin", "admin"}

// plans are all there are.
var plans = rapid.Custom(func(t *rapid.T) (p plan) {
	// Either weeks, or so little that some minutes bring the end near.
	p.unused, p.end = 14*24*time.Hour, 60*24*time.Hour
	switch rapid.IntRange(0, 3).Draw(t, "short") {
	case 2:
		p.unused, p.end = 15*time.Minute, 18*time.Minute
	case 3:
		p.unused, p.end = historyAccess, 18*time.Minute // the least that there may be
	}
	p.grace = rapid.SampledFrom([]time.Duration{30 * time.Second, 30 * time.Second, -1, 5 * time.Minute}).Draw(t, "grace")
	for i := range p.skew {
		p.skew[i] = time.Duration(rapid.SampledFrom([]int{0, 0, 1, 15, 29, 30, 7}).Draw(t, "skew")) * time.Second
	}
	t.Repeat(map[string]func(*rapid.T){"step": func(t *rapid.T) { p.steps = append(p.steps, drawStep(t, everyStep, false)) }})
	return p
})

// What may happen during another request.
var (
	duringAnswers = []string{"consent"}
	duringTokens  = []string{"refresh", "redeem", "refresh", "revoke", "again", "revoke grant", "revoke subject"}
)

// drawStep draws one of steps, which is disturbed now and then if undisturbed does not say
// otherwise.
func drawStep(t *rapid.T, steps []string, undisturbed bool) step {
	draw := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) }
	s := step{do: rapid.SampledFrom(steps).Draw(t, "do"), server: draw(3, "server"), grant: draw(3, "grant"), who: draw(8, "who")}
	if how := everyHow[s.do]; how != nil {
		s.how = rapid.SampledFrom(how).Draw(t, "how")
	}
	switch s.do {
	case "wait":
		waits := everyWait[:9]
		if draw(8, "long") == 7 {
			waits = everyWait
		}
		s.wait = rapid.SampledFrom(waits).Draw(t, "wait")
	case "authorize", "sign in", "consent":
		s.scope = rapid.SampledFrom(everyScope).Draw(t, "scope")
	case "refresh":
		s.token = rapid.SampledFrom([]int{0, 0, 1, 0, 1, 2, 3}).Draw(t, "token")
		s.scope = rapid.SampledFrom([]string{"", "", "", "read", "read write", "read admin", "write"}).Draw(t, "scope")
	case "revoke", "introspect":
		s.token = draw(3, "token")
	}
	s.lost = draw(4, "lost") == 3
	if undisturbed {
		return s
	}
	switch draw(8, "disturbed") {
	case 2, 5:
		s.failAt, s.after = 1+draw(5, "call"), rapid.Bool().Draw(t, "after")
	case 3, 6:
		s.overtake(t)
	}
	return s
}

// overtake lets something happen during s that may get in its way.
func (s *step) overtake(t *rapid.T) {
	during, calls := duringTokens, 4
	switch s.do {
	case "refresh", "redeem", "revoke", "again":
	case "consent":
		if during, calls = duringAnswers, 3; !strings.HasPrefix(s.how, "approve") && s.how != "deny" {
			return
		}
	default:
		return
	}
	other := drawStep(t, during, true)
	if s.do == "consent" || !rapid.Bool().Draw(t, "another") {
		other.grant = s.grant
	}
	s.meanwhile, s.meanwhileAt = &other, rapid.IntRange(2, calls).Draw(t, "call")
}

// disturbed says what happens to the storage during s.
func (s *step) disturbed() string {
	switch {
	case s.meanwhile != nil:
		return fmt.Sprintf(", overtaken before call %d", s.meanwhileAt)
	case s.failAt > 0 && s.after:
		return fmt.Sprintf(", call %d is carried out and fails", s.failAt)
	case s.failAt > 0:
		return fmt.Sprintf(", call %d fails", s.failAt)
	}
	return ""
}
