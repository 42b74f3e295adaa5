package provetokens

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// A victim is one credential that is due, under a prefix of its own, and the
// real binary that is about to replace it.
type victim struct {
	*fleet

	provider string
	base     *lambdafn.Base
	before   storm
	old      providers.Token
}

// victims of the two kinds whose crash points differ, and how much older a
// credential is made so that it is due.
var victims = map[string]time.Duration{providers.Yappli: 13 * time.Hour, providers.SHOPLINE: pairLife - pairAhead + time.Hour}

// newVictim obtains a credential, ages it, and registers the binary.
func newVictim(t *testing.T, s *localstack.Stack, provider, prefix string) *victim {
	t.Helper()
	connection := s.Sandboxes[provider].Connection(s.URLs[provider])
	if shop, ok := s.Sandboxes[provider].(*shoplinetest.Server); ok {
		connection = shop.AppConnection(s.URLs[provider])
	}
	name := secretstore.Name(prefix, provider, secretstore.ConnectionPart)
	if err := s.AWS.Secrets.Create(t.Context(), name, uuid.NewString(), connection.Document()); err != nil {
		t.Fatal(err)
	}
	vars := maps.Clone(s.Vars(localstack.TokenRefresh))
	vars["HIKYAKU_PREFIX"] = prefix
	environ := lambdafn.Environ{Vars: vars, Out: t.Output()}
	base, err := clibase.Open(environ)
	if err != nil {
		t.Fatal(err)
	}
	first, err := refreshfn.New(t.Context(), environ)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := invoke(t.Context(), first, schedule); err != nil {
		t.Fatal(err)
	}
	v := &victim{fleet: &fleet{t: t, stack: s, prefix: prefix, name: "kill-" + prefix}, provider: provider, base: base}
	v.age(provider, victims[provider])
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	if err := s.AWS.Register(awslocal.Function{Name: v.name, Binary: binary(t, "tokenrefresh"), Env: env, Timeout: 2 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	v.before = v.count(provider)
	if v.old, err = served(t, s.AWS.Secrets, prefix, provider); err != nil {
		t.Fatal(err)
	}
	return v
}

// run invokes the binary and calls meanwhile once its process is there. It
// returns how long the process worked, and its report if it lived to send one.
func (v *victim) run(meanwhile func(pid int)) (took time.Duration, report tokenrefresh.Report) {
	v.t.Helper()
	var answer awslocal.Result
	var ended time.Time
	var all sync.WaitGroup
	all.Go(func() {
		var err error
		if answer, err = v.stack.AWS.Invoke(v.t.Context(), v.name, schedule); err != nil {
			v.t.Errorf("invoking: %v", err)
		}
		ended = time.Now()
	})
	began := time.Now()
	for len(v.stack.AWS.Processes(v.name)) == 0 && time.Since(began) < 10*time.Second {
		time.Sleep(200 * time.Microsecond)
	}
	began = time.Now()
	if pids := v.stack.AWS.Processes(v.name); len(pids) > 0 && meanwhile != nil {
		meanwhile(pids[0])
	}
	all.Wait()
	_ = json.Unmarshal(answer.Payload, &report)
	return ended.Sub(began), report
}

// kill ends one process of ours.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Logf("the process had ended: %v", err)
	}
}

// A leaseRecord is a lease as it lies in the bucket.
type leaseRecord struct {
	Owner   string         `json:"owner"`
	Until   time.Time      `json:"until"`
	Journal map[string]any `json:"journal,omitempty"`
}

// expire lets the time of the dead process's lease pass. forget also takes
// the journal's intent away: the guard, removed.
func (v *victim) expire(forget bool) leaseRecord {
	v.t.Helper()
	document, err := objectstore.ReadDocument(v.t.Context(), v.base.Objects, v.prefix+"/state/tokens/"+v.provider)
	if err != nil {
		v.t.Fatal(err)
	}
	var lease leaseRecord
	if err := document.Decode(&lease); err != nil {
		v.t.Fatal(err)
	}
	found := lease
	found.Journal = maps.Clone(lease.Journal)
	if !lease.Until.IsZero() {
		lease.Until = time.Now().Add(-time.Second)
	}
	if forget {
		delete(lease.Journal, "intent")
	}
	if _, err := document.Replace(v.t.Context(), v.base.Objects, lease); err != nil {
		v.t.Fatal(err)
	}
	return found
}

// stored says whether an answer of the provider's is in the record, promoted
// or not.
func (v *victim) stored() bool {
	v.t.Helper()
	part := secretstore.TokenPart
	if v.provider == providers.SHOPLINE {
		part = secretstore.RefreshPart
	}
	name := secretstore.Name(v.prefix, v.provider, part)
	for _, stage := range []string{protocol.Next, secretstore.Current} {
		value, err := v.stack.AWS.Secrets.Get(v.t.Context(), name, stage)
		if err == nil && !strings.Contains(string(value.Data), v.old.Credential.Reveal()) {
			return true
		}
	}
	return false
}

// told says whether a person was told that they are needed.
func (v *victim) told(since int) bool {
	for _, e := range v.stack.AWS.Events()[since:] {
		if e.DetailType == "credential "+protocol.NeedsHuman {
			return true
		}
	}
	return false
}

