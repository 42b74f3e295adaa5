package tokenrefresh_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

const day = 24 * time.Hour

// wantDueAt checks that nothing happens a nanosecond before an age, and the
// outcome at it.
func (w *world) wantDueAt(provider string, obtained time.Time, age time.Duration, outcome protocol.Outcome) {
	w.t.Helper()
	time.Sleep(time.Until(obtained.Add(age - 1)))
	w.want(provider, protocol.Fresh)
	time.Sleep(time.Nanosecond)
	w.want(provider, outcome)
}

func TestDue_ActiBookAtTwentyMinutes(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.ActiBook)
		w.want(providers.ActiBook, protocol.Refreshed)
		for range 3 {
			w.wantDueAt(providers.ActiBook, w.served(providers.ActiBook).ObtainedAt, 19*time.Minute+30*time.Second, protocol.Refreshed)
		}
	})
}

// A token that lives 12 minutes is replaced in the last third of its life.
func TestDue_AShortLifeIsNotUsedUp(t *testing.T) {
	inBubble(t, func(w *world) {
		w.actibook.Tokens.Life = 12 * time.Minute
		w.connect(providers.ActiBook)
		w.want(providers.ActiBook, protocol.Refreshed)
		w.wantDueAt(providers.ActiBook, w.served(providers.ActiBook).ObtainedAt, 8*time.Minute, protocol.Refreshed)
	})
}

func TestDue_YappliAtHalfLifeWithJitter(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		w.want(providers.Yappli, protocol.Refreshed)
		ages := map[time.Duration]bool{}
		for range 12 {
			obtained := w.served(providers.Yappli).ObtainedAt
			time.Sleep(time.Until(obtained.Add(12*time.Hour - 24*time.Hour/10 - 1)))
			w.want(providers.Yappli, protocol.Fresh)
			for w.run(tokenrefresh.Request{Provider: providers.Yappli}).Outcome == protocol.Fresh {
				time.Sleep(5 * time.Minute)
			}
			age := w.served(providers.Yappli).ObtainedAt.Sub(obtained)
			if age > 12*time.Hour+5*time.Minute {
				t.Errorf("replaced at the age of %v", age)
			}
			ages[age] = true
		}
		if len(ages) < 6 {
			t.Errorf("12 tokens were replaced at %d different ages: no jitter", len(ages))
		}
	})
}

func TestDue_SHOPLINEAppThirtyDaysAhead(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE)
		w.want(provider, protocol.Refreshed)
		first := w.served(provider)
		age := first.ExpiresAt.Sub(first.ObtainedAt) - 30*day
		time.Sleep(time.Until(first.ObtainedAt.Add(age - 1)))
		w.want(provider, protocol.Probed)
		w.want(provider, protocol.Fresh)
		time.Sleep(time.Hour) // what was probed a moment ago is not asked for at every tick
		w.want(provider, protocol.Refreshed)
		if w.shop.Tokens.Redeemed() != 2 || w.asked(provider) != 2 {
			t.Errorf("%d redemptions in %d calls, want code and refresh token", w.shop.Tokens.Redeemed(), w.asked(provider))
		}
		w.wantTold("")
	})
}

// What the provider does not say is assumed, and the end stays unknown.
func TestDue_UnknownExpiry(t *testing.T) {
	inBubble(t, func(w *world) {
		w.shop.Tokens.Life = 0 // answers expires_in 0
		provider := w.connect(providers.SHOPLINE)
		result := w.want(provider, protocol.Refreshed)
		if result.ExpiresAt != nil || !w.served(provider).ExpiresAt.IsZero() {
			t.Fatalf("an end is known: %+v", result)
		}
		w.wantMeasured("UnknownExpiry Count 1 map[provider:shopline]", true)
		w.want(w.connect(providers.SuperSaaS), protocol.Refreshed) // whose keys have none
		w.wantMeasured("UnknownExpiry", false)
		obtained := w.served(provider).ObtainedAt
		time.Sleep(time.Until(obtained.Add(151 * day)))
		w.want(provider, protocol.Probed)
		w.wantMeasured("SecondsToExpiry", false)
		time.Sleep(time.Until(obtained.Add(152 * day)))
		w.want(provider, protocol.Refreshed)
	})
}

