package supersaastest

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// document is a sandbox's records as JSON. Users and appointments are exactly
// as the lists serve them, users without and appointments within range.
type document struct {
	Users               []json.RawMessage          `json:"users"`
	DeletedUsers        []json.RawMessage          `json:"deleted_users"`
	UserForms           map[string]json.RawMessage `json:"user_forms"`
	Appointments        []json.RawMessage          `json:"appointments"`
	DeletedAppointments []json.RawMessage          `json:"deleted_appointments"`
	AppointmentForms    map[string]json.RawMessage `json:"appointment_forms"`
	Forms               []json.RawMessage          `json:"forms"`      // submissions, the deleted ones included
	Promotions          []promotion                `json:"promotions"` // null: those of a new sandbox
	Hooks               []Hook                     `json:"hooks"`
}

// Dump writes all records as one JSON document, for Load.
func (s *Server) Dump(w io.Writer) error {
	d := document{
		Users: []json.RawMessage{}, DeletedUsers: []json.RawMessage{}, UserForms: map[string]json.RawMessage{},
		Appointments: []json.RawMessage{}, DeletedAppointments: []json.RawMessage{}, AppointmentForms: map[string]json.RawMessage{}, Forms: []json.RawMessage{},
	}
	s.Do(func() {
		for _, u := range s.users.shown() {
			d.Users = append(d.Users, s.users.record(u))
		}
		for _, u := range s.users.byID {
			if u.deleted {
				d.DeletedUsers = append(d.DeletedUsers, s.users.record(u))
			}
			if u.form != nil {
				d.UserForms[itoa(u.id)] = u.form
			}
		}
		for _, f := range s.forms.list {
			d.Forms = append(d.Forms, f.record())
		}
		d.Promotions = append([]promotion{}, s.promotions.list...)
		for _, b := range s.bookings.list {
			if b.form != nil {
				d.AppointmentForms[itoa(b.id)] = b.form
			}
			if b.deleted {
				d.DeletedAppointments = append(d.DeletedAppointments, s.bookings.record(b))
			} else {
				d.Appointments = append(d.Appointments, s.bookings.record(b))
			}
		}
		d.Hooks = append([]Hook{}, s.hooks.list...)
	})
	return sandbox.Dump(w, d)
}

// Load replaces all records by those of a document that Dump wrote, or that a
// person made in its form. Nothing changes if it cannot be read.
func (s *Server) Load(r io.Reader) error {
	var d document
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		return fmt.Errorf("loading supersaas records: %w", err)
	}
	loaded := Server{
		users: newUsers(&s.Settings, s.Now, s.seed, 0), bookings: newBookings(&s.users, s.Now, 0),
		forms: newForms(&s.users, 0), promotions: promotions{list: d.Promotions},
	}
	for _, raw := range append(d.Users, d.DeletedUsers...) {
		if err := loaded.users.load(raw, d.UserForms); err != nil {
			return err
		}
	}
	for _, raw := range append(d.Appointments, d.DeletedAppointments...) {
		if err := loaded.bookings.load(raw, d.AppointmentForms); err != nil {
			return err
		}
	}
	for _, raw := range d.Forms {
		if err := loaded.forms.load(raw); err != nil {
			return err
		}
	}
	if d.Promotions == nil {
		loaded.promotions = templates()
	}
	loaded.bookings.index()
	s.Do(func() {
		s.replace(&loaded)
		s.hooks.replace(d.Hooks)
	})
	return nil
}

func (t *users) load(raw json.RawMessage, forms map[string]json.RawMessage) error {
	o := parseObject(raw)
	id, err := strconv.ParseInt(textOf(o["id"]), 10, 64)
	name := textOf(o["name"])
	if err != nil || id <= 0 || t.byID[id] != nil || t.byName[name] != nil {
		return fmt.Errorf("loading supersaas records: a user needs an id and a name of its own")
	}
	u := &user{id: id, name: name, number: -1, raw: compact(raw), form: compact(forms[itoa(id)])}
	if fk := o["fk"]; fk != nil && string(fk) != "null" {
		u.fk = strings.TrimSuffix(textOf(fk), "fk")
	}
	t.next = max(t.next, id+stepUser)
	if u.deleted = sandbox.IsTrue(textOf(o["deleted"])); u.deleted {
		t.byID[id] = u
		return nil
	}
	t.insert(u)
	return nil
}

func (t *bookings) load(raw json.RawMessage, forms map[string]json.RawMessage) error {
	o := parseObject(raw)
	id, err := strconv.ParseInt(textOf(o["id"]), 10, 64)
	b := &booking{id: id, raw: compact(raw), deleted: sandbox.IsTrue(textOf(o["deleted"])), resource: number(o["resource_id"]), form: compact(forms[itoa(id)])}
	b.schedule = scheduleOf(textOf(o["schedule_id"]))
	if err != nil || b.schedule == nil {
		return fmt.Errorf("loading supersaas records: an appointment needs an id and one of the sandbox's schedule_ids")
	}
	b.user = number(o["user_id"])
	start := o
	if o["slot"] != nil {
		start = parseObject(o["slot"])
		slot, _ := strconv.Atoi(textOf(start["id"]))
		b.slot = slot - firstSlot
	}
	b.start, err = time.ParseInLocation(localMinutes, textOf(start["start"]), b.schedule.zone)
	if err != nil {
		return fmt.Errorf("loading supersaas records: an appointment needs a start such as 2025-04-08T09:00")
	}
	if finish, err := time.ParseInLocation(localMinutes, textOf(start["finish"]), b.schedule.zone); err == nil {
		b.length = max(finish.Sub(b.start), 0)
	}
	b.created, _ = time.Parse(time.RFC3339, textOf(o["created_on"]))
	b.changed = b.created
	if at, err := time.Parse(time.RFC3339, textOf(o["updated_on"])); err == nil {
		b.changed = at
	}
	t.list = append(t.list, b)
	return nil
}
