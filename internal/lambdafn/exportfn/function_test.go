package exportfn

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/pagination"
	"hikyaku/internal/secretstore"
)

func TestSchedule_ExportsEveryDatasetAsTheSandboxesHoldIt(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	a := s.mustInvoke(string(eventFile(t, "schedule.json")))
	if a.Status != export.Done || len(a.Runs) != 6 {
		t.Fatalf("status %s with %d runs, want done with 6", a.Status, len(a.Runs))
	}
	for _, run := range a.Runs {
		if run.Run != "20261122T003000Z" || run.DT != "2026-11-22" {
			t.Errorf("%s: run %s, dt %s", run.Dataset, run.Run, run.DT)
		}
		got, want := s.lines(run.Manifest), s.held(run.Dataset)
		if len(want) < records*9/10 || !same(got, want) {
			t.Errorf("%s: %d lines are not the %d records of the sandbox", run.Dataset, len(got), len(want))
		}
		if run.Drift != (pagination.Drift{}) || run.Rejects != 0 {
			t.Errorf("%s: drift %+v, %d rejects", run.Dataset, run.Drift, run.Rejects)
		}
		if run.Observed.Requests < 1 || run.Observed.RateLimited != 0 || run.Observed.Failed != 0 {
			t.Errorf("%s: observed %+v", run.Dataset, run.Observed)
		}
	}
	calls := len(s.yappli.Calls()) + len(s.supersaas.Calls()) + len(s.shopline.Calls()) + len(s.assist.Calls())
	again := s.mustInvoke(string(eventFile(t, "schedule.json")))
	after := len(s.yappli.Calls()) + len(s.supersaas.Calls()) + len(s.shopline.Calls()) + len(s.assist.Calls())
	if again.Status != export.Done || after != calls {
		t.Errorf("the same event again: %s after %d more requests", again.Status, after-calls)
	}
}

func TestEventFiles_AnswerOrName(t *testing.T) {
	t.Parallel()
	wants := map[string]string{ // of an error file: a part of the error
		"error-no-time.json":               "no scheduled time",
		"error-no-scheduled-time.json":     "no scheduled time",
		"error-time-not-substituted.json":  "the scheduled time is not a time",
		"error-bare-date.json":             "the scheduled time is not a time",
		"error-unknown-dataset.json":       `dataset "shopline/products" is not one of yappli/users, supersaas/users`,
		"error-unknown-action.json":        "the action is not plan, extract or publish",
		"error-backfill-of-snapshot.json":  "yappli/users has no time range",
		"error-backfill-open-end.json":     "a backfill needs both from and to",
		"error-backfill-reversed.json":     "from must lie before its to",
		"error-backfill-of-all.json":       "a backfill names its dataset",
		"error-empty-object.json":          "no scheduled time",
		"error-not-an-object.json":         "not a JSON object",
		"error-wrong-type.json":            "not a JSON object with text fields",
		"error-queue-event.json":           "of another kind",
		"error-other-source.json":          "of another kind",
		"plan-shopline-orders.json":        "planned",
		"plan-all.json":                    "planned",
		"publish-not-extracted.json":       "continue",
		"extract-yappli-users.json":        "done",
		"scheduler.json":                   "done",
		"backfill-shopline-orders.json":    "done",
		"scheduler-shopline-orders.json":   "done",
		"extract-shopline-orders.json":     "done",
		"extract-supersaas-users.json":     "done",
		"extract-assisttencho-orders.json": "done",
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "events", "export", "*.json"))
	if err != nil || len(files) < len(wants) {
		t.Fatalf("%d event files, %v", len(files), err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := newStack(t)
			a, err := s.invoke(t.Context(), raw)
			want, known := wants[name]
			switch {
			case strings.HasPrefix(name, "error-"):
				if err == nil || !known || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want an error that says %q", err, want)
				}
				if got := len(s.shopline.Calls()) + len(s.yappli.Calls()); got != 0 {
					t.Errorf("%d requests went out", got)
				}
			case err != nil:
				t.Error(err)
			case known && string(a.Status) != want:
				t.Errorf("status %s, want %s", a.Status, want)
			}
		})
	}
}

