package tokenrefresh_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// meddling is a store that lets somebody else act just before a stage of a
// connection moves.
type meddling struct {
	secretstore.Store

	before func() error
	after  error // answered although the move was made
}

func (m *meddling) Promote(ctx context.Context, name, stage, to, from string) error {
	if stage != secretstore.Current || !strings.HasSuffix(name, secretstore.ConnectionPart) {
		return m.Store.Promote(ctx, name, stage, to, from)
	}
	if m.before != nil {
		if err := m.before(); err != nil {
			return err
		}
	}
	if err := m.Store.Promote(ctx, name, stage, to, from); err != nil {
		return err
	}
	return m.after
}

func (w *world) authorize(m *meddling, provider string, begun providers.Connection, code string) (tokenrefresh.Result, error) {
	m.Store = w.secrets
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	return tokenrefresh.New(prefix, w.deps(m, w.objects, w)).Authorize(ctx, provider, begun, providers.NewSecret(code))
}

// withoutCode is an app's connection that nobody has authorized.
func (w *world) withoutCode(provider string) providers.Connection {
	c := w.connection(provider)
	c.Code = providers.Secret{}
	w.reconnect(c)
	return c
}

func TestAuthorize_PersistsTheCodeFirstAndKeepsTheRest(t *testing.T) {
	inBubble(t, func(w *world) {
		begun := w.withoutCode(providers.AssistTencho)
		var fields map[string]any
		w.must(json.Unmarshal(begun.Document(), &fields))
		fields["note"] = "entered by 見本"
		document, err := json.Marshal(fields)
		w.must(err)
		base := w.edit(providers.AssistTencho, secretstore.ConnectionPart, document)
		code := w.assist.Authorize()
		result, err := w.authorize(new(meddling), providers.AssistTencho, begun, code)
		w.must(err)
		if result.Outcome != protocol.Refreshed || w.assist.Tokens.Redeemed() != 1 {
			t.Errorf("%+v, %d redemptions", result, w.assist.Tokens.Redeemed())
		}
		stored := w.value(providers.AssistTencho, secretstore.ConnectionPart, secretstore.Current)
		fields["code"] = code
		var got map[string]any
		w.must(json.Unmarshal(stored.Data, &got))
		if len(got) != len(fields) || got["note"] != fields["note"] || got["code"] != code {
			t.Errorf("the connection is now %s", stored.Data)
		}
		if stages := w.stages(providers.AssistTencho, secretstore.ConnectionPart); stages[secretstore.Previous] != base || stages[protocol.Candidate] != "" {
			t.Errorf("stages %v, base %s", stages, base)
		}
		w.want(providers.AssistTencho, protocol.Fresh)

		// Repeated, as by a browser's reload, it is not even stored.
		if _, err := w.authorize(new(meddling), providers.AssistTencho, begun, code); err == nil || !strings.Contains(err.Error(), "used before") {
			t.Errorf("a replayed code: %v", err)
		}
		if now := w.value(providers.AssistTencho, secretstore.ConnectionPart, secretstore.Current); now.ID != stored.ID || w.assist.Tokens.Redeemed() != 1 {
			t.Error("a replayed code changed something")
		}
	})
}

func TestAuthorize_AnEditInBetweenIsKept(t *testing.T) {
	inBubble(t, func(w *world) {
		begun := w.withoutCode(providers.AssistTencho)
		edits := 0
		m := &meddling{before: func() error {
			if edits++; edits == 1 {
				c := begun
				c.ProbeOrder = "2"
				w.reconnect(c)
			}
			return nil
		}}
		result, err := w.authorize(m, providers.AssistTencho, begun, w.assist.Authorize())
		w.must(err)
		c, err := providers.ParseConnection(w.value(providers.AssistTencho, secretstore.ConnectionPart, secretstore.Current).Data)
		w.must(err)
		if result.Outcome != protocol.Refreshed || edits != 2 || c.ProbeOrder != "2" || c.Code.Empty() {
			t.Errorf("%+v after %d swaps, probe order %s", result, edits, c.ProbeOrder)
		}
	})
	inBubbleNamed(t, "another application", func(w *world) {
		begun := w.withoutCode(providers.AssistTencho)
		for _, change := range []func(*providers.Connection){
			func(c *providers.Connection) { c.ClientID = "other" },
			func(c *providers.Connection) { c.RedirectURI = "https://other.example/" },
			func(c *providers.Connection) { c.Kind = providers.Static },
		} {
			m := &meddling{before: func() error {
				c := begun
				change(&c)
				w.reconnect(c)
				return nil
			}}
			if _, err := w.authorize(m, providers.AssistTencho, begun, w.assist.Authorize()); err == nil || !strings.Contains(err.Error(), "begin again") {
				t.Errorf("a code for another application: %v", err)
			}
			w.reconnect(begun)
		}
		restless := &meddling{before: func() error { w.reconnect(begun); return nil }}
		if _, err := w.authorize(restless, providers.AssistTencho, begun, w.assist.Authorize()); err == nil || !strings.Contains(err.Error(), "begin again") {
			t.Errorf("edits without end: %v", err)
		}
		if n := w.assist.Tokens.Redeemed(); n != 0 {
			t.Errorf("%d redemptions", n)
		}
	})
}

