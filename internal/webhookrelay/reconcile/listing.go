package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

const (
	// remembered is how many of the rows read last a list knows again. A run
	// keeps none of them from one invocation to the next, and needs no more
	// than a list can move while a page is read.
	remembered = 5000
	// clientAttempts is how often the clients ask unless Options say otherwise.
	clientAttempts = 4
	// named is how many unreadable records of a list one invocation logs.
	named = 10
)

// A listing is how far one side has been listed. It survives in the lease's
// journal.
type listing struct {
	Began      time.Time           `json:"began"`
	At         pagination.Position `json:"at"`
	Moves      pagination.Drift    `json:"moves,omitzero"`
	Shape      string              `json:"shape,omitempty"`      // the documented form that the run's answers are held to
	Unreadable int                 `json:"unreadable,omitempty"` // records that cannot be used, and may be anybody's
	Spoiled    int                 `json:"spoiled,omitempty"`    // records that cannot be used, of whom it is known whose they are
	Drift      int                 `json:"drift,omitempty"`      // signs that somebody may be missing; with any, absence proves nothing
}

// judge counts the signs that rows were missed in a list that has been read to
// its end. Rows that were only pushed on, by others that came in front of them,
// are none: see docs/decisions/0013-lists-that-move.md.
func (l *listing) judge() {
	s := l.At.Signs
	l.Drift = l.Unreadable + max(l.Moves.Unresolved, s.Torn) + s.Unread + s.Reordered
	if l.At.Fixed { // its pages overlap nowhere, so that a row that was pushed on and one that jumped look alike
		l.Drift += s.Moved
	}
}

// A side is one of the two lists.
type side[T any] struct {
	name   string
	source pagination.Source
	decode func(record []byte) (T, error)
	advice string // what to change if the pages cannot be what they claim
	// owner takes note of whose an unusable record is, of which item is what
	// could be read. known is false if it may be anybody's.
	owner func(row pagination.Row, item T) (user int64, known bool)
}

// read reads a list on to its end and hands over what each page shows, one
// after the other. After an error the listing says where to go on.
func (s side[T]) read(ctx context.Context, r *run, l *listing, take func(iter.Seq[T]) error) error {
	reader := pagination.NewReader(s.source, pagination.Window{}, l.At, pagination.NewKnown(remembered), &l.Moves, pagination.Options{
		Attempts: cmp.Or(r.Options.Attempts, clientAttempts), Now: r.Now,
		Awake: func() error { return r.pause(ctx) }, Pulse: aWhile,
	})
	defer reader.Close()
	logged := 0
	for {
		page, err := reader.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			l.At = reader.Position()
			l.judge()
			return nil
		case errors.Is(err, pagination.ErrLoop):
			return fmt.Errorf("listing the %s, %d rows: %w: %s", s.name, l.At.Rows, err, s.advice)
		case err != nil:
			l.At = reader.Position()
			return err
		}
		unreadable, spoiled := 0, 0
		items := func(yield func(T) bool) {
			for _, row := range page.Rows {
				item, fault := s.item(page, row)
				if fault == "" {
					if !yield(item) {
						return
					}
					continue
				}
				user, known := s.owner(row, item)
				if logged++; logged <= named {
					r.Log.WarnContext(ctx, "record of a list not readable", "run", r.at.Run, "list", s.name, "place", row.Place, "user_id", user, "fault", fault)
				}
				if known {
					spoiled++
				} else {
					unreadable++
				}
			}
		}
		if err := take(items); err != nil {
			return err // the page is taken again
		}
		l.Unreadable, l.Spoiled = l.Unreadable+unreadable, l.Spoiled+spoiled
		l.At = reader.Position()
	}
}

// item decodes a row, and says in a constant why it cannot be used.
func (s side[T]) item(page pagination.Page, row pagination.Row) (item T, fault string) {
	item, err := s.decode(page.Body[row.Start:row.End])
	if fault = row.Fault; err != nil {
		fault = cmp.Or(fault, "not of the documented form")
	}
	return item, fault
}

func (r reader) userList() side[supersaas.User] {
	return side[supersaas.User]{
		name: "users", advice: "SuperSaaS ignores limit or offset",
		decode: func(record []byte) (u supersaas.User, err error) {
			err = json.Unmarshal(record, &u)
			return u, err
		},
		source: pagination.Source{Paging: pagination.ByOffset, PageSize: supersaas.MaxLimit, Fetch: func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
			list, err := r.Users.ReadUsers(ctx, supersaas.UsersQuery{Limit: q.Limit, Offset: q.Start, Form: r.Mapping.UsesForm()})
			return list, err
		}},
	}
}

// memberList holds all answers to the form of the first that shows anybody.
func (r *members) memberList(l *listing) side[yappli.Member] {
	paging := pagination.ByOffset
	if r.Quirks.Paging == yappli.ByPage {
		paging = pagination.ByPage
	}
	return side[yappli.Member]{
		name: "members", decode: yappli.DecodeMember,
		advice: "set Yappli's quirk paging to offset or page, whichever the tenant obeys, and page_size to as many rows as it gives on a page, 30 or more",
		source: pagination.Source{Paging: paging, PageSize: r.Quirks.PageSize, Fetch: func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
			query := yappli.UsersQuery{Limit: q.Limit, Offset: q.Start, Shape: l.Shape}
			if paging == pagination.ByPage {
				query.Offset, query.Page = 0, q.Page
			}
			list, err := r.Members.ReadUsers(ctx, query)
			if err == nil && len(list.Records) > 0 {
				l.Shape = cmp.Or(l.Shape, list.Shape)
			}
			return list, err
		}},
	}
}
