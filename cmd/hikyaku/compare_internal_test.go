package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/pause"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/queue"
)

// helpless are the ways of a user for which no command is the next step: it has arrived, it
// is nobody's who is there, or how a job or a reconcile names what it did.
var helpless = []outcome.Class{
	outcome.Unchanged, outcome.GoneUnlinked, outcome.Created, outcome.Updated, outcome.Linked, outcome.Restored, outcome.Disabled, outcome.AlreadyDisabled,
	outcome.Interrupted, outcome.TriedTooOften, outcome.Restless, outcome.MappingChanged, outcome.Malformed,
	outcome.Missing, outcome.Differing, outcome.Gone, outcome.Decided, outcome.Unreadable, outcome.Odd,
}

// Every way to end is either helped by a command that exists, or known to need none.
func TestHindrances_NameACommandThatExists(t *testing.T) {
	t.Parallel()
	root := newRoot()
	for _, class := range outcome.Classes() {
		next := hindrances{user: 7, class: class}.next()
		if (next == "") != slices.Contains(helpless, class) {
			t.Errorf("%s: the next command is %q", class, next)
		}
		if next == "" {
			continue
		}
		if what := unknown(root, strings.TrimPrefix(next, "hikyaku ")); what != "" || strings.Contains(next, "ID") {
			t.Errorf("%s: %s: there is no %s", class, next, what)
		}
	}
}

func TestHindrances(t *testing.T) {
	t.Parallel()
	letter := []queue.Message{{User: 7, Class: string(outcome.Refused)}}
	paused := &pause.Pause{Reason: "Yappli's maintenance", Until: time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)}
	for name, c := range map[string]struct {
		h    hindrances
		next string
		says string
	}{
		"something to do":       {hindrances{class: outcome.WouldUpdate}, "hikyaku trigger user-changed --user 7", ""},
		"and paused":            {hindrances{class: outcome.WouldUpdate, paused: paused, letters: letter}, "hikyaku resume relay", "paused until 2026-12-01T03:00:00Z: Yappli's maintenance"},
		"and observing":         {hindrances{class: outcome.WouldCreate, observes: true}, "hikyaku doctor", "RelayMode is not write"},
		"and given up":          {hindrances{class: outcome.WouldUpdate, letters: letter}, "hikyaku redrive --user 7", "given up: Yappli does not accept"},
		"arrived":               {hindrances{class: outcome.Unchanged}, "", ""},
		"arrived, but unread":   {hindrances{class: outcome.Unchanged, unread: []string{"column02"}}, "hikyaku users get supersaas 7", "cannot be read, are not sent, and stay as they are in Yappli: column02"},
		"arrived, old letter":   {hindrances{class: outcome.Unchanged, letters: letter}, "hikyaku redrive --user 7", "given up"},
		"paused, to decide":     {hindrances{class: outcome.AwaitingApproval, paused: paused}, "hikyaku links show --user 7", "paused"},
		"given up, cap reached": {hindrances{class: outcome.DisablingStopped, letters: letter}, "hikyaku relay release", "given up"},
	} {
		c.h.user = 7
		said := make([]string, 0, 3)
		for _, m := range c.h.sentences() {
			said = append(said, m.String())
		}
		if got := c.h.next(); got != c.next || !strings.Contains(strings.Join(said, "\n"), c.says) || (c.says == "") != (len(said) == 0) {
			t.Errorf("%s: next is %q, want %q; it says %q", name, got, c.next, said)
		}
	}
}
