package reconcile

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"hikyaku/internal/pagination"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// secondThought is how long an empty list is left before it is asked for again.
const secondThought = 2 * time.Second

// A members reads the list of members.
type members struct {
	*run

	match  matcher
	links  linker
	doubts []state.Alias // of a page's members who cannot be used
	asked  []waiting     // of a page
	mu     sync.Mutex
	later  []waiting // to be asked at the end
}

// A waiting is a user who waits for a person, with the pair to be proposed.
type waiting struct {
	rec  *record
	pair state.Pair
}

// listMembers compares each member with the record of its user as it streams
// by, and keeps its identity.
func (r *members) listMembers(ctx context.Context) error {
	for l := &r.at.Members; !l.At.Done; {
		list := r.memberList(l)
		list.decode, list.owner = r.decodeMember, r.spoil
		take := func(page iter.Seq[yappli.Member]) error { return r.takeMembers(ctx, page) }
		if err := list.read(ctx, r.run, l, take); err != nil {
			return err
		}
		if !r.mustLookAgain() {
			continue
		}
		if l.At.Rows == 0 {
			time.Sleep(secondThought)
		}
		l.At, l.Spoiled = l.At.Again(), 0
		r.at.Report.Members, r.at.Report.Unclaimed = 0, 0
	}
	if !r.dry {
		if err := errors.Join(r.askLater(ctx), r.links.noteRows(ctx)); err != nil {
			return err
		}
	}
	return r.markIndex(ctx)
}

// mustLookAgain reports whether a list that shows no fault of its own is to be
// read once more before absence is read from it: an empty one that would be
// believed, and one in which members may have jumped over the reader, if
// somebody would be created for it.
func (r *members) mustLookAgain() bool {
	l := r.at.Members
	if l.At.Look > 0 || !r.membersComplete() {
		return false
	}
	return l.At.Rows == 0 || !l.At.Settled(false) && r.createsSomebody()
}

