package pagination_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"hikyaku/internal/pagination"
	"hikyaku/internal/prove"
	"hikyaku/pkg/jsonscan"
)

// complete reports whether a reading has every row once.
func (r reading) complete(l *list) bool {
	for _, n := range l.rows {
		if r.got[id(n)] != 1 {
			return false
		}
	}
	return len(r.got) == len(l.rows)
}

// tied shuffles the rows from index from on, up to but not to, by a seed.
func tied(rows []int, from, to int, seed uint64) []int {
	group := rows[from:min(to, len(rows))]
	rand.New(rand.NewPCG(seed, 7)).Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
	return rows
}

// TestUnstableOrder reads lists whose order changes between requests. What is
// settled must be complete.
func TestUnstableOrder(t *testing.T) {
	t.Parallel()
	kinds := map[string]struct {
		rows, size int
		shuffle    func(seed uint64) func(int, pagination.Query, []int) []int
		doubt      bool // must never be settled
	}{
		"5 rows, ties of 3, pages of 2": {5, 2, func(seed uint64) func(int, pagination.Query, []int) []int {
			return func(request int, _ pagination.Query, rows []int) []int {
				return tied(rows, 1, 4, seed+uint64(min(request, 1)))
			}
		}, false},
		"5 rows, ties of 4, pages of 3": {5, 3, func(seed uint64) func(int, pagination.Query, []int) []int {
			return func(request int, _ pagination.Query, rows []int) []int { return tied(rows, 1, 5, seed+uint64(request)) }
		}, false},
		"120 rows, ties of 4 over the boundary": {120, 50, func(seed uint64) func(int, pagination.Query, []int) []int {
			return func(request int, _ pagination.Query, rows []int) []int {
				return tied(rows, 48, 52, seed+uint64(min(request, 1)))
			}
		}, false},
		"300 rows, groups of 60, by offset and limit": {300, 50, func(seed uint64) func(int, pagination.Query, []int) []int {
			return func(_ int, q pagination.Query, rows []int) []int {
				for from := 0; from < len(rows); from += 60 {
					rows = tied(rows, from, from+60, seed+uint64(100*q.Start+q.Limit))
				}
				return rows
			}
		}, false},
		"300 rows, groups of 60, by offset and limit, pages of 17": {300, 17, func(seed uint64) func(int, pagination.Query, []int) []int {
			return func(_ int, q pagination.Query, rows []int) []int {
				for from := 0; from < len(rows); from += 60 {
					rows = tied(rows, from, from+60, seed+uint64(1000*q.Start+q.Limit))
				}
				return rows
			}
		}, false},
		"5 rows, ties of 4, by limit": {5, 3, func(seed uint64) func(int, pagination.Query, []int) []int {
			return func(_ int, q pagination.Query, rows []int) []int { return tied(rows, 0, 4, seed+uint64(q.Limit)) }
		}, false},
		"300 rows, all shuffled before every third request": {300, 50, func(seed uint64) func(int, pagination.Query, []int) []int {
			return func(request int, _ pagination.Query, rows []int) []int {
				return tied(rows, 0, len(rows), seed+uint64(request/3))
			}
		}, false},
		"300 rows, all shuffled": {300, 50, func(seed uint64) func(int, pagination.Query, []int) []int {
			return func(request int, _ pagination.Query, rows []int) []int {
				return tied(rows, 0, len(rows), seed+uint64(request))
			}
		}, false},
	}
	for name, kind := range kinds {
		for _, way := range []pagination.Paging{pagination.ByOffset, pagination.ByPage} {
			for _, unordered := range []bool{false, true} {
				settled, looks := 0, 0
				for seed := range uint64(prove.Size(500, prove.Sample(30, 10))) {
					l := newList(way, kind.rows, kind.size)
					l.shuffle = kind.shuffle(1000 * seed)
					r := read(t, l, unordered)
					looks += r.at.Look + 1
					if r.settled {
						settled++
						if !r.complete(l) {
							t.Errorf("%s, %s, unordered %t, seed %d: settled with %d of %d rows: %+v", name, way, unordered, seed, len(r.got), len(l.rows), r.at)
						}
					}
				}
				t.Logf("%s, %s, unordered %t: %d settled, %d looks", name, way, unordered, settled, looks)
			}
		}
	}
}

