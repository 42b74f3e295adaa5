package supersaastest

import (
	"errors"
	"slices"
	"strconv"

	"hikyaku/pkg/providers/sandbox"
)

// The kinds of record that a person may change by hand.
const (
	usersKind    = "users"
	bookingsKind = "appointments"
)

// Names that only show what is stored otherwise, or that nobody sets.
var (
	userShown    = []string{"id", "fk", "created_on", "updated_on", "last_login"}
	bookingShown = []string{
		"id", "schedule_name", "res_name", "service_name", "status", "status_message", "price_decimal", "created_on", "created_by", "updated_on", "updated_by",
	}
)

// pages are the account's own pages: what is changed there fires webhooks.
type pages struct {
	server *Server
	texts  *sandbox.Texts
}

// ByHand returns the account's pages for users and appointments.
func (s *Server) ByHand() sandbox.Editor { return pages{s, &s.texts} }

// Kinds are users and appointments, with the names that the shop has given to fields.
func (p pages) Kinds() []sandbox.RecordKind {
	users := fieldsOf(writable, userShown, userFieldRows())
	for i, f := range users {
		switch f.Name {
		case "name":
			users[i].Required = true
		case "password":
			users[i].Secret = true
		case "role":
			users[i].Choices = []string{"3", "4", "-1"}
		}
	}
	places := sandbox.RecordField{Name: "schedule_id", Required: true}
	for _, place := range schedules {
		places.Choices = append(places.Choices, itoa(place.id))
	}
	bookings := slices.Concat([]sandbox.RecordField{places, {Name: "user_id"}}, fieldsOf(bookable, bookingShown, bookingFieldRows()))
	return []sandbox.RecordKind{{Name: usersKind, Fields: users}, {Name: bookingsKind, Fields: bookings}}
}

func fieldsOf(writable, shown []string, named []fieldRow) []sandbox.RecordField {
	fields := make([]sandbox.RecordField, 0, len(writable)+len(shown))
	for _, name := range writable {
		f := sandbox.RecordField{Name: name}
		if i := slices.IndexFunc(named, func(r fieldRow) bool { return r.Name == name }); i >= 0 {
			f.Label = named[i].Label
		}
		fields = append(fields, f)
	}
	for _, name := range shown {
		fields = append(fields, sandbox.RecordField{Name: name, ReadOnly: true})
	}
	return fields
}

// List returns users in the order of the lists, or appointments in that of their start,
// the latest first. What was deleted is in neither.
func (p pages) List(kind string, q sandbox.RecordQuery) (page []sandbox.Row, total int, err error) {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return nil, 0, err
	}
	p.server.Do(func() {
		if kind == usersKind {
			list := p.server.users.shown()
			page, total = p.texts.Page(q, len(list), func(i int) any { return userKey{list[i], list[i].changes} },
				func(i int) sandbox.Row { return row(list[i].id, p.server.users.record(list[i])) })
			return
		}
		list := p.server.bookings.latest()
		page, total = p.texts.Page(q, len(list), func(i int) any { return p.server.bookings.key(list[i]) },
			func(i int) sandbox.Row { return row(list[i].id, p.server.bookings.flat(list[i])) })
	})
	return page, total, nil
}

// Keys of what was found in records; see sandbox.Texts.
type (
	userKey struct {
		user    *user
		changes int
	}
	bookingKey struct {
		booking *booking
		changes int
		user    userKey // whose name and address a booking may show
	}
)

func (t *bookings) key(b *booking) bookingKey {
	key := bookingKey{booking: b, changes: b.changes}
	if u := t.users.byID[b.user]; u != nil {
		key.user = userKey{u, u.changes}
	}
	return key
}

// latest returns the appointments that are not deleted, the last to begin first.
func (t *bookings) latest() []*booking {
	list := make([]*booking, 0, len(t.list))
	for _, d := range t.diaries {
		list = append(list, d.byStart...)
	}
	slices.SortFunc(list, func(a, b *booking) int { return compareStarts(b, a) })
	return list
}

// flat is a booking's record, with the times of its slot where it has one.
func (t *bookings) flat(b *booking) []byte {
	o := parseObject(t.record(b))
	if slot := o["slot"]; slot != nil {
		inside := parseObject(slot)
		o["start"], o["finish"] = inside["start"], inside["finish"]
		delete(o, "slot")
	}
	return o.encode(bookingOrder)
}

