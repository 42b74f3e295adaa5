package relay

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

var (
	// errInDoubt: the identity is the user's, but what was known of its bearer is
	// not true any more, so that only a list tells whether a member bears it.
	errInDoubt = errors.New("only a list tells which member has this identity")
	// errOldList: what is known of the bearers of other aliases is too old.
	errOldList = errors.New("only a newer list tells which member has an alias of this identity")
)

// A claimer claims the identity of a user whose row an attempt holds.
type claimer struct {
	plan.Plan

	user   int64
	person tenant.Person
	row    state.Row // held
	before state.Row // as it was before the attempt
}

// claim takes the identity for the user, and returns who bears which alias of it: no
// member, so that the caller may create one, or one that may be linked. Each claim
// swaps the document, also one that only confirms an earlier: of two who read the same,
// one gets it. Only a claim recorded in this row is safe to reuse; any other ownership
// leaves a doubt, and the row stays inflight.
func (c claimer) claim(ctx context.Context) (next state.Bearer, mark string, err error) {
	claim, err := c.State.Claims.Read(ctx, c.person.Unique)
	if err != nil {
		return next, "", err
	}
	mark = c.person.Unique.Mark()
	b := claim.At(mark)
	m, certain, err := c.exactBearer(ctx, b)
	switch {
	case err != nil:
	case certain && m.ID != "":
		next, certain, err = c.mayTake(ctx, m, b)
	case certain:
		var other string
		if next, other, certain, err = c.similarBearer(ctx, &claim); next.Member != "" {
			claim.Set(mark, state.Bearer{})
			mark = other
		}
	default:
		err = c.noRival(ctx, claim)
	}
	if err != nil {
		return state.Bearer{}, "", err
	}
	switch next.Owner = c.user; {
	case certain && next.Member == "":
		next.Sent = c.SentBy(c.row.Owner, c.person)
	case !certain && b.Owner == c.user && c.before.State == "":
		if next.Sent = b.Sent; next.Sent != nil { // the row was lost, which told how that creation ended
			next.Sent.Attempt = c.row.Owner
		}
	}
	claim.Set(mark, next)
	err = c.State.Claims.Swap(ctx, claim)
	if !certain {
		return state.Bearer{}, "", errors.Join(errInDoubt, err)
	}
	return next, mark, err
}

// exactBearer returns the member that bears the identity exactly, none if
// there is none; or says that it is not certain. b is what is known of it.
func (c claimer) exactBearer(ctx context.Context, b state.Bearer) (m yappli.Member, certain bool, err error) {
	certain = b == state.Bearer{} || b.Owner == c.user && c.claimedBefore()
	switch {
	case b.OfAnother(c.user):
		var owner state.HeldRow
		switch owner, err = c.State.Rows.Read(ctx, b.Owner); { // after the claim: see abandoned
		case err != nil:
		case c.IsMereClaim(b, owner.Row):
			return c.bears(ctx, b.Member, c.person.Unique.Is)
		default:
			err = c.abandoned(ctx, c.person.Unique.Mark(), b, owner.Row)
		}
		return m, false, err
	case b.Member != "":
		return c.bears(ctx, b.Member, c.person.Unique.Is)
	case certain && c.Quirks.Lookup == yappli.LookupUniqueID:
		m, err = c.lookUp(ctx)
	}
	return m, certain, err
}

// claimedBefore reports whether the row told of the identity before the attempt:
// then it tells, too, how each creation by it ended.
func (c claimer) claimedBefore() bool { return c.before.Identity == c.row.Identity }

// mayTake returns the claim of a user who may be linked to the member that bears
// the identity exactly. If a person has to decide, the pair is proposed.
func (c claimer) mayTake(ctx context.Context, m yappli.Member, b state.Bearer) (next state.Bearer, certain bool, err error) {
	how, pair, err := c.MayLink(ctx, c.user, c.person, m, b)
	switch {
	case errors.Is(err, plan.ErrAwaiting):
		return next, false, cmp.Or(c.State.Pairs.Propose(ctx, pair), err)
	case err != nil:
		return next, false, err
	case how == state.Matched && b.Member == "":
		return next, false, nil // a list shows first that the member is no other user's
	}
	return state.Bearer{Member: m.ID, Link: how}, true, nil
}

// similarBearer looks at the other aliases of the identity. It returns the claim
// on a member who bears one of them and may be linked, with its mark; none, so that
// one may be created, if there is no such member, or a person has decided that each
// is somebody else; or it says that it is not certain. What turns out not to be true
// any more is taken out of the claim.
func (c claimer) similarBearer(ctx context.Context, claim *state.HeldClaim) (next state.Bearer, mark string, certain bool, err error) {
	certain = true
	var awaiting []state.Pair
	for _, mark := range claim.Beside(c.person.Unique.Mark()) {
		b, owner, err := c.WithOwner(ctx, c.user, claim.At(mark), c.person.Unique)
		if err != nil {
			return next, "", false, err
		}
		var m yappli.Member
		there, ended := false, false
		if b.Member == "" {
			ended, err = c.endedWithout(ctx, mark, b, owner)
		} else {
			m, there, err = c.bears(ctx, b.Member, c.person.Unique.Other)
		}
		if err != nil {
			return next, "", false, err
		}
		if !there {
			claim.Set(mark, state.Bearer{})
			certain = certain && ended
			continue
		}
		next, pair, err := c.mayTakeSimilar(ctx, *claim, mark, m)
		switch {
		case errors.Is(err, plan.ErrAwaiting):
			awaiting = append(awaiting, pair)
		case !errors.Is(err, plan.ErrRejected):
			return next, c.Alias(m.UniqueID).Mark(), err == nil, err
		}
	}
	if len(awaiting) > 0 {
		return state.Bearer{}, "", false, c.ask(ctx, awaiting)
	}
	return state.Bearer{}, "", certain, nil
}

