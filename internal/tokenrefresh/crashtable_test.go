package tokenrefresh_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"hikyaku/internal/crash"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// A table is that of docs/token-protocol.md: by the last thing that took
// effect before a death, and by kind, the word in bold that says what the next
// run does.
type table struct {
	rows []string
	want map[string]string

	mu   sync.Mutex
	seen map[string]bool
	ran  int // plans
}

var bold = regexp.MustCompile(`^\*\*([a-z ]+)\*\*`)

func readTable(t *testing.T) *table {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "token-protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n| last action |")
	if !found {
		t.Fatal("the page has no table of deaths")
	}
	x := &table{want: map[string]string{}, seen: map[string]bool{}}
	for _, line := range strings.Split(text, "\n")[2:] {
		if !strings.HasPrefix(line, "| ") {
			break
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		x.rows = append(x.rows, cells[0])
		for i, kind := range []string{"renewable", "one-time", "static"} {
			if word := bold.FindStringSubmatch(cells[i+1]); word != nil {
				x.want[cells[0]+" / "+kind] = word[1]
			} else if cells[i+1] != "-" {
				t.Fatalf("row %q, %s: no word in bold, nor a dash", cells[0], kind)
			}
		}
	}
	return x
}

// wantAllSeen fails if the page states an outcome that no death had.
func (x *table) wantAllSeen(t *testing.T) {
	t.Helper()
	for cell := range x.want {
		if !x.seen[cell] && x.ran == len(plans()) { // -run may choose some of them
			t.Errorf("no death is in the table's %s", cell)
		}
	}
	for _, do := range protocol.Effects() {
		if do == protocol.Supersede || do == protocol.StartRotation || do == protocol.Notify {
			continue // no plan has an edit, starts a rotation itself, or has news for people
		}
		if !slices.ContainsFunc(x.rows, func(row string) bool { return strings.HasPrefix(row, string(do)) }) {
			t.Errorf("the page has no row for deaths after %q", do)
		}
	}
}

// The rows of the table that no action names, and those that leave a credential in doubt.
const (
	beforeSwap   = "authorize, before the code is in the connection"
	nothing      = "nothing"
	afterJournal = "write journal"
	afterObtain  = "obtain"
	afterRelease = "release"
)

// An action is one that the protocol decided, as the log tells it.
type action struct {
	from  int // the call of its life that it began with
	do    protocol.Do
	part  string
	label string
}

// row names an action as the table does: by the secret that is the credential's record,
// or by the token that is derived from it.
func (a action) row(record string) string {
	switch {
	case a.label == protocol.Proof:
		return "store proof"
	case a.part == "":
		return string(a.do)
	case a.part == record:
		return string(a.do) + " record"
	}
	return string(a.do) + " token"
}

// A watcher tells of each action as it is decided.
type watcher struct {
	slog.Handler

	saw func(action)
}

func (w *watcher) Enabled(context.Context, slog.Level) bool { return true }

func (w *watcher) Handle(ctx context.Context, r slog.Record) error {
	if r.Message != "next" {
		return w.Handler.Handle(ctx, r)
	}
	var a action
	r.Attrs(func(attr slog.Attr) bool {
		switch attr.Key {
		case "do":
			a.do = protocol.Do(attr.Value.String())
		case "part":
			a.part = attr.Value.String()
		case "label":
			a.label = attr.Value.String()
		}
		return true
	})
	w.saw(a)
	return nil
}

// reads begin the names of calls that change nothing.
var reads = []string{"secrets.Get", "secrets.Describe", "objects.Get", "objects.Head", "http.GET"}

// row is the table's for a fault in a life: the last action that took effect.
func (s *crashedWorld) row(o crash.Outcome, life int) string {
	effects := o.Calls[life][:o.Points[life].Index]
	if f := o.Points[life].Fault; f == crash.After || f == crash.Lost {
		effects = append(slices.Clip(effects), o.Points[life].Call)
	}
	row := nothing
	if s.approved && life == 0 {
		row = beforeSwap
	}
	for i, call := range effects {
		if slices.ContainsFunc(reads, func(read string) bool { return strings.HasPrefix(call, read) }) {
			continue
		}
		if strings.HasPrefix(call, "secrets.Promote") && strings.HasSuffix(call, secretstore.ConnectionPart+" "+secretstore.Current) {
			row = nothing
		}
		for _, a := range s.actions[life] {
			if a.from <= i && slices.Contains(protocol.Effects(), a.do) {
				row = a.row(s.recordPart())
			}
		}
	}
	return row
}

