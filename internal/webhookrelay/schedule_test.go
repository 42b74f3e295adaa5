package webhookrelay_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A jitter delays each call at random before and after its effect, so that
// workers interleave at every one, and loses some answers of the store.
type jitter struct {
	objectstore.Store
	http.RoundTripper

	mu     sync.Mutex
	random *rand.Rand
	calm   bool
}

var errLost = errors.New("connection lost")

// one is true in one of n cases, and never when calm.
func (j *jitter) one(n int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.random.IntN(n) == 0 && !j.calm
}

// pause is short, but for one in twenty, in which others do whole jobs.
func (j *jitter) pause(most time.Duration) {
	if j.one(20) {
		most = time.Minute
	}
	j.mu.Lock()
	d := time.Duration(j.random.Int64N(int64(most)))
	j.mu.Unlock()
	time.Sleep(d)
}

func (j *jitter) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	j.pause(200 * time.Millisecond)
	if j.one(50) {
		return objectstore.Info{}, nil, errLost
	}
	return j.Store.Get(ctx, key)
}

func (j *jitter) Put(ctx context.Context, o objectstore.Object) (string, error) {
	j.pause(200 * time.Millisecond)
	etag, err := j.Store.Put(ctx, o)
	j.pause(200 * time.Millisecond)
	if j.one(50) {
		return "", errLost
	}
	return etag, err
}

// RoundTrip comes back some time after the sandbox did what was asked.
func (j *jitter) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := j.RoundTripper.RoundTrip(r)
	j.pause(500 * time.Millisecond)
	return answer, err
}

// A variant is what a tenant, an account and a setting may be. The schedule's
// number enumerates them.
type variant struct {
	generation   int
	lookup       bool
	body         string
	duplicate    yapplitest.Duplicate
	replace      bool
	goneAsUser   bool
	sharedFields bool // the identity is a field, which several users may share, spell differently, or lack
	trims        bool // the tenant drops white space around what it is sent
	link         tenant.LinkMode
}

// combinations are those of generation, look-up route, body and link mode,
// variants those of all.
const (
	combinations = 2 * 2 * 3 * 3
	variants     = combinations * 2 * 2 * 3 * 2 * 2
)

func variantOf(n int) variant {
	digit := func(base int) (d int) {
		d, n = n%base, n/base
		return d
	}
	return variant{
		generation: []int{1, 3}[digit(2)], lookup: digit(2) == 1, body: []string{"multipart", "json", "form"}[digit(3)],
		link:         []tenant.LinkMode{tenant.Approve, tenant.Match, tenant.Always}[digit(3)],
		sharedFields: digit(2) == 1, trims: digit(2) == 1, duplicate: []yapplitest.Duplicate{yapplitest.SecondUser, yapplitest.Refuse, yapplitest.Overwrite}[digit(3)],
		replace: digit(2) == 1, goneAsUser: digit(2) == 1,
	}
}

func (v variant) String() string {
	return fmt.Sprintf("generation %d, look-up %t, %s, %s", v.generation, v.lookup, v.body, v.link)
}

// A schedule is one random history.
type schedule struct {
	*rig
	variant

	random  *rand.Rand // of what happens in the shop
	seed    uint64
	model   model
	users   map[*modelPerson]int64
	numbers int          // given to people as identities
	begun   bool         // the relay may create members
	last    *modelPerson // to whom something happened
	mu      sync.Mutex   // of the people and what is decided on them
	jitter  *jitter
	ingest  *ingest.Ingest
	posts   sync.WaitGroup         // webhooks and redrives on their way
	hasty   bool                   // a worker acknowledges before it works, as a twin does
	begin   func() context.Context // of one batch's work
}

