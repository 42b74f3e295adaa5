package plan

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// What keeps a user from a member who bears the user's identity.
var (
	// ErrAwaiting: somebody has to approve that the member is the user's.
	ErrAwaiting = errors.New("the link to this member needs approval")
	// ErrRejected: somebody has decided that it is not.
	ErrRejected = errors.New("the member is not this user's")
	// ErrOtherOwner: another user owns the identity.
	ErrOtherOwner = errors.New("another user has this identity")
)

// PairOf is of a user who has the member's identity, exactly or not.
func (p Plan) PairOf(user int64, m yappli.Member, exact bool) state.Pair {
	pair := state.Pair{User: user, Member: m.ID, Identity: p.Alias(m.UniqueID).Exact.String(), How: state.Folded, At: p.Now().UTC()}
	if exact {
		pair.How = state.Exactly
	}
	return pair
}

// MayLink says how a user may be linked to a member that bears the user's
// identity under one of its aliases, b being what is known of that; else ErrRejected
// with the pair that was rejected, or ErrAwaiting with the pair to be proposed.
func (p Plan) MayLink(ctx context.Context, user int64, person tenant.Person, m yappli.Member, b state.Bearer) (how string, pair state.Pair, err error) {
	exact := m.UniqueID == person.Unique.Text
	remembered := b.Link != "" && b.Owner == user && b.Member == m.ID
	switch {
	case remembered && (p.Settings.Link == tenant.Always || b.Link == state.Made): // whatever a person decided who took it for somebody else's
		return b.Link, pair, nil
	case p.Settings.Link == tenant.Always && exact:
		return "", pair, nil
	}
	pair = p.PairOf(user, m, exact)
	d, err := p.State.Decisions.Read(ctx, user)
	if err != nil {
		return "", pair, err
	}
	if rejected, is := state.Rejection(d.AllRejected(), pair); is {
		return "", rejected, ErrRejected
	}
	switch ours := d.Same(pair); {
	case remembered:
		return b.Link, pair, nil
	case p.Settings.Link == tenant.Match && len(person.Match) > 0 && slices.Equal(person.Match, p.MatchOf(m)):
		return state.Matched, pair, nil
	case !ours:
		return "", pair, ErrAwaiting
	}
	if person, err = p.Person(ctx, user); err != nil { // the read before may be older than the decision
		return "", pair, err
	}
	if d.Records == p.RecordsDigest(person.User, m) {
		return state.Approved, pair, nil
	}
	pair.Void = d.Decided
	return "", pair, ErrAwaiting
}

// MatchOf are the values that a member shows for the link_if fields.
func (p Plan) MatchOf(m yappli.Member) []string {
	names := p.Mapping.LinkIf()
	values := make([]string, len(names))
	for i, name := range names {
		values[i], _ = m.Field(name)
	}
	return values
}

// WithOwner completes what is known of one who bears another alias of a user's
// identity: with its owner's row, if that is another user, and with the member that
// the row alone tells of.
func (p Plan) WithOwner(ctx context.Context, user int64, b state.Bearer, unique state.Alias) (state.Bearer, state.Row, error) {
	if !b.OfAnother(user) {
		return b, state.Row{}, nil
	}
	owner, err := p.State.Rows.Read(ctx, b.Owner)
	if b.Member == "" && owner.Identity == unique.Folded.String() {
		b.Member = owner.Member
	}
	return b, owner.Row, err
}

// IsMereClaim reports whether the owner of an identity, whose row is given, has no
// right to the member that bears it, and no creation under way: being the first to
// type it keeps nobody else from the member.
func (p Plan) IsMereClaim(b state.Bearer, owner state.Row) bool {
	without := owner.Member == "" && owner.State != state.Inflight || owner.Member != "" && owner.Member != b.Member
	return b.Member != "" && b.Link == "" && p.Settings.Link != tenant.Always && without
}

// TakenBy returns the other user who is linked to a member, as far as the claim on the
// member's identity and the rows of those who are named in it tell; 0 if nobody is.
func (p Plan) TakenBy(ctx context.Context, user int64, claim state.HeldClaim, unique state.Alias, member string) (int64, error) {
	for _, mark := range claim.Beside("-") { // under any alias
		b, owner, err := p.WithOwner(ctx, user, claim.At(mark), unique)
		if err != nil || b.OfAnother(user) && owner.Member == member {
			return b.Owner, err
		}
	}
	return 0, nil
}

// unsteady are fields that change without anybody becoming another person.
var unsteady = []string{"credit", "last_login", "updated_on", "logined", "logined_at"}

// UserFields are a user's record as a person is shown it who decides on a link.
func UserFields(u supersaas.User) map[string]string { return steady(EveryUserField(u)) }

// EveryUserField is all that SuperSaaS sent of a user, but what it sent as null: what is
// no text as JSON.
func EveryUserField(u supersaas.User) map[string]string {
	shown := map[string]string{}
	for name, raw := range u.Fields() {
		encoded, _ := json.Marshal(raw) // it was read from JSON
		switch text, is := raw.(string); {
		case is:
			shown[name] = text
		case raw != nil:
			shown[name] = string(encoded)
		}
	}
	return shown
}

// MemberFields are a member's record as a person is shown it.
func MemberFields(m yappli.Member) map[string]string {
	shown := m.Shown()
	shown["id"] = m.ID
	return steady(shown)
}

func steady(fields map[string]string) map[string]string {
	maps.DeleteFunc(fields, func(name, value string) bool { return value == "" || slices.Contains(unsteady, name) })
	return fields
}

// RecordsDigest is of both records as they are shown.
func (p Plan) RecordsDigest(u supersaas.User, m yappli.Member) string {
	records, _ := json.Marshal([]map[string]string{UserFields(u), MemberFields(m)}) // maps of texts
	return p.Key.Digest("records", string(records)).String()
}
