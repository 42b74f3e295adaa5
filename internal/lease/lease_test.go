package lease_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/crash"
	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
)

const key = "state/yappli/lease"

var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// A desk is a store with a clock that moves only when told.
type desk struct {
	objects objectstore.Memory
	at      time.Time
	spent   int  // irreversible effects
	known   bool // to the holder that went on to release, or to one that found the journal
}

func newDesk(testing.TB) *desk { return &desk{at: start} }

func (d *desk) now() time.Time { return d.at }

func (d *desk) acquire(t *testing.T, owner string) *lease.Lease {
	t.Helper()
	l, err := lease.Acquire(t.Context(), &d.objects, key, owner, time.Minute, d.now)
	if err != nil {
		t.Fatalf("%s: %v", owner, err)
	}
	return l
}

func (d *desk) wantHeld(t *testing.T, asking, holder string) {
	t.Helper()
	_, err := lease.Acquire(t.Context(), &d.objects, key, asking, time.Minute, d.now)
	var held *lease.HeldError
	if !errors.As(err, &held) || held.Owner != holder || held.Key != key {
		t.Fatalf("Acquire by %s: %v, want it held by %s", asking, err, holder)
	}
}

func wantJournal(t *testing.T, l *lease.Lease, want string) {
	t.Helper()
	if string(l.Journal) != want {
		t.Errorf("journal of %s = %s, want %s", l.Owner, l.Journal, want)
	}
}

func TestHeldUntilItsEnd(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a := d.acquire(t, "a")
	if a.Owner != "a" || !a.Until.Equal(start.Add(time.Minute)) {
		t.Errorf("lease = %s until %s", a.Owner, a.Until)
	}
	d.at = start.Add(time.Minute - 1)
	_, err := lease.Acquire(t.Context(), &d.objects, key, "b", time.Minute, d.now)
	if want := "lease state/yappli/lease is held by a until 2026-11-22T09:01:00Z"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	d.at = start.Add(time.Minute)
	d.acquire(t, "b")
	d.wantHeld(t, "a", "b")
}

func TestOwnerAcquiresAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := d.acquire(t, "a")
	again := d.acquire(t, "a")
	if err := again.Keep(t.Context(), time.Minute, nil); err != nil {
		t.Error(err)
	}
	if err := first.Keep(t.Context(), time.Minute, nil); !errors.Is(err, lease.ErrLost) {
		t.Errorf("keeping the former lease: %v, want ErrLost", err)
	}
}

func TestTakeoverInheritsTheJournal(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a := d.acquire(t, "a")
	wantJournal(t, a, "")
	d.at = start.Add(30 * time.Second)
	if err := a.Keep(t.Context(), time.Minute, json.RawMessage(`{"intent":"spend"}`)); err != nil {
		t.Fatal(err)
	}
	wantJournal(t, a, `{"intent":"spend"}`)
	d.at = start.Add(89 * time.Second)
	d.wantHeld(t, "b", "a") // Keep extended it
	if journal, err := lease.Peek(t.Context(), &d.objects, key); err != nil || string(journal) != `{"intent":"spend"}` {
		t.Errorf("Peek = %s, %v", journal, err)
	}
	d.at = start.Add(90 * time.Second)
	b := d.acquire(t, "b")
	wantJournal(t, b, `{"intent":"spend"}`)
	c := d.acquire(t, "b")
	wantJournal(t, c, `{"intent":"spend"}`) // it stays until Keep or Release replaces it
}

func TestLostAfterTakeover(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a := d.acquire(t, "a")
	d.at = start.Add(time.Hour)
	b := d.acquire(t, "b")
	if err := a.Keep(t.Context(), time.Minute, json.RawMessage(`"a"`)); !errors.Is(err, lease.ErrLost) {
		t.Errorf("Keep: %v, want ErrLost", err)
	}
	if err := a.Release(t.Context(), json.RawMessage(`"a"`)); !errors.Is(err, lease.ErrLost) {
		t.Errorf("Release: %v, want ErrLost", err)
	}
	d.wantHeld(t, "c", "b")
	if err := b.Release(t.Context(), json.RawMessage(`"b was here"`)); err != nil {
		t.Fatal(err)
	}
	wantJournal(t, d.acquire(t, "c"), `"b was here"`)
}

func TestReleaseEndsIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a := d.acquire(t, "a")
	if err := a.Keep(t.Context(), time.Minute, json.RawMessage(`"open"`)); err != nil {
		t.Fatal(err)
	}
	if err := a.Release(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if !a.Until.IsZero() {
		t.Errorf("released lease ends %s", a.Until)
	}
	wantJournal(t, d.acquire(t, "b"), "")
}

func TestRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	for range 20 {
		d := newDesk(t)
		var wg sync.WaitGroup
		errs := make([]error, 50)
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = lease.Acquire(t.Context(), &d.objects, key, fmt.Sprintf("racer %d", i), time.Minute, d.now)
			})
		}
		wg.Wait()
		winner := ""
		for i, err := range errs {
			if err != nil {
				continue
			}
			if winner != "" {
				t.Fatalf("%s and racer %d both hold it", winner, i)
			}
			winner = fmt.Sprintf("racer %d", i)
		}
		for i, err := range errs {
			var held *lease.HeldError
			if err != nil && (!errors.As(err, &held) || held.Owner != winner) {
				t.Errorf("racer %d: %v, want it held by %s", i, err, winner)
			}
		}
	}
}

// failing is a store that another holder beats to every write, and whose reads
// after that are answered by again.
type failing struct {
	*objectstore.Memory

	beaten bool
	again  error
}

func (f *failing) Put(context.Context, objectstore.Object) (string, error) {
	const theirs = `{"nonce":"theirs","counter":1,"data":{"owner":"b","until":"2026-11-22T10:00:00Z"}}`
	f.beaten = true
	if _, err := f.Memory.Put(context.Background(), objectstore.Object{Key: key, Body: strings.NewReader(theirs), Size: int64(len(theirs))}); err != nil {
		return "", err
	}
	return "", objectstore.ErrConflict
}

func (f *failing) Get(ctx context.Context, name string) (objectstore.Info, io.ReadCloser, error) {
	if f.beaten && f.again != nil {
		return objectstore.Info{}, nil, f.again
	}
	return f.Memory.Get(ctx, name)
}

func TestLostRaceNamesTheWinner(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, err := lease.Acquire(t.Context(), &failing{Memory: &d.objects}, key, "a", time.Minute, d.now)
	var held *lease.HeldError
	if !errors.As(err, &held) || *held != (lease.HeldError{Key: key, Owner: "b", Until: start.Add(time.Hour)}) {
		t.Errorf("Acquire = %v, want it held by b", err)
	}
	outage, empty := errors.New("outage"), newDesk(t)
	_, err = lease.Acquire(t.Context(), &failing{Memory: &empty.objects, again: outage}, key, "a", time.Minute, d.now)
	if !errors.Is(err, outage) || errors.As(err, &held) {
		t.Errorf("Acquire = %v, want the outage", err)
	}
	if _, err := lease.Peek(t.Context(), &failing{beaten: true, again: outage}, key); !errors.Is(err, outage) {
		t.Errorf("Peek = %v, want the outage", err)
	}
}

// TestReadAndAcquire: a lease is acquired from what was read before, whatever
// has become of it.
func TestReadAndAcquire(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.acquire(t, "z").Release(t.Context(), json.RawMessage(`"done"`)); err != nil {
		t.Fatal(err)
	}
	read := func() lease.View {
		v, err := lease.Read(t.Context(), &d.objects, key)
		if err != nil || string(v.Journal) != `"done"` {
			t.Fatalf("Read = %s, %v", v.Journal, err)
		}
		return v
	}
	early, late := read(), read()
	a, err := early.Acquire(t.Context(), "a", time.Minute, d.now)
	if err != nil {
		t.Fatal(err)
	}
	wantJournal(t, a, `"done"`)
	for what, v := range map[string]lease.View{"read before a had it": late, "read after": read()} {
		var held *lease.HeldError
		if l, err := v.Acquire(t.Context(), "b", time.Minute, d.now); l != nil || !errors.As(err, &held) || *held != (lease.HeldError{Key: key, Owner: "a", Until: a.Until}) {
			t.Errorf("%s: Acquire = %v, want it held by a", what, err)
		}
	}
	if err := a.Keep(t.Context(), time.Minute, nil); err != nil {
		t.Error(err)
	}
}

