package state

import (
	"context"
	"maps"
	"time"

	"hikyaku/internal/objectstore"
)

// A Listing is the newest complete list of members, from which absence can be read.
// The zero one says that there is none.
type Listing struct {
	Began   time.Time `json:"began"`             // of the list
	Members int       `json:"members"`           // in it
	Users   time.Time `json:"users,omitzero"`    // when the list of users of the same run began
	Folding string    `json:"folding,omitempty"` // the rules by which the claims are named
}

// Index is the document that says that the claims are complete.
type Index struct{ documents documents }

// Read returns what the index says.
func (s Index) Read(ctx context.Context) (l Listing, err error) {
	_, err = s.documents.read(ctx, "", &l)
	return l, err
}

// Write says that the claims hold all members of a list.
func (s Index) Write(ctx context.Context, l Listing) error {
	document, err := s.documents.read(ctx, "", &Listing{})
	if err == nil {
		_, err = document.Replace(ctx, s.documents.objects, l)
	}
	return err
}

// Wanted is the document by which the relay asks for a reconcile.
type Wanted struct{ documents documents }

type wanted struct {
	Since time.Time `json:"since"` // zero: nobody asks
}

// Since returns since when a reconcile is asked for; zero: it is not.
func (s Wanted) Since(ctx context.Context) (time.Time, error) {
	var w wanted
	_, err := s.documents.read(ctx, "", &w)
	return w.Since, err
}

// Ask asks for a reconcile, unless somebody has.
func (s Wanted) Ask(ctx context.Context, now time.Time) error {
	return update(ctx, s.documents, func(w *wanted) bool {
		asked := !w.Since.IsZero()
		w.Since = now.UTC()
		return !asked
	})
}

// AskAfter asks for a reconcile that begins after a time, whatever was asked for
// before: a run that is under way by then does not answer it.
func (s Wanted) AskAfter(ctx context.Context, after time.Time) error {
	return update(ctx, s.documents, func(w *wanted) bool {
		if !w.Since.Before(after) {
			return false
		}
		w.Since = after.UTC()
		return true
	})
}

// furthest is how far ahead a reconcile may be asked for. What lies further comes from
// a clock that is wrong, and would be asked for again and again until then.
const furthest = 10 * time.Minute

// Answer takes back what was asked for before a reconcile began, which has ended now.
func (s Wanted) Answer(ctx context.Context, began, now time.Time) error {
	return update(ctx, s.documents, func(w *wanted) bool {
		answered := !w.Since.IsZero() && (w.Since.Before(began) || w.Since.After(now.Add(furthest)))
		w.Since = time.Time{}
		return answered
	})
}

// disablingWindow is what the limit on disablings counts.
const disablingWindow = time.Hour

// Disabling is the document that limits how many members may be disabled in an
// hour, by all workers together.
type Disabling struct{ documents documents }

type disablings struct {
	Recent  map[int64]time.Time `json:"recent"`
	Stopped bool                `json:"stopped"`
}

// Allow counts a disabling, or refuses it: after so many in an hour, all are refused
// until Release. A user who is counted already is not counted twice, so a
// repeated attempt costs nothing.
func (s Disabling) Allow(ctx context.Context, user int64, most int, now time.Time) (bool, error) {
	allowed := false
	err := update(ctx, s.documents, func(d *disablings) bool {
		maps.DeleteFunc(d.Recent, func(_ int64, at time.Time) bool { return now.Sub(at) >= disablingWindow })
		_, counted := d.Recent[user]
		if !counted && len(d.Recent) >= most {
			d.Stopped = true
		}
		if allowed = !d.Stopped; allowed && !counted {
			if d.Recent == nil {
				d.Recent = map[int64]time.Time{}
			}
			d.Recent[user] = now.UTC()
		}
		return true
	})
	return allowed, err
}

// Stopped reports whether disablings are refused.
func (s Disabling) Stopped(ctx context.Context) (bool, error) {
	var d disablings
	_, err := s.documents.read(ctx, "", &d)
	return d.Stopped, err
}

// Release lets disablings go on after the limit stopped them, with the count
// from zero. It is a person's decision. stopped reports whether they were; if
// not, the count stays.
func (s Disabling) Release(ctx context.Context) (stopped bool, err error) {
	err = update(ctx, s.documents, func(d *disablings) bool {
		stopped = d.Stopped
		*d = disablings{}
		return stopped
	})
	return stopped, err
}

// update brings a document up to date that any worker may write.
func update[T any](ctx context.Context, d documents, f func(*T) bool) error {
	return objectstore.Update(ctx, d.objects, d.prefix, f)
}
