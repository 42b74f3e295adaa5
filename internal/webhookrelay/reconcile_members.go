package webhookrelay

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"hikyaku/internal/pagination"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// secondThought is how long an empty list is left before it is asked for again.
const secondThought = 2 * time.Second

// listMembers compares each member with the record of its user as it streams
// by, and keeps its identity.
func (r *Reconciler) listMembers(ctx context.Context) error {
	for l := &r.state.Members; !l.At.Done; {
		list := r.memberList(l)
		list.decode, list.owner = r.decodeMember, r.spoil
		take := func(members iter.Seq[yappli.Member]) error { return r.takeMembers(ctx, members) }
		if err := list.read(ctx, r, l, take); err != nil {
			return err
		}
		if !r.mustLookAgain() {
			continue
		}
		if l.At.Rows == 0 {
			time.Sleep(secondThought)
		}
		l.At, l.Spoiled = l.At.Again(), 0
		r.state.Report.Members, r.state.Report.Unclaimed = 0, 0
	}
	return r.markIndex(ctx)
}

// mustLookAgain reports whether a list that shows no fault of its own is to be
// read once more before absence is read from it: an empty one that would be
// believed, and one in which members may have jumped over the reader, if
// somebody would be created for it.
func (r *Reconciler) mustLookAgain() bool {
	l := r.state.Members
	if l.At.Look > 0 || !r.membersComplete() {
		return false
	}
	return l.At.Rows == 0 || !l.At.Settled(false) && r.createsSomebody()
}

// createsSomebody reports whether there is a user whose member has not been
// seen and may be created.
func (r *Reconciler) createsSomebody() bool {
	for i := range r.table.len() {
		rec := r.table.at(i)
		awaited := rec.is(unresolved) || rec.is(listed) && !rec.is(noIdentity|linked|pending)
		if rec.id != 0 && awaited && !rec.is(matched) {
			return true
		}
	}
	return false
}

// decodeMember refuses a member without a readable unique_id unless a row says
// whose it is: any user may be meant.
func (r *Reconciler) decodeMember(raw []byte) (yappli.Member, error) {
	m, err := yappli.DecodeMember(raw)
	if m.Unidentified && r.table.linkedTo(r.memberHash(m.ID)) == nil {
		err = providers.ErrInvalid
	}
	return m, err
}

// spoil takes note of whose a member is that cannot be used: the user's whose row
// names it, else theirs who ask for its identity, which is in doubt then.
func (r *Reconciler) spoil(_ pagination.Row, m yappli.Member) (user int64, known bool) {
	unique := r.spell(m.UniqueID)
	owners := r.bearers(unique)
	if rec := r.table.linkedTo(r.memberHash(m.ID)); m.ID != "" && rec != nil {
		owners = []*record{rec}
	} else if m.UniqueID == "" || !utf8.ValidString(m.UniqueID) {
		return 0, false
	} else if !r.dry {
		r.doubts = append(r.doubts, unique)
	}
	for _, rec := range owners {
		rec.set(spoiled)
		user = rec.id
	}
	return user, true
}

