package supersaastest

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

type fieldRow struct {
	Name     string  `json:"name"`
	Type     string  `json:"type"`
	Label    string  `json:"label"`
	Advanced bool    `json:"advanced"`
	Spec     *string `json:"spec"`
}

// sharedFields are those of users and of bookings that the shop has named.
func sharedFields() []fieldRow {
	return []fieldRow{
		{Name: "name", Type: "email", Label: "メールアドレス"},
		{Name: "full_name", Type: "text", Label: "氏名"},
		{Name: "mobile", Type: "phone", Label: "携帯電話"},
		{Name: "field_1", Type: "text", Label: "フリガナ"},
	}
}

func userFieldRows() []fieldRow {
	choices := "A,B,C"
	return append(sharedFields(),
		fieldRow{Name: "field_2", Type: "text", Label: "会員番号", Advanced: true},
		fieldRow{Name: "super_field", Type: "select", Label: "担当者メモ", Advanced: true, Spec: &choices},
	)
}

func bookingFieldRows() []fieldRow {
	return append(sharedFields(), fieldRow{Name: "field_1_r", Type: "text", Label: "ご要望"})
}

func fieldList(w http.ResponseWriter, r *sandbox.Request) {
	if id, sent := r.Lookup("schedule_id"); sent {
		if scheduleOf(id) == nil {
			fail(w, http.StatusNotFound, "Not found")
			return
		}
		sandbox.JSON(w, http.StatusOK, bookingFieldRows())
		return
	}
	sandbox.JSON(w, http.StatusOK, userFieldRows())
}

// A question says where a call names its schedule and its times.
type question struct {
	schedule string // as the path or a parameter has it
	from, to string // names of parameters; empty: it has none
	utc      bool   // times are UTC, not as the schedule's clocks show them
}

// query is what lists of bookings have in common.
type query struct {
	limit, offset int
	from, to      time.Time // zero: open
	slots         bool
	schedule      *schedule
	diary         *diary // of the schedule
	byUser        bool
	user          int64 // with byUser
}

// scheduleOf is nil if the account has no such schedule.
func scheduleOf(id string) *schedule {
	for i := range schedules {
		if itoa(schedules[i].id) == id {
			return &schedules[i]
		}
	}
	return nil
}

func (c bookingCalls) changes(w http.ResponseWriter, r *sandbox.Request) {
	q, ok := c.query(w, r, question{schedule: r.PathValue("schedule"), from: "from", to: "to", utc: true})
	if !ok {
		return
	}
	rows := q.ofUser(between(q.diary.byChange, func(b *booking) time.Time { return b.changed }, q.from, q.to))
	if q.from.IsZero() && len(rows) > 10 {
		rows = rows[len(rows)-10:]
	}
	c.answer(w, q, rows)
}

// span is the call named range.
func (c bookingCalls) span(w http.ResponseWriter, r *sandbox.Request) {
	q, ok := c.query(w, r, question{schedule: r.PathValue("schedule"), from: "from", to: "to"})
	if !ok {
		return
	}
	if r.True("today") {
		year, month, day := c.now().In(q.schedule.zone).Date()
		q.from = time.Date(year, month, day, 0, 0, 0, 0, q.schedule.zone)
		q.to = q.from.AddDate(0, 0, 1)
	}
	rows := q.ofUser(q.starting())
	resource, service := r.Param("resource_id"), r.Param("service_id")
	if resource != "" || service != "" {
		rows = slices.DeleteFunc(slices.Clone(rows), func(b *booking) bool {
			record := parseObject(c.bookings.record(b))
			return resource != "" && textOf(record["resource_id"]) != resource || service != "" && textOf(record["service_id"]) != service
		})
	}
	c.answer(w, q, rows)
}

