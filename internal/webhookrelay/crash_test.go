package webhookrelay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/crash"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/ingest"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A wreck is what outlives the processes of one case: both sandboxes, objects
// and queues, and what Yappli must hold in the end.
type wreck struct {
	*rig

	users        []int64
	want         map[int64]string // name; "" for a member who must be disabled
	foreign      string           // id of a member that is not ours
	untouched    bool             // nothing may be written at all
	writes       int
	unanswered   bool // the webhook was not answered 200: its users may stay without a member
	redrives     bool // the recovery redrives, as a person does
	decides      bool // and decides what still waits
	acknowledges bool // before the work is done, as the twin does
}

// A crashQueue is a queue as a process sees it.
type crashQueue struct {
	p     *crash.Process
	name  string
	queue *fifo
}

func (q crashQueue) Send(ctx context.Context, e ...queue.Envelope) error {
	return q.p.Effect(ctx, q.name+".Send", func() error { return q.queue.Send(ctx, e...) })
}

func (q crashQueue) Postpone(ctx context.Context, receipt string, d time.Duration) error {
	return q.p.Effect(ctx, q.name+".Postpone", func() error { return q.queue.Postpone(ctx, receipt, d) })
}

func (q crashQueue) Receive(ctx context.Context) (batch []queue.Delivery, err error) {
	err = q.p.Effect(ctx, q.name+".Receive", func() error {
		batch = q.queue.receive(10)
		return nil
	})
	return batch, err
}

func (q crashQueue) Delete(ctx context.Context, receipt string) error {
	return q.p.Effect(ctx, q.name+".Delete", func() error {
		q.queue.settle([]queue.Delivery{{ID: receipt}}, nil)
		return nil
	})
}

func (w *wreck) open(ctx context.Context, p *crash.Process) (*tenant.Tenant, error) {
	c := w.config()
	c.Objects = p.Objects(c.Objects)
	c.Options.HTTP = &http.Client{Transport: p.Transport(both{w.shop, w.crm})}
	return tenant.Open(ctx, c)
}

// batch is one invocation: it ends with the acknowledgement of what is done.
func (w *wreck) batch(ctx context.Context, p *crash.Process) error {
	batch := w.queue.receive(10)
	if w.acknowledges {
		w.queue.settle(batch, nil)
	}
	stack, err := w.open(ctx, p)
	if err != nil {
		return err
	}
	unfinished := relay.New(stack, crashQueue{p, "dead", w.dead}, crashQueue{p, "queue", w.queue}).Work(ctx, batch)
	return p.Effect(ctx, "queue.Acknowledge", func() error {
		w.queue.settle(batch, unfinished)
		return nil
	})
}

// redrive is what the command does.
func (w *wreck) redrive(ctx context.Context, p *crash.Process) error {
	_, err := admin.Redrive(ctx, crashQueue{p, "dead", w.dead}, crashQueue{p, "queue", w.queue}, admin.Selection{})
	return err
}

// recovers drains the queue, with a reconcile whenever the relay asks for one.
// Every round is later than any row's hold, lease, lag and pause.
func (w *wreck) recovers(ctx context.Context, p *crash.Process) error {
	if w.decides {
		if err := w.approves(ctx, p); err != nil {
			return err
		}
		time.Sleep(time.Hour + time.Minute) // a process that died may hold the lease
		stack, err := w.open(ctx, p)        // a decision whose message was lost waits for a reconcile
		if err != nil {
			return err
		}
		if _, err := reconcile.New(stack, crashQueue{p, "queue", w.queue}).Run(ctx, false); err != nil {
			return err
		}
	}
	for range 12 {
		time.Sleep(time.Hour + time.Minute)
		if w.redrives {
			if err := w.redrive(ctx, p); err != nil {
				return err
			}
		}
		if w.queue.len() == 0 {
			return nil
		}
		if err := w.batch(ctx, p); err != nil {
			return err
		}
		if w.queue.len() == 0 {
			return nil
		}
		stack, err := w.open(ctx, p)
		if err != nil {
			return err
		}
		if _, err := reconcile.New(stack, crashQueue{p, "queue", w.queue}).Run(ctx, true); err != nil {
			return err
		}
	}
	return errors.New("the queue does not empty")
}

