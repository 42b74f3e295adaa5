// Package plan says what the relay would write to a user's member, and why: what
// differs, to which member a user may be linked, and whether somebody may be created. The
// relay, the reconcile and the commands ask the same. It writes nothing but pairs
// for a person to decide.
package plan

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/yappli"
)

// A Plan is of one tenant.
type Plan struct{ *tenant.Tenant }

// Of returns the plan of a tenant.
func Of(t *tenant.Tenant) Plan { return Plan{t} }

// MayCreate reports whether absence can be read from the claims, after an
// event at a time. The user may have come to the identity later.
func (p Plan) MayCreate(ctx context.Context, person tenant.Person, at time.Time) (bool, error) {
	newest, err := p.State.Index.Read(ctx)
	if err != nil || newest.Began.IsZero() || newest.Folding != p.Mapping.Folding() {
		return false, err
	}
	if changed := person.Since.Add(time.Second); person.Since.Before(p.Now()) && changed.After(at) {
		at = changed
	}
	return !p.CreatesAfterList() || !newest.Began.Before(at.Add(p.Settings.LagTime())), nil
}

// CreatesAfterList reports whether a creation needs a list that began a lag
// after its event.
func (p Plan) CreatesAfterList() bool {
	return p.Settings.CreateAfterList && p.Identity.By != "id"
}

// NeverShown are request fields that no answer holds, so no comparison can see
// them. Of these an update sends the second only.
var NeverShown = []string{"password", SecretAnswer}

// SecretAnswer is such a field, which an update that omits it may reset.
const SecretAnswer = "secret_answer"

// Differs reports whether a member shows another value than v for a field. Null,
// "" and absent are one: not every encoding can tell them apart.
func Differs(m yappli.Member, name string, v yappli.Value) bool {
	if slices.Contains(NeverShown, name) {
		return false
	}
	have, _ := m.Field(name)
	return have != v.Plain(name)
}

// Changes returns the names of the fields that writing the desired values would change.
func Changes(m yappli.Member, desired yappli.Fields) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(desired)) {
		if Differs(m, name, desired[name]) {
			names = append(names, name)
		}
	}
	return names
}

// Compared returns which desired fields a list shows, and the hash of their
// values.
func (p Plan) Compared(person tenant.Person) (mask, desired uint64) {
	for i, name := range p.Mapping.Targets() {
		if _, there := person.Desired[name]; there && !slices.Contains(NeverShown, name) {
			mask |= 1 << i
		}
	}
	return mask, p.valuesHash(mask, func(name string) string { return person.Desired[name].Plain(name) })
}

// Difference tells what differs from any other difference of the user: by the
// fields compared, what they are to be and what they are; 0: nothing differs.
func (p Plan) Difference(m yappli.Member, mask, desired uint64) uint32 {
	shown := p.valuesHash(mask, shownBy(m))
	if shown == desired {
		return 0
	}
	return max(1, uint32(p.Key.Digest("difference", fmt.Sprint(mask, desired, shown)).Word()))
}

// valuesHash hashes the values of the mask's fields, null and absent as "".
func (p Plan) valuesHash(mask uint64, value func(name string) string) uint64 {
	var parts []string
	for i, name := range p.Mapping.Targets() {
		if mask&(1<<i) != 0 {
			parts = append(parts, value(name))
		}
	}
	return p.Key.Digest("values", parts...).Word()
}

// DifferenceOf is the difference that a list with this member would show.
func (p Plan) DifferenceOf(person tenant.Person, m yappli.Member) uint32 {
	mask, desired := p.Compared(person)
	return p.Difference(m, mask, desired)
}

// shownBy is what a member shows for a field, "" if nothing.
func shownBy(m yappli.Member) func(name string) string {
	return func(name string) string {
		value, _ := m.Field(name)
		return value
	}
}

// SentBy is what an attempt's creation is about to send; nil if any member would
// show that.
func (p Plan) SentBy(attempt string, person tenant.Person) *state.Sent {
	c := &state.Sent{Attempt: attempt}
	for _, name := range append(slices.Collect(maps.Keys(person.Desired)), person.Unread...) {
		if !slices.Contains(NeverShown, name) {
			c.Fields = append(c.Fields, name)
		}
	}
	value := func(name string) string { return person.Desired[name].Plain(name) } // of what cannot be read: none is sent
	if !slices.ContainsFunc(c.Fields, func(name string) bool { return value(name) != "" }) {
		return nil
	}
	slices.Sort(c.Fields)
	c.Values = p.sentDigest(c.Fields, value)
	return c
}

// SentShows reports whether a member shows every value that was sent.
func (p Plan) SentShows(c *state.Sent, m yappli.Member) bool {
	return m.Enabled && c.Values == p.sentDigest(c.Fields, shownBy(m))
}

func (p Plan) sentDigest(fields []string, value func(name string) string) string {
	parts := slices.Clone(fields)
	for _, name := range fields {
		parts = append(parts, strings.TrimSpace(value(name))) // as some tenants store it
	}
	return p.Key.Digest("sent", parts...).String()
}
