package awslocal

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// An Event is one that was put on an event bus. No rule reads it: it is kept
// for tests and people.
type Event struct {
	ID         string          `json:"id"`
	Bus        string          `json:"bus"`
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Detail     json.RawMessage `json:"detail"`
	Resources  []string        `json:"resources"`
	Time       time.Time       `json:"time"`
}

// bus keeps the events of every bus.
type bus struct {
	now func() time.Time

	mu   sync.Mutex
	kept []Event
}

// Events returns all events so far, in the order in which they were put.
func (a *AWS) Events() []Event {
	a.events.mu.Lock()
	defer a.events.mu.Unlock()
	return slices.Clone(a.events.kept)
}

type putEventsInput struct {
	Entries []struct {
		Source, DetailType, Detail, EventBusName string

		Resources []string
		Time      *float64 // seconds since 1970
	}
}

type putEvent struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

type putEventsOutput struct {
	FailedEntryCount int
	Entries          []putEvent
}

func (b *bus) put(_ *http.Request, in putEventsInput) (out putEventsOutput, err error) {
	if len(in.Entries) < 1 || len(in.Entries) > maxBatch {
		return out, refuse("ValidationException", "Value at 'entries' failed to satisfy constraint: Member must have length between 1 and 10")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range in.Entries {
		answer := putEvent{EventID: uuid.NewString()}
		var detail map[string]any
		switch {
		case e.Source == "" || e.DetailType == "" || e.Detail == "":
			answer = putEvent{ErrorCode: "InvalidArgument", ErrorMessage: "Parameter Source, DetailType or Detail is not valid. Reason: it is a required argument."}
		case json.Unmarshal([]byte(e.Detail), &detail) != nil:
			answer = putEvent{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}
		default:
			event := Event{
				ID: answer.EventID, Bus: cmp.Or(e.EventBusName, "default"), Source: e.Source, DetailType: e.DetailType,
				Detail: json.RawMessage(e.Detail), Resources: e.Resources, Time: b.now(),
			}
			if e.Time != nil {
				event.Time = time.UnixMilli(int64(*e.Time * 1000))
			}
			b.kept = append(b.kept, event)
		}
		if answer.ErrorCode != "" {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, answer)
	}
	return out, nil
}
