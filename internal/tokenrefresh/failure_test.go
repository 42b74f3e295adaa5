package tokenrefresh_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

func TestFailure_CoolsDownForFiftySeconds(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		w.want(providers.Yappli, protocol.Refreshed)
		w.yappli.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "POST /api/ext/token", Times: 3})
		time.Sleep(12 * time.Hour)
		for n := range 3 {
			w.want(providers.Yappli, protocol.Failed)
			for range 2 {
				w.want(providers.Yappli, protocol.Cooling)
				time.Sleep(25*time.Second - 1)
			}
			w.want(providers.Yappli, protocol.Cooling)
			if asked := w.asked(providers.Yappli); asked != n+2 {
				t.Fatalf("%d token calls after %d failures", asked, n+1)
			}
			time.Sleep(2 * time.Nanosecond)
		}
		w.want(providers.Yappli, protocol.Refreshed)
		w.wantTold("")
	})
}

func TestFailure_CoolingEndsWithAForceOrAnotherConnection(t *testing.T) {
	for name, end := range map[string]func(w *world) tokenrefresh.Request{
		"force": func(*world) tokenrefresh.Request {
			return tokenrefresh.Request{Provider: providers.Yappli, Force: true}
		},
		"connection": func(w *world) tokenrefresh.Request {
			return tokenrefresh.Request{Provider: w.connect(providers.Yappli)}
		},
	} {
		inBubbleNamed(t, name, func(w *world) {
			w.connect(providers.Yappli)
			w.yappli.Inject(sandbox.Fault{Kind: sandbox.Dropped, Route: "POST /api/ext/token"})
			w.want(providers.Yappli, protocol.Failed)
			w.want(providers.Yappli, protocol.Cooling)
			w.wantOf(end(w), protocol.Refreshed)
		})
	}
}

// A pasted key is live on the next run though the old one was found dead a
// moment ago.
func TestFailure_APastedKeyWaitsForNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.SuperSaaS)
		w.want(providers.SuperSaaS, protocol.Refreshed)
		key := w.bookings.RollKey()
		for range 6 {
			time.Sleep(time.Hour)
			w.want(providers.SuperSaaS, protocol.Denied)
		}
		w.connect(providers.SuperSaaS)
		w.want(providers.SuperSaaS, protocol.Refreshed)
		if w.served(providers.SuperSaaS).Credential.Reveal() != key {
			t.Error("the new key is not served")
		}
	})
}

func TestFailure_RefusedForGoodStopsUntilSomethingChanges(t *testing.T) {
	for _, name := range []string{providers.Yappli, providers.ActiBook, providers.SHOPLINE, providers.AssistTencho} {
		inBubbleNamed(t, name, func(w *world) {
			w.connect(name, func(c *providers.Connection) {
				c.ClientSecrets, c.Code = []providers.Secret{providers.NewSecret("wrong")}, providers.NewSecret("wrong")
			})
			w.want(name, protocol.Refused)
			for range 5 {
				time.Sleep(12 * time.Hour)
				w.want(name, protocol.Refused)
				w.wantOf(tokenrefresh.Request{Provider: name, RejectedVersion: "hikyaku-any"}, protocol.Refused)
			}
			if w.asked(name) != 1 {
				t.Fatalf("%d token calls", w.asked(name))
			}
			w.wantTold("needs_human")
			if w.wantOf(tokenrefresh.Request{Provider: name, Force: true}, protocol.Refused); w.asked(name) != 2 {
				t.Fatalf("%d token calls after a force", w.asked(name))
			}
			w.connect(name)
			w.want(name, protocol.Refreshed)
			w.wantTold("recovered")
		})
	}
}

