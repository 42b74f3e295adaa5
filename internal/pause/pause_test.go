package pause_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/pause"
)

var since = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func a(length time.Duration) pause.Pause {
	return pause.Pause{By: "arn:aws:iam::000000000000:user/operator", Reason: "Yappli moves", Since: since, Until: since.Add(length)}
}

func begin(t *testing.T, objects objectstore.Store, p pause.Pause, parts ...string) {
	t.Helper()
	if _, err := pause.Begin(t.Context(), objects, "shop", none(parts...), p); err != nil {
		t.Fatal(err)
	}
}

// none are parts of which every trigger is on.
func none(parts ...string) map[string][]string {
	off := map[string][]string{}
	for _, part := range parts {
		off[part] = nil
	}
	return off
}

func read(t *testing.T, objects objectstore.Store) pause.State {
	t.Helper()
	s, err := pause.Read(t.Context(), objects, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPause_BeginsAndEnds(t *testing.T) {
	t.Parallel()
	objects := &objectstore.Memory{}
	if s := read(t, objects); s != (pause.State{}) {
		t.Errorf("nothing was paused, and %+v is", s)
	}
	begin(t, objects, a(time.Hour), pause.Parts()...)
	s := read(t, objects)
	for _, part := range pause.Parts() {
		if got := s.Of(part); got == nil || !reflect.DeepEqual(*got, a(time.Hour)) {
			t.Errorf("%s: %+v", part, got)
		}
	}
	left, err := pause.End(t.Context(), objects, "shop", s, []string{pause.Relay, pause.Tokens})
	if err != nil || left.Relay != nil || left.Tokens != nil || left.Export == nil || read(t, objects).Export == nil {
		t.Errorf("after two parts: %+v, %v", left, err)
	}
	if left, err = pause.End(t.Context(), objects, "shop", left, pause.Parts()); err != nil || left != (pause.State{}) {
		t.Errorf("after all: %+v, %v", left, err)
	}
}

// A second pause of a part is the same pause with another end: what was noted when it
// began stays.
func TestPause_AgainKeepsItsBeginning(t *testing.T) {
	t.Parallel()
	objects := &objectstore.Memory{}
	if _, err := pause.Begin(t.Context(), objects, "shop", map[string][]string{pause.Relay: {"ReconcileLoopNightly"}}, a(time.Hour)); err != nil {
		t.Fatal(err)
	}
	later := a(0)
	later.Reason, later.Since, later.Until = "longer than thought", since.Add(time.Hour), since.Add(3*time.Hour)
	if _, err := pause.Begin(t.Context(), objects, "shop", map[string][]string{pause.Relay: {"all", "are", "off"}}, later); err != nil {
		t.Fatal(err)
	}
	want := later
	want.Since, want.Off = since, []string{"ReconcileLoopNightly"}
	if got := read(t, objects).Relay; !reflect.DeepEqual(*got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Nobody can lose messages by pausing again and again, and a refused pause changes
// nothing of any part.
func TestPause_IsNeverLongerThanTheQueueRemembers(t *testing.T) {
	t.Parallel()
	objects := &objectstore.Memory{}
	begin(t, objects, a(pause.Longest), pause.Relay)
	before := read(t, objects)
	longer := a(0)
	longer.Since, longer.Until = since.Add(time.Hour), since.Add(pause.Longest+time.Second)
	_, err := pause.Begin(t.Context(), objects, "shop", none(pause.Export, pause.Relay), longer)
	if err == nil || !strings.Contains(err.Error(), "relay has been paused since 2026-11-22T03:00:00Z, and may be for 12 days in all, until 2026-12-04T03:00:00Z") {
		t.Errorf("a pause of 12 days and a second: %v", err)
	}
	if got := read(t, objects); !reflect.DeepEqual(got, before) {
		t.Errorf("refused, and %+v became %+v", before, got)
	}
}

// A pause that somebody wrote down by hand is overdue when any other would be.
func TestPause_IsOverdueAfterTheLongest(t *testing.T) {
	t.Parallel()
	p := a(365 * 24 * time.Hour)
	for at, want := range map[time.Duration]bool{time.Hour: false, pause.Longest: false, pause.Longest + time.Second: true} {
		if got := p.Overdue(since.Add(at)); got != want {
			t.Errorf("after %s: %v", at, got)
		}
	}
}

func TestPause_NeedsAReason(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"", " \t", strings.Repeat("店", 201)} {
		p, objects := a(time.Hour), &objectstore.Memory{}
		p.Reason = reason
		if _, err := pause.Begin(t.Context(), objects, "shop", none(pause.Relay), p); err == nil || read(t, objects).Relay != nil {
			t.Errorf("reason %q: %v", reason, err)
		}
	}
}

// Who resumes ends the pause that they saw, and not one that began meanwhile.
func TestPause_EndsNoOther(t *testing.T) {
	t.Parallel()
	objects := &objectstore.Memory{}
	begin(t, objects, a(time.Hour), pause.Relay)
	seen := read(t, objects)
	begin(t, objects, a(2*time.Hour), pause.Relay, pause.Tokens)
	left, err := pause.End(t.Context(), objects, "shop", seen, []string{pause.Relay})
	if !errors.Is(err, pause.ErrPausedAgain) || left.Relay == nil || read(t, objects).Relay == nil {
		t.Errorf("%+v, %v", left, err)
	}
	if left, err = pause.End(t.Context(), objects, "shop", pause.State{}, []string{pause.Tokens}); !errors.Is(err, pause.ErrPausedAgain) || left.Tokens == nil {
		t.Errorf("a pause that nobody saw: %+v, %v", left, err)
	}
}

// Two people at once: nothing of either is lost.
func TestPause_TwoAtOnce(t *testing.T) {
	t.Parallel()
	objects := &meddled{}
	objects.meddle = func() { begin(t, &objects.Memory, a(time.Hour), pause.Export) }
	begin(t, objects, a(2*time.Hour), pause.Relay)
	if s := read(t, objects); s.Export == nil || s.Relay == nil {
		t.Errorf("%+v", s)
	}
}

// meddled is a store in which somebody else writes just before the first write.
type meddled struct {
	objectstore.Memory

	meddle func()
}

func (m *meddled) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if meddle := m.meddle; meddle != nil {
		m.meddle = nil
		meddle()
	}
	return m.Memory.Put(ctx, o)
}

func TestPause_Overdue(t *testing.T) {
	t.Parallel()
	p := a(time.Hour)
	for now, want := range map[time.Time]bool{since: false, p.Until: false, p.Until.Add(time.Second): true} {
		if got := p.Overdue(now); got != want {
			t.Errorf("at %s: %t", now, got)
		}
	}
}