// A fate is what a kill left behind, as the table in docs/token-protocol.md
// names it.
type fate string

const (
	untouched fate = "old token works, repeated"
	found     fate = "stored, promoted by the next run"
	doubt     fate = "in doubt, told within one run"
	finished  fate = "finished before"
)

// judge lets the next run happen and compares its outcome with the table.
func (v *victim) judge(forget bool) (fate, error) {
	time.Sleep(30 * time.Millisecond) // what the dead process had sent arrives
	left, intent := v.stored(), v.expire(forget).Journal["intent"] != nil
	after := v.count(v.provider)
	spent := after.redeemed > v.before.redeemed
	events := len(v.stack.AWS.Events())
	_, report := v.run(nil)
	now := v.count(v.provider)
	outcome := protocol.Outcome("no report")
	for _, r := range report.Results {
		if r.Provider == v.provider {
			outcome = r.Outcome
		}
	}
	state := fmt.Sprintf("intent %t, spent %t, stored %t, then %s, %d redemptions", intent, spent, left, outcome, now.redeemed-v.before.redeemed)
	if v.provider == providers.SHOPLINE && intent && !left {
		switch {
		case outcome != protocol.InDoubt || !v.told(events):
			return doubt, fmt.Errorf("%s: not reported within one run", state)
		case now.calls != after.calls:
			return doubt, fmt.Errorf("%s: the token endpoint was called again", state)
		case !v.works(v.provider):
			return doubt, fmt.Errorf("%s: the old token does not work any more", state)
		}
		return doubt, nil
	}
	most := v.before.redeemed + 1
	if v.provider == providers.Yappli && spent && !left {
		most++ // one unused token is lost
	}
	was := untouched
	switch {
	case left && outcome == protocol.Fresh:
		was = finished
	case left:
		was = found
	}
	switch {
	case !v.works(v.provider):
		return was, fmt.Errorf("%s: the served token does not work", state)
	case now.redeemed > most:
		return was, fmt.Errorf("%s: redeemed too often", state)
	case v.told(events):
		return was, fmt.Errorf("%s: a person was told without need", state)
	}
	if token, err := served(v.t, v.stack.AWS.Secrets, v.prefix, v.provider); err != nil || token.Credential == v.old.Credential {
		return was, fmt.Errorf("%s: the token was not replaced", state)
	}
	return was, nil
}

// slowly makes every call take as long as over a network, so that a kill at a
// random time falls into each of them.
func (v *victim) slowly() {
	v.stack.AWS.ClearFaults()
	v.stack.AWS.Inject(sandbox.Fault{Kind: sandbox.Slow, Times: -1, Delay: 8 * time.Millisecond})
	v.sandbox(v.provider).SetFaults(sandbox.Faults{Latency: 20 * time.Millisecond})
}

// TestProveKills kills the real binary at random times.
func TestProveKills(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	s := newStack(t)
	r := random(2)
	for _, provider := range []string{providers.SHOPLINE, providers.Yappli} {
		whole := newVictim(t, s, provider, "whole-"+provider)
		whole.slowly()
		length, _ := whole.run(nil)
		fates := map[fate]int{}
		wrong := 0
		n := size(50, 2)
		for i := range n {
			s.AWS.ClearFaults()
			v := newVictim(t, s, provider, fmt.Sprintf("kill-%s-%d", provider, i))
			v.slowly()
			at := time.Duration(r.Int64N(int64(length)))
			took, _ := v.run(func(pid int) {
				time.Sleep(at)
				kill(t, pid)
			})
			if took < at { // it had ended by itself: on a busy machine the first one took longer
				length = took
			}
			was, err := v.judge(false)
			if err != nil {
				t.Errorf("%s, killed after %s of %s: %v", provider, at, length, err)
				wrong++
			}
			fates[was]++
		}
		figure(t, wrong == 0, fmt.Sprintf("SIGKILL of the real binary at random times of %d ms, %s", length.Milliseconds(), provider), "every outcome as the table says",
			"%d kills: %d untouched, %d found stored, %d in doubt, %d finished before; %d wrong", n, fates[untouched], fates[found], fates[doubt], fates[finished], wrong)
	}
}

// TestProveKills_WithoutTheJournal kills it between answer and store, and lets
// the next run find no intent in the journal: it spends the spent credential
// again, and the whole family is revoked.
func TestProveKills_WithoutTheJournal(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	for _, forget := range []bool{false, true} {
		s := newStack(t)
		v := newVictim(t, s, providers.SHOPLINE, "forget")
		s.AWS.Inject(sandbox.Fault{Route: "secretsmanager.PutSecretValue", Kind: sandbox.ServerFail, After: 1, Times: -1})
		v.run(func(pid int) {
			for end := time.Now().Add(20 * time.Second); v.count(v.provider).redeemed == v.before.redeemed && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			kill(t, pid)
		})
		time.Sleep(200 * time.Millisecond) // what the dead process had sent is refused too
		s.AWS.ClearFaults()
		was, err := v.judge(forget)
		if !forget {
			figure(t, err == nil && was == doubt, "SIGKILL between answer and store", "in doubt, told within one run", "%s", was)
			continue
		}
		figure(t, err != nil, "guard removed: no journal, SIGKILL between answer and store", "must be wrong", "%v", err)
	}
}