// A new token that the provider denies, or does not clearly accept, is not
// served; the old one is.
func TestFailure_AProbeBlocksARenewable(t *testing.T) {
	for name, c := range map[string]struct {
		fault   sandbox.FaultKind
		outcome protocol.Outcome
		calls   int // of the token endpoint until it works
		told    string
	}{
		"denied":  {sandbox.Denied, protocol.Denied, 3, "needs_human recovered"},
		"garbage": {sandbox.Garbage, protocol.Unproven, 2, ""},
		"503":     {sandbox.ServerFail, protocol.Unproven, 2, ""},
	} {
		inBubbleNamed(t, name, func(w *world) {
			w.connect(providers.Yappli)
			w.want(providers.Yappli, protocol.Refreshed)
			old := w.served(providers.Yappli)
			w.yappli.Inject(sandbox.Fault{Kind: c.fault, Route: "GET /api/ext/users"})
			w.wantOf(tokenrefresh.Request{Provider: providers.Yappli, Force: true}, c.outcome)
			if now := w.served(providers.Yappli); now.Version != old.Version {
				t.Fatal("it is served")
			}
			if _, stored := w.stages(providers.Yappli, secretstore.TokenPart)[protocol.Next]; stored != (c.outcome == protocol.Unproven) {
				t.Errorf("still stored: %t", stored)
			}
			time.Sleep(time.Minute)
			if c.outcome == protocol.Unproven {
				w.want(providers.Yappli, protocol.Promoted)
			} else {
				w.wantOf(tokenrefresh.Request{Provider: providers.Yappli, Force: true}, protocol.Refreshed)
			}
			if w.served(providers.Yappli).Version == old.Version || w.asked(providers.Yappli) != c.calls {
				t.Errorf("%d token calls", w.asked(providers.Yappli))
			}
			w.wantTold(c.told)
		})
	}
}

// A probe without a clear answer stops neither a pair, whose old half is
// spent, nor what a person entered.
func TestFailure_ADoubtfulProbeBlocksNothingElse(t *testing.T) {
	for _, name := range []string{providers.SHOPLINE, staff, providers.AssistTencho} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(name)
			w.shop.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "GET /v1", Times: 4})
			w.assist.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "GET ", Times: 4})
			w.want(provider, protocol.Refreshed)
			w.must(w.works(provider))
			if w.asked(provider) > 1 {
				t.Errorf("%d token calls", w.asked(provider))
			}
		})
	}
}

// A pair whose new token the provider denies stays stored, is tried again and
// promoted when it works; the refresh token that it came from is not sent
// again meanwhile.
func TestFailure_ADeniedPairIsTriedAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE)
		w.want(provider, protocol.Refreshed)
		old := w.served(provider)
		w.shop.Inject(sandbox.Fault{Kind: sandbox.Denied, Route: "GET /v1", Times: 2})
		w.wantOf(tokenrefresh.Request{Provider: provider, Force: true}, protocol.Denied)
		time.Sleep(time.Minute)
		w.want(provider, protocol.Denied)
		w.want(provider, protocol.Denied)
		if w.served(provider).Version != old.Version {
			t.Error("a denied token is served")
		}
		time.Sleep(2 * time.Minute)
		w.want(provider, protocol.Promoted)
		if w.asked(provider) != 2 || w.shop.Tokens.Redeemed() != 2 {
			t.Errorf("%d token calls", w.asked(provider))
		}
		w.must(w.works(provider))
		w.wantTold("needs_human recovered")
		w.want(provider, protocol.Fresh)
	})
}

// A person who authorizes again is not held up by a grant that is stored and
// denied.
func TestFailure_ANewCodeGoesBeforeADeniedGrant(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE)
		w.shop.Inject(sandbox.Fault{Kind: sandbox.Denied, Route: "GET /v1"})
		w.want(provider, protocol.Denied)
		w.connect(providers.SHOPLINE)
		w.want(provider, protocol.Refreshed)
		w.must(w.works(provider))
		if w.shop.Tokens.Redeemed() != 2 {
			t.Errorf("%d redemptions", w.shop.Tokens.Redeemed())
		}
	})
}

// The access token of a pair that is found dead is replaced with its refresh
// token, once.
func TestFailure_ADeadPairIsRenewed(t *testing.T) {
	inBubble(t, func(w *world) {
		w.shop.StrictAgent = false
		provider := w.connect(providers.SHOPLINE)
		version := w.want(provider, protocol.Refreshed).Version
		w.wantOf(tokenrefresh.Request{Provider: provider, RejectedVersion: version}, protocol.Probed)
		w.shop.Inject(sandbox.Fault{Kind: sandbox.Denied, Route: "GET /v1"})
		w.wantOf(tokenrefresh.Request{Provider: provider, RejectedVersion: version}, protocol.Refreshed)
		if w.asked(provider) != 2 || w.served(provider).Version == version {
			t.Errorf("%d token calls", w.asked(provider))
		}
	})
}

