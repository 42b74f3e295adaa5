package relayfn_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/ingest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// batch is a batch of the queue, a message for each user.
func batch(users ...int64) []byte {
	type record struct {
		Source     string            `json:"eventSource"`
		ID         string            `json:"messageId"`
		Receipt    string            `json:"receiptHandle"`
		Body       string            `json:"body"`
		Attributes map[string]string `json:"attributes"`
	}
	var list []record
	for i, user := range users {
		list = append(list, record{
			Source: "aws:sqs", ID: fmt.Sprint(i), Receipt: "none", Attributes: map[string]string{"ApproximateReceiveCount": "1"},
			Body: fmt.Sprintf(`{"user":"%d","event":"change","at":"2026-11-22T01:15:09Z"}`, user),
		})
	}
	raw, _ := json.Marshal(map[string]any{"Records": list})
	return raw
}

// relay hands a batch to a function and returns how many messages it leaves.
func (w *world) relay(f *relayfn.Function, users ...int64) int {
	w.t.Helper()
	raw, err := f.Invoke(context.Background(), batch(users...))
	var answer events.SQSEventResponse
	if err != nil || json.Unmarshal(raw, &answer) != nil {
		w.t.Fatalf("answer %s, %v", raw, err)
	}
	return len(answer.BatchItemFailures)
}

// members maps unique_id to the member.
func (w *world) members() map[string]yapplitest.Member {
	all := map[string]yapplitest.Member{}
	for _, m := range w.crm.Members() {
		all[m.Values["unique_id"]] = m
	}
	return all
}

func (w *world) member(user int64) yapplitest.Member { return w.members()[fmt.Sprintf("ss-%d", user)] }

// Every shape of body, plain and in base64, is taken with the current and the
// previous secret and refused with another, in the path or in a field of the
// payload.
func TestIngest_EveryShapeWithEitherSecret(t *testing.T) {
	t.Parallel()
	const field, previous = "custom_secret", "the-previous-webhook-secret-0000"
	shapes := map[string]struct{ body, queued string }{
		"object":         {`{"event":"change","id":7,"custom_secret":"SECRET"}`, "7 change"},
		"id as text":     {`{"event":"change","id":"7","custom_secret":"SECRET"}`, "7 change"},
		"byte order":     {"\ufeff" + `{"event":"new","id":7,"custom_secret":"SECRET"}`, "7 new"},
		"array":          {`[{"event":"new","id":7,"custom_secret":"SECRET"},{"event":"delete","id":8,"deleted":true,"custom_secret":"SECRET"}]`, "7 new, 8 delete deleted"},
		"array of one":   {`[{"event":"change","id":7,"custom_secret":"SECRET"}]`, "7 change"},
		"form":           {`event=create&user_id=7&id=1&custom_secret=SECRET`, "7 create"},
		"nobody":         {`{"event":"create","id":1,"user_id":0,"custom_secret":"SECRET"}`, ""},
		"unknown event":  {`{"event":"shaved","id":7,"custom_secret":"SECRET"}`, ""},
		"form, no event": {`id=7&custom_secret=SECRET`, ""},
	}
	for _, inField := range []bool{false, true} {
		w := newWorld(t)
		if err := w.aws.Secrets.Put(context.Background(), "t/supersaas/webhook", strings.Repeat("7", 32), []byte(`{"current":"`+hookSecret+`","previous":"`+previous+`"}`), secretstore.Current); err != nil {
			t.Fatal(err)
		}
		vars := map[string]string{}
		if inField {
			vars["HIKYAKU_WEBHOOK_SECRET_FIELD"] = field
		}
		f, n := w.function("ingest", vars), 0
		for name, shape := range shapes {
			for secret, status := range map[string]int{hookSecret: 200, previous: 200, "another-secret": 401, "": 401} {
				for _, encoded := range []bool{false, true} {
					n++
					e := events.APIGatewayV2HTTPRequest{Version: "2.0", Body: strings.ReplaceAll(shape.body, "SECRET", secret), IsBase64Encoded: encoded}
					e.RequestContext.RequestID = fmt.Sprint("request-", n)
					e.PathParameters = map[string]string{"secret": secret}
					if inField {
						e.PathParameters["secret"] = "webhook"
					}
					if encoded {
						e.Body = base64.StdEncoding.EncodeToString([]byte(e.Body))
					}
					payload, err := json.Marshal(e)
					if err != nil {
						t.Fatal(err)
					}
					raw, err := f.Invoke(context.Background(), payload)
					want := shape.queued
					if status != 200 {
						want = ""
					}
					if got := short(w.take(w.queue)); err != nil || !strings.Contains(string(raw), fmt.Sprintf(`"statusCode":%d`, status)) || got != want {
						t.Errorf("%s, secret %q in a field: %v, base64: %v: %s, %v, queued %q; want %d and %q", name, secret, inField, encoded, raw, err, got, status, want)
					}
				}
			}
		}
	}
}