func TestDue_StaticIsProbedEachHour(t *testing.T) {
	for _, name := range []string{staff, providers.SuperSaaS, providers.AssistTencho} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				provider := w.connect(name)
				version := w.want(provider, protocol.Refreshed).Version
				for range 3 {
					probes, began := w.calls(provider), time.Now()
					w.wantDueAt(provider, began, time.Hour-30*time.Second, protocol.Probed)
					if n := w.calls(provider) - probes; n != 1 {
						t.Errorf("%d calls for a probe", n)
					}
				}
				if w.served(provider).Version != version || len(w.secrets.Entries()) > 3 {
					t.Error("a probe wrote a secret")
				}
			})
		})
	}
}

// An Assist Tencho that gives lives and refresh tokens: replaced if the quirk
// says so, else a person is told that it ends.
func TestDue_AssistTenchoRefreshesOnlyIfEnabled(t *testing.T) {
	for _, enabled := range []bool{false, true} {
		inBubbleNamed(t, map[bool]string{false: "off", true: "on"}[enabled], func(w *world) {
			w.assist.Tokens.Life = 60 * day
			w.assist.Quirks.RefreshGrant = enabled
			provider := w.connect(providers.AssistTencho)
			w.want(provider, protocol.Refreshed)
			time.Sleep(30*day - 1)
			w.want(provider, protocol.Probed)
			time.Sleep(time.Hour)
			if enabled {
				w.want(provider, protocol.Refreshed)
				w.wantTold("")
				return
			}
			for range 5 { // is due by its age, and has nothing to replace it with
				w.want(provider, protocol.Probed)
				w.want(provider, protocol.Fresh)
				time.Sleep(time.Hour)
			}
			w.wantTold("expiring")
			if n := w.asked(provider); n != 1 {
				t.Errorf("%d token calls", n)
			}
		})
	}
}

// A window postpones what is due for its age, and nothing else.
func TestDue_InTheWindow(t *testing.T) {
	inBubble(t, func(w *world) {
		window, err := protocol.ParseWindow("00:00-06:00 Asia/Tokyo") // from 15:00 UTC
		w.must(err)
		deps := w.deps(w.secrets, w.objects, w)
		deps.Window = window
		r := tokenrefresh.New(prefix, deps)
		run := func(q tokenrefresh.Request, want protocol.Outcome) {
			t.Helper()
			q.Provider = providers.Yappli
			report, err := r.Run(context.Background(), q)
			if w.must(err); report.Results[0].Outcome != want {
				t.Fatalf("%v: %+v, want %s", time.Now(), report.Results[0], want)
			}
		}
		w.connect(providers.Yappli)
		run(tokenrefresh.Request{}, protocol.Refreshed)
		time.Sleep(15*time.Hour - 1) // a life's half has passed since 12:00
		run(tokenrefresh.Request{}, protocol.Fresh)
		time.Sleep(time.Nanosecond)
		run(tokenrefresh.Request{}, protocol.Refreshed)
		time.Sleep(10 * time.Hour)
		run(tokenrefresh.Request{RejectedVersion: w.served(providers.Yappli).Version}, protocol.Refreshed)
	})
}

func TestMeasures(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		w.yappli.Inject(slow)
		w.want(providers.Yappli, protocol.Refreshed)
		want := []string{
			"RefreshOutcome Count 1 map[outcome:refreshed provider:yappli]",
			"RefreshSeconds Seconds 20 map[provider:yappli]",
			"SecondsToExpiry Seconds 86380 map[provider:yappli]",
		}
		for i, line := range want {
			if len(w.measured) != 3 || w.measured[i] != line {
				t.Fatalf("measured %q, want %q", w.measured, want)
			}
		}
		w.measured = nil
		w.want(providers.ActiBook, protocol.Off) // costs nothing
		if len(w.measured) != 0 {
			t.Errorf("measured %q of a provider that is off", w.measured)
		}
		w.connect(providers.SuperSaaS, func(c *providers.Connection) { c.APIKey = providers.NewSecret("wrong") })
		w.want(providers.SuperSaaS, protocol.Denied)
		if n := len(w.measured); n == 0 || w.measured[n-1] != "NeedsHuman Count 1 map[]" {
			t.Errorf("measured %q of a provider that needs a person", w.measured)
		}
		w.wantMeasured("UnknownExpiry", false) // there is no credential whose end could be unknown
	})
}

