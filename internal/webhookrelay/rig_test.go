package webhookrelay_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/ingest"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A fifo is a FIFO queue in memory: deduplication for five minutes, order and
// blocking by group, visibility, receive counts. It copies what it is sent.
type fifo struct {
	mu       sync.Mutex
	messages []*queued
	seen     map[string]time.Time
	serial   int
	sent     int
	refuse   bool
	failing  error         // of Postpone
	news     chan struct{} // nil: nobody rests
	hides    time.Duration // what is received; 0: visibility
}

type queued struct {
	queue.Envelope

	id       string
	visible  time.Time
	receives int
}

const visibility = 6 * time.Minute

func (q *fifo) Send(_ context.Context, envelopes ...queue.Envelope) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse {
		return fmt.Errorf("queue refuses")
	}
	if q.seen == nil {
		q.seen = map[string]time.Time{}
	}
	for _, e := range envelopes {
		if at, ok := q.seen[e.Dedup]; ok && time.Since(at) < 5*time.Minute {
			continue
		}
		q.seen[e.Dedup] = time.Now()
		q.serial++
		q.sent++
		e.Body = bytes.Clone(e.Body)
		q.messages = append(q.messages, &queued{Envelope: e, id: "m" + strconv.Itoa(q.serial), visible: time.Now()})
		q.tell()
	}
	return nil
}

// tell wakes one who rests.
func (q *fifo) tell() {
	select {
	case q.news <- struct{}{}:
	default:
	}
}

func (q *fifo) Postpone(_ context.Context, receipt string, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if m.id == receipt {
			m.visible = time.Now().Add(d)
			q.tell()
		}
	}
	return q.failing
}

// receive hands out up to n messages of groups that no message blocks.
func (q *fifo) receive(n int) []queue.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	blocked := map[string]bool{}
	for _, m := range q.messages {
		if m.visible.After(now) {
			blocked[m.Group] = true
		}
	}
	var batch []queue.Delivery
	for _, m := range q.messages {
		if len(batch) < n && !blocked[m.Group] {
			m.receives++
			m.visible = now.Add(cmp.Or(q.hides, visibility))
			batch = append(batch, queue.Delivery{ID: m.id, Receipt: m.id, Receives: m.receives, Body: m.Body})
		}
	}
	return batch
}

// settle deletes what a worker finished.
func (q *fifo) settle(batch []queue.Delivery, unfinished []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	gone := map[string]bool{}
	for _, d := range batch {
		gone[d.ID] = true
	}
	for _, id := range unfinished {
		delete(gone, id)
	}
	kept := q.messages[:0]
	for _, m := range q.messages {
		if !gone[m.id] {
			kept = append(kept, m)
		}
	}
	q.messages = kept
	q.tell()
}

// move gives a message up, as a queue does after too many receipts.
func (q *fifo) move(to *fifo) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.messages) == 0 {
		return
	}
	m := q.messages[0]
	q.messages = q.messages[1:]
	_ = to.Send(context.Background(), queue.Envelope{Group: m.Group, Dedup: m.id, Body: m.Body})
}

func (q *fifo) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// rest waits until there may be something to receive: until the first group is
// free, or somebody tells, but a minute at most.
func (q *fifo) rest(ctx context.Context) {
	q.mu.Lock()
	free := map[string]time.Time{}
	for _, m := range q.messages {
		if m.visible.After(free[m.Group]) {
			free[m.Group] = m.visible
		}
	}
	q.mu.Unlock()
	d := time.Minute
	for _, at := range free {
		d = min(d, time.Until(at))
	}
	timer := time.NewTimer(max(d, time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-q.news:
	}
}

// bodies returns the messages as they lie there.
func (q *fifo) bodies() []queue.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var list []queue.Message
	for _, m := range q.messages {
		var message queue.Message
		if json.Unmarshal(m.Body, &message) == nil {
			list = append(list, message)
		}
	}
	return list
}

// counts is a tenant.Metrics that adds up.
type counts struct {
	mu     sync.Mutex
	values map[string]float64
}

func (c *counts) Add(name, _ string, value float64, dimensions map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil {
		c.values = map[string]float64{}
	}
	for _, v := range dimensions {
		name += " " + v
	}
	c.values[name] += value
}

func (c *counts) AddTimed(name string, dimensions map[string]string, took string, duration time.Duration) {
	c.Add(name, "Count", 1, dimensions)
	c.Add(took, "Seconds", duration.Seconds(), nil)
}

func (c *counts) get(name string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[name]
}

func (c *counts) all() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.values)
}

const testMapping = `
options: {zone: Asia/Tokyo, region: JP}
login_id: email
column01: full_name
column02: e164(default(mobile, phone))
column03: field_1
`

// A rig is both sandboxes, a store and queues around one stack.
type rig struct {
	t         testing.TB
	shop      *supersaastest.Server
	crm       *yapplitest.Server
	objects   objectstore.Store
	queue     *fifo
	dead      *fifo
	metrics   *counts
	log       *prove.Log
	settings  tenant.Settings
	identity  tenant.Identity
	mapping   string
	mappings  tenant.Mappings // nil: mapping counts for good
	quirks    string
	rate      float64
	transport http.RoundTripper // nil: both sandboxes
	patient   bool              // errors of the store and of the providers are tried again
	earlier   int64             // a user of a smaller number than another
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return &rig{
		t:       t,
		shop:    supersaastest.New(sandbox.Options{Records: -1, Rate: -1}),
		crm:     yapplitest.New(sandbox.Options{Records: -1, Rate: -1}),
		objects: &objectstore.Memory{}, queue: &fifo{}, dead: &fifo{}, metrics: &counts{}, log: &prove.Log{},
		settings: tenant.Settings{Mode: tenant.Write, Link: tenant.Always},
		identity: tenant.Identity{By: "id", Prefix: "ss-"},
		mapping:  testMapping, quirks: `{"update":"partial"}`, rate: 1e6,
	}
}

