package export_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
	"hikyaku/internal/prove"
)

// expectAll compares the rows of the published run with all of the list's.
func (b *bench) expectAll(what string) export.Manifest {
	b.Helper()
	m := b.manifest(b.key("_manifest.json"))
	var want []string
	for _, n := range b.list.rows {
		if !b.list.broken[n] {
			want = append(want, b.list.render(n))
		}
	}
	if got := b.lines(m); strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.Errorf("%s: %d lines are not the source's %d rows", what, len(got), len(want))
	}
	b.verify(b.key("_manifest.json"))
	return m
}

func TestPageSizeIgnored_IsNoticed(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 3, 10, 30} {
		for _, n := range []int{1, 9, 10, 11, 19, 20, 21, 55, 60} {
			l := newList(pagination.ByPage, n)
			l.clamp, l.fixed = size, true
			b := newBench(t, l)
			b.extract(due)
			m := b.expectAll(fmt.Sprintf("%d rows in pages of %d", n, size))
			if n < min(size, 10) && m.Drift != (pagination.Drift{}) {
				t.Errorf("%d rows in one page of %d: drift %+v", n, size, m.Drift)
			}
			if size < n && size < 10 && size > 2 && m.Source.Paging != pagination.ByFixedPage {
				t.Errorf("%d rows in pages of %d: paging %s", n, size, m.Source.Paging)
			}
		}
	}
}

func TestClamp_IsLearnedFromTheFirstPage(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage} {
		l := newList(paging, 100)
		l.clamp = 4
		b := newBench(t, l)
		b.extract(due)
		m := b.expectAll(string(paging))
		if m.Drift != (pagination.Drift{}) {
			t.Errorf("%s: drift %+v on a still source", paging, m.Drift)
		}
		for _, q := range l.calls[8:] { // after those that were begun before the second page was there
			if q.Limit > 4 {
				t.Errorf("%s: asked for %d rows after the server had lowered that to 4", paging, q.Limit)
			}
		}
	}
}

// TestRequests_OnAStillSource counts what the proof against drift costs.
func TestRequests_OnAStillSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		paging pagination.Paging
		most   float64 // times the pages that a reading without overlap needs
	}{{pagination.ByOffset, 1.01}, {pagination.ByPage, 1.12}, {pagination.ByFixedPage, 2 * 2.02}, {pagination.ByCursor, 1}} {
		const size = 250
		rows := prove.Size(50_000, 12_500)
		l := newList(c.paging, rows)
		b := newBench(t, l)
		b.feed.PageSize, b.set.InFlight, b.set.PartBytes = size, 1, 0
		b.extract(due)
		plain := rows/size + 1 // for fixed pages twice: the closing check reads them again
		if n := l.requests(); float64(n) > c.most*float64(plain)+2 {
			t.Errorf("%s: %d requests, at most %.2f times %d are allowed", c.paging, n, c.most, plain)
		}
	}
}

func TestLostPlace_IsReported(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage} {
		l := newList(paging, 200)
		b := newBench(t, l)
		b.set.InFlight = 1
		survivors := slices.Clone(l.rows[150:])
		l.edit = func(l *list, request int) {
			if request == 4 { // all that has been read vanishes, and much more
				l.rows = survivors
			}
		}
		a := b.extract(due)
		if a.Drift.Unresolved != 1 || a.Drift.Rewinds == 0 {
			t.Errorf("%s: drift %+v, want one place unresolved", paging, a.Drift)
		}
		for name, n := range counts(ids(t, b.lines(b.manifest(a.Manifest)))) {
			if n > 1 {
				t.Errorf("%s: %s is there %d times", paging, name, n)
			}
		}
	}
}

func counts(names []string) map[string]int {
	all := map[string]int{}
	for _, n := range names {
		all[n]++
	}
	return all
}

// TestFarShifts moves the place by more than a page to either side.
func TestFarShifts(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage} {
		for _, by := range []int{-35, -12, -1, 1, 12, 35} {
			l := newList(paging, 200)
			b := newBench(t, l)
			b.set.InFlight = 1
			all := slices.Clone(l.rows)
			l.edit = func(l *list, request int) {
				if request != 6 {
					return
				}
				if by < 0 {
					l.rows = slices.Delete(l.rows, 0, -by)
					return
				}
				for i := range by {
					l.rows = slices.Insert(l.rows, i, i+1)
				}
			}
			a := b.extract(due)
			got := counts(ids(t, b.lines(b.manifest(a.Manifest))))
			for _, n := range all {
				if got[id(n)] != 1 {
					t.Errorf("%s by %d: row %d is there %d times", paging, by, n, got[id(n)])
				}
			}
			if a.Drift.Shifts == 0 || a.Drift.Unresolved != 0 {
				t.Errorf("%s by %d: drift %+v", paging, by, a.Drift)
			}
		}
	}
}

