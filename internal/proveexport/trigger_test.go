package proveexport

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/yappli/yapplitest"
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
	r := newRig(t, localstack.SandboxOptions{Seed: seed(), Records: 200, Rate: anyRate})
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
	shop.Inject(yapplitest.Fault{Kind: yapplitest.Slow, Delay: time.Second})
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

	r.deadHolder(t, "shopline/orders", shop)
}

// deadHolder: a holder dies; a retry that comes too early does not end the run,
// and one after the lease goes on with it.
func (r *rig) deadHolder(t *testing.T, dataset string, shop *shoplinetest.Server) {
	t.Helper()
	shop.Inject(yapplitest.Fault{Kind: yapplitest.Slow, Delay: 2 * time.Second, After: 2})
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
