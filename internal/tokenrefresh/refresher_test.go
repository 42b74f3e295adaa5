package tokenrefresh_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const prefix = "shop"

// A world is a refresher with sandboxes and twins on one clock.
type world struct {
	t       *testing.T
	mu      sync.Mutex
	now     time.Time
	secrets *secretstore.Memory
	objects *objectstore.Memory
	deps    tokenrefresh.Deps
	events  []tokenrefresh.Event
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	w.secrets, w.objects = &secretstore.Memory{Now: w.clock}, &objectstore.Memory{Now: w.clock}
	w.deps = tokenrefresh.Deps{
		Secrets: w.secrets, Objects: w.objects, Authorities: map[string]providers.Authority{},
		Notify: func(_ context.Context, e tokenrefresh.Event) error {
			w.events = append(w.events, e)
			return nil
		},
		Rotate:  func(context.Context, string) error { return nil },
		Measure: func(string, string, float64, map[string]string) {},
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now:     w.clock,
		NewID:   uuid.NewString,
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// connect stores a connection, as 'hikyaku connect' would.
func (w *world) connect(c providers.Connection, a providers.Authority) {
	w.t.Helper()
	w.deps.Authorities[c.Provider] = a
	name := secretstore.Name(prefix, c.Provider, secretstore.ConnectionPart)
	if err := w.secrets.Create(w.t.Context(), name, uuid.NewString(), c.Document()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) run(q tokenrefresh.Request) map[string]tokenrefresh.Result {
	w.t.Helper()
	report, err := tokenrefresh.New(prefix, w.deps).Run(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	results := map[string]tokenrefresh.Result{}
	for _, r := range report.Results {
		results[r.Provider] = r
	}
	return results
}

// served returns the token that callers read.
func (w *world) served(provider string) providers.Token {
	w.t.Helper()
	value, err := w.secrets.Get(w.t.Context(), secretstore.Name(prefix, provider, secretstore.TokenPart), secretstore.Current)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := providers.ParseToken(value.Data)
	if err != nil {
		w.t.Fatal(err)
	}
	token.Version = value.ID
	return token
}

func TestRun_EveryKindGetsAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := yapplitest.Options{Now: w.clock}
	y, s, b := yapplitest.New(o), shoplinetest.New(o), supersaastest.New(o)
	w.connect(y.Connection("https://yappli.test"), yappli.NewAuthority(&providers.Options{HTTP: y.Client()}))
	w.connect(s.AppConnection("https://shopline.test"), shopline.NewAuthority(&providers.Options{HTTP: s.Client()}))
	w.connect(b.Connection("https://supersaas.test"), supersaas.NewAuthority(&providers.Options{HTTP: b.Client()}))

	results := w.run(tokenrefresh.Request{})
	for provider, want := range map[string]tokenrefresh.Outcome{
		providers.Yappli: tokenrefresh.Refreshed, providers.SHOPLINE: tokenrefresh.Refreshed, providers.SuperSaaS: tokenrefresh.Refreshed,
		providers.ActiBook: tokenrefresh.Off, providers.AssistTencho: tokenrefresh.Off,
	} {
		if got := results[provider]; got.Outcome != want {
			t.Errorf("%s: outcome %q (%s), want %q", provider, got.Outcome, got.Reason, want)
		}
	}
	for _, provider := range []string{providers.Yappli, providers.SHOPLINE, providers.SuperSaaS} {
		if err := w.deps.Authorities[provider].Probe(t.Context(), providers.Connection{Account: w.served(provider).Account}, w.served(provider)); err != nil {
			t.Errorf("%s: the served token does not work: %v", provider, err)
		}
		if again := w.run(tokenrefresh.Request{Provider: provider})[provider]; again.Outcome != tokenrefresh.Fresh {
			t.Errorf("%s: a second run: %q (%s), want fresh", provider, again.Outcome, again.Reason)
		}
	}

	before := w.served(providers.Yappli)
	w.pass(13 * time.Hour)
	if got := w.run(tokenrefresh.Request{})[providers.Yappli]; got.Outcome != tokenrefresh.Refreshed {
		t.Errorf("after 13 hours: %q (%s), want refreshed", got.Outcome, got.Reason)
	}
	rejected := w.run(tokenrefresh.Request{Provider: providers.Yappli, RejectedVersion: before.Version})[providers.Yappli]
	if rejected.Outcome != tokenrefresh.Replaced || rejected.Version != w.served(providers.Yappli).Version {
		t.Errorf("an old version rejected: %+v, want replaced by the served one", rejected)
	}
}
