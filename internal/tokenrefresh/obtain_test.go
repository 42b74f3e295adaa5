package tokenrefresh_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// scripted is an Authority that answers as told and notes how it was asked.
type scripted struct {
	grant    providers.Grant
	err      error
	secrets  []string
	deadline time.Time
}

func (s *scripted) Obtain(ctx context.Context, _ providers.Connection, secret, _ providers.Secret, _ bool) (providers.Grant, error) {
	s.secrets = append(s.secrets, secret.Reveal())
	s.deadline, _ = ctx.Deadline()
	g := s.grant
	g.ObtainedAt = time.Now()
	return g, s.err
}

func (*scripted) Probe(context.Context, providers.Connection, providers.Token) error { return nil }

// runWith runs one provider with an authority of the test's own.
func (w *world) runWith(ctx context.Context, provider string, a providers.Authority) tokenrefresh.Result {
	w.t.Helper()
	deps := w.deps(w.secrets, w.objects, w)
	deps.Authorities[provider] = a
	report, err := tokenrefresh.New(prefix, deps).Run(ctx, tokenrefresh.Request{Provider: provider})
	w.must(err)
	return report.Results[0]
}

// Only a refused client lets the next secret be tried: anything else may have
// spent something, or would fail again.
func TestObtain_OnlyARefusedClientTriesTheNextSecret(t *testing.T) {
	for name, c := range map[string]struct {
		err   providers.Error
		tries int
	}{
		"invalid_client":      {providers.Error{Kind: providers.ErrClient, Status: http.StatusBadRequest, Code: "invalid_client"}, 2},
		"unauthorized_client": {providers.Error{Kind: providers.ErrClient, Status: http.StatusBadRequest, Code: "unauthorized_client"}, 2},
		"401 without a code":  {providers.Error{Kind: providers.ErrClient, Status: http.StatusUnauthorized}, 2},
		"400 without a code":  {providers.Error{Kind: providers.ErrRevoked, Status: http.StatusBadRequest}, 1},
		"invalid_grant":       {providers.Error{Kind: providers.ErrRevoked, Status: http.StatusUnauthorized, Code: "invalid_grant"}, 1},
		"no answer":           {providers.Error{Kind: providers.ErrTemporary, Code: "invalid_client"}, 1},
	} {
		for _, provider := range []string{providers.Yappli, providers.SHOPLINE} {
			inBubbleNamed(t, name+" "+provider, func(w *world) {
				w.connect(provider, func(c *providers.Connection) {
					c.ClientSecrets = []providers.Secret{providers.NewSecret("new"), providers.NewSecret("old")}
				})
				a := &scripted{err: &c.err}
				if w.runWith(context.Background(), provider, a); len(a.secrets) != c.tries || a.secrets[0] != "new" {
					t.Errorf("tried %v, want %d", a.secrets, c.tries)
				}
			})
		}
	}
}

// Half of the time that is left goes to the call, the rest is for the writes.
func TestObtain_LeavesHalfOfTheTime(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		a := &scripted{grant: providers.Grant{Access: providers.NewSecret("AT")}}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if got := w.runWith(ctx, providers.Yappli, a); got.Outcome != protocol.Refreshed || !a.deadline.Equal(time.Now().Add(10*time.Second)) {
			t.Errorf("%+v, the call had %v", got, time.Until(a.deadline))
		}
	})
}

// A renewable token whose end is not stated is replaced as if it had the life
// that the documents give.
func TestDue_UnknownExpiryOfARenewable(t *testing.T) {
	for provider, age := range map[string]time.Duration{providers.Yappli: 12 * time.Hour, providers.ActiBook: 19*time.Minute + 30*time.Second} {
		inBubbleNamed(t, provider, func(w *world) {
			w.connect(provider)
			a := &scripted{grant: providers.Grant{Access: providers.NewSecret("AT")}}
			began := time.Now()
			for len(a.secrets) < 2 {
				if got := w.runWith(context.Background(), provider, a); got.ExpiresAt != nil {
					t.Fatalf("an end is known: %+v", got)
				}
				time.Sleep(10 * time.Second)
			}
			took := time.Since(began) - 10*time.Second
			if jitter := map[string]time.Duration{providers.Yappli: 144 * time.Minute}[provider]; took > age || took < age-jitter {
				t.Errorf("replaced after %v, want %v", took, age)
			}
		})
	}
}

// A token that has ended when it comes is replaced by every run, and the
// jitter of no life is none.
func TestDue_ATokenWithoutLife(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		a := &scripted{grant: providers.Grant{Access: providers.NewSecret("AT"), ExpiresAt: time.Now().Add(time.Nanosecond)}}
		for range 3 {
			if got := w.runWith(context.Background(), providers.Yappli, a); got.Outcome != protocol.Refreshed {
				t.Errorf("%+v", got)
			}
			time.Sleep(time.Minute)
		}
		if len(a.secrets) != 3 {
			t.Errorf("%d token calls", len(a.secrets))
		}
	})
}

// What is read as it stood before a swap is not believed for a minute.
func TestLaggingTokenIsBelievedAfterAMinute(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli)
		w.want(providers.Yappli, protocol.Refreshed)
		old := w.value(providers.Yappli, secretstore.TokenPart, secretstore.Current)
		swapped := w.wantOf(tokenrefresh.Request{Provider: providers.Yappli, Force: true}, protocol.Refreshed).Version
		lagging := tokenrefresh.New(prefix, w.deps(stale{w.secrets, secretstore.Name(prefix, providers.Yappli, secretstore.TokenPart), old}, w.objects, w))
		time.Sleep(time.Minute - 1)
		for _, want := range []string{swapped, old.ID} { // a person has put the old one back
			report, err := lagging.Run(context.Background(), tokenrefresh.Request{Provider: providers.Yappli})
			w.must(err)
			if got := report.Results[0]; got.Outcome != protocol.Fresh || got.Version != want {
				t.Errorf("%+v, want version %s", got, want)
			}
			time.Sleep(time.Nanosecond)
		}
	})
}
