package tokenrefresh_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// tickOf runs r as the schedule does and returns what became of one provider.
func (w *world) tickOf(r *tokenrefresh.Refresher, provider string) protocol.Outcome {
	w.t.Helper()
	report, err := r.Run(context.Background(), tokenrefresh.Request{})
	w.must(err)
	for _, x := range report.Results {
		if x.Provider == provider {
			return x.Outcome
		}
	}
	w.t.Fatalf("nothing about %s", provider)
	return ""
}

// reads counts all calls of Secrets Manager so far.
func (w *world) reads() (n int) {
	for _, times := range w.secrets.Calls() {
		n += times
	}
	return n
}

// wantTicks ticks each minute and compares the outcomes.
func (w *world) wantTicks(r *tokenrefresh.Refresher, provider string, outcomes ...protocol.Outcome) {
	w.t.Helper()
	for minute, want := range outcomes {
		time.Sleep(time.Minute)
		before, calls := w.reads(), w.calls(provider)
		if got := w.tickOf(r, provider); got != want {
			w.t.Errorf("tick %d: %q, want %q", minute+1, got, want)
		}
		if rested := w.reads() == before && w.calls(provider) == calls; rested != (want == protocol.Resting) {
			w.t.Errorf("tick %d, %q: called nobody: %t", minute+1, want, rested)
		}
	}
}

const (
	resting   = protocol.Resting
	fresh     = protocol.Fresh
	failed    = protocol.Failed
	refreshed = protocol.Refreshed
)

// While all is well, one tick in five reads; a due credential is replaced on
// its tick, and nobody looks more often for it.
func TestRest_OneTickInFiveReads(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.ActiBook)
		r := w.refresher()
		if got := w.tickOf(r, providers.ActiBook); got != refreshed {
			t.Fatalf("first tick: %q", got)
		}
		before := w.secrets.Calls()
		for range 3 {
			w.wantTicks(r, providers.ActiBook,
				resting, resting, resting, resting, fresh, resting, resting, resting, resting, fresh,
				resting, resting, resting, resting, fresh, resting, resting, resting, resting, refreshed)
		}
		for call, n := range w.secrets.Calls() {
			if n -= before[call]; call.Op == secretstore.OpGet && n > 12 {
				t.Errorf("%d reads of %s %s in an hour", n, call.Name, call.Stage)
			}
		}
	})
}

// A look is believed for less than four and a half minutes.
func TestRest_Ends(t *testing.T) {
	for age, want := range map[time.Duration]protocol.Outcome{4*time.Minute + 30*time.Second - 1: resting, 4*time.Minute + 30*time.Second: fresh} {
		inBubbleNamed(t, age.String(), func(w *world) {
			w.connect(providers.Yappli)
			r := w.refresher()
			w.tickOf(r, providers.Yappli)
			time.Sleep(age)
			if got := w.tickOf(r, providers.Yappli); got != want {
				t.Errorf("at the age of %v: %q", age, got)
			}
		})
	}
}

// After a failure each tick looks, until all is well.
func TestRest_NotAfterAFailure(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.ActiBook)
		r := w.refresher()
		for range 3 {
			w.actibook.Inject(sandbox.Fault{Kind: sandbox.ServerFail})
		}
		w.wantTicks(r, providers.ActiBook, failed, failed, failed, refreshed, resting)
	})
	inBubbleNamed(t, "of a request", func(w *world) {
		w.connect(providers.ActiBook)
		r := w.refresher()
		w.wantTicks(r, providers.ActiBook, refreshed, resting)
		w.actibook.Inject(sandbox.Fault{Kind: sandbox.ServerFail})
		report, err := r.Run(context.Background(), tokenrefresh.Request{Provider: providers.ActiBook, Force: true})
		w.must(err)
		if got := report.Results[0].Outcome; got != failed {
			t.Fatalf("forced: %q", got)
		}
		w.wantTicks(r, providers.ActiBook, refreshed)
	})
	inBubbleNamed(t, "to tell that all is well", func(w *world) {
		w.connect(providers.Yappli, func(c *providers.Connection) { c.ClientSecrets = []providers.Secret{providers.NewSecret("wrong")} })
		r := w.refresher()
		w.wantTicks(r, providers.Yappli, protocol.Refused)
		w.wantTold(protocol.NeedsHuman)
		w.connect(providers.Yappli)
		w.notify = errors.New("the bus is down")
		w.wantTicks(r, providers.Yappli, refreshed, fresh)
		w.notify = nil
		w.wantTicks(r, providers.Yappli, fresh, resting)
		w.wantTold(protocol.Recovered)
	})
	inBubbleNamed(t, "that took half a minute", func(w *world) {
		w.connect(providers.ActiBook)
		r := w.refresher()
		w.actibook.Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: time.Hour})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // half of it for the call
		defer cancel()
		began := time.Now()
		report, err := r.Run(ctx, tokenrefresh.Request{})
		w.must(err)
		if took := time.Since(began); report.Results[3].Outcome != failed || took < 29*time.Second {
			t.Fatalf("%+v after %v", report.Results[3], took)
		}
		time.Sleep(time.Until(began.Add(time.Minute)))
		if got := w.tickOf(r, providers.ActiBook); got != refreshed {
			t.Errorf("the tick a minute later: %q", got)
		}
	})
}