// TestIDs_OfEveryKindFindThePlaceAgain stops after each page, so that the
// place goes through a part's metadata.
func TestIDs_OfEveryKindFindThePlaceAgain(t *testing.T) {
	t.Parallel()
	for name, render := range map[string]func(n int) string{
		"emoji":  func(n int) string { return fmt.Sprintf(`{"id":"顧客😀%d"}`, n) },
		"escape": func(n int) string { return fmt.Sprintf(`{"id":"\ud83d\ude00\"\\%d"}`, n) },
		"number": func(n int) string { return fmt.Sprintf(`{"id":%d.50}`, n) },
		"long":   func(n int) string { return fmt.Sprintf(`{"id":"%s%d"}`, strings.Repeat("長", 39), n) },
		"longer": func(n int) string { return fmt.Sprintf(`{"id":"%s%d"}`, strings.Repeat("長", 90), n) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage, pagination.Unpaged} {
				l := newList(paging, 60)
				l.render = render
				b := newBench(t, l)
				b.set.PartBytes = 500
				stops := stopOften(b)
				if m := b.expectAll(name + " " + string(paging)); m.Drift != (pagination.Drift{}) || stops < 1 && paging != pagination.Unpaged {
					t.Errorf("%s %s: drift %+v after %d stops", name, paging, m.Drift, stops)
				}
			}
		})
	}
}

// stopOften runs to the end, stopping after every few requests.
func stopOften(b *bench) (stops int) {
	b.Helper()
	for {
		if b.stopAfter(due, 6).Status == export.Done {
			return stops
		}
		if stops++; stops > 300 {
			b.Fatalf("no progress: %+v", b.stopAfter(due, 6))
		}
	}
}

func TestBrokenRecords_SurviveStops(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByCursor} {
		l := newList(paging, 60)
		l.timed = true
		l.broken = map[int]bool{1000: true, 14000: true, 15000: true, 60000: true}
		b := newBench(t, l)
		b.set.PartBytes = 300
		b.set.InFlight = 1
		for request := 12; ; request += 12 { // isolating takes a few requests, so give it these
			if b.stopAfter(due, 12).Status == export.Done {
				break
			}
			if request > 2000 {
				t.Fatalf("%s: no progress", paging)
			}
		}
		if m := b.expectAll(string(paging)); m.Rejects != 4 {
			t.Errorf("%s: %d rejects, want 4", paging, m.Rejects)
		}
	}
}

func TestZeroSettings_Work(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByOffset, 40))
	b.set = export.Settings{Prefix: "shop", Bucket: "lake"}
	b.extract(due)
	if m := b.expectAll("defaults"); m.Compression != "none" || m.TimeZone != "UTC" || len(m.Parts) != 1 {
		t.Errorf("manifest %+v", m)
	}
}

// TestBrokenRecord_IsFoundInHalves bounds the requests, so that neither the
// search for a broken record nor the way back to full pages grows unseen. To ask
// for one record alone twelve times, and each time for its neighbors, takes 36.
func TestBrokenRecord_IsFoundInHalves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		paging pagination.Paging
		most   int
	}{{pagination.ByOffset, 36 + 24}, {pagination.ByPage, 36 + 30}, {pagination.ByCursor, 36 + 300}} {
		l := newList(c.paging, 30)
		l.timed = true
		l.broken = map[int]bool{16000: true}
		b := newBench(t, l)
		b.set.InFlight = 1
		b.extract(due)
		if n := l.requests(); n > c.most {
			t.Errorf("%s: %d requests, want at most %d", c.paging, n, c.most)
		}
		if last := l.calls[len(l.calls)-1]; c.paging != pagination.ByCursor && last.Limit < 8 {
			t.Errorf("%s: the last request asks for %d rows only", c.paging, last.Limit)
		}
	}
}

