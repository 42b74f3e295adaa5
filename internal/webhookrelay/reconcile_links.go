package webhookrelay

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"hikyaku/internal/objectstore"
	"hikyaku/pkg/providers/yappli"
)

// matchHash is of what the link_if fields say; 0 if they say nothing.
func (r *Reconciler) matchHash(values []string) uint64 {
	if len(values) == 0 {
		return 0
	}
	return first64(r.digest("match", values...))
}

// readDecisions reads what a person has decided of users without a member.
func (r *Reconciler) readDecisions(ctx context.Context) error {
	if r.refused != nil {
		return nil
	}
	var recs []*record
	for info, err := range r.Objects.List(ctx, r.root+"decisions/", "") {
		if err != nil {
			return err
		}
		user, err := strconv.ParseInt(strings.TrimPrefix(info.Key, r.root+"decisions/"), 10, 64)
		if rec := r.table.user(user); err == nil && rec != nil && !rec.is(linked) {
			recs = append(recs, rec)
		}
	}
	decisions := make([]decision, len(recs))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, rec := range recs {
		group.Go(func() error {
			_, err := r.readInto(groupCtx, r.decisionKey(rec.id), &decisions[i])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.refused = map[int64][]Pair{}
	for i, rec := range recs {
		d := decisions[i]
		if d.Approved && d.Identity == rec.unique.String() {
			rec.set(decided)
		}
		if rejected := d.rejected(); len(rejected) > 0 {
			r.refused[rec.id] = rejected
		}
	}
	return nil
}

// refuses reports whether a person has decided that a member who bears the record's
// identity, exactly or not, is not the user's.
func (r *Reconciler) refuses(rec *record, m yappli.Member, exact bool) bool {
	all := r.refused[rec.id]
	if len(all) == 0 {
		return false
	}
	_, is := rejection(all, r.pairOf(rec.id, m, exact))
	return is
}

// await leaves it to a person whether a member is the user's. If the link_if
// fields agree, the relay decides, which reads both anew.
func (r *Reconciler) await(ctx context.Context, rec *record, m yappli.Member) error {
	if matches := r.setAside(rec, m); !matches && rec.is(listed) && !rec.is(decided|rejected) {
		if err := r.propose(ctx, r.pairOf(rec.id, m, true)); err != nil {
			return err
		}
	}
	if rec.is(unresolved) && r.Settings.Mode == Write {
		return r.resolve(ctx, rec, row{State: rowIdle}) // whatever came of the creation, this member is in its way
	}
	return nil
}

// setAside marks a user whose member is not to be linked by the identity alone, and
// reports whether the link_if fields agree.
func (r *Reconciler) setAside(rec *record, m yappli.Member) (matches bool) {
	matches = r.Settings.Link == Match && rec.match != 0 && rec.match == r.matchHash(r.matchOf(m))
	rec.flags &^= matched | enabled | differ
	if matches {
		rec.set(matched | differ)
	} else {
		rec.set(pending)
	}
	return matches
}

// similar are the users without a member whose identity a member bears in another
// spelling. Each is marked: a person decides, or the link_if fields, where nobody else
// has a right to the member. The first such member of a run counts, and one who bears
// the identity exactly before any.
func (r *Reconciler) similar(bearers []*record, unique spelling, m yappli.Member, free bool) []*record {
	var found []*record
	for _, rec := range bearers {
		other := rec.is(pending|matched) && rec.member != r.memberHash(m.ID)
		if !rec.is(listed) || rec.is(linked|claimed|unresolved|spoiled) || rec.bears(unique) || other || r.refuses(rec, m, false) {
			continue
		}
		rec.member = r.memberHash(m.ID)
		if free {
			r.setAside(rec, m)
		} else {
			rec.set(pending)
		}
		found = append(found, rec)
	}
	return found
}

// remember notes with the identity that the relay made its member, which the
// creation noted in the row alone: the loss of one of both ends no link. Whoever
// writes meanwhile has the next run note it.
func (r *Reconciler) remember(ctx context.Context, rec *record, m yappli.Member) error {
	unique := r.spell(m.UniqueID)
	document, c, err := r.readClaims(ctx, unique)
	b := c.at(unique.mark())
	if err != nil || b.Owner != 0 && b.Owner != rec.id || b.Member != "" && b.Member != m.ID {
		return err
	}
	if next := (bearer{Member: m.ID, Owner: rec.id, Link: linkMade}); b != next {
		c.set(unique.mark(), next)
		_, err = document.Replace(ctx, r.Objects, c)
	}
	held, readErr := r.readRow(ctx, rec.id)
	if err = cmp.Or(err, readErr); err == nil && held.Member == m.ID && held.State != rowInflight {
		row := held.row
		row.Noted = true
		err = r.swap(ctx, &held, row)
	}
	if errors.Is(err, objectstore.ErrConflict) {
		return nil
	}
	return err
}
