package authwright_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "with -run TestConformance: write the names of the tests into docs/conformance.md")

// A requirement is a line of docs/conformance.md.
type requirement struct {
	id, tier string
	tests    string // its last column: the tests that prove it, or notYet
}

const notYet = "not yet"

// A line has five cells: ID, tier and level, what is required, source, tests.
var (
	anyLine         = regexp.MustCompile(`(?m)^\| *[A-Z]{2}-\d`)
	requirementLine = regexp.MustCompile(`(?m)^(\| ([A-Z]{2}-\d\d) \| ([CMA])[^|\n]*\|[^|\n]*\|[^|\n]*\| )([^|\n]*)( \|)$`)
)

// requirements reads the document. Their IDs are in order, so that none is lost.
func requirements(t *testing.T, document string) []requirement {
	t.Helper()
	var lines []requirement
	last := map[string]int{} // number of the section's last line
	for _, m := range requirementLine.FindAllStringSubmatch(document, -1) {
		section, text, _ := strings.Cut(m[2], "-")
		number, err := strconv.Atoi(text)
		require.NoError(t, err)
		require.Equal(t, last[section]+1, number, "%s is out of order", m[2])
		last[section] = number
		lines = append(lines, requirement{m[2], m[3], m[4]})
	}
	require.Len(t, lines, len(anyLine.FindAllString(document, -1)), "a line does not have five cells")
	return lines
}

// proofs finds the tests: for each ID the top-level tests that hold a name which begins
// with it.
func proofs(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, folder := range []string{".", "resource", "storagetest", "internal/integration"} {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			if file == "conformance_test.go" {
				continue // its own examples prove nothing
			}
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			proven, err := provenIn(string(source))
			require.NoError(t, err, file)
			for id, tests := range proven {
				for _, test := range tests {
					found[id] = append(found[id], path.Join(folder, test))
				}
			}
		}
	}
	return found
}

var proofName = regexp.MustCompile(`^([A-Z]{2}-\d\d) `)

// provenIn finds the names in one file.
func provenIn(source string) (map[string][]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, decl := range file.Decls {
		test := ""
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
			test = f.Name.Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, unquoteErr := strconv.Unquote(literal.Value)
			if m := proofName.FindStringSubmatch(text); m != nil && test == "" {
				err = fmt.Errorf("%q stands outside of a test", text)
			} else if m != nil && !slices.Contains(found[m[1]], test) {
				found[m[1]] = append(found[m[1]], test)
			} else if unquoteErr != nil {
				err = unquoteErr
			}
			return true
		})
	}
	return found, err
}

// column is the last cell of a line that is proved by tests.
func column(tests []string) string {
	if len(tests) == 0 {
		return notYet
	}
	quoted := make([]string, 0, len(tests))
	for _, test := range slices.Compact(slices.Sorted(slices.Values(tests))) {
		quoted = append(quoted, "`"+test+"`")
	}
	return strings.Join(quoted, ", ")
}

// disagreements compares the document with the tests.
func disagreements(lines []requirement, proven map[string][]string) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	known := map[string]bool{}
	for _, line := range lines {
		known[line.id] = true
		if want := column(proven[line.id]); line.tests != want {
			say("%s: the document says %s, the tests say %s", line.id, line.tests, want)
		}
		if line.tier == "C" && len(proven[line.id]) == 0 {
			say("%s: a line of tier C has no test", line.id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(proven)) {
		if !known[id] {
			say("%s: the document has no such line, but %s names it", id, column(proven[id]))
		}
	}
	return found
}

// TestConformance holds docs/conformance.md against the tests it names.
func TestConformance(t *testing.T) {
	t.Parallel()
	const name = "docs/conformance.md"
	document, err := os.ReadFile(name)
	require.NoError(t, err)
	proven := proofs(t)
	if *update {
		document = requirementLine.ReplaceAllFunc(document, func(line []byte) []byte {
			m := requirementLine.FindSubmatch(line)
			return slices.Concat(m[1], []byte(column(proven[string(m[2])])), m[5])
		})
		require.NoError(t, os.WriteFile(name, document, 0o644))
	}
	lines := requirements(t, string(document))
	require.NotEmpty(t, lines)
	if found := disagreements(lines, proven); len(found) > 0 {
		t.Fatalf("go test . -run TestConformance -update writes the tests into %s.\n%s", name, strings.Join(found, "\n"))
	}
}

// The comparison itself can fail.
func TestConformanceFails(t *testing.T) {
	t.Parallel()
	const table = "| ID | tier·level | requirement | source | test |\n|---|---|---|---|---|\n" +
		"| XX-01 | C·MUST | a | 1 | `TestA`, `resource/TestB` |\n| XX-02 | M·MUST | b | 2 | not yet |\n"
	lines := requirements(t, table)
	require.Equal(t, []requirement{{"XX-01", "C", "`TestA`, `resource/TestB`"}, {"XX-02", "M", notYet}}, lines)
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
			found := disagreements(lines, test.proven)
			if test.want == "" {
				require.Empty(t, found)
			} else {
				require.Contains(t, found, test.want)
			}
		})
	}
	t.Run("names in the source", func(t *testing.T) {
		t.Parallel()
		proven, err := provenIn("package p\nfunc TestA() { run(\"XX-01 a\"); run(`XX-01 b` + c); run(\"XX-1 c\"); run(\"about XX-02 \") }\nfunc TestB() { cases := []s{{name: \"XX-01 d\"}, {\"XX-03 e\"}}}")
		require.NoError(t, err)
		require.Equal(t, map[string][]string{"XX-01": {"TestA", "TestB"}, "XX-03": {"TestB"}}, proven)
		_, err = provenIn("package p\nvar cases = []string{\"XX-01 a\"}")
		require.Error(t, err)
	})
}
