package supersaastest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// bookable are the attributes of a booking that a call may send, those that
// the official clients do.
var bookable = []string{
	"start", "finish", "full_name", "email", "address", "mobile", "phone", "country", "field_1", "field_2", "field_1_r", "field_2_r",
	"super_field", "resource_id", "service_id", "slot_id",
}

// A complaint is a rule that a booking breaks, and the field that breaks it.
type complaint struct{ field, text string }

const blank = "can't be blank"

// bookingCalls serve the calls about bookings and schedules.
type bookingCalls struct {
	set      *Settings
	now      func() time.Time
	users    *users
	bookings *bookings
	hooks    *hooks
	server   *sandbox.Server // of whose troubles the lists know
}

// list answers an array, without a name around it. No official client
// wants one there, and all of them read it.
func (c bookingCalls) list(w http.ResponseWriter, r *sandbox.Request) {
	q, ok := c.query(w, r, question{schedule: r.Param("schedule_id"), from: "start", to: "finish"})
	if !ok {
		return
	}
	rows := [][]byte{}
	for _, b := range slice(sandbox.Disordered(c.server, q.starting()), q.limit, q.offset) {
		rows = append(rows, c.bookings.show(b, r.True("form")))
	}
	sandbox.Encoded(w, array(rows))
}

// show returns a booking as the API does, with the form if asked for.
func (t *bookings) show(b *booking, form bool) []byte { return shown(t.record(b), b.form, form) }

// find returns the booking that a call names, or answers that there is
// none. The schedule may be left out, since an id is the account's.
func (c bookingCalls) find(w http.ResponseWriter, r *sandbox.Request) *booking {
	id := strings.TrimSuffix(r.PathValue("id"), ".json")
	schedule, named := r.Lookup("schedule_id")
	number, err := strconv.ParseInt(id, 10, 64)
	b := c.bookings.byID[number]
	if err == nil && b != nil && itoa(number) == id && (!named || itoa(b.schedule.id) == schedule) {
		return b
	}
	fail(w, http.StatusNotFound, "Not found")
	return nil
}

// live is find for what was not deleted.
func (c bookingCalls) live(w http.ResponseWriter, r *sandbox.Request) *booking {
	b := c.find(w, r)
	if b != nil && b.deleted {
		fail(w, http.StatusNotFound, "Not found")
		return nil
	}
	return b
}

func (c bookingCalls) get(w http.ResponseWriter, r *sandbox.Request) {
	b := c.find(w, r)
	switch {
	case b == nil:
	case b.deleted && !c.set.Knobs.GoneAsUser:
		fail(w, http.StatusNotFound, "Not found")
	default:
		sandbox.Encoded(w, c.bookings.show(b, r.True("form")))
	}
}

