package tokenrefresh_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/crash"
	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// crowd lets n refreshers with nothing in common but the stores replace one
// credential, half of them for a rejected version, and counts the outcomes.
func (w *world) crowd(n int, provider string, objects objectstore.Store) map[protocol.Outcome]int {
	version := w.served(provider).Version
	outcomes := map[protocol.Outcome]int{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			q := tokenrefresh.Request{Provider: provider}
			if i%2 == 1 && !w.served(provider).Credential.Empty() {
				q.RejectedVersion = version
			}
			time.Sleep(time.Duration(i%10) * 10 * time.Millisecond)
			report, err := tokenrefresh.New(prefix, w.deps(w.secrets, objects, w)).Run(context.Background(), q)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				outcomes["error"]++
				return
			}
			outcomes[report.Results[0].Outcome]++
		})
	}
	group.Wait()
	return outcomes
}

// late makes every answer of the providers take some time.
func (w *world) late() {
	faults := sandbox.Faults{Latency: 300 * time.Millisecond}
	w.yappli.SetFaults(faults)
	w.actibook.SetFaults(faults)
	w.shop.SetFaults(faults)
	w.assist.SetFaults(faults)
	w.bookings.SetFaults(faults)
}

func TestConcurrent_OneRedemption(t *testing.T) {
	for _, n := range []int{2, 50} {
		for name, age := range map[string]time.Duration{
			providers.Yappli: 13 * time.Hour, providers.ActiBook: 21 * time.Minute, providers.SHOPLINE: 160 * day, providers.AssistTencho: 0,
		} {
			inBubbleNamed(t, name, func(w *world) {
				w.late()
				w.connect(name)
				want := 1
				if age > 0 { // else the code of the first run is what is spent
					w.want(name, protocol.Refreshed)
					time.Sleep(age)
					want = 2
				}
				outcomes := w.crowd(n, name, w.objects)
				if asked := w.asked(name); asked != want || outcomes[protocol.Refreshed] != 1 {
					t.Errorf("%d at once: %d token calls, want %d; %v", n, asked, want, outcomes)
				}
				if rest := outcomes[protocol.Waiting] + outcomes[protocol.Replaced] + outcomes[protocol.Fresh]; rest != n-1 {
					t.Errorf("%d at once: %v", n, outcomes)
				}
				w.must(w.works(name))
			})
		}
	}
}

func TestConcurrent_StaticIsNeitherAskedForNorWritten(t *testing.T) {
	for _, name := range []string{staff, providers.SuperSaaS} {
		inBubbleNamed(t, name, func(w *world) {
			w.late()
			provider := w.connect(name)
			version := w.want(provider, protocol.Refreshed).Version
			time.Sleep(time.Hour)
			outcomes := w.crowd(50, provider, w.objects)
			if w.served(provider).Version != version || w.asked(provider) != 0 || outcomes["error"] > 0 || outcomes[protocol.Probed] == 0 {
				t.Errorf("%v", outcomes)
			}
		})
	}
}

// TestConcurrent_IsFoundWithoutTheLease: with a lease that is always granted
// the same crowd spends the refresh token more than once.
func TestConcurrent_IsFoundWithoutTheLease(t *testing.T) {
	inBubble(t, func(w *world) {
		w.late()
		w.connect(providers.SHOPLINE)
		w.want(providers.SHOPLINE, protocol.Refreshed)
		time.Sleep(160 * day)
		w.crowd(50, providers.SHOPLINE, forgetful{w.objects})
		if asked := w.asked(providers.SHOPLINE); asked <= 2 {
			t.Errorf("%d token calls without a lease", asked)
		}
	})
}

// alwaysWins is a secret store whose swaps succeed whatever they start from.
type alwaysWins struct{ secretstore.Store }

func (a alwaysWins) Promote(ctx context.Context, name, stage, to, from string) error {
	if stage == secretstore.Current {
		d, err := a.Describe(ctx, name)
		if err != nil {
			return err
		}
		current, _ := d.Holder(secretstore.Current)
		from = current.ID
	}
	return a.Store.Promote(ctx, name, stage, to, from)
}

// TestEdit_IsFoundWithoutTheSwap: with a swap that always wins, an edit is
// overwritten, and the same check says so.
func TestEdit_IsFoundWithoutTheSwap(t *testing.T) {
	for _, name := range []string{providers.Yappli, providers.SHOPLINE} {
		inBubbleNamed(t, name, func(w *world) {
			found := &crash.Recorder{TB: w.t}
			for n, points := 1, 1; n <= points; n++ {
				blind := newWorld(found)
				blind.store = func(s secretstore.Store) secretstore.Store { return alwaysWins{s} }
				points = blind.editAfter(name, secretstore.TokenPart, true, n)
			}
			if len(found.Errors) == 0 || !strings.Contains(found.Errors[0], "overwritten") {
				t.Errorf("a swap that always wins passes: %q", found.Errors)
			}
		})
	}
}

