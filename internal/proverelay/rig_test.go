package proverelay

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const (
	root       = "../.."
	prefix     = "t"
	users      = "users.fifo"
	dead       = "dead.fifo"
	hookSecret = "invented-webhook-secret-000000000"
)

// mapping is short enough to be foretold: see wish.
const mapping = "login_id: email\ncolumn01: full_name\ncolumn02: field_2\n"

// options are what a proof changes of a rig.
type options struct {
	users, members int               // invented; negative: none
	workers        int               // RelayConcurrency; 0: the template's
	vars           map[string]string // of relay and reconcile, instead of the template's
	spare          int               // of Yappli's limit; see sandbox.Options
	lookup         bool              // Yappli finds members by unique_id
	allowed        float64           // requests per second that Yappli allows; 0: as the settings have it
	unlimited      bool              // sandboxes without a limit, and functions that know it
	latency        time.Duration     // of a provider; up to twice as much
	logs           io.Writer         // of ingest and relay; nil: nobody
	aws            func(http.RoundTripper) http.RoundTripper
	providers      func(http.RoundTripper) http.RoundTripper
}

// A rig is a stack of template.yaml on a local AWS, with the two providers.
type rig struct {
	*testing.T

	options  options
	template prove.Template
	aws      *awslocal.AWS
	shop     *supersaastest.Server
	crm      *yapplitest.Server
	relays   *instances
	ingests  *instances
	vars     map[string]string // common to all functions
	// instead answers a request in a provider's place; nil, or no answer: the
	// provider does.
	instead func(q *http.Request) *http.Response
	ctx     context.Context // of the schedules and pollers
	stop    context.CancelFunc
	running sync.WaitGroup
}

// inBubble runs f on a new rig in virtual time.
func inBubble(t *testing.T, o options, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, o)
		defer func() {
			r.stop()
			_ = r.aws.Close()
			r.running.Wait()
		}()
		f(r)
	})
}

