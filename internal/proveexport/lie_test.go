package proveexport

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/sandbox"
)

var (
	lieSeeds = flag.Int("lies", 0, "seeds of a provider that lies; 0: as many as the proof's size calls for")
	lieFirst = flag.Uint64("first-lie", 0, "the first of them")
	lieOnly  = flag.Int64("lie", -1, "run this one seed of a provider that lies, and print its log")
	lieExtra = flag.Int("lies-beyond", 0, "lies to a question beyond the bound, with -lie")
)

// A problem is something that must never be.
type problem string

const (
	wrongRun    problem = "complete runs that are not the source"
	stillOwed   problem = "records missing one healthy run later"
	wrongPoint  problem = "pointers to what is not complete"
	illRejected problem = "rejects by an ill server"
	unhealthy   problem = "healthy runs that are not complete"
	unproved    problem = "manifests that verify refuses"
	unbounded   problem = "runs that ask without end"
)

// A verdict is what became of one seed.
type verdict struct {
	plan     plan
	first    export.Status // of the run that was lied to
	reason   string        // of its last failure
	problems map[problem]string
	counts   map[string]int // lies by kind
	most     map[class]int  // lies to one question
	calls    int
	requests int
	virtual  time.Duration // that the lied-to run took
	log      []string
}

// run is one seed, within a synctest bubble.
func (v *verdict) run(t *testing.T, extra int) {
	time.Sleep(time.Until(at(-24 * 60)))
	p := v.plan
	chance := rand.New(rand.NewPCG(p.seed, 0xacc7))
	records := cmp.Or(p.rows, -1)
	a := p.way.open(sandbox.Options{Seed: p.seed, Records: records, Rate: -1}, p.page, chance)
	p.choose(a)
	if extra > 0 {
		p.pretend()
	}
	v.plan = p
	liar := &provider{account: a, plan: p, extra: extra, counts: map[string]int{}, most: map[class]int{}, names: ids{a.id, map[string]string{}}}
	w := newWorld(t, a, p.way.dataset, liar)
	defer w.close()
	w.cold, w.timeout, w.tell = p.cold, p.timeout, liar.remark
	liar.edited, w.bound, w.spent = w.model.look, liar.bound, liar.spent
	if p.flight > 0 {
		w.vars["HIKYAKU_EXPORT_IN_FLIGHT"] = strconv.Itoa(p.flight)
	}
	if p.source.ownFault() {
		w.vars["HIKYAKU_EXPORT_MAX_REJECTS"] = "100"
	}
	v.problems, v.counts, v.most = map[problem]string{}, liar.counts, liar.most
	defer func() { v.log, v.calls, v.requests = liar.log, w.calls, len(liar.log) }()

	if p.second {
		v.judge(w, w.export(w.night(0)), nil, true)
		w.touch(chance, len(w.model.now)*2/3)
	}
	event, bad := w.night(1), v.chooseBad(w, chance)
	liar.start(slices.Sorted(maps.Keys(bad)))
	before, began := w.pointers(), time.Now()
	answer := w.export(event)
	if liar.spent() {
		v.add(unbounded, fmt.Sprintf("%d requests", liar.requests))
	}
	v.first, v.reason, v.virtual = answer.Status, w.reason, time.Since(began)
	liar.stop(fmt.Sprintf("the run ended as %s; no more lies", v.first))
	v.judge(w, answer, bad, false)
	if v.first != export.Done && !maps.Equal(before, w.pointers()) {
		v.add(wrongPoint, "moved by a run that ended as "+string(v.first))
	}
	if n := w.rejected(); n > 0 && !p.source.ownFault() {
		v.add(illRejected, fmt.Sprintf("%d", n))
	}
	answer = w.export(w.night(2))
	if v.judge(w, answer, nil, true) {
		if p.source.bad == "500" {
			bad = nil // such a record is asked for again; one that cannot be read is not
		}
		if owed := w.model.owed(w.manifest(answer), bad); a.times != nil && len(owed) > 0 {
			v.add(stillOwed, strings.Join(owed, " "))
		}
	}
}

// chooseBad draws the record that is bad.
func (v *verdict) chooseBad(w *world, chance *rand.Rand) map[string]bool {
	bad := map[string]bool{}
	if all := slices.Sorted(maps.Keys(w.model.now)); v.plan.source.bad != "" && len(all) > 0 {
		bad[pick(chance, all...)] = true
	}
	return bad
}

func (v *verdict) add(what problem, text string) {
	if v.problems[what] == "" {
		v.problems[what] = text
	}
}

