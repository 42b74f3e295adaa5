package webhookrelay

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hikyaku/internal/pagination"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

const (
	atOnce      = 16  // requests to the object store
	rowsAtATime = 256 // between two looks at the clock
	aWhile      = 5 * time.Second
)

// listUsers makes a record of each live user.
func (r *Reconciler) listUsers(ctx context.Context) error {
	list := r.userList()
	list.owner = func(row pagination.Row, _ supersaas.User) (int64, bool) {
		id, err := strconv.ParseInt(string(row.ID), 10, 64)
		if err != nil || id <= 0 {
			return 0, false
		}
		r.table.add(record{id: id, flags: spoiled})
		return id, true
	}
	err := list.read(ctx, r, &r.state.Users, func(users iter.Seq[supersaas.User]) error {
		for u := range users {
			if odd := u.Odd(); len(odd) > 0 {
				r.name(u.ID, outcome.Odd, odd)
				if r.state.Report.OddUsers++; r.state.Report.OddUsers <= named {
					r.Log.WarnContext(ctx, "user has fields of an unexpected type", "run", r.state.Run, "user_id", u.ID, "fields", odd)
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
	r.state.Report.Users = len(r.table.byID)
	return nil
}

func (r *Reconciler) userRecord(u supersaas.User) record {
	rec := record{id: u.ID, flags: listed}
	p := r.livePerson(u)
	if len(p.unread) > 0 {
		rec.set(unreadable)
		r.name(u.ID, outcome.Unreadable, p.unread)
	}
	if p.unique.text == "" {
		rec.set(noIdentity)
	} else {
		rec.unique, rec.exact = p.unique.folded, first64(p.unique.exact)
	}
	rec.mask, rec.wish = r.compared(p)
	rec.match = r.matchHash(p.match)
	if _, there := p.wish[secretAnswer]; there {
		rec.hidden = r.hiddenHash(p.hash)
	}
	return rec
}

// compared returns which fields of a wish a list shows, and the hash of their
// values.
func (s *Stack) compared(p person) (mask, wish uint64) {
	for i, name := range s.Mapping.Targets() {
		if _, there := p.wish[name]; there && !slices.Contains(neverShown, name) {
			mask |= 1 << i
		}
	}
	return mask, s.valuesHash(mask, func(name string) string { return p.wish[name].Plain(name) })
}

// difference tells what differs from any other difference of the user: by the
// fields compared, what they are to be and what they are; 0: nothing differs.
func (s *Stack) difference(m yappli.Member, mask, wish uint64) uint32 {
	shown := s.valuesHash(mask, shownBy(m))
	if shown == wish {
		return 0
	}
	return max(1, uint32(first64(s.digest("difference", fmt.Sprint(mask, wish, shown)))))
}

// hiddenHash is of a row's hash. What no list shows is compared by that.
func (r *Reconciler) hiddenHash(hash string) uint64 { return first64(r.digest("hidden", hash)) }

// valuesHash hashes the values of the mask's fields, null and absent as "".
func (s *Stack) valuesHash(mask uint64, value func(name string) string) uint64 {
	var parts []string
	for i, name := range s.Mapping.Targets() {
		if mask&(1<<i) != 0 {
			parts = append(parts, value(name))
		}
	}
	return first64(s.digest("values", parts...))
}

func (r *Reconciler) memberHash(id string) uint64 { return first64(r.digest("member", id)) }

func first64(d digest) uint64 { return binary.LittleEndian.Uint64(d[:8]) }

// readRows takes over what the relay knows. A row whose user is in no list is
// of one who may be gone.
func (r *Reconciler) readRows(ctx context.Context) error {
	prefix := r.root + "rows/"
	var users []int64
	flush := func(last string) error {
		if err := r.takeRows(ctx, users); err != nil {
			return err
		}
		users, r.state.After = users[:0], last
		return r.pause(ctx)
	}
	last := r.state.After
	for info, err := range r.Objects.List(ctx, prefix, r.state.After) {
		if err != nil {
			return err
		}
		last = info.Key
		if user, err := strconv.ParseInt(strings.TrimPrefix(info.Key, prefix), 10, 64); err == nil {
			users = append(users, user)
		}
		if len(users) == rowsAtATime {
			if err := flush(last); err != nil {
				return err
			}
		}
	}
	if err := flush(last); err != nil {
		return err
	}
	r.table.index()
	return nil
}

func (r *Reconciler) takeRows(ctx context.Context, users []int64) error {
	rows := make([]row, len(users))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, user := range users {
		group.Go(func() error {
			held, err := r.readRow(groupCtx, user)
			rows[i] = held.row
			return err
		})
	}
	if err := group.Wait(); err != nil {
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

func (r *Reconciler) rowRecord(rec record, row row) record {
	rec.set(hasRow)
	for f, is := range map[flag]bool{linked: row.Member != "", unresolved: row.unresolved(), tombstone: row.Tombstone, disabled: row.Disabled, unnoted: row.Link == linkMade && !row.Noted, left: row.leaves()} {
		if is {
			rec.set(f)
		}
	}
	if row.Member != "" {
		rec.member, rec.difference = r.memberHash(row.Member), row.Differs
	}
	d, ok := parseDigest(row.Identity)
	same := rec.unique == d || rec.unique != (digest{}) && rec.exact == first64(d) // an earlier version wrote the exact one
	if ok && row.Member != "" && rec.unique != (digest{}) && !same {
		r.state.Report.IdentityChanged++
	}
	if exact, is := parseDigest(cmp.Or(row.Spelling, row.Identity)); is && (row.Member != "" || row.unresolved() || !rec.is(listed)) {
		rec.exact = first64(exact)
	}
	switch {
	case !ok, same:
	case row.Member != "" || row.unresolved() || !rec.is(listed):
		rec.unique = d // the link stays, whatever the user's identity is now; a creation in doubt is found by the identity it was to bear
	default:
		r.table.add(record{unique: d, flags: hasRow}) // a claim, perhaps, of one who asks for another or for none
	}
	if rec.hidden != 0 && row.Member != "" && r.hiddenHash(row.Hash) != rec.hidden {
		rec.set(differ)
	}
	return rec
}

func parseDigest(s string) (d digest, ok bool) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(d) {
		return d, false
	}
	return digest(raw), true
}

// listIdentities marks the identities that are known already, so that only new
// members cost a write.
func (r *Reconciler) listIdentities(ctx context.Context) error {
	prefix := r.root + "identities/"
	count := 0
	for info, err := range r.Objects.List(ctx, prefix, r.state.After) {
		if err != nil {
			return err
		}
		if unique, ok := parseDigest(strings.TrimPrefix(info.Key, prefix)); ok {
			bearers := r.table.bearers(unique)
			for _, rec := range bearers {
				rec.set(known)
			}
			if len(bearers) == 0 {
				r.table.add(record{unique: unique, flags: known})
			}
		}
		r.state.After = info.Key
		if count++; count%rowsAtATime == 0 {
			if err := r.pause(ctx); err != nil {
				return err
			}
		}
	}
	// The members' list is to be new enough for whom this run sends, who would
	// ask for another otherwise.
	for r.createsAfterList() && !r.dry && r.Now().Before(r.state.Users.Began.Add(r.Settings.lag())) {
		if err := r.pause(ctx); err != nil {
			return err
		}
		time.Sleep(aWhile)
	}
	r.table.index()
	i, err := r.readIndex(ctx)
	r.state.Known, r.state.Members.Began = i.Members, r.Now().UTC()
	return err
}

// shownBy is what a member shows for a field, "" if nothing.
func shownBy(m yappli.Member) func(name string) string {
	return func(name string) string {
		value, _ := m.Field(name)
		return value
	}
}