func newRig(t *testing.T, o options) *rig {
	t.Helper()
	local, err := awslocal.New(awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rate := 0.0
	if o.unlimited {
		rate = -1
	}
	r := &rig{
		T: t, options: o, aws: local, template: prove.ReadTemplate(t, root),
		shop: supersaastest.New(sandbox.Options{Seed: prove.Seed(), Records: o.users, Rate: rate, Window: 10 * time.Second, Spare: o.spare}),
		crm:  yapplitest.New(sandbox.Options{Seed: prove.Seed(), Records: o.members, Rate: cmp.Or(o.allowed, rate), Window: 10 * time.Second, Spare: o.spare}),
	}
	r.crm.Lookup = o.lookup
	r.ctx, r.stop = context.WithCancel(t.Context())
	r.shop.Poster = roundTrip(func(q *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		local.Gateway(localstack.Ingest, "POST /webhook/{secret}").ServeHTTP(w, q)
		return w.Result(), nil
	})
	r.shop.AddHook(supersaastest.Hook{Trigger: "M", Target: "https://api.test/webhook/" + hookSecret})
	r.secret(providers.SuperSaaS, "webhook", []byte(`{"current":"`+hookSecret+`"}`))
	r.connect(r.shop.Connection(base(providers.SuperSaaS)))
	r.connect(r.crm.Connection(base(providers.Yappli)))
	file := filepath.Join(t.TempDir(), "mapping.yaml")
	if err := os.WriteFile(file, []byte(mapping), 0o600); err != nil {
		t.Fatal(err)
	}
	r.vars = map[string]string{
		"HIKYAKU_PREFIX": prefix, "HIKYAKU_BUCKET": awslocal.Bucket, "AWS_REGION": awslocal.Region, "AWS_ENDPOINT_URL": local.URL,
		"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "HIKYAKU_TOKENREFRESH_FUNCTION": localstack.TokenRefresh + ":" + localstack.Readers,
		"HIKYAKU_MAPPING_FILE": file, "HIKYAKU_RELAY": "write", "HIKYAKU_IDENTITY_PREFIX": "ss-", "HIKYAKU_LINK": "always", "HIKYAKU_IDENTITY_EDITABLE": "yes",
		"HIKYAKU_QUEUE_URL": r.queue("UserQueue", users, "DeadLetterQueue", dead), "HIKYAKU_DEAD_LETTER_QUEUE_URL": r.queue("DeadLetterQueue", dead),
	}
	for _, function := range localstack.Functions() {
		r.register(function)
	}
	r.tick()
	return r
}

// base is the address of a provider.
func base(provider string) string { return "https://" + provider + ".test" }

// queue makes a queue with the template's attributes, the dead-letter queue of
// its redrive policy first.
func (r *rig) queue(resource string, name string, deadLetters ...string) string {
	r.Helper()
	at := func(keys ...string) string {
		return r.template.Value(r.template.At(append([]string{"Resources", resource, "Properties"}, keys...)...))
	}
	attributes := map[string]string{"MessageRetentionPeriod": at("MessageRetentionPeriod")}
	if len(deadLetters) > 0 {
		r.queue(deadLetters[0], deadLetters[1])
		attributes["VisibilityTimeout"] = at("VisibilityTimeout")
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%q}`, awslocal.QueueARN(deadLetters[1]), at("RedrivePolicy", "maxReceiveCount"))
	}
	url, err := r.aws.CreateQueue(name, attributes)
	if err != nil {
		r.Fatal(err)
	}
	return url
}

// register starts a function with the template's settings and time-out.
func (r *rig) register(function string) {
	r.Helper()
	resource := localstack.Resource(function)
	vars := r.template.Variables(resource)
	maps.Copy(vars, r.vars)
	if function == localstack.Relay || function == localstack.Reconcile {
		if r.options.unlimited {
			vars["HIKYAKU_SUPERSAAS_RATE"], vars["HIKYAKU_YAPPLI_RATE"] = "10000", "10000"
		}
		if function == localstack.Relay {
			vars["HIKYAKU_INSTANCES"] = strconv.Itoa(r.workers())
		}
		maps.Copy(vars, r.options.vars)
	}
	e := lambdafn.Environ{Vars: vars, Out: io.Discard, HTTP: r.toProviders(), AWS: r.toAWS()}
	if r.options.logs != nil && (function == localstack.Ingest || function == localstack.Relay) {
		e.Out = r.options.logs
	}
	made := &instances{compose: func(ctx context.Context) (invoker, error) {
		switch function {
		case localstack.TokenRefresh:
			return refreshfn.New(ctx, e)
		case localstack.Export:
			return exportfn.New(ctx, e)
		}
		return relayfn.New(ctx, e)
	}}
	switch function {
	case localstack.Relay:
		r.relays = made
	case localstack.Ingest:
		r.ingests = made
	}
	timeout := time.Duration(r.template.Number(r, "Resources", resource, "Properties", "Timeout")) * time.Second
	if err := r.aws.Register(awslocal.Function{Name: function, Aliases: localstack.Aliases(function), Handler: made, Timeout: timeout, Concurrency: 1000}); err != nil {
		r.Fatal(err)
	}
}

// source is a property of the relay's event source.
func (r *rig) source(property string) int {
	return r.template.Number(r, "Resources", "WebhookRelayRelayFunctionUsers", "Properties", property)
}

func (r *rig) workers() int {
	return cmp.Or(r.options.workers, r.template.Number(r, "Parameters", "RelayConcurrency", "Default"))
}

// poll feeds the queue to the relay until the rig ends.
func (r *rig) poll() {
	r.running.Go(func() {
		_ = r.aws.Poll(r.ctx, awslocal.Mapping{Queue: users, Function: localstack.Relay, BatchSize: r.source("BatchSize"), MaxConcurrency: r.workers()})
	})
}

// tick is a schedule's event to the token refresher.
func (r *rig) tick() {
	if _, err := r.aws.Invoke(r.ctx, localstack.TokenRefresh+":"+localstack.Schedule, []byte(`{"source":"aws.scheduler"}`)); err != nil && r.ctx.Err() == nil {
		r.Error(err)
	}
}

var everyMinutes = regexp.MustCompile(`^rate\((\d+) minutes?\)$`)

// every runs f as often as a schedule of the template, of which schedule are the keys,
// until the rig ends.
func (r *rig) every(f func(), schedule ...string) {
	r.Helper()
	text := fmt.Sprint(r.template.At(append(schedule, "Properties", "ScheduleExpression")...))
	minutes := everyMinutes.FindStringSubmatch(text)
	if minutes == nil {
		r.Fatalf("%v: a schedule of %q", schedule, text)
	}
	n, _ := strconv.Atoi(minutes[1])
	r.running.Go(func() {
		for r.sleep(time.Duration(n) * time.Minute) {
			r.running.Go(f)
		}
	})
}

// sleep reports whether the rig still runs.
func (r *rig) sleep(d time.Duration) bool {
	select {
	case <-r.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// schedules starts those that keep tokens and answer the relay's wish for a
// list; the nightly one is left to the proof.
func (r *rig) schedules() {
	r.every(r.tick, "Resources", "TokenRefreshTick")
	r.every(func() { _, _, _ = r.loop().run(r.ctx, `{"action":"reconcile","only_if_wanted":true}`) }, "Resources", "ReconcileLoopWanted")
}

func (r *rig) secret(provider, part string, document []byte) {
	r.Helper()
	if err := r.aws.Secrets.Create(r.Context(), secretstore.Name(prefix, provider, part), uuid.NewString(), document); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) connect(c providers.Connection) {
	r.Helper()
	r.secret(c.Provider, secretstore.ConnectionPart, c.Document())
}

// reconnect is a person who corrects a connection.
func (r *rig) reconnect(c providers.Connection) {
	r.Helper()
	name := secretstore.Name(prefix, c.Provider, secretstore.ConnectionPart)
	if err := r.aws.Secrets.Put(r.Context(), name, uuid.NewString(), c.Document(), secretstore.Current); err != nil {
		r.Fatal(err)
	}
}

// toAWS takes as long as a service nearby.
func (r *rig) toAWS() http.RoundTripper {
	next := r.aws.Client().Transport
	if r.options.aws != nil {
		next = r.options.aws(next)
	}
	return roundTrip(func(q *http.Request) (*http.Response, error) {
		time.Sleep(8 * time.Millisecond)
		return next.RoundTrip(q)
	})
}

func (r *rig) toProviders() http.RoundTripper {
	var next http.RoundTripper = roundTrip(func(q *http.Request) (*http.Response, error) {
		if r.instead != nil {
			if answer := r.instead(q); answer != nil {
				return answer, nil
			}
		}
		if provider, _, _ := strings.Cut(q.URL.Host, "."); provider == providers.Yappli {
			return r.crm.Client().Transport.RoundTrip(q)
		}
		return r.shop.Client().Transport.RoundTrip(q)
	})
	if r.options.providers != nil {
		next = r.options.providers(next)
	}
	chance, mu := prove.Random(9), sync.Mutex{}
	return roundTrip(func(q *http.Request) (*http.Response, error) {
		if d := r.options.latency; d > 0 {
			mu.Lock()
			half := d/2 + time.Duration(chance.Int64N(int64(d/2)))
			mu.Unlock()
			time.Sleep(half)
			defer time.Sleep(half)
		}
		return next.RoundTrip(q)
	})
}

// roundTrip is a function as a transport.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip calls it.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type invoker interface {
	Invoke(ctx context.Context, event []byte) ([]byte, error)
}

// instances is a function as Lambda runs it: a composition for each invocation
// at a time, used again while it is warm.
type instances struct {
	compose func(context.Context) (invoker, error)
	alter   func(event []byte) []byte // nil: as it is
	cold    bool                      // each invocation starts a new one

	mu     sync.Mutex
	idle   []invoker
	served int
	took   time.Duration // of all that were served, as Lambda bills it
}

// Invoke implements lambda.Handler.
func (i *instances) Invoke(ctx context.Context, event []byte) (answer []byte, err error) {
	i.mu.Lock()
	var f invoker
	if n := len(i.idle); n > 0 {
		f, i.idle = i.idle[n-1], i.idle[:n-1]
	}
	i.mu.Unlock()
	if f == nil {
		if f, err = i.compose(ctx); err != nil {
			return nil, err
		}
	}
	if i.alter != nil {
		event = i.alter(event)
	}
	began := time.Now()
	answer, err = f.Invoke(ctx, event)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.served++
	i.took += (time.Since(began) + time.Millisecond - 1).Truncate(time.Millisecond)
	if !i.cold {
		i.idle = append(i.idle, f)
	}
	return bytes.Clone(answer), err
}

// TestMain collects garbage more rarely: the simulated days make much of it and
// keep little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
