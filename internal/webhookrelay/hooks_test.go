package webhookrelay_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"hikyaku/internal/webhookrelay/operate"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

const relayURL = "https://relay.example/webhooks/"

// targets returns the triggers and addresses that the account holds, sorted.
func targets(t *testing.T, client *supersaas.Client) (list []string) {
	t.Helper()
	hooks, err := client.Hooks(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hooks {
		list = append(list, string(h.Trigger)+" "+h.Target.Reveal())
	}
	slices.Sort(list)
	return list
}

func TestHooks_LeavesOneOfOursAndAllOfOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		others := []supersaastest.Hook{
			{Trigger: "H", Target: relayURL + "booking"}, {Trigger: "R", Target: relayURL + "reminder"}, {Trigger: "F", Target: relayURL + "follow"},
			{Trigger: "U", Target: relayURL + "s3cret-2"}, {Trigger: "M", Target: "https://elsewhere.example/hook"},
		}
		want := []string{"F " + relayURL + "follow", "H " + relayURL + "booking", "M https://elsewhere.example/hook", "R " + relayURL + "reminder", "U " + relayURL + "s3cret-2"}
		for _, h := range others {
			r.shop.AddHook(h)
		}
		for _, secret := range []string{"s3cret-1", "s3cret-2", "s3cret-2"} {
			r.shop.AddHook(supersaastest.Hook{Trigger: "M", Target: relayURL + secret})
		}
		c := r.config()
		client := supersaas.New(c.SuperSaaS, &c.Options)
		hooks := operate.Hooks{Client: client, URL: relayURL}
		for _, step := range []struct {
			secret string
			want   operate.Registered
		}{
			{"s3cret-2", operate.Registered{Removed: 2}},
			{"s3cret-2", operate.Registered{}},
			{"s3cret-3", operate.Registered{Created: true, Removed: 1}},
		} {
			got, err := hooks.Register(context.Background(), providers.NewSecret(step.secret))
			if err != nil || got != step.want {
				t.Fatalf("Register = %+v, %v, want %+v", got, err, step.want)
			}
			ours := "M " + relayURL + step.secret
			if got, want := targets(t, client), append(slices.Clone(want), ours); !slices.Equal(got, sorted(want)) {
				t.Fatalf("webhooks = %q, want %q", got, want)
			}
		}
		for _, removed := range []int{1, 0} {
			if n, err := hooks.Remove(context.Background()); err != nil || n != removed {
				t.Fatalf("Remove = %d, %v, want %d", n, err, removed)
			}
		}
		if got := targets(t, client); !slices.Equal(got, want) {
			t.Fatalf("webhooks = %q, want those of others", got)
		}
		none := operate.Hooks{Client: client}
		if n, err := none.Remove(context.Background()); err != nil || n != 0 {
			t.Fatalf("Remove without an address = %d, %v, want none", n, err)
		}
	})
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// A new webhook that is refused leaves the old one.
func TestHooks_KeepsTheOldOneUntilTheNewIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		const local = "http://127.0.0.1/hooks/"
		r.shop.AddHook(supersaastest.Hook{Trigger: "M", Target: local + "old"})
		c := r.config()
		client := supersaas.New(c.SuperSaaS, &c.Options)
		hooks := operate.Hooks{Client: client, URL: local}
		if got, err := hooks.Register(context.Background(), providers.NewSecret("new")); !errors.Is(err, providers.ErrInvalid) || got != (operate.Registered{}) {
			t.Fatalf("Register = %+v, %v, want ErrInvalid", got, err)
		}
		if got := targets(t, client); !slices.Equal(got, []string{"M " + local + "old"}) {
			t.Fatalf("webhooks = %q, want the old one", got)
		}
	})
}