// judge compares a run with the model and reports whether it is complete. A
// healthy one must be, and hold everything.
func (v *verdict) judge(w *world, a export.Answer, excused map[string]bool, healthy bool) bool {
	defer func() {
		for _, wrong := range w.pointsTo(w.pointers()) {
			v.add(wrongPoint, wrong)
		}
	}()
	if a.Status != export.Done {
		if healthy {
			v.add(unhealthy, fmt.Sprintf("%s: %s", a.Status, w.reason))
		}
		return false
	}
	checked, err := export.Verify(w.Context(), w.store, a.Manifest)
	if err != nil || len(checked.Faults) > 0 {
		v.add(unproved, fmt.Sprint(err, checked.Faults))
	}
	what := wrongRun
	if healthy {
		what = stillOwed
	}
	if faults := w.model.compare(w.rows(checked.Manifest), checked.Manifest, excused); len(faults) > 0 {
		v.add(what, fmt.Sprintf("%d: %s", len(faults), strings.Join(faults[:min(len(faults), 12)], ", ")))
	}
	return true
}

func (w *world) manifest(a export.Answer) export.Manifest {
	w.Helper()
	m, err := export.ReadManifest(w.Context(), w.store, a.Manifest)
	if err != nil {
		w.Fatal(err)
	}
	return m
}

// lies runs seeds on all processors, each in a bubble of its own.
func lies(t *testing.T, first uint64, n, extra int) []verdict {
	t.Helper()
	seeds := make([]uint64, n)
	for i := range seeds {
		seeds[i] = first + uint64(i)
	}
	return liesOf(t, seeds, extra)
}

func liesOf(t *testing.T, seeds []uint64, extra int) []verdict {
	t.Helper()
	readLoop(t)
	takeTurns()
	verdicts := make([]verdict, len(seeds))
	abreast(t, len(seeds), func(t *testing.T, i int) {
		verdicts[i].plan = draw(seeds[i])
		verdicts[i].run(t, extra)
	})
	return verdicts
}

// abreast calls f with each number below n on all processors, each in a bubble
// of virtual time.
func abreast(t *testing.T, n int, f func(t *testing.T, i int)) {
	t.Helper()
	var next atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
					synctest.Test(t, func(t *testing.T) { f(t, int(i)) })
				}
			})
		}
	})
}

// TestLies lies to runs and compares what calls itself complete with the
// source.
func TestLies(t *testing.T) {
	if *lieOnly >= 0 {
		v := lies(t, uint64(*lieOnly), 1, *lieExtra)[0]
		t.Log(v.report())
		if len(v.problems) > 0 {
			t.Fail()
		}
		return
	}
	n := cmp.Or(*lieSeeds, sized(10_000, 8))
	began := time.Now()
	verdicts := lies(t, *lieFirst, n, 0)
	took := time.Since(began)
	for class, b := range bounds {
		if class != harmless {
			fmt.Printf("prove: bound, %s: %d lies to a question (%s)\n", class, b.asked-1, b.why)
		}
	}
	fmt.Printf("prove: bound, answers in a row: %d (the state machine calls %d times)\n", longestBurst(), loop.retries+1)
	s := newSummary(verdicts)
	s.print(t, took)
	fmt.Printf("prove: lies, seeds by dataset and way of paging: %s (no bar)\n", counted(s.ways))
	fmt.Printf("prove: lies, seeds by kind: %s (no bar)\n", counted(s.kinds))
	fmt.Printf("prove: lies, outcomes of the runs that were lied to: %s (no bar)\n", counted(s.status))
	for _, what := range []problem{wrongRun, stillOwed, wrongPoint, illRejected, unhealthy, unproved, unbounded} {
		figure(t, s.problems[what] == 0, "lies, "+string(what), "0", "%d of %d seeds", s.problems[what], n)
	}
	// A handful of runs can hold one or two by chance.
	figure(t, s.late*20 < s.ending || prove.Handful() && s.late <= 2, "lies that end in time, runs in doubt or failed", "under 5 %", "%d of %d", s.late, s.ending)
	if prove.Full() {
		name, least := s.least(s.kinds)
		figure(t, least >= 200, "lies, seeds of each kind", "at least 200", "%d of %q, %d kinds", least, name, len(s.kinds))
		name, least = s.least(s.ways)
		figure(t, least >= 500, "lies, seeds of each dataset and way of paging", "at least 500", "%d of %q", least, name)
	}
}

