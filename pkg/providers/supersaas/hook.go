package supersaas

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

const hooksPath = "/api/hooks" // without .json, unlike all others

// A Trigger is the letter of what a hook waits for.
type Trigger string

// The triggers. SendMail, Reminder and FollowUp are left out on purpose:
// while a hook waits for one, SuperSaaS stops sending that message itself.
const (
	NewUser            Trigger = "U" // account
	ChangedUser        Trigger = "M" // account; every change, new and delete included
	Purchase           Trigger = "P" // account
	NewAppointment     Trigger = "N" // schedule
	ChangedAppointment Trigger = "C" // schedule; every change, new and delete included
	NewForm            Trigger = "S" // form, not those attached to appointments
	ChangedForm        Trigger = "O" // form
)

func (t Trigger) known() bool {
	switch t {
	case NewUser, ChangedUser, Purchase, NewAppointment, ChangedAppointment, NewForm, ChangedForm:
		return true
	}
	return false
}

// A Hook is a registered webhook.
type Hook struct {
	ID       int64 // 0 if the list does not say
	Trigger  Trigger
	ParentID string           // of the schedule or form; of an account hook, the account's number or name
	Target   providers.Secret // its URL, a secret because it holds one
}

// UnmarshalJSON reads the names of requests (event, target_url) and those of
// answers (trigger, url).
func (h *Hook) UnmarshalJSON(b []byte) error {
	var d struct {
		ID        providers.Text `json:"id"`
		Trigger   string         `json:"trigger"`
		Event     string         `json:"event"`
		ParentID  providers.Text `json:"parent_id"`
		URL       string         `json:"url"`
		TargetURL string         `json:"target_url"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	id, _ := parseID(string(d.ID))
	*h = Hook{ID: id, Trigger: Trigger(cmp.Or(d.Trigger, d.Event)), ParentID: string(d.ParentID), Target: providers.NewSecret(cmp.Or(d.URL, d.TargetURL))}
	return nil
}

// Hooks lists the registered webhooks of the account.
func (c *Client) Hooks(ctx context.Context) ([]Hook, error) {
	const op = "hooks.list"
	list, err := c.list(ctx, op, operation{path: hooksPath}, 0, hookShapes...)
	if err != nil {
		return nil, err
	}
	return call.Records(providers.SuperSaaS, op, list, call.Unmarshal[Hook])
}

// CreateHook registers target for a trigger. parent is the schedule's or the
// form's id; empty means the account. The default payload is sent, so a
// secret has to stand in target's path or query. A target that the provider
// cannot reach, such as localhost, is ErrInvalid.
func (c *Client) CreateHook(ctx context.Context, trigger Trigger, parent string, target providers.Secret) (Hook, error) {
	const op = "hooks.create"
	if !trigger.known() {
		return Hook{}, refuse(op, "the trigger must be U, M, P, N, C, S or O")
	}
	if target.Empty() {
		return Hook{}, refuse(op, "an empty target")
	}
	fields := map[string]string{"event": string(trigger), "target_url": target.Reveal(), "parent_id": parent}
	r, err := c.do(ctx, op, operation{method: http.MethodPost, path: hooksPath, adapt: hookBody(fields)})
	if err != nil {
		return Hook{}, err
	}
	h := Hook{}
	if err := call.Decode(providers.SuperSaaS, op, r, &h); err != nil {
		return Hook{}, err
	}
	if h.ID == 0 {
		return Hook{}, call.Malformed(providers.SuperSaaS, op, r, "the new hook has no id")
	}
	return Hook{ID: h.ID, Trigger: trigger, ParentID: h.ParentID, Target: target}, nil
}

// DeleteHook removes a hook. parent is as for CreateHook. Both go into the
// query and the body, since the official users of the API disagree.
func (c *Client) DeleteHook(ctx context.Context, id int64, parent string) error {
	fields := map[string]string{"id": strconv.FormatInt(id, 10), "parent_id": parent}
	_, err := c.do(ctx, "hooks.delete", operation{method: http.MethodDelete, path: hooksPath, adapt: func(r *call.Request, t providers.Token, q Quirks) error {
		if err := hookBody(fields)(r, t, q); err != nil {
			return err
		}
		r.Query.Set("id", fields["id"])
		r.Query.Set("parent_id", parentOf(parent, t, q))
		return nil
	}})
	return err
}

func hookBody(fields map[string]string) func(*call.Request, providers.Token, Quirks) error {
	return func(r *call.Request, t providers.Token, q Quirks) error {
		body := maps.Clone(fields)
		body["parent_id"] = parentOf(fields["parent_id"], t, q)
		var err error
		r.Body, err = call.JSON(body)
		return err
	}
}

func parentOf(parent string, t providers.Token, q Quirks) string {
	return cmp.Or(parent, q.HookParent, t.Account)
}

// Ping asks whether the credential works. The answer's content is not
// documented; any 2xx that is no HTML page counts.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.do(ctx, "ping", operation{path: "/api/ping", query: url.Values{}})
	return err
}
