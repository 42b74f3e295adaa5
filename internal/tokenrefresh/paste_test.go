package tokenrefresh_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/shopline"
)

// What a paste leaves around a credential does no harm.
func TestPaste_WhiteSpaceAroundACredential(t *testing.T) {
	for _, name := range []string{providers.Yappli, providers.ActiBook, providers.SuperSaaS, providers.SHOPLINE, providers.AssistTencho, staff} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(name, func(c *providers.Connection) {
				paste := func(s providers.Secret) providers.Secret {
					if s.Empty() {
						return s
					}
					return providers.NewSecret(" \ufeff" + s.Reveal() + "\r\n")
				}
				c.APIKey, c.Code, c.ClientID = paste(c.APIKey), paste(c.Code), "\t"+c.ClientID+"\u3000"
				for i := range c.ClientSecrets {
					c.ClientSecrets[i] = paste(c.ClientSecrets[i])
				}
			})
			w.want(provider, protocol.Refreshed)
		})
	}
}

// A line break within a key cannot be sent: the key that works goes on being served,
// and a person is told which field is wrong.
func TestPaste_ALineBreakWithinAKey(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(staff)
		w.want(providers.SHOPLINE, protocol.Refreshed)
		works := w.served(providers.SHOPLINE)
		c := w.connection(staff)
		key := c.APIKey.Reveal()
		c.APIKey = providers.NewSecret(key[:10] + "\n" + key[10:])
		w.reconnect(c)
		result := w.want(providers.SHOPLINE, protocol.Unconfigured)
		if got := w.served(providers.SHOPLINE); got.Credential != works.Credential {
			t.Error("another credential is served")
		}
		if len(w.events) != 1 || !strings.Contains(w.events[0].Reason, "api_key: holds a control character") || strings.Contains(result.Reason, key[:10]) {
			t.Errorf("events = %+v, result = %+v; want one that names the field, and no key", w.events, result)
		}
		w.connect(staff)
		w.want(providers.SHOPLINE, protocol.Probed)
	})
}

// A misspelled field is no reason to stop, but is told of.
func TestPaste_UnknownFields(t *testing.T) {
	inBubble(t, func(w *world) {
		document := w.connection(providers.SuperSaaS).Document()
		w.edit(providers.SuperSaaS, "connection", append([]byte(`{"acount":"x","sk_live_0123456789abcdef":"y",`), document[1:]...))
		w.want(providers.SuperSaaS, protocol.Refreshed)
		if log := w.log.String(); !strings.Contains(log, `"fields":["acount","(not a field's name)"]`) || strings.Contains(log, "sk_live") {
			t.Errorf("log = %s; want the misspelled field, and no value in its place", log)
		}
	})
}

// A life that no document speaks of is not believed: the token is renewed as if it
// were not known.
func TestObtain_ALifeLongerThanDocumented(t *testing.T) {
	for provider, next := range map[string]time.Duration{providers.Yappli: 13 * time.Hour, providers.ActiBook: 21 * time.Minute} {
		inBubbleNamed(t, provider, func(w *world) {
			w.connect(provider)
			a := &scripted{grant: providers.Grant{Access: providers.NewSecret("invented-token"), ExpiresAt: time.Now().Add(1000 * day)}}
			if x := w.runWith(context.Background(), provider, a); x.Outcome != protocol.Refreshed || x.ExpiresAt != nil {
				t.Fatalf("result = %+v, want an unknown end", x)
			}
			if !strings.Contains(w.log.String(), "longer life than it documents") {
				t.Error("nobody is told")
			}
			time.Sleep(next)
			if x := w.runWith(context.Background(), provider, a); x.Outcome != protocol.Refreshed {
				t.Errorf("after %v: %+v, want another token", next, x)
			}
		})
	}
}

// A defective answers the first token request with an access token that does not work.
type defective struct {
	providers.Authority

	answered int
}

func (d *defective) Obtain(ctx context.Context, c providers.Connection, secret, spend providers.Secret, fromCode bool) (providers.Grant, error) {
	g, err := d.Authority.Obtain(ctx, c, secret, spend, fromCode)
	if d.answered++; d.answered == 1 {
		g.Access = providers.NewSecret("defective")
	}
	return g, err
}

// The refresh token that came with a defective access token is unspent: a person may
// have it spent.
func TestSpend_ForceAfterADefectiveAccessToken(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.SHOPLINE)
		d := &defective{Authority: shopline.NewAuthority(&providers.Options{HTTP: w.shop.Client()})}
		deps := w.deps(w.secrets, w.objects, w)
		deps.Authorities[providers.SHOPLINE] = d
		run := func(q tokenrefresh.Request, want protocol.Outcome) {
			t.Helper()
			q.Provider = providers.SHOPLINE
			report, err := tokenrefresh.New(prefix, deps).Run(context.Background(), q)
			if err != nil || report.Results[0].Outcome != want {
				t.Fatalf("%+v, %v; want %s", report, err, want)
			}
		}
		run(tokenrefresh.Request{}, protocol.Denied)
		time.Sleep(time.Hour)
		run(tokenrefresh.Request{}, protocol.Denied)
		if d.answered != 1 {
			t.Fatalf("%d token requests without a person", d.answered)
		}
		run(tokenrefresh.Request{Force: true}, protocol.Refreshed)
		time.Sleep(time.Hour)
		run(tokenrefresh.Request{}, protocol.Probed)
		if token := w.served(providers.SHOPLINE); token.Credential.Reveal() == "defective" || d.answered != 2 {
			t.Errorf("%d token requests, and the defective token is served: %t", d.answered, token.Credential.Reveal() == "defective")
		}
	})
}
