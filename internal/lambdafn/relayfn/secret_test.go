package relayfn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers/sandbox"
)

const (
	webhookSecret = "t/supersaas/webhook"
	unreadable    = `"WebhookSecretUnreadable":1`
	weakAccepted  = `"WebhookSecretWeak":1`
)

// answered sends a good event with a secret, and returns the answer's status.
func (w *world) answered(f *relayfn.Function, secret string) int {
	w.t.Helper()
	raw, err := f.Invoke(context.Background(), bytes.ReplaceAll(event(w.t, "ingest", "user-change"), []byte(hookSecret), []byte(secret)))
	var answer events.APIGatewayV2HTTPResponse
	if err != nil || json.Unmarshal(raw, &answer) != nil {
		w.t.Fatal(string(raw), err)
	}
	if answer.StatusCode == http.StatusServiceUnavailable && answer.Headers["retry-after"] != "30" {
		w.t.Errorf("503 without Retry-After: %v", answer.Headers)
	}
	return answer.StatusCode
}

// put stores a document as the current version of the webhook's secret.
func (w *world) put(document string) {
	w.t.Helper()
	if err := w.aws.Secrets.Put(context.Background(), webhookSecret, uuid.NewString(), []byte(document), secretstore.Current); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) counted(text string) int { return strings.Count(w.out.String(), text) }

// denying refuses every read of a secret while it is on.
type denying struct {
	next http.RoundTripper
	on   *atomic.Bool
}

