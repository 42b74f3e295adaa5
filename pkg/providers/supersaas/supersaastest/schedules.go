package supersaastest

import (
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
	diary         *diary // of the schedule
	byUser        bool
	user          int64 // with byUser
}

func (s *Server) listChanges(w http.ResponseWriter, r *sandbox.Request) {
	q, ok := s.query(w, r, time.UTC)
	if !ok {
		return
	}
	rows := q.ofUser(between(q.diary.byChange, func(b *booking) time.Time { return b.changed }, q.from, q.to))
	if q.from.IsZero() && len(rows) > 10 {
		rows = rows[len(rows)-10:]
	}
	s.answer(w, q, rows)
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
	if r.True("today") {
		year, month, day := s.Now().In(zone).Date()
		q.from = time.Date(year, month, day, 0, 0, 0, 0, zone)
		q.to = q.from.AddDate(0, 0, 1)
	}
	rows := q.ofUser(between(q.diary.byStart, func(b *booking) time.Time { return b.start }, q.from, q.to))
	resource, service := r.Param("resource_id"), r.Param("service_id")
	if resource != "" || service != "" {
		rows = slices.DeleteFunc(slices.Clone(rows), func(b *booking) bool {
			record := parseObject(s.bookings.record(b))
			return resource != "" && textOf(record["resource_id"]) != resource || service != "" && textOf(record["service_id"]) != service
		})
	}
	s.answer(w, q, rows)
}

// query reads the parameters and refuses what a type of schedule does not
// have: 405 on capacity, 501 on service schedules.
func (s *Server) query(w http.ResponseWriter, r *sandbox.Request, zone *time.Location) (q query, ok bool) {
	if q.limit, q.offset, ok = window(w, r); !ok {
		return q, false
	}
	id, isSchedule := s.parent("schedule", strings.TrimSuffix(r.PathValue("schedule"), ".json"))
	q.slots = id == CapacitySchedule && r.True("slot")
	_, byResource := r.Lookup("resource_id")
	switch {
	case !isSchedule:
		fail(w, http.StatusNotFound, "Not found")
		return q, false
	case id == CapacitySchedule && byResource:
		fail(w, http.StatusMethodNotAllowed, "Not available for capacity type schedule")
		return q, false
	case id == ServiceSchedule && r.True("slot"):
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
	q.diary, q.byUser = s.bookings.diaries[id], byUser
	if u := s.users.find(user); u != nil {
		q.user = u.id
	} else if user != "0" {
		q.user = -1
	}
	return q, true
}

// ofUser keeps the bookings of the user asked for; of everybody, if none is.
func (q *query) ofUser(rows []*booking) []*booking {
	if !q.byUser {
		return rows
	}
	return slices.DeleteFunc(slices.Clone(rows), func(b *booking) bool { return b.user != q.user })
}

func (s *Server) answer(w http.ResponseWriter, q query, list []*booking) {
	name, rows := "bookings", [][]byte{}
	if q.slots {
		name, rows = "slots", s.bookings.slots(list, q)
	} else {
		for _, b := range slice(list, q.limit, q.offset) {
			rows = append(rows, s.bookings.record(b))
		}
	}
	if s.Knobs.BareLists {
		answer(w, array(rows))
		return
	}
	answer(w, object{name: array(rows)}.encode(nil))
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
