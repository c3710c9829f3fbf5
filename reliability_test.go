package authwright_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reliability is docs/reliability.md. A line has four cells: ID, promise, where it ends, tests.
// The tests are named by hand, and those that bear the line's ID are added.
var reliability = provenDocument{
	file:    "docs/reliability.md",
	id:      `RL-\d\d`,
	anyLine: regexp.MustCompile(`(?m)^\| *RL-\d`),
	line:    regexp.MustCompile(`(?m)^(\| (RL-\d\d) \| ([^|\n]+) \| [^|\n]+ \| )([^|\n]*)( \|)$`),
	column: func(l provenLine, p *proofs) string {
		tests := slices.Clone(p.named[l.id])
		for _, test := range namedTests(l) {
			if slices.Contains(p.tests, test) {
				tests = append(tests, test)
			}
		}
		return quoted(tests)
	},
	flaw: func(l provenLine, p *proofs) string {
		for _, test := range namedTests(l) {
			if !slices.Contains(p.tests, test) {
				return "there is no test " + test
			}
		}
		if len(namedTests(l)) == 0 {
			return "a promise has no test"
		}
		return ""
	},
}

// namedTests are the tests in the last cell of a line.
func namedTests(l provenLine) (tests []string) {
	if l.tests == notYet {
		return nil
	}
	for test := range strings.SplitSeq(l.tests, ", ") {
		tests = append(tests, strings.Trim(test, "`"))
	}
	return tests
}

// TestReliability holds docs/reliability.md against the tests it names.
func TestReliability(t *testing.T) {
	t.Parallel()
	reliability.check(t)
}

// The comparison itself can fail.
func TestReliabilityFails(t *testing.T) {
	t.Parallel()
	const table = "| ID | promise | where it ends | test |\n|---|---|---|---|\n" +
		"| RL-01 | a | nowhere | `TestA`, `resource/TestB` |\n| RL-02 | b | there | `TestC` |\n"
	lines := reliability.lines(t, table)
	require.Equal(t, []provenLine{{"RL-01", "a", "`TestA`, `resource/TestB`"}, {"RL-02", "b", "`TestC`"}}, lines)
	all := []string{"TestA", "TestC", "resource/TestB"}
	require.Empty(t, reliability.disagreements(lines, &proofs{tests: all}))
	for want, found := range map[string][]string{
		"RL-02: there is no test TestC":                                    reliability.disagreements(lines, &proofs{tests: []string{"TestA", "resource/TestB"}}),
		"RL-01: there is no test resource/TestB":                           reliability.disagreements(lines, &proofs{tests: []string{"TestA", "TestB", "TestC"}}),
		"RL-02: the document says `TestC`, the tests say `TestA`, `TestC`": reliability.disagreements(lines, &proofs{map[string][]string{"RL-02": {"TestA"}}, all}),
		"RL-03: the document has no such line, but `TestA` names it":       reliability.disagreements(lines, &proofs{map[string][]string{"RL-03": {"TestA"}}, all}),
		"RL-01: a promise has no test":                                     reliability.disagreements([]provenLine{{"RL-01", "a", notYet}}, &proofs{tests: all}),
	} {
		require.Contains(t, found, want)
	}
}
