package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/crash"
	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
	"hikyaku/internal/prove"
)

// A crashState outlives the processes of a crash case.
type crashState struct {
	*bench

	memory *objectstore.Memory
	clock  time.Time
	blind  func(objectstore.Store) objectstore.Store // takes a guard away; nil: none
}

func newCrashState(t testing.TB, paging pagination.Paging, unordered bool) *crashState {
	t.Helper()
	l := newList(paging, prove.Size(97, 27))
	l.broken = map[int]bool{}
	if paging == pagination.ByOffset {
		l.broken[13000] = true
	}
	s := &crashState{bench: newBench(t, l), memory: &objectstore.Memory{}, clock: due}
	s.now = func() time.Time { return s.clock }
	s.set.InFlight = 1 // the calls of a repeated run are the same ones
	s.feed.Unordered = unordered
	return s
}

// life calls Extract as a fresh process until the run is done or fails.
func (s *crashState) life(ctx context.Context, p *crash.Process) error {
	s.store = p.Objects(s.memory)
	if s.blind != nil {
		s.store = s.blind(s.store)
	}
	s.serve(effects{p, s.list})
	for {
		a, err := s.exporter().Extract(ctx, s.run(due))
		if err != nil {
			return err
		}
		if a.Status == export.Done {
			return nil
		}
		if a.Status == export.Busy {
			s.clock = a.Until.Add(time.Second)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

type effects struct {
	process *crash.Process
	list    *list
}

func (e effects) Page(ctx context.Context, q pagination.Query) (body []byte, err error) {
	err = e.process.Effect(ctx, "source.Page", func() error {
		body, err = e.list.Page(ctx, q)
		return err
	})
	return body, err
}

// picture is all that readers see of a run.
func (s *crashState) picture() (string, error) {
	var b strings.Builder
	s.store = s.memory
	v, err := export.Verify(context.Background(), s.memory, s.key("_manifest.json"))
	if err != nil || len(v.Faults) > 0 {
		return "", fmt.Errorf("%w %v", err, v.Faults)
	}
	m := v.Manifest
	m.Observed = export.Observed{}
	fmt.Fprintf(&b, "%+v\n", m)
	for _, p := range m.Parts {
		fmt.Fprintf(&b, "%x\n", s.object(p.Key))
	}
	var latest struct{ Data export.Pointer }
	s.json("shop/exports/shopline/customers/latest.json", &latest)
	fmt.Fprintf(&b, "%+v\n%s", latest.Data, s.object("shop/athena/shopline/customers/dt=2026-11-22/symlink.txt"))
	return b.String(), nil
}

func TestCrash_AnywhereLeavesTheSameFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		paging    pagination.Paging
		unordered bool
	}{{pagination.ByOffset, false}, {pagination.ByPage, false}, {pagination.ByCursor, false}, {pagination.ByFixedPage, false}, {pagination.ByCursor, true}} {
		t.Run(fmt.Sprintf("%s unordered %t", c.paging, c.unordered), func(t *testing.T) {
			t.Parallel()
			report := enumerate(t, func(t testing.TB) *crashState { return newCrashState(t, c.paging, c.unordered) })
			t.Logf("crash and failure of every call, %s, unordered %t: %d calls, %d points, all with the rows of an undisturbed run", c.paging, c.unordered, len(report.Calls), report.Cases)
			if len(report.Calls) < 20 {
				t.Errorf("only %s", report)
			}
		})
	}
}

func enumerate(t testing.TB, setUp func(testing.TB) *crashState) crash.Report {
	t.Helper()
	want := ""
	return crash.Enumerate(t, crash.Scenario[*crashState]{
		First: prove.Sample(1, 3),
		Setup: setUp,
		Run:   func(ctx context.Context, p *crash.Process, s *crashState) error { return s.life(ctx, p) },
		Recover: func(ctx context.Context, p *crash.Process, s *crashState) error {
			s.clock = s.clock.Add(10 * time.Minute) // past the dead holder's lease
			return s.life(ctx, p)
		},
		Check: func(s *crashState, o crash.Outcome) error {
			got, err := s.picture()
			if err != nil {
				return err
			}
			if err := o.Errs[len(o.Errs)-1]; err != nil {
				return err
			}
			if want == "" {
				want = got
			}
			// A failed call may make the run save a part early, which moves the
			// cuts; the rows stay. After a crash nothing may differ.
			crashed := len(o.Points) == 0 || o.Points[0].Fault == crash.Before || o.Points[0].Fault == crash.After
			if got != want && crashed {
				return fmt.Errorf("the files differ from those of an undisturbed run:\n%.1500s\nwant\n%.1500s", got, want)
			}
			return s.sameRows()
		},
	})
}

// placeless shows stored parts without the place at which a run goes on.
type placeless struct{ objectstore.Store }

func (p placeless) Head(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := p.Store.Head(ctx, key)
	if raw, ok := info.Metadata["checkpoint"]; ok {
		var c map[string]json.RawMessage
		if err := json.Unmarshal([]byte(raw), &c); err != nil {
			return info, err
		}
		delete(c, "next")
		bare, err := json.Marshal(c)
		if err != nil {
			return info, err
		}
		info.Metadata["checkpoint"] = string(bare)
	}
	return info, err
}

// TestCrash_IsFoundWithoutTheCheckpoint: the same check fails for a run that
// finds its parts, but not where they end.
func TestCrash_IsFoundWithoutTheCheckpoint(t *testing.T) {
	t.Parallel()
	r := &crash.Recorder{TB: t}
	report := enumerate(r, func(t testing.TB) *crashState {
		s := newCrashState(t, pagination.ByOffset, false)
		s.blind = func(store objectstore.Store) objectstore.Store { return placeless{store} }
		return s
	})
	prove.Figure(t, len(r.Errors) > 0, "guard removed: parts without the place at which a run goes on", "must fail", "%d of %d points fail", len(r.Errors), report.Cases)
}

// sameRows compares the stored rows with the source.
func (s *crashState) sameRows() error {
	var want []string
	for _, n := range s.list.rows {
		if !s.list.broken[n] {
			want = append(want, record(n))
		}
	}
	if got := s.lines(s.manifest(s.key("_manifest.json"))); strings.Join(got, "\n") != strings.Join(want, "\n") {
		return fmt.Errorf("%d rows differ from the source's %d", len(got), len(want))
	}
	return nil
}

func TestStops_MoveTheCutsOnly(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage, pagination.ByCursor} {
		for _, unordered := range []bool{false, true} {
			undisturbed := newBench(t, newList(paging, 90))
			undisturbed.feed.Unordered = unordered
			clean := undisturbed.manifest(undisturbed.extract(due).Manifest)
			for seed := range prove.Size(50, 2) {
				random := rand.New(rand.NewPCG(uint64(seed), 2))
				b := newBench(t, newList(paging, 90))
				b.feed.Unordered = unordered
				stops := 0
				var answer export.Answer
				for answer.Status != export.Done {
					answer = b.stopAfter(due, 4+random.IntN(8))
					if answer.Status == export.Continue {
						stops++
					}
					if stops > 200 {
						t.Fatalf("%s unordered %t seed %d: no progress", paging, unordered, seed)
					}
				}
				m := b.manifest(answer.Manifest)
				if strings.Join(b.lines(m), "\n") != strings.Join(undisturbed.lines(clean), "\n") || m.Drift != clean.Drift {
					t.Errorf("%s unordered %t seed %d: other rows after %d stops; drift %+v", paging, unordered, seed, stops, m.Drift)
				}
				if len(m.Parts) > len(clean.Parts)+stops {
					t.Errorf("%s: %d parts after %d stops, %d without", paging, len(m.Parts), stops, len(clean.Parts))
				}
				if m.Observed.Invocations != stops+1 {
					t.Errorf("%s: %d invocations are observed, %d were made", paging, m.Observed.Invocations, stops+1)
				}
				if int(m.Observed.Pages) != b.list.requests() || m.Observed.Seconds <= 0 {
					t.Errorf("%s: observed %+v, %d pages were asked for", paging, m.Observed, b.list.requests())
				}
				b.verify(answer.Manifest)
			}
		}
	}
}