func TestFailure_OldRefreshTokenIsKeptIfOmitted(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE)
		w.want(provider, protocol.Refreshed)
		before, err := providers.ParseGrant(w.value(provider, secretstore.RefreshPart, secretstore.Current).Data)
		w.must(err)
		deps := w.deps(w.secrets, w.objects, w)
		deps.Authorities[provider] = omitting{deps.Authorities[provider]}
		for range 2 {
			report, err := tokenrefresh.New(prefix, deps).Run(context.Background(), tokenrefresh.Request{Provider: provider, Force: true})
			w.must(err)
			if report.Results[0].Outcome != protocol.Refreshed {
				t.Fatalf("%+v", report.Results[0])
			}
		}
		after, err := providers.ParseGrant(w.value(provider, secretstore.RefreshPart, secretstore.Current).Data)
		w.must(err)
		if after.Refresh != before.Refresh || after.Access == before.Access || after.Origin != before.Origin || after.Base == "" {
			t.Errorf("grant after the answer without a refresh token: %+v, before %+v", after, before)
		}
	})
}

// omitting is a SHOPLINE that keeps its refresh tokens to itself.
type omitting struct{ providers.Authority }

func (o omitting) Obtain(ctx context.Context, c providers.Connection, _, _ providers.Secret, _ bool) (providers.Grant, error) {
	now := time.Now()
	return providers.Grant{Access: providers.NewSecret("AT-" + now.String()), ObtainedAt: now, ExpiresAt: now.Add(180 * day)}, ctx.Err()
}

func (omitting) Probe(context.Context, providers.Connection, providers.Token) error { return nil }

func TestFailure_BudgetIsRefusedBeforeTheProviderIsAsked(t *testing.T) {
	for _, name := range []string{providers.Yappli, providers.ActiBook, providers.SHOPLINE, providers.AssistTencho, staff, providers.SuperSaaS} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(name)
			w.want(provider, protocol.Refreshed)
			writes := 1
			replace := func() tokenrefresh.Result {
				c := w.connection(name)
				if c.Kind == providers.Static {
					c.BaseURL += "/"
					if writes%2 == 0 {
						c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
					}
				}
				w.reconnect(c)
				return w.run(tokenrefresh.Request{Provider: provider})
			}
			limit := 80
			if kind := w.served(provider).Kind; kind == providers.OneTimePair || kind == providers.OneTimeCode {
				limit = 26 // each costs a proof, the grant and the token
			}
			for ; writes < limit; writes++ {
				if got := replace(); got.Outcome != protocol.Refreshed {
					t.Fatalf("write %d: %+v", writes+1, got)
				}
			}
			calls := w.calls(provider)
			if got := replace(); got.Outcome != protocol.OverBudget || !strings.Contains(got.Reason, "80 versions written in 24 hours") {
				t.Fatalf("after %d: %+v", writes, got)
			}
			if n := w.calls(provider) - calls; n != 0 {
				t.Errorf("the provider was asked %d times", n)
			}
			w.wantTold("")
			time.Sleep(24*time.Hour - 1)
			w.want(provider, protocol.OverBudget)
			time.Sleep(51 * time.Minute)
			if got := replace(); got.Outcome != protocol.Refreshed { // with a code that is young enough
				t.Errorf("a day later: %+v", got)
			}
		})
	}
}

// A request that never left has spent nothing, and neither has one that was
// turned away by a rate limit or refused.
func TestFailure_WhatWasNotTakenIsNotInDoubt(t *testing.T) {
	for name, wreck := range map[string]func(w *world) http.RoundTripper{
		"429": func(w *world) http.RoundTripper {
			w.shop.Inject(sandbox.Fault{Kind: sandbox.TooMany, Route: "POST /developers"})
			return w
		},
		"no connection": func(*world) http.RoundTripper {
			return &http.Transport{DialContext: refuseDial}
		},
	} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(providers.SHOPLINE)
			report, err := tokenrefresh.New(prefix, w.deps(w.secrets, w.objects, wreck(w))).Run(context.Background(), tokenrefresh.Request{Provider: provider})
			w.must(err)
			if got := report.Results[0].Outcome; got != protocol.Failed {
				t.Fatalf("outcome %q", got)
			}
			w.wantTold("")
			time.Sleep(50 * time.Second)
			w.want(provider, protocol.Refreshed)
		})
	}
}