func (d denying) RoundTrip(r *http.Request) (*http.Response, error) {
	if !d.on.Load() || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
		return d.next.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"__type":"AccessDeniedException","Message":"no"}`))}, nil
}

// A secret that is withdrawn is refused from the next read on, the one before it
// too, and accepted again when it is back.
func TestIngest_AWithdrawnSecretIsRefused(t *testing.T) {
	t.Parallel()
	var denied atomic.Bool
	ctx := context.Background()
	const another = "another-webhook-secret-000000000"
	for name, c := range map[string]struct{ withdraw, bringBack func(w *world) error }{
		"gone": {
			func(w *world) error { return w.aws.Secrets.Delete(ctx, webhookSecret, 0) },
			func(w *world) error {
				return w.aws.Secrets.Create(ctx, webhookSecret, uuid.NewString(), []byte(`{"current":"`+another+`"}`))
			},
		},
		"scheduled for deletion": {
			func(w *world) error { return w.aws.Secrets.Delete(ctx, webhookSecret, 30*24*time.Hour) },
			func(w *world) error { return w.aws.Secrets.Restore(ctx, webhookSecret) },
		},
		"denied": {
			func(*world) error { denied.Store(true); return nil },
			func(*world) error { denied.Store(false); return nil },
		},
		"emptied": {
			func(w *world) error { w.put(`{"current":""}`); return nil },
			func(w *world) error { w.put(`{"current":"` + another + `"}`); return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(`{"current":"` + another + `"}`)
			e := w.environ("ingest", nil)
			e.AWS = denying{e.AWS, &denied}
			f, err := relayfn.New(ctx, e)
			if err != nil {
				t.Fatal(err)
			}
			if got := w.answered(f, another); got != 200 {
				t.Fatalf("at first: %d", got)
			}
			if err := c.withdraw(w); err != nil {
				t.Fatal(err)
			}
			w.now = w.now.Add(5 * time.Minute)
			for _, secret := range []string{another, hookSecret} {
				if got := w.answered(f, secret); got != 503 {
					t.Errorf("withdrawn: %d, want 503", got)
				}
			}
			if w.counted(unreadable) != 1 || w.counted("webhooks are refused: their secret was withdrawn") != 1 {
				t.Errorf("one failed read is to be logged and counted once:\n%s", w.out)
			}
			if err := c.bringBack(w); err != nil {
				t.Fatal(err)
			}
			w.now = w.now.Add(30 * time.Second)
			if got := w.answered(f, another); got != 200 {
				t.Errorf("brought back: %d, want 200", got)
			}
		})
	}
}

// While the store fails, what was read stands for 15 minutes; each failed read
// is logged and counted.
func TestIngest_AnUnreadableSecretStandsForFifteenMinutes(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(w *world){
		"store fails": func(w *world) {
			w.aws.Inject(sandbox.Fault{Route: "secretsmanager.GetSecretValue", Kind: sandbox.ServerFail, Times: -1})
		},
		"not JSON": func(w *world) { w.put("invented-and-not-JSON") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := w.function("ingest", nil)
			if got := w.answered(f, hookSecret); got != 200 {
				t.Fatalf("at first: %d", got)
			}
			fail(w)
			for n, step := range []struct {
				after  time.Duration
				status int
				reads  int
			}{{5*time.Minute - 1, 200, 0}, {1, 200, 1}, {29 * time.Second, 200, 1}, {15*time.Minute - 29*time.Second - 1, 200, 2}, {30 * time.Second, 503, 3}, {29 * time.Second, 503, 3}} {
				w.now = w.now.Add(step.after)
				if got := w.answered(f, hookSecret); got != step.status || w.counted(unreadable) != step.reads {
					t.Errorf("step %d: %d after %d failed reads, want %d and %d", n, got, w.counted(unreadable), step.status, step.reads)
				}
			}
			if log := w.out.String(); strings.Contains(log, "invented-and") || strings.Contains(log, hookSecret) {
				t.Error("the log shows what the secret holds")
			}
		})
	}
}

// Where nothing was ever read, a failed read costs no more than a second of
// webhooks.
func TestIngest_AFailedFirstReadIsRepeatedSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.function("ingest", nil)
	w.aws.Inject(sandbox.Fault{Route: "secretsmanager.GetSecretValue", Kind: sandbox.ServerFail, Times: 3}) // as often as the SDK asks
	for _, step := range []struct {
		after  time.Duration
		status int
	}{{0, 503}, {999 * time.Millisecond, 503}, {time.Millisecond, 200}} {
		w.now = w.now.Add(step.after)
		if got := w.answered(f, hookSecret); got != step.status || w.counted(unreadable) != 1 {
			t.Errorf("after %v: %d and %d failed reads, want %d and 1", step.after, got, w.counted(unreadable), step.status)
		}
	}
}

// Guesses before there is a secret cost one read each half minute.
func TestIngest_RemembersThatThereIsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.aws.Secrets.Delete(context.Background(), webhookSecret, 0); err != nil {
		t.Fatal(err)
	}
	f := w.function("ingest", nil)
	for _, want := range []int{1, 2} {
		for n := range 50 {
			if got := w.answered(f, "guess-"+strconv.Itoa(n)); got != 503 {
				t.Fatalf("answered %d, want 503", got)
			}
		}
		if got := w.aws.Calls()["secretsmanager.GetSecretValue"]; got != want {
			t.Errorf("%d reads, want %d", got, want)
		}
		w.now = w.now.Add(30 * time.Second)
	}
}

// A secret that the rule refuses, stored before the stack had the rule, goes on
// for 30 days with an alarm each day. One stored since is refused at once.
func TestIngest_AWeakSecretEndsThirtyDaysAfterTheUpgrade(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, weak := range []string{"abc", "short-of-it-by-one-character-00", "slash/and+plus/in-a-webhook-secret"} {
		for name, c := range map[string]struct {
			since   func(stored time.Time) string
			lasting time.Duration // from when it was stored
		}{
			"stored before the upgrade": {func(at time.Time) string { return at.Add(10 * day).Format(time.RFC3339Nano) }, 40 * day},
			"stored since":              {func(at time.Time) string { return at.Add(-time.Hour).Format(time.RFC3339) }, 0},
			"upgrade unknown":           {func(time.Time) string { return "" }, 30 * day},
			"upgrade not to be read":    {func(time.Time) string { return "some day" }, 30 * day},
		} {
			t.Run(name+", "+weak, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				document, _ := json.Marshal(map[string]string{"current": weak})
				if err := w.aws.Secrets.Delete(context.Background(), webhookSecret, 0); err != nil {
					t.Fatal(err)
				}
				stored := time.Now()
				if err := w.aws.Secrets.Create(context.Background(), webhookSecret, uuid.NewString(), document); err != nil {
					t.Fatal(err)
				}
				f := w.function("ingest", map[string]string{"HIKYAKU_WEBHOOK_SECRET_RULE_SINCE": c.since(stored)})
				ask := func() int {
					payload, _ := json.Marshal(map[string]any{
						"version": "2.0", "requestContext": map[string]any{"http": map[string]any{}, "requestId": uuid.NewString()},
						"pathParameters": map[string]string{"secret": weak}, "body": `{"event":"change","id":7}`,
					})
					raw, err := f.Invoke(context.Background(), payload)
					var answer events.APIGatewayV2HTTPResponse
					if err != nil || json.Unmarshal(raw, &answer) != nil {
						t.Fatal(string(raw), err)
					}
					return answer.StatusCode
				}
				for n := range 3 * int(c.lasting/day) { // three times a day, up to the last one
					if w.now = stored.Add(time.Duration(n) * day / 3); ask() != 200 {
						t.Fatalf("refused after %v", w.now.Sub(stored))
					}
				}
				if got, want := w.counted(weakAccepted), int(c.lasting/day); got != want {
					t.Errorf("told of %d times, want once a day for %d days", got, want)
				}
				w.now = stored.Add(c.lasting + time.Minute)
				if got := ask(); got != 503 || w.counted(unreadable) != 1 {
					t.Errorf("after its time: %d, %d failed reads, want 503 and 1", got, w.counted(unreadable))
				}
				if log := w.out.String(); strings.Contains(log, weak) || !strings.Contains(log, "hikyaku connect webhook") {
					t.Errorf("the log shows the secret, or no way out:\n%s", log)
				}
			})
		}
	}
}

// A weak secret that somebody stores over a good one by hand is refused, and
// the good one, which SuperSaaS still sends, is not.
func TestIngest_AWeakSecretHidesNotTheGoodOneBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"current":"abc"}`)
	f := w.function("ingest", map[string]string{"HIKYAKU_WEBHOOK_SECRET_RULE_SINCE": time.Now().Add(-time.Hour).Format(time.RFC3339)})
	for name, c := range map[string]struct {
		secret string
		want   int
	}{"the one before": {hookSecret, 200}, "the weak one": {"abc", 401}} {
		t.Run(name, func(t *testing.T) {
			if got := w.answered(f, c.secret); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
	if w.counted(unreadable) != 1 || !strings.Contains(w.out.String(), "the current webhook secret is refused") {
		t.Errorf("nothing tells of it:\n%s", w.out)
	}
}
