package tokenrefresh_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

const storedID = "hikyaku-00000000-0000-4000-8000-000000000001"

// TestStored_ATokenIsServedOnlyIfItIsStillRight: what an earlier run stored
// under HIKYAKU_NEXT and did not promote.
func TestStored_ATokenIsServedOnlyIfItIsStillRight(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*providers.Token)
		data   string
		served bool
	}{
		"right":              {func(*providers.Token) {}, "", true},
		"of an unknown life": {func(t *providers.Token) { t.ExpiresAt = time.Time{} }, "", true},
		"due itself": {func(t *providers.Token) {
			t.ObtainedAt, t.ExpiresAt = t.ObtainedAt.Add(-13*time.Hour), t.ExpiresAt.Add(-13*time.Hour)
		}, "", false},
		"of another base":     {func(t *providers.Token) { t.Base = "hikyaku-other" }, "", false},
		"of another base URL": {func(t *providers.Token) { t.BaseURL = "https://elsewhere.test" }, "", false},
		"of another login":    {func(t *providers.Token) { t.LoginURL = "https://elsewhere.test" }, "", false},
		"of another account":  {func(t *providers.Token) { t.Account = "other" }, "", false},
		"of another kind":     {func(t *providers.Token) { t.Kind = providers.Static }, "", false},
		"with other quirks":   {func(t *providers.Token) { t.Quirks = []byte(`{"token":"json"}`) }, "", false},
		"no document":         {nil, "no document", false},
	} {
		inBubbleNamed(t, name, func(w *world) {
			w.connect(providers.Yappli)
			w.want(providers.Yappli, protocol.Refreshed)
			time.Sleep(13 * time.Hour)
			next := w.served(providers.Yappli)
			access, _ := w.yappli.Tokens.Issue(time.Now())
			next.Credential, next.ObtainedAt, next.ExpiresAt, next.Base = providers.NewSecret(access), time.Now(), time.Now().Add(day), next.Version
			data := []byte(c.data)
			if c.change != nil {
				c.change(&next)
				data = next.Document()
			}
			w.must(w.secrets.Put(context.Background(), "shop/yappli/token", storedID, data, protocol.Next))
			outcome, calls := protocol.Refreshed, 2
			if c.served {
				outcome, calls = protocol.Promoted, 1
			}
			w.want(providers.Yappli, outcome)
			if (w.served(providers.Yappli).Version == storedID) != c.served || w.asked(providers.Yappli) != calls {
				t.Errorf("version %s after %d token calls", w.served(providers.Yappli).Version, w.asked(providers.Yappli))
			}
			w.must(w.works(providers.Yappli))
		})
	}
}

// A derived token that an earlier run stored is used again, unless it says
// something else.
func TestStored_ADerivedToken(t *testing.T) {
	for name, change := range map[string]func(*providers.Token){
		"right": func(*providers.Token) {}, "of another key": func(t *providers.Token) { t.Credential = providers.NewSecret("other") },
		"of another base": func(t *providers.Token) { t.Base = "hikyaku-other" },
	} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(staff)
			w.want(provider, protocol.Refreshed)
			w.shop.GenerateToken(time.Time{})
			w.reconnect(w.connection(staff))
			next := w.served(provider)
			next.Credential, next.Base = w.connection(staff).APIKey, next.Version
			change(&next)
			w.must(w.secrets.Put(context.Background(), "shop/shopline/token", storedID, next.Document(), protocol.Next))
			w.want(provider, protocol.Refreshed)
			if served := w.served(provider); (served.Version == storedID) != (name == "right") || served.Credential != w.connection(staff).APIKey {
				t.Errorf("version %s is served", served.Version)
			}
		})
	}
}

// A grant that cannot be read is overwritten, and one that the other driver
// left for another version is none.
func TestStored_AGrantThatIsNone(t *testing.T) {
	for name, stage := range map[string]string{"no document": protocol.Next, "of another base": secretstore.Pending} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(providers.SHOPLINE)
			w.want(provider, protocol.Refreshed)
			data := []byte("no document")
			if stage == secretstore.Pending {
				data = w.entered(providers.SHOPLINE, secretstore.RefreshPart, true)
			}
			w.must(w.secrets.Put(context.Background(), "shop/shopline/refresh", storedID, data, stage))
			w.wantOf(tokenrefresh.Request{Provider: provider, Force: true}, protocol.Refreshed)
			if w.stages(provider, secretstore.RefreshPart)[secretstore.Current] == storedID || w.asked(provider) != 2 {
				t.Errorf("%d token calls", w.asked(provider))
			}
		})
	}
}

