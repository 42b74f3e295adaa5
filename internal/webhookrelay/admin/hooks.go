package admin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
)

// Hooks manages the one webhook of an account that tells the relay of changed
// users. It looks at no other trigger: what a shop registered for bookings or
// forms is none of its business.
type Hooks struct {
	Client *supersaas.Client
	URL    string // where the relay takes webhooks, without the secret; ends in /
}

// Ours reports whether a webhook is for changed users and points at the URL.
func (h Hooks) Ours(hook supersaas.Hook) bool {
	return h.URL != "" && hook.Trigger == supersaas.ChangedUser && strings.HasPrefix(hook.Target.Reveal(), h.URL)
}

// sameHost reports whether a webhook points at the URL's host, in whatever way.
func (h Hooks) sameHost(hook supersaas.Hook) bool {
	host := func(address string) string {
		parsed, err := url.Parse(address)
		if err != nil {
			return ""
		}
		return strings.ToLower(strings.TrimSuffix(parsed.Hostname(), "."))
	}
	ours := host(h.URL)
	return ours != "" && host(hook.Target.Reveal()) == ours
}

// Registered says what Register changed, and what it left.
type Registered struct {
	Created bool    `json:"created"`
	Removed int     `json:"removed"`          // older ones of the same address: another secret, or duplicates
	Others  []Other `json:"others,omitempty"` // that point at the same host
}

// An Other is a webhook that is not the relay's.
type Other struct {
	ID      int64  `json:"id"`
	Trigger string `json:"trigger"`
}

// Register makes exactly one webhook point at the URL with this secret. A new
// one is created before old ones go, so that no change falls between them; one
// that is right already stays. With only, the others of the same host that tell
// of changed users go too.
func (h Hooks) Register(ctx context.Context, secret providers.Secret, only bool) (done Registered, err error) {
	hooks, err := h.Client.Hooks(ctx)
	if err != nil {
		return done, fmt.Errorf("listing the account's webhooks: %w", err)
	}
	target := h.URL + secret.Reveal()
	kept := false
	var old []supersaas.Hook
	for _, hook := range hooks {
		switch {
		case h.Ours(hook) && !kept && hook.Target.Reveal() == target:
			kept = true
		case h.Ours(hook) || only && hook.Trigger == supersaas.ChangedUser && h.sameHost(hook):
			old = append(old, hook)
		case h.sameHost(hook):
			done.Others = append(done.Others, Other{hook.ID, string(hook.Trigger)})
		}
	}
	if !kept {
		if _, err := h.Client.CreateHook(ctx, supersaas.ChangedUser, "", providers.NewSecret(target)); err != nil {
			return done, fmt.Errorf("registering the webhook: %w", err)
		}
		done.Created = true
	}
	done.Removed, err = h.remove(ctx, old)
	return done, err
}

// Remove removes every webhook for changed users that points at the URL, and
// returns how many those were.
func (h Hooks) Remove(ctx context.Context) (int, error) {
	hooks, err := h.Client.Hooks(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing the account's webhooks: %w", err)
	}
	var ours []supersaas.Hook
	for _, hook := range hooks {
		if h.Ours(hook) {
			ours = append(ours, hook)
		}
	}
	return h.remove(ctx, ours)
}

func (h Hooks) remove(ctx context.Context, hooks []supersaas.Hook) (removed int, err error) {
	for _, hook := range hooks {
		if hook.ID == 0 {
			return removed, errors.New("the account's list names no id for the webhook: remove it on the account's page")
		}
		if err := h.Client.DeleteHook(ctx, hook.ID, hook.ParentID); err != nil {
			return removed, fmt.Errorf("removing webhook %d: %w", hook.ID, err)
		}
		removed++
	}
	return removed, nil
}
