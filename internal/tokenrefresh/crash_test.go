package tokenrefresh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/crash"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/internal/tokenrefresh/rotation"
	"hikyaku/pkg/providers"
)

// A plan is one credential and one way to replace it, to be crashed.
type plan struct {
	name     string // of the connection
	refresh  bool   // not the first run: one that replaces what there is
	rotation bool   // driven by Secrets Manager
	approved bool   // by 'hikyaku authorize', with a code that a person has just obtained

	table *table // of docs/token-protocol.md; nil: it is not asked

	// blind is what the refresher sees of the objects; nil: all.
	blind func(objectstore.Store) objectstore.Store
}

func (p plan) String() string {
	run, driver := "first run", "schedule"
	if p.refresh {
		run = "refresh"
	}
	switch {
	case p.rotation:
		driver = "rotation"
	case p.approved:
		driver = "authorize"
	}
	return p.name + ", " + run + " by " + driver
}

// A crashedWorld is a world in which a plan is crashed.
type crashedWorld struct {
	*world
	plan

	provider string
	rotation string               // version id that the service chose
	dead     bool                 // the first life has ended
	begun    providers.Connection // which a person authorizes
	code     providers.Secret     // that they obtained
	result   tokenrefresh.Result
	before   int // redemptions before the run

	actions [][]action // that each life took
}

func (p plan) setUp(t testing.TB) *crashedWorld {
	t.Helper()
	s := &crashedWorld{world: newWorld(t), plan: p}
	s.assist.Quirks.RefreshGrant = p.name == providers.AssistTencho && p.refresh
	if s.assist.Quirks.RefreshGrant {
		s.assist.Tokens.Life = 2 * time.Hour
	}
	s.shop.Tokens.Life = 2 * time.Hour // all cases of a plan share one clock, which ends in 2262
	s.provider = s.connect(p.name)
	if p.approved && !p.refresh {
		s.withoutCode(p.name)
	}
	if p.refresh {
		s.want(s.provider, protocol.Refreshed)
	}
	if p.approved {
		s.begun, s.code = s.connection(p.name), s.connection(p.name).Code
	}
	if !p.refresh {
		return s
	}
	switch p.name {
	case staff:
		s.shop.GenerateToken(time.Time{})
		s.reconnect(s.connection(staff))
	case providers.SuperSaaS:
		s.bookings.RollKey()
		s.connect(p.name)
	default: // until it is due
		if !p.approved {
			time.Sleep(s.dueAge())
		}
	}
	s.before = s.redeemed()
	s.told()
	if p.rotation {
		s.rotation = uuid.NewString()
		_, err := s.secrets.Rotate(context.Background(), s.recordName(), s.rotation, "tokenrefresh")
		s.must(err)
	}
	return s
}

// dueAge is an age at which each credential is due and still works.
func (s *crashedWorld) dueAge() time.Duration {
	return map[string]time.Duration{
		providers.Yappli: 13 * time.Hour, providers.ActiBook: 21 * time.Minute,
		providers.SHOPLINE: time.Hour, providers.AssistTencho: time.Hour,
	}[s.name]
}

func (s *crashedWorld) redeemed() int { return s.shop.Tokens.Redeemed() + s.assist.Tokens.Redeemed() }

func (s *crashedWorld) oneTime() bool {
	return s.name == providers.SHOPLINE || s.name == providers.AssistTencho
}

func (s *crashedWorld) recordPart() string {
	if s.oneTime() {
		return secretstore.RefreshPart
	}
	return secretstore.TokenPart
}

func (s *crashedWorld) recordName() string {
	return secretstore.Name(prefix, s.provider, s.recordPart())
}

// live is one life of a process: a run, the four steps of a rotation, or what
// 'hikyaku authorize' does once it has received a code.
func live(ctx context.Context, p *crash.Process, s *crashedWorld) error {
	objects := p.Objects(s.objects)
	if s.blind != nil {
		objects = s.blind(objects)
	}
	deps := s.deps(p.Secrets(s.secrets), objects, p.Transport(s))
	notify := deps.Notify
	deps.Notify = func(ctx context.Context, e tokenrefresh.Event) error {
		return p.Effect(ctx, "events.Put "+e.Type, func() error { return notify(ctx, e) })
	}
	life := len(s.actions)
	s.actions = append(s.actions, nil)
	deps.Log = slog.New(&watcher{Handler: deps.Log.Handler(), saw: func(a action) {
		a.from = p.Made()
		s.actions[life] = append(s.actions[life], a)
	}})
	r := tokenrefresh.New(prefix, deps)
	if s.plan.rotation {
		for _, step := range []string{rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret} {
			if err := r.Rotation(ctx, s.recordName(), s.rotation, step); err != nil {
				return err
			}
		}
		return nil
	}
	if s.approved && !s.dead {
		var err error
		s.result, err = r.Authorize(ctx, s.provider, s.begun, s.code)
		return err
	}
	report, err := r.Run(ctx, tokenrefresh.Request{Provider: s.provider})
	if err == nil {
		s.result = report.Results[0]
	}
	return err
}