// TestLies answers any one question wrongly once: with the rows of another
// page, with nothing, with the rows of earlier pages again.
func TestLies(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		for _, lie := range []string{"another page", "empty", "earlier rows too", "rows twice"} {
			doubted := 0
			seeds := prove.Size(2000, prove.Sample(100, 40))
			for seed := range seeds {
				random := rand.New(rand.NewPCG(uint64(seed), 3))
				l := newList(way, 40+random.IntN(60), 10)
				truth := newList(way, len(l.rows), 10)
				told := map[pagination.Query]bool{}
				var seen []pagination.Query
				l.answer = func(request int, q pagination.Query, a jsonscan.List) (jsonscan.List, error) {
					seen = append(seen, q)
					first := q.Start == 0 && q.After == ""
					if told[q] || random.IntN(8) > 0 || first {
						return a, nil
					}
					told[q] = true
					switch lie {
					case "another page":
						return truth.fetch(t.Context(), seen[random.IntN(len(seen))])
					case "empty":
						return jsonscan.List{Total: -1}, nil
					case "earlier rows too":
						b, _ := truth.fetch(t.Context(), seen[random.IntN(len(seen))])
						return joined(b, a), nil
					}
					return joined(a, a), nil
				}
				r := read(t, l, false)
				switch {
				case !r.settled:
					doubted++
				case !r.complete(l):
					t.Errorf("%s, %s, seed %d: settled with %d of %d rows: %+v", way, lie, seed, len(r.got), len(l.rows), r.at)
				}
			}
			if doubted*20 > seeds {
				t.Errorf("%s, %s: %d of %d doubted", way, lie, doubted, seeds)
			}
		}
	}
}

// joined is one answer with the rows of two.
func joined(a, b jsonscan.List) jsonscan.List {
	both := jsonscan.List{Body: slices.Concat(a.Body, b.Body), Records: slices.Clone(a.Records), Total: -1}
	for _, record := range b.Records {
		record.Start, record.End = record.Start+len(a.Body), record.End+len(a.Body)
		both.Records = append(both.Records, record)
	}
	return both
}

// TestDeletedAroundTheCursor deletes rows after a page, so that neither the
// row asked after nor the ones before it exist any more.
func TestDeletedAroundTheCursor(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{true, false} {
		for _, gone := range [][2]int{{70, 100}, {99, 101}, {95, 100}, {50, 100}, {0, 100}, {90, 140}} {
			l := newList(pagination.ByCursor, 300, 50)
			l.strict = strict
			l.edit = func(l *list, request int) {
				if request == 2 {
					l.rows = slices.Delete(l.rows, gone[0], gone[1])
				}
			}
			r := read(t, l, false)
			for _, n := range l.rows {
				if r.got[id(n)] != 1 {
					t.Errorf("strict %t, %v deleted: row %d is there %d times", strict, gone, n, r.got[id(n)])
				}
			}
			if !r.settled {
				t.Errorf("strict %t, %v deleted: in doubt: %+v", strict, gone, r.at)
			}
		}
	}
}

// TestHalfPages reads lists whose server shows only the first half of each page that it was
// asked for, always: no row may be missing from what is settled.
func TestHalfPages(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		settled := 0
		for n := 1; n <= 130; n++ {
			l := newList(way, n, 40)
			l.answer = func(_ int, _ pagination.Query, a jsonscan.List) (jsonscan.List, error) {
				a.Records = a.Records[:(len(a.Records)+1)/2]
				return a, nil
			}
			r := read(t, l, false)
			if r.settled {
				settled++
				if !r.complete(l) {
					t.Errorf("%s, %d rows: settled with %d: %+v", way, n, len(r.got), r.at)
				}
			}
		}
		t.Logf("%s: %d of 130 settled", way, settled)
	}
}
