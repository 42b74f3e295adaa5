package supersaas

import (
	"bytes"
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

type appointmentDocument struct {
	ID           providers.Text  `json:"id"`
	Start        providers.Text  `json:"start"`
	Finish       providers.Text  `json:"finish"`
	StartUTC     instant         `json:"start_utc"`
	FinishUTC    instant         `json:"finish_utc"`
	ScheduleID   providers.Text  `json:"schedule_id"`
	ScheduleName providers.Text  `json:"schedule_name"`
	ResourceID   providers.Text  `json:"resource_id"`
	ResName      providers.Text  `json:"res_name"`
	Resource     providers.Text  `json:"resource"`
	ResourceName providers.Text  `json:"resource_name"`
	ServiceID    providers.Text  `json:"service_id"`
	ServiceName  providers.Text  `json:"service_name"`
	SlotID       providers.Text  `json:"slot_id"`
	Slot         *Appointment    `json:"slot"`
	UserID       providers.Text  `json:"user_id"`
	FullName     providers.Text  `json:"full_name"`
	Email        providers.Text  `json:"email"`
	Price        providers.Text  `json:"price"`
	PriceDecimal providers.Text  `json:"price_decimal"`
	Status       providers.Text  `json:"status"`
	Waitlisted   providers.Text  `json:"waitlisted"`
	Deleted      providers.Flag  `json:"deleted"`
	CreatedOn    instant         `json:"created_on"`
	UpdatedOn    instant         `json:"updated_on"`
	Form         json.RawMessage `json:"form"`

	Title    providers.Text   `json:"title"`
	Location providers.Text   `json:"location"`
	Count    providers.Number `json:"count"`
	Capacity providers.Number `json:"capacity"`
	Bookings []Appointment    `json:"bookings"`
}

// UnmarshalJSON reads a booking or a slot. Only the id is required.
func (a *Appointment) UnmarshalJSON(b []byte) error {
	var d appointmentDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	id, ok := parseID(d.ID)
	if !ok {
		return fmt.Errorf("%w: an appointment without a numeric id", providers.ErrInvalid)
	}
	*a = Appointment{
		ID: id, Start: string(d.Start), Finish: string(d.Finish), StartUTC: time.Time(d.StartUTC), FinishUTC: time.Time(d.FinishUTC),
		ScheduleID: optionalID(d.ScheduleID), ScheduleName: string(d.ScheduleName),
		ResourceID: optionalID(d.ResourceID), ResourceName: string(firstOf(d.ResName, d.Resource, d.ResourceName)),
		ServiceID: optionalID(d.ServiceID), ServiceName: string(d.ServiceName), SlotID: optionalID(d.SlotID), Slot: d.Slot,
		UserID: optionalID(d.UserID), FullName: string(d.FullName), Email: string(d.Email),
		Price: string(d.Price), PriceDecimal: string(d.PriceDecimal), Status: string(d.Status),
		Waitlisted: d.Waitlisted == "true" || d.Waitlisted == "W" || d.Waitlisted == "1", Deleted: bool(d.Deleted),
		CreatedOn: time.Time(d.CreatedOn), UpdatedOn: time.Time(d.UpdatedOn), Form: d.Form,
		Title: string(d.Title), Location: string(d.Location), Count: int64(d.Count), Capacity: int64(d.Capacity),
		Bookings: d.Bookings, raw: bytes.Clone(b),
	}
	return nil
}

// Raw returns the provider's own object, byte for byte. Do not change it.
func (a Appointment) Raw() json.RawMessage { return a.raw }

func optionalID(t providers.Text) int64 {
	id, _ := parseID(t)
	return max(id, 0)
}

func firstOf(texts ...providers.Text) providers.Text {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
