package crash_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/crash"
	"hikyaku/internal/objectstore"
)

// An inbox is a queue of one message that is taken away by ack, and the place
// where its content must end.
type inbox struct {
	message string
	objects objectstore.Memory
}

func (i *inbox) ack() error {
	i.message = ""
	return nil
}

func (i *inbox) stored() bool {
	_, err := i.objects.Head(context.Background(), "delivered")
	return err == nil
}

func newInbox(testing.TB) *inbox { return &inbox{message: "one"} }

func store(ctx context.Context, p *crash.Process, i *inbox) error {
	document, err := objectstore.ReadDocument(ctx, p.Objects(&i.objects), "delivered")
	if err != nil {
		return err
	}
	_, err = document.Replace(ctx, p.Objects(&i.objects), "one")
	return err
}

// deliver writes, then acknowledges.
func deliver(ctx context.Context, p *crash.Process, i *inbox) error {
	if i.message == "" {
		return nil
	}
	if err := store(ctx, p, i); err != nil {
		return err
	}
	return p.Effect(ctx, "queue.Ack", i.ack)
}

// hasty acknowledges, then writes.
func hasty(ctx context.Context, p *crash.Process, i *inbox) error {
	if i.message == "" {
		return nil
	}
	if err := p.Effect(ctx, "queue.Ack", i.ack); err != nil {
		return err
	}
	return store(ctx, p, i)
}

func nothingLost(i *inbox, o crash.Outcome) error {
	for life, p := range o.Points {
		if last := len(o.Calls[life]) - 1; p.Fault == crash.Before && (last != p.Index || o.Calls[life][last] != p.Call) {
			return fmt.Errorf("died at %s, and made calls %v", p, o.Calls[life])
		}
	}
	if i.message == "" && !i.stored() {
		return errors.New("the message is lost")
	}
	return nil
}

func TestRightProtocolPasses(t *testing.T) {
	t.Parallel()
	for every, want := range map[int]int{0: 12 + 5*3*2, 1: 12 + 5*3*2, 7: 12 + 30/7, 31: 12, -1: 12} {
		twice := every >= 0
		report := crash.Enumerate(t, crash.Scenario[*inbox]{
			Setup: newInbox, Run: deliver, Check: func(i *inbox, o crash.Outcome) error {
				if i.message != "" || !i.stored() {
					return fmt.Errorf("message %q, stored %t, errors %v", i.message, i.stored(), o.Errs)
				}
				return nil
			}, Twice: twice, Every: every,
		})
		if want := []string{"objects.Get delivered", "objects.Put delivered", "queue.Ack"}; !slices.Equal(report.Calls, want) {
			t.Errorf("calls = %v, want %v", report.Calls, want)
		}
		// Twice: all six crashes but the one after the last call leave a
		// recovery of 3 calls, each killed in 2 ways.
		if report.Cases != want || report.Seconds != want-12 {
			t.Errorf("cases = %d, %d of them second deaths, want %d for every %d", report.Cases, report.Seconds, want, every)
		}
	}
}

// One fault in three is taken: each call has one, and each kind comes in turn.
func TestFirstTakesAPartOfTheFaults(t *testing.T) {
	t.Parallel()
	for first, want := range map[int]int{1: 12, 3: 4, 5: 3, 13: 1} {
		found := map[crash.Fault]int{}
		report := crash.Enumerate(t, crash.Scenario[*inbox]{
			Setup: newInbox, Run: deliver, First: first, Check: func(_ *inbox, o crash.Outcome) error {
				for _, p := range o.Points {
					found[p.Fault]++
				}
				return nil
			},
		})
		if report.Cases != want || first == 3 && len(found) != 4 {
			t.Errorf("one in %d: %d cases, want %d; %v", first, report.Cases, want, found)
		}
	}
}

func TestPlantedBugIsFound(t *testing.T) {
	t.Parallel()
	tb := &crash.Recorder{TB: t}
	crash.Enumerate(tb, crash.Scenario[*inbox]{Setup: newInbox, Run: hasty, Check: nothingLost})
	want := []string{
		"crash after call 0, queue.Ack: the message is lost",
		"lost answer of call 0, queue.Ack: the message is lost",
		"crash before call 1, objects.Get delivered: the message is lost",
		"crash after call 1, objects.Get delivered: the message is lost",
		"failure of call 1, objects.Get delivered: the message is lost",
		"lost answer of call 1, objects.Get delivered: the message is lost",
		"crash before call 2, objects.Put delivered: the message is lost",
		"failure of call 2, objects.Put delivered: the message is lost",
	}
	if !slices.Equal(tb.Errors, want) {
		t.Errorf("errors =\n%s\nwant\n%s", strings.Join(tb.Errors, "\n"), strings.Join(want, "\n"))
	}
}

