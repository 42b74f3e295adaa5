package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/boot/bootexport"
	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
)

func TestEstimate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		paging                                   pagination.Paging
		unordered                                bool
		pages, requests, seconds, invoked, parts int
	}{
		{pagination.ByOffset, false, 4000, 4018, 2009, 3, 15},
		{pagination.ByOffset, true, 4000, 8036, 4018, 5, 15},
		{pagination.ByPage, false, 4000, 4481, 2241, 3, 15},
		{pagination.ByFixedPage, false, 4000, 8002, 4001, 5, 15},
		{pagination.ByCursor, false, 4000, 4002, 2001, 3, 15},
		{pagination.Unpaged, false, 1, 1, 1, 1, 15},
	} {
		e := estimateOf(1_000_000, 1000, bootexport.Pace{Paging: c.paging, PageSize: 250, PerSecond: 2, StopAhead: 20 * time.Second}, c.unordered)
		if e.Pages != c.pages || e.Requests != c.requests || int(math.Ceil(e.Seconds)) != c.seconds || e.Invocations != c.invoked || e.Parts != c.parts {
			t.Errorf("%s: %+v", c.paging, e)
		}
		if bar := 0.01 * max(1, e.Seconds/3000); e.USD <= 0 || e.USD > bar {
			t.Errorf("%s: $%.4f, want at most $%.4f", c.paging, e.USD, bar)
		}
	}
}

func TestMeter_ShowsPlainLinesNowAndThen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	m := &meter{out: &out, began: time.Now().Add(-10 * time.Second), expected: 3000, perSecond: 2}
	p := export.Progress{Rows: 1000, Bytes: 20_000_000, Pages: 20, Traffic: export.Traffic{Requests: 21, RateLimited: 1}}
	m.told(p)
	m.told(p)
	want := "1000 rows, 2.00 MB/s, 20 pages, 2.1 of 2.0 requests/s, 1 refused, remaining: 20s\n"
	if got := out.String(); got != want && strings.Replace(got, "20s", "19s", 1) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m.expected = 0
	if text := m.text(p, time.Second); !strings.HasSuffix(text, "remaining: unknown") {
		t.Errorf("got %q", text)
	}
}