func newSchedule(t testing.TB, n int) *schedule {
	seed := prove.Seed() + uint64(n)
	s := &schedule{rig: newRig(t), variant: variantOf(n), seed: seed, random: rand.New(rand.NewPCG(seed, 7)), users: map[*modelPerson]int64{}, begin: context.Background}
	s.model = newModel(s.identity.Prefix, s.link)
	s.mapping, s.settings.Link = linkMapping, s.link
	s.patient, s.settings.Lag = true, 4*time.Minute
	s.queue.news, s.queue.hides = make(chan struct{}, 4), 15*time.Second // shorter than many a batch takes
	s.crm = yapplitest.New(sandbox.Options{Records: -1, Rate: -1, Seed: seed})
	s.shop = supersaastest.New(sandbox.Options{Records: -1, Rate: -1, Seed: seed})
	s.jitter = &jitter{Store: s.objects, RoundTripper: both{s.shop, s.crm}, random: rand.New(rand.NewPCG(seed, 8)), calm: true}
	s.objects, s.transport = s.jitter, s.jitter
	s.ingest = newIngest(s.queue, s.metrics, hookSecret)
	s.ingest.Now = time.Now
	s.crm.Duplicate, s.crm.Replace, s.crm.Lookup, s.crm.Generation, s.crm.Body = s.duplicate, s.replace, s.lookup, s.generation, s.body
	s.crm.Trim = s.trims
	s.shop.Knobs.GoneAsUser = s.goneAsUser
	quirks := []string{`"update":"partial"`, `"body":"` + s.body + `"`}
	if s.replace {
		quirks[0] = `"update":"replace"`
	}
	if s.lookup {
		quirks = append(quirks, `"lookup":"unique_id"`)
	}
	if s.generation == 3 {
		quirks = append(quirks, `"paging":"page","page_size":10`)
	}
	s.quirks = "{" + strings.Join(quirks, ",") + "}"
	if s.sharedFields {
		s.identity.By, s.settings.CreateAfterList = "field_2", s.goneAsUser
	}
	return s
}

// invent gives a person other values.
func (s *schedule) invent(p *modelPerson) map[string]any {
	p.name = fmt.Sprintf("見本 %d", s.random.IntN(1e6))
	p.phone = fmt.Sprintf("090-1000-%04d", s.random.IntN(10000))
	p.note = ""
	fields := map[string]any{"full_name": p.name, "mobile": p.phone, "field_1": nil}
	if s.random.IntN(2) == 0 {
		p.note = "メモ" + strconv.Itoa(s.random.IntN(100))
		fields["field_1"] = p.note
	}
	if other := s.model.people[s.random.IntN(len(s.model.people))]; other != p && s.random.IntN(8) == 0 { // or types what another has
		p.name, p.phone, p.note = other.name, other.phone, cmp.Or(other.card, "メモ")
		fields["full_name"], fields["mobile"], fields["field_1"] = p.name, p.phone, p.note
	}
	return fields
}

// identify gives a person an identity, where that is a field: mostly one of its
// own, but perhaps none, or one that another has or had; under any alias.
func (s *schedule) identify(p *modelPerson, fields map[string]any) {
	s.numbers++
	value := "M" + strconv.Itoa(s.numbers)
	if s.numbers%3 == 0 {
		value = "Mail" + strconv.Itoa(s.numbers) + "@x.example"
	}
	had := s.model.people[s.random.IntN(len(s.model.people))].ever
	switch random := s.random.IntN(12); {
	case random == 0:
		value = ""
	case random < 3 && len(had) > 0:
		value = s.valueOf(had[s.random.IntN(len(had))])
	case random == 3: // a person made a member before
		if s.seesMade() {
			s.madeMember(s.identity.Prefix+s.spells(value), p)
		}
	case random == 4: // what a member bears whom somebody has made
		if all := slices.Sorted(maps.Keys(s.model.before)); len(all) > 0 {
			value = s.valueOf(all[s.random.IntN(len(all))])
		}
	case random < 7 && p.unique != "": // the same as before
		value = s.valueOf(p.unique)
	case random == 7 && len(had) > 0: // of a number this is another
		value = strings.ToLower(s.valueOf(had[0]))
	}
	p.typed, p.unique = s.spells(value), ""
	fields["field_2"] = p.typed
	if value = strings.TrimSpace(p.typed); value != "" {
		p.bears(s.identity.Prefix + value)
	}
}

func (s *schedule) valueOf(unique string) string {
	return strings.TrimPrefix(unique, s.identity.Prefix)
}

// spells leaves half of all values as they are.
func (s *schedule) spells(value string) string {
	if s.random.IntN(2) == 0 {
		return value
	}
	return spell(s.random, value)
}

// seesMade reports whether the relay finds a member that somebody has just made,
// before it creates one of the very unique_id.
func (s *schedule) seesMade() bool { return s.settings.CreateAfterList || s.lookup }

func (s *schedule) addUser() *modelPerson {
	p := &modelPerson{live: true, mail: fmt.Sprintf("user%d@mail.example", len(s.model.people))}
	s.model.people = append(s.model.people, p)
	fields := s.invent(p)
	if s.random.IntN(4) > 0 {
		p.card = "K" + strconv.Itoa(len(s.model.people))
	}
	fields["super_field"] = p.card
	fields["name"], fields["email"] = p.mail, p.mail
	if s.sharedFields {
		s.identify(p, fields)
	}
	s.users[p] = s.shop.AddUser(fields)
	if !s.sharedFields {
		p.bears(unique(s.users[p]))
	}
	return p
}

