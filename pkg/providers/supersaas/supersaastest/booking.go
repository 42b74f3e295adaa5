package supersaastest

import (
	"cmp"
	"maps"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// The account's schedules, one of each type.
const (
	ResourceSchedule = 555001
	CapacitySchedule = 555002
	ServiceSchedule  = 555003
)

type schedule struct {
	id   int64
	name string
	zone *time.Location
}

var schedules = []schedule{
	{ResourceSchedule, "個室エステ", time.FixedZone("Asia/Tokyo", 9*3600)},
	{CapacitySchedule, "ヨガクラス", time.FixedZone("Asia/Tokyo", 9*3600)},
	{ServiceSchedule, "到府美甲", time.FixedZone("Asia/Taipei", 8*3600)},
}

const (
	firstBooking = 90210001
	firstSlot    = 7700001
	slotSize     = 4
	localMinutes = "2006-01-02T15:04" // schedule-local, as all answers show it
)

var bookingOrder = []string{
	"id", "start", "finish", "resource_id", "service_id", "service_name", "slot_id", "slot", "schedule_id", "schedule_name",
	"created_on", "updated_on", "user_id", "res_name", "created_by", "updated_by", "price", "deleted", "status",
	"status_message", "waitlisted", "full_name", "start_utc", "finish_utc", "email", "address", "mobile", "phone", "country",
	"field_1", "field_2", "field_1_r", "field_2_r", "super_field", "price_decimal", "role",
}

var slotOrder = []string{"id", "title", "name", "description", "location", "start", "finish", "count", "capacity", "bookings"}

type booking struct {
	place    int // in the table
	id       int64
	schedule *schedule
	user     int64 // 0: none
	slot     int   // of a capacity schedule
	resource int64 // of a resource schedule; 0: one of the two, by the id
	start    time.Time
	length   time.Duration // 0: an hour
	created  time.Time
	changed  time.Time
	deleted  bool
	waiting  bool
	pending  bool
	own      object // what a call or a loaded document said; it goes before what is made from the fields above
	raw      []byte // of a loaded one that was not changed; nil: made from the fields above
	form     []byte // shared by many: do not change it
	changes  int    // so far
}

func (b *booking) finish() time.Time { return b.start.Add(cmp.Or(b.length, time.Hour)) }

// room returns the resource that a booking takes up.
func (b *booking) room() int64 { return cmp.Or(b.resource, firstResource+b.id%2) }

// thaw lets a loaded booking be changed: all that it says stays, but for what
// every change sets.
func (b *booking) thaw() {
	if b.raw != nil {
		b.own, b.raw = parseObject(b.raw), nil
	}
	b.forget("deleted", "updated_on", "updated_by")
}

// forget drops what a booking said itself of fields, which a change has set.
func (b *booking) forget(names ...string) {
	b.own = maps.Clone(b.own)
	for _, name := range names {
		delete(b.own, name)
	}
}

// bookings is the table, in the order of their making.
type bookings struct {
	list    []*booking
	diaries map[int64]*diary   // by schedule
	byID    map[int64]*booking // the first of each id
	last    int64              // highest id
	users   *users
	now     func() time.Time
	kept    *sandbox.Section
}

// index makes the diaries of all that is in the table.
func (t *bookings) index() {
	lists := map[int64][]*booking{}
	t.byID, t.last = make(map[int64]*booking, len(t.list)), firstBooking
	for i, b := range t.list {
		b.place = i
		t.name(b)
		lists[b.schedule.id] = append(lists[b.schedule.id], b)
	}
	t.diaries = map[int64]*diary{}
	for _, c := range schedules {
		t.diaries[c.id] = newDiary(lists[c.id])
	}
}

// newBookings invents n bookings, the schedules in turn.
func newBookings(people *users, now func() time.Time, n int) bookings {
	t := bookings{users: people, now: now}
	for i := range n {
		k := i / len(schedules)
		b := &booking{id: firstBooking + int64(i), schedule: &schedules[i%len(schedules)], created: sandbox.Epoch.Add(time.Duration(i) * 11 * time.Minute)}
		if i%7 != 6 {
			b.user = firstUser + int64(i*13%n)*stepUser
		}
		if b.schedule.id == CapacitySchedule {
			b.slot = k / slotSize
			k = b.slot
		}
		day := time.Date(2025, 4, 8+k/10, 9+k%10, 0, 0, 0, b.schedule.zone)
		b.start, b.changed, b.deleted = day, b.created, i%20 == 19
		if i%4 == 0 {
			b.changed = b.created.Add(time.Hour)
			b.form = inventedForm
		}
		t.list = append(t.list, b)
	}
	t.index()
	return t
}

// record returns the booking as lists serve it.
func (t *bookings) record(b *booking) []byte {
	if b.raw != nil {
		return b.raw
	}
	o := t.invent(b)
	maps.Copy(o, b.own)
	return o.encode(bookingOrder)
}

// invent makes a booking's record from its fields.
func (t *bookings) invent(b *booking) object {
	o := object{}
	set := func(name string, value any) { o.set(name, value) }
	set("id", b.id)
	set("schedule_id", b.schedule.id)
	set("schedule_name", b.schedule.name)
	set("user_id", b.user)
	set("created_on", stamp(b.created))
	set("price", 150000)
	set("price_decimal", "1500.00")
	set("deleted", b.deleted)
	set("status", 104)
	set("status_message", "Approved ")
	set("role", 3)
	set("created_by", "administrator")
	if !b.changed.Equal(b.created) {
		set("updated_on", stamp(b.changed))
		set("updated_by", "administrator")
	}
	if b.waiting {
		set("waitlisted", "W")
	}
	if b.pending {
		set("status", 94)
		set("status_message", "Pending ")
	}
	if u := t.users.byID[b.user]; u != nil {
		person := parseObject(t.users.record(u))
		o["full_name"], o["email"], o["created_by"] = person["full_name"], person["email"], person["name"]
		for _, name := range []string{"full_name", "email", "created_by"} {
			if o[name] == nil {
				delete(o, name)
			}
		}
	} else {
		set("full_name", "ご来店 様")
	}
	switch b.schedule.id {
	case CapacitySchedule:
		set("slot_id", firstSlot+b.slot)
		o["slot"] = t.slot(b, nil)
		return o
	case ServiceSchedule:
		set("service_id", services[0].id)
		set("service_name", services[0].name)
	default:
		set("resource_id", b.room())
		set("res_name", nameIn(resources, b.room()))
	}
	set("start", b.start.Format(localMinutes))
	set("finish", b.finish().Format(localMinutes))
	set("start_utc", stamp(b.start))
	set("finish_utc", stamp(b.finish()))
	return o
}

// slot returns a booking's slot, with those of its bookings that are given.
func (t *bookings) slot(b *booking, inside [][]byte) []byte {
	o := objectOf(map[string]any{
		"id": firstSlot + b.slot, "title": "朝ヨガ", "name": "朝ヨガ", "description": nil, "location": "スタジオ1", "capacity": nil,
		"start": b.start.Format(localMinutes), "finish": b.finish().Format(localMinutes),
	})
	if inside != nil {
		o.set("count", len(inside))
		o["bookings"] = array(inside)
	}
	return o.encode(slotOrder)
}

// Book makes a booking on a schedule for a user, 0 for nobody, and returns
// its id; 0 if there is no such schedule.
func (e *Editor) Book(scheduleID, user int64, start time.Time) (id int64) {
	e.do(func(s *Server) {
		place := scheduleOf(itoa(scheduleID))
		if place == nil {
			return
		}
		now := s.Now()
		b := &booking{id: s.bookings.nextID(), schedule: place, user: user, created: now, changed: now,
			start: start.In(place.zone), slot: 1000000 + len(s.bookings.list)}
		s.bookings.add(b)
		id = b.id
		s.hooks.fireBooking(&s.bookings, b, "create", e.fires)
	})
	return id
}

func (t *bookings) add(b *booking) {
	b.place = len(t.list)
	t.list = append(t.list, b)
	t.name(b)
	t.diaries[b.schedule.id].insert(b)
	t.note(b)
}

// name lets a booking be found by its id.
func (t *bookings) name(b *booking) {
	if t.byID[b.id] == nil {
		t.byID[b.id] = b
	}
	t.last = max(t.last, b.id)
}

func (t *bookings) nextID() int64 { return t.last + 1 }

// ChangeBooking does one of the documents' events to a booking: edit, destroy,
// restore, place, pending, approve or revert.
func (e *Editor) ChangeBooking(id int64, event string) (ok bool) {
	e.do(func(s *Server) {
		b := s.bookings.byID[id]
		if ok = b != nil; ok {
			s.bookings.change(b, event)
			s.hooks.fireBooking(&s.bookings, b, event, e.fires)
		}
	})
	return ok
}

// change does an event of the documents to a booking.
func (t *bookings) change(b *booking, event string) {
	in := t.diaries[b.schedule.id]
	in.remove(b)
	b.thaw()
	b.changed = t.now()
	switch event {
	case "destroy":
		b.deleted = true
	case "restore":
		b.deleted = false
	case "place":
		b.waiting = false
		b.forget("waitlisted")
	case "pending", "revert":
		b.pending = true
		b.forget("status", "status_message")
	case "approve":
		b.pending = false
		b.forget("status", "status_message")
	}
	in.insert(b)
	t.note(b)
}