// held takes a credential's lease as another run would.
func (w *world) held(provider string, ttl time.Duration) *lease.Lease {
	w.t.Helper()
	l, err := lease.Acquire(context.Background(), w.objects, prefix+"/state/tokens/"+provider, "another", ttl, time.Now)
	w.must(err)
	return l
}

func TestLease_LosersWaitFiveSecondsAtMost(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		version := w.want(providers.Yappli, protocol.Refreshed).Version
		w.held(providers.Yappli, time.Minute)
		rejected := tokenrefresh.Request{Provider: providers.Yappli, RejectedVersion: version}
		for _, c := range []struct {
			q       tokenrefresh.Request
			patient time.Duration // of the caller
			want    time.Duration
			reason  string
		}{
			{rejected, time.Hour, 5 * time.Second, "another run holds the lease; try again"},
			{rejected, 1100 * time.Millisecond, 1100 * time.Millisecond, "another run holds the lease"},
			{tokenrefresh.Request{Provider: providers.Yappli, Force: true}, time.Hour, 0, "another run holds the lease"},
		} {
			began := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), c.patient)
			report, err := w.refresher().Run(ctx, c.q)
			w.must(err)
			cancel()
			if got := report.Results[0]; got.Outcome != protocol.Waiting || got.Reason != c.reason || time.Since(began) != c.want || got.Seconds != c.want.Seconds() {
				t.Errorf("%+v after %v, want %v", got, time.Since(began), c.want)
			}
		}
		// The winner's token ends the wait.
		began := time.Now()
		var group sync.WaitGroup
		group.Go(func() {
			time.Sleep(1900 * time.Millisecond)
			w.edit(providers.Yappli, secretstore.TokenPart, w.entered(providers.Yappli, secretstore.TokenPart, true))
		})
		result := w.wantOf(rejected, protocol.Replaced)
		group.Wait()
		if took := time.Since(began); took != 2*time.Second || result.Version != w.served(providers.Yappli).Version {
			t.Errorf("%+v after %v", result, took)
		}
	})
}

func TestLease_EndsAfterTwoMinutes(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		w.held(providers.Yappli, 2*time.Minute)
		time.Sleep(2*time.Minute - 1)
		w.want(providers.Yappli, protocol.Waiting)
		time.Sleep(time.Nanosecond)
		w.want(providers.Yappli, protocol.Refreshed)
		// and is given back at once
		w.wantOf(tokenrefresh.Request{Provider: providers.Yappli, Force: true}, protocol.Refreshed)
	})
}

// A holder whose lease is taken from it before it journals sends nothing.
func TestLease_LostBeforeTheCallSendsNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE)
		deps := w.deps(w.secrets, w.objects, w)
		m := &meddler{Store: w.secrets, next: w}
		deps.Secrets = &proven{m, func() {
			time.Sleep(2*time.Minute + 1)
			w.held(provider, time.Minute)
		}}
		report, err := tokenrefresh.New(prefix, deps).Run(context.Background(), tokenrefresh.Request{Provider: provider})
		w.must(err)
		if got := report.Results[0]; got.Outcome != protocol.Waiting || w.asked(provider) != 0 {
			t.Errorf("%+v after %d token calls", got, w.asked(provider))
		}
		time.Sleep(2 * time.Minute)
		w.want(provider, protocol.Refreshed)
	})
}

// proven does something after the proof that a secret can be written.
type proven struct {
	secretstore.Store

	act func()
}

func (p *proven) Put(ctx context.Context, name, id string, data []byte, stages ...string) error {
	err := p.Store.Put(ctx, name, id, data, stages...)
	if stages[0] == "HIKYAKU_PROOF" {
		p.act()
	}
	return err
}

// Too little time for a token call and its writes: nothing is begun, and a
// one-time credential is not even journaled.
func TestRun_WithoutEnoughTimeSendsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		left time.Duration // when the run begins
		slow time.Duration // until the proof is written
		want protocol.Outcome
	}{
		"too late to begin":   {5*time.Second - 1, 0, protocol.Failed},
		"just in time":        {5 * time.Second, 0, protocol.Refreshed},
		"too late at journal": {20 * time.Second, 16 * time.Second, protocol.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				provider := w.connect(providers.SHOPLINE)
				ctx, cancel := context.WithTimeout(context.Background(), c.left)
				defer cancel()
				deps := w.deps(&proven{w.secrets, func() { time.Sleep(c.slow) }}, w.objects, w)
				report, err := tokenrefresh.New(prefix, deps).Run(ctx, tokenrefresh.Request{Provider: provider})
				w.must(err)
				asked := 0
				if c.want == protocol.Refreshed {
					asked = 1
				}
				if got := report.Results[0]; got.Outcome != c.want || w.asked(provider) != asked {
					t.Errorf("%+v after %d token calls", got, w.asked(provider))
				}
				time.Sleep(time.Minute)
				if asked == 0 {
					w.want(provider, protocol.Refreshed) // not in doubt
				}
				w.wantTold("")
			})
		})
	}
}