// step changes something at random and tells the relay, mostly.
func (s *schedule) step() {
	p, event := s.happens()
	for range []int{0, 1, 1, 1, 1, 2, 3}[s.random.IntN(7)] { // 0: no hook
		s.hook(p, event)
	}
	s.trouble()
}

func (s *schedule) happens() (p *modelPerson, event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.random.IntN(2) == 0 {
		s.last = s.model.people[1+s.random.IntN(len(s.model.people)-1)] // not the first: the account always shows somebody
	}
	p, event = s.last, "change"
	switch s.random.IntN(9) {
	case 0:
		p, event = s.addUser(), "new"
		p.quiet = true // until it is told of
	case 1, 2, 3:
		if !p.live {
			break
		}
		fields := s.invent(p)
		if s.sharedFields && s.random.IntN(2) == 0 {
			s.identify(p, fields)
		}
		s.shop.ChangeUser(s.users[p], fields)
		p.quiet = true
	case 4, 5:
		if p.live {
			p.live, p.quiet, event = false, true, "delete"
			s.shop.DeleteUser(s.users[p])
		}
	case 6, 7:
		if !p.live {
			p.live, p.quiet = true, true
			s.shop.RestoreUser(s.users[p])
		}
	case 8: // somebody else's member comes to be
		if s.sharedFields && s.random.IntN(2) == 0 {
			s.madeAgain(s.model.people[s.random.IntN(len(s.model.people))])
			break
		}
		id := s.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "other-" + strconv.Itoa(len(s.model.foreign)), "column01": "他店"}})
		m, _ := s.crm.Find(id)
		s.model.foreign[id] = string(m.JSON())
	}
	return p, event
}

// trouble happens to messages and requests, whatever changes.
func (s *schedule) trouble() {
	switch s.random.IntN(12) {
	case 0: // a message is given up, and redriven late
		s.queue.move(s.dead)
		s.later(5*time.Minute, func() {
			_, _ = admin.Redrive(context.Background(), outlet{fifo: s.dead}, s.queue, admin.Selection{})
		})
	case 1: // an old message of anybody is redriven
		m := queue.Message{User: s.users[s.model.people[s.random.IntN(len(s.model.people))]], Event: "redrive", At: time.Now().UTC()}
		_ = s.queue.Send(context.Background(), m.Envelope(fmt.Sprintf("redrive-%d", s.random.Uint64())))
	case 2: // a write takes effect only when its caller has given up
		s.crm.Inject(sandbox.Fault{Kind: sandbox.Slow, Route: []string{"PUT", "POST"}[s.random.IntN(2)], Delay: 2 * time.Minute})
	}
}

// hook posts a webhook, at once or so much later that others overtake it. What
// it says of the user may be wrong by then.
func (s *schedule) hook(p *modelPerson, event string) {
	p.quiet = false
	element := func(p *modelPerson) string {
		return fmt.Sprintf(`{"event":%q,"id":%d,"deleted":%t,"full_name":"古い"}`, event, s.users[p], !p.live)
	}
	body := element(p)
	if s.random.IntN(8) == 0 {
		body = "[" + body + "," + element(s.model.people[s.random.IntN(len(s.model.people))]) + "]"
	}
	request := ingest.Request{ID: strconv.FormatUint(s.random.Uint64(), 10), Secret: providers.NewSecret(hookSecret), Body: []byte(body)}
	post := func() { s.ingest.Accept(context.Background(), request) }
	if s.random.IntN(3) > 0 {
		post()
		return
	}
	s.later(40*time.Second, post)
}

func (s *schedule) later(most time.Duration, f func()) {
	d := time.Duration(s.random.Int64N(int64(most)))
	s.posts.Go(func() {
		time.Sleep(d)
		f()
	})
}

// worker handles batches until done. Some batches another worker gets, too, at
// once, and some come back though they were handled.
func (s *schedule) worker(ctx context.Context, most int, stacks ...*tenant.Tenant) {
	handle := func(batch []queue.Delivery, stack *tenant.Tenant) []string {
		return relay.New(stack, s.dead, s.queue).Work(s.begin(), batch)
	}
	for ctx.Err() == nil {
		batch := s.queue.receive(most)
		if len(batch) == 0 {
			s.queue.rest(ctx)
			continue
		}
		if s.hasty {
			s.queue.settle(batch, nil)
		}
		var twice sync.WaitGroup
		if s.jitter.one(10) {
			twice.Go(func() { s.queue.settle(batch, handle(batch, stacks[1])) })
		}
		unfinished := handle(batch, stacks[0])
		if !s.jitter.one(20) {
			s.queue.settle(batch, unfinished)
		}
		twice.Wait()
	}
}

