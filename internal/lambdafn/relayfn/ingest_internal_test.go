package relayfn

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/queue"
)

const benchSecret = "invented-webhook-secret-00000000"

// A copying queue is the double that line 7 names: durable as a copy is.
type copying struct {
	sent []queue.Envelope
	body bytes.Buffer
}

func (q *copying) Send(_ context.Context, envelopes ...queue.Envelope) error {
	q.sent = append(q.sent[:0], envelopes...)
	q.body.Reset()
	for _, e := range envelopes {
		q.body.Write(e.Body)
	}
	return nil
}

// A hanging queue answers nobody.
type hanging struct{}

func (hanging) Send(ctx context.Context, _ ...queue.Envelope) error {
	<-ctx.Done()
	return ctx.Err()
}

// A queue that hangs is one that is down: the sender is told so while it waits.
func TestIngest_AnswersThoughTheQueueHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _ := newIngest(t, hanging{})
		before := time.Now()
		raw, err := f.Invoke(t.Context(), invocations(t, 1)[0])
		var answer events.APIGatewayV2HTTPResponse
		if err != nil || json.Unmarshal(raw, &answer) != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Headers["retry-after"] == "" {
			t.Fatalf("answer = %s, %v, want 503 with Retry-After", raw, err)
		}
		if took := time.Since(before); took != answerWithin {
			t.Fatalf("answered after %v, want %v", took, answerWithin)
		}
	})
}

// newIngest composes the role with a local AWS in this process; a queue, if not
// nil, stands in the place of its own.
func newIngest(t testing.TB, queue queue.Queue) (*Function, *awslocal.AWS) {
	t.Helper()
	local, err := awslocal.New(awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = local.Close() })
	url, err := local.CreateQueue("users.fifo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := local.Secrets.Create(t.Context(), "t/supersaas/webhook", strings.Repeat("1", 32), []byte(`{"current":"`+benchSecret+`"}`)); err != nil {
		t.Fatal(err)
	}
	f, err := New(t.Context(), lambdafn.Environ{Vars: map[string]string{
		"AWS_ENDPOINT_URL": local.URL, "AWS_REGION": awslocal.Region, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"HIKYAKU_PREFIX": "t", "HIKYAKU_BUCKET": awslocal.Bucket, "HIKYAKU_ROLE": "ingest", "HIKYAKU_QUEUE_URL": url,
	}, Out: io.Discard, AWS: local.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	if queue != nil {
		f.ingest.Queue = queue
	}
	return f, local
}

// invocations are events as API Gateway hands them over, each with another body
// of 2 KB.
func invocations(t testing.TB, n int) [][]byte {
	t.Helper()
	list := make([][]byte, n)
	for i := range list {
		body := fmt.Sprintf(`{"id":%d,"fk":"c-%06d","created_on":"2026-03-02T01:15:09Z","role":3,"name":"user%06d@mail.example","full_name":"見本 試子%06d","credit":"-","email":"user%06d@mail.example","mobile":"090-0000-%04d","field_1":"ミホン シコ","address":"東京都千代田区見本町%d-1-1","updated_on":"2026-11-22T01:15:09Z","event":"change","super_field":"`,
			20450000+i, i, i, i, i, i%10000, i)
		body += strings.Repeat("x", 2048-len(body)-2) + `"}`
		event := events.APIGatewayV2HTTPRequest{
			Version: "2.0", RouteKey: "POST /webhook/{secret}", RawPath: "/webhook/" + benchSecret,
			Headers: map[string]string{
				"accept": "*/*", "content-length": fmt.Sprint(len(body)), "content-type": "application/json", "user-agent": "SuperSaaS",
				"host": "abcdef1234.execute-api.ap-northeast-1.amazonaws.com", "x-forwarded-for": "192.0.2.10", "x-forwarded-port": "443", "x-forwarded-proto": "https",
			},
			PathParameters: map[string]string{"secret": benchSecret}, Body: body,
		}
		event.RequestContext = events.APIGatewayV2HTTPRequestContext{
			AccountID: "123456789012", APIID: "abcdef1234", DomainName: "abcdef1234.execute-api.ap-northeast-1.amazonaws.com", DomainPrefix: "abcdef1234",
			RequestID: fmt.Sprintf("JKJaXmPLv%06d=", i), RouteKey: event.RouteKey, Stage: "$default", Time: "22/Nov/2026:01:15:09 +0000", TimeEpoch: 1795310109000,
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: http.MethodPost, Path: event.RawPath, Protocol: "HTTP/1.1", SourceIP: "192.0.2.10", UserAgent: "SuperSaaS"},
		}
		raw, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = raw
	}
	return list
}

// decode is the yardstick: the same bytes through encoding/json alone, the body
// into no more fields than ingest takes from it.
func decode(raw []byte) error {
	var event events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(raw, &event); err != nil {
		return err
	}
	var body struct {
		Event     string          `json:"event"`
		ID        json.Number     `json:"id"`
		UserID    json.RawMessage `json:"user_id"`
		SuperForm json.RawMessage `json:"super_form_id"`
		Deleted   bool            `json:"deleted"`
	}
	return json.Unmarshal([]byte(event.Body), &body)
}

// invoke hands an event to the whole role, which must accept it.
func invoke(f *Function) func([]byte) error {
	return func(raw []byte) error {
		answer, err := f.Invoke(context.Background(), raw)
		if err == nil && !bytes.Contains(answer, []byte(`"statusCode":200`)) {
			err = fmt.Errorf("answer %s", answer)
		}
		return err
	}
}