// createsSomebody reports whether there is a user whose member has not been
// seen and may be created.
func (r *members) createsSomebody() bool {
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
func (r *members) decodeMember(raw []byte) (yappli.Member, error) {
	m, err := yappli.DecodeMember(raw)
	if m.Unidentified && r.table.linkedTo(r.memberHash(m.ID)) == nil {
		err = providers.ErrInvalid
	}
	return m, err
}

// spoil takes note of whose a member is that cannot be used: the user's whose row
// names it, else theirs who ask for its identity, which is in doubt then.
func (r *members) spoil(_ pagination.Row, m yappli.Member) (user int64, known bool) {
	unique := r.Alias(m.UniqueID)
	owners := r.match.bearers(unique)
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

func (r *members) takeMembers(ctx context.Context, list iter.Seq[yappli.Member]) error {
	var kept []func(context.Context) error
	r.asked = nil
	count := 0
	for m := range list {
		count++
		if keep := r.takeMember(m); keep != nil {
			kept = append(kept, keep)
		}
	}
	for _, unique := range r.doubts {
		kept = append(kept, func(ctx context.Context) error { return r.State.Claims.Doubt(ctx, unique) })
	}
	r.doubts = nil
	err := together(ctx, kept, func(ctx context.Context, _ int, keep func(context.Context) error) error { return keep(ctx) })
	if err != nil {
		return err // the page is taken again
	}
	if err := r.ask(ctx); err != nil {
		return err
	}
	r.at.Report.Members += count
	return nil
}

// ask proposes the pairs of a page's members who bear the identity under another alias,
// but where the page has shown one who bears it exactly.
func (r *members) ask(ctx context.Context) error {
	asked := slices.DeleteFunc(r.asked, func(w waiting) bool { return !r.stillWaits(w) })
	return together(ctx, asked, func(ctx context.Context, _ int, w waiting) error { return r.askOf(ctx, w.rec, w.pair) })
}

// stillWaits reports whether the list has shown since no member who bears the user's
// identity exactly.
func (r *members) stillWaits(w waiting) bool {
	return !w.rec.is(claimed) && w.rec.member == r.memberHash(w.pair.Member)
}

// askOf proposes a pair, unless the claim remembers that the member is the user's. While
// a pair waits with a member who bears the identity exactly, only the end of the list
// tells whether that one is still there.
func (r *members) askOf(ctx context.Context, rec *record, pair state.Pair) error {
	b, err := r.links.remembered(ctx, rec, pair)
	if err != nil {
		return err
	}
	if b.Owner == rec.id && b.Member == pair.Member && b.Link != "" {
		rec.flags &^= pending
		rec.set(matched | differ)
		return nil
	}
	had, err := r.State.Pairs.Read(ctx, rec.id)
	if err != nil {
		return err
	}
	if had.How == state.Exactly && had.Member != pair.Member {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.later = append(r.later, waiting{rec, pair})
		return nil
	}
	return r.State.Pairs.Propose(ctx, pair)
}

// askLater proposes what had to wait for the end of the list.
func (r *members) askLater(ctx context.Context) error {
	for _, w := range r.later {
		if !r.stillWaits(w) {
			continue
		}
		if err := r.State.Pairs.Propose(ctx, w.pair); err != nil {
			return err
		}
	}
	r.later = nil
	return nil
}

// takeMember finds the member's user, compares, and returns what is to be stored, if
// anything. What it returns touches no record but its own.
func (r *members) takeMember(m yappli.Member) func(context.Context) error {
	var unique state.Alias
	var bearers []*record
	if m.UniqueID != "" {
		unique = r.Alias(m.UniqueID)
		bearers = r.match.bearers(unique)
	}
	rec := r.table.linkedTo(r.memberHash(m.ID))
	byIdentity := rec == nil
	if byIdentity {
		rec = r.match.claimant(bearers, unique, m)
	}
	similar := r.match.similar(bearers, unique, m, rec == nil)
	if rec == nil {
		r.at.Report.Unclaimed++
	} else {
		r.match.compare(rec, m)
	}
	if r.dry {
		if rec != nil && byIdentity && r.Settings.Link != tenant.Always && !rec.is(unresolved) {
			r.setAside(rec, m)
		}
		return nil
	}
	for _, other := range similar {
		if other.is(pending) && !other.is(decided) {
			r.asked = append(r.asked, waiting{other, r.PairOf(other.id, m, false)})
		}
	}
	waits := slices.ContainsFunc(bearers, func(b *record) bool { return b.is(listed) && !b.is(linked) && !b.bears(unique) })
	switch {
	case rec == nil:
		return r.links.keepIdentity(m, unique, bearers, 0, waits)
	case rec.is(unnoted) && unique.Folded == rec.unique && r.Settings.Mode == tenant.Write:
		return func(ctx context.Context) error { return r.links.remember(ctx, rec, m) }
	case !byIdentity, r.Settings.Mode == tenant.Observe && r.Settings.Link == tenant.Always:
		return r.links.keepIdentity(m, unique, bearers, rec.id, waits)
	}
	exact := slices.DeleteFunc(bearers, func(b *record) bool { return !b.bears(unique) })
	return func(ctx context.Context) error { return r.links.link(ctx, rec, m, exact) }
}

// markIndex says that from now on absence can be read from the identities.
func (r *members) markIndex(ctx context.Context) error {
	r.at.Report.Drift = r.at.Users.Drift + r.at.Members.Drift
	r.at.Report.Unreadable = r.at.Users.Unreadable + r.at.Members.Unreadable + r.at.Users.Spoiled + r.at.Members.Spoiled
	if r.dry || !r.membersComplete() {
		return nil
	}
	return r.State.Index.Write(ctx, state.Listing{
		Began: r.at.Members.Began, Members: r.at.Report.Members, Users: r.at.Users.Began, Folding: r.Mapping.Folding(),
	})
}