// duringCall does something while the token endpoint is asked.
type duringCall struct {
	http.RoundTripper

	act func()
}

func (d duringCall) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		d.act()
	}
	return d.RoundTripper.RoundTrip(r)
}

// A refusal is believed only after the secret was read again: a person may
// have entered another grant meanwhile.
func TestSpend_ARefusalIsBelievedAfterARead(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(w *world)
		want protocol.Outcome
		then protocol.Outcome
	}{
		"unchanged": {func(*world) {}, protocol.Refused, protocol.Refused},
		"edited": {func(w *world) {
			w.edit(providers.SHOPLINE, secretstore.RefreshPart, w.entered(providers.SHOPLINE, secretstore.RefreshPart, true))
		}, protocol.Failed, protocol.Refreshed}, // the token is derived from what was entered
		"unreadable": {func(w *world) {
			down := time.Now().Add(time.Second)
			w.secrets.Throttle = func(string, string) bool { return time.Now().Before(down) }
		}, protocol.Failed, protocol.Refused},
	} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(providers.SHOPLINE)
			w.want(provider, protocol.Refreshed)
			w.shop.Tokens.Revoke("")
			time.Sleep(time.Hour)
			deps := w.deps(w.secrets, w.objects, duringCall{w, func() { c.act(w) }})
			report, err := tokenrefresh.New(prefix, deps).Run(context.Background(), tokenrefresh.Request{Provider: provider})
			w.must(err)
			if got := report.Results[0]; got.Outcome != c.want {
				t.Fatalf("%+v, want %s", got, c.want)
			}
			time.Sleep(time.Minute)
			w.want(provider, c.then)
		})
	}
}

// A connection of which no request can be made has spent nothing.
func TestSpend_AnUnusableConnectionIsNotInDoubt(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE, func(c *providers.Connection) { c.TokenURL = "ftp://shopline.test" })
		w.want(provider, protocol.Unconfigured)
		w.wantTold("needs_human")
		c := w.connection(providers.SHOPLINE)
		w.reconnect(c)
		w.want(provider, protocol.Refreshed)
		w.wantTold("recovered")
	})
}

// A code that runs out while it waits is refused; one that is missing, too.
func TestSpend_NobodyHasAuthorized(t *testing.T) {
	for _, name := range []string{providers.SHOPLINE, providers.AssistTencho} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(name, func(c *providers.Connection) { c.Code = providers.Secret{} })
			if result := w.want(provider, protocol.Unconfigured); result.Reason != "nobody has authorized yet" || w.calls(provider) != 0 {
				t.Errorf("%+v after %d calls", result, w.calls(provider))
			}
			w.connect(name)
			w.want(provider, protocol.Refreshed)
			w.wantTold("needs_human recovered")
			w.connect(name, func(c *providers.Connection) { c.Code = providers.Secret{} }) // it was tidied away
			w.want(provider, protocol.Probed)
		})
	}
}

// What Secrets Manager refuses to start is tried again by the next run.
func TestRotation_ThatCannotBeStarted(t *testing.T) {
	inBubble(t, func(w *world) {
		secret, version := w.rotating(providers.Yappli)
		for _, step := range steps {
			w.must(w.step(secret, version, step))
		}
		deps := w.deps(w.secrets, w.objects, w)
		deps.Rotate = func(context.Context, string, string) error { return errors.New("no") }
		force := tokenrefresh.Request{Provider: providers.Yappli, Force: true}
		for _, reason := range []string{"starting the rotation", "a rotation is under way", "starting the rotation again"} {
			report, err := tokenrefresh.New(prefix, deps).Run(context.Background(), force)
			w.must(err)
			got := report.Results[0]
			if got.Reason != reason || (len(report.Retry()) == 1) != (got.Outcome == protocol.Failed) {
				t.Errorf("%+v, want %q, to be tried again: %v", got, reason, report.Retry())
			}
			if reason == "starting the rotation" {
				w.rotate(secret)
				continue
			}
			time.Sleep(10 * time.Minute)
		}
	})
}

