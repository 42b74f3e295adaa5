package repotest_test

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	provingTest   = regexp.MustCompile(`\bTest[A-Z]\w*(/[\w-]+)?`)
	provingScript = regexp.MustCompile("`(scripts/[^`]+)`")
	testFunction  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// fieldRows are the rows of the review that docs/proof.md answers.
func fieldRows() (rows []string) {
	for letter, last := range map[string]int{"T": 14, "N": 29} {
		for n := range last {
			rows = append(rows, fmt.Sprint(letter, n+1))
		}
	}
	return append(rows, "S5", "S7", "S9", "S17", "S18", "S19")
}

// Each row of the field has a line in docs/proof.md, and what it names as its proof is
// there: tests, scripts of the command line, programs. TestPages_LinksLead looks at its
// sections.
func TestProof_RowsOfTheField(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	for _, f := range sources(t) {
		for _, d := range testFunction.FindAllStringSubmatch(f.text, -1) {
			tests[d[1]] = f.test
		}
	}
	_, section, _ := strings.Cut(string(readFile(t, "docs/proof.md")), "\n## Rows of the field\n")
	section, _, _ = strings.Cut(section, "\n## ")
	found := map[string]int{}
	for line := range strings.Lines(section) {
		for _, name := range provingTest.FindAllString(line, -1) {
			function, part, isPart := strings.Cut(name, "/")
			if !tests[function] {
				t.Errorf("there is no %s", name)
			}
			if isPart && function == "TestScripts" {
				mustLie(t, "cmd/hikyaku/testdata/"+part+".txtar")
			}
		}
		for _, program := range provingScript.FindAllStringSubmatch(line, -1) {
			mustLie(t, program[1])
		}
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) != 3 || !slices.Contains(fieldRows(), cells[0]) {
			continue
		}
		found[cells[0]]++
		if !provingTest.MatchString(cells[2]) && !provingScript.MatchString(cells[2]) && !linked.MatchString(cells[2]) {
			t.Errorf("nothing shows %s", cells[0])
		}
	}
	for _, row := range fieldRows() {
		if found[row] != 1 {
			t.Errorf("%s has %d lines in docs/proof.md, want one", row, found[row])
		}
	}
}

func mustLie(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(path.Join(root, name)); err != nil {
		t.Error(err)
	}
}
