package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/console"
	"hikyaku/pkg/providers/sandbox"
)

// A fakeDev is a development stack that shows what it was given, and notes what it was
// asked to do, in words: "delay m1 1m0s".
type fakeDev struct {
	mu       sync.Mutex
	state    console.State
	series   []console.Sample
	events   []console.Event // the newest first
	ways     map[string]console.Way
	editors  map[string]sandbox.Editor
	troubles []sandbox.Trouble
	refuses  error // what each change answers
	done     []string
	changed  chan struct{}
}

// on lets a console show the stack.
func (d *fakeDev) on(o *console.Options) { o.Dev = d }

// note keeps what was asked for, and lets those who wait look again.
func (d *fakeDev) note(words ...any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuses != nil {
		return d.refuses
	}
	d.done = append(d.done, strings.TrimSuffix(fmt.Sprintln(words...), "\n"))
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
	return nil
}

// did returns what was asked for since it was called last.
func (d *fakeDev) did() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	done := d.done
	d.done = nil
	return done
}

func (d *fakeDev) State() console.State { return d.state }

func (d *fakeDev) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return d.changed
}

func (d *fakeDev) Series() []console.Sample { return d.series }

func (d *fakeDev) Events(f console.Filter) []console.Event {
	if f.Limit == 0 {
		f.Limit = 50
	}
	var found []console.Event
	for _, e := range d.events {
		if f.Before != "" && e.ID >= f.Before || len(f.Kinds) > 0 && !slices.Contains(f.Kinds, e.Kind) || f.Bad && !e.Bad ||
			f.Provider != "" && f.Provider != e.Provider || f.User != "" && f.User != e.User || f.Way != "" && f.Way != e.Way {
			continue
		}
		if found = append(found, e); len(found) == f.Limit {
			break
		}
	}
	return found
}

func (d *fakeDev) Way(id string) (console.Way, bool) {
	w, ok := d.ways[id]
	return w, ok
}

func (d *fakeDev) Repeat(_ context.Context, id string, edited []byte) (string, error) {
	return "repeated", d.note("repeat", id, string(edited))
}

func (d *fakeDev) Delay(id string, by time.Duration) error { return d.note("delay", id, by) }
func (d *fakeDev) Duplicate(id string) error               { return d.note("duplicate", id) }
func (d *fakeDev) Drop(id string) error                    { return d.note("drop", id) }

func (d *fakeDev) Editor(provider string) sandbox.Editor { return d.editors[provider] }

func (d *fakeDev) Troubles() []sandbox.Trouble { return d.troubles }

func (d *fakeDev) SetTrouble(provider, id string, on bool, amount float64) error {
	return d.note("trouble", provider, id, on, amount)
}

func (d *fakeDev) Kill(function string) error    { return d.note("kill", function) }
func (d *fakeDev) SetSpeed(factor float64) error { return d.note("speed", factor) }

// A commandLog notes the commands that a console runs, and what each was given to read.
type commandLog struct {
	mu    sync.Mutex
	lines []string
	read  []string
}

// on must be the last change of a console's options: it stands before the Run of before.
func (l *commandLog) on(o *console.Options) {
	run := o.Run
	o.Run = func(ctx context.Context, stdin []byte, args ...string) (json.RawMessage, error) {
		l.mu.Lock()
		l.lines, l.read = append(l.lines, strings.Join(args, " ")), append(l.read, string(stdin))
		l.mu.Unlock()
		return run(ctx, stdin, args...)
	}
}

// has fails a test unless a command was run, and returns what it was given to read.
func (l *commandLog) has(t *testing.T, line string) string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.lines, line)
	if i < 0 {
		t.Errorf("the console did not run %q, but:\n%s", line, strings.Join(l.lines, "\n"))
		return ""
	}
	return l.read[i]
}

// lacks fails a test if a command was run that begins so.
func (l *commandLog) lacks(t *testing.T, begin string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.HasPrefix(line, begin) {
			t.Errorf("the console ran %q", line)
		}
	}
}

func TestConsole_ShowsADevelopmentStack(t *testing.T) {
	dev := &fakeDev{events: []console.Event{{ID: "1", Kind: console.Handled, User: "20450001", Outcome: "<b>"}}}
	var log commandLog
	s, b := open(t, healthy, dev.on, log.on)
	b.enter(s)
	if _, page := b.get("/"); !strings.Contains(page, "&lt;b&gt;") || !strings.Contains(page, "/relay/people/20450001") {
		t.Errorf("the overview lacks what happened last: %s", page)
	}
	log.has(t, "doctor --json")
	log.lacks(t, "redrive")
	if done := dev.did(); len(done) != 0 {
		t.Errorf("looking did %q", done)
	}
}