func TestAuthorize_AnOutageSpendsNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		begun := w.withoutCode(providers.SHOPLINE)
		outage := errors.New("outage")
		code := w.connection(providers.SHOPLINE).Code.Reveal()
		if _, err := w.authorize(&meddling{before: func() error { return outage }}, providers.SHOPLINE, begun, code); !errors.Is(err, outage) || w.shop.Tokens.Redeemed() != 0 {
			t.Errorf("an outage before the swap: %v", err)
		}
		// The answer of a swap that was made is lost: the version itself knows.
		if result, err := w.authorize(&meddling{after: outage}, providers.SHOPLINE, begun, code); err != nil || result.Outcome != protocol.Refreshed || w.shop.Tokens.Redeemed() != 1 {
			t.Errorf("an outage after the swap: %+v %v, %d redemptions", result, err, w.shop.Tokens.Redeemed())
		}
		if _, err := w.authorize(new(meddling), providers.Yappli, begun, code); !errors.Is(err, secretstore.ErrNotFound) {
			t.Errorf("no connection: %v", err)
		}
		w.edit(providers.SHOPLINE, secretstore.ConnectionPart, []byte("no JSON"))
		if _, err := w.authorize(new(meddling), providers.SHOPLINE, begun, code); !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("a broken connection: %v", err)
		}
	})
	inBubbleNamed(t, "the swap's own conflict", func(w *world) {
		begun := w.withoutCode(providers.SHOPLINE)
		code := w.connection(providers.SHOPLINE).Code.Reveal()
		result, err := w.authorize(&meddling{after: secretstore.ErrConflict}, providers.SHOPLINE, begun, code)
		if err != nil || result.Outcome != protocol.Refreshed || w.shop.Tokens.Redeemed() != 1 {
			t.Errorf("a conflict with itself: %+v %v", result, err)
		}
	})
}

// While the schedule's run holds the lease, the person's waits for it.
func TestAuthorize_WaitsForTheLease(t *testing.T) {
	inBubble(t, func(w *world) {
		begun := w.withoutCode(providers.AssistTencho)
		w.assist.Inject(slow)
		done := make(chan tokenrefresh.Result)
		go func() {
			code := w.assist.Authorize()
			result, err := w.authorize(new(meddling), providers.AssistTencho, begun, code)
			if err != nil {
				t.Error(err)
			}
			done <- result
		}()
		time.Sleep(time.Second) // the exchange hangs
		began := time.Now()
		again := w.connection(providers.AssistTencho)
		result, err := w.authorize(new(meddling), providers.AssistTencho, begun, again.Code.Reveal())
		w.must(err)
		if first := <-done; first.Outcome != protocol.Refreshed {
			t.Errorf("the first: %+v", first)
		}
		if result.Outcome != protocol.Refreshed || time.Since(began) < 15*time.Second || w.assist.Tokens.Redeemed() != 2 {
			t.Errorf("the second: %+v after %v, %d redemptions", result, time.Since(began), w.assist.Tokens.Redeemed())
		}
		for outcome, human := range map[protocol.Outcome]bool{
			protocol.InDoubt: true, protocol.Denied: true, protocol.Refused: true, protocol.Unconfigured: true,
			protocol.Failed: false, protocol.Refreshed: false, protocol.Off: false, "": false,
		} {
			if (outcome.Status() == protocol.Human) != human {
				t.Errorf("%q needs a person: %v", outcome, !human)
			}
		}
	})
}
