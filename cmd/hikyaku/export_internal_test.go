package main

import (
	"bytes"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn/exportfn"
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
		{pagination.ByCursor, false, 4000, 4018, 2009, 3, 15},
		{pagination.Unpaged, false, 1, 1, 1, 1, 15},
	} {
		e := estimateOf(1_000_000, 1000, exportfn.Pace{Paging: c.paging, PageSize: 250, PerSecond: 2, StopAhead: 20 * time.Second}, c.unordered)
		if e.Pages != c.pages || e.Requests != c.requests || int(math.Ceil(e.Seconds)) != c.seconds || e.Invocations != c.invoked || e.Parts != c.parts {
			t.Errorf("%s: %+v", c.paging, e)
		}
		if bar := 0.01 * max(1, e.Seconds/3000); e.USD <= 0 || e.USD > bar {
			t.Errorf("%s: $%.4f, want at most $%.4f", c.paging, e.USD, bar)
		}
	}
}

// progressed is how far an export of 50 rows a page is after some pages, each
// asked for once.
func progressed(pages int) export.Progress {
	return export.Progress{Rows: 50 * pages, Bytes: int64(1_000_000 * pages), Pages: pages, Traffic: export.Traffic{Requests: int64(pages + 1), RateLimited: 1}}
}

// Elsewhere than on a terminal the progress goes on, and no rate is one of the
// first moments.
func TestMeter_ShowsPlainLinesNowAndThen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	began := time.Now()
	m := &meter{out: &out, began: began, expected: 3000, perSecond: 2, stop: make(chan struct{})}
	for page := range 60 { // the first is there after 9 ms
		at := began.Add(9*time.Millisecond + time.Duration(page)*500*time.Millisecond)
		m.take(sample{progressed(page + 1), at})
		m.report(at)
	}
	m.end()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	want := []string{
		"250 rows, 5 pages, at most 2.0 requests/s, 1 refused, remaining: unknown",
		"450 rows, 9 pages, 2.00 MB/s, 2.0 of 2.0 requests/s, 1 refused, remaining: 25s",
		"650 rows, 13 pages, 2.00 MB/s, 2.0 of 2.0 requests/s, 1 refused, remaining: 23s",
	}
	if len(lines) < 10 || len(lines) > 20 || !slices.Equal(lines[:3], want) {
		t.Errorf("got %d lines:\n%s", len(lines), out.String())
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "3000 rows, 60 pages, ") {
		t.Errorf("it ends with %q", last)
	}
}

// However fast the first pages come, nothing above what is allowed is shown.
func TestMeter_ShowsNoRateOfTheFirstMoments(t *testing.T) {
	t.Parallel()
	began := time.Now()
	m := &meter{out: io.Discard, began: began, perSecond: 0.5}
	for _, c := range []struct {
		pages int
		at    time.Duration
		want  string
	}{
		{1, 9 * time.Millisecond, "50 rows, 1 page, at most 0.5 requests/s, 1 refused, remaining: unknown"},
		{2, 2 * time.Second, "100 rows, 2 pages, at most 0.5 requests/s, 1 refused, remaining: unknown"},
		{5, 4 * time.Second, "250 rows, 5 pages, 1.00 MB/s, 0.5 of 0.5 requests/s, 1 refused, remaining: unknown"},
	} {
		m.take(sample{progressed(c.pages), began.Add(c.at)})
		if got := m.text(began.Add(c.at)).String() + ", remaining: " + m.remaining(began.Add(c.at)).String(); got != c.want {
			t.Errorf("after %v: %q, want %q", c.at, got, c.want)
		}
	}
}

// While no page comes a line says so, each minute; rows of earlier calls count.
func TestMeter_SaysThatNoPageComes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	began := time.Now()
	m := &meter{out: &out, began: began, before: 1000, expected: 2000, perSecond: 2}
	for second := range 150 {
		at := began.Add(time.Duration(second) * time.Second)
		if second == 1 || second == 5 {
			m.take(sample{progressed(second), at})
		}
		m.report(at)
	}
	want := "1050 rows, 1 page, at most 2.0 requests/s, 1 refused, remaining: unknown\n" +
		"1250 rows, 5 pages, 1.00 MB/s, 1.0 of 2.0 requests/s, 1 refused, remaining: 15s\n" +
		"1250 rows, 5 pages, 0.06 MB/s, 0.1 of 2.0 requests/s, 1 refused, no page for 1m, remaining: 4m\n" +
		"1250 rows, 5 pages, 0.03 MB/s, 0.0 of 2.0 requests/s, 1 refused, no page for 2m, remaining: 7m\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	m.take(sample{progressed(1), began.Add(time.Hour)}) // another call
	if got := m.text(began.Add(time.Hour)).String(); !strings.HasPrefix(got, "1300 rows, 1 page, at most") {
		t.Errorf("got %q", got)
	}
}
