package reconcile

import (
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/yappli"
)

// A matcher finds whose a listed member is. It looks at the records only.
type matcher struct{ *run }

// bearers are the records of all aliases of an identity. A row of an earlier
// version names the one it was written with.
func (r matcher) bearers(unique state.Alias) []*record {
	found := r.table.bearers(unique.Folded)
	if unique.Exact != unique.Folded {
		found = append(found, r.table.bearers(unique.Exact)...)
	}
	return found
}

// compare marks what a member shows of its user.
func (r matcher) compare(rec *record, m yappli.Member) {
	rec.flags &^= pending
	rec.set(matched)
	if m.Enabled {
		rec.set(enabled)
	}
	restorable := rec.is(disabled) && !m.Enabled || rec.is(tombstone)
	difference := r.Difference(m, rec.mask, rec.desired)
	if rec.difference != difference {
		rec.flags &^= left
	}
	if rec.difference = difference; rec.is(listed) && (restorable || difference != 0 && !rec.is(left)) {
		rec.set(differ)
	}
}

// claimant is the user to whom a member without a row belongs: the one whose
// creation is in doubt, else the first listed one, by number, whose identity is
// the member's unique_id. There is none if a row links that identity to another
// member.
func (r matcher) claimant(bearers []*record, unique state.Alias, m yappli.Member) *record {
	var first *record
	for _, rec := range bearers {
		switch {
		case !rec.bears(unique):
		case rec.is(linked):
			return nil
		case rec.is(claimed):
			if rec.member == r.memberHash(m.ID) {
				return rec // the page is taken again
			}
			return nil
		case r.refuses(rec, m, true):
			rec.set(rejected)
			rec.member = r.memberHash(m.ID)
			if !rec.is(unresolved) {
				rec.set(pending)
				continue
			}
			first = rec
		case rec.is(unresolved), rec.is(listed) && (first == nil || !first.is(unresolved)) && (first == nil || rec.id < first.id):
			first = rec
		}
	}
	if first != nil {
		if first.member != r.memberHash(m.ID) {
			first.flags &^= rejected // that was another
		}
		first.member = r.memberHash(m.ID)
		first.set(claimed) // a second member of the same identity finds it taken
	}
	return first
}

// refuses reports whether a person has decided that a member who bears the record's
// identity, exactly or not, is not the user's.
func (r matcher) refuses(rec *record, m yappli.Member, exact bool) bool {
	all := r.refused[rec.id]
	if len(all) == 0 {
		return false
	}
	_, is := state.Rejection(all, r.PairOf(rec.id, m, exact))
	return is
}

// similar are the users without a member whose identity a member bears under
// another alias. Each is marked: approval decides, or the link_if fields, where nobody else
// has a right to the member. The first such member of a run counts, and one who bears
// the identity exactly before any.
func (r matcher) similar(bearers []*record, unique state.Alias, m yappli.Member, free bool) []*record {
	var found []*record
	for _, rec := range bearers {
		other := rec.is(pending|matched) && rec.member != r.memberHash(m.ID)
		if !rec.is(listed) || rec.is(linked|claimed|unresolved|spoiled) || rec.bears(unique) || other || r.refuses(rec, m, false) {
			continue
		}
		rec.member = r.memberHash(m.ID)
		if free {
			r.setAside(rec, m)
		} else {
			rec.set(pending)
		}
		found = append(found, rec)
	}
	return found
}

// memberHash is of a member's id.
func (r *run) memberHash(id string) uint64 { return r.Key.Digest("member", id).Word() }

// hiddenHash is of a row's hash. What no list shows is compared by that.
func (r *run) hiddenHash(hash string) uint64 { return r.Key.Digest("hidden", hash).Word() }

// matchHash is of what the link_if fields say; 0 if they say nothing.
func (r *run) matchHash(values []string) uint64 {
	if len(values) == 0 {
		return 0
	}
	return r.Key.Digest("match", values...).Word()
}

// setAside marks a user whose member is not to be linked by the identity alone, and
// reports whether the link_if fields agree.
func (r *run) setAside(rec *record, m yappli.Member) (matches bool) {
	matches = r.Settings.Link == tenant.Match && rec.match != 0 && rec.match == r.matchHash(r.MatchOf(m))
	rec.flags &^= matched | enabled | differ
	if matches {
		rec.set(matched | differ)
	} else {
		rec.set(pending)
	}
	return matches
}
