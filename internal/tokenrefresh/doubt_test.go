package tokenrefresh_test

import (
	"context"
	"testing"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

const tokenRoute = "POST /developers/oauth/token"

// doubt brings a SHOPLINE app's refresh token into doubt: it was sent, took
// effect, and the answer was lost. No age makes it due.
func (w *world) doubt(kind sandbox.FaultKind) (provider string) {
	w.t.Helper()
	provider = w.connect(providers.SHOPLINE)
	w.want(provider, protocol.Refreshed)
	w.shop.Inject(sandbox.Fault{Kind: kind, Route: tokenRoute})
	w.wantOf(tokenrefresh.Request{Provider: provider, Force: true}, protocol.InDoubt)
	w.wantTold("needs_human")
	return provider
}

func TestDoubt_EveryUnclearAnswerIsOne(t *testing.T) {
	for _, kind := range []sandbox.FaultKind{
		sandbox.Lost, sandbox.Reset, sandbox.Garbage, sandbox.Dropped, sandbox.ServerFail, sandbox.BadGateway,
	} {
		inBubbleNamed(t, string(kind), func(w *world) {
			provider := w.doubt(kind)
			asked := w.asked(provider)
			// Nothing more is sent, whoever asks, however long it lasts; the
			// old token is served, though its probe says that all is well.
			for range 48 {
				time.Sleep(time.Hour)
				w.want(provider, protocol.InDoubt)
				w.wantOf(tokenrefresh.Request{Provider: provider, RejectedVersion: w.served(provider).Version}, protocol.InDoubt)
			}
			if w.asked(provider) != asked {
				t.Errorf("%d token calls, want %d", w.asked(provider), asked)
			}
			w.must(w.works(provider))
			w.wantTold("")
		})
	}
}

// While in doubt it is looked at with doubling pauses of at most 30 minutes.
func TestDoubt_PausesDouble(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.doubt(sandbox.Lost)
		for _, pause := range []time.Duration{50, 100, 200, 400, 800, 1600, 1800, 1800} {
			looks := func() int {
				return w.secrets.Calls()[secretstore.Call{Op: secretstore.OpGet, Name: secretstore.Name(prefix, provider, secretstore.RefreshPart), Stage: secretstore.Current}]
			}
			before := looks()
			time.Sleep(pause*time.Second - 1)
			if w.want(provider, protocol.InDoubt); looks() != before {
				t.Fatalf("looked at before %d s", pause)
			}
			time.Sleep(time.Nanosecond)
			if w.want(provider, protocol.InDoubt); looks() != before+1 {
				t.Fatalf("not looked at after %d s", pause)
			}
		}
	})
}

func TestDoubt_EndsByForceByANewCodeOrByTheAnswer(t *testing.T) {
	for name, end := range map[string]func(w *world, provider string) protocol.Outcome{
		"force, and it was not spent": func(w *world, provider string) protocol.Outcome {
			return w.run(tokenrefresh.Request{Provider: provider, Force: true, ResendInDoubt: true}).Outcome
		},
		"new code": func(w *world, provider string) protocol.Outcome {
			w.connect(providers.SHOPLINE)
			return w.run(tokenrefresh.Request{Provider: provider}).Outcome
		},
		"answer found": func(w *world, provider string) protocol.Outcome {
			current := w.value(provider, secretstore.RefreshPart, secretstore.Current)
			grant, err := providers.ParseGrant(current.Data)
			w.must(err)
			access, refresh := w.shop.Tokens.Issue(time.Now())
			grant.Access, grant.Refresh, grant.Base = providers.NewSecret(access), providers.NewSecret(refresh), current.ID
			w.must(w.secrets.Put(context.Background(), secretstore.Name(prefix, provider, secretstore.RefreshPart), "hikyaku-00000000-0000-4000-8000-000000000000", grant.Document(), protocol.Next))
			time.Sleep(time.Minute)
			if w.run(tokenrefresh.Request{Provider: provider}).Outcome == protocol.Promoted {
				return protocol.Refreshed
			}
			return protocol.Failed
		},
	} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.doubt(sandbox.Dropped)
			if got := end(w, provider); got != protocol.Refreshed {
				t.Fatalf("outcome %q", got)
			}
			w.must(w.works(provider))
			w.wantTold("recovered")
			w.want(provider, protocol.Fresh)
			time.Sleep(day) // a person's budget is for one force of four versions
			w.wantOf(tokenrefresh.Request{Provider: provider, Force: true}, protocol.Refreshed)
		})
	}
}

