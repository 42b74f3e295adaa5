package export_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
	"hikyaku/pkg/providers"
)

// TestShortPage_IsNoEnd: a server may send fewer rows than it was asked for,
// once or from some page on, without being at its end.
func TestShortPage_IsNoEnd(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage} {
		for _, inFlight := range []int{1, 3} {
			for rows := 11; rows < 36; rows += stride(12, 4) {
				for request := range 5 {
					for _, short := range []int{4, 7} {
						for _, once := range []bool{true, false} {
							if paging == pagination.ByPage && !once {
								continue // such a server's pages are others; TestClamp_LoweredByPage
							}
							l := newList(paging, rows)
							l.edit = func(l *list, n int) {
								if l.clamp = 0; n == request+1 || n > request && !once {
									l.clamp = short
								}
							}
							b := newBench(t, l)
							b.set.InFlight = inFlight
							b.must(paging, inFlight, rows, request, short, once)
							b.expectAll(fmt.Sprintf("%s, %d in flight, %d rows, pages of %d at %d, once %t", paging, inFlight, rows, short, request, once))
						}
					}
				}
			}
		}
	}
}

// TestClamp_LoweredByPage: where a server that pages by number lowers the size
// in the middle, its pages are no longer where they were. That is told, or
// overcome, but no row is left out.
func TestClamp_LoweredByPage(t *testing.T) {
	t.Parallel()
	for rows := 11; rows < 60; rows += stride(12, 4) {
		for _, short := range []int{4, 7} {
			for from := 1; from < 5; from++ {
				l := newList(pagination.ByPage, rows)
				l.edit = func(l *list, n int) {
					if n >= from {
						l.clamp = short
					}
				}
				b := newBench(t, l)
				if _, err := b.exporter().Extract(t.Context(), b.run(due)); err == nil {
					b.expectAll(fmt.Sprintf("%d rows, pages of %d from request %d on", rows, short, from))
				} else if !errors.Is(err, providers.ErrInvalid) {
					t.Error(err)
				}
			}
		}
	}
}

// TestNoList_IsNoRecord: what a provider out of order says instead of a list
// ends the call, and is no record that could be rejected.
func TestNoList_IsNoRecord(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage, pagination.ByCursor} {
		for _, said := range []string{"", " ", "<html>保守中</html>", `{"error":"maintenance"}`, `{}`, `null`, `"no"`, `7`} {
			for _, from := range []int{0, 3} {
				l := newList(paging, 40)
				down := true
				l.cut = func(request int, body string) string {
					if down && request >= from {
						return said
					}
					return body
				}
				b := newBench(t, l)
				_, err := b.exporter().Extract(t.Context(), b.run(due))
				if err == nil || !errors.Is(err, providers.ErrTemporary) && !strings.Contains(err.Error(), "no smaller pages") {
					t.Fatalf("%s said %q: %v", paging, said, err)
				}
				if n := l.requests(); n > 3+from+4 {
					t.Errorf("%s said %q: %d requests", paging, said, n)
				}
				down = false
				if a := b.extract(due); a.Rejects != 0 {
					t.Errorf("%s said %q: %d rejects", paging, said, a.Rejects)
				}
				b.expectAll(fmt.Sprintf("%s said %q from request %d on", paging, said, from))
			}
		}
	}
}

// TestCutAlways_Ends: a source whose answers are always cut is not read for
// ever, after its end.
func TestCutAlways_Ends(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByCursor} {
		l := newList(paging, 40)
		l.cut = func(_ int, body string) string { return body[:len(body)-1] }
		b := newBench(t, l)
		_, err := b.exporter().Extract(t.Context(), b.run(due))
		if !errors.Is(err, providers.ErrTemporary) || !strings.Contains(err.Error(), "cut short") {
			t.Fatalf("%s: %v", paging, err)
		}
		if n := l.requests(); n > 10 {
			t.Errorf("%s: %d requests", paging, n)
		}
	}
}

// TestTornNowAndThen_RejectsNothing cuts every third answer.
func TestTornNowAndThen_RejectsNothing(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByCursor} {
		l := newList(paging, 60)
		l.timed = true
		l.broken = map[int]bool{17000: true}
		l.cut = func(request int, body string) string {
			if request%3 == 1 {
				return body[:len(body)/2]
			}
			return body
		}
		b := newBench(t, l)
		b.set.InFlight = 1
		b.extract(due)
		if m := b.expectAll(string(paging)); m.Rejects != 1 {
			t.Errorf("%s: %d rejects, want the broken record alone", paging, m.Rejects)
		}
	}
}

