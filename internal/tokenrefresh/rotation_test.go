package tokenrefresh_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/internal/tokenrefresh/rotation"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

var steps = []string{rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret}

// rotating connects a provider, gives it a first token, and lets Secrets
// Manager begin a rotation of its record, whose version it returns.
func (w *world) rotating(name string) (secret, version string) {
	w.t.Helper()
	provider := w.connect(name)
	w.want(provider, protocol.Refreshed)
	secret = secretstore.Name(prefix, provider, secretstore.TokenPart)
	if name == providers.SHOPLINE || name == providers.AssistTencho {
		secret = secretstore.Name(prefix, provider, secretstore.RefreshPart)
	}
	return secret, w.rotate(secret)
}

func (w *world) rotate(secret string) (version string) {
	w.t.Helper()
	version = uuid.NewString()
	_, err := w.secrets.Rotate(context.Background(), secret, version, "tokenrefresh")
	w.must(err)
	return version
}

func (w *world) step(secret, version, step string) error {
	return w.refresher().Rotation(context.Background(), secret, version, step)
}

func TestRotation_FourStepsEachTwice(t *testing.T) {
	for name, part := range map[string]string{
		providers.Yappli: secretstore.TokenPart, providers.SHOPLINE: secretstore.RefreshPart,
	} {
		inBubbleNamed(t, name, func(w *world) {
			secret, version := w.rotating(name)
			before := w.served(name)
			for _, step := range steps {
				for range 2 {
					if err := w.step(secret, version, step); err != nil {
						t.Fatalf("%s: %v", step, err)
					}
				}
				if step != rotation.FinishSecret && w.served(name).Version != before.Version {
					t.Fatalf("%s changed what is served", step)
				}
			}
			if w.asked(name) != 2 {
				t.Errorf("%d token calls", w.asked(name))
			}
			stages := w.stages(name, part)
			if stages[secretstore.Current] != version || stages[secretstore.Pending] != "" || w.served(name).Credential == before.Credential {
				t.Errorf("stages %v", stages)
			}
			w.must(w.works(name))
			w.want(name, protocol.Fresh)
			w.wantTold("")
			if last, _, _, err := w.refresher().State(context.Background(), name); err != nil || last != protocol.Refreshed {
				t.Errorf("state %q, %v", last, err)
			}
			w.wantMeasured("RefreshOutcome Count 1 map[outcome:refreshed", true)
		})
	}
}

func TestRotation_TestOnThePlaceholderProbesWhatIsServed(t *testing.T) {
	for _, name := range []string{providers.Yappli, providers.SHOPLINE} {
		inBubbleNamed(t, name, func(w *world) {
			secret, version := w.rotating(name)
			calls := w.calls(name)
			if err := w.step(secret, version, rotation.TestSecret); err != nil || w.calls(name) != calls+1 {
				t.Errorf("%v after %d calls", err, w.calls(name)-calls)
			}
			if err := w.step(secret, version, rotation.FinishSecret); err == nil || !strings.Contains(err.Error(), "createSecret comes first") {
				t.Errorf("finish without a value: %v", err)
			}
			w.yappli.Tokens.Revoke("")
			w.shop.Tokens.Revoke("")
			if err := w.step(secret, version, rotation.TestSecret); err == nil || !strings.Contains(err.Error(), "does not work") {
				t.Errorf("test of a dead credential: %v", err)
			}
		})
	}
}

func TestRotation_TestBlocksByKind(t *testing.T) {
	for name, c := range map[string]struct {
		kind  sandbox.FaultKind
		fails map[string]bool
	}{
		"doubt": {sandbox.ServerFail, map[string]bool{providers.Yappli: true, providers.SHOPLINE: false}},
		"no":    {sandbox.Denied, map[string]bool{providers.Yappli: true, providers.SHOPLINE: true}},
	} {
		for provider, fails := range c.fails {
			inBubbleNamed(t, name+" "+provider, func(w *world) {
				secret, version := w.rotating(provider)
				w.must(w.step(secret, version, rotation.CreateSecret))
				w.yappli.Inject(sandbox.Fault{Kind: c.kind, Route: "GET ", Times: 4})
				w.shop.Inject(sandbox.Fault{Kind: c.kind, Route: "GET ", Times: 4})
				if err := w.step(secret, version, rotation.TestSecret); (err != nil) != fails {
					t.Errorf("error %v, want one: %t", err, fails)
				}
			})
		}
	}
}