// TestSecondCrashIsFound plants a bug that only a crash of the recovery shows:
// it forgets its journal before it has done what the journal says.
func TestSecondCrashIsFound(t *testing.T) {
	t.Parallel()
	tb := &crash.Recorder{TB: t}
	recover := func(ctx context.Context, p *crash.Process, i *inbox) error {
		if i.stored() {
			return p.Effect(ctx, "queue.Ack", i.ack)
		}
		return hasty(ctx, p, i)
	}
	report := crash.Enumerate(tb, crash.Scenario[*inbox]{
		Setup: newInbox, Run: deliver, Recover: recover, Check: nothingLost, Faults: []crash.Fault{crash.Before}, Twice: true,
	})
	if len(tb.Errors) == 0 || tb.Errors[0] != "crash before call 0, objects.Get delivered, then in the recovery crash after call 0, queue.Ack: the message is lost" {
		t.Errorf("errors = %v", tb.Errors)
	}
	for _, e := range tb.Errors {
		if !strings.Contains(e, ", then in the recovery crash ") {
			t.Errorf("found without a second crash: %s", e)
		}
	}
	if want := "3 calls, 17 cases\n   1  objects.Get delivered\n   1  objects.Put delivered\n   1  queue.Ack"; report.String() != want {
		t.Errorf("report = %s, want %s", report, want)
	}
}

func TestUndisturbedRunIsChecked(t *testing.T) {
	t.Parallel()
	tb := &crash.Recorder{TB: t}
	crash.Enumerate(tb, crash.Scenario[*inbox]{
		Setup: newInbox,
		Run:   func(context.Context, *crash.Process, *inbox) error { return errors.New("did nothing") },
		Check: func(_ *inbox, o crash.Outcome) error { return errors.Join(o.Errs...) },
	})
	if want := []string{"undisturbed: did nothing"}; !slices.Equal(tb.Errors, want) {
		t.Errorf("errors = %q, want %q", tb.Errors, want)
	}
}

func TestScenarioThatDiffersIsRefused(t *testing.T) {
	t.Parallel()
	tb := &crash.Recorder{TB: t}
	runs := 0
	crash.Enumerate(tb, crash.Scenario[int]{
		Setup: func(testing.TB) int { runs++; return runs },
		Run: func(ctx context.Context, p *crash.Process, run int) error {
			if run > 1 {
				return nil
			}
			return p.Effect(ctx, "only once", func() error { return nil })
		},
		Check:  func(int, crash.Outcome) error { return nil },
		Faults: []crash.Fault{crash.Lost},
	})
	if len(tb.Errors) != 1 || !strings.HasPrefix(tb.Errors[0], "lost answer of call 0, only once: never reached") {
		t.Errorf("errors = %q", tb.Errors)
	}
}

// TestDeadProcessDoesNothing checks the process itself: what its calls return,
// and that nothing reaches the world after its death.
func TestDeadProcessDoesNothing(t *testing.T) {
	t.Parallel()
	type world struct{ effects, errs []string }
	call := func(ctx context.Context, p *crash.Process, w *world, name string) {
		err := p.Effect(ctx, name, func() error { w.effects = append(w.effects, name); return nil })
		w.errs = append(w.errs, fmt.Sprintf("%s: %v", name, err))
	}
	want := map[crash.Fault]world{
		crash.Before: {nil, []string{"a: process crashed", "b: process crashed", "dead: true"}},
		crash.After:  {[]string{"a"}, []string{"a: process crashed", "b: process crashed", "dead: true"}},
		crash.Failed: {[]string{"b"}, []string{"a: injected fault", "b: <nil>", "dead: false"}},
		crash.Lost:   {[]string{"a", "b"}, []string{"a: injected fault", "b: <nil>", "dead: false"}},
	}
	crash.Enumerate(t, crash.Scenario[*world]{
		Setup: func(testing.TB) *world { return new(world) },
		Run: func(ctx context.Context, p *crash.Process, w *world) error {
			call(ctx, p, w, "a")
			call(ctx, p, w, "b")
			w.errs = append(w.errs, fmt.Sprintf("dead: %t", ctx.Err() != nil))
			return nil
		},
		Recover: func(context.Context, *crash.Process, *world) error { return nil },
		Check: func(w *world, o crash.Outcome) error {
			if len(o.Points) == 0 || o.Points[0].Index != 0 {
				return nil
			}
			expected := want[o.Points[0].Fault]
			if !slices.Equal(w.effects, expected.effects) || !slices.Equal(w.errs, expected.errs) {
				return fmt.Errorf("got %q, want %q", *w, expected)
			}
			return nil
		},
	})
}

func TestOtherGoroutinesDieToo(t *testing.T) {
	t.Parallel()
	crash.Enumerate(t, crash.Scenario[*inbox]{
		Setup: newInbox,
		Run: func(ctx context.Context, p *crash.Process, i *inbox) error {
			// The outer call is on its way while the inner one kills the
			// process: its success must not be seen.
			return p.Effect(ctx, "outer", func() error {
				_ = p.Effect(ctx, "inner "+uuid.Nil.String(), i.ack)
				return nil
			})
		},
		Recover: func(context.Context, *crash.Process, *inbox) error { return nil },
		Check: func(_ *inbox, o crash.Outcome) error {
			if len(o.Points) > 0 && o.Points[0].Index == 1 && !errors.Is(o.Errs[0], crash.ErrCrashed) {
				return fmt.Errorf("outer call returned %w", o.Errs[0])
			}
			return nil
		},
		Faults: []crash.Fault{crash.Before, crash.After},
	})
}
