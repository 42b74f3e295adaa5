package webhookrelay

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"time"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// observe reports what a job would do, and does nothing.
func (r *Relay) observe(ctx context.Context, j *job, p person, row row) outcome.Outcome {
	b, err := r.memberOf(ctx, j.user, p, row)
	if err != nil {
		return outcome.FaultOf(err)
	}
	class, fields, err := r.would(ctx, j.user, p, row, b, r.propose)
	if err != nil {
		return outcome.FaultOf(err)
	}
	level := slog.LevelWarn // what people deploy observe to read
	if class == outcome.Unchanged {
		level = slog.LevelDebug
	}
	r.Log.Log(ctx, level, "observed", "user_id", j.user, "outcome", class, "fields", fields, "says", class.Sentence())
	return outcome.Done(class)
}

// would says what the relay would do for a user of whom memberOf gave b, and
// which fields of the member that would change. A pair for a person to decide is
// proposed.
func (s *Stack) would(ctx context.Context, user int64, p person, row row, b standing, propose func(context.Context, Pair) error) (class outcome.Class, fields []string, err error) {
	switch {
	case row.State == rowInflight && s.Now().Before(row.Until):
		return outcome.InFlight, nil, nil
	case row.unresolved():
		return outcome.Unresolved, nil, nil
	case row.Member == "" && !p.live:
		return outcome.GoneUnlinked, nil, nil
	case row.Member == "" && p.unique.text == "":
		return outcome.NoIdentity, nil, nil
	case b.taken && (b.Member == "" || !b.similar):
		return outcome.DuplicateIdentity, nil, nil
	case b.Doubt:
		return outcome.Unresolved, nil, nil // only a list tells who bears the identity now
	case b.Member == "":
		if ready, err := s.mayCreate(ctx, p, time.Time{}); err != nil || !ready {
			return outcome.AwaitingList, nil, err
		}
		return outcome.WouldCreate, nil, nil
	}
	m, err := s.members.User(ctx, b.Member)
	switch {
	case errors.Is(err, providers.ErrNotFound):
		return outcome.MemberMissing, nil, nil
	case err != nil:
		return "", nil, err
	case !p.live && m.Enabled:
		return outcome.WouldDisable, []string{"enabled"}, nil
	case !p.live:
		return outcome.Unchanged, nil, nil
	}
	fields = changes(m, s.expected(p, row))
	switch {
	case row.Member == "" && (s.Settings.Link != Always || b.similar):
		class, err = s.wouldLink(ctx, user, p, m, b, propose)
		return class, fields, err
	case len(fields) == 0:
		return outcome.Unchanged, nil, nil
	case row.leaves() && row.Hash == p.hash && row.Differs == s.differenceOf(p, m):
		return outcome.Unconverging, fields, nil
	}
	return outcome.WouldUpdate, fields, nil
}

// wouldLink says what would come of a user and a member who bears the user's
// identity, or did.
func (s *Stack) wouldLink(ctx context.Context, user int64, p person, m yappli.Member, b standing, propose func(context.Context, Pair) error) (outcome.Class, error) {
	if unique := s.spell(m.UniqueID); !b.similar && !p.unique.is(unique) || b.similar && !p.unique.other(unique) {
		return outcome.Unresolved, nil
	}
	_, pair, err := s.mayLink(ctx, user, p, m, b.bearer)
	switch {
	case errors.Is(err, errRejected):
		return outcome.LinkRejected, nil
	case errors.Is(err, errAwaiting):
		if err = propose(ctx, pair); s.Settings.Mode == Write {
			return outcome.AwaitingApproval, err
		}
	case err == nil && b.taken:
		return outcome.DuplicateIdentity, nil
	}
	return outcome.WouldLink, err
}

// A standing is who bears a user's identity, as far as the state tells.
type standing struct {
	bearer

	similar bool // in another spelling than the user's
	taken   bool // it is another user's
}

// memberOf returns the member whom a job would write to, and who owns it if that
// is no row's; none if none is known.
func (s *Stack) memberOf(ctx context.Context, user int64, p person, row row) (standing, error) {
	if row.Member != "" || p.unique.text == "" {
		return standing{bearer: bearer{Member: row.Member}}, nil
	}
	_, c, err := s.readClaims(ctx, p.unique)
	own := standing{bearer: c.at(p.unique.mark())}
	own.taken = own.Owner != 0 && own.Owner != user
	beside := c.beside(p.unique.mark())
	if err != nil || own.Member != "" || own.taken || len(beside) == 0 {
		return own, err
	}
	var d decision
	if _, err := s.readInto(ctx, s.decisionKey(user), &d); err != nil {
		return own, err
	}
	for _, mark := range beside {
		b, owner, err := s.withOwner(ctx, user, c.at(mark), p.unique)
		other := standing{b, true, b.Owner != 0 && b.Owner != user && !s.isMereClaim(b, owner)}
		_, rejected := rejection(d.rejected(), Pair{User: user, Member: b.Member, Identity: p.unique.folded.String(), How: inAnotherSpelling})
		if err != nil || !rejected && (b.Member != "" || other.taken) {
			return other, err
		}
	}
	return own, nil
}

// expected is what an update would send.
func (s *Stack) expected(p person, row row) yappli.Fields {
	fields := maps.Clone(p.wish)
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
	Wish     yappli.Fields
	Unread   []string // fields that cannot be read: they are not sent
	Changes  []string // fields that would change
}

// Preview reads one user and says what the relay would do. It writes nothing.
func (s *Stack) Preview(ctx context.Context, user int64) (Preview, error) {
	p, err := s.person(ctx, user)
	if err != nil {
		return Preview{}, err
	}
	held, err := s.readRow(ctx, user)
	if err != nil {
		return Preview{}, err
	}
	v := Preview{UniqueID: p.unique.text, Gone: !p.live, Wish: p.wish, Unread: p.unread}
	b, err := s.memberOf(ctx, user, p, held.row)
	if err != nil {
		return Preview{}, err
	}
	v.Outcome, v.Changes, err = s.would(ctx, user, p, held.row, b, func(context.Context, Pair) error { return nil })
	if v.Outcome != outcome.DuplicateIdentity {
		v.Member = b.Member
	}
	return v, err
}
