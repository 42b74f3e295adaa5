package export_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/crash"
	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
	"hikyaku/internal/prove"
)

// newDoubtState is a crashState of an incremental dataset with a published run
// at due; the run of an hour later rejects every fifth record.
func newDoubtState(t testing.TB, blind func(objectstore.Store) objectstore.Store) *crashState {
	t.Helper()
	s := newCrashState(t, pagination.ByCursor, false)
	s.dataset = dataset(t, "shopline/customers")
	s.feed.Passes, s.blind = s.dataset.Passes, blind
	s.store = s.memory
	s.serve(s.list)
	s.clock = due.Add(2 * time.Hour)
	s.extract(due)
	s.list.render, s.set.MaxRejects = someBad(5), 5
	return s
}

// seen is the store as a process sees it.
func (s *crashState) seen(p *crash.Process) objectstore.Store {
	if s.blind != nil {
		return s.blind(p.Objects(s.memory))
	}
	return p.Objects(s.memory)
}

// untilDoubt calls Extract as a fresh process until the run of an hour later has
// ended.
func (s *crashState) untilDoubt(ctx context.Context, p *crash.Process) error {
	s.store = s.seen(p)
	s.serve(effects{p, s.list})
	for {
		a, err := s.exporter().Extract(ctx, s.run(due.Add(time.Hour)))
		switch {
		case err != nil:
			return err
		case a.Status == export.Doubtful:
			return nil
		case a.Status == export.Done:
			return errors.New("the run in doubt is published")
		case a.Status == export.Busy:
			s.clock = a.Until.Add(time.Second)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

const doubtFolder = "shop/exports/shopline/customers/dt=2026-11-22/run=20261122T013000Z/"

// portrait is all that is stored of the run in doubt, wherever its parts are
// cut, and where the pointers stand.
func (s *crashState) portrait(name string) (string, error) {
	var b strings.Builder
	s.store = s.memory
	v, err := export.Verify(context.Background(), s.memory, doubtFolder+name)
	if err != nil || len(v.Faults) > 0 {
		return "", fmt.Errorf("%w %v", err, v.Faults)
	}
	m := v.Manifest
	lines, parts := s.lines(m), m.Parts
	m.Observed, m.Accepted, m.Parts, m.StoredBytes = export.Observed{}, nil, nil, 0
	fmt.Fprintf(&b, "%+v\n%s\n", m, strings.Join(lines, "\n"))
	for _, p := range parts {
		fmt.Fprintf(&b, "%s", strings.Repeat(fmt.Sprint(s.tags(p.Key), "\n"), p.Rows))
	}
	for _, key := range []string{"state/export/shopline/customers/watermark.json", "exports/shopline/customers/latest.json"} {
		var d struct{ Data any }
		s.json("shop/"+key, &d)
		fmt.Fprintf(&b, "%v\n", d.Data)
	}
	link := string(s.object("shop/athena/shopline/customers/dt=2026-11-22/symlink.txt"))
	for _, p := range parts {
		fmt.Fprintf(&b, "%s", strings.Repeat(fmt.Sprint(strings.Contains(link, p.Key), "\n"), p.Rows))
	}
	return b.String(), nil
}

// enumerateDoubt kills and fails every call on the way into doubt.
func enumerateDoubt(t testing.TB, blind func(objectstore.Store) objectstore.Store) crash.Report {
	t.Helper()
	want := ""
	return crash.Enumerate(t, crash.Scenario[*crashState]{
		First: prove.Sample(1, 3),
		Setup: func(t testing.TB) *crashState { return newDoubtState(t, blind) },
		Run:   func(ctx context.Context, p *crash.Process, s *crashState) error { return s.untilDoubt(ctx, p) },
		Recover: func(ctx context.Context, p *crash.Process, s *crashState) error {
			s.clock = s.clock.Add(10 * time.Minute)
			return s.untilDoubt(ctx, p)
		},
		Check: func(s *crashState, o crash.Outcome) error {
			if err := o.Errs[len(o.Errs)-1]; err != nil {
				return err
			}
			got, err := s.portrait("_doubt.json")
			if err != nil {
				return err
			}
			if want == "" {
				want = got
			}
			if got != want {
				return fmt.Errorf("what is stored differs from an undisturbed run's:\n%s\nwant\n%s", got, want)
			}
			for _, p := range s.manifest(doubtFolder + "_doubt.json").Parts {
				if s.tags(p.Key)["hikyaku"] != "doubt" {
					return fmt.Errorf("%s is not marked", p.Key)
				}
			}
			if !s.absent(doubtFolder + "_manifest.json") {
				return errors.New("the run in doubt is published")
			}
			return nil
		},
	})
}

func TestCrash_OnTheWayIntoDoubt(t *testing.T) {
	t.Parallel()
	report := enumerateDoubt(t, nil)
	t.Logf("crash and failure of every call into doubt: %d calls, %d points, all end in doubt with no pointer moved", len(report.Calls), report.Cases)
	marks := 0
	if last := report.Calls[len(report.Calls)-2:]; !strings.HasSuffix(last[0], "_doubt.json") || !strings.Contains(last[1], "objects.Put shop/state/export/") {
		t.Errorf("the answer is not the one write after _doubt.json: %v", last)
	}
	for _, call := range report.Calls {
		if strings.HasPrefix(call, "objects.SetTags ") {
			marks++
		}
		if strings.HasSuffix(call, "_doubt.json") && marks < 2 {
			t.Errorf("_doubt.json is written after %d marks: %v", marks, report.Calls)
		}
	}
}

// accepting accepts the run in doubt as a fresh process.
func (s *crashState) accepting(ctx context.Context, p *crash.Process) error {
	s.store = s.seen(p)
	for {
		a, err := s.exporter().Accept(ctx, doubtFolder+"_doubt.json", "山田", "known to be broken")
		if err != nil {
			return err
		}
		if a.Status == export.Done {
			return nil
		}
		s.clock = a.Until.Add(time.Second)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// unmarkedFirst refuses a manifest whose parts are still marked: the bucket
// would end them.
type unmarkedFirst struct {
	objectstore.Store

	s *crashState
}

func (u unmarkedFirst) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if strings.HasSuffix(o.Key, "_manifest.json") {
		for _, p := range u.s.parts() {
			if tags, err := u.s.memory.GetTags(context.Background(), p); err != nil || len(tags) > 0 {
				u.s.Errorf("the manifest is written while %s has the tags %v (%v)", p, tags, err)
			}
		}
	}
	return u.Store.Put(ctx, o)
}

// parts returns the keys of the parts of the run in doubt.
func (s *crashState) parts() []string {
	var keys []string
	for info, err := range s.memory.List(context.Background(), doubtFolder+"part-", "") {
		if err != nil {
			s.Error(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// enumerateAccept kills and fails every call of an acceptance, and each
// so-many-th of the recovery after a death.
func enumerateAccept(t testing.TB, every int, blind func(objectstore.Store) objectstore.Store) crash.Report {
	t.Helper()
	want := ""
	return crash.Enumerate(t, crash.Scenario[*crashState]{
		First: prove.Sample(1, 3),
		Setup: func(t testing.TB) *crashState {
			s := newDoubtState(t, nil)
			if err := s.untilDoubt(t.Context(), &crash.Process{}); err != nil {
				t.Fatal(err)
			}
			s.blind = func(store objectstore.Store) objectstore.Store {
				if blind != nil {
					store = blind(store)
				}
				return unmarkedFirst{store, s}
			}
			return s
		},
		Run: func(ctx context.Context, p *crash.Process, s *crashState) error { return s.accepting(ctx, p) },
		Recover: func(ctx context.Context, p *crash.Process, s *crashState) error {
			s.clock = s.clock.Add(10 * time.Minute)
			return s.accepting(ctx, p)
		},
		Check: func(s *crashState, o crash.Outcome) error {
			if err := o.Errs[len(o.Errs)-1]; err != nil {
				return err
			}
			got, err := s.portrait("_manifest.json")
			if err != nil {
				return err
			}
			if want == "" {
				want = got
			}
			if got != want {
				return fmt.Errorf("what is published differs from an undisturbed acceptance:\n%s\nwant\n%s", got, want)
			}
			for _, p := range s.parts() {
				if len(s.tags(p)) > 0 {
					return fmt.Errorf("%s is still marked", p)
				}
			}
			if a := s.extract(due.Add(time.Hour)); a.State != export.Accepted {
				return fmt.Errorf("the trigger is answered %q", a.State)
			}
			return nil
		},
		Twice: true, Every: every,
	})
}

func TestCrash_WhileARunIsAccepted(t *testing.T) {
	t.Parallel()
	report := enumerateAccept(t, stride(101, 25), nil)
	t.Logf("crash and failure of every call of an acceptance, the recovery killed too: %d calls, %d points, all publish the same", len(report.Calls), report.Cases)
	order := strings.Join(report.Calls, "\n")
	at := -1
	for _, call := range []string{
		"SetTags " + doubtFolder + "part-00000", "Put " + doubtFolder + "_manifest.json", "Put shop/state/export/shopline/customers/watermark.json",
		"Put shop/exports/shopline/customers/latest.json", "Put shop/athena/shopline/customers/dt=2026-11-22/symlink.txt", "Put shop/state/export/shopline/customers/run=20261122T013000Z.json",
	} {
		next := strings.LastIndex(order, "objects."+call)
		if next < at {
			t.Errorf("%s comes too early in\n%s", call, order)
		}
		at = next
	}
}

// tagless loses every change of tags.
type tagless struct{ objectstore.Store }

func (tagless) SetTags(context.Context, string, map[string]string) error { return nil }

// TestCrash_IsFoundWithoutTags: the same checks fail where tags are not kept.
func TestCrash_IsFoundWithoutTags(t *testing.T) {
	t.Parallel()
	blind := func(store objectstore.Store) objectstore.Store { return tagless{store} }
	into, out := &crash.Recorder{TB: t}, &crash.Recorder{TB: t}
	enumerateDoubt(into, blind)
	enumerateAccept(out, 1000, blind)
	prove.Figure(t, len(into.Errors) > 0 && len(out.Errors) > 0, "guard removed: tags that are not kept", "must fail", "%d points into doubt and %d out of it fail", len(into.Errors), len(out.Errors))
}
