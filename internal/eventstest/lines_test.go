package eventstest_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"hikyaku/internal/cloudwatchtest"
	"hikyaku/internal/localstack"
)

// spoken are the messages of a world's functions, each with its function and level, and
// the levels of Lambda at which it is left out. Each line is one that Lambda reads, and
// a measurement is never left out.
func (w *world) spoken() map[string]bool {
	w.Helper()
	all := map[string]bool{}
	for function, written := range w.logs {
		text := written.String()
		whole := text[:strings.LastIndexByte(text, '\n')+1] // a process may be about to write the rest
		for line := range strings.Lines(whole) {
			l, err := cloudwatchtest.ParseLine([]byte(line))
			if err != nil {
				w.Errorf("%s: %v: %s", function, err, line)
				continue
			}
			if strings.HasPrefix(l.Message, `{"errorMessage":`) { // the Lambda library's, of a binary alone
				if l.Level != "ERROR" {
					w.Errorf("%s: an invocation's error has the level %s", function, l.Level)
				}
				continue
			}
			var out []string
			for _, application := range cloudwatchtest.Levels {
				if !cloudwatchtest.Kept([]byte(line), application) {
					out = append(out, application)
				}
			}
			if l.Metrics != nil && (len(out) > 0 || l.Message != "metric") {
				w.Errorf("%s: a measurement is left out at %v: %s", function, out, line)
			}
			all[fmt.Sprintf("%s %s %q: left out at %v", function, l.Level, l.Message, out)] = true
		}
	}
	return all
}

// said gathers the messages of all events.
type said struct {
	mu       sync.Mutex
	messages map[string]bool
	events   int
}

func (s *said) add(messages map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.messages, messages)
	s.events++
}

// check compares with testdata/levels.txt. Lines that a binary writes as it answers may
// be read too late, and those of events that were not run are missing.
func (s *said) check(t *testing.T, complete bool) {
	t.Helper()
	path := filepath.Join("testdata", "levels.txt")
	got := slices.Sorted(maps.Keys(s.messages))
	if *update && complete {
		if err := os.WriteFile(path, []byte(strings.Join(got, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, message := range got {
		if !slices.Contains(want, message) {
			t.Errorf("no line of %s: %s", path, message)
		}
	}
	for _, message := range want {
		if complete && !s.messages[message] {
			t.Errorf("no event lets a function say %s", message)
		}
	}
	for _, function := range localstack.Functions() {
		if metric := fmt.Sprintf("%s FATAL %q: left out at []", function, "metric"); !slices.Contains(want, metric) {
			t.Errorf("%s measures nothing", function)
		}
	}
}
