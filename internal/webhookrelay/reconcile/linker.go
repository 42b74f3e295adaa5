package reconcile

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// A linker writes what the list of members shows of links: the claims, then the rows,
// and the pairs for a person to decide.
type linker struct{ *run }

// own makes the owner's a member that a list shows and that bears the identity
// exactly, and returns who bears it then. It is plan.ErrAwaiting if only the identity
// speaks for that. A member that shows all that a creation in doubt sent was made by
// it.
func (r linker) own(ctx context.Context, m yappli.Member, owner int64, inDoubt, rejected bool) (state.Bearer, error) {
	unique := r.Alias(m.UniqueID)
	claim, err := r.State.Claims.Read(ctx, unique)
	b := claim.At(unique.Mark())
	mine := b.Owner == owner
	switch {
	case err == nil && b.OfAnother(owner):
		return b, plan.ErrOtherOwner
	case err != nil, b.Member != "" && b.Member != m.ID:
		return b, err
	}
	next := state.Bearer{Member: m.ID, Owner: owner, Link: b.Link}
	made := mine && inDoubt && b.Sent != nil && r.SentShows(b.Sent, m)
	if made {
		held, err := r.State.Rows.Read(ctx, owner)
		if err != nil {
			return b, err
		}
		made = held.State == state.Inflight && held.Owner == b.Sent.Attempt
	}
	var awaiting error
	switch {
	case made: // whatever a person decided who took it for somebody else's
		next.Link = state.Made
	case rejected && b.Link != state.Made: // since the identity was written, and before the row was
		next.Link, awaiting = "", plan.ErrAwaiting
	case mine && b.Member != "" && b.Link != "":
	case r.Settings.Link != tenant.Always:
		// Noted, so that nobody creates a second one. The creation may have come after the rows were read.
		next.Owner, next.Sent, awaiting = b.Owner, b.Sent, plan.ErrAwaiting
	}
	if next == b {
		return b, awaiting
	}
	claim.Set(unique.Mark(), next)
	if err = r.State.Claims.Swap(ctx, claim); errors.Is(err, objectstore.ErrConflict) {
		return r.own(ctx, m, owner, inDoubt, rejected) // perhaps another alias was written: it is judged again
	}
	return next, cmp.Or(err, awaiting)
}

// keepIdentity stores a member's identity if it is not known, or only claimed,
// so that nobody creates a second member of it; with the user whose row links the
// member, even if by another identity, so that nobody else is linked to it. That one
// alias of it is known does not say that all are: while a user waits for a person
// to decide, all are stored.
func (r linker) keepIdentity(m yappli.Member, unique state.Alias, bearers []*record, owner int64, waits bool) func(context.Context) error {
	isKnown := slices.ContainsFunc(bearers, func(rec *record) bool { return rec.is(known) && rec.unique == unique.Folded })
	mayBeClaim := slices.ContainsFunc(bearers, func(rec *record) bool { return rec.is(hasRow) && !rec.is(linked) })
	if m.UniqueID == "" || isKnown && !mayBeClaim && !waits {
		return nil
	}
	return func(ctx context.Context) error {
		b := state.Bearer{Member: m.ID, Owner: owner}
		if owner != 0 { // the object was lost, which says how the row's link came to be
			held, err := r.State.Rows.Read(ctx, owner)
			if err != nil {
				return err
			}
			if held.Member == m.ID {
				b.Link = cmp.Or(held.Link, state.Approved)
			}
		}
		return r.State.Claims.Note(ctx, unique, b, isKnown)
	}
}