func (w *wreck) check(o crash.Outcome) error {
	if err := o.Errs[len(o.Errs)-1]; err != nil {
		return fmt.Errorf("the last process failed: %w", err)
	}
	if n := w.queue.len() + w.dead.len(); n > 0 {
		return fmt.Errorf("%d messages are left", n)
	}
	for user, name := range w.want {
		found := w.crm.FindUnique(unique(user))
		if len(found) == 0 && w.unanswered {
			continue
		}
		if len(found) != 1 {
			return fmt.Errorf("user %d has %d members, want 1", user, len(found))
		}
		m := found[0]
		if enabled := m.Values["enabled"] == "1"; enabled != (name != "") || enabled && m.Values["column01"] != name {
			return fmt.Errorf("user %d: member holds %q, enabled %s; want %q", user, m.Values["column01"], m.Values["enabled"], name)
		}
	}
	if m, ok := w.crm.Find(w.foreign); !ok || m.Values["column01"] != "他店" || m.Values["enabled"] != "1" {
		return errors.New("a member that is not ours changed")
	}
	if n := w.written() - w.writes; w.untouched && n != 0 {
		return fmt.Errorf("%d writes to Yappli, want none", n)
	}
	return nil
}

func (w *wreck) written() int {
	return w.crm.Count("PUT /api/ext/users/{id}") + w.crm.Count("POST /api/ext/users")
}

// rename changes a user and says so.
func (w *wreck) rename(user int64, name string) {
	w.shop.ChangeUser(user, map[string]any{"full_name": name})
	w.want[user] = name
	w.send(user, "change")
}

func (w *wreck) gone(user int64) {
	w.shop.DeleteUser(user)
	w.want[user] = ""
	w.send(user, "delete")
	w.send(user, "change") // late, out of order: no resurrection
}

func (w *wreck) back(user int64) {
	w.shop.RestoreUser(user)
	w.want[user] = "会員"
	w.send(user, "change")
}

func (w *wreck) fresh(name string) int64 {
	user := w.person(name)
	w.want[user] = name
	return user
}

// A voyage is a crash scenario: members linked people, and what happens to them
// before the process starts.
type voyage struct {
	members int
	long    bool // too many calls for each death in go test
	happens func(w *wreck)
	run     func(w *wreck, ctx context.Context, p *crash.Process) error // nil: one batch
}

var voyages = map[string]voyage{
	"first creation": {happens: func(w *wreck) { w.send(w.fresh("新人"), "new") }},
	"update":         {members: 1, happens: func(w *wreck) { w.rename(w.users[0], "改名") }},
	"update where updates replace": {members: 1, happens: func(w *wreck) {
		w.crm.Replace, w.quirks = true, `{"update":"replace"}`
		w.rename(w.users[0], "改名")
	}},
	"no-op": {members: 1, happens: func(w *wreck) {
		w.untouched = true
		w.send(w.users[0], "change")
	}},
	"delete":  {members: 1, happens: func(w *wreck) { w.gone(w.users[0]) }},
	"restore": {members: 1, happens: func(w *wreck) { w.gone(w.users[0]); w.settleAll(); w.back(w.users[0]) }},
	"disabled by a person": {members: 1, happens: func(w *wreck) {
		m := w.member(unique(w.users[0]))
		m.Values["enabled"] = "0"
		w.crm.Put(m)
		w.rename(w.users[0], "改名")
		w.want[w.users[0]] = ""
	}},
	"a member that never agrees": {members: 1, happens: (*wreck).neverAgrees},
	"takeover of a claim":        {long: true, happens: (*wreck).inherits, run: (*wreck).recovers},
	"linking by a list":          {long: true, happens: (*wreck).isKnown, run: (*wreck).recovers},
	"approving a pair": {long: true, happens: (*wreck).isAsked, run: func(w *wreck, ctx context.Context, p *crash.Process) error {
		if err := w.approves(ctx, p); err != nil {
			return err
		}
		return w.recovers(ctx, p)
	}},
	"proposing a pair": {long: true, happens: func(w *wreck) {
		w.isKnown()
		w.settings.Link, w.untouched = tenant.Approve, true
		for user := range w.want {
			w.want[user] = "古"
		}
	}, run: (*wreck).recovers},
	"array body": {members: 1, happens: func(w *wreck) {
		w.unanswered = true
		w.users = append(w.users, w.fresh("甲"), w.fresh("乙"))
	}, run: (*wreck).ingests},
	"mixed batch of 10": {members: 7, long: true, happens: func(w *wreck) {
		w.gone(w.users[6])
		w.settleAll()
		w.send(w.fresh("甲"), "new")
		w.rename(w.users[0], "改一")
		w.rename(w.users[1], "改二")
		w.send(w.fresh("乙"), "new")
		w.send(w.users[2], "change")
		w.send(w.users[3], "change")
		w.gone(w.users[4])
		w.back(w.users[6])
		w.rename(w.users[5], "改三")
	}},
	"redrive": {members: 1, happens: func(w *wreck) {
		w.redrives = true
		w.rename(w.users[0], "改名")
		w.queue, w.dead = &fifo{}, w.queue // it was given up, and lay there for a while
		time.Sleep(48 * time.Hour)
	}, run: func(w *wreck, ctx context.Context, p *crash.Process) error {
		if err := w.redrive(ctx, p); err != nil {
			return err
		}
		return w.batch(ctx, p)
	}},
}

