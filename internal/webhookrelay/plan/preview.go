package plan

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"time"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// A Standing is who bears a user's identity, as far as the state tells.
type Standing struct {
	state.Bearer

	similar bool // under another alias than the user's
	taken   bool // it is another user's
}

// MemberOf returns the member that a job would write to, and who owns it if that
// is no row's; none if none is known.
func (p Plan) MemberOf(ctx context.Context, user int64, person tenant.Person, row state.Row) (Standing, error) {
	if row.Member != "" || person.Unique.Text == "" {
		return Standing{Bearer: state.Bearer{Member: row.Member}}, nil
	}
	claim, err := p.State.Claims.Read(ctx, person.Unique)
	mark := person.Unique.Mark()
	own := Standing{Bearer: claim.At(mark)}
	own.taken = own.OfAnother(user)
	beside := claim.Beside(mark)
	if err != nil || own.Member != "" || own.taken || len(beside) == 0 {
		return own, err
	}
	d, err := p.State.Decisions.Read(ctx, user)
	if err != nil {
		return own, err
	}
	for _, mark := range beside {
		b, owner, err := p.WithOwner(ctx, user, claim.At(mark), person.Unique)
		other := Standing{b, true, b.OfAnother(user) && !p.IsMereClaim(b, owner)}
		if err == nil && b.Member != "" && !other.taken {
			var by int64
			by, err = p.TakenBy(ctx, user, claim, person.Unique, b.Member)
			other.taken = by != 0
		}
		pair := state.Pair{User: user, Member: b.Member, Identity: cmp.Or(mark, person.Unique.Folded.String()), How: state.Folded}
		_, rejected := state.Rejection(d.AllRejected(), pair)
		if err != nil || !rejected && (b.Member != "" || other.taken) {
			return other, err
		}
	}
	return own, nil
}

// A Prospect is what the relay would do for a user.
type Prospect struct {
	Class  outcome.Class
	Fields []string       // of the member that would change
	Held   *yappli.Member // as it was read; nil: it was not
}

// Would says what the relay would do for a user of whom MemberOf gave b. A pair for a
// person to decide is proposed.
func (p Plan) Would(ctx context.Context, user int64, person tenant.Person, row state.Row, b Standing, propose func(context.Context, state.Pair) error) (Prospect, error) {
	switch {
	case row.State == state.Inflight && p.Now().Before(row.Until):
		return Prospect{Class: outcome.InFlight}, nil
	case row.Unresolved():
		return Prospect{Class: outcome.Unresolved}, nil
	case row.Member == "" && !person.Live:
		return Prospect{Class: outcome.GoneUnlinked}, nil
	case row.Member == "" && person.Unique.Text == "":
		return Prospect{Class: outcome.NoIdentity}, nil
	case b.taken && (b.Member == "" || !b.similar):
		return Prospect{Class: outcome.DuplicateIdentity}, nil
	case b.Doubt:
		return Prospect{Class: outcome.Unresolved}, nil // only a list tells which member has the identity now
	case b.Member == "":
		if ready, err := p.MayCreate(ctx, person, time.Time{}); err != nil || !ready {
			return Prospect{Class: outcome.AwaitingList}, err
		}
		return Prospect{Class: outcome.WouldCreate}, nil
	}
	m, err := p.Members.User(ctx, b.Member)
	switch {
	case errors.Is(err, providers.ErrNotFound):
		return Prospect{Class: outcome.MemberMissing}, nil
	case err != nil:
		return Prospect{}, err
	case !person.Live && m.Enabled:
		return Prospect{outcome.WouldDisable, []string{"enabled"}, &m}, nil
	case !person.Live:
		return Prospect{outcome.Unchanged, nil, &m}, nil
	}
	fields := Changes(m, expected(person, row))
	switch {
	case row.Member == "" && (p.Settings.Link != tenant.Always || b.similar):
		class, err := p.wouldLink(ctx, user, person, m, b, propose)
		return Prospect{class, fields, &m}, err
	case len(fields) == 0:
		return Prospect{outcome.Unchanged, nil, &m}, nil
	case row.Leaves() && row.Hash == person.Hash && row.Differs == p.DifferenceOf(person, m):
		return Prospect{outcome.Unconverging, fields, &m}, nil
	}
	return Prospect{outcome.WouldUpdate, fields, &m}, nil
}

// wouldLink says what would come of a user and a member who bears the user's
// identity, or did.
func (p Plan) wouldLink(ctx context.Context, user int64, person tenant.Person, m yappli.Member, b Standing, propose func(context.Context, state.Pair) error) (outcome.Class, error) {
	if unique := p.Alias(m.UniqueID); !b.similar && !person.Unique.Is(unique) || b.similar && !person.Unique.Other(unique) {
		return outcome.Unresolved, nil
	}
	_, pair, err := p.MayLink(ctx, user, person, m, b.Bearer)
	switch {
	case errors.Is(err, ErrRejected):
		return outcome.LinkRejected, nil
	case errors.Is(err, ErrAwaiting):
		if err = propose(ctx, pair); p.Settings.Mode == tenant.Write {
			return outcome.AwaitingApproval, err
		}
	case err == nil && b.taken:
		return outcome.DuplicateIdentity, nil
	}
	return outcome.WouldLink, err
}

// expected is what an update would send.
func expected(person tenant.Person, row state.Row) yappli.Fields {
	fields := maps.Clone(person.Desired)
	if row.Disabled {
		fields["enabled"] = yappli.Bool(true)
	}
	return fields
}

// A Preview is what the mapping makes of one user, beside what Yappli holds,
// for a person to read. Values are personal data.
type Preview struct {
	Outcome  outcome.Class // what the relay would do
	UniqueID string        // empty: the user has none
	Gone     bool          // the user is deleted
	Member   string        // Yappli's id of the linked member; empty: none is known
	Desired  yappli.Fields
	Unread   []string // fields that cannot be read: they are not sent
	Changes  []string // fields that would change

	User supersaas.User // as SuperSaaS showed it; zero if Gone
	Held *yappli.Member // as Yappli showed it; nil: none was read
}

// Preview reads one user and says what the relay would do. It writes nothing.
func (p Plan) Preview(ctx context.Context, user int64) (Preview, error) {
	person, err := p.Person(ctx, user)
	if err != nil {
		return Preview{}, err
	}
	held, err := p.State.Rows.Read(ctx, user)
	if err != nil {
		return Preview{}, err
	}
	v := Preview{UniqueID: person.Unique.Text, Gone: !person.Live, Desired: person.Desired, Unread: person.Unread, User: person.User}
	b, err := p.MemberOf(ctx, user, person, held.Row)
	if err != nil {
		return Preview{}, err
	}
	would, err := p.Would(ctx, user, person, held.Row, b, func(context.Context, state.Pair) error { return nil })
	v.Outcome, v.Changes, v.Held = would.Class, would.Fields, would.Held
	if v.Outcome == outcome.DuplicateIdentity {
		v.Held = nil // it is another user's
	} else {
		v.Member = b.Member
	}
	return v, err
}
