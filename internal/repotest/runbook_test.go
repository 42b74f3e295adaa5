package repotest_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/outcome"
)

const runbook = "docs/runbook.md"

// section is what stands on a page between a heading and the next one of any level.
func section(t *testing.T, page, title string) string {
	t.Helper()
	_, rest, found := strings.Cut("\n"+page, "\n"+title+"\n")
	if !found {
		t.Fatalf("no heading %q", title)
	}
	if end := strings.Index(rest, "\n#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// table returns the rows of the table of a section whose first column has that head,
// without the head.
func table(t *testing.T, section, head string) (rows [][]string) {
	t.Helper()
	inside := false
	for line := range strings.SplitSeq(section, "\n") {
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
		switch {
		case cells[0] == head:
			inside = true
		case inside && !strings.HasPrefix(line, "|-"):
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("no table of %q", head)
	}
	return rows
}

// entries are the words in backquotes that begin the rows of a table.
func entries(rows [][]string) (names []string) {
	for _, row := range rows {
		for _, name := range quoted.FindAllStringSubmatch(row[0], -1) {
			names = append(names, name[1])
		}
	}
	return names
}

// values are those of the constants of a package that have a type of that name or, with
// a prefix, a name that begins so.
func values(t *testing.T, dir, named, prefix string) (all []string) {
	t.Helper()
	for _, f := range sources(t) {
		if path.Dir(f.path) != dir || f.test {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			kind, _ := spec.Type.(*ast.Ident)
			literal, _ := spec.Values[0].(*ast.BasicLit)
			of := kind != nil && kind.Name == named || kind == nil && prefix != "" && strings.HasPrefix(spec.Names[0].Name, prefix)
			if literal != nil && literal.Kind == token.STRING && of {
				text, _ := strconv.Unquote(literal.Value)
				all = append(all, text)
			}
			return true
		})
	}
	slices.Sort(all)
	return all
}

// The runbook has an entry for each alarm of the template and no other, which says how
// soon in the alarm's own word, and where to look.
func TestRunbook_Alarms(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	rows := table(t, section(t, string(readFile(t, runbook)), "## Alarms"), "alarm")
	soon := map[string]string{}
	for _, row := range rows {
		if len(row) != 5 || !quoted.MatchString(row[3]) || len(row[4]) < 5 {
			t.Errorf("%s: no place to look or nothing to do: %q", row[0], row)
			continue
		}
		for _, name := range quoted.FindAllStringSubmatch(row[0], -1) {
			soon[name[1]] = row[1]
		}
	}
	alarms := slices.Concat(s.Resources("AWS::CloudWatch::Alarm"), s.Resources("AWS::CloudWatch::CompositeAlarm"))
	for _, alarm := range alarms {
		severity, _, _ := strings.Cut(fmt.Sprint(s.At("Resources", alarm, "Properties", "AlarmDescription")), ": ")
		if soon[alarm] != severity {
			t.Errorf("%s is %q in the runbook, and its description begins with %q", alarm, soon[alarm], severity)
		}
		delete(soon, alarm)
	}
	for _, alarm := range slices.Sorted(maps.Keys(soon)) {
		t.Errorf("the template has no alarm %s", alarm)
	}
}

// No page speaks of an alarm that the template has not.
func TestPages_NameAlarmsThatExist(t *testing.T) {
	t.Parallel()
	s, named := prove.ReadTemplate(t, root), 0
	alarms := slices.Concat(s.Resources("AWS::CloudWatch::Alarm"), s.Resources("AWS::CloudWatch::CompositeAlarm"))
	walk(t, func(name string) {
		if path.Ext(name) != ".md" || path.Dir(name) == "docs/decisions" || name == "CHANGELOG.md" { // which speak of what was
			return
		}
		for _, alarm := range alarmName.FindAllStringSubmatch(string(readFile(t, name)), -1) {
			named++
			known := alarms
			if path.Base(name) == "operate.md" {
				known = slices.Concat(alarms, former)
			}
			if !slices.Contains(known, alarm[1]) {
				t.Errorf("%s: the template has no %s", name, alarm[1])
			}
		}
	})
	if named < 50 {
		t.Errorf("%d names of alarms were found", named)
	}
}

// former are alarms that an upgrade removes, which the page on it names.
var former = []string{"RefreshSilentAlarm"}

var alarmName = regexp.MustCompile("`(\\w+Alarm)`")

// The runbook has an entry for each outcome of the code and no other, and the sentence
// of each outcome of a user word for word.
func TestRunbook_Outcomes(t *testing.T) {
	t.Parallel()
	page := string(readFile(t, runbook))
	var users []string
	for _, class := range outcome.Classes() {
		users = append(users, string(class))
	}
	for _, c := range []struct {
		title, head string
		want        []string
	}{
		{"### Of users", "outcome", users},
		{"### Of tokens", "outcome", values(t, "internal/tokenrefresh/protocol", "Outcome", "")},
		{"### Of exports", "status", values(t, "internal/export", "Status", "")},
		{"### Of exports", "state", values(t, "internal/export", "State", "")},
		{"### Of exports", "kind", values(t, "internal/export", "", "Doubt")},
	} {
		rows := table(t, section(t, page, c.title), c.head)
		if got := entries(rows); !slices.Equal(got, c.want) || len(got) < 5 {
			t.Errorf("%s, %s: the runbook has %v, the code %v", c.title, c.head, got, c.want)
		}
		for _, row := range rows {
			if len(row) != 4 || !slices.Contains([]string{"-", "Warning", "High", "Critical"}, row[2]) || row[2] != "-" && row[3] == "-" {
				t.Errorf("%s: %q does not say how soon and what to do", c.title, row)
			}
			if class := outcome.Class(strings.Trim(row[0], "`")); c.title == "### Of users" && row[1] != class.Sentence() {
				t.Errorf("%s means %q, and the code says %q", class, row[1], class.Sentence())
			}
		}
	}
}

// query is a log group and what is asked of it.
var (
	query    = regexp.MustCompile("`(/hikyaku/STACK/\\w+)`: `([^`]+)`")
	literals = regexp.MustCompile(`"([^"]+)"`)
	measured = regexp.MustCompile(`\b[A-Z][a-z]+[A-Z]\w+\b`)
)

// Each query of the runbook asks a log group of the template for what the code writes.
func TestRunbook_Queries(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	var groups []string
	for _, group := range s.Resources("AWS::Logs::LogGroup") {
		groups = append(groups, strings.ReplaceAll(fmt.Sprint(s.At("Resources", group, "Properties", "LogGroupName", "Sub")), "${AWS::StackName}", "STACK"))
	}
	var code strings.Builder
	for _, f := range sources(t) {
		if !f.test {
			code.WriteString(f.text)
		}
	}
	queries := query.FindAllStringSubmatch(string(readFile(t, runbook)), -1)
	for _, q := range queries {
		if !slices.Contains(groups, q[1]) || !strings.HasPrefix(q[2], "filter ") {
			t.Errorf("%s is none of %v, or %q filters nothing", q[1], groups, q[2])
		}
		words := measured.FindAllString(literals.ReplaceAllString(q[2], ""), -1)
		for _, literal := range literals.FindAllStringSubmatch(q[2], -1) {
			if literal[1] != "WARN" && literal[1] != "ERROR" {
				words = append(words, literal[1])
			}
		}
		for _, word := range words {
			if !strings.Contains(code.String(), strconv.Quote(word)) {
				t.Errorf("%s: no line of the code has %q", q[2], word)
			}
		}
	}
	if len(queries) < 25 {
		t.Errorf("%d queries were found", len(queries))
	}
}
