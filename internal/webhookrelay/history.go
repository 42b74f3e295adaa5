package webhookrelay

import (
	"context"
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
}

// began enters a job into the row, before the swap that takes the row.
func (r *row) began(e Event) { r.History = append(slices.Clip(r.History), e) }

// ended enters how the newest job ended, before the swap that gives the row back.
func (r *row) ended(at time.Time, class outcome.Class, fields []string) {
	r.History = slices.Clone(r.History)
	if n := len(r.History); n > 0 {
		e := &r.History[n-1]
		e.At, e.Outcome, e.Fields = at.UTC().Truncate(time.Second), class, fields
	}
}

// fit lets the oldest events go until the row is small enough.
func (r *row) fit() {
	r.History = r.History[max(0, len(r.History)-mostEvents):]
	for len(r.History) > 0 {
		if raw, err := json.Marshal(r); err != nil || len(raw) <= mostBytes {
			return
		}
		r.History = r.History[1:]
	}
}

// written is when the last write ended; zero if an older version wrote it.
func (r *row) written() (at time.Time) {
	if n := len(r.History); n > 0 {
		at = r.History[n-1].At
	}
	return at
}

// A History is what the relay did for one user, and what it would do now.
type History struct {
	Events  []Event // the oldest first
	Preview Preview // zero if Err is set
	Err     error   // why it is not known what the relay would do now
}

// History reads a user's row, and asks the providers what the next job would do.
// It writes nothing.
func (s *Stack) History(ctx context.Context, user int64) (History, error) {
	held, err := s.readRow(ctx, user)
	if err != nil {
		return History{}, err
	}
	h := History{Events: held.History}
	for i := range h.Events {
		newest := i == len(h.Events)-1
		switch e := &h.Events[i]; {
		case e.Outcome != "":
		case newest && held.State == rowInflight && s.Now().Before(held.Until):
			e.Outcome = outcome.InFlight
		default:
			e.Outcome = outcome.Interrupted
		}
	}
	h.Preview, h.Err = s.Preview(ctx, user)
	if h.Preview.Outcome == outcome.WouldDisable {
		h.Err = s.changeCap(ctx, func(d *disablings) bool {
			if d.Stopped {
				h.Preview.Outcome = outcome.DisablingStopped
			}
			return false
		})
	}
	if h.Err != nil {
		h.Preview.Outcome = outcome.FaultOf(h.Err).Class
	}
	return h, nil
}
