package tokenrefresh

import (
	"encoding/json"
	"slices"
	"time"
)

// A state is what the refresher remembers of one credential between runs. It
// is the journal of the credential's lease, so it changes only by swap and
// every new holder inherits it. Losing it loses no credential: at worst one
// refresh too many is made.
type state struct {
	Connection string      `json:"connection,omitempty"`  // version of the connection that the credential was made from
	Intent     *intent     `json:"intent,omitempty"`      // a one-time credential is about to be spent, or may have been
	Outcome    Outcome     `json:"outcome,omitempty"`     // of the last run that did anything
	At         time.Time   `json:"at"`                    // of that run
	Failures   int         `json:"failures,omitempty"`    // in a row
	Terminal   string      `json:"terminal,omitempty"`    // what was refused for good: nothing more is tried until it changes
	NeedsHuman string      `json:"needs_human,omitempty"` // reason that a person was told; empty: all is well
	Warned     int         `json:"warned,omitempty"`      // days of the last warning about a coming end
	WarnedFor  time.Time   `json:"warned_for"`            // the end that it was about
	Probed     time.Time   `json:"probed"`                // last successful probe
	Writes     []time.Time `json:"writes,omitempty"`      // of secret versions in the last 24 hours
}

// An intent says which one-time credential is spent from which version. While
// it stands and no answer is stored, that credential is in doubt.
type intent struct {
	Base string    `json:"base"` // version of the refresh secret
	Key  string    `json:"key"`  // fingerprint of what is spent
	At   time.Time `json:"at"`
}

func readState(journal json.RawMessage) (state, error) {
	var s state
	if len(journal) == 0 {
		return s, nil
	}
	return s, json.Unmarshal(journal, &s)
}

func (s state) journal() json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic("tokenrefresh: state: " + err.Error()) // strings, numbers and times only
	}
	return b
}

const (
	// budget is how many versions of a secret may be written in 24 hours.
	// The service keeps about 100 and removes none younger than a day; ten
	// are left to people.
	budget     = 90
	budgetSpan = 24 * time.Hour
	// cool is the least time between two attempts after a failure: a tick
	// one minute later tries again, so a recovery is noticed within two.
	cool = 50 * time.Second
	// longestCool bounds the doubling pause while only a person can help.
	longestCool = 30 * time.Minute
)

// spendBudget forgets old writes and reports whether n more may be made.
func (s *state) spendBudget(now time.Time, n int) bool {
	s.Writes = slices.DeleteFunc(s.Writes, func(t time.Time) bool { return now.Sub(t) >= budgetSpan })
	return len(s.Writes)+n <= budget
}

// coolUntil is when the next attempt may be made after failures.
func (s *state) coolUntil() time.Time {
	switch {
	case s.Failures == 0:
		return time.Time{}
	case s.Outcome.needsHuman():
		return s.At.Add(min(longestCool, cool<<min(s.Failures-1, 10)))
	}
	return s.At.Add(cool)
}