// What is tested is the new credential, not the one that is served.
func TestRotation_TestsTheNewCredential(t *testing.T) {
	for name, tokens := range map[string]func(w *world) interface{ Revoke(string) }{
		providers.Yappli:   func(w *world) interface{ Revoke(string) } { return w.yappli.Tokens },
		providers.SHOPLINE: func(w *world) interface{ Revoke(string) } { return w.shop.Tokens },
	} {
		inBubbleNamed(t, name, func(w *world) {
			secret, version := w.rotating(name)
			w.must(w.step(secret, version, rotation.CreateSecret))
			value, err := w.secrets.GetVersion(context.Background(), secret, version)
			w.must(err)
			access := ""
			if token, err := providers.ParseToken(value.Data); err == nil {
				access = token.Credential.Reveal()
			} else if grant, err := providers.ParseGrant(value.Data); err == nil {
				access = grant.Access.Reveal()
			}
			w.must(w.step(secret, version, rotation.TestSecret))
			tokens(w).Revoke(access)
			if err := w.step(secret, version, rotation.TestSecret); access == "" || err == nil || !strings.Contains(err.Error(), "the new credential does not work") {
				t.Errorf("a new credential that is dead: %v", err)
			}
			w.must(w.works(name))
		})
	}
}

func TestRotation_RefusesWhatIsNotRotated(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, name := range []string{staff, providers.SuperSaaS, providers.Yappli} {
			w.want(w.connect(name), protocol.Refreshed)
		}
		version := uuid.NewString()
		for _, c := range []struct{ secret, step, want string }{
			{"shop/shopline/token", steps[0], `of kind "static" is not rotated`},
			{"shop/supersaas/token", steps[0], `of kind "static" is not rotated`},
			{"shop/yappli/refresh", steps[0], "not rotated through this secret"},
			{"shop/yappli/connection", steps[0], "not rotated through this secret"},
			{"shop/actibook/token", steps[0], "can't find the specified secret"},
			{"shop/nobody/token", steps[0], `not a token or refresh secret under the prefix "shop"`},
			{"other/yappli/token", steps[0], "not a token or refresh secret"},
			{"shop/yappli", steps[0], "not a token or refresh secret"},
			{"shop/yappli/token", "deleteSecret", "unknown step; expected createSecret, setSecret, testSecret or finishSecret"},
		} {
			if err := w.step(c.secret, version, c.step); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "rotation of "+c.secret) {
				t.Errorf("%s of %s: %v, want %q", c.step, c.secret, err, c.want)
			}
		}
		w.edit(providers.Yappli, secretstore.ConnectionPart, []byte("{"))
		if err := w.step("shop/yappli/token", version, steps[0]); err == nil || !strings.Contains(err.Error(), "not rotated") {
			t.Errorf("a connection that cannot be read: %v", err)
		}
	})
}

// A code without a refresh token has nothing to rotate with.
func TestRotation_RefusesACodeWithoutRefreshToken(t *testing.T) {
	inBubble(t, func(w *world) {
		secret, version := w.rotating(providers.AssistTencho)
		if err := w.step(secret, version, rotation.CreateSecret); err == nil || !strings.Contains(err.Error(), "no refresh token to rotate with") {
			t.Errorf("error %v", err)
		}
		w.must(w.works(providers.AssistTencho))
		w.want(providers.AssistTencho, protocol.Fresh)
	})
}

func TestRotation_FailsWhileAnotherRunHoldsTheLease(t *testing.T) {
	inBubble(t, func(w *world) {
		secret, version := w.rotating(providers.Yappli)
		w.held(providers.Yappli, time.Minute)
		for _, step := range []string{rotation.CreateSecret, rotation.CreateSecret} {
			if err := w.step(secret, version, step); err == nil || !strings.Contains(err.Error(), "held by another") {
				t.Errorf("%s: %v", step, err)
			}
		}
		time.Sleep(time.Minute)
		w.must(w.step(secret, version, rotation.CreateSecret))
		w.held(providers.Yappli, time.Minute)
		if err := w.step(secret, version, rotation.FinishSecret); err == nil || !strings.Contains(err.Error(), "held by another") {
			t.Errorf("finish: %v", err)
		}
	})
}

func TestRotation_CreateFailsWithTheProvider(t *testing.T) {
	inBubble(t, func(w *world) {
		secret, version := w.rotating(providers.Yappli)
		w.yappli.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "POST "})
		if err := w.step(secret, version, rotation.CreateSecret); err == nil || !strings.Contains(err.Error(), "asking for a token") {
			t.Errorf("error %v", err)
		}
		w.must(w.step(secret, version, rotation.CreateSecret)) // the service paces its own retries
	})
}

// The schedule only starts the rotation of a secret that rotates.
func TestRotation_TheScheduleOnlyStartsIt(t *testing.T) {
	for _, name := range []string{providers.Yappli, providers.SHOPLINE} {
		inBubbleNamed(t, name, func(w *world) {
			secret, version := w.rotating(name)
			for _, step := range steps {
				w.must(w.step(secret, version, step))
			}
			w.want(name, protocol.Fresh)
			asked := w.asked(name)
			for _, q := range []tokenrefresh.Request{
				{Provider: name, Force: true}, {Provider: name, RejectedVersion: w.served(name).Version},
			} {
				w.wantOf(q, protocol.Rotating)
			}
			if w.asked(name) != asked || strings.Join(w.rotated, " ") != secret+" "+secret {
				t.Errorf("%d token calls, rotations of %v", w.asked(name), w.rotated)
			}
		})
	}
}