// inDoubt: the fault of a life leaves a one-time credential in doubt. Of those
// that do not kill, the ones of the request itself do.
func (s *crashedWorld) inDoubt(o crash.Outcome, life int) bool {
	if p := o.Points[life]; p.Fault == crash.Failed || p.Fault == crash.Lost {
		return s.oneTime() && strings.HasPrefix(p.Call, "http.POST")
	}
	row := s.row(o, life)
	return s.oneTime() && (row == afterJournal || row == afterObtain)
}

// handedOver: the code had become part of the connection when the first life
// ended.
func (s *crashedWorld) handedOver(o crash.Outcome) bool {
	return len(o.Points) == 0 || s.row(o, 0) != beforeSwap
}

// checkTable compares what the run after one death did with the table. The
// steps of a rotation are not in it.
func (s *crashedWorld) checkTable(o crash.Outcome) error {
	if len(o.Points) != 1 || s.table == nil || s.rotation != "" || o.Points[0].Fault != crash.Before && o.Points[0].Fault != crash.After {
		return nil
	}
	row, kind := s.row(o, 0), "renewable"
	switch {
	case s.oneTime():
		kind = "one-time"
	case s.connection(s.name).Kind == providers.Static:
		kind = "static"
	}
	cell, did := row+" / "+kind, s.did(o, kind)
	want := s.table.want[cell]
	if want == "served" && kind == "renewable" && !s.refresh && row != afterRelease { // a first run has not noted its connection
		want = "asked again"
	}
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	s.table.seen[cell] = true
	if did != want {
		return fmt.Errorf("%s: the run after it did %q, the table says %q", cell, did, want)
	}
	return nil
}

// did names what the run after a death did, as the table does.
func (s *crashedWorld) did(o crash.Outcome, kind string) string {
	has := func(calls []string, start string) bool {
		return slices.ContainsFunc(calls, func(call string) bool { return strings.HasPrefix(call, start) })
	}
	first := o.Calls[0]
	if o.Points[0].Fault == crash.Before {
		first = first[:o.Points[0].Index]
	}
	next, record := o.Calls[1], s.recordName()
	switch {
	case s.result.Outcome == protocol.InDoubt:
		return "in doubt"
	case s.approved && !s.handedOver(o) && !has(next, "http.POST"):
		return "nothing spent"
	case has(next, "http.POST") && has(first, "http.POST"):
		return "asked again"
	case has(next, "http.POST"), kind == "static" && has(next, "secrets.Put "+record+" "+protocol.Next):
		return "repeated"
	case has(next, "secrets.Promote "+record+" "+secretstore.Current):
		return "found"
	case has(next, "secrets.Promote "+secretstore.Name(prefix, s.provider, secretstore.TokenPart)+" "+secretstore.Current):
		return "derived"
	}
	return "served"
}

// checkBegunAgain: a code that was not handed over is spent nowhere, what was
// served still is, and the person who begins again succeeds.
func (s *crashedWorld) checkBegunAgain(o crash.Outcome) error {
	if n := s.redeemed() - s.before; n != 0 {
		return fmt.Errorf("%d redemptions of a code that was not handed over", n)
	}
	if stored, err := providers.ParseConnection(s.value(s.provider, secretstore.ConnectionPart, secretstore.Current).Data); err != nil || stored.Code == s.code {
		return fmt.Errorf("the connection has the code, or cannot be read: %w", err)
	}
	if s.refresh {
		if err := s.works(s.provider); err != nil {
			return fmt.Errorf("the old token is not served: %w", err)
		}
	}
	r := s.refresher()
	for range 2 { // the second time is a replay
		result, err := r.Authorize(context.Background(), s.provider, s.begun, s.code)
		if s.redeemed()-s.before != 1 || (err == nil) != (result.Outcome == protocol.Refreshed) {
			return fmt.Errorf("begun again: %q, %d redemptions, %w", result.Outcome, s.redeemed()-s.before, err)
		}
	}
	told := strings.Fields(s.told())
	if len(o.Points) == 2 { // a death between an event and the release tells it twice
		told = slices.Compact(told)
	}
	if len(told) > 0 && (s.refresh || !slices.Equal(told, []string{protocol.NeedsHuman, protocol.Recovered})) {
		return fmt.Errorf("told %q", told)
	}
	return s.works(s.provider)
}