// The second reader of a moved stage may see it where it was.
func TestLaggingStageIsNoReasonToReplaceAgain(t *testing.T) {
	for _, name := range []string{providers.Yappli, providers.ActiBook} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.secrets.ReadLag = 30 * time.Second
				w.connect(name)
				time.Sleep(time.Minute)
				w.want(name, protocol.Refreshed)
				w.want(name, protocol.Fresh)
				time.Sleep(time.Minute)
				old := w.served(name).Version
				w.wantOf(tokenrefresh.Request{Provider: name, Force: true}, protocol.Refreshed)
				w.want(name, protocol.Fresh)
				w.wantOf(tokenrefresh.Request{Provider: name, RejectedVersion: old}, protocol.Replaced)
				if w.asked(name) != 2 {
					t.Errorf("%d token calls", w.asked(name))
				}
				w.wantTold("")
			})
		})
	}
}

// stale answers reads of one secret's current version with an old value.
type stale struct {
	secretstore.Store

	name string
	old  secretstore.Value
}

func (s stale) Get(ctx context.Context, name, stage string) (secretstore.Value, error) {
	if name == s.name && stage == secretstore.Current {
		return s.old, nil
	}
	return s.Store.Get(ctx, name, stage)
}

// A refresh secret that is read as it stood before must not be spent again:
// the provider would revoke the whole family.
func TestLaggingStageIsNotSpentTwice(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE)
		force := tokenrefresh.Request{Provider: provider, Force: true}
		w.want(provider, protocol.Refreshed)
		old := w.value(provider, secretstore.RefreshPart, secretstore.Current)
		w.wantOf(force, protocol.Refreshed)
		lagging := tokenrefresh.New(prefix, w.deps(stale{w.secrets, secretstore.Name(prefix, provider, secretstore.RefreshPart), old}, w.objects, w))
		time.Sleep(time.Minute - 1)
		report, err := lagging.Run(context.Background(), force)
		w.must(err)
		if got := report.Results[0]; got.Outcome != protocol.Failed || w.shop.Tokens.Redeemed() != 2 || w.asked(provider) != 2 {
			t.Errorf("%+v, %d redemptions in %d calls", got, w.shop.Tokens.Redeemed(), w.asked(provider))
		}
		w.must(w.works(provider))

		// A person puts an old version back: only Force spends it.
		w.edit(provider, secretstore.RefreshPart, old.Data)
		time.Sleep(160 * day)
		if result := w.want(provider, protocol.Refused); w.asked(provider) != 2 || !strings.Contains(result.Reason, "spent before") {
			t.Errorf("%d token calls, %q", w.asked(provider), result.Reason)
		}
		if w.wantOf(force, protocol.Refused); w.asked(provider) != 3 {
			t.Errorf("%d token calls", w.asked(provider))
		}
	})
}

// A whole store whose stages lag: nothing is spent twice either.
func TestLaggingStoreFindsItsOwnGrant(t *testing.T) {
	inBubble(t, func(w *world) {
		w.secrets.ReadLag = 30 * time.Second
		provider := w.connect(providers.SHOPLINE)
		time.Sleep(time.Minute)
		force := tokenrefresh.Request{Provider: provider, Force: true}
		w.want(provider, protocol.Refreshed)
		time.Sleep(time.Minute)
		w.wantOf(force, protocol.Refreshed)
		w.wantOf(force, protocol.Promoted)
		if w.shop.Tokens.Redeemed() != 2 || w.asked(provider) != 2 {
			t.Errorf("%d redemptions in %d calls", w.shop.Tokens.Redeemed(), w.asked(provider))
		}
		time.Sleep(time.Minute)
		w.wantOf(force, protocol.Refreshed)
		w.must(w.works(provider))
	})
}