// survive is live after the lease of the dead has ended. What a person began is
// the function's to end.
func survive(ctx context.Context, p *crash.Process, s *crashedWorld) error {
	time.Sleep(2 * time.Minute)
	s.dead = true
	return live(ctx, p, s)
}

// check compares what a crashed and recovered plan left behind with the table.
func (s *crashedWorld) check(o crash.Outcome) error {
	doubtful := false
	for life := range o.Points {
		doubtful = doubtful || s.inDoubt(o, life)
	}
	if err := s.checkTable(o); err != nil {
		return err
	}
	if s.approved && !s.handedOver(o) {
		return s.checkBegunAgain(o)
	}
	if spent := s.redeemed() - s.before; s.oneTime() && (spent > 1 || spent == 0 && !doubtful) {
		return fmt.Errorf("%d redemptions", spent)
	}
	if doubtful {
		return s.checkDoubt(o)
	}
	if !s.plan.rotation && !slices.Contains([]protocol.Outcome{protocol.Refreshed, protocol.Promoted, protocol.Probed, protocol.Fresh}, s.result.Outcome) {
		if len(o.Points) == 0 || o.Points[len(o.Points)-1].Fault != crash.Failed && o.Points[len(o.Points)-1].Fault != crash.Lost {
			return fmt.Errorf("outcome %q (%s)", s.result.Outcome, s.result.Reason)
		}
	}
	if err := s.works(s.provider); err != nil {
		return fmt.Errorf("what is served does not work: %w", err)
	}
	if asked := s.asked(s.provider); s.recordPart() == secretstore.TokenPart && s.connection(s.name).Kind == providers.Static && asked > 0 {
		return fmt.Errorf("%d token calls for a static credential", asked)
	}
	if strings.Contains(s.told(), protocol.NeedsHuman) {
		return errors.New("a person was called for nothing")
	}
	return s.checkTidy()
}

// checkTidy: nothing is left to do, and no label in the way.
func (s *crashedWorld) checkTidy() error {
	if s.plan.rotation {
		if got := s.value(s.provider, s.recordPart(), secretstore.Current); got.ID != s.rotation {
			return fmt.Errorf("version %s is current, not the rotation's", got.ID)
		}
		if _, pending := s.stages(s.provider, s.recordPart())[secretstore.Pending]; pending {
			return errors.New("AWSPENDING was left behind")
		}
	}
	s.must(s.secrets.Cancel(context.Background(), s.recordName()))
	if result := s.run(tokenrefresh.Request{Provider: s.provider, Force: true, ResendInDoubt: true}); result.Outcome != protocol.Refreshed && result.Outcome != protocol.Probed && result.Outcome != protocol.Promoted {
		return fmt.Errorf("the next replacement: %q (%s)", result.Outcome, result.Reason)
	}
	for _, part := range []string{secretstore.TokenPart, s.recordPart()} {
		if stages := s.stages(s.provider, part); stages[protocol.Next] != "" && stages[protocol.Next] != stages[secretstore.Current] {
			return fmt.Errorf("a version of the %s secret was forgotten under %s", part, protocol.Next)
		}
	}
	return s.works(s.provider)
}

// checkDoubt: a person was told within one run, nothing more was sent, the old
// token is still served, and a person's decision ends it.
func (s *crashedWorld) checkDoubt(o crash.Outcome) error {
	asked := s.asked(s.provider)
	if s.plan.rotation {
		s.must(s.secrets.Cancel(context.Background(), s.recordName()))
	}
	result := s.run(tokenrefresh.Request{Provider: s.provider})
	if result.Outcome != protocol.InDoubt || s.asked(s.provider) != asked {
		return fmt.Errorf("outcome %q (%s) after %d more token calls, want in doubt", result.Outcome, result.Reason, s.asked(s.provider)-asked)
	}
	if told := s.told(); !strings.Contains(told, protocol.NeedsHuman) || len(o.Points) == 1 && strings.Count(told, protocol.NeedsHuman) > 1 && !s.plan.rotation {
		return fmt.Errorf("told %q", told)
	}
	if s.refresh {
		if err := s.works(s.provider); err != nil {
			return fmt.Errorf("the old token is not served: %w", err)
		}
	}
	want := protocol.Refused // a person forces it, and the provider knows the truth
	if s.redeemed() == s.before {
		want = protocol.Refreshed
	}
	if result := s.run(tokenrefresh.Request{Provider: s.provider, Force: true, ResendInDoubt: true}); result.Outcome != want {
		return fmt.Errorf("forced: %q (%s), want %q", result.Outcome, result.Reason, want)
	}
	if want == protocol.Refused { // and authorizes anew
		s.reconnect(s.connection(s.name))
		if result := s.run(tokenrefresh.Request{Provider: s.provider}); result.Outcome != protocol.Refreshed {
			return fmt.Errorf("authorized anew: %q (%s)", result.Outcome, result.Reason)
		}
	}
	if told := s.told(); told != protocol.Recovered && told != protocol.NeedsHuman+" "+protocol.Recovered {
		return fmt.Errorf("told %q at the end", told)
	}
	return s.works(s.provider)
}

