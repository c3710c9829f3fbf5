package authwright_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// threatModel is docs/threat-model.md. A line has five cells: ID, attack, answer, what else
// proves it, tests. Its mark is the fourth: lines of docs/conformance.md, names of tests, or
// host for what only a host can do.
var threatModel = provenDocument{
	file:    "docs/threat-model.md",
	id:      `[A-Z]\d\d`,
	anyLine: regexp.MustCompile(`(?m)^\| *[A-Z]\d`),
	line:    regexp.MustCompile(`(?m)^(\| ([A-Z]\d\d) \|[^|\n]*\|[^|\n]*\| ([^|\n]*) \| )([^|\n]*)( \|)$`),
	gaps:    true,
	column: func(l provenLine, p *proofs) string {
		tests := slices.Clone(p.named[l.id])
		for _, mark := range marks(l) {
			if slices.Contains(p.tests, mark) {
				tests = append(tests, mark)
			}
		}
		if tests == nil && slices.Contains(marks(l), host) {
			return host
		}
		return quoted(tests)
	},
	flaw: func(l provenLine, p *proofs) string {
		for _, mark := range marks(l) {
			if mark != host && !slices.Contains(p.tests, mark) && !conformanceID.MatchString(mark) {
				return "there is no test " + mark
			}
		}
		return ""
	},
}

const host = "host"

var conformanceID = regexp.MustCompile(`^` + conformance.id + `$`)

// marks are what stands in the fourth cell of a line, which a dash leaves empty.
func marks(l provenLine) (found []string) {
	for mark := range strings.SplitSeq(l.mark, ",") {
		if mark = strings.Trim(mark, "` "); mark != "–" {
			found = append(found, mark)
		}
	}
	return found
}

// TestThreatModel holds docs/threat-model.md against the tests it names.
func TestThreatModel(t *testing.T) {
	t.Parallel()
	d := threatModel
	lines := findProofs(t, conformance.id).named
	d.column = func(l provenLine, p *proofs) string {
		also := &proofs{named: map[string][]string{l.id: slices.Clone(p.named[l.id])}, tests: p.tests}
		for _, mark := range marks(l) {
			also.named[l.id] = append(also.named[l.id], lines[mark]...)
		}
		return threatModel.column(l, also)
	}
	d.flaw = func(l provenLine, p *proofs) string {
		for _, mark := range marks(l) {
			if conformanceID.MatchString(mark) && lines[mark] == nil {
				return "no test proves " + mark
			}
		}
		return threatModel.flaw(l, p)
	}
	d.check(t)
}

// The comparison itself can fail.
func TestThreatModelFails(t *testing.T) {
	t.Parallel()
	const table = "| ID | attack | answer | also | test |\n|---|---|---|---|---|\n" +
		"| X01 | a | 1 | – | `TestA` |\n| X03 | b | 2 | `resource/TestB` | `resource/TestB` |\n| Y01 | c | 3 | host | host |\n| Y02 | d | 4 | – | not yet |\n"
	lines := threatModel.lines(t, table)
	require.Len(t, lines, 4)
	all := []string{"TestA", "resource/TestB"}
	for _, test := range []struct {
		name   string
		proven *proofs
		want   string // empty: they agree
	}{
		{"agreement", &proofs{map[string][]string{"X01": {"TestA"}}, all}, ""},
		{"a test that does not name its attack", &proofs{nil, all}, "X01: the document says `TestA`, the tests say not yet"},
		{"another test that does not exist", &proofs{map[string][]string{"X01": {"TestA"}}, all[:1]}, "X03: there is no test resource/TestB"},
		{"a test of what is said to be the host's", &proofs{map[string][]string{"X01": {"TestA"}, "Y01": {"TestC"}}, all}, "Y01: the document says host, the tests say `TestC`"},
		{"an attack that does not exist", &proofs{map[string][]string{"X01": {"TestA"}, "X02": {"TestC"}}, all}, "X02: the document has no such line, but `TestC` names it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			found := threatModel.disagreements(lines, test.proven)
			if test.want == "" {
				require.Empty(t, found)
			} else {
				require.Contains(t, found, test.want)
			}
		})
	}
}
