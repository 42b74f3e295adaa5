// Package crash proves what a protocol leaves behind when its process dies, or
// when one of its calls fails, at any point. Only tests import it.
//
// A Scenario runs once undisturbed, and every call that it makes through the
// Process is counted. Then it runs again, on a fresh state, for every call and
// every Fault: the process dies before the call, or after it took effect, or
// the call fails, or its answer is lost. A second process recovers, and Check
// judges the state:
//
//	crash.Enumerate(t, crash.Scenario[*shop]{
//		Setup: newShop, // stores, sandboxes, a clock
//		Run: func(ctx context.Context, p *crash.Process, s *shop) error {
//			r := refresher(p.Secrets(s.secrets), p.Objects(s.objects), p.Transport(s.sandbox))
//			return r.Refresh(ctx)
//		},
//		Check: func(s *shop, o crash.Outcome) error { return s.oneOutcomeOf(o) },
//	})
//
// What a process holds in memory is lost when it dies, so Run and Recover must
// build it again from their Process, keep nothing of it in the state, and end
// their goroutines before they return. Enumerate starts no subtests: it may be
// called inside a synctest bubble.
package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// ErrCrashed is what every call of a dead process returns.
var ErrCrashed = errors.New("process crashed")

// ErrInjected is what a call returns that failed or lost its answer.
var ErrInjected = errors.New("injected fault")

// A Fault is what happens at one call.
type Fault string

// The faults.
const (
	Before Fault = "crash before"   // the process dies, the call has no effect
	After  Fault = "crash after"    // the call takes effect, the process dies
	Failed Fault = "failure of"     // the call returns ErrInjected and has no effect; the process lives
	Lost   Fault = "lost answer of" // the call takes effect and returns ErrInjected; the process lives
)

func (f Fault) kills() bool { return f == Before || f == After }

// A Scenario is a protocol on a state of type S, which outlives processes:
// stores, sandboxes, a clock.
type Scenario[S any] struct {
	// Setup makes a fresh state. It is called for every case.
	Setup func(t testing.TB) S
	// Run is the life of the process in which the fault happens. ctx ends
	// when the process dies.
	Run func(ctx context.Context, p *Process, s S) error
	// Recover is the life of the process after it; nil means Run. A clock
	// that must pass a lease is advanced here.
	Recover func(ctx context.Context, p *Process, s S) error
	// Check returns what is wrong with the state after the recovery.
	Check func(s S, o Outcome) error
	// Faults are those to enumerate; nil means all four.
	Faults []Fault
	// First takes only each so-many-th of the faults of the first run; 0 means
	// all. An odd number takes each kind of fault in turn.
	First int
	// Twice also kills the recovery, before and after each of its calls,
	// and lets a third process recover.
	Twice bool
	// Every takes only each so-many-th of these second deaths, whose number
	// grows with the square of the calls; 0 means all.
	Every int
}

// A Point is a fault at a call.
type Point struct {
	Fault Fault
	Index int    // of the call in its run, from 0
	Call  string // such as "secrets.Put shop/yappli/token AWSCURRENT"
}

// String returns "crash after call 3, secrets.Put ...".
func (p Point) String() string { return fmt.Sprintf("%s call %d, %s", p.Fault, p.Index, p.Call) }

// An Outcome is how a case ended.
type Outcome struct {
	Points []Point    // none: undisturbed; two if the recovery was killed as well
	Errs   []error    // what Run and each Recover returned
	Calls  [][]string // that Run and each Recover made, the one at its point included
}

// String names the points.
func (o Outcome) String() string {
	if len(o.Points) == 0 {
		return "undisturbed"
	}
	var b strings.Builder
	for i, p := range o.Points {
		if i > 0 {
			b.WriteString(", then in the recovery ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// A Report counts what Enumerate did.
type Report struct {
	Calls []string // of the undisturbed run, in order
	Cases int      // runs with a fault, each with its recovery
	// Seconds are those of the cases whose recovery was killed, too.
	Seconds int
}

// String returns the numbers, and the calls by name.
func (r Report) String() string {
	counts := map[string]int{}
	for _, call := range r.Calls {
		counts[call]++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls, %d cases", len(r.Calls), r.Cases)
	for _, call := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "\n%4d  %s", counts[call], call)
	}
	return b.String()
}

// Enumerate runs the scenario for every call and fault, and reports each case
// that Check refuses as an error of t.
func Enumerate[S any](t testing.TB, sc Scenario[S]) Report {
	t.Helper()
	e := enumeration[S]{t: t, Scenario: sc}
	if e.Recover == nil {
		e.Recover = e.Run
	}
	if e.Faults == nil {
		e.Faults = []Fault{Before, After, Failed, Lost}
	}
	calls := e.run()
	faults := 0
	for i, call := range calls[0] {
		for _, fault := range e.Faults {
			if faults%max(e.First, 1) == 0 {
				e.fault(Point{fault, i, call})
			}
			faults++
		}
	}
	return Report{Calls: calls[0], Cases: e.cases, Seconds: e.taken}
}

type enumeration[S any] struct {
	Scenario[S]

	t       testing.TB
	cases   int
	seconds int // second deaths that there are
	taken   int // of these
}

// fault runs the cases of one point of the first run.
func (e *enumeration[S]) fault(p Point) {
	e.t.Helper()
	e.cases++
	calls := e.run(p)
	if !e.Twice || !p.Fault.kills() {
		return
	}
	for i, call := range calls[1] {
		for _, fault := range []Fault{Before, After} {
			e.seconds++
			if e.seconds%max(e.Every, 1) == 0 {
				e.cases++
				e.taken++
				e.run(p, Point{fault, i, call})
			}
		}
	}
}

// run makes one case on a fresh state: a process for each point and one that
// is undisturbed. It returns the calls of each.
func (e *enumeration[S]) run(points ...Point) (calls [][]string) {
	e.t.Helper()
	state := e.Setup(e.t)
	outcome := Outcome{Points: points}
	for life := range len(points) + 1 {
		p := &Process{}
		if life < len(points) {
			p.at = &points[life]
		}
		ctx, cancel := context.WithCancel(e.t.Context())
		p.kill = cancel
		live := e.Run
		if life > 0 {
			live = e.Recover
		}
		outcome.Errs = append(outcome.Errs, live(ctx, p, state))
		cancel()
		calls = append(calls, p.seen())
		if p.at != nil && !p.reached() {
			e.t.Errorf("%s: never reached: the scenario makes other calls when it is repeated", outcome)
		}
	}
	outcome.Calls = calls
	if err := e.Check(state, outcome); err != nil {
		e.t.Errorf("%s: %v", outcome, err)
	}
	return calls
}
