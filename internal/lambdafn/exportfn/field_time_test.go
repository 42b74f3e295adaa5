package exportfn

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
)

func TestField_E06_OneCapForEveryWait(t *testing.T) {
	t.Parallel()
	tenYears := time.Date(2036, 11, 22, 0, 0, 0, 0, time.UTC)
	for dataset, provider := range map[string]string{"yappli/users": "yappli", "supersaas/users": "supersaas", "shopline/customers": "shopline", "assisttencho/orders": "assisttencho"} {
		for _, wait := range []string{tenYears.Format(http.TimeFormat), tenYears.Format(time.RFC850), tenYears.Format(time.ANSIC), "9999999999", "9999999999.5", strings.Repeat("9", 400)} {
			t.Run(dataset+", Retry-After: "+wait[:min(len(wait), 40)], func(t *testing.T) {
				t.Parallel()
				inField(t, dataset, 120, func(f *field) { f.isAskedToWait(provider, wait) })
			})
		}
	}
}

// isAskedToWait answers one request with 429 and a wait, and calls the same
// warm function again before the wait is over and after it.
func (f *field) isAskedToWait(provider, wait string) {
	f.Helper()
	f.answer = func(n int, _ *http.Request) *http.Response {
		if n > 0 {
			return nil
		}
		refusal := says(http.StatusTooManyRequests, `{"code":"RateLimitExceeded"}`)
		refusal.Header.Set("Retry-After", wait)
		return refusal
	}
	warm, began := f.function(), time.Now()
	call := func() export.Answer {
		ctx, cancel := context.WithTimeout(f.Context(), lambda)
		defer cancel()
		a, err := f.invokeWarm(ctx, warm, fmt.Appendf(nil, `{"action":"extract","dataset":%q,"scheduled_time":"2026-11-22T00:30:00Z"}`, f.dataset))
		if err != nil {
			f.Fatal(err)
		}
		return a.Answer
	}
	for range 2 {
		a := call()
		if a.Status != export.Busy || a.Until == nil || a.Until.Sub(began) > time.Hour+time.Second || a.Until.Sub(began) < 59*time.Minute {
			f.Fatalf("%+v, want busy for an hour", a)
		}
		for _, said := range []string{"429", provider, began.Add(time.Hour).UTC().Format("2006-01-02T15:04")} {
			if !strings.Contains(a.Cause, said) {
				f.Errorf("the answer does not say %q: %s", said, a.Cause)
			}
		}
		if len(f.queries) > 1 {
			f.Fatalf("%d requests while the provider wants none", len(f.queries))
		}
		time.Sleep(10 * time.Minute)
	}
	time.Sleep(40*time.Minute + 2*time.Second)
	o, err := f.export(fmt.Sprintf(`{"action":"extract","dataset":%q,"scheduled_time":"2026-11-22T00:30:00Z"}`, f.dataset), 0)
	if err != nil {
		f.Fatal(err)
	}
	f.isComplete(o, f.held(f.dataset))
}

func TestField_E07_Time(t *testing.T) {
	t.Parallel()
	t.Run("a backfill over the doubled hour of New York", func(t *testing.T) {
		t.Parallel()
		inField(t, "supersaas/appointments", 120, func(f *field) {
			f.vars["HIKYAKU_TIME_ZONE"] = "America/New_York"
			o, err := f.export(`{"action":"extract","dataset":"supersaas/appointments","scheduled_time":"2026-11-22T00:30:00Z","from":"2026-11-01T05:30:00Z","to":"2026-11-01T06:30:00Z"}`, 0)
			if err != nil || o.State != export.Complete || len(f.queries) == 0 {
				f.Errorf("%+v, %d requests, %v", o.State, len(f.queries), err)
			}
			for _, q := range f.queries {
				if q.Get("from") > "2026-11-01 01:00:00" || q.Get("to") < "2026-11-01 02:00:00" {
					f.Errorf("asked for %s to %s, which leaves out a part of the hour from 01:00", q.Get("from"), q.Get("to"))
				}
			}
		})
	})
	t.Run("a clock that was 400 days ahead once", func(t *testing.T) {
		t.Parallel()
		inField(t, "shopline/customers", 120, func(f *field) {
			ahead := 0
			f.now = func() time.Time { return time.Now().AddDate(0, 0, ahead) }
			f.must(0)
			ahead = 400
			time.Sleep(time.Hour)
			wrong := time.Date(2026, 11, 22, 0, 30, 0, 0, time.UTC).AddDate(0, 0, ahead).Format(time.RFC3339)
			if _, err := f.export(fmt.Sprintf(`{"action":"extract","dataset":%q,"scheduled_time":%q}`, f.dataset, wrong), 0); err != nil {
				f.Fatal(err)
			}
			ahead = 0
			for day := 1; day <= 3; day++ {
				f.isWholeDay(day)
			}
		})
	})
	for _, form := range []string{
		"2026-11-22t02:00:00z", "2026-11-22T01:59:60Z", "2026-11-22T02:00:00+0000", "2026-11-22T11:00:00+09", "2026-11-21T24:00:00-02:00", "2026-11-22 02:00:00 UTC",
	} {
		t.Run("an order updated "+form+" and shipped", func(t *testing.T) {
			t.Parallel()
			inField(t, "shopline/orders", -1, func(f *field) {
				f.must(0)
				order := fmt.Sprintf(`{"id":"67ec9b710000000000000001","updated_at":%q,"order_delivery":{"delivery_status":"shipped","shipped_at":"2026-11-22T02:00:00.000+00:00"}}`, form)
				f.rows = func(_ int, q url.Values) []string {
					if q.Has("updated_after") || q.Has("shipped_after") {
						return []string{order}
					}
					return nil
				}
				o := f.must(1)
				f.isComplete(o, []string{order})
				if o.Repeats != 1 {
					f.Errorf("%d repeats, want the order as shipped", o.Repeats)
				}
			})
		})
	}
}

// isWholeDay changes a customer half a day before a run, and fails the test
// unless that is in the run, whose window is the day.
func (f *field) isWholeDay(day int) {
	f.Helper()
	due := time.Date(2026, 11, 22+day, 0, 30, 0, 0, time.UTC)
	time.Sleep(time.Until(due.Add(-12 * time.Hour)))
	id := idIn(f.held(f.dataset)[day])
	if err := f.shopline.UpdateCustomer(id, map[string]any{"memo": "変更"}); err != nil {
		f.Fatal(err)
	}
	o := f.must(day)
	if !o.Window.From.Equal(due.AddDate(0, 0, -1).Add(-time.Hour)) || !o.Window.To.Equal(due) || o.State != export.Complete || o.latest != o.Run {
		f.Errorf("day %d: %+v, %s, latest %s", day, o.Window, o.State, o.latest)
	}
	if !slices.ContainsFunc(o.lines, func(line string) bool { return idIn(line) == id }) {
		f.Errorf("day %d: the customer of the day is missing among %d rows", day, len(o.lines))
	}
}
