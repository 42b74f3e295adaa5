package relayfn_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/webhookrelay/published"
	"hikyaku/internal/webhookrelay/queue"
)

// published is where the stack's mappings lie, as the command line sees it.
func (w *world) published() published.Store {
	w.t.Helper()
	e := w.environ("reconcile", nil)
	settings, err := lambdafn.Load[struct{ lambdafn.Common }](e)
	if err != nil {
		w.t.Fatal(err)
	}
	return published.Store{Objects: lambdafn.Open(e, settings.Common).Objects, Prefix: "t"}
}

func (w *world) publish(source string) {
	w.t.Helper()
	store := w.published()
	log, err := store.Log(w.t.Context())
	if err == nil {
		err = store.Put(w.t.Context(), log, []byte(source), published.Entry{At: w.now})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// relayMessage hands one message of the queue to a relay and returns whether it
// stays.
func (w *world) relayMessage(f *relayfn.Function, m queue.Message) int {
	w.t.Helper()
	batch, err := json.Marshal(map[string]any{"Records": []map[string]any{{
		"eventSource": "aws:sqs", "messageId": "1", "receiptHandle": "none", "attributes": map[string]string{"ApproximateReceiveCount": "1"},
		"body": string(m.Envelope("1").Body),
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := f.Invoke(context.Background(), batch)
	var answer events.SQSEventResponse
	if err != nil || json.Unmarshal(raw, &answer) != nil {
		w.t.Fatalf("answer %s, %v", raw, err)
	}
	return len(answer.BatchItemFailures)
}

// A mapping that is published counts within a minute in functions that run, and
// at once for what a reconcile sends by it; the row tells which it was.
func TestMapping_CountsWithoutADeployment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	relay, reconcile := w.function("relay", nil), w.function("reconcile", nil)
	user := w.shop.AddUser(map[string]any{"name": "hana@mail.example", "email": "hana@mail.example", "full_name": "見本 花", "super_field": "S-1"})
	work := func() {
		t.Helper()
		if _, err := reconcile.Invoke(t.Context(), event(t, "reconcile", "schedule")); err != nil {
			t.Fatal(err)
		}
		for _, m := range w.take(w.queue) {
			if m.Mapping == "" {
				t.Fatalf("%+v tells of no mapping", m)
			}
			if left := w.relayMessage(relay, m); left != 0 {
				t.Fatalf("%d messages left\n%s", left, w.out)
			}
		}
	}
	work()
	if m := w.member(user); m.Values["column01"] != "見本 花" || m.Values["column11"] != "" {
		t.Fatalf("by the packaged mapping: %v", m.Values)
	}
	w.publish("login_id: email\ncolumn11: full_name\n")
	w.now = w.now.Add(time.Minute)
	work()
	if m := w.member(user); m.Values["column11"] != "見本 花" {
		t.Fatalf("by the published mapping: %v", m.Values)
	}
	w.publish("login_id: email\ncolumn12: full_name\n")
	// The reconcile begins a minute later; the relay looked a moment ago.
	w.now = w.now.Add(time.Minute)
	if _, err := relay.Links(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.publish("login_id: email\ncolumn13: full_name\n")
	reconcile = w.function("reconcile", nil)
	first := 0
	if _, err := reconcile.Invoke(t.Context(), event(t, "reconcile", "schedule")); err != nil {
		t.Fatal(err)
	}
	for _, m := range w.take(w.queue) {
		first += w.relayMessage(relay, m)
		if left := w.relayMessage(relay, m); left != 0 {
			t.Fatalf("%d messages left\n%s", left, w.out)
		}
	}
	if m := w.member(user); first != 1 || m.Values["column13"] != "見本 花" || m.Values["column12"] != "" {
		t.Fatalf("%d put back; by the newest mapping: %v", first, m.Values)
	}
	h, err := relay.Tenant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	row, err := h.State.Rows.Read(t.Context(), user)
	if err != nil || row.History[len(row.History)-1].Mapping != h.Mapping.ShortDigest() {
		t.Fatalf("history %+v, %v, want %s", row.History, err, h.Mapping.ShortDigest())
	}
}

// Without a mapping that can be read the messages go back, for days, and nothing
// is given up.
func TestMapping_WaitsForOneThatCanBeRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, source, says string }{
		"none deployed":        {"missing.yaml", "", "hikyaku mapping init"},
		"a deployed fault":     {"published_test.go", "", "HIKYAKU_MAPPING_FILE"},
		"a published fault":    {"../../../config/mapping.yaml", "column01: hair\n", "hikyaku mapping undo"},
		"its identity's field": {"../../../config/mapping.yaml", "column01: id\nlink_if: [column01]\n", "hikyaku mapping put"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.source != "" {
				w.publish(c.source)
			}
			f := w.function("relay", map[string]string{"HIKYAKU_MAPPING_FILE": c.file})
			for range 3 {
				if left := w.relay(f, 20450001); left != 1 {
					t.Fatalf("%d messages left, want 1", left)
				}
				w.now = w.now.Add(24 * time.Hour)
			}
			if log := w.out.String(); !strings.Contains(log, "relay not ready") || !strings.Contains(log, c.says) {
				t.Errorf("log lacks %q:\n%s", c.says, log)
			}
			if n := w.crm.Count("GET /api/ext/users") + w.shop.Count("GET /api/users.json"); n != 0 || len(w.take(w.dead)) != 0 {
				t.Errorf("%d requests, or dead letters, want none", n)
			}
			w.publish("column01: full_name\n")
			w.now = w.now.Add(time.Minute)
			if _, err := f.Links(t.Context()); err != nil {
				t.Errorf("with a good one: %v", err)
			}
		})
	}
}