// neverAgrees lets two lists show that a member holds another name than was
// written.
func (w *wreck) neverAgrees() {
	for range 2 {
		w.settleAll()
		m := w.member(unique(w.users[0]))
		m.Values["column01"] = "別名"
		w.crm.Put(m)
		time.Sleep(24 * time.Hour)
		w.reconcile()
	}
	w.want[w.users[0]], w.untouched = "別名", true
}

// isKnown is a user that a person has made a member before.
func (w *wreck) isKnown() {
	w.identity.By, w.settings.CreateAfterList, w.settings.Link = "field_2", true, tenant.Always
	w.reconcile() // so that no other member is kept beside this one: calls come in one order
	user := w.fresh("古参")
	w.shop.ChangeUser(user, map[string]any{"field_2": strconv.FormatInt(user, 10)})
	w.byHand(unique(user), "古")
	w.send(user, "new")
}

// isAsked is such a user of whom a person has to decide.
func (w *wreck) isAsked() {
	w.isKnown()
	w.settings.Link, w.decides = tenant.Approve, true
	time.Sleep(time.Hour)
	w.reconcile()
	w.drop()
}

// approves is what the command does with each pair that waits.
func (w *wreck) approves(ctx context.Context, p *crash.Process) error {
	stack, err := w.open(ctx, p)
	if err != nil {
		return err
	}
	links := admin.NewLinks(stack, crashQueue{p, "queue", w.queue})
	pairs, err := links.Waiting(ctx)
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		shown, err := links.Compare(ctx, pair.User)
		if err == nil {
			err = links.Decide(ctx, shown, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inherits lets one claim the identity of another, create nothing, and go.
func (w *wreck) inherits() {
	w.identity.By = "field_2"
	user := w.person("新人")
	number := strconv.FormatInt(user, 10)
	before := w.numbered("先客", number)
	w.reconcile()
	w.drop()
	w.crm.Inject(sandbox.Fault{Kind: sandbox.TooMany, Route: "POST /api/ext/users"})
	w.relay(before, "new")
	w.drop()
	w.shop.DeleteUser(before)
	w.shop.ChangeUser(user, map[string]any{"field_2": number})
	w.want[user] = "新人"
	w.send(user, "new")
}

// ingests accepts a body of several users, and only then relays.
func (w *wreck) ingests(ctx context.Context, p *crash.Process) error {
	var elements []string
	for _, user := range w.users {
		elements = append(elements, fmt.Sprintf(`{"id":%d,"event":"change"}`, user))
	}
	in := newIngest(crashQueue{p, "queue", w.queue}, w.metrics, hookSecret)
	in.Now = time.Now
	answer := in.Accept(ctx, ingest.Request{ID: "request", Secret: providers.NewSecret(hookSecret), Body: []byte("[" + strings.Join(elements, ",") + "]")})
	if err := p.Effect(ctx, "answer", func() error { w.unanswered = answer.Status != http.StatusOK; return nil }); err != nil {
		return err
	}
	return w.batch(ctx, p)
}

// setUp makes people with members, as they are after a quiet week.
func (v voyage) setUp(t testing.TB) *wreck {
	w := &wreck{rig: newRig(t), want: map[int64]string{}}
	w.crm.Duplicate, w.settings.Link = yapplitest.SecondUser, tenant.Approve
	w.foreign = w.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "other", "column01": "他店", "enabled": "1"}})
	w.person("keeper")
	for range v.members {
		user := w.person("会員")
		w.shop.ChangeUser(user, map[string]any{"name": fmt.Sprintf("user%d@mail.example", user)})
		w.users, w.want[user] = append(w.users, user), "会員"
	}
	w.reconcile()
	w.settleAll()
	v.happens(w)
	w.writes = w.written()
	return w
}