// mappings are parsed once, by text.
var mappings sync.Map

func (r *rig) config() tenant.Config {
	r.t.Helper()
	m, ok := mappings.Load(r.mapping)
	if !ok {
		parsed, err := mapping.Parse("mapping.yaml", []byte(r.mapping))
		if err != nil {
			r.t.Fatal(err)
		}
		m, _ = mappings.LoadOrStore(r.mapping, parsed)
	}
	crm := r.crm.Token("http://yappli.test")
	crm.Quirks = json.RawMessage(r.quirks)
	limiter := func() *providers.Breaker { return providers.NewBreaker(providers.NewPace(r.rate)) }
	client := r.shop.Client()
	client.Transport = both{r.shop, r.crm}
	if r.transport != nil {
		client.Transport = r.transport
	}
	return tenant.Config{
		Objects: r.objects, Prefix: "test",
		SuperSaaS: providers.Fixed(r.shop.Token("http://supersaas.test")), Yappli: providers.Fixed(crm),
		Options:  providers.Options{HTTP: client, Attempts: 1},
		Limiters: tenant.Limiters{SuperSaaS: limiter(), Yappli: limiter()},
		Mapping:  m.(*mapping.Mapping), Mappings: r.mappings, Identity: r.identity, Settings: r.settings,
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Metrics: r.metrics, Now: time.Now,
		RequestID: func(context.Context) string { return "request-1" },
	}
}

func (r *rig) stack() *tenant.Tenant {
	r.t.Helper()
	for try := 1; ; try++ {
		s, err := tenant.Open(context.Background(), r.config())
		if err == nil {
			return s
		}
		if !r.patient || try == 50 {
			r.t.Fatal(err)
		}
	}
}

// send puts a user on the queue, as ingest does.
func (r *rig) send(user int64, event string) {
	r.t.Helper()
	m := queue.Message{User: user, Event: event, At: time.Now().UTC()}
	r.queue.mu.Lock()
	dedup := fmt.Sprintf("hook-%d-%d", user, r.queue.serial)
	r.queue.mu.Unlock()
	if err := r.queue.Send(context.Background(), m.Envelope(dedup)); err != nil {
		r.t.Fatal(err)
	}
}

// work lets one worker handle what is visible now, and returns how many it
// left unfinished.
func (r *rig) work() int {
	r.t.Helper()
	batch := r.queue.receive(10)
	unfinished := relay.New(r.stack(), r.dead, r.queue).Work(context.Background(), batch)
	r.queue.settle(batch, unfinished)
	return len(unfinished)
}

// reconcile runs to the end and returns the report.
func (r *rig) reconcile() reconcile.Report {
	r.t.Helper()
	return *r.reconciles(false)
}

// reconciles runs to the end, or ends a run that was left, and otherwise, if only
// that is wanted, does nothing unless the relay asks for it.
func (r *rig) reconciles(onlyIfWanted bool) *reconcile.Report {
	r.t.Helper()
	for range 50 {
		result, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), onlyIfWanted)
		if err != nil && !r.patient {
			r.t.Fatal(err)
		}
		if result.Status == "busy" {
			time.Sleep(time.Minute)
		}
		if err == nil && result.Status == "done" {
			return result.Report
		}
	}
	r.t.Fatal("reconcile does not end")
	return nil
}

// outcomes returns how jobs ended, by class, and forgets them.
func (r *rig) outcomes() map[string]int {
	found := map[string]int{}
	r.metrics.mu.Lock()
	defer r.metrics.mu.Unlock()
	for name, n := range r.metrics.values {
		if class, ok := strings.CutPrefix(name, "RelayOutcome "); ok {
			found[class] = int(n)
			delete(r.metrics.values, name)
		}
	}
	return found
}

func (r *rig) wantOutcome(class string) {
	r.t.Helper()
	if got := r.outcomes(); len(got) != 1 || got[class] != 1 {
		r.t.Fatalf("outcomes = %v, want one %s\n%s", got, class, r.log)
	}
}

// member returns the one member that bears a unique_id.
func (r *rig) member(unique string) yapplitest.Member {
	r.t.Helper()
	found := r.crm.FindUnique(unique)
	if len(found) != 1 {
		r.t.Fatalf("%d members with unique_id %s, want 1\n%s", len(found), unique, r.log)
	}
	return found[0]
}

func (r *rig) wantField(unique, field, want string) {
	r.t.Helper()
	if got := text(r.member(unique), field); got != want {
		r.t.Fatalf("%s of %s = %q, want %q\n%s", field, unique, got, want, r.log)
	}
}

// text is a member's field, "" if it is null or missing.
func text(m yapplitest.Member, field string) string { return m.Values[field] }

func unique(user int64) string { return "ss-" + strconv.FormatInt(user, 10) }

const hookSecret = "invented-secret-000"

func newIngest(q queue.Queue, m *counts, secrets ...string) *ingest.Ingest {
	return &ingest.Ingest{
		Secrets: func(context.Context) (list []providers.Secret) {
			for _, s := range secrets {
				list = append(list, providers.NewSecret(s))
			}
			return list
		},
		Queue: q, Log: slog.New(slog.DiscardHandler), Metrics: m,
		Now: func() time.Time { return time.Unix(1795310109, 0) },
	}
}
