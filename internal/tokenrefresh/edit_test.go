package tokenrefresh_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// A meddler does something after the nth call that a refresher makes to the
// secrets or to a provider. A call to the objects lies between two of these,
// and to the secrets it is all the same on which side of it an edit comes.
type meddler struct {
	secretstore.Store

	next  http.RoundTripper
	calls int
	at    int // do it after this call, counted from 1
	act   func()
}

func (m *meddler) done() {
	m.calls++
	if m.calls == m.at {
		m.act()
	}
}

func (m *meddler) Get(ctx context.Context, name, stage string) (secretstore.Value, error) {
	defer m.done()
	return m.Store.Get(ctx, name, stage)
}

func (m *meddler) GetVersion(ctx context.Context, name, id string) (secretstore.Value, error) {
	defer m.done()
	return m.Store.GetVersion(ctx, name, id)
}

func (m *meddler) Describe(ctx context.Context, name string) (secretstore.Description, error) {
	defer m.done()
	return m.Store.Describe(ctx, name)
}

func (m *meddler) Create(ctx context.Context, name, id string, data []byte) error {
	defer m.done()
	return m.Store.Create(ctx, name, id, data)
}

func (m *meddler) Put(ctx context.Context, name, id string, data []byte, stages ...string) error {
	defer m.done()
	return m.Store.Put(ctx, name, id, data, stages...)
}

func (m *meddler) Promote(ctx context.Context, name, stage, to, from string) error {
	defer m.done()
	return m.Store.Promote(ctx, name, stage, to, from)
}

func (m *meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	defer m.done()
	return m.next.RoundTrip(r)
}

// entered is what a person types into the token or refresh secret: a
// credential that works, or one that does not.
func (w *world) entered(name, part string, works bool) []byte {
	c := w.connection(name)
	access, refresh := "broken token", "broken"
	if works {
		switch name {
		case providers.Yappli:
			access, _ = w.yappli.Tokens.Issue(time.Now())
		case providers.ActiBook:
			access = w.actibook.Token("https://actibook.test").Credential.Reveal()
		case providers.SHOPLINE:
			access, refresh = w.shop.Tokens.Issue(time.Now())
		case providers.AssistTencho:
			access = w.assist.Token("https://assisttencho.test").Credential.Reveal()
		default:
			access = c.APIKey.Reveal()
		}
	}
	now := time.Now()
	grant := providers.Grant{Access: providers.NewSecret(access), Refresh: providers.NewSecret(refresh), ObtainedAt: now, ExpiresAt: now.Add(200 * day)}
	if part == secretstore.RefreshPart {
		return grant.Document()
	}
	return providers.Token{
		Provider: c.Provider, Kind: c.Kind, BaseURL: c.BaseURL, LoginURL: c.LoginURL, Account: c.Account, Quirks: c.Quirks,
		Credential: grant.Access, ObtainedAt: now, ExpiresAt: now.Add(200 * day),
	}.Document()
}

// TestEdit_IsNeverOverwritten lets a person edit a secret, as the console does
// it, after each single call of a run.
func TestEdit_IsNeverOverwritten(t *testing.T) {
	for _, name := range []string{providers.Yappli, providers.ActiBook, providers.SHOPLINE, providers.AssistTencho, staff, providers.SuperSaaS} {
		for _, part := range []string{secretstore.TokenPart, secretstore.RefreshPart} {
			if part == secretstore.RefreshPart && name != providers.SHOPLINE && name != providers.AssistTencho {
				continue
			}
			for _, works := range []bool{true, false} {
				inBubbleNamed(t, fmt.Sprintf("%s %s works=%t", name, part, works), func(w *world) {
					for n, points := 1, 1; n <= points; n++ {
						points = newWorld(t).editAfter(name, part, works, n)
					}
				})
			}
		}
	}
}

