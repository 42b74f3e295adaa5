package tokenrefresh_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

func TestRun_EveryProviderGetsAToken(t *testing.T) {
	inBubble(t, func(w *world) {
		off := []string{providers.ActiBook}
		for _, name := range []string{providers.AssistTencho, providers.Yappli, providers.SHOPLINE, providers.SuperSaaS} {
			w.connect(name)
		}
		report, err := w.refresher().Run(context.Background(), tokenrefresh.Request{})
		w.must(err)
		if len(report.Results) != 5 || len(report.Retry()) != 0 {
			t.Fatalf("report = %+v", report)
		}
		for i, provider := range providers.Names() {
			got, want := report.Results[i], protocol.Refreshed
			if provider == off[0] {
				want = protocol.Off
			}
			if got.Provider != provider || got.Outcome != want {
				t.Errorf("%s: %+v, want %s", provider, got, want)
			}
		}
		w.connect(providers.ActiBook)
		w.want(providers.ActiBook, protocol.Refreshed)
		for _, provider := range providers.Names() {
			if err := w.works(provider); err != nil {
				t.Errorf("%s: the served token does not work: %v", provider, err)
			}
			result := w.want(provider, protocol.Fresh)
			if served := w.served(provider); result.Version != served.Version || (result.ExpiresAt == nil) != served.ExpiresAt.IsZero() || result.Kind != served.Kind {
				t.Errorf("%s: result %+v of token %+v", provider, result, served)
			}
		}
		w.wantTold("")
		last, at, reason, err := w.refresher().State(context.Background(), providers.Yappli)
		if err != nil || last != protocol.Refreshed || !at.Equal(time.Now()) || reason != "" {
			t.Errorf("State = %q, %v, %q, %v", last, at, reason, err)
		}
	})
}

func TestRun_RefusesARequestWithoutSense(t *testing.T) {
	inBubble(t, func(w *world) {
		_, err := w.refresher().Run(context.Background(), tokenrefresh.Request{Provider: "nobody"})
		var unknown *tokenrefresh.UnknownProviderError
		if !errors.As(err, &unknown) || unknown.Provider != "nobody" || !strings.HasSuffix(err.Error(), " assisttencho yappli shopline actibook supersaas") {
			t.Errorf("unknown provider: %v", err)
		}
		_, err = w.refresher().Run(context.Background(), tokenrefresh.Request{RejectedVersion: "v"})
		if err == nil || !strings.Contains(err.Error(), "without provider") {
			t.Errorf("version without provider: %v", err)
		}
		if calls := w.secrets.Calls(); len(calls) != 0 {
			t.Errorf("secrets were read: %v", calls)
		}
	})
}

func TestRun_AProviderThatHangsHoldsUpNobody(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, name := range []string{providers.Yappli, providers.SuperSaaS} {
			w.connect(name)
		}
		w.yappli.Inject(slow)
		began := time.Now()
		deps := w.deps(w.secrets, w.objects, w)
		var told []time.Duration
		deps.Measure = func(name, _ string, _ float64, d map[string]string) {
			if name == "RefreshOutcome" && d["provider"] == providers.SuperSaaS {
				told = append(told, time.Since(began))
			}
		}
		_, err := tokenrefresh.New(prefix, deps).Run(context.Background(), tokenrefresh.Request{})
		w.must(err)
		if len(told) != 1 || told[0] >= 20*time.Second || time.Since(began) < 20*time.Second {
			t.Errorf("supersaas was done after %v, all after %v", told, time.Since(began))
		}
	})
}

func TestRun_RejectedVersion(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		first := w.want(providers.Yappli, protocol.Refreshed).Version
		if result := w.wantOf(tokenrefresh.Request{Provider: providers.Yappli, RejectedVersion: first}, protocol.Refreshed); result.Version == first || result.Version != w.served(providers.Yappli).Version {
			t.Errorf("the rejected version %s is still served: %+v", first, result)
		}
		if result := w.wantOf(tokenrefresh.Request{Provider: providers.Yappli, RejectedVersion: first}, protocol.Replaced); result.Version != w.served(providers.Yappli).Version {
			t.Errorf("an old version: %+v", result)
		}
		w.wantOf(tokenrefresh.Request{Provider: providers.Yappli, RejectedVersion: "hikyaku-unknown"}, protocol.Replaced)
		if n := w.asked(providers.Yappli); n != 2 {
			t.Errorf("%d token calls, want 2", n)
		}
	})
}

