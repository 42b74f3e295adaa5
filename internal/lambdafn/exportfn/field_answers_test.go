package exportfn

import (
	"fmt"
	"net/http"
	"testing"
)

func TestField_E01_AnErrorWithStatus200(t *testing.T) {
	t.Parallel()
	const pageTwo = `{"status":"error","errors":[{"code":"E001","message":"try later"}]}`
	t.Run("SHOPLINE, page 2 is an error once", func(t *testing.T) {
		t.Parallel()
		inField(t, "shopline/customers", 120, func(f *field) {
			told := 0
			f.answer = func(_ int, r *http.Request) *http.Response {
				if r.URL.Query().Has("previous_id") && told == 0 {
					told++
					return says(http.StatusOK, pageTwo)
				}
				return nil
			}
			f.isComplete(f.must(0), f.held(f.dataset))
			if told == 0 {
				t.Error("nothing was tried")
			}
		})
	})
	for _, first := range []string{
		`{"code":"SERVICE_UNAVAILABLE","message":"try later","extras":[]}`,
		`{"items":null,"error":"upstream timeout"}`,
		`{"items":null,"pagination":{"current_page":1,"per_page":50,"total_pages":0,"total_count":0}}`,
		`{"items":[],"errors":[{"message":"upstream timeout"}]}`,
	} {
		t.Run("SHOPLINE begins with "+first, func(t *testing.T) {
			t.Parallel()
			inField(t, "shopline/customers", 300, func(f *field) {
				f.answer = func(n int, _ *http.Request) *http.Response {
					if n == 0 {
						return says(http.StatusOK, first)
					}
					return nil
				}
				o, err := f.run(0, 1) // the answer is asked for again, or the call is
				if err != nil {
					f.Fatal(err)
				}
				f.isComplete(o, f.held(f.dataset))
			})
		})
		t.Run("SHOPLINE answers all night "+first, func(t *testing.T) {
			t.Parallel()
			inField(t, "shopline/customers", 300, func(f *field) {
				f.answer = func(int, *http.Request) *http.Response { return says(http.StatusOK, first) }
				o, err := f.run(0, 3)
				f.isNowhere(o, err, "shopline", "found")
				f.answer = nil
				f.isComplete(f.must(1), f.held(f.dataset))
			})
		})
	}
	for _, body := range []string{
		`{"status":"error","errors":[{"code":"E401","message":"not allowed"}]}`,
		`{"status":"error","errors":[]}`,
	} {
		for name, quirks := range map[string]string{
			"the documents' list": `{}`, "a list in an envelope": `{"envelope":"orders"}`,
			"pages": `{"envelope":"orders","paging":{"style":"offset"}}`, "an envelope named like the error's": `{"envelope":"errors"}`,
		} {
			t.Run("Assist, "+name+", "+body, func(t *testing.T) {
				t.Parallel()
				inField(t, "assisttencho/orders", 3, func(f *field) {
					f.connectAssist(quirks)
					f.answer = func(int, *http.Request) *http.Response { return says(http.StatusOK, body) }
					o, err := f.run(0, 1)
					f.isNowhere(o, err, "assisttencho", "found")
				})
			})
		}
	}
	for _, dataset := range []string{"yappli/users", "supersaas/users"} {
		t.Run(dataset+" begins with an error", func(t *testing.T) {
			t.Parallel()
			usual := 0
			inField(t, dataset, 300, func(f *field) {
				f.must(0)
				usual = len(f.queries)
			})
			inField(t, dataset, 300, func(f *field) {
				f.answer = func(n int, _ *http.Request) *http.Response {
					if n == 0 {
						return says(http.StatusOK, `{"errors":[{"message":"try later"}]}`)
					}
					return nil
				}
				f.isComplete(f.must(0), f.held(dataset))
				// A page that was asked for ahead may have been dropped before it was sent.
				if n := len(f.queries); n > usual+1+2 {
					f.Errorf("%d requests, want some %d and the one that was an error: %v", n, usual, f.queries)
				}
			})
		})
	}
	t.Run("Assist, orders by number in an object", func(t *testing.T) {
		t.Parallel()
		inField(t, "assisttencho/orders", 3, func(f *field) {
			f.connectAssist(`{"envelope":"response.orders"}`)
			f.answer = func(int, *http.Request) *http.Response {
				return says(http.StatusOK, `{"response":{"orders":{"1":{"serial_order_id":1,"total":100},"3":{"serial_order_id":3,"total":300}}}}`)
			}
			o, err := f.run(0, 1)
			f.isNowhere(o, err, "found an object")
		})
	})
}