// row is a record as a person sees it.
func row(id int64, raw []byte) sandbox.Row {
	fields := map[string]string{}
	for name, value := range parseObject(raw) {
		if string(value) != "null" {
			fields[name] = textOf(value)
		}
	}
	return sandbox.Row{ID: itoa(id), Fields: fields}
}

// Save adds or changes a user or an appointment by the rules of the API, and fires what
// that fires on the account's pages.
func (p pages) Save(kind, id string, fields map[string]string) (string, error) {
	known, err := sandbox.KindOf(p.Kinds(), kind)
	if err != nil {
		return "", err
	}
	save := p.saveUser
	if kind == bookingsKind {
		save = p.saveBooking
	}
	p.server.do(func(*Server) { id, err = save(known, id, fields) })
	return id, errors.Join(err, p.server.Journal().Commit())
}

func objectOfTexts(fields map[string]string) object {
	o := object{}
	for name, value := range fields {
		o.set(name, value)
	}
	return o
}

var errNotFound = errors.New("not found")

func (p pages) saveUser(kind sandbox.RecordKind, id string, texts map[string]string) (string, error) {
	s := p.server
	var u *user
	var before sandbox.Row
	if id != "" {
		if u = s.users.byID[numbered(id)]; u == nil || u.deleted {
			return "", errNotFound
		}
		before = row(u.id, s.users.record(u))
	}
	changed := before.Changed(texts)
	if err := kind.CheckSaved(id, changed); err != nil {
		return "", err
	}
	fields := objectOfTexts(changed)
	fields.store()
	if field, complaint := s.users.check(u, fields); complaint != "" {
		return "", errors.New(field + " " + complaint)
	}
	if u == nil {
		u = s.users.add("", fields)
		s.hooks.fireUser(&s.users, u, "new", true)
		return itoa(u.id), nil
	}
	s.users.change(u, fields)
	s.hooks.fireUser(&s.users, u, "change", true)
	return id, nil
}

func (p pages) saveBooking(kind sandbox.RecordKind, id string, texts map[string]string) (string, error) {
	s, now := p.server, p.server.Now()
	var before sandbox.Row
	var b *booking
	if id != "" {
		if b = s.bookings.byID[numbered(id)]; b == nil || b.deleted {
			return "", errNotFound
		}
		before = row(b.id, s.bookings.flat(b))
	}
	fields := objectOfTexts(before.Changed(texts))
	if err := kind.CheckSaved(id, before.Changed(texts)); err != nil {
		return "", err
	}
	if id == "" {
		delete(fields, "schedule_id")
		b := &booking{id: s.bookings.nextID(), schedule: scheduleOf(texts["schedule_id"]), created: now, changed: now}
		if broken := s.bookings.fill(b, fields, true); broken != nil {
			return "", broken
		}
		s.bookings.add(b)
		s.hooks.fireBooking(&s.bookings, b, "create", true)
		return itoa(b.id), nil
	}
	if fields["schedule_id"] != nil {
		return "", errors.New("schedule_id cannot be changed")
	}
	if finish, sent := texts["finish"]; sent && fields["start"] != nil {
		fields.set("finish", finish) // else the length would stay
	}
	changed := *b
	changed.thaw()
	changed.changed = now
	if broken := s.bookings.fill(&changed, fields, false); broken != nil {
		return "", broken
	}
	s.bookings.replace(b, changed)
	s.hooks.fireBooking(&s.bookings, b, "edit", true)
	return id, nil
}

// Error is the complaint in the provider's words.
func (c *complaint) Error() string { return c.field + " " + c.text }

// numbered is 0 for what is no id.
func numbered(id string) int64 {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Delete deletes a user or an appointment, and fires what that fires on the account's
// pages.
func (p pages) Delete(kind, id string) error {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return err
	}
	found := false
	if kind == usersKind {
		found = p.server.DeleteUser(numbered(id))
	} else {
		p.server.do(func(s *Server) {
			b := s.bookings.byID[numbered(id)]
			if found = b != nil && !b.deleted; found {
				s.bookings.change(b, "destroy")
				s.hooks.fireBooking(&s.bookings, b, "destroy", true)
			}
		})
	}
	if !found {
		return errNotFound
	}
	return p.server.Journal().Commit()
}
