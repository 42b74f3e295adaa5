package state_test

import (
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/state"
)

// Who publishes a mapping needs a run that begins after every instance works by it.
// One that is under way, or begins too early, does not answer that, although the
// relay asked for one before.
func TestWanted_OneThatBeginsLater(t *testing.T) {
	t.Parallel()
	wanted := state.New(&objectstore.Memory{}, "root/").Wanted
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(still bool, why string) {
		t.Helper()
		since, err := wanted.Since(t.Context())
		if err != nil || since.IsZero() == still {
			t.Errorf("%s: wanted since %s, %v", why, since, err)
		}
	}
	do(wanted.Ask(t.Context(), at(0)))
	do(wanted.AskAfter(t.Context(), at(7))) // a run began at minute 1
	do(wanted.Ask(t.Context(), at(3)))
	do(wanted.AskAfter(t.Context(), at(4)))
	do(wanted.Answer(t.Context(), at(1), at(5)))
	want(true, "after the run under way")
	do(wanted.Answer(t.Context(), at(6), at(6)))
	want(true, "after one that began too early")
	do(wanted.Answer(t.Context(), at(8), at(20)))
	want(false, "after one that began later")

	do(wanted.AskAfter(t.Context(), at(24*60))) // by a clock that is a day ahead
	do(wanted.Answer(t.Context(), at(10), at(11)))
	want(false, "by a wrong clock")
	do(wanted.Ask(t.Context(), at(40)))
	do(wanted.Answer(t.Context(), at(10), at(50))) // a run of forty minutes
	want(true, "asked for while the run went on")
}