// A previous secret that cannot be read leaves the current one valid, and is
// looked for again after half a minute.
func TestIngest_AnUnreadablePreviousSecretHidesNotTheCurrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	put := func(id, document string) {
		if err := w.aws.Secrets.Put(context.Background(), "t/supersaas/webhook", strings.Repeat(id, 32), []byte(document), secretstore.Current); err != nil {
			t.Fatal(err)
		}
	}
	put("5", "invented-and-not-JSON")
	put("6", `{"current":"`+hookSecret+`"}`)
	f := w.function("ingest", nil)
	reads := func() int { return w.aws.Calls()["secretsmanager.GetSecretValue"] }
	for _, step := range []struct {
		after time.Duration
		reads int
	}{{0, 2}, {29 * time.Second, 2}, {time.Second, 4}} {
		w.now = w.now.Add(step.after)
		raw, err := f.Invoke(context.Background(), event(t, "ingest", "user-change"))
		if err != nil || !strings.Contains(string(raw), `"statusCode":200`) || reads() != step.reads {
			t.Errorf("answer %s, %v, after %d reads; want 200 and %d", raw, err, reads(), step.reads)
		}
	}
	if log := w.out.String(); !strings.Contains(log, "the previous one cannot be read") || strings.Contains(log, "invented-and") || strings.Contains(log, hookSecret) {
		t.Errorf("log: %s", log)
	}
}

// If the queue takes one message of an array and refuses the other, nothing is
// acknowledged.
func TestIngest_AMessageThatTheQueueRefusesIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.environ("ingest", nil)
	e.AWS = partly{e.AWS}
	f, err := relayfn.New(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := f.Invoke(context.Background(), event(t, "ingest", "user-array"))
	if err != nil || !strings.Contains(string(raw), `"statusCode":503`) || !strings.Contains(w.out.String(), "the queue refused 1 (InternalError)") {
		t.Errorf("answer %s, %v, want 503\n%s", raw, err, w.out)
	}
}

// partly says of the last message of each batch that it was not taken.
type partly struct{ http.RoundTripper }

func (p partly) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.RoundTripper.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".SendMessageBatch") {
		return response, err
	}
	var answer struct{ Successful, Failed []map[string]any }
	err = errors.Join(json.NewDecoder(response.Body).Decode(&answer), response.Body.Close())
	last := len(answer.Successful) - 1
	answer.Failed = []map[string]any{{"Id": answer.Successful[last]["Id"], "Code": "InternalError", "SenderFault": false}}
	answer.Successful = answer.Successful[:last]
	raw, _ := json.Marshal(answer)
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	response.Header.Del("Content-Length")
	return response, err
}

// A body in base64 above the cap is refused by its length: what is after the
// cap is not even looked at, and does not make a shorter one of it.
func TestIngest_RefusesALargeBodyInBase64(t *testing.T) {
	t.Parallel()
	const valid = `{"event":"change","id":7}`
	encoded := func(n int) string {
		return base64.StdEncoding.EncodeToString([]byte(valid + strings.Repeat(" ", n-len(valid))))
	}
	for name, c := range map[string]struct{ body, want, queued string }{
		"at the cap":         {encoded(ingest.MaxBody), `"statusCode":200`, "7 change"},
		"a byte above":       {encoded(ingest.MaxBody + 1), `"statusCode":400`, ""},
		"garbage far behind": {encoded(2*ingest.MaxBody) + "!", `"statusCode":400`, ""},
	} {
		w := newWorld(t)
		payload, _ := json.Marshal(map[string]any{
			"version": "2.0", "requestContext": map[string]any{"http": map[string]any{}, "requestId": "r"},
			"pathParameters": map[string]string{"secret": hookSecret}, "body": c.body, "isBase64Encoded": true,
		})
		raw, err := w.function("ingest", nil).Invoke(context.Background(), payload)
		if got := short(w.take(w.queue)); err != nil || !strings.Contains(string(raw), c.want) || got != c.queued {
			t.Errorf("%s: answer %s, %v, queued %q; want %s and %q", name, raw, err, got, c.want, c.queued)
		}
		if tooLarge := strings.Contains(w.out.String(), `"reason":"too_large"`); tooLarge != (c.queued == "") {
			t.Errorf("%s: counted as too large: %v", name, tooLarge)
		}
	}
}