// enumerate crashes a plan at every point. It must be called in a bubble.
// Of the second deaths, go test takes one in 211, .ci/run one in 19, and
// HIKYAKU_PROVE=full all.
func (p plan) enumerate(t testing.TB, faults []crash.Fault, twice bool) crash.Report {
	t.Helper()
	every := 19
	switch {
	case prove.Full():
		every = 1
	case prove.Handful():
		every = 211
	}
	return crash.Enumerate(t, crash.Scenario[*crashedWorld]{
		Setup: p.setUp, Run: live, Recover: survive, Faults: faults, Twice: twice, Every: every,
		Check: (*crashedWorld).check,
	})
}

func plans() []plan {
	plans := []plan{
		{name: providers.Yappli, refresh: true, rotation: true},
		{name: providers.SHOPLINE, refresh: true, rotation: true},
		{name: providers.AssistTencho, refresh: true, rotation: true},
	}
	for _, name := range []string{providers.Yappli, providers.ActiBook, providers.SHOPLINE, providers.AssistTencho, staff, providers.SuperSaaS} {
		plans = append(plans, plan{name: name}, plan{name: name, refresh: true})
	}
	for _, name := range []string{providers.SHOPLINE, providers.AssistTencho} {
		plans = append(plans, plan{name: name, approved: true}, plan{name: name, refresh: true, approved: true})
	}
	return plans
}

// TestCrash_HasOneOutcomeAtEveryPoint is the table of docs/token-protocol.md:
// the process dies before and after the effect of every call to objects,
// secrets, provider and event bus, the next one finds what is there, and dies
// at every call too; or the calls fail, or lose their answer.
func TestCrash_HasOneOutcomeAtEveryPoint(t *testing.T) {
	t.Parallel()
	protocol := readTable(t)
	t.Cleanup(func() { protocol.wantAllSeen(t) })
	for _, p := range plans() {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			var deaths, failures crash.Report
			synctest.Test(t, func(t *testing.T) {
				p.table = protocol
				deaths = p.enumerate(t, []crash.Fault{crash.Before, crash.After}, true)
				failures = p.enumerate(t, []crash.Fault{crash.Failed, crash.Lost}, false)
			})
			protocol.mu.Lock()
			protocol.ran++
			protocol.mu.Unlock()
			t.Logf("%s: %d calls, %d cases of deaths in one run or two, %d of failed or lost calls", p, len(deaths.Calls), deaths.Cases, failures.Cases)
			if once := 2 * len(deaths.Calls); deaths.Cases <= once || failures.Cases != once {
				t.Errorf("only %d cases", deaths.Cases)
			}
		})
	}
}

// forgetful is an object store without conditions that shows nobody what
// others wrote: every lease is granted, and no journal inherited.
type forgetful struct{ objectstore.Store }

func (forgetful) Get(context.Context, string) (objectstore.Info, io.ReadCloser, error) {
	return objectstore.Info{}, nil, objectstore.ErrNotFound
}

func (f forgetful) Put(ctx context.Context, o objectstore.Object) (string, error) {
	o.Condition = objectstore.Condition{}
	return f.Store.Put(ctx, o)
}

// TestCrash_IsFoundWithoutTheJournal: the same check fails for a refresher
// whose lease is always granted and whose journal is lost.
func TestCrash_IsFoundWithoutTheJournal(t *testing.T) {
	for _, p := range plans() {
		if p.rotation || !p.refresh || p.name != providers.SHOPLINE && p.name != providers.AssistTencho {
			continue
		}
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p.blind = func(s objectstore.Store) objectstore.Store { return forgetful{s} }
				r := &crash.Recorder{TB: t}
				crash.Enumerate(r, crash.Scenario[*crashedWorld]{
					Setup: p.setUp, Run: live, Recover: survive, Faults: []crash.Fault{crash.Before, crash.After},
					Check: (*crashedWorld).check,
				})
				if len(r.Errors) == 0 {
					t.Error("a refresher without journal passes")
				}
			})
		})
	}
}