// timed does a slice of the invocations.
func timed(t *testing.T, do func([]byte) error, slice [][]byte) time.Duration {
	t.Helper()
	began := time.Now()
	for _, raw := range slice {
		if err := do(raw); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(began)
}

// ratio is the rate of do in parts of the yardstick's: the median over rounds,
// in which the two take turns at going first, so that what else the machine
// does falls on both.
func ratio(t *testing.T, do func([]byte) error, list [][]byte, rounds int) float64 {
	t.Helper()
	ratios := make([]float64, rounds)
	for i := range ratios {
		const size = 32
		slice := list[i*size%len(list):][:size]
		var took [2]time.Duration
		for n := range took {
			if which := (n + i) % 2; which == 0 {
				took[0] = timed(t, decode, slice)
			} else {
				took[1] = timed(t, do, slice)
			}
		}
		ratios[i] = took[0].Seconds() / took[1].Seconds()
	}
	slices.Sort(ratios)
	return ratios[rounds/2]
}

func TestProveIngest(t *testing.T) {
	list, rounds := invocations(t, 1024), prove.Size(4000, 200)
	double := &copying{}
	f, _ := newIngest(t, double)
	got := ratio(t, invoke(f), list, rounds)
	prove.Figure(t, got >= 0.7, fmt.Sprintf("ingest's rate, %d rounds of 32 invocations of 2 KB each way", rounds), "at least 0.7 of decoding them with encoding/json alone", "%.2f", got)
	if want := fmt.Sprintf(`{"user":"%d","event":"change","at":"2026-11-22T01:15:09Z"}`, 20450000+1023); invoke(f)(list[1023]) != nil || double.body.String() != want {
		t.Errorf("queued %s, want %s", double.body.String(), want)
	}
	count := func(do func([]byte) error) float64 { return testing.AllocsPerRun(100, func() { _ = do(list[0]) }) }
	allocations, yardstick := count(invoke(f)), count(decode)
	prove.Figure(t, allocations <= 110, "allocations of an ingest", "at most 110", "%.0f, and %.0f of the decoding alone", allocations, yardstick)

	real, local := newIngest(t, nil)
	sends := prove.Size(2000, 100)
	envelope := queue.Message{User: 1, At: time.Now()}
	began := time.Now()
	for i := range sends {
		if err := real.queue.Send(t.Context(), envelope.Envelope(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	each := time.Since(began) / time.Duration(sends)
	prove.Figure(t, local.Calls()["sqs.SendMessageBatch"] == sends, "the SDK's send, apart, with its request to a local AWS in the process", "one call each", "%v", each.Round(time.Microsecond))
}

// An ingest that looks at its event once more falls short.
func TestProveIngest_DecodingTwice(t *testing.T) {
	f, _ := newIngest(t, &copying{})
	again := func(raw []byte) error {
		var all any
		return errors.Join(json.Unmarshal(raw, &all), invoke(f)(raw))
	}
	got := ratio(t, again, invocations(t, 1024), prove.Size(1000, 50))
	prove.Figure(t, got < 0.7, "guard removed: an ingest that decodes the event twice", "must fall below 0.7", "%.2f", got)
}

func BenchmarkIngest(b *testing.B) {
	list := invocations(b, 512)
	double, _ := newIngest(b, &copying{})
	real, _ := newIngest(b, nil)
	for _, c := range []struct {
		name string
		do   func([]byte) error
	}{{"decode", decode}, {"ingest", invoke(double)}, {"with the SDK's send", invoke(real)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := c.do(list[i%len(list)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// FuzzInvoke takes an event as it is, and if body is not empty, that body in a
// good event, plain or in base64.
func FuzzInvoke(f *testing.F) {
	files, err := filepath.Glob("../../../events/webhookrelayingest/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no event files", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.ReplaceAll(raw, []byte("local-webhook-secret-000000000000"), []byte(benchSecret)), []byte(nil), false)
	}
	for _, body := range []string{`{"event":"change","id":1}`, `[{"event":"new","id":"2","deleted":1},{"event":"create","user_id":0}]`, `event=change&id=3`, "\xef\xbb\xbf{}", `{"id":1e99}`} {
		f.Add([]byte(nil), []byte(body), false)
		f.Add([]byte(nil), []byte(body), true)
	}
	double := &copying{}
	function, _ := newIngest(f, double)
	var good events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(invocations(f, 1)[0], &good); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw, body []byte, encoded bool) {
		if len(body) > 0 {
			event := good
			event.Body, event.IsBase64Encoded = string(body), encoded
			if encoded {
				event.Body = base64.StdEncoding.EncodeToString(body)
			}
			var err error
			if raw, err = json.Marshal(event); err != nil {
				t.Fatal(err)
			}
		}
		double.sent = nil
		answer, err := function.Invoke(t.Context(), raw)
		if err != nil {
			if len(double.sent) > 0 || len(body) > 0 {
				t.Fatalf("%v, with %d queued", err, len(double.sent))
			}
			return
		}
		var response events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(answer, &response); err != nil {
			t.Fatal(err)
		}
		if ok := response.StatusCode == http.StatusOK; !ok && (response.StatusCode != 400 && response.StatusCode != 401 || len(double.sent) > 0) {
			t.Fatalf("status %d with %d queued", response.StatusCode, len(double.sent))
		}
		for _, e := range double.sent {
			if m, err := queue.ParseMessage(e.Body); err != nil || e.Group != strconv.FormatInt(m.User, 10) {
				t.Fatalf("queued %s for %s: %v", e.Body, e.Group, err)
			}
		}
	})
}