// Forced after it was spent, the provider's refusal is clear, and a person
// authorizes anew.
func TestDoubt_ForcedAfterItWasSpent(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.doubt(sandbox.Lost)
		w.wantOf(tokenrefresh.Request{Provider: provider, Force: true}, protocol.InDoubt) // that alone sends nothing
		w.wantOf(tokenrefresh.Request{Provider: provider, Force: true, ResendInDoubt: true}, protocol.Refused)
		w.wantTold("needs_human")
		asked := w.asked(provider)
		time.Sleep(day)
		if w.want(provider, protocol.Refused); w.asked(provider) != asked {
			t.Errorf("%d token calls, want %d", w.asked(provider), asked)
		}
		w.connect(providers.SHOPLINE)
		w.want(provider, protocol.Refreshed)
		w.wantTold("recovered")
	})
}

// A code in doubt stays so too.
func TestDoubt_OfACode(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.AssistTencho)
		w.assist.Inject(sandbox.Fault{Kind: sandbox.Lost, Route: "POST /api/oauth"})
		w.want(provider, protocol.InDoubt)
		time.Sleep(time.Hour)
		w.want(provider, protocol.InDoubt)
		if w.asked(provider) != 1 || !w.served(provider).Credential.Empty() {
			t.Errorf("%d token calls", w.asked(provider))
		}
		w.connect(providers.AssistTencho)
		w.want(provider, protocol.Refreshed)
		w.wantTold("needs_human recovered")
	})
}

// The answer's store fails for a while: it is written again and again within
// the run.
func TestDoubt_TheAnswerIsStoredAgainAndAgain(t *testing.T) {
	for name, c := range map[string]struct {
		outage time.Duration
		want   protocol.Outcome
	}{"25 s": {25 * time.Second, protocol.Refreshed}, "31 s": {31 * time.Second, protocol.InDoubt}} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(providers.SHOPLINE)
			down := time.Time{}
			w.secrets.Throttle = func(op, _ string) bool { return op == secretstore.OpPut && time.Now().Before(down) }
			deps := w.deps(&proven{w.secrets, func() { down = time.Now().Add(c.outage) }}, w.objects, w)
			report, err := tokenrefresh.New(prefix, deps).Run(context.Background(), tokenrefresh.Request{Provider: provider})
			w.must(err)
			if got := report.Results[0]; got.Outcome != c.want {
				t.Errorf("%+v, want %s", got, c.want)
			}
		})
	}
}

// A secret that cannot be written is found out before the credential is sent.
func TestDoubt_NotWithoutAProof(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE)
		w.secrets.Throttle = func(op, _ string) bool { return op == secretstore.OpPut }
		began := time.Now()
		w.want(provider, protocol.Failed)
		if w.asked(provider) != 0 || time.Since(began) < 30*time.Second || time.Since(began) > 32*time.Second {
			t.Errorf("%d token calls after %v", w.asked(provider), time.Since(began))
		}
		w.secrets.Throttle = nil
		time.Sleep(50 * time.Second)
		w.want(provider, protocol.Refreshed)
		w.wantTold("")

		w.secrets.MaxVersions = 1 // refused for good: no need to repeat it
		began = time.Now()
		if w.wantOf(tokenrefresh.Request{Provider: provider, Force: true}, protocol.Failed); time.Since(began) != 0 || w.asked(provider) != 1 {
			t.Errorf("%d token calls after %v", w.asked(provider), time.Since(began))
		}
	})
}