// wishes runs the scheduled reconcile until done: it does something where the
// relay asks for it, and sometimes anyway.
func (s *schedule) wishes(ctx context.Context, stack *tenant.Tenant) {
	for ctx.Err() == nil {
		_, _ = reconcile.New(stack, s.queue).Run(context.Background(), !s.jitter.one(8))
		select {
		case <-ctx.Done():
		case <-time.After(3 * time.Minute):
		}
	}
}

// run ends with the first difference between Yappli and the model: once all
// that was told of is handled, and once a single reconcile has found the rest.
func (s *schedule) run() error {
	for range 5 {
		p := s.addUser()
		unique := s.identity.Prefix + s.spells(s.valueOf(p.unique))
		if p.unique != "" && s.random.IntN(2) == 0 && len(s.crm.FindUnique(unique)) == 0 {
			s.madeMember(unique, p)
		}
	}
	s.begun = true
	s.reconcile()
	ctx, stop := context.WithCancel(context.Background())
	ask, enough := context.WithCancel(ctx)
	var workers, reconciles sync.WaitGroup
	defer reconciles.Wait()
	defer workers.Wait()
	defer stop()
	defer enough()
	stacks := []*tenant.Tenant{s.stack(), s.stack(), s.stack(), s.stack()}
	for n := range stacks {
		workers.Go(func() { s.worker(ctx, 1+n%3*4, stacks[n], stacks[(n+1)%len(stacks)]) })
	}
	reconciles.Go(func() { s.wishes(ask, s.stack()) })
	reconciles.Go(func() { s.operates(ask, s.stack()) })
	s.faults(0.02)
	for range 5 + s.random.IntN(10) {
		s.step()
		time.Sleep(time.Duration(s.random.IntN(int(20*time.Second))) + time.Millisecond)
	}
	s.posts.Wait()
	s.faults(0)
	if err := s.drained(); err != nil {
		return err
	}
	if err := s.check(drained); err != nil {
		return fmt.Errorf("before the reconcile: %w", err)
	}
	enough()
	reconciles.Wait()
	s.reconciles(true) // what was begun ends: it may have listed too early
	time.Sleep(s.crm.Lag + time.Second)
	s.reconcile()
	reconciles.Go(func() { s.wishes(ctx, s.stack()) }) // who takes a claim over waits for another
	if err := s.drained(); err != nil {
		return err
	}
	if err := s.check(reconciled); err != nil {
		return fmt.Errorf("after the reconcile: %w", err)
	}
	for range 9 {
		more := s.decidesRest(admin.NewLinks(s.plain(), s.queue))
		s.reconcile()
		if err := s.drained(); err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if err := s.check(settled); err != nil {
		return fmt.Errorf("once all is decided: %w", err)
	}
	return nil
}

func (s *schedule) check(at stage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.model.check(s.crm.Members(), at)
}

// faults makes providers, lists, store and queue fail, each at so many of all
// calls; 0 ends that, but for lists: they lag always.
func (s *schedule) faults(f float64) {
	s.jitter.mu.Lock()
	s.jitter.calm = f == 0
	s.jitter.mu.Unlock()
	s.crm.SetFaults(sandbox.Faults{ServerFail: f, Lost: 2 * f, Reset: f, Dropped: f, TooMany: f, RetryAfter: "2", Jitter: 500 * time.Millisecond})
	s.shop.SetFaults(sandbox.Faults{ServerFail: f, Reset: f, Dropped: f, TooMany: f, Jitter: 500 * time.Millisecond})
	s.crm.Do(func() { s.crm.Lag = 4 * time.Minute })
	s.shop.Do(func() { s.shop.Knobs.Lag = 30 * time.Second })
}

// drained redrives what was given up and waits until nothing is left.
func (s *schedule) drained() error {
	if _, err := admin.Redrive(context.Background(), outlet{fifo: s.dead}, s.queue, admin.Selection{}); err != nil {
		return err
	}
	for range 24 * 60 {
		if s.queue.len() == 0 {
			break
		}
		time.Sleep(time.Minute)
	}
	if left, dead := s.queue.len(), s.dead.len(); left > 0 || dead > 0 {
		return fmt.Errorf("%d messages are left, %d dead", left, dead)
	}
	return nil
}
