package webhookrelay_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"hikyaku/internal/webhookrelay/admin"
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
		hooks := admin.Hooks{Client: client, URL: relayURL}
		for _, step := range []struct {
			secret string
			want   admin.Registered
		}{
			{"s3cret-2", admin.Registered{Removed: 2}},
			{"s3cret-2", admin.Registered{}},
			{"s3cret-3", admin.Registered{Created: true, Removed: 1}},
		} {
			got, err := hooks.Register(context.Background(), providers.NewSecret(step.secret), false)
			others := len(got.Others)
			if got.Others = nil; err != nil || !reflect.DeepEqual(got, step.want) || others != 4 {
				t.Fatalf("Register = %+v, %v, %d others, want %+v and 4", got, err, others, step.want)
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
		none := admin.Hooks{Client: client}
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
		hooks := admin.Hooks{Client: client, URL: local}
		if got, err := hooks.Register(context.Background(), providers.NewSecret("new"), false); !errors.Is(err, providers.ErrInvalid) || got.Created || got.Removed != 0 {
			t.Fatalf("Register = %+v, %v, want ErrInvalid", got, err)
		}
		if got := targets(t, client); !slices.Equal(got, []string{"M " + local + "old"}) {
			t.Fatalf("webhooks = %q, want the old one", got)
		}
	})
}

// Those that point at the same host in another way are told, and only the right
// one is left of those for changed users when that is asked for.
func TestHooks_TellsOfOthersOfTheSameHost(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		same := []string{"http://relay.example/webhooks/secret", "https://RELAY.example:8443/old/secret", "https://user:word@relay.example./webhooks/secret"}
		for _, target := range append(same, "https://relay.example.elsewhere.example/webhooks/secret", "https://elsewhere.example/relay.example/") {
			r.shop.AddHook(supersaastest.Hook{Trigger: "M", Target: target})
		}
		r.shop.AddHook(supersaastest.Hook{Trigger: "H", Target: relayURL + "booking"})
		c := r.config()
		client := supersaas.New(c.SuperSaaS, &c.Options)
		hooks := admin.Hooks{Client: client, URL: relayURL}
		left := sorted([]string{"H " + relayURL + "booking", "M " + relayURL + "s3cret", "M https://elsewhere.example/relay.example/", "M https://relay.example.elsewhere.example/webhooks/secret"})
		for _, step := range []struct {
			only                     bool
			removed, changed, others int
		}{{false, 0, 3, 4}, {true, 3, 0, 1}, {true, 0, 0, 1}} {
			got, err := hooks.Register(context.Background(), providers.NewSecret("s3cret"), step.only)
			changed := 0
			for _, o := range got.Others {
				if o.Trigger == "M" && o.ID != 0 {
					changed++
				}
			}
			if err != nil || got.Removed != step.removed || len(got.Others) != step.others || changed != step.changed {
				t.Fatalf("Register = %+v, %v, want %+v", got, err, step)
			}
			if now := targets(t, client); slices.Equal(now, left) != step.only {
				t.Fatalf("webhooks = %q, want %q: %t", now, left, step.only)
			}
		}
	})
}