// notice stands after the JSON, as a PHP site's warning does.
const notice = "\n<br />\n<b>Notice</b>: something is not defined<br />\n"

func TestField_E02_AServerThatIsIllIsNoBrokenRecord(t *testing.T) {
	t.Parallel()
	for _, dataset := range []string{"shopline/customers", "yappli/users", "supersaas/users", "assisttencho/orders"} {
		for _, c := range []struct{ records, bad int }{{1, 8}, {1, 30}, {120, 200}, {120, 910}} {
			t.Run(fmt.Sprintf("%s, %d records, %d bad answers", dataset, c.records, c.bad), func(t *testing.T) {
				t.Parallel()
				inField(t, dataset, -1, func(f *field) {
					all := f.holds(c.records)
					f.answer = func(n int, r *http.Request) *http.Response {
						if n < c.bad {
							return says(http.StatusOK, f.truth(n, r)+notice)
						}
						return nil
					}
					o, err := f.run(0, c.bad)
					if err != nil {
						f.Fatal(err)
					}
					f.isComplete(o, all)
					if len(f.queries) <= c.bad {
						f.Errorf("%d requests", len(f.queries))
					}
				})
			})
		}
		// Once a record has been read, too.
		for _, from := range []int{1, 2, 3} {
			t.Run(fmt.Sprintf("%s, after %d good answers", dataset, from), func(t *testing.T) {
				t.Parallel()
				inField(t, dataset, -1, func(f *field) {
					all := f.holds(120)
					f.answer = func(n int, r *http.Request) *http.Response {
						if n >= from && n < from+200 {
							return says(http.StatusOK, f.truth(n, r)+notice)
						}
						return nil
					}
					o, err := f.run(0, 200)
					if err != nil {
						f.Fatal(err)
					}
					f.isComplete(o, all)
				})
			})
		}
	}
}

// empties are the documented empty answers.
var empties = map[string]string{
	"yappli/users": `{"members":[]}`, "supersaas/users": `[]`, "assisttencho/orders": `{"orders":[]}`,
	"shopline/customers": `{"items":[],"pagination":{"current_page":1,"per_page":50,"total_pages":0,"total_count":0}}`,
}

func TestField_E05_EmptinessIsAskedTwice(t *testing.T) {
	t.Parallel()
	for dataset, empty := range empties {
		bodies := []string{empty}
		if dataset == "shopline/customers" {
			bodies = append(bodies, `{"items":[]}`)
		}
		for _, body := range bodies {
			t.Run(dataset+" begins with "+body, func(t *testing.T) {
				t.Parallel()
				inField(t, dataset, -1, func(f *field) {
					all := f.holds(200)
					f.answer = func(n int, _ *http.Request) *http.Response {
						if n == 0 {
							return says(http.StatusOK, body)
						}
						return nil
					}
					f.isComplete(f.must(0), all)
				})
			})
		}
		t.Run(dataset+" is empty", func(t *testing.T) {
			t.Parallel()
			inField(t, dataset, -1, func(f *field) { f.isComplete(f.must(0), nil) })
		})
	}
	// A page that is empty although the provider counted more rows than came.
	t.Run("SHOPLINE, an end before the total", func(t *testing.T) {
		t.Parallel()
		inField(t, "shopline/customers", -1, func(f *field) {
			rows, told := f.holds(200), 0
			f.answer = func(_ int, r *http.Request) *http.Response {
				if q := r.URL.Query(); q.Has("previous_id") && told == 0 {
					told++
					return says(http.StatusOK, wire(f.dataset, rows[:50], q)) // the row of overlap alone
				}
				return nil
			}
			f.isComplete(f.must(0), rows)
		})
	})
}
