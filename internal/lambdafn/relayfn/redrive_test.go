package relayfn_test

import (
	"context"
	"strings"
	"testing"

	"hikyaku/internal/webhookrelay/admin"
)

// Dead letters go back over SQS, and what names no user stays.
func TestRedrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for role, file := range map[string]string{"ingest": "user-change", "relay": "error-poison"} {
		if _, err := w.function(role, map[string]string{"HIKYAKU_QUEUE_URL": w.dead}).Invoke(context.Background(), event(t, role, file)); err != nil {
			t.Fatal(err)
		}
	}
	dead, users, err := w.function("ingest", nil).Queues()
	if err != nil {
		t.Fatal(err)
	}
	done, err := admin.Redrive(context.Background(), dead, users, admin.Selection{})
	if want := (admin.Redriven{Sent: 1, Kept: 1}); err != nil || done != want {
		t.Fatalf("Redrive = %+v, %v, want %+v", done, err, want)
	}
	sent := w.take(w.queue)
	if len(sent) != 1 || sent[0].User == 0 || sent[0].Event != "redrive" || sent[0].Class != "" {
		t.Errorf("sent %+v", sent)
	}
	done, err = admin.Redrive(context.Background(), dead, users, admin.Selection{})
	if err != nil || done != (admin.Redriven{}) {
		t.Errorf("second Redrive = %+v, %v, want nothing shown", done, err)
	}
	if _, _, err := w.function("ingest", map[string]string{"HIKYAKU_DEAD_LETTER_QUEUE_URL": ""}).Queues(); err == nil || !strings.Contains(err.Error(), "HIKYAKU_DEAD_LETTER_QUEUE_URL") {
		t.Errorf("err = %v, want the setting named", err)
	}
}
