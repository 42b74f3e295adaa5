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
	b, err := r.memberOf(ctx, p, row)
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
func (s *Stack) would(ctx context.Context, user int64, p person, row row, b bearer, propose func(context.Context, Pair) error) (class outcome.Class, fields []string, err error) {
	switch {
	case row.State == rowInflight && s.Now().Before(row.Until):
		return outcome.InFlight, nil, nil
	case row.unresolved():
		return outcome.Unresolved, nil, nil
	case row.Member == "" && !p.live:
		return outcome.GoneUnlinked, nil, nil
	case row.Member == "" && p.unique == "":
		return outcome.NoIdentity, nil, nil
	case b.Owner != 0 && b.Owner != user:
		return outcome.DuplicateIdentity, nil, nil
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
	case row.Member == "" && s.Settings.Link != Always && m.UniqueID != p.unique:
		return outcome.Unresolved, nil, nil // only a list tells who bears the identity now
	case row.Member == "" && s.Settings.Link != Always:
		_, pair, err := s.mayLink(ctx, user, p, m, b)
		if errors.Is(err, errRejected) {
			return outcome.LinkRejected, nil, nil
		}
		class = outcome.WouldLink
		if errors.Is(err, errAwaiting) {
			if err = propose(ctx, pair); s.Settings.Mode == Write {
				class = outcome.AwaitingApproval
			}
		}
		return class, fields, err
	case len(fields) == 0:
		return outcome.Unchanged, nil, nil
	case row.leaves() && row.Hash == p.hash && row.Differs == s.differenceOf(p, m):
		return outcome.Unconverging, fields, nil
	}
	return outcome.WouldUpdate, fields, nil
}

// memberOf returns the member whom a job would write to, and who owns it if that
// is no row's; none if none is known.
func (s *Stack) memberOf(ctx context.Context, p person, row row) (bearer, error) {
	if row.Member != "" || p.unique == "" {
		return bearer{Member: row.Member}, nil
	}
	return s.bearerOf(ctx, p.unique)
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
	v := Preview{UniqueID: p.unique, Gone: !p.live, Wish: p.wish, Unread: p.unread}
	b, err := s.memberOf(ctx, p, held.row)
	if err != nil {
		return Preview{}, err
	}
	v.Outcome, v.Changes, err = s.would(ctx, user, p, held.row, b, func(context.Context, Pair) error { return nil })
	if v.Outcome != outcome.DuplicateIdentity {
		v.Member = b.Member
	}
	return v, err
}
