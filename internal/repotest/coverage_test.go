package repotest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/prove"
)

const (
	coverageList   = root + "/docs/providers/coverage.tsv"
	coverageHeader = "document\tline\tkind\twhat\tfunction\ttest\tseen"
	notBuilt       = "not built"
)

// documents are the providers' documents, as the first column names copies of
// them, with the package that is built from each. Its documentation has title
// and address, under Sources.
var documents = map[string]string{
	"actibook.txt": "actibook", "assist-tencho.txt": "assisttencho", "shopline.txt": "shopline", "supersaas.txt": "supersaas", "yappli.txt": "yappli",
}

var (
	coverageKinds = strings.Fields("endpoint parameter response rule warning example context")
	lineRange     = regexp.MustCompile(`^[0-9]+(-[0-9]+)?$`)
	testName      = regexp.MustCompile(`^(Test|Example|Fuzz)\S*$`)
)

// A coverageRow says where one thing in the providers' documents is kept.
type coverageRow struct {
	number                                       int // line in the file
	document, lines, kind, what, code, test, saw string
}

// provider returns the package that the row is about.
func (r coverageRow) provider() string { return documents[r.document] }

// built is false for what the row says was left out, with the reason.
func (r coverageRow) built() bool { return !strings.HasPrefix(r.code, notBuilt) }

// String names the row as every fault does.
func (r coverageRow) String() string {
	return fmt.Sprintf("coverage.tsv row %d (%s:%s)", r.number, r.document, r.lines)
}

// TestCoverage: every row of coverage.tsv names code and a test that are there.
func TestCoverage(t *testing.T) {
	t.Parallel()
	names, tests := map[string]identifiers{}, map[string]identifiers{}
	for _, provider := range documents {
		names[provider], tests[provider] = identifiersOf(t, provider), testsOf(t, provider)
	}
	for _, r := range readCoverage(t) {
		if fault := r.missingCode(names[r.provider()]); fault != "" {
			t.Errorf("%s: %s", r, fault)
		}
		if test, _, _ := strings.Cut(r.test, "/"); r.test != "-" && !tests[r.provider()][test] {
			t.Errorf("%s: %s does not exist in pkg/providers/%s", r, r.test, r.provider())
		}
	}
}

// TestCoverage_Run runs the providers' tests once more, in a process of their own,
// and holds every row against what happened: its test ran and passed, and the
// sandbox saw its parameter.
func TestCoverage_Run(t *testing.T) {
	prove.Heavy(t)
	rows := readCoverage(t)
	start := time.Now()
	passed, seen := runProviders(t)
	t.Logf("%d rows; the providers' tests took %v", len(rows), time.Since(start).Round(time.Second))
	for _, r := range rows {
		if r.test != "-" && !passed[r.provider()+"\t"+r.test] {
			t.Errorf("%s: %s did not run and pass in pkg/providers/%s", r, r.test, r.provider())
		}
		if r.saw == "-" {
			continue
		}
		place := strings.LastIndex(r.saw, " ")
		if line := r.provider() + "\t" + r.saw[:max(place, 0)] + "\t" + r.saw[place+1:]; !seen[line] {
			t.Errorf("%s: the sandbox of %s never saw %q", r, r.provider(), r.saw)
		}
	}
}

func readCoverage(t *testing.T) []coverageRow {
	t.Helper()
	content, err := os.ReadFile(coverageList)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if lines[0] != coverageHeader {
		t.Fatalf("coverage.tsv row 1 must be the header %q", coverageHeader)
	}
	rows, counts := make([]coverageRow, 0, len(lines)), map[string]int{}
	for i, line := range lines[1:] {
		number := i + 2
		c := strings.Split(line, "\t")
		if len(c) != 7 || slices.ContainsFunc(c, func(s string) bool { return strings.TrimSpace(s) == "" }) {
			t.Errorf("coverage.tsv row %d has not seven filled columns", number)
			continue
		}
		r := coverageRow{number, c[0], c[1], c[2], c[3], c[4], c[5], c[6]}
		if fault := r.malformed(); fault != "" {
			t.Errorf("coverage.tsv row %d: %s", number, fault)
			continue
		}
		counts[r.document]++
		rows = append(rows, r)
	}
	for document := range documents {
		if counts[document] == 0 {
			t.Errorf("coverage.tsv has no row for %s", document)
		}
	}
	return rows
}

// malformed returns what is wrong with a row by itself, or "".
func (r coverageRow) malformed() string {
	switch {
	case documents[r.document] == "":
		return fmt.Sprintf("%q is no provider's document", r.document)
	case !lineRange.MatchString(r.lines):
		return fmt.Sprintf("%q is no line or range of lines", r.lines)
	case !slices.Contains(coverageKinds, r.kind):
		return fmt.Sprintf("%q is no kind", r.kind)
	case r.test != "-" && !testName.MatchString(r.test):
		return fmt.Sprintf("%q is no name of a test", r.test)
	case r.saw != "-" && !strings.Contains(r.saw, " /"):
		return fmt.Sprintf("seen must be a route and a parameter, such as %q, or -", "GET /v1/orders query:page")
	case r.built() && r.test == "-":
		return "what is built needs a test"
	case r.built() && r.saw == "-" && (r.kind == "endpoint" || r.kind == "parameter"):
		return "an endpoint or parameter needs what the sandbox must have seen"
	case !r.built() && len(strings.Fields(r.what+r.code)) < 5:
		return "what is not built needs the reason"
	}
	return ""
}

// runProviders returns "provider<TAB>test" of every test that passed, and the
// sandboxes' lines of what they were sent.
func runProviders(t *testing.T) (passed, seen map[string]bool) {
	t.Helper()
	dir := t.TempDir()
	tests := []string{"test", "-json", "-count=1", "-vet=off"}
	for _, provider := range documents {
		tests = append(tests, "./pkg/providers/"+provider+"/...")
	}
	command := exec.Command("go", tests...)
	command.Dir = root
	command.Env = append(os.Environ(), "HIKYAKU_SEEN_DIR="+dir)
	var faults bytes.Buffer
	command.Stderr = &faults
	out, failure := command.Output() // a failing test shows in its rows too
	passed, output := map[string]bool{}, map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var event struct{ Action, Package, Test, Output string }
		if err := dec.Decode(&event); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go test -json: %v", err)
		}
		name := strings.TrimPrefix(event.Package, module+"/pkg/providers/")
		provider, _, _ := strings.Cut(name, "/")
		switch event.Action {
		case "output":
			output[event.Package+event.Test] += event.Output
		case "pass":
			passed[provider+"\t"+event.Test] = true
		case "fail":
			t.Errorf("%s %s failed:\n%s", name, event.Test, output[event.Package+event.Test])
		}
	}
	if failure != nil && len(passed) == 0 {
		t.Fatalf("go test ./pkg/providers/...: %v\n%s", failure, &faults)
	}
	seen = map[string]bool{}
	for _, provider := range documents {
		content, err := os.ReadFile(filepath.Join(dir, provider+".txt"))
		if err != nil {
			t.Errorf("the tests of %s left no list of what its sandbox saw: call seenfile.Write in TestMain", provider)
		}
		for _, line := range strings.Split(string(content), "\n") {
			seen[line] = true
		}
	}
	return passed, seen
}