// TestReadAndAcquire_ALostAnswerIsOurs: the write took place, and its answer
// says that it conflicts.
func TestReadAndAcquire_ALostAnswerIsOurs(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	v, err := lease.Read(t.Context(), conflicting{&d.objects}, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := v.Acquire(t.Context(), "a", time.Minute, d.now)
	if err != nil {
		t.Fatalf("Acquire = %v, want the lease", err)
	}
	wantJournal(t, l, "")
	d.wantHeld(t, "b", "a")
}

// conflicting writes, and reports a conflict with that.
type conflicting struct{ *objectstore.Memory }

func (c conflicting) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if _, err := c.Memory.Put(ctx, o); err != nil {
		return "", err
	}
	return "", objectstore.ErrConflict
}

func TestForeignObjectIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"not JSON":         "hello",
		"no document":      `{"owner":"x"}`,
		"not a lease":      `{"nonce":"n","counter":1,"data":"text"}`,
		"owner of a shape": `{"nonce":"n","counter":1,"data":{"owner":7}}`,
	} {
		d := newDesk(t)
		if _, err := d.objects.Put(t.Context(), objectstore.Object{Key: key, Body: strings.NewReader(body), Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		if l, err := lease.Acquire(t.Context(), &d.objects, key, "a", time.Minute, d.now); err == nil || l != nil {
			t.Errorf("%s: acquired", name)
		}
		if _, err := lease.Peek(t.Context(), &d.objects, key); err == nil {
			t.Errorf("%s: peeked", name)
		}
	}
}

// hold is what every protocol does with a lease: take it, write the intent
// into its journal, do what cannot be undone, and settle.
func hold(ctx context.Context, p *crash.Process, d *desk) error { return holding(ctx, p, d, `"spend"`) }

func holding(ctx context.Context, p *crash.Process, d *desk, intent string) error {
	l, err := lease.Acquire(ctx, p.Objects(&d.objects), key, uuid.NewString(), time.Minute, d.now)
	if err != nil {
		return err
	}
	if len(l.Journal) > 0 {
		d.known = true
		return l.Release(ctx, nil)
	}
	if d.spent == 0 {
		if err := l.Keep(ctx, time.Minute, json.RawMessage(intent)); err != nil {
			return err
		}
		if err := p.Effect(ctx, "spend", func() error { d.spent++; return nil }); err != nil {
			return err
		}
		d.known = true
	}
	return l.Release(ctx, nil)
}

// TestEveryCrashAndUnknownOutcome dies or fails at every call of the store:
// written but no answer, not written and an error. What was spent is known to
// somebody in the end, and the lease is free.
func TestEveryCrashAndUnknownOutcome(t *testing.T) {
	t.Parallel()
	report := enumerate(t, hold)
	if report.Cases != 100 || len(report.Calls) != 5 {
		t.Errorf("report = %s, want 100 cases of 5 calls", report)
	}
}

// TestJournalIsNeeded shows that the test above can fail.
func TestJournalIsNeeded(t *testing.T) {
	t.Parallel()
	tb := &crash.Recorder{TB: t}
	enumerate(tb, func(ctx context.Context, p *crash.Process, d *desk) error { return holding(ctx, p, d, "") })
	want := "crash after call 3, spend: spent, and nobody knows"
	if !slices.Contains(tb.Errors, want) {
		t.Errorf("errors = %q, want %q among them", tb.Errors, want)
	}
}

func enumerate(t testing.TB, run func(context.Context, *crash.Process, *desk) error) crash.Report {
	t.Helper()
	return crash.Enumerate(t, crash.Scenario[*desk]{
		Setup: newDesk, Run: run, Twice: true,
		Recover: func(ctx context.Context, p *crash.Process, d *desk) error {
			d.at = d.at.Add(time.Minute)
			return run(ctx, p, d)
		},
		Check: func(d *desk, o crash.Outcome) error {
			last := o.Errs[len(o.Errs)-1]
			journal, err := lease.Peek(context.Background(), &d.objects, key)
			switch {
			case last != nil || err != nil || len(journal) > 0:
				return fmt.Errorf("the last run ended with %w, journal %s", errors.Join(last, err), journal)
			case d.spent > 1:
				return errors.New("spent twice")
			case d.spent == 1 && !d.known:
				return errors.New("spent, and nobody knows")
			}
			return nil
		},
	})
}