// TestBrokenRange_NoticesDrift moves the list before each request in turn while
// a broken record is looked for.
func TestBrokenRange_NoticesDrift(t *testing.T) {
	t.Parallel()
	moves := map[string]func(l *list){
		"first deleted": func(l *list) { l.remove(0) }, "fifth deleted": func(l *list) { l.remove(4) },
		"three deleted": func(l *list) { l.rows = slices.Delete(l.rows, 1, 4) },
		"one inserted":  func(l *list) { l.rows = slices.Insert(l.rows, 0, 1) },
		"four inserted": func(l *list) { l.rows = slices.Insert(l.rows, 0, 1, 2, 3, 4) },
	}
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByCursor} {
		for request := 1; request < 25; request++ {
			for name, move := range moves {
				l := newList(paging, 40)
				l.timed = true
				l.broken = map[int]bool{16000: true}
				l.edit = func(l *list, n int) {
					if n == request {
						move(l)
					}
				}
				b := newBench(t, l)
				b.set.InFlight = 1
				b.must(paging, request, name)
				m := b.manifest(b.key("_manifest.json"))
				got := counts(ids(t, b.lines(m)))
				for _, n := range l.rows {
					if n >= 1000 && n != 16000 && got[id(n)] != 1 {
						t.Errorf("%s, %s before request %d: %d is there %d times", paging, name, request, n, got[id(n)])
					}
				}
				if m.Rejects != 1 {
					t.Errorf("%s, %s before request %d: %d rejects", paging, name, request, m.Rejects)
				}
			}
		}
	}
}

// TestBrokenRecord_ThatGoesBeforeTheNextCall: a call stops after a broken last
// record, which is deleted before the run goes on.
func TestBrokenRecord_ThatGoesBeforeTheNextCall(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByCursor} {
		for stop := 2; stop < 16; stop++ {
			l := newList(paging, 12)
			l.timed = true
			l.broken = map[int]bool{12000: true}
			b := newBench(t, l)
			b.set.InFlight = 1
			if b.stopAfter(due, stop).Status == export.Done {
				continue
			}
			l.rows = l.rows[:11]
			b.must(paging, stop)
			b.expectAll(fmt.Sprintf("%s, stopped at request %d", paging, stop))
		}
	}
}

// roundabout goes on at its beginning after its end.
type roundabout struct{ *list }

func (r roundabout) page(q pagination.Query) []int {
	around := slices.Concat(r.rows, r.rows)
	start := 0
	if i := slices.IndexFunc(r.rows, func(n int) bool { return id(n) == q.After }); i >= 0 {
		start = i + 1
	}
	return around[start : start+q.Limit]
}

func (r roundabout) Page(_ context.Context, q pagination.Query) ([]byte, error) {
	r.calls = append(r.calls, q)
	var out []string
	for _, n := range r.page(q) {
		out = append(out, record(n))
	}
	return []byte(r.wrap(out)), nil
}

// TestCursor_LongLoopIsRefused: a list too long to be remembered begins again.
func TestCursor_LongLoopIsRefused(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{990, 1000, 1010, 5000} {
		l := newList(pagination.ByCursor, rows)
		b := newBench(t, l)
		b.serve(roundabout{l})
		_, err := b.exporter().Extract(t.Context(), b.run(due))
		if !errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), "repeats rows") {
			t.Fatalf("%d rows: %v", rows, err)
		}
		if n := l.requests(); n > rows/10*8 {
			t.Errorf("%d rows: %d requests before the loop was seen", rows, n)
		}
	}
}

// TestCursor_SmallPagesWhoseRowsAreGone deletes the rows read last, of a source
// that answers an unknown cursor with an empty page.
func TestCursor_SmallPagesWhoseRowsAreGone(t *testing.T) {
	t.Parallel()
	for size := 1; size < 6; size++ {
		for gone := range 20 {
			l := newList(pagination.ByCursor, 60)
			l.strict = true
			b := newBench(t, l)
			b.feed.PageSize, b.set.InFlight = size, 1
			l.edit = func(l *list, request int) {
				if read := 1 + request*max(1, size-1); read > 30 && len(l.rows) == 60 && gone > 0 { // each page but the first repeats a row
					l.rows = slices.Delete(l.rows, read-gone, read)
				}
			}
			a := b.extract(due)
			got := counts(ids(t, b.lines(b.manifest(a.Manifest))))
			for _, n := range l.rows {
				if got[id(n)] != 1 {
					t.Errorf("pages of %d, %d gone: row %d is there %d times", size, gone, n, got[id(n)])
				}
			}
			if a.Drift.Unresolved != 0 {
				t.Errorf("pages of %d, %d gone: drift %+v", size, gone, a.Drift)
			}
		}
	}
}

