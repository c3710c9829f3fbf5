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

var update = flag.Bool("update", false, "with -run 'TestConformance|TestThreatModel|TestReliability': write the names of the tests into the documents")

const notYet = "not yet"

// A provenDocument is a file whose tables have a line for each thing that tests have to
// prove, which the last cell of the line names.
type provenDocument struct {
	file string

	// id matches the ID of a line, anyLine the beginning of one, and line all of it, in
	// groups: what comes before the last cell, the ID, the mark, the last cell, the end.
	id            string
	anyLine, line *regexp.Regexp
	gaps          bool // between the numbers of a section; if there are none, no line is lost

	// column is what the last cell of a line should be.
	column func(l provenLine, p *proofs) string

	// flaw is what else is wrong with a line, or "".
	flaw func(l provenLine, p *proofs) string
}

// A provenLine is one line of a provenDocument. Its mark is what a document has besides.
type provenLine struct{ id, mark, tests string }

// lines reads the document. Its sections have IDs in order, so that none is there twice.
func (d *provenDocument) lines(t *testing.T, document string) []provenLine {
	t.Helper()
	var lines []provenLine
	last := map[string]int{} // number of the section's last line
	for _, m := range d.line.FindAllStringSubmatch(document, -1) {
		section := strings.TrimRight(m[2], "0123456789")
		number, err := strconv.Atoi(strings.TrimPrefix(m[2], section))
		require.NoError(t, err)
		require.Less(t, last[section], number, "%s is out of order", m[2])
		require.True(t, d.gaps || number == last[section]+1, "a line before %s is lost", m[2])
		last[section] = number
		lines = append(lines, provenLine{m[2], m[3], m[4]})
	}
	require.Len(t, lines, len(d.anyLine.FindAllString(document, -1)), "a line does not have all its cells")
	return lines
}

// proofs are the tests of the module.
type proofs struct {
	named map[string][]string // by the ID that names of subtests begin with
	tests []string            // all of them
}

// findProofs reads the tests. IDs match the expression id.
func findProofs(t *testing.T, id string) *proofs {
	t.Helper()
	found := &proofs{named: map[string][]string{}}
	for _, folder := range []string{".", "authtest", "examples", "internal/integration", "redisstore", "resource", "sqlstore", "storagetest"} {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			if slices.Contains([]string{"proof_test.go", "conformance_test.go", "threatmodel_test.go"}, file) {
				continue // their own examples prove nothing
			}
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			proven, err := provenIn(string(source), id)
			require.NoError(t, err, file)
			for id, tests := range proven.named {
				for _, test := range tests {
					found.named[id] = append(found.named[id], path.Join(folder, test))
				}
			}
			for _, test := range proven.tests {
				found.tests = append(found.tests, path.Join(folder, test))
			}
		}
	}
	return found
}

// provenIn finds the names in one file. A subtest proves a line when its name begins with
// the line's ID.
func provenIn(source, id string) (*proofs, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	name := regexp.MustCompile(`^(` + id + `) `)
	found := &proofs{named: map[string][]string{}}
	for _, decl := range file.Decls {
		test := ""
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
			test = f.Name.Name
			found.tests = append(found.tests, test)
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, unquoteErr := strconv.Unquote(literal.Value)
			if m := name.FindStringSubmatch(text); m != nil && test == "" {
				err = fmt.Errorf("%q stands outside of a test", text)
			} else if m != nil && !slices.Contains(found.named[m[1]], test) {
				found.named[m[1]] = append(found.named[m[1]], test)
			} else if unquoteErr != nil {
				err = unquoteErr
			}
			return true
		})
	}
	return found, err
}

// quoted is a cell that names tests.
func quoted(tests []string) string {
	if len(tests) == 0 {
		return notYet
	}
	var names []string
	for _, test := range slices.Compact(slices.Sorted(slices.Values(tests))) {
		names = append(names, "`"+test+"`")
	}
	return strings.Join(names, ", ")
}

// disagreements compares the document with the tests.
func (d *provenDocument) disagreements(lines []provenLine, p *proofs) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	known := map[string]bool{}
	for _, line := range lines {
		known[line.id] = true
		if want := d.column(line, p); line.tests != want {
			say("%s: the document says %s, the tests say %s", line.id, line.tests, want)
		}
		if flaw := d.flaw(line, p); flaw != "" {
			say("%s: %s", line.id, flaw)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.named)) {
		if !known[id] {
			say("%s: the document has no such line, but %s names it", id, quoted(p.named[id]))
		}
	}
	return found
}

// check holds the document against the tests, and writes their names into it first if the
// flag says so.
func (d *provenDocument) check(t *testing.T) {
	t.Helper()
	document, err := os.ReadFile(d.file)
	require.NoError(t, err)
	p := findProofs(t, d.id)
	if *update {
		document = d.line.ReplaceAllFunc(document, func(line []byte) []byte {
			m := d.line.FindSubmatch(line)
			column := d.column(provenLine{string(m[2]), string(m[3]), string(m[4])}, p)
			return slices.Concat(m[1], []byte(column), m[5])
		})
		require.NoError(t, os.WriteFile(d.file, document, 0o644))
	}
	lines := d.lines(t, string(document))
	require.NotEmpty(t, lines)
	if found := d.disagreements(lines, p); len(found) > 0 {
		t.Fatalf("go test . -run %s -update writes the tests into %s.\n%s", t.Name(), d.file, strings.Join(found, "\n"))
	}
}