func (c bookingCalls) create(w http.ResponseWriter, r *sandbox.Request) {
	place := scheduleOf(r.Param("schedule_id"))
	if place == nil {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	now := c.now()
	b := &booking{id: c.bookings.nextID(), schedule: place, created: now, changed: now}
	if !c.fill(w, r, b, true) {
		return
	}
	c.bookings.add(b)
	c.hooks.fireBooking(c.bookings, b, "create", r.True("webhook"))
	created(w, r, "/api/bookings/"+itoa(b.id)+".json")
}

// update answers the booking: the official Python client makes one of
// the answer.
func (c bookingCalls) update(w http.ResponseWriter, r *sandbox.Request) {
	b := c.live(w, r)
	if b == nil {
		return
	}
	changed := *b
	changed.thaw()
	changed.changed = c.now()
	if !c.fill(w, r, &changed, false) {
		return
	}
	c.bookings.replace(b, changed)
	c.hooks.fireBooking(c.bookings, b, "edit", r.True("webhook"))
	sandbox.Encoded(w, c.bookings.show(b, r.True("form")))
}

func (c bookingCalls) delete(w http.ResponseWriter, r *sandbox.Request) {
	b := c.live(w, r)
	if b == nil {
		return
	}
	c.bookings.change(b, "destroy")
	c.hooks.fireBooking(c.bookings, b, "destroy", r.True("webhook"))
	w.WriteHeader(http.StatusOK)
}

// fill puts what a call sends into b, or answers why not.
func (c bookingCalls) fill(w http.ResponseWriter, r *sandbox.Request, b *booking, isNew bool) bool {
	fields, err := attributes(r, "booking", "Booking", bookable)
	if err != nil {
		fail(w, http.StatusBadRequest, "Bad request: "+err.Error())
		return false
	}
	if key, sent := r.Lookup("user_id"); sent {
		fields.set("user_id", key)
	}
	broken := c.bookings.fill(b, fields, isNew)
	if broken == nil {
		return true
	}
	status := http.StatusUnprocessableEntity
	if *broken == conflict {
		status = cmp.Or(c.set.Knobs.ConflictStatus, status)
	}
	complain(w, status, broken.field, broken.text)
	return false
}

// conflict is the complaint about a time that is taken.
var conflict = complaint{"start", "conflicts with another booking"}

// fill puts fields into b, user_id among them, and returns the first rule that this
// breaks.
func (t *bookings) fill(b *booking, fields object, isNew bool) *complaint {
	for _, set := range []func(*booking, object, bool) *complaint{t.setUser, setTime, setPlace, t.setSlot, setTexts} {
		if broken := set(b, fields, isNew); broken != nil {
			return broken
		}
	}
	if t.clashes(b) {
		return &conflict
	}
	return nil
}

// setUser reads whose booking it is; 0 leaves it without a user.
func (t *bookings) setUser(b *booking, fields object, _ bool) *complaint {
	raw, sent := fields["user_id"]
	if !sent {
		return nil
	}
	key := textOf(raw)
	b.forget("user_id", "full_name", "email", "created_by")
	if b.user = 0; key == "0" || key == "" {
		return nil
	}
	u := t.users.find(key)
	if u == nil || u.deleted {
		return &complaint{"user_id", "is invalid"}
	}
	b.user = u.id
	return nil
}

// setTime reads start and finish, which the slot of a capacity schedule has
// instead of its bookings.
func setTime(b *booking, fields object, isNew bool) *complaint {
	if b.schedule.id == CapacitySchedule {
		return nil
	}
	start, finish := b.start, b.finish()
	if isNew && b.schedule.id == ServiceSchedule {
		finish = time.Time{} // as long as the service takes
	}
	for _, t := range []struct {
		name   string
		into   *time.Time
		needed bool
	}{{"start", &start, isNew}, {"finish", &finish, isNew && b.schedule.id == ResourceSchedule}} {
		text, sent := sentText(fields, t.name)
		at, ok := localTime(text, b.schedule.zone)
		switch {
		case ok:
			*t.into = at
		case text == "" && (t.needed || sent):
			return &complaint{t.name, blank}
		case sent:
			return &complaint{t.name, "is invalid"}
		}
	}
	_, moved := sentText(fields, "start")
	if _, sent := sentText(fields, "finish"); finish.IsZero() || moved && !sent {
		finish = start.Add(b.finish().Sub(b.start)) // as long as before, or as the service takes
	}
	if !finish.After(start) {
		return &complaint{"finish", "must be after start"}
	}
	if isNew || !start.Equal(b.start) || !finish.Equal(b.finish()) {
		b.start, b.length = start, finish.Sub(start)
		b.forget("start", "finish", "start_utc", "finish_utc")
	}
	return nil
}

// sentText returns an attribute as text; null counts as not sent.
func sentText(fields object, name string) (text string, sent bool) {
	raw, sent := fields[name]
	return textOf(raw), sent && string(raw) != "null"
}

// localTime reads a time of a schedule: as its clocks show it, unless it says
// an offset.
func localTime(text string, zone *time.Location) (at time.Time, ok bool) {
	at, ok = timeIn(text, zone, time.DateTime, "2006-01-02 15:04", localMinutes, "2006-01-02T15:04:05", time.RFC3339)
	return at.In(zone), ok
}

// setPlace reads what of the schedule is booked.
func setPlace(b *booking, fields object, _ bool) *complaint {
	for _, part := range []struct {
		name     string
		schedule int64
		choices  []named
	}{{"resource_id", ResourceSchedule, resources}, {"service_id", ServiceSchedule, services}} {
		raw := fields[part.name]
		switch _, sent := sentText(fields, part.name); {
		case !sent:
			continue
		case b.schedule.id != part.schedule || nameIn(part.choices, number(raw)) == "":
			return &complaint{part.name, "is invalid"}
		case part.schedule == ResourceSchedule:
			b.resource = number(raw)
			b.forget("resource_id", "res_name")
		}
	}
	return nil
}

// setSlot puts a booking of a capacity schedule into a slot that is there.
func (t *bookings) setSlot(b *booking, fields object, isNew bool) *complaint {
	_, sent := sentText(fields, "slot_id")
	switch {
	case b.schedule.id != CapacitySchedule && sent:
		return &complaint{"slot_id", "is invalid"}
	case b.schedule.id != CapacitySchedule:
		return nil
	case isNew && !sent:
		return &complaint{"slot_id", blank}
	case !sent:
		return nil
	}
	for _, other := range t.list {
		if other.schedule.id == CapacitySchedule && int64(firstSlot+other.slot) == number(fields["slot_id"]) {
			b.slot, b.start, b.length = other.slot, other.start, other.length
			b.forget("slot_id", "slot")
			return nil
		}
	}
	return &complaint{"slot_id", "is invalid"}
}

// setTexts keeps what a booking says of its customer.
func setTexts(b *booking, fields object, _ bool) *complaint {
	b.own = maps.Clone(b.own)
	if b.own == nil {
		b.own = object{}
	}
	for name, raw := range fields {
		switch name {
		case "user_id", "start", "finish", "resource_id", "service_id", "slot_id":
			continue
		case "country":
			if code := textOf(raw); string(raw) != "null" && code != "" && (len(code) != 2 || strings.ToUpper(code) != code) {
				return &complaint{name, "is invalid"}
			}
		}
		b.own[name] = raw
	}
	return nil
}

// replace makes a booking another, of the same id and schedule.
func (t *bookings) replace(b *booking, changed booking) {
	in := t.diaries[b.schedule.id]
	in.remove(b)
	*b = changed
	in.insert(b)
	t.note(b)
}

// clashes reports whether something else is booked there at that time. A slot
// takes everybody.
func (t *bookings) clashes(b *booking) bool {
	if b.schedule.id == CapacitySchedule {
		return false
	}
	return slices.ContainsFunc(t.during(b.schedule.id, b.start, b.finish()), func(other *booking) bool {
		return other.id != b.id && (b.schedule.id != ResourceSchedule || other.room() == b.room())
	})
}

// during returns a schedule's bookings that take up some of a time.
func (t *bookings) during(schedule int64, start, finish time.Time) (found []*booking) {
	for _, b := range between(t.diaries[schedule].byStart, func(b *booking) time.Time { return b.start }, time.Time{}, finish) {
		if b.finish().After(start) {
			found = append(found, b)
		}
	}
	return found
}
