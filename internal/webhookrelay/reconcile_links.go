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

// readDecisions marks the users of whom a person has decided something that is
// not done.
func (r *Reconciler) readDecisions(ctx context.Context) error {
	if r.Settings.Link == Always {
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
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, rec := range recs {
		group.Go(func() error {
			var d decision
			_, err := r.readInto(groupCtx, r.decisionKey(rec.id), &d)
			if d.Approved && d.Identity == rec.unique.String() {
				rec.set(decided)
				return err
			}
			for _, p := range d.rejected() {
				if p.Identity == rec.unique.String() {
					rec.set(rejected)
					rec.member = r.memberHash(p.Member)
				}
			}
			return err
		})
	}
	return group.Wait()
}

// await leaves it to a person whether a member is the user's. If the link_if
// fields agree, the relay decides, which reads both anew.
func (r *Reconciler) await(ctx context.Context, rec *record, m yappli.Member) error {
	if matches := r.setAside(rec, m); !matches && rec.is(listed) && !rec.is(decided|rejected) {
		if err := r.propose(ctx, r.pairOf(rec.id, m)); err != nil {
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

// remember notes with the identity that the relay made its member, which the
// creation noted in the row alone: the loss of one of both ends no link. Whoever
// writes meanwhile has the next run note it.
func (r *Reconciler) remember(ctx context.Context, rec *record, m yappli.Member) error {
	document, b, err := r.identified(ctx, m.UniqueID)
	if err != nil || b.Owner != 0 && b.Owner != rec.id || b.Member != "" && b.Member != m.ID {
		return err
	}
	if next := (bearer{Member: m.ID, Owner: rec.id, Link: linkMade}); b != next {
		_, err = document.Replace(ctx, r.Objects, next)
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
