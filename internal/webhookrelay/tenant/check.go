package tenant

import (
	"context"
	"slices"
	"strings"

	"hikyaku/pkg/providers/supersaas"
)

// always are fields that every account has, whatever its field list says.
var always = []string{"id", "fk", "name", "email", "credit", "role", "group", "timezone", "created_on", "updated_on", "last_login", "form"}

// Check looks at what only the live account can tell: how many webhooks for
// changed users point at this function, of which there must be exactly one,
// and which fields the mapping uses that the account does not show. It changes
// nothing.
type Check struct {
	Webhooks int      `json:"webhooks"` // -1: Settings.WebhookURL is not set
	Unknown  []string `json:"unknown_fields,omitempty"`
}

// Check asks the account.
func (t *Tenant) Check(ctx context.Context) (Check, error) {
	c := Check{Webhooks: -1}
	fields, err := t.Users.FieldList(ctx, 0)
	if err != nil {
		return c, err
	}
	names := slices.Clone(always)
	for _, f := range fields {
		names = append(names, f.Name)
	}
	for _, used := range t.Mapping.Uses() {
		if !slices.Contains(names, used) {
			c.Unknown = append(c.Unknown, used)
		}
	}
	if t.Settings.WebhookURL == "" {
		return c, nil
	}
	hooks, err := t.Users.Hooks(ctx)
	if err != nil {
		return c, err
	}
	c.Webhooks = 0
	for _, h := range hooks {
		if h.Trigger == supersaas.ChangedUser && strings.HasPrefix(h.Target.Reveal(), t.Settings.WebhookURL) {
			c.Webhooks++
		}
	}
	return c, nil
}