// The old half of a code's grant has no refresh token: a token that is found
// dead needs a person, and is tried each hour until it works again.
func TestSpend_ADeadTokenWithoutRefreshToken(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.AssistTencho)
		version := w.want(provider, protocol.Refreshed).Version
		w.assist.Inject(sandbox.Fault{Kind: sandbox.Denied, Route: "GET ", Times: 2})
		w.wantOf(tokenrefresh.Request{Provider: provider, RejectedVersion: version}, protocol.Denied)
		w.want(provider, protocol.Denied)
		time.Sleep(time.Hour)
		w.want(provider, protocol.Denied)
		time.Sleep(time.Hour)
		w.want(provider, protocol.Probed)
		w.wantTold("needs_human recovered")
		if w.asked(provider) != 1 || w.served(provider).Version != version {
			t.Errorf("%d token calls", w.asked(provider))
		}
	})
}

// A lease that cannot be given back ends by itself; the log says why the next
// runs wait.
func TestLease_ThatCannotBeReleasedIsInTheLog(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		puts := &failingPuts{Store: w.objects, after: 1}
		run := func() tokenrefresh.Result {
			report, err := tokenrefresh.New(prefix, w.deps(w.secrets, puts, w)).Run(context.Background(), tokenrefresh.Request{Provider: providers.Yappli})
			w.must(err)
			return report.Results[0]
		}
		if got := run(); got.Outcome != protocol.Refreshed || !strings.Contains(w.log.String(), `"err":"writing shop/state/tokens/yappli: no space"`) {
			t.Errorf("%+v\n%s", got, w.log.String())
		}
		w.want(providers.Yappli, protocol.Waiting)
		// The error of the run itself goes first.
		time.Sleep(2 * time.Minute)
		puts.after = 1
		w.yappli.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "POST "})
		w.log.Reset()
		if got := run(); got.Outcome != protocol.Failed || strings.Contains(w.log.String(), "no space") || !strings.Contains(w.log.String(), "status 503") {
			t.Errorf("%+v\n%s", got, w.log.String())
		}
	})
}

// failingPuts is an object store whose puts fail after the first few.
type failingPuts struct {
	objectstore.Store

	after int
}

func (f *failingPuts) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if f.after--; f.after < 0 {
		return "", errors.New("no space")
	}
	return f.Store.Put(ctx, o)
}

// A label that a dead run left on the version that is current goes; AWSPENDING
// there is the service's own.
func TestStored_ALabelOnTheCurrentVersion(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.AssistTencho)
		w.want(provider, protocol.Refreshed)
		current := w.stages(provider, secretstore.RefreshPart)[secretstore.Current]
		for _, label := range []string{protocol.Next, secretstore.Pending} {
			w.must(w.secrets.Promote(context.Background(), "shop/assisttencho/refresh", label, current, ""))
		}
		time.Sleep(time.Hour)
		w.want(provider, protocol.Probed)
		if stages := w.stages(provider, secretstore.RefreshPart); stages[protocol.Next] != "" || stages[secretstore.Pending] != current || stages[secretstore.Current] != current {
			t.Errorf("stages %v", stages)
		}
	})
}

// A request that the endpoint cannot read (400) has spent nothing.
func TestSpend_ABadRequestIsRefusedNotInDoubt(t *testing.T) {
	inBubble(t, func(w *world) {
		w.shop.FormTokens = true // and is sent JSON
		provider := w.connect(providers.SHOPLINE, func(c *providers.Connection) { c.Quirks = nil })
		w.want(provider, protocol.Refused)
		if w.shop.Tokens.Redeemed() != 0 || w.asked(provider) != 1 {
			t.Errorf("%d redemptions in %d calls", w.shop.Tokens.Redeemed(), w.asked(provider))
		}
	})
}

// The 24 hours of the budgets end to the nanosecond.
func TestRun_BudgetsLastADay(t *testing.T) {
	for after, want := range map[time.Duration]protocol.Outcome{day - 1: protocol.OverBudget, day: protocol.Refreshed} {
		inBubbleNamed(t, string(want), func(w *world) {
			w.connect(providers.ActiBook)
			w.want(providers.ActiBook, protocol.Refreshed)
			rejected := func() tokenrefresh.Request {
				return tokenrefresh.Request{Provider: providers.ActiBook, RejectedVersion: w.served(providers.ActiBook).Version}
			}
			for range 12 {
				w.wantOf(rejected(), protocol.Refreshed)
			}
			time.Sleep(after)
			w.wantOf(rejected(), want)
		})
	}
}
