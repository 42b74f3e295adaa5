package cloudwatchtest_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/cloudwatchtest"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const (
	root       = "../.."
	hookSecret = "invented-webhook-secret-000000000"
	records    = 25 // of each list: enough for a share of users to mean something
)

// A shop is one stack of template.yaml: all five functions with the template's settings
// on a local AWS, the sandboxes of the five providers, and alarms in an account. All of
// it lives in virtual time.
type shop struct {
	*testing.T

	stack cloudwatchtest.Stack

	account   *cloudwatchtest.Account
	template  prove.Template
	aws       *awslocal.AWS
	sandboxes map[string]faultySandbox
	gateway   http.Handler
	groups    map[string]*logGroup // by the last part of their names
	vars      map[string]string    // in place of the template's
	slots     map[string]int       // of functions that may run so often at once; others: 100
	// instead answers a function's request in place of a provider; nil, or no answer: that
	// does.
	instead func(function string, r *http.Request) *http.Response
	quiet   bool            // nobody ticks
	cadence time.Duration   // of ticks; 0: the template's minute
	looks   time.Duration   // how often alarms are evaluated; 0: each minute, as CloudWatch does
	ctx     context.Context // of the schedules and pollers
	stop    context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	tokens  float64 // of the gateway's bucket
	filled  time.Time
}

// A faultySandbox is what all of them have beside localstack's part.
type faultySandbox interface {
	localstack.Sandbox
	Inject(...sandbox.Fault)
	SetFaults(sandbox.Faults)
	Client() *http.Client
}

// inShops runs f on a shop beside another one in the same account, in virtual time.
// change alters the template first; nil: not.
func inShops(t *testing.T, change func(prove.Template), f func(s, other *shop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		account := cloudwatchtest.NewAccount(2)
		template := prove.ReadTemplate(t, root)
		if change != nil {
			change(template)
		}
		s, other := newShop(t, account, template, "shop"), newShop(t, account, template, "other")
		defer func() {
			for _, each := range []*shop{s, other} {
				each.stop()
				_ = each.aws.Close()
				each.running.Wait()
			}
		}()
		f(s, other)
		if faults := account.Faults(); len(faults) > 0 {
			t.Errorf("%d lines that Lambda or CloudWatch would not have read: %s", len(faults), faults[0])
		}
	})
}

func newShop(t *testing.T, account *cloudwatchtest.Account, template prove.Template, name string) *shop {
	t.Helper()
	local, err := awslocal.New(awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{
		T: t, stack: account.Deploy(t, template, name), account: account, template: template, aws: local,
		sandboxes: map[string]faultySandbox{}, groups: map[string]*logGroup{}, vars: map[string]string{}, slots: map[string]int{},
	}
	s.ctx, s.stop = context.WithCancel(t.Context())
	for _, provider := range providers.Names() {
		made := localstack.NewSandbox(provider, sandbox.Options{Seed: prove.Seed(), Records: records, Rate: -1}).(faultySandbox) //nolint:forcetypeassert // all have it
		s.sandboxes[provider] = made
		s.secret(provider, secretstore.ConnectionPart, made.Connection("https://"+provider+".test").Document())
	}
	s.secret(providers.SuperSaaS, "webhook", []byte(`{"current":"`+hookSecret+`"}`))
	s.gateway = s.counted(local.Gateway(localstack.Ingest, "POST /webhook/{secret}"))
	s.booking().Poster = roundTrip(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		s.gateway.ServeHTTP(w, r)
		return w.Result(), nil
	})
	mapping := filepath.Join(t.TempDir(), "mapping.yaml")
	s.must(os.WriteFile(mapping, []byte("login_id: email\ncolumn01: full_name\ncolumn02: e164(mobile, \"JP\")\n"), 0o600))
	s.vars = map[string]string{
		"HIKYAKU_PREFIX": "t", "HIKYAKU_BUCKET": awslocal.Bucket, "AWS_REGION": awslocal.Region, "AWS_ENDPOINT_URL": local.URL,
		"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "HIKYAKU_TOKENREFRESH_FUNCTION": localstack.TokenRefresh + ":" + localstack.Readers,
		"HIKYAKU_STACK": s.resolve(template.At("Globals", "Function", "Environment", "Variables", "HIKYAKU_STACK")), "HIKYAKU_USER_AGENT": shoplinetest.Handle,
		"HIKYAKU_MAPPING_FILE": mapping, "HIKYAKU_RELAY": "write", "HIKYAKU_IDENTITY_PREFIX": "ss-", "HIKYAKU_WEBHOOK_URL": "https://api.test/webhook/",
		"HIKYAKU_WEBHOOK_SECRET_RULE_SINCE": time.Now().Format(time.RFC3339),
		"HIKYAKU_QUEUE_URL":                 s.queue("UserQueue", "DeadLetterQueue"), "HIKYAKU_DEAD_LETTER_QUEUE_URL": s.queue("DeadLetterQueue", ""),
	}
	return s
}

