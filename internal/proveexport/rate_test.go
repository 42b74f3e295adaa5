package proveexport

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// TestRate exports two datasets of one account at the same time, each by a
// function of its own, from a sandbox that refuses whatever is above its rate
// in any sliding second.
func TestRate(t *testing.T) {
	// A short run waits a moment at its start and its end, and has few requests.
	least, most := float64(sized(95, 50))/100, float64(sized(1, 10))/100
	const allowed, share = 20.0, 0.9 // the default of HIKYAKU_SHOPLINE_SHARE; the rest is for jitter on the way
	r := newRig(t, localstack.SandboxOptions{Seed: seed(), Records: sized(2000, 200), Rate: allowed})
	r.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = "10"
	r.vars["HIKYAKU_SHOPLINE_RATE"], r.vars["HIKYAKU_SHOPLINE_SHARE"] = fmt.Sprint(allowed), fmt.Sprint(share)
	began := time.Now()
	var both sync.WaitGroup
	for _, dataset := range []string{"shopline/customers", "shopline/orders"} {
		both.Go(func() {
			if a := r.must(event(dataset, 1)); a.Status != export.Done {
				t.Errorf("%s: %s", dataset, a.Status)
			}
		})
	}
	both.Wait()
	took := time.Since(began).Seconds()
	accepted, refused := 0, 0
	for _, call := range r.stack.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server).Calls() {
		if call.Status == http.StatusTooManyRequests {
			refused++
		} else {
			accepted++
		}
	}
	used := float64(accepted) / (took * allowed * share)
	lost := float64(refused) / float64(accepted+refused)
	figure(t, used >= least && lost <= most, "two runs that share the rate", "at least 95 % of their share used at full size, at most 1 % refused",
		"%.1f %% used, %.1f %% of %d refused", 100*used, 100*lost, accepted+refused)
}
