package exportfn

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"hikyaku/internal/export"
)

// recordsOf returns n records of a dataset as its documents show them.
func recordsOf(dataset string, n int) []string {
	rows := make([]string, n)
	for i := range rows {
		switch dataset {
		case "shopline/customers", "shopline/orders":
			at := time.Date(2026, 10, 1, 0, i, 37, 0, time.UTC).Format("2006-01-02T15:04:05.000-07:00")
			rows[i] = fmt.Sprintf(`{"id":"67ec9b71%016x","name":"見本 %d","created_at":%q,"updated_at":%q}`, i, i, at, at)
		case "assisttencho/orders":
			rows[i] = fmt.Sprintf(`{"serial_order_id":%d,"name":"見本 %d"}`, i+1, i)
		default:
			rows[i] = fmt.Sprintf(`{"id":%d,"name":"member-%d@mail.example"}`, i+1001, i)
		}
	}
	return rows
}

// permutations are all orders of the numbers below n.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, rest := range permutations(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(rest), at, n-1))
		}
	}
	return all
}

// tied gives rows from an index on another order.
func tied(rows []string, from int, order []int) []string {
	other := slices.Clone(rows)
	for i, n := range order {
		other[from+i] = rows[from+n]
	}
	return other
}

// isFirst reports whether a query asks for the beginning of a list.
func isFirst(q url.Values) bool {
	at, _ := strconv.Atoi(q.Get("offset"))
	return at == 0 && !q.Has("previous_id")
}

func TestField_E03_AListWhoseOrderIsNotStable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		rows, from, ties int
		sizes            []string
	}{
		{name: "5 rows, 2 to 4 tie", rows: 5, from: 1, ties: 3, sizes: []string{"2", "3"}},
		{name: "120 rows, 4 tie over the boundary at 50", rows: 120, from: 48, ties: 4, sizes: []string{"50"}},
	} {
		for _, size := range c.sizes {
			for _, order := range permutations(c.ties) {
				t.Run(fmt.Sprintf("%s, page size %s, then %v", c.name, size, order), func(t *testing.T) {
					t.Parallel()
					inField(t, "yappli/users", -1, func(f *field) {
						f.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = size
						first := recordsOf(f.dataset, c.rows)
						later := tied(first, c.from, order)
						f.rows = func(_ int, q url.Values) []string {
							if isFirst(q) {
								return first
							}
							return later
						}
						f.isCompleteOrDoubted(f.must(0), first)
					})
				})
			}
		}
	}
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("300 rows, groups of 60 tie and are sorted by offset and limit, seed %d", seed), func(t *testing.T) {
			t.Parallel()
			inField(t, "yappli/users", -1, func(f *field) {
				all := recordsOf(f.dataset, 300)
				f.rows = func(_ int, q url.Values) []string {
					offset, _ := strconv.ParseUint(q.Get("offset"), 10, 64)
					limit, _ := strconv.ParseUint(q.Get("limit"), 10, 64)
					return shuffled(all, 60, seed<<32+offset<<16+limit)
				}
				f.isCompleteOrDoubted(f.must(0), all)
			})
		})
	}
	for _, dataset := range []string{"yappli/users", "supersaas/users", "assisttencho/orders"} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s, all rows shuffled at each request, seed %d", dataset, seed), func(t *testing.T) {
				t.Parallel()
				inField(t, dataset, -1, func(f *field) {
					f.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = "50"
					all := recordsOf(dataset, 300)
					f.rows = func(n int, _ url.Values) []string { return shuffled(all, len(all), seed<<32+uint64(n)) }
					f.isDoubted(f.must(0))
				})
			})
		}
	}
}

// shuffled gives each group of n rows another order.
func shuffled(rows []string, n int, seed uint64) []string {
	chance := rand.New(rand.NewPCG(seed, 0))
	other := slices.Clone(rows)
	for group := range slices.Chunk(other, n) {
		chance.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
	}
	return other
}

