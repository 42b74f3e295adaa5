package supersaas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// An Object is what a webhook is about.
type Object string

// The objects of webhooks.
const (
	UserObject        Object = "user"
	PurchaseObject    Object = "purchase"
	AppointmentObject Object = "appointment"
	FormObject        Object = "form"
	UnknownObject     Object = "unknown" // an event that no document names
)

// An Event is one webhook. It is a hint and no more: nobody signs it, it may
// come twice, late, out of order, or never, and its body is a snapshot that
// can be older or newer than the event. Read the user again before acting.
type Event struct {
	Object  Object
	Name    string // the provider's word: new, change, delete, create, ...
	ID      int64  // of the object, 0 if not sent
	UserID  int64  // whom it concerns: 0 means nobody, or not said
	Deleted bool   // the event or the object says that it is gone

	raw []byte
}

// Text returns a field of the payload as text, and whether it is there and
// neither null nor an object. A customized payload carries a secret so.
func (e Event) Text(name string) (string, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(e.raw, &fields) != nil {
		return "", false
	}
	value := bytes.TrimSpace(fields[name])
	if len(value) == 0 || bytes.Equal(value, []byte("null")) {
		return "", false
	}
	var text providers.Text
	err := text.UnmarshalJSON(value)
	return string(text), err == nil
}

// eventDocument holds what decides; the rest of a payload is not looked at.
type eventDocument struct {
	Event       loose `json:"event"`
	ID          loose `json:"id"`
	UserID      loose `json:"user_id"`
	Deleted     loose `json:"deleted"`
	SuperFormID loose `json:"super_form_id"`
	Start       loose `json:"start"`
	Slot        loose `json:"slot"`
	ResourceID  loose `json:"resource_id"`
}

// ParseWebhook reads the body of a webhook: one JSON object, or an array of
// them. Event names and fields that it does not know are no errors, since an
// answer of 4xx may make the provider give the hook up. Anything that is not
// JSON, or no object, is an ErrInvalid.
//
// The events refer to body: do not change it while they are used.
func ParseWebhook(body []byte) ([]Event, error) {
	body = jsonscan.TrimMark(bytes.TrimSpace(body))
	if len(body) > 0 && body[0] == '[' {
		var items []json.RawMessage
		if json.Unmarshal(body, &items) != nil {
			return nil, errWebhook
		}
		events := make([]Event, len(items))
		for i, item := range items {
			var err error
			if events[i], err = parseEvent(item); err != nil {
				return nil, err
			}
		}
		return events, nil
	}
	e, err := parseEvent(body)
	if err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

var errWebhook = fmt.Errorf("supersaas webhook: %w: a JSON object, or an array of objects, is expected", providers.ErrInvalid)

func parseEvent(raw []byte) (Event, error) {
	var d eventDocument
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &d) != nil {
		return Event{}, errWebhook
	}
	e := Event{Name: d.Event.text, ID: d.ID.id(), UserID: d.UserID.id(), raw: raw}
	e.Object = d.object()
	if e.Object == UserObject {
		e.UserID = e.ID
	}
	e.Deleted = d.Deleted.text == "true" || d.Deleted.text == "1" || e.Name == "delete" || e.Name == "destroy"
	return e, nil
}

// object tells users, appointments and forms apart, whose events share names.
func (d *eventDocument) object() Object {
	form, booking := d.SuperFormID.sent, d.Start.sent || d.Slot.sent || d.ResourceID.sent
	switch d.Event.text {
	case "purchase":
		return PurchaseObject
	case "create", "edit", "destroy", "place", "pending", "approve", "revert":
		return AppointmentObject
	case "restore":
		if form {
			return FormObject
		}
		return AppointmentObject
	case "new", "change", "delete":
		switch {
		case form:
			return FormObject
		case booking:
			return AppointmentObject
		}
		return UserObject
	}
	return UnknownObject
}

// loose is a value of any type; only a scalar has a text.
type loose struct {
	text string
	sent bool
}

func (l *loose) UnmarshalJSON(b []byte) error {
	var t providers.Text
	l.sent = !bytes.Equal(b, []byte("null"))
	if t.UnmarshalJSON(b) == nil {
		l.text = string(t)
	}
	return nil
}

// id returns a positive integer, or 0.
func (l loose) id() int64 {
	id, err := strconv.ParseInt(l.text, 10, 64)
	if err != nil {
		return 0
	}
	return max(id, 0)
}
