package integration_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// A soakAnswer is a request and what came of it. Times are since the run began.
type soakAnswer struct {
	kind       string
	begin, end time.Duration
	outcome    outcome
	cause      error // why there was no answer
}

// A soakTrouble is a kind of thing that goes wrong.
type soakTrouble string

const (
	soakServer  soakTrouble = "a server was down"
	soakStorage soakTrouble = "the storage was down"
	soakLoad    soakTrouble = "more work than the machine can do"
)

// A soakWindow is when something was wrong, and for how long it may still be felt.
type soakWindow struct {
	trouble  soakTrouble
	name     string
	from, to time.Duration
}

// soakDuring reports whether any of the troubles, or any at all, was there between two
// times.
func soakDuring(windows []soakWindow, begin, end time.Duration, troubles ...soakTrouble) bool {
	return slices.ContainsFunc(windows, func(w soakWindow) bool {
		return begin <= w.to && w.from <= end && (troubles == nil || slices.Contains(troubles, w.trouble))
	})
}

// judgeSoakAnswer says what is wrong with an answer, whatever its grant has been through:
// nobody is told to try again, and no answer gets lost, unless something is broken. A
// resource has no excuse in the storage: the keys are not there.
func judgeSoakAnswer(a soakAnswer, windows []soakWindow) error {
	switch a.outcome {
	case granted, refused: // judgeSoakLife knows whether it should have been
		return nil
	case unavailable:
		excuse := soakStorage
		if a.kind == soakVerify {
			excuse = soakServer
		}
		if soakDuring(windows, a.begin, a.end, excuse, soakLoad) {
			return nil
		}
		return fmt.Errorf("%s from %v to %v: it was not available, and nothing was broken: %v", a.kind, a.begin, a.end, a.cause)
	}
	if soakDuring(windows, a.begin, a.end, soakServer) {
		return nil
	}
	return fmt.Errorf("%s from %v to %v: no answer, and all servers were up: %v", a.kind, a.begin, a.end, a.cause)
}

// judgeSoakLife says what is wrong with all that was presented of a grant: whether it was
// redeemed twice, has two heads, was refused to its client, or has survived its end. That
// a client has revoked it stands there as a second redemption, which is as deadly.
func judgeSoakLife(ops []porcupine.Operation) error {
	if result := porcupine.CheckOperationsTimeout(grantModel, ops, 20*time.Second); result != porcupine.Ok {
		return fmt.Errorf("a grant has a history that is %s: %s", result, describe(ops))
	}
	return nil
}

// judgeSoakToken says what is wrong with what introspection says of a token. A revoked
// grant's are dead; whoever is not told so could not rely on revocation.
func judgeSoakToken(active, revoked, spent bool) error {
	switch {
	case active && revoked:
		return fmt.Errorf("a token is active, and its grant is revoked")
	case active && spent:
		return fmt.Errorf("a refresh token is active, and it has been spent")
	case !active && !revoked && !spent:
		return fmt.Errorf("a good token is not active")
	}
	return nil
}

// A soakSeries is something that was measured again and again and must not grow.
type soakSeries struct {
	name   string
	unit   float64 // of what the report shows
	slack  float64 // growth that is none, in addition to a fifth
	at     []time.Duration
	values []float64
}

func (s *soakSeries) add(at time.Duration, value float64) {
	s.at, s.values = append(s.at, at), append(s.values, value)
}

// between is the median and the maximum of what was measured between two times.
func (s *soakSeries) between(from, to time.Duration) (median, most float64) {
	var part []float64
	for i, at := range s.at {
		if from <= at && at < to {
			part = append(part, s.values[i])
		}
	}
	if part == nil {
		return 0, 0
	}
	slices.Sort(part)
	return part[len(part)/2], part[len(part)-1]
}

// thirds are the medians of the first and the last third of the time from warm to end.
func (s *soakSeries) thirds(warm, end time.Duration) (first, last float64) {
	third := (end - warm) / 3
	first, _ = s.between(warm, warm+third)
	last, _ = s.between(end-third, end+time.Second)
	return first, last
}

// judgeSoakSeries says whether s has grown from the first third to the last.
func judgeSoakSeries(s *soakSeries, warm, end time.Duration) error {
	first, last := s.thirds(warm, end)
	if first == 0 && last == 0 {
		return fmt.Errorf("%s was not measured", s.name)
	}
	if last > first*1.2+s.slack {
		return fmt.Errorf("%s has grown from %.1f to %.1f", s.name, first/s.unit, last/s.unit)
	}
	return nil
}