func TestPart_StoredByAnotherIsAdopted(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByCursor, pagination.ByFixedPage} {
		// A rival stored a shorter first part, as one that had to stop does.
		rival := newBench(t, newList(paging, 60))
		rival.set.PartBytes = 1200
		rival.stopAfter(due, 3)
		memory := rival.store.(*objectstore.Memory)
		b := newBench(t, newList(paging, 60))
		// The holder does not see the rival's parts at first: they appear
		// while it reads.
		b.list.edit = func(_ *list, request int) {
			if request != 1 {
				return
			}
			for info, err := range memory.List(t.Context(), "shop/", "") {
				if err != nil {
					t.Error(err)
				}
				if !strings.Contains(info.Key, "/part-") { // with what is known of its rows
					continue
				}
				head, err := memory.Head(t.Context(), info.Key)
				if err != nil {
					t.Error(err)
				}
				raw := rival.object(info.Key)
				if _, err := b.store.Put(t.Context(), objectstore.Object{Key: info.Key, Body: bytes.NewReader(raw), Size: info.Size, Metadata: head.Metadata}); err != nil {
					t.Error(err)
				}
			}
		}
		a := b.extract(due)
		if a.Rows != 60 {
			t.Errorf("%s: %d rows, want 60", paging, a.Rows)
		}
		var want []string
		for _, n := range b.list.rows {
			want = append(want, record(n))
		}
		m := b.manifest(a.Manifest)
		if strings.Join(b.lines(m), "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: rows differ from the source's", paging)
		}
		if rivalHas := rival.object(m.Parts[0].Key); !bytes.Equal(b.object(m.Parts[0].Key), rivalHas) {
			t.Errorf("%s: the rival's part was replaced", paging)
		}
		b.verify(a.Manifest)
	}
}