// editAfter edits a secret after call n of a run and checks what is served.
// It returns how many calls the run made.
func (w *world) editAfter(name, part string, works bool, n int) int {
	w.t.Helper()
	provider := w.connect(name)
	w.want(provider, protocol.Refreshed)
	time.Sleep(day)
	if name == staff { // something to do
		w.shop.GenerateToken(time.Time{})
	}
	if name != providers.Yappli && name != providers.ActiBook {
		w.reconnect(w.connection(name))
	}
	var edit string
	m := &meddler{Store: w.secrets, next: w, at: n, act: func() { edit = w.edit(provider, part, w.entered(name, part, works)) }}
	report, err := tokenrefresh.New(prefix, w.deps(m, w.objects, m)).Run(context.Background(), tokenrefresh.Request{Provider: provider})
	w.must(err)
	if m.calls < n {
		return m.calls
	}
	where := fmt.Sprintf("%s, %s edited after call %d (works: %t): %+v", name, part, n, works, report.Results[0])
	value := w.value(provider, part, secretstore.Current)
	stages := w.stages(provider, part)
	notes := w.told()
	switch {
	case value.ID == edit: // it stays
		if !works && strings.Contains(notes, protocol.NeedsHuman) {
			w.t.Errorf("%s: it does not work, lost no race and is served (events %q)", where, notes)
		}
	case baseOf(value.Data) == edit: // it came before the run read its base
	case !works && stages[protocol.Superseded] == edit && strings.Contains(notes, protocol.NeedsHuman):
	default:
		w.t.Errorf("%s: it was overwritten by %s with base %s", where, value.ID, baseOf(value.Data))
	}
	if kept := stages[protocol.Superseded]; kept != "" && notes == "" {
		w.t.Errorf("%s: a version is kept and nobody told", where)
	}
	// Whatever the edit was, the next runs settle on a credential that works.
	for range 3 {
		time.Sleep(time.Hour)
		w.run(tokenrefresh.Request{Provider: provider})
	}
	if err := w.works(provider); err != nil && (works || name != providers.Yappli && name != providers.ActiBook) {
		w.t.Errorf("%s: what is served does not work: %v", where, err)
	}
	return m.calls
}

// baseOf returns the version that a document was made to replace.
func baseOf(document []byte) string {
	if token, err := providers.ParseToken(document); err == nil {
		return token.Base
	}
	grant, _ := providers.ParseGrant(document)
	return grant.Base
}

// TestEdit_LosesOrWinsByWhatWorks looks closely at the one edit that comes
// between the store and the swap.
func TestEdit_LosesOrWinsByWhatWorks(t *testing.T) {
	for name, part := range map[string]string{
		providers.Yappli: secretstore.TokenPart, providers.SHOPLINE: secretstore.RefreshPart, providers.SuperSaaS: secretstore.TokenPart,
	} {
		for _, works := range []bool{true, false} {
			inBubbleNamed(t, fmt.Sprintf("%s %t", name, works), func(w *world) {
				w.connect(name)
				w.want(name, protocol.Refreshed)
				if name == providers.SuperSaaS {
					w.bookings.RollKey()
				}
				w.connect(name)
				var edit, next string
				for range 2 { // a version that was kept before makes way
					m := &stored{Store: w.secrets, name: secretstore.Name(prefix, name, part), act: func(id string) {
						next, edit = id, w.edit(name, part, w.entered(name, part, works))
					}}
					report, err := tokenrefresh.New(prefix, w.deps(m, w.objects, w)).Run(context.Background(), tokenrefresh.Request{Provider: name})
					w.must(err)
					want, current, kept := protocol.Refreshed, next, edit
					if works {
						want, current, kept = protocol.Adopted, edit, next
					}
					stages := w.stages(name, part)
					if got := report.Results[0]; got.Outcome != want || stages[secretstore.Current] != current || stages[protocol.Superseded] != kept || stages[protocol.Next] != "" {
						t.Fatalf("%+v, stages %v, edit %s, ours %s", got, stages, edit, next)
					}
					if len(w.events) != 1 || w.events[0].Type != protocol.NeedsHuman || !strings.Contains(w.events[0].Reason, "the "+part+" secret") {
						t.Fatalf("events %+v", w.events)
					}
					w.events = nil
					if name != providers.SuperSaaS || !works {
						w.must(w.works(name))
					}
					w.want(name, protocol.Fresh)
					if name == providers.SuperSaaS {
						w.bookings.RollKey()
					}
					w.connect(name)
				}
			})
		}
	}
}

// stored does something when a version of one secret has been put under NEXT.
type stored struct {
	secretstore.Store

	name string
	act  func(id string)
}

func (s *stored) Put(ctx context.Context, name, id string, data []byte, stages ...string) error {
	err := s.Store.Put(ctx, name, id, data, stages...)
	if name == s.name && stages[0] == protocol.Next {
		s.act(id)
	}
	return err
}

// A person's own token secret stays while it works and the connection is the
// same, and makes way when either ends.
func TestEdit_OfTheTokenAloneIsAdopted(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(staff)
		w.want(provider, protocol.Refreshed)
		other := w.shop.GenerateToken(time.Time{})
		token := w.served(provider)
		token.Credential = providers.NewSecret(other)
		edit := w.edit(provider, secretstore.TokenPart, token.Document())
		w.want(provider, protocol.Fresh)
		for range 2 {
			time.Sleep(time.Hour)
			w.want(provider, protocol.Adopted)
			if w.served(provider).Version != edit {
				t.Fatal("the edit was replaced")
			}
		}
		w.shop.DeleteToken(other)
		time.Sleep(time.Hour)
		w.want(provider, protocol.Refreshed)
		w.must(w.works(provider))
	})
}