// noteRows writes the claims of users that rows link, or may have made a member, and
// that the list of members does not show. Under other rules of folding than the run
// before had, they are nowhere else: a member is asked for then what it bears, as the row
// of a user who is gone tells only an earlier name.
func (r linker) noteRows(ctx context.Context) error {
	for ; r.at.Noted < r.table.len(); r.at.Noted++ {
		rec := r.table.at(r.at.Noted)
		unseen := rec.id != 0 && rec.is(linked|unresolved) && !rec.is(matched)
		if !unseen || rec.is(known) && !r.at.Refolds {
			continue
		}
		if err := r.noteRow(ctx, rec); err != nil {
			return err
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r linker) noteRow(ctx context.Context, rec *record) error {
	held, err := r.State.Rows.Read(ctx, rec.id)
	if err != nil {
		return err
	}
	mark, ok := state.ParseDigest(cmp.Or(held.Alias, held.Identity))
	b := state.Bearer{Member: held.Member, Owner: rec.id}
	switch {
	case !ok, held.Member == "" && !held.Unresolved():
		return nil
	case held.Member == "":
		return r.noteDoubt(ctx, state.Alias{Exact: mark, Folded: rec.unique}, rec.id)
	}
	b.Link = cmp.Or(held.Link, state.Approved)
	m, err := r.Members.User(ctx, held.Member)
	switch {
	case errors.Is(err, providers.ErrNotFound), err == nil && m.UniqueID == "":
		return nil
	case errors.Is(err, providers.ErrMalformed), errors.Is(err, providers.ErrInvalid): // one odd member stops nobody
		r.Log.WarnContext(ctx, "linked member not readable, and not in the list", "run", r.at.Run, "user_id", rec.id, "err", err)
		return nil
	case err != nil: // no member can be asked for now
		return err
	}
	return r.State.Claims.Note(ctx, r.Alias(m.UniqueID), b, true)
}

// noteDoubt writes the claim of a creation in doubt, which nobody else has claimed since.
func (r linker) noteDoubt(ctx context.Context, unique state.Alias, user int64) error {
	claim, err := r.State.Claims.Read(ctx, unique)
	b := claim.At(unique.Mark())
	if err != nil || b.OfAnother(user) || b.Owner == user && !claim.Renamed() {
		return err
	}
	b.Owner = user
	claim.Set(unique.Mark(), b)
	if err = r.State.Claims.Swap(ctx, claim); errors.Is(err, objectstore.ErrConflict) {
		return nil // it is claimed
	}
	return err
}

// link makes a member that its identity alone gives to a user the user's own:
// first the identity, which is the lock, then the row. If another of its bearers
// holds the lock, the member is that one's. An owner who bears it no more has
// abandoned it: the relay, which is sent the user, takes it over.
func (r linker) link(ctx context.Context, rec *record, m yappli.Member, bearers []*record) error {
	b, err := r.own(ctx, m, rec.id, rec.is(unresolved), rec.is(rejected))
	switch {
	case errors.Is(err, plan.ErrOtherOwner):
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
	case errors.Is(err, plan.ErrAwaiting):
		return r.await(ctx, rec, m)
	case err != nil:
		return err
	case b.Member != m.ID:
		rec.flags &^= matched | differ // another one was seen first: the relay, which is sent the user, looks whether it still is
		return nil
	case r.Settings.Mode == tenant.Observe:
		return nil
	}
	unique := r.Alias(m.UniqueID)
	row := state.Row{State: state.Idle, Member: m.ID, Identity: unique.Folded.String(), Alias: unique.Mark(), Link: b.Link}
	if !rec.is(hasRow) {
		return r.State.Rows.Create(ctx, rec.id, row)
	}
	return r.resolve(ctx, rec, row)
}

// resolve ends the doubt about a creation: row says what the complete list
// showed. A row that another invocation has moved on, also to another identity
// than the list of users gave, or whose creation may not be in this list yet,
// stays.
func (r linker) resolve(ctx context.Context, rec *record, found state.Row) error {
	held, err := r.State.Rows.Read(ctx, rec.id)
	if err != nil {
		return err
	}
	movedOn := held.State == state.Idle && held.Identity != "" && held.Identity != rec.unique.String()
	if held.Member != "" || held.State == state.Clean || movedOn {
		rec.flags &^= unresolved | pending // somebody was faster
		rec.set(differ)                    // and may have left it: one who reads the user again decides
		return nil
	}
	if held.Unresolved() && r.at.Members.Began.Before(held.Until.Add(r.Settings.LagTime())) {
		return nil
	}
	found.Tombstone, found.Disabled, found.History = held.Tombstone, held.Disabled, held.History
	if found.Member == "" {
		found.Identity, found.Alias = held.Identity, held.Alias
	}
	if err := r.State.Rows.Swap(ctx, &held, found); err != nil {
		return err
	}
	rec.flags &^= unresolved
	rec.set(resolved | differ) // whatever the creation wrote, the user's newest state is to follow
	return nil
}

// await leaves it to a person whether a member is the user's. If the link_if
// fields agree, the relay decides, which reads both again.
func (r linker) await(ctx context.Context, rec *record, m yappli.Member) error {
	if matches := r.setAside(rec, m); !matches && rec.is(listed) && !rec.is(decided|rejected) {
		if err := r.State.Pairs.Propose(ctx, r.PairOf(rec.id, m, true)); err != nil {
			return err
		}
	}
	if rec.is(unresolved) && r.Settings.Mode == tenant.Write {
		return r.resolve(ctx, rec, state.Row{State: state.Idle}) // whatever came of the creation, this member is in its way
	}
	return nil
}

// remembered is who bears the alias of a pair's member.
func (r linker) remembered(ctx context.Context, rec *record, pair state.Pair) (state.Bearer, error) {
	exact, ok := state.ParseDigest(pair.Identity)
	if !ok {
		return state.Bearer{}, nil
	}
	unique := state.Alias{Exact: exact, Folded: rec.unique}
	claim, err := r.State.Claims.Read(ctx, unique)
	return claim.At(unique.Mark()), err
}

// remember notes with the identity that the relay made its member, which the
// creation noted in the row alone: the loss of one of both ends no link. If
// another process writes meanwhile, the next run notes it.
func (r linker) remember(ctx context.Context, rec *record, m yappli.Member) error {
	unique := r.Alias(m.UniqueID)
	claim, err := r.State.Claims.Read(ctx, unique)
	b := claim.At(unique.Mark())
	if err != nil || b.OfAnother(rec.id) || b.Member != "" && b.Member != m.ID {
		return err
	}
	if next := (state.Bearer{Member: m.ID, Owner: rec.id, Link: state.Made}); b != next {
		claim.Set(unique.Mark(), next)
		err = r.State.Claims.Swap(ctx, claim)
	}
	held, readErr := r.State.Rows.Read(ctx, rec.id)
	if err = cmp.Or(err, readErr); err == nil && held.Member == m.ID && held.State != state.Inflight {
		row := held.Row
		row.Noted = true
		err = r.State.Rows.Swap(ctx, &held, row)
	}
	if errors.Is(err, objectstore.ErrConflict) {
		return nil
	}
	return err
}
