package proveexport

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// traffic is what the store and the provider were asked for.
type traffic struct{ gets, puts, lists, provider int }

func (r *rig) traffic() traffic {
	calls := r.stack.AWS.Calls()
	shop := r.stack.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server)
	return traffic{
		calls["s3.GetObject"] + calls["s3.HeadObject"], calls["s3.PutObject"],
		calls["s3.ListObjectsV2"] + calls["s3.DeleteObject"], len(shop.Calls()),
	}
}

func (t traffic) minus(u traffic) traffic {
	return traffic{t.gets - u.gets, t.puts - u.puts, t.lists - u.lists, t.provider - u.provider}
}

func TestTriggers(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	r := newRig(t, sandbox.Options{Seed: seed(), Records: 200, Rate: anyRate})
	const dataset = "shopline/customers"
	shop := r.stack.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server)

	// A second process, with the real binary, that has started already.
	r.register()
	second := func(event string) string {
		result, err := r.stack.AWS.Invoke(t.Context(), "export", []byte(event))
		if err != nil || result.Error != "" {
			t.Fatal(err, result.Error)
		}
		return string(result.Payload)
	}
	second(`{"action":"plan","dataset":"yappli/users","scheduled_time":"2026-11-22T00:00:00Z"}`)

	// During the run: the holder waits for a slow answer meanwhile.
	shop.Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: time.Second})
	finished := make(chan export.Answer)
	go func() { finished <- r.must(event(dataset, 1)) }()
	for r.traffic().puts < 2 { // the lease and the plan
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond) // it has asked by now, and waits
	before := r.traffic()
	answer := second(event(dataset, 1))
	during := r.traffic().minus(before)
	busy := strings.HasPrefix(answer, `{"status":"busy"`)
	figure(t, busy && during.gets <= 2 && during.puts <= 1 && during.lists == 0 && during.provider == 0,
		"duplicate trigger during the run, from a second process", "busy, no provider request, at most 2 reads and 1 refused write", "busy %t, %+v", busy, during)
	first := <-finished

	// After it.
	before = r.traffic()
	again := r.must(event(dataset, 1))
	after := r.traffic().minus(before)
	figure(t, again.Manifest == first.Manifest && after.gets <= 2 && after.puts == 0 && after.lists == 0 && after.provider == 0,
		"duplicate trigger after the run", "same answer, no provider request, at most 2 reads, no write", "%+v", after)

	r.rewriteLease(dataset, runOf(t, dataset, export.Trigger{Scheduled: at(1)}), func(held map[string]json.RawMessage) { delete(held, "journal") })
	before = r.traffic()
	r.must(event(dataset, 1))
	forgot := r.traffic().minus(before)
	figure(t, forgot.gets > 2 && forgot.puts > 0, "guard removed: the lease has forgotten that the run is done", "must read and write again", "%+v", forgot)

	r.sameMoment(t, "supersaas/users")
	r.deadHolder(t, "shopline/orders", shop)
}

// A toll counts what one trigger asks for, and holds its writes back until
// every trigger has come to its first.
type toll struct {
	mu    sync.Mutex
	count map[string]int
	first sync.Once
	all   *sync.WaitGroup
}

func (c *toll) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[what]++
}

// A lane is a way out that takes a toll.
type lane func(*http.Request) (*http.Response, error)

func (l lane) RoundTrip(r *http.Request) (*http.Response, error) { return l(r) }

func (c *toll) toAWS(r *http.Request) (*http.Response, error) {
	c.add(r.Method)
	if r.Method == http.MethodPut {
		c.first.Do(func() {
			c.all.Done()
			c.all.Wait()
		})
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.Method == http.MethodPut && response.StatusCode >= 300 {
		c.add("refused")
	}
	return response, err
}

func (c *toll) toProvider(r *http.Request) (*http.Response, error) {
	c.add("provider")
	return http.DefaultTransport.RoundTrip(r)
}

// sameMoment: two triggers have both read the lease when they write it.
func (r *rig) sameMoment(t *testing.T, dataset string) {
	t.Helper()
	var both sync.WaitGroup
	both.Add(2)
	tolls, answers := [2]toll{}, [2]export.Answer{}
	var triggers sync.WaitGroup
	for n := range tolls {
		c := &tolls[n]
		c.count, c.all = map[string]int{}, &both
		f, err := exportfn.New(t.Context(), lambdafn.Environ{Vars: r.vars, Out: io.Discard, AWS: lane(c.toAWS), HTTP: lane(c.toProvider)})
		if err != nil {
			t.Fatal(err)
		}
		warmUp := strings.Replace(event(dataset, 3), "extract", "plan", 1)
		if _, err := f.Invoke(t.Context(), []byte(warmUp)); err != nil {
			t.Fatal(err)
		}
		c.count = map[string]int{}
		triggers.Go(func() {
			raw, err := f.Invoke(t.Context(), []byte(event(dataset, 3)))
			if err == nil {
				err = json.Unmarshal(raw, &answers[n])
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	triggers.Wait()
	busy := 0
	if answers[1].Status == export.Busy {
		busy = 1
	}
	c, winner := tolls[busy].count, answers[1-busy]
	figure(t, answers[busy].Status == export.Busy && winner.Status == export.Done && r.verified(winner.Manifest).Rows == winner.Rows &&
		c["GET"]+c["HEAD"] <= 2 && c["PUT"] == 1 && c["refused"] == 1 && c["POST"] == 0 && c["provider"] == 0,
		"duplicate trigger at the same moment", "busy, no provider request, at most 2 reads and 1 refused write",
		"%s and %s, the former with %v", answers[busy].Status, winner.Status, c)
}

// deadHolder: a holder dies; a retry that comes too early does not end the run,
// and one after the lease goes on with it.
func (r *rig) deadHolder(t *testing.T, dataset string, shop *shoplinetest.Server) {
	t.Helper()
	shop.Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: 2 * time.Second, After: 2})
	dying := r.function()
	run := runOf(t, dataset, export.Trigger{Scheduled: at(2)})
	before := r.traffic().puts
	ended := make(chan error, 1)
	go func() {
		_, err := dying.Invoke(t.Context(), []byte(event(dataset, 2)))
		ended <- err
	}()
	for r.traffic().puts < before+2 {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	early := r.must(event(dataset, 2))
	r.expire(dataset, run) // as if the holder hung beyond its lease
	late := r.must(event(dataset, 2))
	if err := <-ended; err != nil {
		t.Log(err) // the hung holder may have lost its lease
	}
	figure(t, early.Status == export.Busy && late.Status == export.Done && r.verified(late.Manifest).Rows == late.Rows,
		"retry before and after a dead holder's lease ends", "busy, then done", "%s, then %s with %d rows", early.Status, late.Status, late.Rows)
}
