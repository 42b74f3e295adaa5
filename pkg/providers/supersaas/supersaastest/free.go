package supersaastest

import (
	"net/http"
	"strconv"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// The shop's hours, schedule-local, and how far ahead it takes bookings.
const (
	opens, closes = 9, 19
	daysAhead     = 60
)

// defaultFree is how many free times are answered unless maxresults says
// otherwise. The provider's own number is not known.
const defaultFree = 10

// agenda answers one user's bookings from a time on; from now, if none is
// said.
func (c bookingCalls) agenda(w http.ResponseWriter, r *sandbox.Request) {
	if r.Param("user") == "" {
		fail(w, http.StatusBadRequest, "Bad request: user is missing")
		return
	}
	q, ok := c.query(w, r, question{schedule: r.PathValue("schedule"), from: "from"})
	if !ok {
		return
	}
	if q.from.IsZero() {
		q.from = c.now()
	}
	c.answer(w, q, q.ofUser(q.starting()))
}

// A freeQuery asks for times at which something can be booked.
type freeQuery struct {
	query
	length time.Duration
	most   int
	full   bool // also what is taken
	rooms  []named
}

func (c bookingCalls) free(w http.ResponseWriter, r *sandbox.Request) {
	q, ok := c.freeQuery(w, r)
	if !ok {
		return
	}
	rows := [][]byte{}
	if q.slots {
		rows = c.bookings.slots(q.starting(), query{limit: q.most})
	} else {
		rows = append(rows, c.bookings.free(q)...)
	}
	if c.set.Knobs.BareLists {
		sandbox.Encoded(w, array(rows))
		return
	}
	sandbox.Encoded(w, object{"slots": array(rows)}.encode(nil))
}

func (c bookingCalls) freeQuery(w http.ResponseWriter, r *sandbox.Request) (q freeQuery, ok bool) {
	if q.query, ok = c.query(w, r, question{schedule: r.PathValue("schedule"), from: "from"}); !ok {
		return q, false
	}
	if q.from.IsZero() {
		q.from = c.now()
	}
	q.slots, q.most, q.full, q.rooms = q.schedule.id == CapacitySchedule, defaultFree, r.True("full"), resources
	minutes := 60
	for name, into := range map[string]*int{"length": &minutes, "maxresults": &q.most} {
		text, sent := r.Lookup(name)
		n, err := strconv.Atoi(text)
		if sent && (err != nil || n < 1 || n > maxLimit) {
			fail(w, http.StatusBadRequest, "Bad request: "+name+" must be a number from 1 to "+strconv.Itoa(maxLimit))
			return q, false
		}
		if sent {
			*into = n
		}
	}
	q.length = time.Duration(minutes) * time.Minute
	room, byRoom := r.Lookup("resource")
	switch {
	case q.schedule.id == ServiceSchedule:
		fail(w, http.StatusNotImplemented, "Not implemented for service type schedule")
		return q, false
	case byRoom && q.slots:
		fail(w, http.StatusMethodNotAllowed, "Not available for capacity type schedule")
		return q, false
	case byRoom:
		q.rooms = pick(resources, room)
		if len(q.rooms) == 0 {
			fail(w, http.StatusNotFound, "Not found")
			return q, false
		}
	}
	return q, true
}

// free returns the times of the shop's hours at which a resource is free.
func (t *bookings) free(q freeQuery) (rows [][]byte) {
	zone := q.schedule.zone
	year, month, day := q.from.In(zone).Date()
	for d := range daysAhead {
		closing := time.Date(year, month, day+d, closes, 0, 0, 0, zone)
		for at := time.Date(year, month, day+d, opens, 0, 0, 0, zone); !at.Add(q.length).After(closing); at = at.Add(q.length) {
			if at.Before(q.from) {
				continue
			}
			for _, room := range q.rooms {
				if len(rows) == q.most {
					return rows
				}
				taken := 0
				for _, b := range t.during(q.schedule.id, at, at.Add(q.length)) {
					if b.room() == room.id {
						taken = 1
					}
				}
				if taken == 0 || q.full {
					rows = append(rows, freeTime(room, at, q.length, taken))
				}
			}
		}
	}
	return rows
}

func freeTime(room named, at time.Time, length time.Duration, taken int) []byte {
	return objectOf(map[string]any{
		"title": room.name, "name": room.name, "resource_id": room.id, "start": at.Format(localMinutes), "finish": at.Add(length).Format(localMinutes),
		"start_utc": stamp(at), "finish_utc": stamp(at.Add(length)), "count": taken, "capacity": 1,
	}).encode(slotOrder)
}