func TestExtract_ContinuesBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = "5"
	s.vars["HIKYAKU_EXPORT_IN_FLIGHT"] = "1"
	s.vars["HIKYAKU_EXPORT_STOP_AHEAD"] = "100ms"
	s.latency = 30 * time.Millisecond // a run takes several calls
	payload := eventFile(t, "extract-shopline-customers.json")
	stops := 0
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		a, err := s.invoke(ctx, payload)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == export.Done {
			if got, want := s.lines(a.Manifest), s.held("shopline/customers"); !same(got, want) {
				t.Errorf("%d lines are not the %d records of the sandbox", len(got), len(want))
			}
			break
		}
		if a.Status != export.Continue {
			t.Fatalf("status %s", a.Status)
		}
		if stops++; stops > 50 {
			t.Fatal("the run makes no progress")
		}
	}
	if stops == 0 {
		t.Error("the run never stopped")
	}
}

func TestSchedule_FailsWhereNobodyLoops(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = "5"
	s.vars["HIKYAKU_EXPORT_IN_FLIGHT"] = "1"
	s.latency = 30 * time.Millisecond // a run takes several calls
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := s.invoke(ctx, eventFile(t, "scheduler-shopline-orders.json"))
	if err == nil || !strings.Contains(err.Error(), "to be continued: shopline/orders continue") {
		t.Errorf("got %v, want a failure that Lambda retries", err)
	}
}

