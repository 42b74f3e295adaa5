package supersaastest

import (
	"encoding/json"
	"fmt"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// What the section "counts" knows, by its keys.
const (
	nextUser       = "next user"
	keysSoFar      = "keys"
	hookSerial     = "hooks"
	promotionCount = "promotions"
)

// serialKey is a key that sorts as its number does.
func serialKey(n int64) string { return fmt.Sprintf("%019d", n) }

func hookKey(id int64) string { return serialKey(id) }

// compact is a record of a document without its indentation.
func compact(raw json.RawMessage) []byte {
	if raw == nil {
		return nil
	}
	return sandbox.Record(raw)
}

type keptUser struct {
	Deleted bool            `json:"deleted,omitempty"`
	Raw     json.RawMessage `json:"raw"`
	Form    json.RawMessage `json:"form,omitempty"`
}

// note keeps a user who is no longer as invented.
func (t *users) note(u *user) {
	u.changes++
	t.kept.Put(itoa(u.id), keptUser{Deleted: u.deleted, Raw: u.raw, Form: u.form})
}

// resume takes over the users that were kept, beside the invented ones.
func (t *users) resume(kept, counts *sandbox.Section) {
	t.kept, t.counts = kept, counts
	var changed []*user
	sandbox.Each(kept, func(key string, k keptUser) {
		o := parseObject(k.Raw)
		u := &user{id: number(json.RawMessage(key)), name: textOf(o["name"]), deleted: k.Deleted, number: -1, raw: k.Raw, form: k.Form}
		if raw, ok := o["fk"]; ok && string(raw) != "null" {
			u.fk = textOf(raw)
		}
		if invented := t.byID[u.id]; invented != nil {
			t.hide(invented)
		}
		t.byID[u.id] = u
		changed = append(changed, u)
	})
	for _, u := range changed { // now that no name is that of what was before
		if !u.deleted {
			t.insert(u)
		}
	}
}

type keptBooking struct {
	ID       int64           `json:"id"`
	Schedule int64           `json:"schedule"`
	User     int64           `json:"user,omitempty"`
	Slot     int             `json:"slot,omitempty"`
	Resource int64           `json:"resource,omitempty"`
	Start    time.Time       `json:"start"`
	Length   time.Duration   `json:"length,omitempty"`
	Created  time.Time       `json:"created"`
	Changed  time.Time       `json:"changed"`
	Deleted  bool            `json:"deleted,omitempty"`
	Waiting  bool            `json:"waiting,omitempty"`
	Pending  bool            `json:"pending,omitempty"`
	Own      object          `json:"own,omitempty"`
	Raw      json.RawMessage `json:"raw,omitempty"`
	Form     json.RawMessage `json:"form,omitempty"`
}

// note keeps a booking that is no longer as invented.
func (t *bookings) note(b *booking) {
	b.changes++
	t.kept.Put(serialKey(int64(b.place)), keptBooking{
		ID: b.id, Schedule: b.schedule.id, User: b.user, Slot: b.slot, Resource: b.resource, Start: b.start, Length: b.length,
		Created: b.created, Changed: b.changed, Deleted: b.deleted, Waiting: b.waiting, Pending: b.pending, Own: b.own, Raw: b.raw, Form: b.form,
	})
}

// resume takes over the bookings that were kept, in place of the invented ones and
// after them.
func (t *bookings) resume(kept *sandbox.Section) {
	t.kept = kept
	sandbox.Each(kept, func(key string, k keptBooking) {
		place := scheduleOf(itoa(k.Schedule))
		if place == nil {
			return
		}
		b := &booking{
			id: k.ID, schedule: place, user: k.User, slot: k.Slot, resource: k.Resource, start: k.Start.In(place.zone), length: k.Length,
			created: k.Created, changed: k.Changed, deleted: k.Deleted, waiting: k.Waiting, pending: k.Pending, own: k.Own, raw: k.Raw, form: k.Form,
		}
		t.list = placed(t.list, key, b)
	})
	t.index()
}

// placed puts v into a list at the place that a key names, or after its end.
func placed[T any](list []T, key string, v T) []T {
	if at := number(json.RawMessage(key)); at < int64(len(list)) {
		list[at] = v
		return list
	}
	return append(list, v)
}

type keptForm struct {
	ID      int64           `json:"id"`
	User    int64           `json:"user,omitempty"`
	Created time.Time       `json:"created"`
	Changed time.Time       `json:"changed"`
	Deleted bool            `json:"deleted,omitempty"`
	Raw     json.RawMessage `json:"raw,omitempty"`
}

func (t *forms) note(at int) {
	f := t.list[at]
	t.kept.Put(serialKey(int64(at)), keptForm{ID: f.id, User: f.user, Created: f.created, Changed: f.changed, Deleted: f.deleted, Raw: f.raw})
}

func (t *forms) resume(kept *sandbox.Section) {
	t.kept = kept
	sandbox.Each(kept, func(key string, k keptForm) {
		t.list = placed(t.list, key, form{id: k.ID, user: k.User, created: k.Created, changed: k.Changed, deleted: k.Deleted, raw: k.Raw})
	})
}

func (t *promotions) note(at int) {
	t.kept.Put(serialKey(int64(at)), t.list[at])
	t.counts.Put(promotionCount, len(t.list))
}

func (t *promotions) resume(kept, counts *sandbox.Section, known bool) {
	t.kept, t.counts = kept, counts
	if known {
		t.list = []promotion{} // an empty one is no null in answers
	}
	sandbox.Each(kept, func(_ string, p promotion) { t.list = append(t.list, p) })
	if !known {
		t.noteAll()
	}
}

func (t *promotions) noteAll() {
	t.counts.Put(promotionCount, len(t.list))
	for i := range t.list {
		t.note(i)
	}
}

type keptDelivery struct {
	Hook    int64  `json:"hook"`
	Trigger string `json:"trigger"`
	Target  string `json:"target"`
	Body    string `json:"body"`
	Held    bool   `json:"held,omitempty"`
}

// note keeps a webhook until it was posted.
func (m *mail) note(d Delivery, held bool) {
	m.kept.Put(serialKey(d.serial), keptDelivery{d.Hook, d.Trigger, d.Target, string(d.Body), held})
}

func (m *mail) resume() {
	sandbox.Each(m.kept, func(key string, k keptDelivery) {
		d := Delivery{Hook: k.Hook, Trigger: k.Trigger, Target: k.Target, Body: []byte(k.Body), serial: number(json.RawMessage(key))}
		m.serial = max(m.serial, d.serial)
		if k.Held {
			m.held = append(m.held, d)
			return
		}
		m.pending = append(m.pending, d)
	})
}

// resume takes over what was kept.
func (s *Server) resume() {
	section := s.Journal().Section
	counts, known := section("counts"), map[string]int64{}
	sandbox.Each(counts, func(name string, n int64) { known[name] = n })
	s.users.resume(section("users"), counts)
	s.users.next = max(s.users.next, known[nextUser])
	s.bookings.resume(section("bookings"))
	s.forms.resume(section("forms"))
	_, continues := known[promotionCount]
	s.promotions.resume(section("promotions"), counts, continues)
	s.account.counts = counts
	if s.account.keys = int(known[keysSoFar]); s.account.keys > 0 {
		s.account.useKey()
	}
	s.hooks.kept, s.hooks.counts, s.hooks.serial = section("hooks"), counts, known[hookSerial]
	sandbox.Each(s.hooks.kept, func(_ string, h Hook) { s.hooks.list = append(s.hooks.list, h) })
	s.post.resume()
}

// replace takes over all records but the hooks of a sandbox that a document made.
func (s *Server) replace(loaded *Server) {
	loaded.users.kept, loaded.users.counts, loaded.bookings.kept, loaded.forms.kept = s.users.kept, s.users.counts, s.bookings.kept, s.forms.kept
	loaded.promotions.kept, loaded.promotions.counts = s.promotions.kept, s.promotions.counts
	s.users, s.bookings, s.forms, s.promotions = loaded.users, loaded.bookings, loaded.forms, loaded.promotions
	s.Disown()
	for _, section := range []*sandbox.Section{s.users.kept, s.bookings.kept, s.forms.kept, s.promotions.kept} {
		section.Clear()
	}
	for _, u := range s.users.byID {
		s.users.note(u)
	}
	s.users.counts.Put(nextUser, s.users.next)
	for _, b := range s.bookings.list {
		s.bookings.note(b)
	}
	for i := range s.forms.list {
		s.forms.note(i)
	}
	s.promotions.noteAll()
}
