package reconcile

import (
	"cmp"
	"context"
	"iter"
	"strconv"
	"time"

	"hikyaku/internal/pagination"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/pkg/providers/supersaas"

	"golang.org/x/sync/errgroup"
)

const (
	atOnce      = 16  // requests to the object store
	rowsAtATime = 256 // between two looks at the clock
	aWhile      = 5 * time.Second
)

// together does something about each of a list, several at once, until one fails.
func together[T any](ctx context.Context, list []T, do func(ctx context.Context, i int, one T) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, one := range list {
		group.Go(func() error { return do(groupCtx, i, one) })
	}
	return group.Wait()
}

// A reader makes a record of each user that SuperSaaS lists, with what the relay knows.
type reader struct{ *run }

// listUsers makes a record of each live user.
func (r reader) listUsers(ctx context.Context) error {
	list := r.userList()
	list.owner = func(row pagination.Row, _ supersaas.User) (int64, bool) {
		id, err := strconv.ParseInt(string(row.ID), 10, 64)
		if err != nil || id <= 0 {
			return 0, false
		}
		r.table.add(record{id: id, flags: spoiled})
		return id, true
	}
	err := list.read(ctx, r.run, &r.at.Users, func(users iter.Seq[supersaas.User]) error {
		for u := range users {
			if odd := u.Odd(); len(odd) > 0 {
				r.name(u.ID, outcome.Odd, odd)
				if r.at.Report.OddUsers++; r.at.Report.OddUsers <= named {
					r.Log.WarnContext(ctx, "user has fields of an unexpected type", "run", r.at.Run, "user_id", u.ID, "fields", odd)
				}
			}
			if !u.Deleted {
				r.table.add(r.userRecord(u))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.table.index()
	r.at.Report.Users = len(r.table.byID)
	return nil
}

func (r reader) userRecord(u supersaas.User) record {
	rec := record{id: u.ID, flags: listed}
	p := r.LivePerson(u)
	if len(p.Unread) > 0 {
		rec.set(unreadable)
		r.name(u.ID, outcome.Unreadable, p.Unread)
	}
	if p.Unique.Text == "" {
		rec.set(noIdentity)
	} else {
		rec.unique, rec.exact = p.Unique.Folded, p.Unique.Exact.Word()
	}
	rec.mask, rec.desired = r.Compared(p)
	rec.match = r.matchHash(p.Match)
	if _, there := p.Desired[plan.SecretAnswer]; there {
		rec.hidden = r.hiddenHash(p.Hash)
	}
	return rec
}

// readRows takes over what the relay knows. A row whose user is in no list is
// of one who may be gone.
func (r reader) readRows(ctx context.Context) error {
	var users []int64
	flush := func() error {
		if err := r.takeRows(ctx, users); err != nil {
			return err
		}
		if len(users) > 0 {
			r.at.After = strconv.FormatInt(users[len(users)-1], 10)
		}
		users = users[:0]
		return r.pause(ctx)
	}
	for user, err := range r.State.Rows.Users(ctx, r.at.After) {
		if err != nil {
			return err
		}
		if users = append(users, user); len(users) == rowsAtATime {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	r.table.index()
	return nil
}

func (r reader) takeRows(ctx context.Context, users []int64) error {
	rows := make([]state.Row, len(users))
	err := together(ctx, users, func(ctx context.Context, i int, user int64) error {
		held, err := r.State.Rows.Read(ctx, user)
		rows[i] = held.Row
		return err
	})
	if err != nil {
		return err
	}
	for i, user := range users {
		rec := r.table.user(user)
		if rec == nil {
			r.table.add(r.rowRecord(record{id: user}, rows[i]))
			continue
		}
		*rec = r.rowRecord(*rec, rows[i])
	}
	return nil
}

func (r reader) rowRecord(rec record, row state.Row) record {
	rec.set(hasRow)
	for f, is := range map[flag]bool{linked: row.Member != "", unresolved: row.Unresolved(), tombstone: row.Tombstone, disabled: row.Disabled, unnoted: row.Link == state.Made && !row.Noted, left: row.Leaves()} {
		if is {
			rec.set(f)
		}
	}
	if row.Member != "" {
		rec.member, rec.difference = r.memberHash(row.Member), row.Differs
	}
	d, ok := state.ParseDigest(row.Identity)
	same := rec.unique == d || rec.unique != (state.Digest{}) && rec.exact == d.Word() // an earlier version wrote the exact one
	if ok && row.Member != "" && rec.unique != (state.Digest{}) && !same {
		r.at.Report.IdentityChanged++
	}
	if exact, is := state.ParseDigest(cmp.Or(row.Alias, row.Identity)); is && (row.Member != "" || row.Unresolved() || !rec.is(listed)) {
		rec.exact = exact.Word()
	}
	switch {
	case !ok, same:
	case row.Member != "" || row.Unresolved() || !rec.is(listed):
		rec.unique = d // the link stays, whatever the user's identity is now; a creation in doubt is found by the identity it was to bear
	default:
		r.table.add(record{unique: d, flags: hasRow}) // a claim, perhaps, of one who asks for another or for none
	}
	if rec.hidden != 0 && row.Member != "" && r.hiddenHash(row.Hash) != rec.hidden {
		rec.set(differ)
	}
	return rec
}

// listIdentities marks the identities that are known already, so that only new
// members cost a write.
func (r reader) listIdentities(ctx context.Context) error {
	count := 0
	for name, err := range r.State.Claims.Names(ctx, r.at.After) {
		if err != nil {
			return err
		}
		if unique, ok := state.ParseDigest(name); ok {
			bearers := r.table.bearers(unique)
			for _, rec := range bearers {
				rec.set(known)
			}
			if len(bearers) == 0 {
				r.table.add(record{unique: unique, flags: known})
			}
		}
		r.at.After = name
		if count++; count%rowsAtATime == 0 {
			if err := r.pause(ctx); err != nil {
				return err
			}
		}
	}
	// The members' list is to be new enough for whom this run sends, who would
	// ask for another otherwise.
	for r.CreatesAfterList() && !r.dry && r.Now().Before(r.at.Users.Began.Add(r.Settings.LagTime())) {
		if err := r.pause(ctx); err != nil {
			return err
		}
		time.Sleep(aWhile)
	}
	r.table.index()
	newest, err := r.State.Index.Read(ctx)
	r.at.Known, r.at.Members.Began = newest.Members, r.Now().UTC()
	r.at.Refolds = newest.Folding != r.Mapping.Folding()
	return err
}

// readDecisions reads what a person has decided of users without a member.
func (r reader) readDecisions(ctx context.Context) error {
	if r.refused != nil {
		return nil
	}
	var recs []*record
	for user, err := range r.State.Decisions.Users(ctx) {
		if err != nil {
			return err
		}
		if rec := r.table.user(user); rec != nil && !rec.is(linked) {
			recs = append(recs, rec)
		}
	}
	decisions, pairs := make([]state.Decision, len(recs)), make([]state.Pair, len(recs))
	err := together(ctx, recs, func(ctx context.Context, i int, rec *record) error {
		d, err := r.State.Decisions.Read(ctx, rec.id)
		if decisions[i] = d; err == nil && d.Approved {
			pairs[i], err = r.State.Pairs.Read(ctx, rec.id)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.refused = map[int64][]state.Pair{}
	for i, rec := range recs {
		d := decisions[i]
		if d.Approved && pairs[i].Same(d.Pair) && !pairs[i].Void.Equal(d.Decided) {
			rec.set(decided)
		}
		if rejected := d.AllRejected(); len(rejected) > 0 {
			r.refused[rec.id] = rejected
		}
	}
	return nil
}
