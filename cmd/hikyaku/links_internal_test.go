package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

type memoryQueue struct{ sent []queue.Envelope }

func (q *memoryQueue) Send(_ context.Context, e ...queue.Envelope) error {
	q.sent = append(q.sent, e...)
	return nil
}
func (q *memoryQueue) Postpone(context.Context, string, time.Duration) error { return nil }

type noMetrics struct{}

func (noMetrics) Add(string, string, float64, map[string]string) {}

func (noMetrics) AddTimed(string, map[string]string, string, time.Duration) {}

type byHost struct {
	shop *supersaastest.Server
	crm  *yapplitest.Server
}

func (h byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "yappli.test" {
		return h.crm.Client().Transport.RoundTrip(r)
	}
	return h.shop.Client().Transport.RoundTrip(r)
}

func linkStack(t *testing.T) (*tenant.Tenant, *supersaastest.Server, *yapplitest.Server, *memoryQueue, *bytes.Buffer) {
	shop := supersaastest.New(sandbox.Options{Records: -1, Rate: -1})
	crm := yapplitest.New(sandbox.Options{Records: -1, Rate: -1})
	m, err := mapping.Parse("m", []byte("options: {zone: Asia/Tokyo, region: JP}\ncolumn01: full_name\n"))
	if err != nil {
		t.Fatal(err)
	}
	tok := crm.Token("http://yappli.test")
	tok.Quirks = json.RawMessage(`{"update":"partial"}`)
	lim := func() *providers.Breaker { return providers.NewBreaker(providers.NewPace(1e6)) }
	client := shop.Client()
	client.Transport = byHost{shop, crm}
	log := &bytes.Buffer{}
	s, err := tenant.Open(context.Background(), tenant.Config{
		Objects: &objectstore.Memory{}, Prefix: "t", SuperSaaS: providers.Fixed(shop.Token("http://supersaas.test")), Yappli: providers.Fixed(tok),
		Options: providers.Options{HTTP: client, Attempts: 1}, Limiters: tenant.Limiters{SuperSaaS: lim(), Yappli: lim()},
		Mapping: m, Identity: tenant.Identity{By: "field_2"}, Settings: tenant.Settings{Mode: tenant.Write, Link: tenant.Approve},
		Log: slog.New(slog.NewTextHandler(log, nil)), Metrics: noMetrics{}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, shop, crm, &memoryQueue{}, log
}

func workOn(t *testing.T, s *tenant.Tenant, q *memoryQueue, user int64) {
	t.Helper()
	e := queue.Message{User: user, Event: "change", At: time.Now()}.Envelope("x")
	relay.New(s, q, q).Work(context.Background(), []queue.Delivery{{ID: "1", Receipt: "1", Receives: 1, Body: e.Body}})
}

func TestLinks_AllMeansThePairsOfTheList(t *testing.T) {
	s, shop, crm, q, log := linkStack(t)
	ctx := context.Background()
	crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "OWN", "column01": "攻撃者 本人の旧会員"}})
	victim := crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "VICTIM", "column01": "被害者"}})
	user := shop.AddUser(map[string]any{"name": "a@mail.example", "full_name": "攻撃者", "field_2": "OWN"})
	if _, err := reconcile.New(s, q).Run(ctx, false); err != nil {
		t.Fatal(err)
	}
	links := admin.NewLinks(s, q)
	pairs, err := links.Waiting(ctx)
	if err != nil || len(pairs) != 1 {
		t.Fatal(pairs, err)
	}
	l := linkChoice{all: true, token: tokenOf(pairs)}
	chosen, err := l.chosen(ctx, links)
	if err != nil {
		t.Fatal(err)
	}
	// while --all works through the pairs before this one
	shop.ChangeUser(user, map[string]any{"field_2": "VICTIM"})
	workOn(t, s, q, user)
	c := &cobra.Command{}
	c.SetContext(ctx)
	for _, pair := range chosen {
		if err := l.decide(c, &relayFlags{}, links, pair, true); !errors.Is(err, admin.ErrNoPair) {
			t.Errorf("decide = %v", err)
		}
	}
	workOn(t, s, q, user)
	m, _ := crm.Find(victim)
	if m.Values["column01"] != "被害者" {
		t.Errorf("a member who was in no printed list was overwritten\n%s", strings.TrimSpace(log.String()))
	}
}

func TestLinks_ALinkedPairIsNotRejected(t *testing.T) {
	s, shop, crm, q, _ := linkStack(t)
	ctx := context.Background()
	crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "VICTIM", "column01": "被害者"}})
	user := shop.AddUser(map[string]any{"name": "a@mail.example", "full_name": "攻撃者", "field_2": "VICTIM"})
	if _, err := reconcile.New(s, q).Run(ctx, false); err != nil {
		t.Fatal(err)
	}
	links := admin.NewLinks(s, q)
	c := &cobra.Command{}
	c.SetContext(ctx)
	c.SetOut(&bytes.Buffer{})
	l := linkChoice{users: []int64{user}}
	if err := l.decide(c, &relayFlags{}, links, state.Pair{User: user}, true); err != nil {
		t.Fatal(err)
	}
	workOn(t, s, q, user)
	if err := l.decide(c, &relayFlags{}, links, state.Pair{User: user}, false); !errors.Is(err, admin.ErrLinked) {
		t.Errorf("decide = %v, want it said that the member is linked", err)
	}
}
