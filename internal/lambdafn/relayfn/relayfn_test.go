package relayfn_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const (
	hookSecret = "local-webhook-secret-000000000000" // as in the event files
	eventsDir  = "../../../events/webhookrelay"
)

// A world is a local AWS with two sandboxes, called in-process.
type world struct {
	t     *testing.T
	aws   *awslocal.AWS
	shop  *supersaastest.Server
	crm   *yapplitest.Server
	queue string
	dead  string
	out   *prove.Log
	now   time.Time
}

// byHost sends a request to the sandbox that its host names.
type byHost struct{ w *world }

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "yappli.test" {
		return b.w.crm.Client().Transport.RoundTrip(r)
	}
	return b.w.shop.Client().Transport.RoundTrip(r)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	local, err := awslocal.New(awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = local.Close() })
	w := &world{
		t: t, aws: local, out: &prove.Log{}, now: time.Now(),
		shop: supersaastest.New(sandbox.Options{Records: 30, Rate: -1}),
		crm:  yapplitest.New(sandbox.Options{Records: 30, Rate: -1}),
	}
	w.dead = w.newQueue("dead.fifo")
	w.queue = w.newQueue("users.fifo")
	crm := w.crm.Token("http://yappli.test")
	crm.Quirks = json.RawMessage(`{"update":"partial"}`)
	w.secret("t/supersaas/token", w.shop.Token("http://supersaas.test").Document())
	w.secret("t/yappli/token", crm.Document())
	w.secret("t/supersaas/webhook", []byte(`{"current":"`+hookSecret+`"}`))
	return w
}

