package authwright_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// conformance is docs/conformance.md. A line has five cells: ID, tier and level, what is
// required, source, tests. Its mark is the tier.
var conformance = provenDocument{
	file:    "docs/conformance.md",
	id:      `[A-Z]{2}-\d\d`,
	anyLine: regexp.MustCompile(`(?m)^\| *[A-Z]{2}-\d`),
	line:    regexp.MustCompile(`(?m)^(\| ([A-Z]{2}-\d\d) \| ([CMA])[^|\n]*\|[^|\n]*\|[^|\n]*\| )([^|\n]*)( \|)$`),
	column:  func(l provenLine, p *proofs) string { return quoted(p.named[l.id]) },
	flaw: func(l provenLine, p *proofs) string {
		if l.mark == "C" && len(p.named[l.id]) == 0 {
			return "a line of tier C has no test"
		}
		return ""
	},
}

// TestConformance holds docs/conformance.md against the tests it names.
func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.check(t)
}

// The comparison itself can fail.
func TestConformanceFails(t *testing.T) {
	t.Parallel()
	const table = "| ID | tier·level | requirement | source | test |\n|---|---|---|---|---|\n" +
		"| XX-01 | C·MUST | a | 1 | `TestA`, `resource/TestB` |\n| XX-02 | M·MUST | b | 2 | not yet |\n"
	lines := conformance.lines(t, table)
	require.Equal(t, []provenLine{{"XX-01", "C", "`TestA`, `resource/TestB`"}, {"XX-02", "M", notYet}}, lines)
	both := []string{"resource/TestB", "TestA", "TestA"}
	for _, test := range []struct {
		name   string
		proven map[string][]string
		want   string // empty: they agree
	}{
		{"agreement", map[string][]string{"XX-01": both}, ""},
		{"no test for a line of tier C", nil, "XX-01: a line of tier C has no test"},
		{"a test that does not exist", map[string][]string{"XX-01": {"TestA"}}, "XX-01: the document says `TestA`, `resource/TestB`, the tests say `TestA`"},
		{"a test the document does not know of", map[string][]string{"XX-01": both, "XX-02": {"TestC"}}, "XX-02: the document says not yet, the tests say `TestC`"},
		{"a line that does not exist", map[string][]string{"XX-01": both, "XX-03": {"TestC"}}, "XX-03: the document has no such line, but `TestC` names it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			found := conformance.disagreements(lines, &proofs{named: test.proven})
			if test.want == "" {
				require.Empty(t, found)
			} else {
				require.Contains(t, found, test.want)
			}
		})
	}
	t.Run("names in the source", func(t *testing.T) {
		t.Parallel()
		proven, err := provenIn("package p\nfunc TestA() { run(\"XX-01 a\"); run(`XX-01 b` + c); run(\"XX-1 c\"); run(\"about XX-02 \") }\nfunc TestB() { cases := []s{{name: \"XX-01 d\"}, {\"XX-03 e\"}}}", conformance.id)
		require.NoError(t, err)
		require.Equal(t, map[string][]string{"XX-01": {"TestA", "TestB"}, "XX-03": {"TestB"}}, proven.named)
		require.Equal(t, []string{"TestA", "TestB"}, proven.tests)
		_, err = provenIn("package p\nvar cases = []string{\"XX-01 a\"}", conformance.id)
		require.Error(t, err)
	})
}
