package tokenrefresh_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// warnings runs the schedule until the end, and notes how long before it each
// warning came.
func (w *world) warnings(provider string, end time.Time) (days []string) {
	for time.Now().Before(end.Add(-time.Minute)) {
		w.run(tokenrefresh.Request{Provider: provider})
		for _, e := range w.events {
			if e.Type == protocol.Expiring {
				days = append(days, fmt.Sprint(end.Sub(e.At).Hours()/24))
			}
		}
		w.events = nil
		time.Sleep(6 * time.Hour)
	}
	return days
}

func TestTell_WarnsOnEachDayOnce(t *testing.T) {
	const want = "[30 14 7 3 1]"
	inBubbleNamed(t, "staff token", func(w *world) {
		end := time.Now().Add(40 * day)
		provider := w.connect(staff, func(c *providers.Connection) {
			c.APIKey, c.ExpiresAt = providers.NewSecret(w.shop.GenerateToken(end)), end
		})
		if days := w.warnings(provider, end); fmt.Sprint(days) != want {
			t.Errorf("warned %v days before the end, want %s", days, want)
		}
		time.Sleep(time.Hour)
		w.want(provider, protocol.Refused)
		w.wantTold("needs_human")
		w.measured = nil
		w.want(provider, protocol.Refused)
		w.wantMeasured("SecondsToExpiry Seconds -", true)
	})
	inBubbleNamed(t, "assisttencho", func(w *world) {
		w.assist.Tokens.Life = 40 * day
		provider := w.connect(providers.AssistTencho)
		w.want(provider, protocol.Refreshed)
		if days := w.warnings(provider, w.served(provider).ExpiresAt); fmt.Sprint(days) != want {
			t.Errorf("warned %v days before the end, want %s", days, want)
		}
	})
}

// An app's pair renews itself: a person hears of its end only if that fails.
func TestTell_WarnsOfAPairThatCannotBeRenewed(t *testing.T) {
	inBubble(t, func(w *world) {
		provider := w.connect(providers.SHOPLINE)
		w.want(provider, protocol.Refreshed)
		end := w.served(provider).ExpiresAt
		time.Sleep(time.Until(end.Add(-31 * day)))
		w.want(provider, protocol.Probed)
		w.shop.Inject(sandbox.Fault{Kind: sandbox.Lost, Route: "POST /developers", Times: -1})
		if days := w.warnings(provider, end); fmt.Sprint(days) != "[30 14 7 3 1]" {
			t.Errorf("warned %v days before the end", days)
		}
	})
}

func TestTell_ALateWarningCountsTheNearestDay(t *testing.T) {
	inBubble(t, func(w *world) {
		end := time.Now().Add(5 * day)
		provider := w.connect(staff, func(c *providers.Connection) {
			c.APIKey, c.ExpiresAt = providers.NewSecret(w.shop.GenerateToken(end)), end
		})
		w.want(provider, protocol.Refreshed)
		if len(w.events) != 1 || w.events[0].Reason != "the credential ends at 2026-11-27 00:00 UTC, in 7 days or less" ||
			!strings.Contains(w.events[0].Steps, "IP whitelist first") || w.events[0].Provider != provider || !w.events[0].At.Equal(time.Now()) {
			t.Errorf("events %+v", w.events)
		}
		w.events = nil
		w.want(provider, protocol.Fresh)
		// The person pastes a new one: nothing more is said of the old.
		w.reconnect(func() providers.Connection { w.shop.GenerateToken(time.Time{}); return w.connection(staff) }())
		w.want(provider, protocol.Refreshed)
		time.Sleep(4 * day)
		w.want(provider, protocol.Probed)
		w.wantTold("")
	})
}

func TestTell_NeedsHumanOnceAndRecoveredOnce(t *testing.T) {
	for name, mend := range map[string]func(w *world){
		staff:               func(w *world) { w.shop.GenerateToken(time.Time{}); w.reconnect(w.connection(staff)) },
		providers.SuperSaaS: func(w *world) { w.reconnect(w.connection(providers.SuperSaaS)) },
	} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(name)
			w.want(provider, protocol.Refreshed)
			if name == staff {
				w.shop.DeleteToken(w.served(provider).Credential.Reveal())
			} else {
				w.bookings.RollKey()
			}
			time.Sleep(time.Hour)
			w.want(provider, protocol.Denied)
			if len(w.events) != 1 || w.events[0].Steps == "" {
				t.Errorf("events %+v", w.events)
			}
			w.wantTold("needs_human")
			for range 30 {
				time.Sleep(5 * time.Minute)
				w.run(tokenrefresh.Request{Provider: provider})
			}
			w.wantTold("")
			mend(w)
			w.want(provider, protocol.Refreshed)
			w.wantTold("recovered")
			time.Sleep(time.Hour)
			w.want(provider, protocol.Probed)
			w.wantTold("")
		})
	}
}

// What the bus refuses is said again by the next run, though it has nothing
// else to do.
func TestTell_AnEventIsNotForgotten(t *testing.T) {
	inBubble(t, func(w *world) {
		w.connect(providers.Yappli, func(c *providers.Connection) { c.ClientSecrets = []providers.Secret{providers.NewSecret("wrong")} })
		w.notify = errors.New("bus down")
		w.want(providers.Yappli, protocol.Refused)
		w.want(providers.Yappli, protocol.Refused)
		w.notify = nil
		w.want(providers.Yappli, protocol.Refused)
		w.wantTold("needs_human")
		w.want(providers.Yappli, protocol.Refused)
		w.wantTold("")
		if w.asked(providers.Yappli) != 1 {
			t.Errorf("%d token calls", w.asked(providers.Yappli))
		}

		w.connect(providers.Yappli)
		w.notify = errors.New("bus down")
		w.want(providers.Yappli, protocol.Refreshed)
		w.notify = nil
		w.want(providers.Yappli, protocol.Fresh)
		w.wantTold("recovered")

		end := time.Now().Add(20 * day)
		provider := w.connect(staff, func(c *providers.Connection) {
			c.APIKey, c.ExpiresAt = providers.NewSecret(w.shop.GenerateToken(end)), end
		})
		w.notify = errors.New("bus down")
		w.want(provider, protocol.Refreshed)
		w.notify = nil
		w.want(provider, protocol.Probed)
		w.wantTold("expiring")
		if !strings.Contains(w.log.String(), `"event not sent"`) {
			t.Error("a refused event is not in the log")
		}
	})
}

func TestTell_StepsSayWhatToDo(t *testing.T) {
	for name, want := range map[string]string{
		staff: "up to 20 addresses again", providers.SHOPLINE: "hikyaku authorize shopline", providers.AssistTencho: "許可済みアプリケーション一覧",
		providers.SuperSaaS: "API key was not rolled", providers.Yappli: "hikyaku connect yappli", providers.ActiBook: "hikyaku connect actibook",
	} {
		inBubbleNamed(t, name, func(w *world) {
			provider := w.connect(name, func(c *providers.Connection) {
				c.ClientSecrets, c.APIKey = []providers.Secret{providers.NewSecret("x")}, providers.Secret{}
			})
			w.run(tokenrefresh.Request{Provider: provider})
			if len(w.events) != 1 || w.events[0].Type != protocol.NeedsHuman || !strings.Contains(w.events[0].Steps, want) {
				t.Errorf("events %+v, want %q", w.events, want)
			}
		})
	}
}
