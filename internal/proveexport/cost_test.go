package proveexport

import (
	"testing"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// TestCost counts the calls of a run, and extends them to a million rows: one
// that asks for 2 pages a second with 128 MB, in the dearest region.
func TestCost(t *testing.T) {
	rows := sized(20_000, 2_000)
	for _, c := range []struct {
		page string
		most float64
	}{{"250", 0.01}, {"50", 0.02}} {
		r := newRig(t, localstack.SandboxOptions{Seed: seed(), Records: rows, Rate: anyRate})
		r.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = c.page
		a := r.must(event("shopline/customers", 1))
		m := r.verified(a.Manifest)
		calls := r.stack.AWS.Calls()
		scale := 1e6 / float64(m.Rows)
		const perSecond, lambda, transitions = 2, 880.0, 4
		const once = 2 // requests that every run makes: the empty page, and the look behind the row before the last
		requests := float64(m.Observed.Requests-once)*scale + once
		seconds := requests / perSecond
		invocations := seconds/lambda + 1
		writes := float64(calls["s3.PutObject"])*invocations + seconds/90 + scale*float64(m.Bytes)/(64<<20)
		usd := 0.0
		for _, p := range prove.PriceList() {
			reads := float64(calls["s3.GetObject"]+calls["s3.HeadObject"]) * invocations
			usd = max(usd, seconds*0.125*p.GBSecond+invocations*(p.Invocation+transitions*p.Transition)+writes*p.Write+reads*p.Read)
		}
		figure(t, m.Rows == rows && usd <= c.most, "cost of a million rows at "+c.page+" a page", "at most $"+map[string]string{"250": "0.01", "50": "0.02"}[c.page],
			"$%.4f: %.0f requests, %.0f s, %.1f invocations, %.0f writes", usd, requests, seconds, invocations, writes)
	}
}
