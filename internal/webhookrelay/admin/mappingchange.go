package admin

import (
	"context"
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
	Partial bool                    `json:"partial,omitempty"` // the shop has more users than were counted
}

// A FieldChange is a MappingChange of one field of Yappli.
type FieldChange struct {
	Changed       int  `json:"changed"`
	Unreadable    int  `json:"unreadable"`        // of whom the new mapping can make nothing
	WasUnreadable int  `json:"was_unreadable"`    // of whom the old one could not
	Dropped       bool `json:"dropped,omitempty"` // the new one does not write the field: what Yappli holds stays
}

// newMappingChange counts nobody yet. It has every field of both mappings.
func newMappingChange(now, old *mapping.Mapping) MappingChange {
	c := MappingChange{Fields: map[string]*FieldChange{}}
	for _, name := range now.Targets() {
		c.Fields[name] = &FieldChange{}
	}
	if old == nil {
		return c
	}
	for _, name := range old.Targets() {
		if c.Fields[name] == nil {
			c.Fields[name] = &FieldChange{Dropped: true}
		}
	}
	return c
}

// CompareMappings reads all users and compares what the tenant's mapping makes of
// each with what another does; nil: with nothing. It holds no more than one page of
// them; a Snapshot is for what is asked again.
func CompareMappings(ctx context.Context, t *tenant.Tenant, old *mapping.Mapping, told func(users int)) (MappingChange, error) {
	c := newMappingChange(t.Mapping, old)
	for u, err := range livingUsers(ctx, t, NeedsForm(t.Mapping, old)) {
		if err != nil {
			return c, err
		}
		c.count(t.Mapping, old, u)
		if told != nil {
			told(c.Users)
		}
	}
	return c, nil
}

// NeedsForm reports whether either of two mappings, of which the second may be nil, reads
// users' forms.
func NeedsForm(now, old *mapping.Mapping) bool {
	return now.UsesForm() || old != nil && old.UsesForm()
}

// count adds one user.
func (c *MappingChange) count(m, old *mapping.Mapping, u supersaas.User) {
	c.Users++
	var was mapping.Desired
	if old != nil {
		was = old.Apply(u)
	}
	now, changed := m.Apply(u), false
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

// add sums up the counts of other users, of the same two mappings.
func (c *MappingChange) add(other MappingChange) {
	c.Users += other.Users
	c.Changed += other.Changed
	for name, f := range c.Fields {
		o := other.Fields[name]
		f.Changed += o.Changed
		f.Unreadable += o.Unreadable
		f.WasUnreadable += o.WasUnreadable
	}
}