func (v voyage) enumerate(t testing.TB, faults []crash.Fault, twice bool, change func(*wreck)) crash.Report {
	t.Helper()
	every, first := 20, 1
	if v.long {
		every, first = 200, prove.Sample(1, 13)
	}
	switch {
	case prove.Full():
		every = 1
	case prove.Handful():
		every *= 20
	}
	return crash.Enumerate(t, crash.Scenario[*wreck]{
		Setup: func(t testing.TB) *wreck {
			w := v.setUp(t)
			if change != nil {
				change(w)
			}
			return w
		},
		Run: func(ctx context.Context, p *crash.Process, w *wreck) error {
			if v.run != nil {
				return v.run(w, ctx, p)
			}
			return w.batch(ctx, p)
		},
		Recover: func(ctx context.Context, p *crash.Process, w *wreck) error { return w.recovers(ctx, p) },
		Faults:  faults, First: first, Twice: twice, Every: every,
		Check: (*wreck).check,
	})
}

// digests are of the stack's random key: they differ from case to case.
var digests = regexp.MustCompile(`[0-9a-f]{16,}`)

// TestCrash_LosesAndDoublesNothing is the table of docs/relay-protocol.md: the
// process dies before and after the effect of every call, the next one drains
// the queue, and dies at every call too; or a call fails, or loses its answer.
// .ci/run takes one second death in 20, of the longest in 200, go test a twentieth
// of these and of the longest one first death in 7, HIKYAKU_PROVE=full all.
func TestCrash_LosesAndDoublesNothing(t *testing.T) {
	for name, v := range voyages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var deaths, failures crash.Report
			synctest.Test(t, func(t *testing.T) {
				deaths = v.enumerate(t, []crash.Fault{crash.Before, crash.After}, true, nil)
				failures = v.enumerate(t, []crash.Fault{crash.Failed, crash.Lost}, false, nil)
			})
			t.Logf("%d calls:\n%s", len(deaths.Calls), digests.ReplaceAllString(strings.Join(deaths.Calls, "\n"), "…"))
			once, all := deaths.Cases-deaths.Seconds, 2*len(deaths.Calls)
			if v.long {
				all /= prove.Sample(1, 13)
			}
			prove.Figure(t, !t.Failed() && once >= all && failures.Cases >= all && len(deaths.Calls) >= 4, "crash of the relay, "+name, "all well",
				"%d calls, %d deaths, %d second deaths, %d failed or lost calls", len(deaths.Calls), once, deaths.Seconds, failures.Cases)
		})
	}
}

// heedless is a store whose swap of a row always wins, and which keeps neither
// the row nor the claim of a write under way: each alone tells the next process
// that a member may have come to be.
type heedless struct{ objectstore.Store }

func (h heedless) Put(ctx context.Context, o objectstore.Object) (string, error) {
	row, claim := strings.Contains(o.Key, "/rows/"), strings.Contains(o.Key, "/identities/")
	if !row && !claim {
		return h.Store.Put(ctx, o)
	}
	body, err := io.ReadAll(o.Body)
	if err != nil || row && strings.Contains(string(body), `"state":"inflight"`) || claim && !strings.Contains(string(body), `"member"`) {
		return `"won"`, err
	}
	if row {
		o.Condition = objectstore.Condition{}
	}
	o.Body = strings.NewReader(string(body))
	return h.Store.Put(ctx, o)
}

// The same checks fail without what says that a creation is under way,
// and for a worker that acknowledges first.
func TestCrash_IsFoundWithoutTheGuards(t *testing.T) {
	for _, c := range []struct {
		name, voyage, want string
		change             func(*wreck)
	}{
		{"a store that keeps neither row nor claim of a creation", "first creation", "has 2 members", func(w *wreck) { w.objects = heedless{w.objects} }},
		{"acknowledging first", "update", "member holds", func(w *wreck) { w.acknowledges = true }},
		{"acknowledging first", "first creation", "has 0 members", func(w *wreck) { w.acknowledges = true }},
	} {
		t.Run(c.name+", "+c.voyage, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tb := &crash.Recorder{TB: t}
				report := voyages[c.voyage].enumerate(tb, []crash.Fault{crash.After}, false, c.change)
				prove.Figure(t, strings.Contains(strings.Join(tb.Errors, "\n"), c.want), "deaths that "+c.name+" does not survive, "+c.voyage,
					"more than 0: "+c.want, "%d of %d", len(tb.Errors), report.Cases)
			})
		})
	}
}
