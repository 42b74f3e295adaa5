package tokenrefresh

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"hikyaku/pkg/providers"
)

// A state is what the refresher remembers of one credential between runs. It
// is the journal of the credential's lease, so it changes only by swap and
// every new holder inherits it. Losing it loses no credential: at worst one
// refresh too many is made.
type state struct {
	Connection string   `json:"connection,omitempty"` // version of the connection that the credential was made from
	Intent     *intent  `json:"intent,omitempty"`     // a one-time credential is about to be spent, or may have been
	Spent      *intent  `json:"spent,omitempty"`      // the last one-time credential that was spent for certain
	Code       string   `json:"code,omitempty"`       // fingerprint of the last code that was exchanged
	Renews     bool     `json:"renews,omitempty"`     // the grant has a refresh token
	Moved      *move    `json:"moved,omitempty"`      // the last swap of the token secret
	Pending    *sighted `json:"pending,omitempty"`    // a rotation that was seen unfinished

	Outcome  Outcome   `json:"outcome,omitempty"`  // of the last run that did anything
	Reason   string    `json:"reason,omitempty"`   // for it
	At       time.Time `json:"at"`                 // of that run
	Tried    string    `json:"tried,omitempty"`    // connection and token that it left behind
	Failures int       `json:"failures,omitempty"` // in a row

	NeedsHuman string    `json:"needs_human,omitempty"` // reason that a person was told; empty: all is well
	Warned     int       `json:"warned,omitempty"`      // days of the last warning about a coming end
	WarnedFor  time.Time `json:"warned_for"`            // the end that it was about
	Probed     time.Time `json:"probed"`                // last successful probe

	// Versions of secrets that were written in the last 24 hours, by whose budget they count to.
	Writes []time.Time `json:"writes,omitempty"` // the schedule's, and rotation's
	Asked  []time.Time `json:"asked,omitempty"`  // the functions', which reject tokens
	Forced []time.Time `json:"forced,omitempty"` // people's, who force
	Split  bool        `json:"split,omitempty"`  // Writes holds none of Asked; it did in versions before
}

// An intent says which one-time credential is spent from which version. While
// it stands and no answer is stored, that credential is in doubt.
type intent struct {
	Base string    `json:"base"` // version of the refresh secret
	Key  string    `json:"key"`  // fingerprint of what is spent
	At   time.Time `json:"at"`
}

// A move is a swap of AWSCURRENT. Readers of the stage may see From for a
// while after it.
type move struct {
	From string    `json:"from"`
	To   string    `json:"to"`
	At   time.Time `json:"at"`
}

// lag is how long a read by stage is not believed to be the newest.
const lag = time.Minute

// A sighted is a version that AWSPENDING was seen on, and since when.
type sighted struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
}

func readState(journal json.RawMessage) (state, error) {
	var s state
	if len(journal) > 0 && json.Unmarshal(journal, &s) != nil {
		return state{}, errors.New("the journal of the lease is not hikyaku's: move its object away; at worst one refresh too many is made")
	}
	s.split()
	return s, nil
}

func (s state) journal() json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic("tokenrefresh: state: " + err.Error()) // strings, numbers and times only
	}
	return b
}

const (
	// budgetSpan is what the budgets count.
	budgetSpan = 24 * time.Hour
	// cool is the least time between two attempts after a failure: a tick
	// one minute later tries again, so a recovery is noticed within two.
	cool = 50 * time.Second
	// longestCool bounds the doubling pause: while only a person can help,
	// and for one-time credentials, whose every attempt costs a version.
	longestCool = 30 * time.Minute
)

// A payer is whose budget the versions of a secret count to.
type payer string

// The payers. None borrows from another: who rejects or forces without end cannot keep
// the schedule from what it needs, of which ActiBookOne needs 72.
const (
	schedule  payer = "the schedule and rotation"
	functions payer = "functions that rejected tokens"
	people    payer = "people who forced it"
)

// budgets are how many versions each may have written in 24 hours. Secrets Manager
// keeps about 100, and removes none that is younger than a day.
var budgets = map[payer]int{schedule: 80, functions: 12, people: 6}

// written are the versions that a payer had written.
func (s *state) written(by payer) *[]time.Time {
	switch by {
	case functions:
		return &s.Asked
	case people:
		return &s.Forced
	case schedule:
	}
	return &s.Writes
}

// mayWrite forgets old writes and reports whether n more may be made.
func (s *state) mayWrite(now time.Time, n int, by payer) bool {
	list := s.written(by)
	*list = recent(*list, now)
	return len(*list)+n <= budgets[by]
}

// split takes out of Writes what an earlier version counted in both lists.
func (s *state) split() {
	for _, asked := range s.Asked {
		if i := slices.IndexFunc(s.Writes, func(at time.Time) bool { return !at.Before(asked) }); i >= 0 && !s.Split {
			s.Writes = slices.Delete(s.Writes, i, i+1)
		}
	}
	s.Split = true
}

func recent(times []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(times, func(t time.Time) bool { return now.Sub(t) >= budgetSpan })
}

// coolUntil is when the next attempt may be made after failures.
func (s *state) coolUntil(kind providers.Kind) time.Time {
	switch {
	case s.Failures == 0:
		return time.Time{}
	case s.Outcome.needsHuman() || oneTime(kind):
		return s.At.Add(min(longestCool, cool<<min(s.Failures-1, 10)))
	}
	return s.At.Add(cool)
}

// oneTime: what the credential is renewed with is used up by that.
func oneTime(kind providers.Kind) bool {
	return kind == providers.OneTimePair || kind == providers.OneTimeCode
}