// refusal is what SHOPLINE says of a previous_id that it does not know.
const refusal = `{"code":"UnprocessableEntity","message":"invalid previous_id"}`

func TestField_E04_TheWatermarkWaitsForRowsThatAreMissing(t *testing.T) {
	t.Parallel()
	for name, dead := range map[string]func(url.Values, []string) *http.Response{
		"a dead cursor answers empty": func(q url.Values, live []string) *http.Response {
			return says(http.StatusOK, wire("shopline/customers", live, q))
		},
		"a dead cursor is refused":   func(url.Values, []string) *http.Response { return says(http.StatusUnprocessableEntity, refusal) },
		"a dead cursor is not found": func(url.Values, []string) *http.Response { return says(http.StatusNotFound, refusal) },
		"a dead cursor begins anew": func(q url.Values, live []string) *http.Response {
			q.Del("previous_id")
			return says(http.StatusOK, wire("shopline/customers", live, q))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inField(t, "shopline/customers", -1, func(f *field) {
				all := recordsOf(f.dataset, 300)
				live := slices.Concat(all[:70], all[100:])
				f.rows = func(n int, _ url.Values) []string {
					if n < 2 {
						return all
					}
					return live
				}
				f.answer = func(n int, r *http.Request) *http.Response {
					q := r.URL.Query()
					if after := q.Get("previous_id"); n < 2 || after == "" || slices.ContainsFunc(live, func(row string) bool { return idIn(row) == after }) {
						return nil
					}
					return dead(q, live)
				}
				got := map[string]bool{}
				for day := range 2 {
					o := f.must(day)
					if o.State != export.Complete {
						f.isDoubted(o)
						continue
					}
					f.isPublished(o)
					for _, line := range o.lines {
						got[line] = true
					}
				}
				for _, row := range live {
					if !got[row] {
						f.Fatalf("%d rows published in two nights; missing is %s", len(got), row)
					}
				}
			})
		})
	}
}

func TestField_E08_ARecordIsHeldOnce(t *testing.T) {
	t.Parallel()
	for _, dataset := range []string{"yappli/users", "supersaas/users", "shopline/customers", "assisttencho/orders"} {
		for often, requests := range map[string]int{"once": 1, "in two answers": 2, "always": 1 << 20} {
			t.Run(dataset+", the same record twice in one page, "+often, func(t *testing.T) {
				t.Parallel()
				inField(t, dataset, -1, func(f *field) {
					all := recordsOf(dataset, 120)
					f.rows = func(n int, _ url.Values) []string {
						if n < requests {
							return slices.Insert(slices.Clone(all), 31, all[30])
						}
						return all
					}
					f.isComplete(f.must(0), all)
				})
			})
		}
		t.Run(dataset+", the rows of page 1 again on page 30", func(t *testing.T) {
			t.Parallel()
			inField(t, dataset, -1, func(f *field) {
				f.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = "25"
				all := recordsOf(dataset, 1000)
				asked := map[string]bool{}
				f.rows = func(_ int, q url.Values) []string {
					known := asked[q.Encode()]
					if asked[q.Encode()] = true; !known && len(asked) == 30 && !isFirst(q) {
						q.Del("offset")
						q.Del("previous_id")
					}
					return all
				}
				f.isComplete(f.must(0), all)
			})
		})
		if dataset == "shopline/customers" { // after whose cursor a row cannot stand twice
			continue
		}
		t.Run(dataset+", the rows of page 1 again in the middle of the list", func(t *testing.T) {
			t.Parallel()
			inField(t, dataset, -1, func(f *field) {
				f.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = "25"
				all := recordsOf(dataset, 1000)
				f.rows = func(int, url.Values) []string { return slices.Concat(all[:725], all[:25], all[725:]) }
				o := f.must(0)
				f.isCompleteOrDoubted(o, all)
				if !same(o.lines, all) {
					f.Errorf("%d lines of %d records", len(o.lines), len(all))
				}
			})
		})
	}
}
