package exportfn

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/export"
)

// recordLists are the lists that the rows about single records are tried on.
var recordLists = []string{"shopline/customers", "shopline/orders", "yappli/users", "supersaas/users", "assisttencho/orders"}

// failsFor answers 500 to every request whose answer would hold a text.
func (f *field) failsFor(text string) func(int, *http.Request) *http.Response {
	return func(n int, r *http.Request) *http.Response {
		if strings.Contains(f.truth(n, r), text) {
			return says(http.StatusInternalServerError, `{"error":"internal"}`)
		}
		return nil
	}
}

func TestField_E09_OneRecordBlocksNoDataset(t *testing.T) {
	t.Parallel()
	for _, dataset := range recordLists {
		t.Run(dataset+", 500 whenever the page holds row 170", func(t *testing.T) {
			t.Parallel()
			inField(t, dataset, -1, func(f *field) {
				all := f.holds(300)
				bad := all[169]
				f.answer = f.failsFor(bad)
				o := f.must(0)
				want := slices.DeleteFunc(slices.Clone(all), func(row string) bool { return row == bad })
				if o.State != export.Complete || len(o.rejects) != 1 || !same(o.lines, want) {
					f.Fatalf("%s, %v, %d rows, rejects %+v; want complete, 299 and one", o.State, o.Doubts, len(o.lines), o.rejects)
				}
				f.isPublished(o)
				if one := o.rejects[0]; one.Place < 1 || one.ID == "" || one.Reason != "the provider answers status 500 whenever it is asked for" {
					f.Errorf("the reject says %+v", one)
				}
				// The next nights go on without it, quiet as they are, and find it
				// once it is well.
				for day := 1; day <= 2; day++ {
					o := f.must(day)
					if o.State != export.Complete || len(o.rejects) == 0 {
						f.Errorf("night %d: %s with %d rows, rejects %+v, %v", day, o.State, len(o.lines), o.rejects, o.Doubts)
					}
					f.isPublished(o)
				}
				f.answer = nil
				if o := f.must(3); o.State != export.Complete || !slices.Contains(o.lines, bad) {
					f.Errorf("once it can be read: %s with %d rows", o.State, len(o.lines))
				}
			})
		})
	}
	// If many rows have one time, the cursor reaches none after the bad one, but the
	// provider has counted them.
	for _, dataset := range recordLists[:2] {
		t.Run(dataset+", 500 for one of 300 rows of the same second", func(t *testing.T) {
			t.Parallel()
			inField(t, dataset, -1, func(f *field) {
				all := f.holds(300)
				for i, row := range all {
					before, _, _ := strings.Cut(row, `"updated_at":`)
					all[i] = before + `"updated_at":"2026-10-01T00:00:37.000+00:00"}`
				}
				f.answer = f.failsFor(all[169])
				o := f.must(0)
				f.isCompleteOrDoubted(o, slices.Delete(slices.Clone(all), 169, 170))
				f.answer = nil
				f.isComplete(f.must(1), all)
			})
		})
	}
	for _, dataset := range recordLists {
		t.Run(dataset+", no id in row 50, 500 for row 51", func(t *testing.T) {
			t.Parallel()
			inField(t, dataset, -1, func(f *field) {
				all := f.holds(120)
				want := slices.Delete(slices.Clone(all), 49, 51)
				_, rest, _ := strings.Cut(all[49], ",")
				all[49] = "{" + rest
				f.answer = f.failsFor(all[50])
				if o, err := f.run(0, 3); err != nil || o.State != export.Complete || !same(o.lines, want) {
					f.Errorf("%s, %v, %d rows, rejects %+v, %v; want complete with %d", o.State, o.Doubts, len(o.lines), o.rejects, err, len(want))
				}
			})
		})
	}
	for _, without := range [][]int{{49}, {48, 49, 50}, {0}, {299}, {298, 299}} {
		for _, dataset := range recordLists[2:] {
			t.Run(fmt.Sprintf("%s, no id in rows %v", dataset, without), func(t *testing.T) {
				t.Parallel()
				inField(t, dataset, -1, func(f *field) { f.isReadPast(without, nil) })
			})
		}
		for name, unknown := range map[string]func(q url.Values) *http.Response{
			"refuses a previous_id":             func(url.Values) *http.Response { return says(http.StatusUnprocessableEntity, refusal) },
			"begins anew after any previous_id": func(q url.Values) *http.Response { q.Del("previous_id"); return nil },
			"ends after any previous_id":        func(url.Values) *http.Response { return says(http.StatusOK, empties["shopline/customers"]) },
		} {
			for _, dataset := range recordLists[:2] {
				t.Run(fmt.Sprintf("%s, no id in rows %v, a server that %s that it does not know", dataset, without, name), func(t *testing.T) {
					t.Parallel()
					inField(t, dataset, -1, func(f *field) { f.isReadPast(without, unknown) })
				})
			}
		}
	}
}

// isReadPast exports 300 rows of which some have no id, from a server that
// answers a previous_id that it does not know in its own way.
func (f *field) isReadPast(without []int, unknown func(q url.Values) *http.Response) {
	f.Helper()
	all := f.holds(300)
	var want []string
	for i, row := range all {
		if slices.Contains(without, i) {
			_, rest, _ := strings.Cut(row, ",")
			all[i] = "{" + rest
			continue
		}
		want = append(want, row)
	}
	f.answer = func(_ int, r *http.Request) *http.Response {
		q := r.URL.Query()
		after := q.Get("previous_id")
		if strings.Contains(after, "sha256") {
			f.Errorf("previous_id=%s was sent", after)
		}
		if unknown == nil || after == "" || strings.Contains(strings.Join(all, ""), after) {
			return nil
		}
		return unknown(q)
	}
	o := f.must(0)
	if o.State != export.Complete || len(o.rejects) != len(without) || !same(o.lines, want) || len(f.queries) > 300 {
		f.Errorf("%s, %v, %d rows after %d requests, rejects %+v; want complete with %d", o.State, o.Doubts, len(o.lines), len(f.queries), o.rejects, len(want))
	}
	f.isPublished(o)
}

func TestField_E11_RedactionFailsClosed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"HIKYAKU_EXPORT_DROP", "HIKYAKU_EXPORT_HASH"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inField(t, "yappli/users", 120, func(f *field) {
				f.vars[name] = "yappli/users:login-id"
				if err := f.secrets.Create(f.Context(), "shop/export/hmac", "hmac-0123456789abcdef-0123456789", []byte(`{"key":"0123456789abcdef0123456789abcdef"}`)); err != nil {
					f.Fatal(err)
				}
				o, err := f.run(0, 2)
				f.isNowhere(o, err, "login-id", "login_id")
				var address string
				for _, m := range f.yappli.Members() {
					address = m.Values["login_id"]
					for info, err := range f.objects.List(f.Context(), "", "") {
						if err != nil || strings.Contains(f.stored(info.Key), address) || strings.Contains(info.Key, "/part-") {
							f.Fatalf("%s lies in the store: %v", info.Key, err)
						}
					}
				}
				if address == "" || strings.Contains(err.Error(), address) {
					f.Errorf("%q: %v", address, err)
				}
				// The right name lets the run be made, without an address.
				f.vars[name], f.warm = "yappli/users:login_id", nil
				if o = f.must(1); o.State != export.Complete || len(o.lines) != 120 || strings.Contains(strings.Join(o.lines, ""), address) {
					f.Errorf("%s with %d rows", o.State, len(o.lines))
				}
			})
		})
	}
}