// must runs to the end, and on a failure tells what was asked for.
func (b *bench) must(what ...any) {
	b.Helper()
	if _, err := b.exporter().Extract(b.Context(), b.run(due)); err != nil {
		var asked []string
		for _, q := range b.list.calls[:min(40, len(b.list.calls))] {
			asked = append(asked, fmt.Sprintf("%d+%d", q.Start, q.Limit))
		}
		b.Fatal(what, err, asked)
	}
}

// capped refuses answers above a size, as the client does.
type capped struct {
	*list

	most int
}

func (c capped) Page(ctx context.Context, q pagination.Query) ([]byte, error) {
	body, err := c.list.Page(ctx, q)
	if len(body) > c.most {
		return nil, &providers.Error{Op: "list", Status: 200, Kind: fmt.Errorf("%w of %d bytes", providers.ErrTooLarge, c.most)}
	}
	return body, err
}

// TestLargePage_IsReadInParts: records that are each small enough may be too
// much together, and one that is too large alone is rejected.
func TestLargePage_IsReadInParts(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByCursor} {
		l := newList(paging, 60)
		l.render = func(n int) string {
			if n == 20_000 || n == 21_000 || n == 50_000 {
				return fmt.Sprintf(`{"id":"r%07d","x":"%s"}`, n, strings.Repeat("x", 5000))
			}
			return fmt.Sprintf(`{"id":"r%07d","x":"%s"}`, n, strings.Repeat("x", n/100))
		}
		l.timed = paging == pagination.ByCursor
		b := newBench(t, l)
		b.serve(capped{l, 2000})
		b.set.InFlight = 1
		b.must(paging)
		l.rows = slices.DeleteFunc(l.rows, func(n int) bool { return n == 20_000 || n == 21_000 || n == 50_000 })
		m := b.expectAll(string(paging))
		if m.Rejects != 3 {
			t.Errorf("%s: %d rejects, want 3", paging, m.Rejects)
		}
		reasons := 0
		for _, p := range m.Parts {
			if p.RejectsKey != "" {
				reasons += strings.Count(string(b.object(p.RejectsKey)), "larger than an answer may be")
			}
		}
		if reasons != 3 {
			t.Errorf("%s: %d say why", paging, reasons)
		}
	}
}

// passes are the lists of one feed, one for each pass.
type passes []*list

func (p passes) Page(ctx context.Context, q pagination.Query) ([]byte, error) {
	return capped{p[q.Pass], 2000}.Page(ctx, q)
}

// TestTooLarge_IsCountedOnce: nothing is known of a record above the cap but
// where it stands. When the list is read again it is known although it has
// moved, and another one is not taken for it.
func TestTooLarge_IsCountedOnce(t *testing.T) {
	t.Parallel()
	huge := map[int]bool{1000: true, 7000: true, 8000: true}
	lists := passes{newList(pagination.ByOffset, 15), newList(pagination.ByOffset, 15)}
	for _, l := range lists {
		l.render = func(n int) string {
			if huge[n] {
				return strings.Repeat(" ", 3000) + record(n)
			}
			return record(n)
		}
	}
	lists[1].rows = lists[1].rows[1:]
	lists[1].edit = func(l *list, _ int) { // once it has been read to its end
		if l.calls[len(l.calls)-1].Start > 12 && len(l.rows) == 14 {
			l.rows = slices.Delete(slices.Insert(l.rows, 0, 1000), 2, 5)
		}
	}
	b := newBench(t, lists[0])
	b.serve(lists)
	b.feed.Unordered, b.feed.Passes = true, []export.Pass{{Name: "a"}, {Name: "b"}}
	b.set.InFlight = 1
	m := b.manifest(b.extract(due).Manifest)
	if m.Rejects != 6 {
		t.Errorf("%d rejects, want 3 of each list", m.Rejects)
	}
	b.verify(b.key("_manifest.json"))
}
