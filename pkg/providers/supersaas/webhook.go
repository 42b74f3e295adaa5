package supersaas

import (
	"bytes"
	"encoding/json"
	"fmt"

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
	r, err := readRecord(e.raw)
	if err != nil || !r.sent(name) {
		return "", false
	}
	text := r.text(name)
	return text, len(r.odd) == 0
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
	r, err := readRecord(raw)
	if raw = bytes.TrimSpace(raw); err != nil || len(raw) == 0 || raw[0] != '{' {
		return Event{}, errWebhook
	}
	deleted := r.text("deleted")
	e := Event{Object: r.object(), Name: r.text("event"), ID: r.id("id"), UserID: r.id("user_id"), raw: raw}
	if e.Object == UserObject {
		e.UserID = e.ID
	}
	e.Deleted = deleted == "true" || deleted == "1" || e.Name == "delete" || e.Name == "destroy"
	return e, nil
}

// object tells users, appointments and forms apart, whose events share names.
func (r *record) object() Object {
	form, booking := r.sent("super_form_id"), r.sent("start") || r.sent("slot") || r.sent("resource_id")
	switch r.text("event") {
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
