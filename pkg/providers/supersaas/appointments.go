package supersaas

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"

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
		v.Set("from", from.Format(time.DateTime))
	}
	if !to.IsZero() {
		v.Set("to", to.Format(time.DateTime))
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
	// From and To are sent as their own zone's clocks show them: give both
	// in the schedule's zone. Zero leaves the side open.
	From, To time.Time
	Resource int64 // only this resource; 0: all
	Service  int64 // only this service; 0: all
}

// ChangesPage returns a page of changed bookings, deleted ones included, as
// the provider's own bytes: {"bookings":[...]}, {"slots":[...]} or an array.
func (c *Client) ChangesPage(ctx context.Context, q ChangesQuery) ([]byte, error) {
	r, err := c.changesPage(ctx, q)
	return r.Body, err
}

func (c *Client) changesPage(ctx context.Context, q ChangesQuery) (call.Response, error) {
	const op = "appointments.changes"
	if q.From.IsZero() {
		return call.Response{}, refuse(op, "no start time; without one the provider sends ten rows only")
	}
	values := q.values(q.From.UTC(), q.To.UTC())
	return c.appointmentsPage(ctx, op, "changes", q.Schedule, values)
}

// RangePage returns a page of bookings by the time at which they take place,
// as the provider's own bytes, like ChangesPage.
func (c *Client) RangePage(ctx context.Context, q RangeQuery) ([]byte, error) {
	r, err := c.rangePage(ctx, q)
	return r.Body, err
}

func (c *Client) rangePage(ctx context.Context, q RangeQuery) (call.Response, error) {
	values := q.values(q.From, q.To)
	if q.Resource != 0 {
		values.Set("resource_id", strconv.FormatInt(q.Resource, 10))
	}
	if q.Service != 0 {
		values.Set("service_id", strconv.FormatInt(q.Service, 10))
	}
	return c.appointmentsPage(ctx, "appointments.range", "range", q.Schedule, values)
}

func (c *Client) appointmentsPage(ctx context.Context, op, kind string, schedule int64, values url.Values) (call.Response, error) {
	if schedule <= 0 {
		return call.Response{}, refuse(op, "no schedule")
	}
	return c.do(ctx, op, operation{path: "/api/" + kind + "/" + strconv.FormatInt(schedule, 10) + ".json", query: values})
}

// Changes yields what was changed, page after page from q.Offset on. A
// deleted booking says Deleted.
func (c *Client) Changes(ctx context.Context, q ChangesQuery) iter.Seq2[Appointment, error] {
	return appointments(ctx, "appointments.changes", q.AppointmentsQuery, func(ctx context.Context, page AppointmentsQuery) (call.Response, error) {
		next := q
		next.AppointmentsQuery = page
		return c.changesPage(ctx, next)
	})
}

// Range yields what takes place in a time range, page after page from
// q.Offset on.
func (c *Client) Range(ctx context.Context, q RangeQuery) iter.Seq2[Appointment, error] {
	return appointments(ctx, "appointments.range", q.AppointmentsQuery, func(ctx context.Context, page AppointmentsQuery) (call.Response, error) {
		next := q
		next.AppointmentsQuery = page
		return c.rangePage(ctx, next)
	})
}

// appointments fetches page after page, each with its own offset.
func appointments(ctx context.Context, op string, q AppointmentsQuery, fetch func(context.Context, AppointmentsQuery) (call.Response, error)) iter.Seq2[Appointment, error] {
	if q.Limit == 0 {
		q.Limit = MaxLimit
	}
	page := func(ctx context.Context, at call.Position) ([]Appointment, error) {
		next := q
		next.Offset += at.Offset
		r, err := fetch(ctx, next)
		if err != nil {
			return nil, err
		}
		var list appointmentList
		return list, call.Decode(providers.SuperSaaS, op, r, &list)
	}
	return call.Pages(ctx, page, func(a Appointment) string { return strconv.FormatInt(a.ID, 10) })
}
