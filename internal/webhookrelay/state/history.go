package state

import (
	"encoding/json"
	"slices"
	"time"

	"hikyaku/internal/webhookrelay/outcome"
)

// What a row remembers: so many jobs, and none more than fit into so many bytes
// of the row, which with its envelope stays under 4 KB.
const (
	mostEvents = 20
	mostBytes  = 3900
)

// An Event is one job that wrote a user's row. It holds names of fields, and no
// values.
type Event struct {
	At      time.Time     `json:"at"` // when it ended; of one that did not, when it began
	Cause   string        `json:"cause,omitempty"`
	Outcome outcome.Class `json:"outcome,omitempty"` // empty: it has not ended
	Fields  []string      `json:"fields,omitempty"`  // what was sent, or what differs for good
	Request string        `json:"request,omitempty"` // id of the function's invocation
	Mapping string        `json:"mapping,omitempty"` // the first characters of its digest
}

// Began enters a job into the row, before the swap that takes the row.
func (r *Row) Began(e Event) { r.History = append(slices.Clip(r.History), e) }

// Ended enters how the newest job ended, before the swap that gives the row back.
func (r *Row) Ended(at time.Time, class outcome.Class, fields []string) {
	r.History = slices.Clone(r.History)
	if n := len(r.History); n > 0 {
		e := &r.History[n-1]
		e.At, e.Outcome, e.Fields = at.UTC().Truncate(time.Second), class, fields
	}
}

// fit lets the oldest events go until the row is small enough.
func (r *Row) fit() {
	r.History = r.History[max(0, len(r.History)-mostEvents):]
	for len(r.History) > 0 {
		if raw, err := json.Marshal(r); err != nil || len(raw) <= mostBytes {
			return
		}
		r.History = r.History[1:]
	}
}

// Written is when the last write ended; zero if an older version wrote it.
func (r *Row) Written() (at time.Time) {
	if n := len(r.History); n > 0 {
		at = r.History[n-1].At
	}
	return at
}
