package webhookrelay_test

import (
	"context"
	"errors"
	"maps"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/pkg/providers/sandbox"
)

func TestReconcile_ContinuesAcrossDeadlines(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.populate(500)
		r.crm.SetFaults(sandbox.Faults{Latency: time.Second})
		parts := 0
		var report *reconcile.Report
		for report == nil {
			ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
			result, err := reconcile.New(r.stack(), r.queue).Run(ctx, parts > 0) // a run under way goes on, wanted or not
			cancel()
			if err != nil || result.Status != "continue" && result.Status != "done" {
				t.Fatalf("part %d: %+v, %v", parts, result, err)
			}
			report = result.Report
			parts++
		}
		if parts < 3 || report.Users != 501 || report.Matched+report.Missing != 501 || report.Sent != r.queue.len() {
			t.Fatalf("%d parts, report %+v, %d in the queue", parts, *report, r.queue.len())
		}
		for info, err := range r.objects.List(context.Background(), "", "") {
			if err != nil || strings.Contains(info.Key, "/reconcile/") {
				t.Fatalf("%s, %v: a finished run leaves no tables", info.Key, err)
			}
		}
	})
}

// A run that lasts longer than a lease keeps it, and leaves one saved table.
func TestReconcile_KeepsItsLease(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.populate(2000)
		r.crm.SetFaults(sandbox.Faults{Latency: 20 * time.Second})
		first := make(chan reconcile.Result)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			result, err := reconcile.New(r.stack(), r.queue).Run(ctx, false)
			if err != nil {
				t.Error(err)
			}
			first <- result
		}()
		for minute := range 4 {
			time.Sleep(time.Minute)
			if result, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), false); err != nil || result.Status != "busy" {
				t.Fatalf("minute %d: second run = %+v, %v, want busy", minute, result, err)
			}
		}
		if result := <-first; result.Status != "continue" {
			t.Fatalf("first run = %+v, want it cut", result)
		}
		for range 2 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			if _, err := reconcile.New(r.stack(), r.queue).Run(ctx, false); err != nil {
				t.Fatal(err)
			}
			cancel()
		}
		saved := map[string]bool{}
		for info, err := range r.objects.List(context.Background(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			if _, after, ok := strings.Cut(info.Key, "/reconcile/"); ok {
				saved[path.Dir(after)] = true
			}
		}
		if len(saved) != 1 {
			t.Fatalf("tables of %v, want those of the last save", saved)
		}
	})
}

// saved are the ETags of the tables of runs under way.
func (r *rig) saved() map[string]string {
	r.t.Helper()
	etags := map[string]string{}
	for info, err := range r.objects.List(context.Background(), "", "") {
		if err != nil {
			r.t.Fatal(err)
		}
		if strings.Contains(info.Key, "/reconcile/") {
			etags[info.Key] = info.ETag
		}
	}
	return etags
}

// stalling is a store whose first write below a prefix takes an hour.
type stalling struct {
	objectstore.Store

	prefix string
	once   sync.Once
}

func (s *stalling) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if strings.Contains(o.Key, s.prefix) {
		first := false
		s.once.Do(func() { first = true })
		if first {
			time.Sleep(time.Hour)
		}
	}
	return s.Store.Put(ctx, o)
}

// An invocation that stalled until another went on with its run leaves alone
// what that one saved.
func TestReconcile_SavesNothingWithoutItsLease(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.populate(2000)
		part := func() (reconcile.Result, error) {
			ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
			defer cancel()
			return reconcile.New(r.stack(), r.queue).Run(ctx, false)
		}
		cut := func(when string) {
			if result, err := part(); err != nil || result.Status != "continue" {
				t.Fatalf("%s: %+v, %v, want it cut", when, result, err)
			}
		}
		r.crm.SetFaults(sandbox.Faults{Latency: time.Second})
		cut("first")
		stalled := make(chan error)
		store := r.objects
		r.objects = &stalling{Store: store, prefix: "/identities/"}
		stalls := reconcile.New(r.stack(), r.queue)
		r.objects = store
		go func() {
			_, err := stalls.Run(context.Background(), false)
			stalled <- err
		}()
		time.Sleep(30 * time.Minute)
		cut("another")
		saved := r.saved()
		if err := <-stalled; !errors.Is(err, lease.ErrLost) {
			t.Fatalf("the stalled one: %v, want its lease lost", err)
		}
		if now := r.saved(); len(saved) == 0 || !maps.Equal(saved, now) {
			t.Fatalf("saved are %v, want as the other left them: %v", now, saved)
		}
	})
}

func TestReconcile_OneAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crm.SetFaults(sandbox.Faults{Latency: 10 * time.Second})
		first := make(chan error)
		go func() {
			_, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), false)
			first <- err
		}()
		time.Sleep(5 * time.Second)
		result, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), false)
		if err != nil || result.Status != "busy" || !result.Until.After(time.Now()) {
			t.Fatalf("second run = %+v, %v, want busy", result, err)
		}
		if err := <-first; err != nil {
			t.Fatal(err)
		}
	})
}

func TestReconcile_StartsOverWhatIsTooOld(t *testing.T) {
	for age, again := range map[time.Duration]bool{11 * time.Hour: false, 13 * time.Hour: true} {
		t.Run(age.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.populate(100)
				r.crm.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "GET /api/ext/users", Times: -1})
				if _, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), false); err == nil {
					t.Fatal("no error")
				}
				r.crm.SetFaults(sandbox.Faults{})
				time.Sleep(age)
				lists := r.shop.Count("GET /api/users.json")
				r.reconcile()
				if got := r.shop.Count("GET /api/users.json") > lists; got != again {
					t.Errorf("users listed again: %v, want %v", got, again)
				}
			})
		})
	}
}
