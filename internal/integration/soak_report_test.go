package integration_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is what docs/soak.md shows of a run.
func (s *soak) report(engine string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("\n%s, %s, %d cores, %s/%s, %s. %d servers on one %s.\n", s.begun.Format("2 January 2006, 15:04"), soakProcessor(),
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), soakServers, engine)
	line("Without trouble the machine answered %.0f requests a second. At %.0f %% of that, %.1f lives began each second for %v.",
		s.capacity, 100*soakShare, s.rate, s.plan.length)
	line("In all %d requests were sent for %d lives. %d more did not begin, since a second's work was waiting already.\n",
		s.requests(), s.lives.Load(), s.shed.Load())
	s.reportAnswers(line)
	s.reportTrouble(line)
	s.reportLatency(line)
	s.reportGrowth(line)
	line("Wrong answers: %d.\n", s.faultCount)
	return b.String()
}

func soakProcessor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name")
	name, _, _ := strings.Cut(rest, "\n")
	return cmp.Or(strings.Trim(name, "\t: "), "a processor without a name")
}

func (s *soak) reportAnswers(line func(string, ...any)) {
	line("| requests | done | invalid_grant | 503 | answer lost | no server |")
	line("|---|---|---|---|---|---|")
	for _, kind := range soakKinds {
		n := s.counts[kind]
		line("| %s | %d | %d | %d | %d | %d |", kind, n[granted], n[refused], n[unavailable], n[lost], n[notTried])
	}
	line("\nOf the codes that were refused to their clients, %d were lost with the answer of a server and %d with that of the database.",
		s.lostCodes.Load(), s.lostBy503.Load())
	line("%d introspections of access tokens came too late to be judged.\n", s.spared.Load())
}

func (s *soak) reportTrouble(line func(string, ...any)) {
	line("| trouble | times | seconds, with what is felt afterwards |")
	line("|---|---|---|")
	times, took := make(map[string]int), make(map[string]time.Duration)
	for _, w := range s.windows {
		times[w.name]++
		took[w.name] += w.to - w.from
	}
	for _, name := range slices.Sorted(maps.Keys(times)) {
		line("| %s | %d | %.0f |", name, times[name], took[name].Seconds())
	}
	line("\nClocks differed by %v at most. A new key signed every %v, %d in all. %d of %.0f seconds were calm.\n",
		soakSkew, s.plan.rotation, 1+s.ended/s.plan.rotation, s.calm(s.began, s.ended), (s.ended - s.began).Seconds())
}

// reportLatency is of operations: from when a client has decided to do something until it
// has an answer, with all that it had to repeat.
func (s *soak) reportLatency(line func(string, ...any)) {
	var calm, disturbed []time.Duration
	for _, o := range s.operations {
		if soakDuring(s.windows, o.due, o.done) {
			disturbed = append(disturbed, o.done-o.due)
		} else {
			calm = append(calm, o.done-o.due)
		}
	}
	line("| operations, with all attempts | number | p50 ms | p99 ms | max ms |")
	line("|---|---|---|---|---|")
	soakLatency(line, "in calm seconds", calm)
	soakLatency(line, "in disturbed seconds", disturbed)
	line("")
}

func soakLatency(line func(string, ...any), name string, d []time.Duration) {
	if d == nil {
		line("| %s | 0 | – | – | – |", name)
		return
	}
	slices.Sort(d)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	line("| %s | %d | %.1f | %.1f | %.1f |", name, len(d), ms(d[len(d)/2]), ms(d[len(d)*99/100]), ms(d[len(d)-1]))
}

func (s *soak) reportGrowth(line func(string, ...any)) {
	warm := soakWarm
	if s.plan.length < soakLong {
		warm = s.plan.length / 4
		line("The run was too short to judge growth: what follows is only what was measured.\n")
	}
	line("| measured every second, after %v | median of the first third | of the last third | most | most of the servers that were killed |", warm.Round(time.Second))
	line("|---|---|---|---|---|")
	for i, series := range s.samples.all() {
		first, last := series.thirds(s.began+warm, s.ended)
		_, most := series.between(0, s.ended+time.Minute)
		others := "–"
		if i < len(s.samples.others) {
			_, n := s.samples.others[i].between(0, s.ended+time.Minute)
			others = fmt.Sprintf("%.0f", n/series.unit)
		}
		line("| %s | %.0f | %.0f | %.0f | %s |", series.name, first/series.unit, last/series.unit, most/series.unit, others)
	}
	line("")
}
