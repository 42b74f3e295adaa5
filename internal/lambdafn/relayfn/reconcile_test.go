package relayfn_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/secretstore"
)

func TestReconcile_EveryEventFile(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		contains string
		queued   int
	}{
		"schedule":       {`{"status":"done","report":{"users":30,"members":30,`, 30},
		"step-functions": {`{"status":"done","report":{"users":30,"members":30,`, 30},
		"only-if-wanted": {`{"status":"done"}`, 0},
		"dry-run":        {`{"status":"dry_run","report":{"users":30,"members":30,`, 0},
	}
	refused := map[string]string{
		"error-unknown-action": "unknown kind of event; expected a schedule",
		"error-queue-event":    "this event is for the role relay; expected a schedule",
		"error-not-an-object":  "not a JSON object",
	}
	for _, name := range names(t, "reconcile") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			raw, err := w.function("reconcile", nil).Invoke(context.Background(), event(t, "reconcile", name))
			if isRefused(t, refused[name], err) {
				return
			}
			want, ok := answers[name]
			if !ok {
				t.Fatal("no expectation for this event file")
			}
			if err != nil || !strings.HasPrefix(string(raw), want.contains) {
				t.Fatalf("answer %s, %v, want %s\n%s", raw, err, want.contains, w.out)
			}
			if got := w.take(w.queue); len(got) != want.queued {
				t.Errorf("%d queued, want %d", len(got), want.queued)
			}
		})
	}
}

// Either provider may be missing: its token absent, or a placeholder.
func TestReconcile_WithoutAConnectionIsOff(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{"supersaas", "yappli"} {
		w := newWorld(t)
		name := "t/" + provider + "/token"
		if err := w.aws.Secrets.Put(context.Background(), name, "55555555-5555-5555-5555-555555555555", []byte(`{}`), secretstore.Current); err != nil {
			t.Fatal(err)
		}
		raw, err := w.function("reconcile", nil).Invoke(context.Background(), event(t, "reconcile", "schedule"))
		if err != nil || string(raw) != `{"status":"off"}` {
			t.Errorf("without %s: %s, %v, want off and no fault", provider, raw, err)
		}
		if raw, err = w.function("reconcile", map[string]string{"HIKYAKU_PREFIX": "new"}).Invoke(context.Background(), event(t, "reconcile", "dry-run")); err != nil || string(raw) != `{"status":"off"}` {
			t.Errorf("in a new stack: %s, %v, want off and no fault", raw, err)
		}
	}
}

func TestStack_IsOpenedAnewForAnotherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.function("relay", nil)
	first, err := f.Tenant(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.Tenant(context.Background()); err != nil || again != first {
		t.Fatalf("second stack differs: %v", err)
	}
	other := w.shop.Token("http://supersaas.test")
	other.Account = "another_shop"
	if err := w.aws.Secrets.Put(context.Background(), "t/supersaas/token", "66666666-6666-6666-6666-666666666666", other.Document(), secretstore.Current); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(10 * time.Minute)
	if again, err := f.Tenant(context.Background()); err != nil || again == first {
		t.Fatalf("the stack of the old account is still in use: %v", err)
	}
	if _, err := w.function("ingest", nil).Tenant(context.Background()); err == nil {
		t.Error("ingest has a stack")
	}
}

func TestNew_ListsEveryFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := map[string]string{
		"HIKYAKU_PREFIX": "", "HIKYAKU_QUEUE_URL": "", "HIKYAKU_DEAD_LETTER_QUEUE_URL": "", "HIKYAKU_RELAY": "both", "HIKYAKU_IDENTITY": "hair",
		"HIKYAKU_ROW_HOLD": "29s", "HIKYAKU_LIST_LAG": "0s", "HIKYAKU_DISABLE_CAP": "0", "HIKYAKU_SUPERSAAS_RATE": "0", "HIKYAKU_YAPPLI_RATE": "-1",
		"HIKYAKU_SUPERSAAS_SHARE": "1.1", "HIKYAKU_YAPPLI_SHARE": "0", "HIKYAKU_INSTANCES": "0", "HIKYAKU_LINK": "maybe", "HIKYAKU_ID_IS_UNIQUE_ID": "true", "HIKYAKU_IDENTITY_EDITABLE": "1",
	}
	_, err := relayfn.New(context.Background(), w.environ("relay", bad))
	if err == nil {
		t.Fatal("no error")
	}
	for name := range bad {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error lacks %s:\n%v", name, err)
		}
	}
	for role, changes := range map[string]map[string]string{
		"":        {},
		"janitor": {},
		"ingest":  {"HIKYAKU_QUEUE_URL": ""},
	} {
		if f, err := relayfn.New(context.Background(), w.environ(role, changes)); err == nil {
			t.Errorf("role %q with %v: %v, want an error", role, changes, f)
		}
	}
	good := map[string]string{"HIKYAKU_ROW_HOLD": "30s", "HIKYAKU_SUPERSAAS_SHARE": "1", "HIKYAKU_YAPPLI_SHARE": "1", "HIKYAKU_DISABLE_CAP": "1"}
	for _, role := range []string{"relay", "reconcile"} {
		if _, err := relayfn.New(context.Background(), w.environ(role, good)); err != nil {
			t.Errorf("role %s: %v", role, err)
		}
	}
	if calls := w.aws.Calls(); len(calls) != 0 {
		t.Errorf("starting made calls: %v", calls)
	}
}