// TestLies_OnceWrong runs seeds that once made a run wrong, or endless, each for a
// reason of its own.
func TestLies_OnceWrong(t *testing.T) {
	for _, v := range liesOf(t, []uint64{387, 1313, 2081, 2391, 3972, 4256, 5469, 6239, 6479, 6655, 8714, 51680, 52383}, 0) {
		if len(v.problems) > 0 {
			t.Error(v.report())
		}
	}
}

// TestLies_OneMoreThanTheBound is the guard removed: a lie more to each
// question than the product can tell from the truth.
func TestLies_OneMoreThanTheBound(t *testing.T) {
	n := cmp.Or(*lieSeeds/10, sized(1000, 12))
	s := newSummary(lies(t, *lieFirst, n, 1))
	figure(t, s.problems[wrongRun] > 0, "guard removed: one lie more than the bound to each question", "complete runs must lose rows", "%d of %d seeds", s.problems[wrongRun], n)
}

// A summary counts verdicts.
type summary struct {
	verdicts     []verdict
	problems     map[problem]int
	kinds, ways  map[string]int // seeds
	most         map[class]int
	late, ending int // runs whose lies end in time: not complete, all
	status       map[string]int
	reasons      map[string]int
}

func newSummary(verdicts []verdict) *summary {
	s := &summary{
		verdicts: verdicts, problems: map[problem]int{}, kinds: map[string]int{}, ways: map[string]int{}, most: map[class]int{},
		status: map[string]int{}, reasons: map[string]int{},
	}
	for _, k := range kinds {
		s.kinds[k.name] = 0
	}
	for _, v := range verdicts {
		for what := range v.problems {
			s.problems[what]++
		}
		for name := range v.counts {
			s.kinds[name]++
		}
		for class, n := range v.most {
			s.most[class] = max(s.most[class], n)
		}
		s.ways[v.plan.way.name]++
		s.status[fmt.Sprintf("%s, %s", v.plan.mode, v.first)]++
		if v.plan.ends() {
			s.ending++
			if v.first != export.Done {
				s.late++
				s.reasons[fmt.Sprintf("%s: %s", v.first, v.reason)]++
			}
		}
	}
	return s
}

// counted lists counts by name.
func counted(of map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(all, "; ")
}

func (s *summary) least(of map[string]int) (name string, n int) {
	n = 1 << 30
	for _, key := range slices.Sorted(maps.Keys(of)) {
		if of[key] < n {
			name, n = key, of[key]
		}
	}
	return name, n
}

// print shows the counts, and of the seeds that fail the first of each problem
// with its log.
func (s *summary) print(t *testing.T, took time.Duration) {
	t.Helper()
	late := 0
	for _, v := range s.verdicts {
		if v.plan.ends() && v.first != export.Done && late < 20 {
			late++
			t.Logf("late although the lies ended: %s: %s: %s", v.plan, v.first, clip(v.reason))
		}
	}
	shown := map[problem]int{}
	perWay := map[string]int{}
	for _, v := range s.verdicts {
		for what, text := range v.problems {
			perWay[v.plan.way.name+": "+string(what)]++
			if shown[what]++; shown[what] == 1 {
				t.Log(v.report())
			} else if shown[what] <= 10 {
				t.Logf("%s: %s: %s", v.plan, what, text)
			}
		}
	}
	t.Logf("%d seeds, %v each on %d processors", len(s.verdicts), took/time.Duration(len(s.verdicts)), runtime.GOMAXPROCS(0))
	t.Logf("lies to one question at most: %v", s.most)
	longest := slices.MaxFunc(s.verdicts, func(a, b verdict) int { return cmp.Compare(a.requests, b.requests) })
	t.Logf("%d requests and remarks at most, of %s", longest.requests, longest.plan)
	for name, counts := range map[string]map[string]int{"late although the lies ended": s.reasons, "problems": perWay} {
		if len(counts) > 0 {
			t.Logf("seeds, %s:\n    %s", name, strings.ReplaceAll(counted(counts), "; ", "\n    "))
		}
	}
}

// report says what one seed did, so that it need not run again.
func (v *verdict) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nrun again with: go test -run 'TestLies$' ./internal/proveexport -args -lie %d\n", v.plan, v.plan.seed)
	fmt.Fprintf(&b, "the run that was lied to: %s in %v, %d calls in all; %s\n", v.first, v.virtual, v.calls, v.reason)
	for what, text := range v.problems {
		fmt.Fprintf(&b, "%s: %s\n", what, text)
	}
	log := v.log
	if len(log) > 300 {
		log = append(append(slices.Clone(log[:200]), "..."), log[len(log)-100:]...)
	}
	return b.String() + strings.Join(log, "\n")
}