func TestRun_RejectedStaticIsProbedAndNothingWritten(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(staff)
		version := w.want(provider, protocol.Refreshed).Version
		probes := w.calls(provider)
		w.wantOf(tokenrefresh.Request{Provider: provider, RejectedVersion: version}, protocol.Probed)
		if w.served(provider).Version != version || w.calls(provider) != probes+1 || w.asked(provider) != 0 {
			t.Errorf("version %q, was %q; %d calls, were %d", w.served(provider).Version, version, w.calls(provider), probes)
		}
	})
}

// A connection as a person types it into the console is not a changed one at
// every look, each of which would cost a version.
func TestRun_QuirksWithWhiteSpaceAreWrittenOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SuperSaaS, func(c *providers.Connection) { c.Quirks = []byte(`{"hook_parent":"<10>"}`) })
		pretty := strings.Replace(string(w.connection(providers.SuperSaaS).Document()), "{", "{\n  \"quirks\": { \"hook_parent\" : \"<10>\" },\n  ", 1)
		w.edit(provider, secretstore.ConnectionPart, []byte(pretty))
		version := w.want(provider, protocol.Refreshed).Version
		w.wantOf(tokenrefresh.Request{Provider: provider}, protocol.Fresh)
		time.Sleep(2 * time.Hour)
		w.wantOf(tokenrefresh.Request{Provider: provider}, protocol.Probed)
		if w.served(provider).Version != version {
			t.Errorf("version %q, was %q", w.served(provider).Version, version)
		}
	})
}

// TestRun_BudgetsOfAnEarlierVersion: it counted what callers caused in both lists, so
// that the schedule's is not full when the lists are taken over.
func TestRun_BudgetsOfAnEarlierVersion(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.ActiBook)
		w.want(providers.ActiBook, protocol.Refreshed)
		var writes, asked []string
		for n := range 90 {
			at := time.Now().Add(time.Duration(n-90) * time.Minute)
			writes = append(writes, at.Format(`"2006-01-02T15:04:05Z"`))
			if n < 18 {
				asked = append(asked, at.Add(-time.Second).Format(`"2006-01-02T15:04:05Z"`))
			}
		}
		old := regexp.MustCompile(`"writes":\[[^]]*\],"split":true`)
		state := w.stateObject(providers.ActiBook)
		if !old.MatchString(state) {
			t.Fatal(state)
		}
		w.putState(providers.ActiBook, old.ReplaceAllString(state, `"writes":[`+strings.Join(writes, ",")+`],"asked":[`+strings.Join(asked, ",")+`]`))
		w.wantOf(tokenrefresh.Request{Provider: providers.ActiBook, RejectedVersion: w.served(providers.ActiBook).Version}, protocol.OverBudget)
		for range 8 {
			time.Sleep(21 * time.Minute)
			w.want(providers.ActiBook, protocol.Refreshed)
		}
	})
}

// TestRun_CallersCannotUseUpTheBudget: what callers and people may have written
// leaves the schedule its own, of which ActiBookOne needs 72.
func TestRun_CallersCannotUseUpTheBudget(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.ActiBook)
		w.want(providers.ActiBook, protocol.Refreshed)
		for range 12 {
			w.wantOf(tokenrefresh.Request{Provider: providers.ActiBook, RejectedVersion: w.served(providers.ActiBook).Version}, protocol.Refreshed)
		}
		result := w.wantOf(tokenrefresh.Request{Provider: providers.ActiBook, RejectedVersion: w.served(providers.ActiBook).Version}, protocol.OverBudget)
		if !strings.Contains(result.Reason, "12 versions written in 24 hours") || w.asked(providers.ActiBook) != 13 {
			t.Errorf("%q after %d calls", result.Reason, w.asked(providers.ActiBook))
		}
		for range 6 {
			w.wantOf(tokenrefresh.Request{Provider: providers.ActiBook, Force: true}, protocol.Refreshed)
		}
		w.wantOf(tokenrefresh.Request{Provider: providers.ActiBook, Force: true}, protocol.OverBudget)
		for range 71 {
			time.Sleep(20 * time.Minute)
			w.want(providers.ActiBook, protocol.Refreshed)
		}
		time.Sleep(20*time.Minute + time.Second)
		w.wantOf(tokenrefresh.Request{Provider: providers.ActiBook, RejectedVersion: w.served(providers.ActiBook).Version}, protocol.Refreshed)
	})
}

func TestRun_ForceReplacesWhatIsNotDue(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, name := range []string{providers.Yappli, providers.ActiBook, providers.SHOPLINE} {
			w.connect(name)
			before := w.want(name, protocol.Refreshed)
			if after := w.wantOf(tokenrefresh.Request{Provider: name, Force: true}, protocol.Refreshed); after.Version == before.Version || w.asked(name) != 2 {
				t.Errorf("%s: version %s after %s, %d token calls", name, after.Version, before.Version, w.asked(name))
			}
		}
		for _, name := range []string{providers.AssistTencho, providers.SuperSaaS} { // nothing to replace them with
			w.connect(name)
			w.want(name, protocol.Refreshed)
			w.wantOf(tokenrefresh.Request{Provider: name, Force: true}, protocol.Probed)
		}
	})
}

func TestRun_AChangedConnectionIsDueAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, name := range []string{providers.Yappli, providers.ActiBook} {
			w.connect(name)
			w.want(name, protocol.Refreshed)
			w.reconnect(w.connection(name))
			w.want(name, protocol.Refreshed)
			w.want(name, protocol.Fresh)
		}
		provider := w.connect(staff)
		w.want(provider, protocol.Refreshed)
		pasted := w.shop.GenerateToken(time.Time{})
		w.reconnect(w.connection(staff))
		w.want(provider, protocol.Refreshed)
		if w.served(provider).Credential.Reveal() != pasted {
			t.Error("the pasted token is not the one that is served")
		}
		mistyped := w.connection(staff)
		mistyped.APIKey = providers.NewSecret("mistyped")
		w.reconnect(mistyped)
		if w.want(provider, protocol.Denied); w.served(provider).Credential.Reveal() != pasted {
			t.Error("a token that does not work is served")
		}
		w.reconnect(w.connection(staff))
		w.want(provider, protocol.Probed)
	})
}

func TestRun_TwoClientSecretsAreTriedInOrder(t *testing.T) {
	for _, name := range []string{providers.Yappli, providers.ActiBook, providers.SHOPLINE, providers.AssistTencho} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				wrong := providers.NewSecret("not-valid-any-more")
				w.connect(name, func(c *providers.Connection) { c.ClientSecrets = append([]providers.Secret{wrong}, c.ClientSecrets...) })
				w.want(name, protocol.Refreshed)
				if n := w.asked(name); n != 2 {
					t.Errorf("%d token calls, want one for each secret", n)
				}
				c := w.connection(name)
				c.ClientSecrets = []providers.Secret{wrong, wrong}
				w.reconnect(c)
				if result := w.want(name, protocol.Refused); w.asked(name) != 4 || !strings.Contains(result.Reason, "refuses") {
					t.Errorf("%d token calls, reason %q", w.asked(name), result.Reason)
				}
			})
		})
	}
}

func TestRun_AnUnreadableConnectionNeedsAPerson(t *testing.T) {
	for name, document := range map[string]string{
		"no JSON": "{", "bare date": `{"provider":"yappli","kind":"client_credentials","expires_at":"2027-01-01"}`,
		"no kind": `{"provider":"yappli"}`, "static without a key": `{"provider":"yappli","kind":"static"}`,
		"quirks of another": `{"provider":"yappli","kind":"client_credentials","base_url":"https://yappli.test","quirks":{"token":7}}`,
		"no base URL":       `{"provider":"yappli","kind":"client_credentials"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.edit(providers.Yappli, secretstore.ConnectionPart, []byte(document))
				w.want(providers.Yappli, protocol.Unconfigured)
				w.wantTold("needs_human")
				time.Sleep(time.Hour)
				w.want(providers.Yappli, protocol.Unconfigured)
				w.wantTold("")
				if n := w.calls(providers.Yappli); n != 0 {
					t.Errorf("%d calls of the provider", n)
				}
				w.connect(providers.Yappli)
				w.want(providers.Yappli, protocol.Refreshed)
				w.wantTold("recovered")
			})
		})
	}
}

func TestRun_ASecretMadeEmptyGetsAPlaceholder(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE)
		for _, part := range []string{secretstore.TokenPart, secretstore.RefreshPart} {
			w.must(w.secrets.Create(context.Background(), secretstore.Name(prefix, provider, part), strings.Repeat("x", 32), nil))
		}
		w.want(provider, protocol.Refreshed)
		w.want(provider, protocol.Fresh)
	})
}

func TestRun_AnAlienJournalIsLeftAlone(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		w.want(providers.Yappli, protocol.Refreshed)
		body := `{"nonce":"n","counter":1,"data":{"owner":"o","journal":["alien"]}}`
		w.putState(providers.Yappli, body)
		w.want(providers.Yappli, protocol.Failed)
		w.wantOf(tokenrefresh.Request{Provider: providers.Yappli, Force: true}, protocol.Failed)
		if got := w.stateObject(providers.Yappli); got != body || w.asked(providers.Yappli) != 1 {
			t.Errorf("journal %s, %d token calls", got, w.asked(providers.Yappli))
		}
	})
}