// query reads the parameters and refuses what a type of schedule does not
// have: 405 on capacity, 501 on service schedules.
func (c bookingCalls) query(w http.ResponseWriter, r *sandbox.Request, asked question) (q query, ok bool) {
	if q.limit, q.offset, ok = window(w, r); !ok {
		return q, false
	}
	if q.offset > 0 {
		q.offset += c.server.Drifting()
	}
	q.schedule = scheduleOf(strings.TrimSuffix(asked.schedule, ".json"))
	if q.schedule == nil {
		fail(w, http.StatusNotFound, "Not found")
		return q, false
	}
	capacity := q.schedule.id == CapacitySchedule
	q.slots = capacity && r.True("slot")
	_, byResource := r.Lookup("resource_id")
	switch {
	case capacity && byResource:
		fail(w, http.StatusMethodNotAllowed, "Not available for capacity type schedule")
		return q, false
	case q.schedule.id == ServiceSchedule && r.True("slot"):
		fail(w, http.StatusNotImplemented, "Not implemented for service type schedule")
		return q, false
	}
	if !q.readTimes(w, r, asked) {
		return q, false
	}
	user, byUser := r.Lookup("user")
	q.diary, q.byUser, q.user = c.bookings.diaries[q.schedule.id], byUser, c.users.number(user)
	return q, true
}

func (q *query) readTimes(w http.ResponseWriter, r *sandbox.Request, asked question) bool {
	zone := q.schedule.zone
	if asked.utc {
		zone = time.UTC
	}
	for name, into := range map[string]*time.Time{asked.from: &q.from, asked.to: &q.to} {
		text, sent := r.Lookup(name)
		if name == "" || !sent {
			continue
		}
		at, ok := queryTime(text, zone)
		if !ok {
			fail(w, http.StatusBadRequest, "Bad request: "+name+" must be YYYY-MM-DD HH:MM:SS")
			return false
		}
		*into = at
	}
	return true
}

func queryTime(text string, zone *time.Location) (at time.Time, ok bool) {
	return timeIn(text, zone, time.DateTime, time.DateOnly)
}

// timeIn reads a time by the first layout that fits.
func timeIn(text string, zone *time.Location, layouts ...string) (at time.Time, ok bool) {
	for _, layout := range layouts {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// starting returns the bookings that begin in the time asked for, in order.
func (q *query) starting() []*booking {
	return between(q.diary.byStart, func(b *booking) time.Time { return b.start }, q.from, q.to)
}

// ofUser keeps the bookings of the user asked for; of everybody, if none is.
func (q *query) ofUser(rows []*booking) []*booking {
	if !q.byUser {
		return rows
	}
	return slices.DeleteFunc(slices.Clone(rows), func(b *booking) bool { return b.user != q.user })
}

func (c bookingCalls) answer(w http.ResponseWriter, q query, list []*booking) {
	list = sandbox.Disordered(c.server, list)
	name, rows := "bookings", [][]byte{}
	if q.slots {
		name, rows = "slots", c.bookings.slots(list, q)
	} else {
		for _, b := range slice(list, q.limit, q.offset) {
			rows = append(rows, c.bookings.record(b))
		}
	}
	if c.set.Knobs.BareLists {
		sandbox.Encoded(w, array(rows))
		return
	}
	sandbox.Encoded(w, object{name: array(rows)}.encode(nil))
}

// slots groups bookings by slot, in the order in which the slots come first,
// and renders those of the page.
func (t *bookings) slots(list []*booking, q query) [][]byte {
	var heads []*booking
	seen := map[int]bool{}
	for _, b := range list {
		if !seen[b.slot] {
			heads, seen[b.slot] = append(heads, b), true
		}
	}
	heads = slice(heads, q.limit, q.offset)
	inside := map[int][][]byte{}
	for _, b := range heads {
		inside[b.slot] = [][]byte{}
	}
	for _, b := range list {
		if of, ok := inside[b.slot]; ok {
			inside[b.slot] = append(of, t.record(b))
		}
	}
	rows := make([][]byte, len(heads))
	for i, b := range heads {
		rows[i] = t.slot(b, inside[b.slot])
	}
	return rows
}