// What a person asks for, and a process that has just started, always look;
// what a person changes is in use within five minutes.
func TestRest_OnlyTicksOfAWarmProcess(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		r := w.refresher()
		w.wantTicks(r, providers.Yappli, refreshed, resting)
		for _, q := range []tokenrefresh.Request{
			{Provider: providers.Yappli},
			{Provider: providers.Yappli, RejectedVersion: "another"},
			{Provider: providers.Yappli, Force: true},
			{Force: true},
		} {
			report, err := r.Run(context.Background(), q)
			w.must(err)
			for _, x := range report.Results {
				if x.Outcome == resting {
					t.Errorf("%+v: %q", q, x.Outcome)
				}
			}
		}
		w.wantTicks(r, providers.Yappli, resting)
		if got := w.tickOf(w.refresher(), providers.Yappli); got != fresh {
			t.Errorf("a process that has just started: %q", got)
		}
		w.wantTicks(r, providers.SuperSaaS, resting, resting, resting) // off
		w.connect(providers.SuperSaaS)
		began := time.Now()
		for w.served(providers.SuperSaaS).Credential.Empty() {
			time.Sleep(time.Minute)
			w.tickOf(r, providers.SuperSaaS)
		}
		if took := time.Since(began); took > 5*time.Minute {
			t.Errorf("a connection is in use after %v", took)
		}
	})
}

// The table of docs/token-protocol.md says how soon a token follows: no case takes longer
// at any phase of the ticks, and each takes as long at one.
func TestRest_HowSoonATokenFollows(t *testing.T) {
	page, err := os.ReadFile("../../docs/token-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n| what happened | minutes |\n|---|---|\n")
	text, _, _ = strings.Cut(text, "\n\n")
	wrong := func(c *providers.Connection) { c.ClientSecrets = []providers.Secret{providers.NewSecret("wrong")} }
	cases := map[string]func(w *world, r *tokenrefresh.Refresher){
		"a connection is new, or changed while all was well": func(w *world, _ *tokenrefresh.Refresher) { w.connect(providers.ActiBook) },
		"a connection changed while the credential needed a person": func(w *world, r *tokenrefresh.Refresher) {
			w.connect(providers.ActiBook, wrong)
			for w.tickOf(r, providers.ActiBook) != protocol.Refused {
				time.Sleep(time.Minute)
			}
			w.connect(providers.ActiBook)
		},
		"a token's time came": func(w *world, r *tokenrefresh.Refresher) {
			for time.Since(w.served(providers.ActiBook).ObtainedAt) < 19*time.Minute {
				time.Sleep(time.Minute)
				w.tickOf(r, providers.ActiBook)
			}
		},
		"the last run failed, and the pause after it is over": func(w *world, r *tokenrefresh.Refresher) {
			w.actibook.Inject(sandbox.Fault{Kind: sandbox.ServerFail})
			_, err := r.Run(context.Background(), tokenrefresh.Request{Provider: providers.ActiBook, Force: true})
			w.must(err)
		},
	}
	lines := strings.Split(text, "\n")
	if len(lines) != len(cases) {
		t.Fatalf("the page has %d rows, tested are %d", len(lines), len(cases))
	}
	for _, line := range lines {
		what, minutes, _ := strings.Cut(strings.Trim(line, "| "), " | ")
		happens := cases[what]
		if happens == nil {
			t.Fatalf("not tested: %s", what)
		}
		inBubbleNamed(t, what, func(w *world) {
			longest := 0
			for phase := range 5 { // ticks since the last look
				w.connect(providers.ActiBook)
				r := w.refresher()
				w.tickOf(r, providers.ActiBook)
				for range phase {
					time.Sleep(time.Minute)
					w.tickOf(r, providers.ActiBook)
				}
				happens(w, r)
				ticks := 0
				for outcome := resting; outcome != refreshed && ticks < 10; ticks++ {
					time.Sleep(time.Minute)
					outcome = w.tickOf(r, providers.ActiBook)
				}
				longest = max(longest, ticks)
			}
			if strconv.Itoa(longest) != minutes {
				w.t.Errorf("%d minutes, the page says %s", longest, minutes)
			}
		})
	}
}
