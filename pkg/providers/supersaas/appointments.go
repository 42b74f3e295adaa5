package supersaas

import (
	"cmp"
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// An AppointmentsQuery selects the fields that changes and range share.
type AppointmentsQuery struct {
	Schedule int64
	Limit    int    // 0: the provider's default; at most MaxLimit
	Offset   int    // rows to skip
	User     string // name, id or foreign key of a user, "0" for bookings of nobody; empty: all
	Slots    bool   // of a capacity schedule: slots with their bookings
}

func (q AppointmentsQuery) values(from, to time.Time) url.Values {
	v := pageValues(q.Limit, q.Offset)
	if !from.IsZero() {
		v.Set("from", notAfter(from))
	}
	if !to.IsZero() {
		v.Set("to", notBefore(to))
	}
	if q.User != "" {
		v.Set("user", q.User)
	}
	if q.Slots {
		v.Set("slot", "true")
	}
	return v
}

// A ChangesQuery selects bookings by when they were changed.
type ChangesQuery struct {
	AppointmentsQuery
	From time.Time // inclusive; required, since without it only ten rows come
	To   time.Time // zero: now
}

// A RangeQuery selects bookings by when they take place.
type RangeQuery struct {
	AppointmentsQuery
	// From and To, both inclusive, are sent as their own zone's clocks show
	// them: give both in the schedule's zone. Near a change of the clocks the
	// range is made wider, since a local time there is not one instant. Zero
	// leaves the side open.
	From, To time.Time
	Resource int64 // only this resource; 0: all
	Service  int64 // only this service; 0: all
}

// ReadChanges reads one page of changed bookings, deleted ones included.
func (c *Client) ReadChanges(ctx context.Context, q ChangesQuery) (jsonscan.List, error) {
	return c.bookings(ctx, "appointments.changes", q.Limit, q.operation)
}

// ReadRange reads one page of bookings by the time at which they take place.
func (c *Client) ReadRange(ctx context.Context, q RangeQuery) (jsonscan.List, error) {
	return c.bookings(ctx, "appointments.range", q.Limit, q.operation)
}

func (c *Client) bookings(ctx context.Context, op string, limit int, of func(op string) (operation, error)) (jsonscan.List, error) {
	o, err := of(op)
	if err != nil {
		return jsonscan.List{}, err
	}
	return c.list(ctx, op, o, limit, appointmentShapes...)
}

func (q ChangesQuery) operation(op string) (operation, error) {
	if q.From.IsZero() {
		return operation{}, refuse(op, "no start time; without one the provider sends ten rows only")
	}
	return q.on(op, "changes", q.values(q.From.UTC(), q.To.UTC()))
}

func (q RangeQuery) operation(op string) (operation, error) {
	values := q.values(q.From, q.To)
	if q.Resource != 0 {
		values.Set("resource_id", strconv.FormatInt(q.Resource, 10))
	}
	if q.Service != 0 {
		values.Set("service_id", strconv.FormatInt(q.Service, 10))
	}
	return q.on(op, "range", values)
}

// on is a call about the query's schedule.
func (q AppointmentsQuery) on(op, kind string, values url.Values) (operation, error) {
	if q.Schedule <= 0 {
		return operation{}, refuse(op, "no schedule")
	}
	return operation{path: "/api/" + kind + "/" + strconv.FormatInt(q.Schedule, 10) + ".json", query: values}, nil
}

// Changes yields what was changed, page after page from q.Offset on. A
// deleted booking says Deleted.
func (c *Client) Changes(ctx context.Context, q ChangesQuery) iter.Seq2[Appointment, error] {
	return appointments(ctx, "appointments.changes", q.AppointmentsQuery, func(ctx context.Context, page AppointmentsQuery) (jsonscan.List, error) {
		return c.ReadChanges(ctx, ChangesQuery{page, q.From, q.To})
	})
}

// Range yields what takes place in a time range, page after page from
// q.Offset on.
func (c *Client) Range(ctx context.Context, q RangeQuery) iter.Seq2[Appointment, error] {
	return appointments(ctx, "appointments.range", q.AppointmentsQuery, func(ctx context.Context, page AppointmentsQuery) (jsonscan.List, error) {
		q.AppointmentsQuery = page
		return c.ReadRange(ctx, q)
	})
}

// appointments fetches page after page, each with its own offset.
func appointments(ctx context.Context, op string, q AppointmentsQuery, read func(context.Context, AppointmentsQuery) (jsonscan.List, error)) iter.Seq2[Appointment, error] {
	q.Limit = cmp.Or(q.Limit, MaxLimit)
	page := func(ctx context.Context, at call.Position) ([]Appointment, error) {
		next := q
		next.Offset += at.Offset
		list, err := read(ctx, next)
		if err != nil {
			return nil, err
		}
		return call.Records(providers.SuperSaaS, op, list, call.Unmarshal[Appointment])
	}
	return call.Pages(ctx, page, func(a Appointment) string { return strconv.FormatInt(a.ID, 10) })
}