// TestFixedPages_StateEachRequest edits a list in pages of 7, whose size cannot
// be chosen, before one request, and states each page asked for.
func TestFixedPages_StateEachRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*list)
		at   int // the request before which the list moves
		want string
		seen pagination.Drift
	}{
		{"still", func(*list) {}, 0, "1 2 2 2 2 1 3 2 4 3 5 4 6 5 6", pagination.Drift{}},
		{"left by one", func(l *list) { l.remove(0) }, 6, "1 2 2 2 2 1 3 2 2 1 2 3 2 4 3 5 4 6 5 6", pagination.Drift{Shifts: 2}},
		{"left by one before the second look", func(l *list) { l.remove(0) }, 7, "1 2 2 2 2 1 3 2 2 1 2 3 2 4 3 5 4 6 5 6", pagination.Drift{Shifts: 2}},
		{"left by more than a page", func(l *list) { l.rows = slices.Delete(l.rows, 0, 10) }, 7, "1 2 2 2 2 1 3 2 2 1 2 1 3 2 4 3 5 4 5", pagination.Drift{Shifts: 1, Rewinds: 1}},
		{"right by one", func(l *list) { l.rows = slices.Insert(l.rows, 0, 1) }, 6, "1 2 2 2 2 1 3 2 3 4 3 5 4 6 5 6", pagination.Drift{Shifts: 1}},
		{"right by more than a page", func(l *list) { l.rows = slices.Insert(l.rows, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) }, 7, "1 2 2 2 2 1 3 2 2 1 2 1 2 3 2 3 4 3 4 5 4 6 5 7 6 8 7 8", pagination.Drift{Shifts: 4, Rewinds: 1, Unresolved: 1}},
		{"grows at the end", func(l *list) { l.rows = append(l.rows, 90_000, 91_000, 92_000) }, 13, "1 2 2 2 2 1 3 2 4 3 5 4 6 5 5 4 5 6 5 7 6 7", pagination.Drift{Shifts: 2}},
	} {
		l := newList(pagination.ByPage, 33)
		l.clamp, l.fixed = 7, true
		lived := counts(nil)
		l.edit = func(l *list, request int) {
			if request == c.at {
				c.edit(l)
			}
			if request == 0 || request == c.at {
				clear(lived)
				for _, n := range l.rows {
					lived[id(n)]++
				}
			}
		}
		b := newBench(t, l)
		b.set.InFlight = 1
		a := b.extract(due)
		got := counts(ids(t, b.lines(b.manifest(a.Manifest))))
		for name := range lived {
			if n := got[name]; n > 1 || n == 0 && name >= id(1000) {
				t.Errorf("%s: %s is there %d times", c.name, name, n)
			}
		}
		var pages []string
		for _, q := range l.calls {
			pages = append(pages, fmt.Sprint(q.Page))
		}
		closing := c.want + " 1 2 1 3 2" // the closing check begins again
		if asked := strings.Join(pages, " "); !strings.HasPrefix(asked, closing) || a.Drift != c.seen {
			t.Errorf("%s: asked for pages %s with drift %+v, want %s with %+v", c.name, asked, a.Drift, closing, c.seen)
		}
	}
}

// TestCursor_WhoseRowIsGone deletes rows at the cursor of a source that answers
// an unknown cursor with an empty page, which looks like the end.
func TestCursor_WhoseRowIsGone(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]int{
		"none": 0, "the last": 1, "the last two": 2, "the last eight": 8, "all that were read": 20, "more than is remembered": 30,
	} {
		t.Run(name, func(t *testing.T) {
			l := newList(pagination.ByCursor, 60)
			l.strict = true
			b := newBench(t, l)
			b.set.InFlight = 1
			read := max(19, gone) // rows of the first requests, each but the first of which repeats one
			l.edit = func(l *list, request int) {
				if request == (read+8)/9 {
					l.rows = slices.Delete(l.rows, read-gone, read)
				}
			}
			a := b.extract(due)
			got := counts(ids(t, b.lines(b.manifest(a.Manifest))))
			for _, n := range l.rows {
				if got[id(n)] != 1 {
					t.Errorf("row %d is there %d times", n, got[id(n)])
				}
			}
			if a.Drift.Unresolved > 0 {
				t.Errorf("drift %+v", a.Drift)
			}
		})
	}
}

// The second look at a source without order finds the broken records again,
// and knows them.
func TestSecondLook_KnowsTheRejects(t *testing.T) {
	t.Parallel()
	l := newList(pagination.ByOffset, 40)
	l.timed = true
	l.broken = map[int]bool{13000: true, 40000: true}
	b := newBench(t, l)
	b.feed.Unordered = true
	b.extract(due)
	if m := b.expectAll("unordered"); m.Rejects != 2 || m.Late != 0 {
		t.Errorf("%d rejects and %d late rows, want 2 and none", m.Rejects, m.Late)
	}
}

// TestRejoin_FindsThePlace moves the last row taken by a distance, by deletions
// far before it or by insertions right before it, and counts the requests of
// the search. Rows taken
// before the insertions come again after them, and are not taken twice.
func TestRejoin_FindsThePlace(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ by, rewinds int }{
		{-9, 1}, {-10, 2}, {-18, 2}, {-19, 2}, {-49, 3}, // twice as far each time
		{9, 0}, {10, 1}, {46, 1}, {99, 1}, // more pages than one of new rows, then the last row again
	} {
		l := newList(pagination.ByOffset, 200)
		b := newBench(t, l)
		b.set.InFlight = 1
		all := slices.Clone(l.rows)
		l.edit = func(l *list, request int) {
			if request != 6 {
				return
			}
			last := l.calls[request].Start // the row of the overlap
			if tc.by < 0 {
				l.rows = slices.Delete(l.rows, last/2+tc.by/2, last/2+tc.by/2-tc.by)
				return
			}
			for i := range tc.by {
				l.rows = slices.Insert(l.rows, last+i, all[last]-tc.by+i)
			}
		}
		a := b.extract(due)
		got := counts(ids(t, b.lines(b.manifest(a.Manifest))))
		for _, n := range all {
			if got[id(n)] != 1 {
				t.Errorf("by %d: row %d is there %d times", tc.by, n, got[id(n)])
			}
		}
		if a.Drift != (pagination.Drift{Shifts: a.Drift.Shifts, Rewinds: tc.rewinds}) || a.Drift.Shifts == 0 {
			t.Errorf("by %d: drift %+v, want %d rewinds", tc.by, a.Drift, tc.rewinds)
		}
	}
}
