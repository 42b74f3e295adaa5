package supersaas

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"hikyaku/pkg/providers"
)

// An Appointment is a booking, or the slot of a capacity schedule with its
// bookings. What the answer leaves out is empty.
type Appointment struct {
	ID           int64
	Start        string    // schedule-local, to the minute, without a zone: 2022-12-19T14:00
	Finish       string    // like Start
	StartUTC     time.Time // prefer it to Start; zero: not sent
	FinishUTC    time.Time
	ScheduleID   int64 // 0: not sent
	ScheduleName string
	ResourceID   int64  // of a resource schedule
	ResourceName string // also sent as res_name and as resource
	ServiceID    int64  // of a service schedule
	ServiceName  string
	SlotID       int64        // of a booking on a capacity schedule
	Slot         *Appointment // that slot, if nested
	UserID       int64        // 0: none, made by an administrator
	FullName     string
	Email        string
	Price        string // in cents, as sent; PriceDecimal is the amount
	PriceDecimal string
	Status       string // a code whose list is not published
	Waitlisted   bool   // also sent as "W"
	Deleted      bool
	CreatedOn    time.Time // UTC
	UpdatedOn    time.Time // UTC; zero: never changed
	Form         json.RawMessage

	// Of a slot only.
	Title    string
	Location string
	Count    int64 // bookings in it
	Capacity int64 // 0: no bound
	Bookings []Appointment

	raw json.RawMessage
}

// UnmarshalJSON reads a booking or a slot. Only the id is required.
func (a *Appointment) UnmarshalJSON(b []byte) error {
	r, err := readRecord(b)
	if err != nil {
		return err
	}
	waitlisted := r.text("waitlisted")
	*a = Appointment{
		ID: r.id("id"), Start: r.text("start"), Finish: r.text("finish"), StartUTC: r.time("start_utc"), FinishUTC: r.time("finish_utc"),
		ScheduleID: r.id("schedule_id"), ScheduleName: r.text("schedule_name"),
		ResourceID: r.id("resource_id"), ResourceName: cmp.Or(r.text("res_name"), r.text("resource"), r.text("resource_name")),
		ServiceID: r.id("service_id"), ServiceName: r.text("service_name"), SlotID: r.id("slot_id"),
		UserID: r.id("user_id"), FullName: r.text("full_name"), Email: r.text("email"),
		Price: r.text("price"), PriceDecimal: r.text("price_decimal"), Status: r.text("status"),
		Waitlisted: waitlisted == "true" || waitlisted == "W" || waitlisted == "1", Deleted: flags[r.text("deleted")],
		CreatedOn: r.time("created_on"), UpdatedOn: r.time("updated_on"), Form: r.fields["form"],
		Title: r.text("title"), Location: r.text("location"), Count: r.number("count"), Capacity: r.number("capacity"),
		raw: bytes.Clone(b),
	}
	r.into("slot", &a.Slot)
	r.into("bookings", &a.Bookings)
	switch {
	case a.ID == 0:
		return fmt.Errorf("%w: an appointment without a numeric id", providers.ErrInvalid)
	case len(r.odd) > 0:
		return fmt.Errorf("%w: of an appointment these fields cannot be read: %q", providers.ErrInvalid, r.odd)
	}
	return nil
}

// Raw returns the provider's own object, byte for byte. Do not change it.
func (a Appointment) Raw() json.RawMessage { return a.raw }