func TestOff_IsNoFault(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.secrets = &secretstore.Memory{}
	name := secretstore.Name("shop", "yappli", secretstore.TokenPart)
	if err := s.secrets.Create(t.Context(), name, "placeholder-0123456789abcdef-0123", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	a := s.mustInvoke(string(eventFile(t, "schedule.json")))
	if a.Status != export.Done || len(a.Runs) != 6 {
		t.Fatalf("status %s with %d runs", a.Status, len(a.Runs))
	}
	for _, run := range a.Runs {
		if run.Status != off || run.Manifest != "" {
			t.Errorf("%s: %+v, want off", run.Dataset, run)
		}
	}
}

func TestOrders_DeliveryChangeAloneIsExported(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	first := s.mustInvoke(`{"action":"extract","dataset":"shopline/orders","scheduled_time":"2026-11-22T00:30:00Z"}`)
	if first.Rows != records {
		t.Fatalf("%d rows, want %d", first.Rows, records)
	}
	lines := s.lines(first.Manifest)
	var pending string
	for _, l := range lines {
		if strings.Contains(l, `"delivery_status":"pending"`) {
			pending = l
		}
	}
	id := pending[strings.Index(pending, `"id":"`)+6:][:24]
	if err := s.shopline.ChangeDelivery(id, "shipped"); err != nil {
		t.Fatal(err)
	}
	second := s.mustInvoke(`{"action":"extract","dataset":"shopline/orders","scheduled_time":"2026-11-22T02:30:00Z"}`)
	if second.Rows != 1 || !strings.Contains(s.lines(second.Manifest)[0], id) {
		t.Errorf("%d rows, want the one order whose delivery changed", second.Rows)
	}
	if second.Window.From.Format(time.RFC3339) != "2026-11-21T23:30:00Z" {
		t.Errorf("window begins at %s, want an hour before the run before", second.Window.From)
	}
}

func TestFields_AreDroppedAndHashed(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.vars["HIKYAKU_EXPORT_DROP"] = "yappli/users: login_id, column01"
	s.vars["HIKYAKU_EXPORT_HASH"] = "yappli/users: unique_id; shopline/customers: mobile_phone"
	payload := `{"action":"extract","dataset":"yappli/users","scheduled_time":"2026-11-22T00:30:00Z"}`
	if _, err := s.invoke(t.Context(), []byte(payload)); err == nil || !strings.Contains(err.Error(), "shop/export/hmac") {
		t.Errorf("got %v, want the missing secret named", err)
	}
	if err := s.secrets.Create(t.Context(), "shop/export/hmac", "hmac-0123456789abcdef-0123456789", []byte(`{"key":"0123456789abcdef0123456789abcdef"}`)); err != nil {
		t.Fatal(err)
	}
	a := s.mustInvoke(payload)
	for _, l := range s.lines(a.Manifest) {
		if strings.Contains(l, "login_id") || strings.Contains(l, "column01") || !strings.Contains(l, `"unique_id":"hmac-sha256:`) {
			t.Fatalf("a field left as it was: %s", l)
		}
	}
}

// TestBodyCap_IsASetting: an answer above it is asked for in smaller pages.
func TestBodyCap_IsASetting(t *testing.T) {
	t.Parallel()
	for mib, halved := range map[string]bool{"1": true, "2": false} {
		t.Run(mib, func(t *testing.T) {
			s := newStack(t)
			s.vars["HIKYAKU_EXPORT_BODY_MIB"], s.vars["HIKYAKU_EXPORT_RECORD_MIB"], s.padding = mib, "1", strings.Repeat(" ", 1<<20)
			a := s.mustInvoke(`{"action":"extract","dataset":"yappli/users","scheduled_time":"2026-11-22T00:30:00Z"}`)
			if got, want := s.lines(a.Manifest), s.held("yappli/users"); !same(got, want) || a.Rejects != 0 || s.halved.Load() != halved {
				t.Errorf("%s MiB: %d of %d records, %d rejects, asked for smaller pages: %t", mib, len(got), len(want), a.Rejects, s.halved.Load())
			}
		})
	}
}

func TestNew_ListsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	vars := map[string]string{
		"HIKYAKU_TIME_ZONE": "Tokyo", "HIKYAKU_EXPORT_COMPRESSION": "zstd", "HIKYAKU_EXPORT_PART_MIB": "65", "HIKYAKU_EXPORT_RECORD_MIB": "0", "HIKYAKU_EXPORT_BODY_MIB": "0",
		"HIKYAKU_EXPORT_PAGE_SIZE": "1001", "HIKYAKU_EXPORT_IN_FLIGHT": "0", "HIKYAKU_EXPORT_SPOOL_MIB": "0",
		"HIKYAKU_EXPORT_LOOK_BACK": "-1s", "HIKYAKU_EXPORT_STOP_AHEAD": "0s", "HIKYAKU_EXPORT_APPOINTMENTS": "all",
		"HIKYAKU_EXPORT_DAYS_BACK": "0", "HIKYAKU_EXPORT_DAYS_AHEAD": "-1", "HIKYAKU_SUPERSAAS_SCHEDULES": "main",
		"HIKYAKU_YAPPLI_RATE": "0", "HIKYAKU_SHOPLINE_SHARE": "1.1", "HIKYAKU_EXPORT_DATASETS": "shopline/products",
		"HIKYAKU_EXPORT_DROP": "shopline/orders:id,a..b;unknown/users:x", "HIKYAKU_EXPORT_HASH": "shopline/orders:order_delivery",
	}
	_, err := New(t.Context(), lambdafn.Environ{Vars: vars})
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{
		"HIKYAKU_PREFIX", "HIKYAKU_BUCKET", "AWS_REGION", `HIKYAKU_TIME_ZONE: "Tokyo" is not a known IANA time zone`,
		"HIKYAKU_EXPORT_COMPRESSION", "HIKYAKU_EXPORT_PART_MIB", "HIKYAKU_EXPORT_RECORD_MIB", "HIKYAKU_EXPORT_BODY_MIB", "HIKYAKU_EXPORT_PAGE_SIZE", "HIKYAKU_EXPORT_IN_FLIGHT",
		"HIKYAKU_EXPORT_SPOOL_MIB", "HIKYAKU_EXPORT_LOOK_BACK", "HIKYAKU_EXPORT_STOP_AHEAD", "HIKYAKU_EXPORT_APPOINTMENTS",
		"HIKYAKU_EXPORT_DAYS_BACK", "HIKYAKU_EXPORT_DAYS_AHEAD", "HIKYAKU_SUPERSAAS_SCHEDULES", "HIKYAKU_YAPPLI_RATE", "HIKYAKU_SHOPLINE_SHARE",
		`"shopline/products" is no dataset`, `"unknown/users" names no dataset`, `"a..b" is not a path`,
		"id cannot be dropped or hashed", "order_delivery cannot be dropped or hashed",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q", want)
		}
	}
}

func TestDatasets_OnlyTheEnabledOnes(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.vars["HIKYAKU_EXPORT_DATASETS"] = "shopline/customers,supersaas/appointments"
	s.vars["HIKYAKU_EXPORT_APPOINTMENTS"] = "changes"
	a := s.mustInvoke(string(eventFile(t, "schedule.json")))
	if len(a.Runs) != 2 || a.Runs[0].Dataset != "supersaas/appointments" || a.Runs[1].Dataset != "shopline/customers" {
		t.Errorf("got %+v", a.Runs)
	}
	if _, err := s.invoke(t.Context(), eventFile(t, "extract-yappli-users.json")); err == nil || !strings.Contains(err.Error(), "not among HIKYAKU_EXPORT_DATASETS") {
		t.Errorf("got %v, want the setting named", err)
	}
}
