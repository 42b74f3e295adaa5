package admin

import (
	"context"
	"fmt"
	"slices"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/supersaas"
)

// A MappingChange says of how many real users another mapping makes something
// else. It holds no values.
type MappingChange struct {
	Users   int                     `json:"users"`   // who live, in SuperSaaS
	Changed int                     `json:"changed"` // of whom any field is another
	Fields  map[string]*FieldChange `json:"fields"`
}

// A FieldChange is a MappingChange of one field of Yappli.
type FieldChange struct {
	Changed       int  `json:"changed"`
	Unreadable    int  `json:"unreadable"`        // of whom the new mapping can make nothing
	WasUnreadable int  `json:"was_unreadable"`    // of whom the old one could not
	Dropped       bool `json:"dropped,omitempty"` // the new one does not write the field: what Yappli holds stays
}

// CompareMappings reads all users and compares what the tenant's mapping makes of
// each with what another does; nil: with nothing.
func CompareMappings(ctx context.Context, t *tenant.Tenant, old *mapping.Mapping) (MappingChange, error) {
	c := MappingChange{Fields: map[string]*FieldChange{}}
	for _, name := range t.Mapping.Targets() {
		c.Fields[name] = &FieldChange{}
	}
	form := t.Mapping.UsesForm()
	if old != nil {
		form = form || old.UsesForm()
		for _, name := range old.Targets() {
			if c.Fields[name] == nil {
				c.Fields[name] = &FieldChange{Dropped: true}
			}
		}
	}
	seen := map[int64]bool{} // a list that moves may show somebody twice
	for u, err := range t.Users.Users(ctx, supersaas.UsersQuery{Form: form}) {
		if err != nil {
			return c, fmt.Errorf("reading the users: %w", err)
		}
		if u.Deleted || seen[u.ID] {
			continue
		}
		seen[u.ID] = true
		c.add(t.Mapping.Apply(u), old, u)
	}
	c.Users = len(seen)
	return c, nil
}

func (c *MappingChange) add(now mapping.Desired, old *mapping.Mapping, u supersaas.User) {
	var was mapping.Desired
	if old != nil {
		was = old.Apply(u)
	}
	changed := false
	for name, f := range c.Fields {
		value, sent := now.Fields[name]
		before, sentBefore := was.Fields[name]
		if !f.Dropped && (sent != sentBefore || value != before) {
			f.Changed++
			changed = true
		}
		if slices.Contains(now.Unreadable, name) {
			f.Unreadable++
		}
		if slices.Contains(was.Unreadable, name) {
			f.WasUnreadable++
		}
	}
	if changed {
		c.Changed++
	}
}
