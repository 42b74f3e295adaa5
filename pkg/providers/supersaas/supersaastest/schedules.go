package supersaastest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"hikyaku/pkg/providers/internal/sandbox"
)

func (s *Server) listSchedules(w http.ResponseWriter, _ *sandbox.Request) {
	rows := []any{}
	for _, c := range schedules {
		if s.Knobs.Tuples {
			rows = append(rows, []any{c.id, c.name})
			continue
		}
		rows = append(rows, map[string]any{"id": c.id, "name": c.name})
	}
	sandbox.JSON(w, http.StatusOK, rows)
}

type fieldRow struct {
	Name     string  `json:"name"`
	Type     string  `json:"type"`
	Label    string  `json:"label"`
	Advanced bool    `json:"advanced"`
	Spec     *string `json:"spec"`
}

func (s *Server) fieldList(w http.ResponseWriter, r *sandbox.Request) {
	rows := []fieldRow{
		{Name: "name", Type: "email", Label: "メールアドレス"},
		{Name: "full_name", Type: "text", Label: "氏名"},
		{Name: "mobile", Type: "phone", Label: "携帯電話"},
		{Name: "field_1", Type: "text", Label: "フリガナ"},
	}
	if id, sent := r.Lookup("schedule_id"); sent {
		if _, ok := s.parent("schedule", id); !ok {
			fail(w, http.StatusNotFound, "Not found")
			return
		}
		sandbox.JSON(w, http.StatusOK, append(rows, fieldRow{Name: "field_1_r", Type: "text", Label: "ご要望"}))
		return
	}
	choices := "A,B,C"
	sandbox.JSON(w, http.StatusOK, append(rows,
		fieldRow{Name: "field_2", Type: "text", Label: "会員番号", Advanced: true},
		fieldRow{Name: "super_field", Type: "select", Label: "担当者メモ", Advanced: true, Spec: &choices},
	))
}

// query is what changes and range have in common.
type query struct {
	limit, offset int
	from, to      time.Time // zero: open
	slots         bool
	rows          []*booking // of the schedule, and of the user asked for
}

func (s *Server) listChanges(w http.ResponseWriter, r *sandbox.Request) {
	q, ok := s.query(w, r, time.UTC)
	if !ok {
		return
	}
	latest := q.from.IsZero()
	q.keep(func(b *booking) time.Time { return b.changed })
	if latest && len(q.rows) > 10 {
		q.rows = q.rows[len(q.rows)-10:]
	}
	s.answer(w, q)
}

func (s *Server) listRange(w http.ResponseWriter, r *sandbox.Request) {
	id := strings.TrimSuffix(r.PathValue("schedule"), ".json")
	var zone *time.Location
	for _, c := range schedules {
		if itoa(c.id) == id {
			zone = c.zone
		}
	}
	q, ok := s.query(w, r, zone)
	if !ok {
		return
	}
	if r.Param("today") == "true" {
		year, month, day := s.Now().In(zone).Date()
		q.from = time.Date(year, month, day, 0, 0, 0, 0, zone)
		q.to = q.from.AddDate(0, 0, 1)
	}
	resource, service := r.Param("resource_id"), r.Param("service_id")
	q.rows = slices.DeleteFunc(q.rows, func(b *booking) bool {
		record := parseObject(s.bookings.record(b))
		return b.deleted || resource != "" && textOf(record["resource_id"]) != resource || service != "" && textOf(record["service_id"]) != service
	})
	q.keep(func(b *booking) time.Time { return b.start })
	s.answer(w, q)
}

// query reads the parameters and refuses what a type of schedule does not
// have: 405 on capacity, 501 on service schedules.
func (s *Server) query(w http.ResponseWriter, r *sandbox.Request, zone *time.Location) (q query, ok bool) {
	if q.limit, q.offset, ok = window(w, r); !ok {
		return q, false
	}
	id, isSchedule := s.parent("schedule", strings.TrimSuffix(r.PathValue("schedule"), ".json"))
	q.slots = id == CapacitySchedule && r.Param("slot") == "true"
	_, byResource := r.Lookup("resource_id")
	switch {
	case !isSchedule:
		fail(w, http.StatusNotFound, "Not found")
		return q, false
	case id == CapacitySchedule && byResource:
		fail(w, http.StatusMethodNotAllowed, "Not available for capacity type schedule")
		return q, false
	case id == ServiceSchedule && r.Param("slot") == "true":
		fail(w, http.StatusNotImplemented, "Not implemented for service type schedule")
		return q, false
	}
	for name, into := range map[string]*time.Time{"from": &q.from, "to": &q.to} {
		text, sent := r.Lookup(name)
		if !sent {
			continue
		}
		at, err := time.ParseInLocation(time.DateTime, text, zone)
		if err != nil {
			at, err = time.ParseInLocation(time.DateOnly, text, zone)
		}
		if err != nil {
			fail(w, http.StatusBadRequest, "Bad request: "+name+" must be YYYY-MM-DD HH:MM:SS")
			return q, false
		}
		*into = at
	}
	user, byUser := r.Lookup("user")
	var only int64
	if u := s.users.find(user); u != nil {
		only = u.id
	} else if byUser && user != "0" {
		only = -1
	}
	for _, b := range s.bookings.list {
		if b.schedule.id == id && (!byUser || b.user == only) {
			q.rows = append(q.rows, b)
		}
	}
	return q, true
}

// keep sorts by a time and keeps what lies in [from, to).
func (q *query) keep(at func(*booking) time.Time) {
	q.rows = slices.DeleteFunc(q.rows, func(b *booking) bool {
		t := at(b)
		return t.Before(q.from) || !q.to.IsZero() && !t.Before(q.to)
	})
	slices.SortFunc(q.rows, func(a, b *booking) int { return cmp.Or(at(a).Compare(at(b)), cmp.Compare(a.id, b.id)) })
}

func (s *Server) answer(w http.ResponseWriter, q query) {
	name, rows := "bookings", [][]byte{}
	if q.slots {
		name, rows = "slots", s.bookings.slots(q.rows)
		rows = slice(rows, q.limit, q.offset)
	} else {
		for _, b := range slice(q.rows, q.limit, q.offset) {
			rows = append(rows, s.bookings.record(b))
		}
	}
	if s.Knobs.BareLists {
		answer(w, array(rows))
		return
	}
	answer(w, object{name: array(rows)}.encode(nil))
}

// slots groups bookings by slot, in the order in which the slots come first.
func (t *bookings) slots(list []*booking) [][]byte {
	var heads []*booking
	inside := map[int][][]byte{}
	for _, b := range list {
		if inside[b.slot] == nil {
			heads = append(heads, b)
		}
		inside[b.slot] = append(inside[b.slot], t.record(b))
	}
	rows := make([][]byte, len(heads))
	for i, b := range heads {
		rows[i] = t.slot(b, inside[b.slot])
	}
	return rows
}