func (w *world) newQueue(name string) string {
	w.t.Helper()
	url, err := w.aws.CreateQueue(name, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return url
}

func (w *world) secret(name string, document []byte) {
	w.t.Helper()
	id := fmt.Sprintf("%-32s-version-of-this-secret", strings.ReplaceAll(name, "/", "-"))
	if err := w.aws.Secrets.Create(context.Background(), name, strings.ReplaceAll(id, " ", "x"), document); err != nil {
		w.t.Fatal(err)
	}
}

// vars are good settings of a role; changes replace some, "" takes one away.
func (w *world) vars(role string, changes map[string]string) map[string]string {
	vars := map[string]string{
		"AWS_ENDPOINT_URL": w.aws.URL, "AWS_REGION": awslocal.Region, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"HIKYAKU_PREFIX": "t", "HIKYAKU_BUCKET": awslocal.Bucket, "HIKYAKU_ROLE": role,
		"HIKYAKU_QUEUE_URL": w.queue, "HIKYAKU_DEAD_LETTER_QUEUE_URL": w.dead,
		"HIKYAKU_MAPPING_FILE": "../../../config/mapping.yaml", "HIKYAKU_RELAY": "write", "HIKYAKU_IDENTITY_PREFIX": "ss-",
		"HIKYAKU_SUPERSAAS_RATE": "100000", "HIKYAKU_YAPPLI_RATE": "100000",
	}
	maps.Copy(vars, changes)
	maps.DeleteFunc(vars, func(_, v string) bool { return v == "" })
	return vars
}

func (w *world) environ(role string, changes map[string]string) lambdafn.Environ {
	return lambdafn.Environ{
		Vars: w.vars(role, changes), Out: w.out, HTTP: byHost{w}, AWS: w.aws.Client().Transport, Now: func() time.Time { return w.now },
	}
}

func (w *world) function(role string, changes map[string]string) *relayfn.Function {
	w.t.Helper()
	f, err := relayfn.New(context.Background(), w.environ(role, changes))
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func event(t *testing.T, role, name string) []byte {
	t.Helper()
	payload, err := os.ReadFile(filepath.Join(eventsDir+role, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// names lists a role's event files.
func names(t *testing.T, role string) (list []string) {
	t.Helper()
	files, err := filepath.Glob(eventsDir + role + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no event files for %s: %v", role, err)
	}
	for _, f := range files {
		list = append(list, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return list
}

// isRefused checks the error of an event that must be refused with a text; empty:
// it must not.
func isRefused(t *testing.T, want string, err error) bool {
	t.Helper()
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Fatalf("err = %v, want %q", err, want)
	}
	return want != ""
}

// take receives everything a queue shows, by user and event.
func (w *world) take(url string) (list []queue.Message) {
	w.t.Helper()
	client := sqs.New(sqs.Options{
		BaseEndpoint: &w.aws.URL, Region: awslocal.Region, HTTPClient: w.aws.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	for {
		out, err := client.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return list
		}
		for _, m := range out.Messages {
			var message queue.Message
			if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &message); err != nil {
				w.t.Fatal(err)
			}
			list = append(list, message)
			if _, err := client.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func short(messages []queue.Message) string {
	var list []string
	for _, m := range messages {
		s := fmt.Sprintf("%d %s", m.User, m.Event)
		if m.Deleted {
			s += " deleted"
		}
		list = append(list, s)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func TestIngest_EveryEventFile(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		status int
		queued string
	}{
		"user-new":               {200, "20450001 new"},
		"user-change":            {200, "20450004 change"},
		"user-delete":            {200, "20450007 delete deleted"},
		"user-change-deleted":    {200, "20450007 change deleted"},
		"user-array":             {200, "20450001 new, 20450004 change, 20450007 delete deleted"},
		"user-base64":            {200, "20450004 change"},
		"user-form":              {200, "20450004 change"},
		"purchase":               {200, "20450016 purchase"},
		"purchase-without-user":  {200, ""},
		"appointment-create":     {200, "20450010 create"},
		"appointment-destroy":    {200, "20450010 destroy deleted"},
		"appointment-by-admin":   {200, ""},
		"appointment-capacity":   {200, "20450013 edit"},
		"form-change":            {200, "20450019 change"},
		"unknown-event":          {200, ""},
		"error-wrong-secret":     {401, ""},
		"error-no-secret":        {401, ""},
		"error-empty-body":       {400, ""},
		"error-not-json":         {400, ""},
		"error-array-of-numbers": {400, ""},
		"error-bad-base64":       {400, ""},
		"error-too-large":        {400, ""},
	}
	refused := map[string]string{
		"error-queue-event":    "this event is for the role relay; expected an API Gateway HTTP API event",
		"error-schedule":       "this event is for the role reconcile; expected an API Gateway HTTP API event",
		"error-rest-api-event": "unknown kind of event; expected an API Gateway HTTP API event",
	}
	for _, name := range names(t, "ingest") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			raw, err := w.function("ingest", nil).Invoke(context.Background(), event(t, "ingest", name))
			if isRefused(t, refused[name], err) {
				return
			}
			want, ok := answers[name]
			if !ok {
				t.Fatal("no expectation for this event file")
			}
			var answer events.APIGatewayV2HTTPResponse
			if err != nil || json.Unmarshal(raw, &answer) != nil {
				t.Fatalf("answer %s, %v", raw, err)
			}
			if answer.StatusCode != want.status || answer.Headers["retry-after"] != "" || answer.Body == "" {
				t.Errorf("answer = %s, want status %d", raw, want.status)
			}
			if got := short(w.take(w.queue)); got != want.queued {
				t.Errorf("queued %q, want %q", got, want.queued)
			}
			for _, leak := range []string{hookSecret, "mail.example", "山田", "佐藤"} {
				if strings.Contains(w.out.String(), leak) {
					t.Errorf("the log holds %q", leak)
				}
			}
		})
	}
}

func TestIngest_SecretRotatesWithoutAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.function("ingest", nil)
	status := func(secret string) int {
		payload := strings.ReplaceAll(string(event(t, "ingest", "user-change")), hookSecret, secret)
		raw, err := f.Invoke(context.Background(), []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		var answer events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(raw, &answer); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode
	}
	check := func(when string, want map[string]int) {
		t.Helper()
		for secret, code := range want {
			if got := status(secret); got != code {
				t.Errorf("%s: secret %s answered %d, want %d", when, secret, got, code)
			}
		}
	}
	put := func(id, secret string) {
		if err := w.aws.Secrets.Put(context.Background(), "t/supersaas/webhook", id, []byte(`{"current":"`+secret+`"}`), secretstore.Current); err != nil {
			t.Fatal(err)
		}
	}
	check("at first", map[string]int{hookSecret: 200, "second": 401})
	put("22222222-2222-2222-2222-222222222222", "second")
	w.now = w.now.Add(5*time.Minute - time.Second)
	check("cached", map[string]int{hookSecret: 200, "second": 401})
	w.now = w.now.Add(time.Second)
	check("rotated", map[string]int{hookSecret: 200, "second": 200, "third": 401})
	put("33333333-3333-3333-3333-333333333333", "third")
	w.now = w.now.Add(5 * time.Minute)
	check("rotated again", map[string]int{hookSecret: 401, "second": 200, "third": 200})
	w.aws.Inject(sandbox.Fault{Route: "secretsmanager.GetSecretValue", Kind: sandbox.ServerFail, Times: -1})
	w.now = w.now.Add(time.Hour)
	check("without the store", map[string]int{"second": 200, "third": 200, "fourth": 401})
}

func TestIngest_UnsetSecretIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{"placeholder": `{}`, "empty": `{"current":""}`, "no JSON": `plain`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if err := w.aws.Secrets.Put(context.Background(), "t/supersaas/webhook", "44444444-4444-4444-4444-444444444444", []byte(document), secretstore.Current, secretstore.Previous); err != nil {
				t.Fatal(err)
			}
			raw, err := w.function("ingest", nil).Invoke(context.Background(), event(t, "ingest", "user-change"))
			if err != nil || !strings.Contains(string(raw), `"statusCode":503`) || !strings.Contains(string(raw), `"retry-after":"30"`) {
				t.Errorf("answer %s, %v, want 503 with retry-after", raw, err)
			}
			if !strings.Contains(w.out.String(), `"reason":"no_secret"`) {
				t.Error("no metric says that the secret is missing")
			}
		})
	}
}

func TestIngest_NothingIsAcknowledgedBeforeItIsDurable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.function("ingest", map[string]string{"HIKYAKU_QUEUE_URL": w.aws.URL + "/000000000000/missing.fifo"})
	raw, err := f.Invoke(context.Background(), event(t, "ingest", "user-change"))
	if err != nil || !strings.Contains(string(raw), `"statusCode":503`) {
		t.Errorf("answer %s, %v, want 503", raw, err)
	}
}

// index runs a first reconcile and empties the queue.
func (w *world) index() {
	w.t.Helper()
	raw, err := w.function("reconcile", nil).Invoke(context.Background(), event(w.t, "reconcile", "step-functions"))
	if err != nil || !strings.Contains(string(raw), `"status":"done"`) {
		w.t.Fatalf("reconcile: %s, %v", raw, err)
	}
	w.take(w.queue)
}

func TestRelay_EveryEventFile(t *testing.T) {
	t.Parallel()
	outcomes := map[string]struct {
		answer  string
		members int // that the relay made
		dead    string
	}{
		"user-change":     {`{"batchItemFailures":[]}`, 1, ""},
		"user-deleted":    {`{"batchItemFailures":[]}`, 0, ""}, // nobody has that number
		"batch":           {`{"batchItemFailures":[]}`, 3, ""},
		"forced":          {`{"batchItemFailures":[]}`, 1, ""},
		"redriven":        {`{"batchItemFailures":[]}`, 1, ""},
		"received-before": {`{"batchItemFailures":[]}`, 1, ""},
		"error-poison":    {`{"batchItemFailures":[]}`, 1, "0 "},
	}
	refused := map[string]string{
		"error-other-queue":   "unknown kind of event; expected a batch of an SQS queue",
		"error-webhook-event": "this event is for the role ingest; expected a batch of an SQS queue",
		"error-schedule":      "this event is for the role reconcile; expected a batch of an SQS queue",
		"error-not-an-object": "not a JSON object",
	}
	for _, name := range names(t, "relay") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.index()
			before := len(w.crm.Members())
			raw, err := w.function("relay", nil).Invoke(context.Background(), event(t, "relay", name))
			if isRefused(t, refused[name], err) {
				return
			}
			want, ok := outcomes[name]
			if !ok {
				t.Fatal("no expectation for this event file")
			}
			if err != nil || string(raw) != want.answer {
				t.Fatalf("answer %s, %v, want %s\n%s", raw, err, want.answer, w.out)
			}
			if made := len(w.crm.Members()) - before; made != want.members {
				t.Errorf("%d members made, want %d\n%s", made, want.members, w.out)
			}
			if got := short(w.take(w.dead)); got != want.dead {
				t.Errorf("dead letters %q, want %q", got, want.dead)
			}
		})
	}
}

func TestRelay_WithoutATokenTheBatchWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.aws.Secrets.Put(context.Background(), "t/yappli/token", "55555555-5555-5555-5555-555555555555", []byte(`{}`), secretstore.Current); err != nil {
		t.Fatal(err)
	}
	raw, err := w.function("relay", nil).Invoke(context.Background(), event(t, "relay", "batch"))
	var answer events.SQSEventResponse
	if err != nil || json.Unmarshal(raw, &answer) != nil || len(answer.BatchItemFailures) != 4 {
		t.Fatalf("answer %s, %v, want all four unfinished", raw, err)
	}
}

func TestRelay_PostponesThroughTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // no index yet: a creation waits
	ingest := w.function("ingest", nil)
	if _, err := ingest.Invoke(context.Background(), event(t, "ingest", "user-new")); err != nil {
		t.Fatal(err)
	}
	if err := w.aws.Register(awslocal.Function{Name: "relay", Handler: w.function("relay", nil), Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { _ = w.aws.Poll(ctx, awslocal.Mapping{Queue: "users.fifo", Function: "relay", BatchSize: 10}) }()
	deadline := time.Now().Add(5 * time.Second)
	for !strings.Contains(w.out.String(), "awaiting_list") && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if !strings.Contains(w.out.String(), "awaiting_list") || w.aws.Calls()["sqs.ChangeMessageVisibility"] == 0 {
		t.Errorf("calls = %v\n%s", w.aws.Calls(), w.out)
	}
	if got := w.take(w.queue); len(got) != 0 {
		t.Errorf("the message is visible at once: %v", got)
	}
}