// A rotation that died half-way blocks every other: after ten minutes it is
// finished if it has stored a pair, or else taken back.
func TestRotation_AStuckOneIsHealed(t *testing.T) {
	for name, c := range map[string]struct {
		provider string
		created  bool
		outcome  protocol.Outcome
	}{
		"empty yappli":   {providers.Yappli, false, protocol.Rotating},
		"yappli":         {providers.Yappli, true, protocol.Rotating},
		"empty shopline": {providers.SHOPLINE, false, protocol.Rotating},
		"shopline":       {providers.SHOPLINE, true, protocol.Refreshed},
	} {
		inBubbleNamed(t, name, func(w *world) {
			secret, version := w.rotating(c.provider)
			_, part, _ := strings.Cut(strings.TrimPrefix(secret, "shop/"), "/")
			if c.created {
				w.must(w.step(secret, version, rotation.CreateSecret))
			}
			force := tokenrefresh.Request{Provider: c.provider, Force: true}
			if result := w.wantOf(force, protocol.Rotating); result.Reason != "a rotation is under way" || len(w.rotated) != 0 {
				t.Errorf("%+v, rotations %v", result, w.rotated)
			}
			time.Sleep(10*time.Minute - 1)
			if result := w.wantOf(force, protocol.Rotating); result.Reason != "a rotation is under way" || w.stages(c.provider, part)[secretstore.Pending] != version {
				t.Errorf("%+v", result)
			}
			time.Sleep(time.Nanosecond)
			w.wantOf(force, c.outcome)
			stages, finished := w.stages(c.provider, part), c.outcome == protocol.Refreshed
			if stages[secretstore.Pending] != "" || (stages[secretstore.Current] == version) != finished || (len(w.rotated) == 1) == finished {
				t.Errorf("stages %v, version %s, rotations %v", stages, version, w.rotated)
			}
			w.must(w.works(c.provider))
			if w.shop.Tokens.Redeemed() > 2 {
				t.Errorf("%d redemptions", w.shop.Tokens.Redeemed())
			}
		})
	}
}

// Each driver finds what the other has left behind when a team changes
// between them.
func TestRotation_TheDriversFindEachOthersGrant(t *testing.T) {
	inBubbleNamed(t, "schedule after rotation", func(w *world) {
		secret, version := w.rotating(providers.SHOPLINE)
		w.must(w.step(secret, version, rotation.CreateSecret))
		w.must(w.secrets.Cancel(context.Background(), secret))
		w.want(providers.SHOPLINE, protocol.Promoted)
		if stages := w.stages(providers.SHOPLINE, secretstore.RefreshPart); stages[secretstore.Current] != version || w.shop.Tokens.Redeemed() != 2 {
			t.Errorf("stages %v, %d redemptions", stages, w.shop.Tokens.Redeemed())
		}
		w.must(w.works(providers.SHOPLINE))
	})
	inBubbleNamed(t, "rotation after schedule", func(w *world) {
		w.connect(providers.SHOPLINE)
		w.want(providers.SHOPLINE, protocol.Refreshed)
		w.secrets.Throttle = func(op, name string) bool {
			return op == secretstore.OpPromote && strings.HasSuffix(name, "/refresh")
		}
		w.wantOf(tokenrefresh.Request{Provider: providers.SHOPLINE, Force: true}, protocol.Failed)
		w.secrets.Throttle = nil
		secret := secretstore.Name(prefix, providers.SHOPLINE, secretstore.RefreshPart)
		version := w.rotate(secret)
		for _, step := range steps {
			w.must(w.step(secret, version, step))
		}
		stages := w.stages(providers.SHOPLINE, secretstore.RefreshPart)
		if stages[secretstore.Current] != version || stages[protocol.Next] != "" || w.shop.Tokens.Redeemed() != 2 {
			t.Errorf("stages %v, %d redemptions", stages, w.shop.Tokens.Redeemed())
		}
		w.must(w.works(providers.SHOPLINE))
	})
}

// What a rotation writes counts to the schedule's budget, not to that of people who force.
func TestRotation_WritesFromTheSchedulesBudget(t *testing.T) {
	inBubble(t, func(w *world) {
		secret, version := w.rotating(providers.SHOPLINE)
		for range 4 { // of two versions each, and people have six
			for _, step := range steps {
				w.must(w.step(secret, version, step))
			}
			time.Sleep(time.Minute)
			version = w.rotate(secret)
		}
		w.must(w.secrets.Cancel(context.Background(), secret))
		w.wantOf(tokenrefresh.Request{Provider: providers.SHOPLINE, Force: true}, protocol.Refreshed)
	})
}