// noRival is plan.ErrOtherOwner if another user claims another alias of the identity:
// of two who held a claim each would give way to the other for ever.
func (c claimer) noRival(ctx context.Context, claim state.HeldClaim) error {
	for _, mark := range claim.Beside(c.person.Unique.Mark()) {
		b, owner, err := c.WithOwner(ctx, c.user, claim.At(mark), c.person.Unique)
		if err == nil && b.Member == "" {
			_, err = c.endedWithout(ctx, mark, b, owner)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask proposes one of several pairs: the one that waits already, if it is among them.
func (c claimer) ask(ctx context.Context, pairs []state.Pair) error {
	chosen := 0
	if len(pairs) > 1 {
		had, err := c.State.Pairs.Read(ctx, c.user)
		if err != nil {
			return err
		}
		chosen = max(0, slices.IndexFunc(pairs, had.Same))
	}
	return cmp.Or(c.State.Pairs.Propose(ctx, pairs[chosen]), plan.ErrAwaiting)
}

// endedWithout reports whether a claim on another alias certainly made no member.
// It is plan.ErrOtherOwner if it may still make one.
func (c claimer) endedWithout(ctx context.Context, mark string, b state.Bearer, owner state.Row) (bool, error) {
	switch b.Owner {
	case 0:
		return false, nil
	case c.user:
		return c.claimedBefore(), nil
	}
	return false, c.abandoned(ctx, mark, b, owner)
}

// mayTakeSimilar is mayTake for a member who bears another alias, that of a mark. One
// that is another user's is of no third user, whatever was decided. That a member is
// not the user's counts only if a list has been read since that shows who else there is.
func (c claimer) mayTakeSimilar(ctx context.Context, claim state.HeldClaim, mark string, m yappli.Member) (next state.Bearer, pair state.Pair, err error) {
	b := claim.At(mark)
	how, pair, err := c.MayLink(ctx, c.user, c.person, m, b)
	switch {
	case errors.Is(err, plan.ErrRejected):
		newest, readErr := c.State.Index.Read(ctx)
		if readErr == nil && newest.Users.Before(pair.At.Add(c.Settings.LagTime())) {
			readErr = errOldList
		}
		return next, pair, cmp.Or(readErr, err)
	case err != nil:
		return next, pair, err
	}
	if by, err := c.TakenBy(ctx, c.user, claim, c.person.Unique, m.ID); err != nil || by != 0 {
		return next, pair, cmp.Or(err, plan.ErrOtherOwner)
	}
	if b.OfAnother(c.user) {
		owner, err := c.State.Rows.Read(ctx, b.Owner)
		if err == nil && !c.IsMereClaim(b, owner.Row) {
			err = c.abandoned(ctx, mark, b, owner.Row)
		}
		if err != nil {
			return next, pair, err
		}
	}
	return state.Bearer{Member: m.ID, Link: how}, pair, nil
}

// abandoned returns nil if the owner of a claim on the alias of a mark neither has nor
// may have made a member of the identity, and does not ask for one under that alias. The
// row is read after the claim: a claim of the owner that this does not see makes the swap
// fail.
func (c claimer) abandoned(ctx context.Context, mark string, b state.Bearer, owner state.Row) error {
	byThis := owner.Identity == c.row.Identity && (owner.Member != "" || owner.State == state.Inflight)
	if byThis || owner.Member != "" && owner.Member == b.Member {
		return plan.ErrOtherOwner
	}
	p, err := c.Person(ctx, b.Owner)
	if err == nil && p.Unique.Text != "" && p.Unique.Folded == c.person.Unique.Folded && p.Unique.Mark() == mark {
		return plan.ErrOtherOwner
	}
	return err
}

// bears asks Yappli whether the member that was once seen to bear an alias still
// bears one that is wanted.
func (c claimer) bears(ctx context.Context, member string, wanted func(state.Alias) bool) (yappli.Member, bool, error) {
	m, err := c.Members.User(ctx, member)
	if errors.Is(err, providers.ErrNotFound) {
		return m, false, nil
	}
	return m, err == nil && wanted(c.Alias(m.UniqueID)), err
}

// lookUp finds a member by unique_id, on a tenant that is known to have the
// route.
func (c claimer) lookUp(ctx context.Context) (yappli.Member, error) {
	m, err := c.Members.UserByUniqueID(ctx, c.person.Unique.Text)
	if errors.Is(err, providers.ErrNotFound) {
		return yappli.Member{}, nil
	}
	return m, err
}