func (s *shop) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *shop) resolve(v any) string {
	s.Helper()
	text, err := s.stack.Resolve(v)
	s.must(err)
	return text
}

func (s *shop) booking() *supersaastest.Server {
	return s.sandboxes[providers.SuperSaaS].(*supersaastest.Server) //nolint:forcetypeassert // NewSandbox made it
}

func (s *shop) members() *yapplitest.Server {
	return s.sandboxes[providers.Yappli].(*yapplitest.Server) //nolint:forcetypeassert // NewSandbox made it
}

func (s *shop) secret(provider, part string, document []byte) {
	s.Helper()
	s.must(s.aws.Secrets.Create(s.Context(), secretstore.Name("t", provider, part), uuid.NewString(), document))
}

// put is a person who stores another version of a secret.
func (s *shop) put(provider, part string, document []byte) {
	s.Helper()
	s.must(s.aws.Secrets.Put(s.Context(), secretstore.Name("t", provider, part), uuid.NewString(), document, secretstore.Current))
}

// queueName is a queue's in the local AWS, which wants the ending.
func (s *shop) queueName(resource string) string { return s.stack.Physical(resource) + ".fifo" }

// queue makes a queue with the template's times.
func (s *shop) queue(resource, dead string) string {
	s.Helper()
	at := func(keys ...string) string {
		return s.template.Value(s.template.At(append([]string{"Resources", resource, "Properties"}, keys...)...))
	}
	attributes := map[string]string{"MessageRetentionPeriod": at("MessageRetentionPeriod")}
	if dead != "" {
		s.queue(dead, "")
		attributes["VisibilityTimeout"] = at("VisibilityTimeout")
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%q}`, awslocal.QueueARN(s.queueName(dead)), at("RedrivePolicy", "maxReceiveCount"))
	}
	url, err := s.aws.CreateQueue(s.queueName(resource), attributes)
	s.must(err)
	return url
}

// start registers the functions, whose log lines go to the account, with the settings
// as they are now, and begins ticks, queue and measurements.
func (s *shop) start() {
	s.Helper()
	level := fmt.Sprint(s.template.At("Globals", "Function", "LoggingConfig", "ApplicationLogLevel"))
	for _, name := range localstack.Functions() {
		resource := localstack.Resource(name)
		vars := s.template.Variables(resource)
		maps.Copy(vars, s.vars)
		out := io.MultiWriter(s.account.Log(level), s.group(resource, level))
		e := lambdafn.Environ{Vars: vars, Out: out, HTTP: s.providers(name), AWS: s.aws.Client().Transport}
		compose := func(io.Writer) (lambda.Handler, error) {
			made, err := compose(s.ctx, name, e)
			return measured{s, resource, out, made}, err
		}
		slots := 100
		if n, limited := s.slots[name]; limited {
			slots = n
		}
		s.must(s.aws.Register(awslocal.Function{Name: name, Aliases: localstack.Aliases(name), Compose: compose, Timeout: localstack.Timeout(name), Concurrency: slots}))
	}
	s.running.Go(func() {
		_ = s.aws.Poll(s.ctx, awslocal.Mapping{Queue: s.queueName("UserQueue"), Function: localstack.Relay, BatchSize: 10, MaxConcurrency: 2})
	})
	s.running.Go(func() { // at the begin of each minute, as its first event
		for minute := 0; ; minute++ {
			s.sample()
			if every := int(max(s.cadence, time.Minute) / time.Minute); !s.quiet && minute%every == 0 {
				s.running.Go(s.tick)
			}
			if minute%max(5, int(s.cadence/time.Minute)) == 0 { // PauseWatch, which nothing pauses
				s.running.Go(func() { _, _ = s.invoke(localstack.TokenRefresh+":"+localstack.Watch, `{"action":"watch_pauses"}`) })
			}
			if !sandbox.Pause(s.ctx, time.Minute) {
				return
			}
		}
	})
}

// group is the log group of a function.
func (s *shop) group(resource, level string) *logGroup {
	s.Helper()
	of := fmt.Sprint(s.template.At("Resources", resource, "Properties", "LoggingConfig", "LogGroup", "Ref"))
	name, made := s.resolve(s.template.At("Resources", of, "Properties", "LogGroupName")), &logGroup{level: level}
	short, is := strings.CutPrefix(name, "/hikyaku/"+s.stack.Name+"/")
	if !is {
		s.Fatalf("%s logs into %s", resource, name)
	}
	s.groups[short] = made
	return made
}

// compose is a function as its binary composes it.
func compose(ctx context.Context, name string, e lambdafn.Environ) (lambda.Handler, error) {
	switch localstack.Command(name) {
	case "tokenrefresh":
		return refreshfn.New(ctx, e)
	case "webhookrelay":
		return relayfn.New(ctx, e)
	}
	return exportfn.New(ctx, e)
}

// providers sends a function's requests to the sandbox that their host names.
func (s *shop) providers(function string) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if s.instead != nil {
			if answer := s.instead(function, r); answer != nil {
				return answer, nil
			}
		}
		name, _, _ := strings.Cut(r.URL.Host, ".")
		of := s.sandboxes[name]
		if of == nil {
			return nil, fmt.Errorf("no sandbox at %s", r.URL.Host)
		}
		return of.Client().Transport.RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip calls it.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// says is an answer.
func says(r *http.Request, status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r, ProtoMajor: 1, ProtoMinor: 1}
}

// measured is a function whose invocations and errors Lambda counts.
type measured struct {
	shop     *shop
	resource string
	out      io.Writer
	lambda.Handler
}

// reached is set by the function that a gateway's request reaches.
type reached struct{}

// Invoke counts by the function, and by the alias that was called.
func (m measured) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	if did, ok := ctx.Value(reached{}).(*atomic.Bool); ok {
		did.Store(true)
	}
	sets := []map[string]string{{"FunctionName": m.shop.stack.Physical(m.resource)}}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		if parts := strings.Split(lc.InvokedFunctionArn, ":"); len(parts) == 8 {
			sets = append(sets, map[string]string{"FunctionName": m.shop.stack.Physical(m.resource), "Resource": m.shop.stack.Physical(m.resource) + ":" + parts[7]})
		}
	}
	began := time.Now()
	answer, err := m.Handler.Invoke(ctx, event)
	if err != nil { // as the Lambda library writes it, by the logger that lambdafn.Main gives it
		_, _ = fmt.Fprintf(m.out, `{"timestamp":%q,"level":"ERROR","message":%q}`+"\n", time.Now().Format(time.RFC3339Nano), err.Error())
	}
	for _, dimensions := range sets {
		m.shop.account.Put(began, "AWS/Lambda", "Invocations", 1, dimensions)
		if err != nil {
			m.shop.account.Put(began, "AWS/Lambda", "Errors", 1, dimensions)
		}
	}
	return answer, err
}

// invoke calls a function or an alias of one. Where no concurrency is left Lambda
// counts that.
func (s *shop) invoke(function, event string) (awslocal.Result, error) {
	result, err := s.aws.Invoke(s.ctx, function, []byte(event))
	if name, _, _ := strings.Cut(function, ":"); err != nil {
		s.throttled(name)
	}
	return result, err
}

func (s *shop) throttled(function string) {
	s.account.Put(time.Now(), "AWS/Lambda", "Throttles", 1, map[string]string{"FunctionName": s.stack.Physical(localstack.Resource(function))})
}

// tick is the schedule's.
func (s *shop) tick() {
	_, _ = s.invoke(localstack.TokenRefresh+":"+localstack.Schedule, `{"source":"aws.scheduler"}`)
}

// counted is API Gateway before the local one: it takes no more than the template's
// rate and burst, and counts.
func (s *shop) counted(next http.Handler) http.Handler {
	limit := func(name string) float64 {
		return float64(s.template.Number(s, "Resources", "WebhookApi", "Properties", "DefaultRouteSettings", name))
	}
	rate, burst := limit("ThrottlingRateLimit"), limit("ThrottlingBurstLimit")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now, answer := time.Now(), httptest.NewRecorder()
		s.mu.Lock()
		if s.filled.IsZero() {
			s.tokens, s.filled = burst, now
		}
		s.tokens = min(burst, s.tokens+rate*now.Sub(s.filled).Seconds())
		s.filled = now
		throttled := s.tokens < 1
		if !throttled {
			s.tokens--
		}
		s.mu.Unlock()
		if throttled {
			answer.WriteHeader(http.StatusTooManyRequests)
		} else {
			var did atomic.Bool
			next.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), reached{}, &did)))
			if answer.Code >= 500 && !did.Load() {
				s.throttled(localstack.Ingest)
			}
		}
		of := map[string]string{"ApiId": s.stack.Physical("WebhookApi")}
		s.account.Put(now, "AWS/ApiGateway", "Count", 1, of)
		if answer.Code >= 500 {
			s.account.Put(now, "AWS/ApiGateway", "5xx", 1, of)
		} else if answer.Code >= 400 {
			s.account.Put(now, "AWS/ApiGateway", "4xx", 1, of)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = answer.Body.WriteTo(w)
	})
}

// webhook posts one, and returns the status of the answer.
func (s *shop) webhook(secret, body string) int {
	r := httptest.NewRequest(http.MethodPost, "https://api.test/webhook/"+secret, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.gateway.ServeHTTP(w, r)
	return w.Code
}

// sample is what SQS measures each minute.
func (s *shop) sample() {
	for _, resource := range []string{"UserQueue", "DeadLetterQueue"} {
		visible, oldest, err := s.aws.QueueMetrics(s.queueName(resource))
		if err != nil {
			s.Error(err)
		}
		of := map[string]string{"QueueName": s.stack.Physical(resource)}
		s.account.Put(time.Now(), "AWS/SQS", "ApproximateNumberOfMessagesVisible", float64(visible), of)
		s.account.Put(time.Now(), "AWS/SQS", "ApproximateAgeOfOldestMessage", oldest.Seconds(), of)
	}
}

// pass lets time go on by minutes, at whose ends alarms are evaluated.
func (s *shop) pass(d time.Duration) { s.passUntil(d, func() bool { return false }) }

func (s *shop) passUntil(d time.Duration, done func() bool) bool {
	for end := time.Now().Add(d); ; {
		synctest.Wait()
		s.account.Evaluate(time.Now())
		if done() {
			return true
		}
		if !time.Now().Before(end) {
			return false
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(max(s.looks, time.Minute))))
	}
}

// becomes waits until alarms are in a state.
func (s *shop) becomes(state cloudwatchtest.State, within time.Duration, alarms ...string) {
	s.Helper()
	in := func() bool {
		for _, alarm := range alarms {
			if s.account.State(s.stack.Physical(alarm)) != state {
				return false
			}
		}
		return true
	}
	if !s.passUntil(within, in) {
		for _, alarm := range alarms {
			if got := s.account.State(s.stack.Physical(alarm)); got != state {
				s.Errorf("%s is %s after %s, want %s", alarm, got, within, state)
			}
		}
	}
}

// stays lets time pass in which alarms do not leave ALARM, because their cause lasts.
func (s *shop) stays(d time.Duration, alarms ...string) {
	s.Helper()
	began := time.Now()
	s.passUntil(d, func() bool {
		for _, alarm := range alarms {
			if got := s.account.State(s.stack.Physical(alarm)); got != cloudwatchtest.Alarm {
				s.Errorf("%s is %s after %s, though its cause lasts", alarm, got, time.Since(began))
				return true
			}
		}
		return false
	})
}

// rang are the alarms of the stack that rang, by their names in the template.
func (s *shop) rang() (names []string) {
	for _, name := range s.account.Rang() {
		if resource, of := strings.CutPrefix(name, s.stack.Name+"-"); of {
			names = append(names, resource)
		}
	}
	slices.Sort(names)
	return names
}