// A user whose member is gone ends in the dead-letter queue; once somebody has
// brought the member back, a redrive brings the change to Yappli.
func TestRelay_AMissingMemberWaitsForARedrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.index()
	user := w.shop.AddUser(map[string]any{"name": "redrive@mail.example", "full_name": "見本"})
	if left := w.relay(w.function("relay", nil), user); left != 0 {
		t.Fatalf("%d messages left", left)
	}
	member := w.member(user)
	w.crm.MissingStatus = http.StatusNotFound
	w.crm.Delete(member.ID)
	w.shop.ChangeUser(user, map[string]any{"full_name": "見本 試子"})
	w.take(w.queue)
	if left := w.relay(w.function("relay", nil), user); left != 0 {
		t.Fatalf("%d messages left, want them in the dead-letter queue", left)
	}
	if w.member(user).ID != "" || !strings.Contains(w.out.String(), `"class":"member_missing"`) || strings.Contains(w.out.String(), "見本") {
		t.Errorf("member %+v\n%s", w.member(user), w.out)
	}
	w.crm.Put(member)
	dead, users, err := w.function("ingest", nil).Queues()
	if err != nil {
		t.Fatal(err)
	}
	if done, err := admin.Redrive(context.Background(), dead, users, admin.Selection{}); err != nil || done != (admin.Redriven{Sent: 1}) {
		t.Fatalf("Redrive = %+v, %v", done, err)
	}
	if sent := short(w.take(w.queue)); sent != fmt.Sprintf("%d redrive", user) {
		t.Errorf("sent %q", sent)
	}
	if left := w.relay(w.function("relay", nil), user); left != 0 || w.member(user).Values["column01"] != "見本 試子" {
		t.Errorf("%d messages left, member %+v", left, w.member(user))
	}
}

// In observe mode a user is reported, and neither a member nor a row is made.
func TestRelay_ObservesAndWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.index()
	user := w.shop.AddUser(map[string]any{"name": "observe@mail.example", "full_name": "見本 試子"})
	before := w.aws.Calls()["s3.PutObject"]
	if left := w.relay(w.function("relay", map[string]string{"HIKYAKU_RELAY": "observe", "HIKYAKU_LOG_LEVEL": "INFO"}), user); left != 0 {
		t.Errorf("%d messages left", left)
	}
	if w.member(user).ID != "" || w.aws.Calls()["s3.PutObject"] != before {
		t.Errorf("member %+v, calls %v", w.member(user), w.aws.Calls())
	}
	if out := w.out.String(); !strings.Contains(out, `"outcome":"would_create"`) || strings.Contains(out, "見本") {
		t.Error(out)
	}
	if left := w.relay(w.function("relay", nil), user); left != 0 || w.member(user).ID == "" {
		t.Errorf("writing afterwards: %d messages left, member %+v", left, w.member(user))
	}
}

// More disablings than the cap in an hour stop all; the messages stay, and go
// on once a person has released it, as 'hikyaku relay release' does.
func TestRelay_TheCapStopsDisablingUntilItIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.index()
	var users []int64
	for i := range 4 {
		users = append(users, w.shop.AddUser(map[string]any{"name": fmt.Sprintf("cap%d@mail.example", i)}))
	}
	f := w.function("relay", map[string]string{"HIKYAKU_DISABLE_CAP": "2"})
	if left := w.relay(f, users...); left != 0 {
		t.Fatalf("%d messages left", left)
	}
	enabled := func() (n int) {
		for _, u := range users {
			if w.member(u).Values["enabled"] == "1" {
				n++
			}
		}
		return n
	}
	for _, u := range users {
		w.shop.DeleteUser(u)
	}
	for range 2 {
		if left := w.relay(f, users...); left != 2 || enabled() != 2 {
			t.Fatalf("%d messages left, %d members enabled, want 2 and 2", left, enabled())
		}
		w.now = w.now.Add(2 * time.Hour) // time alone releases nothing
	}
	if !strings.Contains(w.out.String(), `"outcome":"disabling_stopped"`) {
		t.Error("no metric says that disabling is stopped")
	}
	stack, err := w.function("reconcile", nil).Tenant(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if stopped, err := stack.State.Disabling.Release(context.Background()); err != nil || !stopped {
		t.Fatalf("Release = %v, %v", stopped, err)
	}
	if left := w.relay(f, users...); left != 0 || enabled() != 0 {
		t.Errorf("after the release %d messages left, %d members enabled", left, enabled())
	}
}
