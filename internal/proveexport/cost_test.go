package proveexport

import (
	"fmt"
	"testing"

	"hikyaku/internal/cost"
	"hikyaku/pkg/providers/sandbox"
)

// TestCost counts the calls of a run, and extends them to a million rows: one
// that asks for 2 pages a second with 128 MB, in the dearest region. Smaller
// pages than a bar was made for must cost more than it.
func TestCost(t *testing.T) {
	rows := sized(20_000, 2_000)
	for _, c := range []struct {
		name, page string
		most       float64
		over       bool
	}{
		{"cost of a million rows at 250 a page", "250", 0.01, false}, {"cost of a million rows at 50 a page", "50", 0.02, false},
		{"guard removed: a million rows at 25 a page", "25", 0.02, true},
	} {
		r := newRig(t, sandbox.Options{Seed: seed(), Records: rows, Rate: anyRate})
		r.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = c.page
		a := r.must(event("shopline/customers", 1))
		m := r.verified(a.Manifest)
		calls := r.stack.AWS.Calls()
		scale := 1e6 / float64(m.Rows)
		const perSecond, lambda, transitions = 2, 880.0, 4
		const once = 2 // requests that every run makes: the empty page, and the look after the row before the last
		requests := float64(m.Observed.Requests-once)*scale + once
		seconds := requests / perSecond
		invocations := seconds/lambda + 1
		writes := float64(calls["s3.PutObject"])*invocations + seconds/90 + scale*float64(m.Bytes)/(64<<20)
		usd := 0.0
		for _, p := range cost.PriceList() {
			reads := float64(calls["s3.GetObject"]+calls["s3.HeadObject"]) * invocations
			usd = max(usd, seconds*0.125*p.GBSecond+invocations*(p.Invocation+transitions*p.Transition)+writes*p.Write+reads*p.Read)
		}
		bar := fmt.Sprintf("at most $%.2f", c.most)
		if c.over {
			bar = fmt.Sprintf("must cost more than $%.2f", c.most)
		}
		figure(t, m.Rows == rows && usd > c.most == c.over, c.name, bar,
			"$%.4f: %.0f requests, %.0f s, %.1f invocations, %.0f writes", usd, requests, seconds, invocations, writes)
	}
}