func (r *Reconciler) takeMembers(ctx context.Context, members iter.Seq[yappli.Member]) error {
	var kept []func(context.Context) error
	count := 0
	for m := range members {
		count++
		kept = append(kept, r.takeMember(m)...)
	}
	for _, unique := range r.doubts {
		kept = append(kept, func(ctx context.Context) error { return r.doubt(ctx, unique) })
	}
	r.doubts = nil
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, keep := range kept {
		group.Go(func() error { return keep(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return err // the page is taken again
	}
	r.state.Report.Members += count
	return nil
}

// takeMember finds the member's user, compares, and returns what is to be stored.
// What it returns touches no record but its own.
func (r *Reconciler) takeMember(m yappli.Member) []func(context.Context) error {
	var unique spelling
	var bearers []*record
	if m.UniqueID != "" {
		unique = r.spell(m.UniqueID)
		bearers = r.bearers(unique)
	}
	rec := r.table.linkedTo(r.memberHash(m.ID))
	byIdentity := rec == nil
	if byIdentity {
		rec = r.claimant(bearers, unique, m)
	}
	similar := r.similar(bearers, unique, m, rec == nil)
	if rec == nil {
		r.state.Report.Unclaimed++
	} else {
		r.compare(rec, m)
	}
	if r.dry {
		if rec != nil && byIdentity && r.Settings.Link != Always && !rec.is(unresolved) {
			r.setAside(rec, m)
		}
		return nil
	}
	var keep []func(context.Context) error
	for _, other := range similar {
		if other.is(pending) && !other.is(decided) {
			pair := r.pairOf(other.id, m, false)
			keep = append(keep, func(ctx context.Context) error { return r.propose(ctx, pair) })
		}
	}
	waits := len(similar) > 0
	switch {
	case rec == nil:
		return append(keep, r.keepIdentity(m, unique, bearers, 0, waits)...)
	case rec.is(unnoted) && unique.folded == rec.unique && r.Settings.Mode == Write:
		return append(keep, func(ctx context.Context) error { return r.remember(ctx, rec, m) })
	case !byIdentity, r.Settings.Mode == Observe && r.Settings.Link == Always:
		return append(keep, r.keepIdentity(m, unique, bearers, rec.id, waits)...)
	}
	exact := slices.DeleteFunc(bearers, func(b *record) bool { return !b.bears(unique) })
	return append(keep, func(ctx context.Context) error { return r.link(ctx, rec, m, exact) })
}

// bearers are the records of all spellings of an identity. A row of an earlier
// version names the one it was written with.
func (r *Reconciler) bearers(unique spelling) []*record {
	found := r.table.bearers(unique.folded)
	if unique.exact != unique.folded {
		found = append(found, r.table.bearers(unique.exact)...)
	}
	return found
}

// compare marks what a member shows of its user.
func (r *Reconciler) compare(rec *record, m yappli.Member) {
	rec.flags &^= pending
	rec.set(matched)
	if m.Enabled {
		rec.set(enabled)
	}
	restorable := rec.is(disabled) && !m.Enabled || rec.is(tombstone)
	difference := r.difference(m, rec.mask, rec.wish)
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
func (r *Reconciler) claimant(bearers []*record, unique spelling, m yappli.Member) *record {
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

// keepIdentity stores a member's identity if it is not known, or only claimed,
// so that nobody creates a second member of it; with the user whose row links the
// member, even if by another identity, so that nobody else is linked to it. That one
// spelling of it is known does not say that all are: while a user waits for a person
// to decide, all are stored.
func (r *Reconciler) keepIdentity(m yappli.Member, unique spelling, bearers []*record, owner int64, waits bool) []func(context.Context) error {
	isKnown := slices.ContainsFunc(bearers, func(rec *record) bool { return rec.is(known) && rec.unique == unique.folded })
	mayBeClaim := slices.ContainsFunc(bearers, func(rec *record) bool { return rec.is(hasRow) && !rec.is(linked) })
	if m.UniqueID == "" || isKnown && !mayBeClaim && !waits {
		return nil
	}
	return []func(context.Context) error{func(ctx context.Context) error {
		b := bearer{Member: m.ID, Owner: owner}
		if owner != 0 { // the object was lost, which says how the row's link came to be
			held, err := r.readRow(ctx, owner)
			if err != nil {
				return err
			}
			if held.Member == m.ID {
				b.Link = cmp.Or(held.Link, linkApproved)
			}
		}
		return r.note(ctx, unique, b, isKnown)
	}}
}

// link makes a member that its identity alone gives to a user the user's own:
// first the identity, which is the lock, then the row. If another of its bearers
// holds the lock, the member is that one's. An owner who bears it no more has
// abandoned it: the relay, which is sent the user, takes it over.
func (r *Reconciler) link(ctx context.Context, rec *record, m yappli.Member, bearers []*record) error {
	b, err := r.own(ctx, m, rec.id, rec.is(unresolved), rec.is(rejected))
	switch {
	case errors.Is(err, errOtherOwner):
		found := rec.flags & (claimed | matched | enabled)
		rec.flags &^= claimed | matched | differ
		if owner := r.table.user(b.Owner); owner != nil && owner.is(linked) && owner.member == r.memberHash(b.Member) {
			rec.set(duplicate)
		}
		for _, other := range bearers {
			switch {
			case other.id != b.Owner:
			case other.is(unresolved), other.is(listed) && (b.Member == "" || b.Member == m.ID):
				rec.set(duplicate)
				other.member = rec.member
				other.set(found | differ)
				return r.link(ctx, other, m, nil)
			case other.is(listed):
				rec.set(duplicate)
			}
		}
		return nil
	case errors.Is(err, errAwaiting):
		return r.await(ctx, rec, m)
	case err != nil:
		return err
	case b.Member != m.ID:
		rec.flags &^= matched | differ // another one was seen first: the relay, which is sent the user, looks whether it still is
		return nil
	case r.Settings.Mode == Observe:
		return nil
	}
	unique := r.spell(m.UniqueID)
	row := row{State: rowIdle, Member: m.ID, Identity: unique.folded.String(), Spelling: unique.mark(), Link: b.Link}
	if !rec.is(hasRow) {
		return r.createRow(ctx, rec.id, row)
	}
	return r.resolve(ctx, rec, row)
}

// resolve ends the doubt about a creation: row says what the complete list
// showed. A row that another invocation has moved on, also to another identity
// than the list of users gave, or whose creation may not be in this list yet,
// stays.
func (r *Reconciler) resolve(ctx context.Context, rec *record, found row) error {
	held, err := r.readRow(ctx, rec.id)
	if err != nil {
		return err
	}
	movedOn := held.State == rowIdle && held.Identity != "" && held.Identity != rec.unique.String()
	if held.Member != "" || held.State == rowClean || movedOn {
		rec.flags &^= unresolved | pending // somebody was faster
		rec.set(differ)                    // and may have left it: one who reads the user anew decides
		return nil
	}
	if held.unresolved() && r.state.Members.Began.Before(held.Until.Add(r.Settings.lag())) {
		return nil
	}
	found.Tombstone, found.Disabled, found.History = held.Tombstone, held.Disabled, held.History
	if found.Member == "" {
		found.Identity = held.Identity
	}
	if err := r.swap(ctx, &held, found); err != nil {
		return err
	}
	rec.flags &^= unresolved
	rec.set(resolved | differ) // whatever the creation wrote, the user's newest state is to follow
	return nil
}
