package cloudwatchtest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"hikyaku/internal/cloudwatchtest"
)

// A logGroup keeps what Lambda keeps of a function's lines.
type logGroup struct {
	level string // the function's ApplicationLogLevel

	mu    sync.Mutex
	lines []map[string]any
}

// Write takes one line.
func (g *logGroup) Write(line []byte) (int, error) {
	var keys map[string]any
	if cloudwatchtest.Kept(line, g.level) && json.Unmarshal(line, &keys) == nil {
		g.mu.Lock()
		g.lines = append(g.lines, keys)
		g.mu.Unlock()
	}
	return len(line), nil
}

// found counts the lines that a filter finds.
func (g *logGroup) found(holds func(map[string]any) bool) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, line := range g.lines {
		if holds(line) {
			n++
		}
	}
	return n
}

// A look is where the runbook lets people look who were called by an alarm.
type look struct {
	group string // the last part of its name
	holds func(line map[string]any) bool
}

var (
	alarmName = regexp.MustCompile("`(\\w+Alarm)`")
	query     = regexp.MustCompile("`/hikyaku/STACK/(\\w+)`: `filter ([^`]+)`")
	clause    = regexp.MustCompile(`^(?:ispresent\((\w+)\)|(\w+) (=|>|in) ("[^"]*"|\[[^\]]*\]|\d+))`)
)

// looks are the queries of the runbook's alarms. A row that says "as" another has that
// one's.
func looks(t *testing.T) map[string]look {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Alarms\n")
	section, _, _ = strings.Cut(section, "\n## ")
	all, as := map[string]look{}, map[string]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 5 {
			continue
		}
		for _, name := range alarmName.FindAllStringSubmatch(cells[0], -1) {
			if found := query.FindStringSubmatch(cells[3]); found != nil {
				all[name[1]] = look{found[1], filter(t, found[2])}
			} else if other := alarmName.FindStringSubmatch(cells[3]); other != nil {
				as[name[1]] = other[1]
			}
		}
	}
	for name, other := range as {
		all[name] = all[other]
	}
	return all
}

// test is a condition on a line.
type test = func(line map[string]any) bool

// filter reads as much of the language of Logs Insights as the runbook uses: conditions,
// joined by "and", and those by "or".
func filter(t *testing.T, text string) test {
	t.Helper()
	alternatives := [][]test{nil}
	for join, rest := "and", text; ; {
		parts := clause.FindStringSubmatch(rest)
		if parts == nil || join != "and" && join != "or" {
			t.Fatalf("docs/runbook.md: a filter %q, which this test does not know", text)
		}
		if join == "or" {
			alternatives = append(alternatives, nil)
		}
		last := len(alternatives) - 1
		alternatives[last] = append(alternatives[last], condition(parts))
		if rest = rest[len(parts[0]):]; rest == "" {
			break
		}
		join, rest, _ = strings.Cut(strings.TrimSpace(rest), " ")
	}
	return func(line map[string]any) bool {
		return slices.ContainsFunc(alternatives, func(all []test) bool {
			return !slices.ContainsFunc(all, func(holds test) bool { return !holds(line) })
		})
	}
}

func condition(parts []string) test {
	present, field, operator, operand := parts[1], parts[2], parts[3], parts[4]
	switch {
	case present != "":
		return func(line map[string]any) bool { return line[present] != nil }
	case operator == ">":
		than, _ := strconv.ParseFloat(operand, 64) // digits alone
		return func(line map[string]any) bool { n, is := line[field].(float64); return is && n > than }
	}
	return func(line map[string]any) bool {
		value, is := line[field].(string)
		return is && strings.Contains(operand, strconv.Quote(value))
	}
}

// unseen are alarms that ring for a cause of which no line tells.
var unseen = map[string]string{
	"webhooks find no concurrency left":                         "IngestFailuresAlarm",    // the function never ran; IngestThrottledAlarm says so
	"the schedule no longer calls":                              "RefreshStoppedAlarm",    // the same
	"tokens are paused for two hours, and resumed an hour late": "RefreshStoppedAlarm",    // the same
	"thousands of pages of members, each half a minute late":    "ReconcileTimedOutAlarm", // a list that is slow is no fault
}

// The query that the runbook gives for each alarm that rang finds what happened, at the
// level at which a stack logs.
func (s *shop) isExplained(looks map[string]look, d drive) {
	s.Helper()
	for _, alarm := range d.rings {
		l, has := looks[alarm]
		switch {
		case !has: // the runbook names a command
		case s.groups[l.group] == nil:
			s.Errorf("docs/runbook.md looks into a log group %s for %s, which there is not", l.group, alarm)
		case (s.groups[l.group].found(l.holds) == 0) != (unseen[d.cause] == alarm):
			s.Errorf("the query of docs/runbook.md for %s finds nothing, or more than unseen says", alarm)
		}
	}
}
