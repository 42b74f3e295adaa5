package protocol

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"hikyaku/pkg/providers"
)

// A Journal is what the refresher remembers of one credential between runs. It
// lies in the credential's lease, so it changes only by swap and every new holder
// inherits it. Losing it loses no credential: at worst one refresh too many is made.
type Journal struct {
	Connection string     `json:"connection,omitempty"` // version of the connection that the credential was made from
	Intent     *Intent    `json:"intent,omitempty"`     // a one-time credential is about to be spent, or may have been
	Spent      *Intent    `json:"spent,omitempty"`      // the last one-time credential that was spent for certain
	Code       string     `json:"code,omitempty"`       // fingerprint of the last code that was exchanged
	Renews     bool       `json:"renews,omitempty"`     // the grant has a refresh token
	Promoted   *Promotion `json:"moved,omitempty"`      // the last one of the token secret
	Pending    *Sighting  `json:"pending,omitempty"`    // a rotation that was seen unfinished

	Outcome  Outcome   `json:"outcome,omitempty"`  // of the last run that did anything
	Reason   string    `json:"reason,omitempty"`   // for it
	At       time.Time `json:"at"`                 // of that run
	Tried    string    `json:"tried,omitempty"`    // connection and token that it left
	Failures int       `json:"failures,omitempty"` // in a row

	Told
	Probed time.Time `json:"probed"` // last successful probe
	Written
}

// Told is what people know.
type Told struct {
	NeedsHuman string    `json:"needs_human,omitempty"` // reason that a person was told; empty: all is well
	Warned     int       `json:"warned,omitempty"`      // days of the last warning about a coming end
	WarnedFor  time.Time `json:"warned_for"`            // the end that it was about
}

// Written are the versions of secrets that were written in the last 24 hours, by whose
// budget they count to.
type Written struct {
	Writes []time.Time `json:"writes,omitempty"` // the schedule's, and rotation's
	Asked  []time.Time `json:"asked,omitempty"`  // the functions', which reject tokens
	Forced []time.Time `json:"forced,omitempty"` // people's, who force
	Split  bool        `json:"split,omitempty"`  // Writes holds none of Asked; it did in versions before
}

// An Intent says which one-time credential is spent from which version. While
// it stands and no answer is stored, that credential is in doubt.
type Intent struct {
	Base string    `json:"base"` // version of the refresh secret
	Key  string    `json:"key"`  // fingerprint of what is spent
	At   time.Time `json:"at"`
}

// A Promotion moved the current label. Readers of the label may see From for a
// while after it.
type Promotion struct {
	From string    `json:"from"`
	To   string    `json:"to"`
	At   time.Time `json:"at"`
}

// lag is how long a read by label is not believed to be the newest.
const lag = time.Minute

// A Sighting is a version that was seen pending, and since when.
type Sighting struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
}

// ParseJournal reads what Document wrote; nothing is the journal of a credential
// that was never looked at.
func ParseJournal(document json.RawMessage) (Journal, error) {
	var j Journal
	if len(document) > 0 && json.Unmarshal(document, &j) != nil {
		return Journal{}, errors.New("the journal of the lease is not hikyaku's: move its object away; at worst one refresh too many is made")
	}
	j.split()
	return j, nil
}

// Document is the journal as it is stored.
func (j Journal) Document() json.RawMessage {
	b, err := json.Marshal(j)
	if err != nil {
		panic("protocol: journal: " + err.Error()) // strings, numbers and times only
	}
	return b
}

// split takes out of Writes what an earlier version counted in both lists.
func (w *Written) split() {
	for _, asked := range w.Asked {
		if i := slices.IndexFunc(w.Writes, func(at time.Time) bool { return !at.Before(asked) }); i >= 0 && !w.Split {
			w.Writes = slices.Delete(w.Writes, i, i+1)
		}
	}
	w.Split = true
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

// The payers. None borrows from another: callers that reject, or people that force,
// without end cannot keep the schedule from what it needs, of which ActiBookOne needs 72.
const (
	schedule  payer = "the schedule and rotation"
	functions payer = "functions that rejected tokens"
	people    payer = "people who forced it"
)

// budgets are how many versions each may have written in 24 hours. Secrets Manager
// keeps about 100, and removes none that is younger than a day.
var budgets = map[payer]int{schedule: 80, functions: 12, people: 6}

// rotationOf is how the id of a version begins whose rotation counts to a payer; the id
// of any other rotation is Secrets Manager's, and it counts to the schedule.
var rotationOf = map[payer]string{functions: OwnVersion + "asked-", people: OwnVersion + "forced-"}

// of is the list that a payer's versions stand in.
func (w *Written) of(by payer) *[]time.Time {
	switch by {
	case functions:
		return &w.Asked
	case people:
		return &w.Forced
	case schedule:
	}
	return &w.Writes
}

// left is how many more versions a payer may have written.
func (w *Written) left(by payer, now time.Time) int { return budgets[by] - len(recent(*w.of(by), now)) }

// A Budget is how many versions of a secret somebody may have written in 24 hours, and
// how many of them were.
type Budget struct {
	By    string     `json:"by"` // schedule, functions or people
	Spent int        `json:"spent"`
	Of    int        `json:"of"`
	Next  *time.Time `json:"next,omitempty"` // when one more is free again; nil: none is spent
}

// A Renewal is a version of a secret that was written in the last 24 hours.
type Renewal struct {
	At time.Time `json:"at"`
	By string    `json:"by"` // whose budget it counts to
}

// payers are all of them with the words by which programs know them.
var payers = []struct {
	payer payer
	name  string
}{{schedule, "schedule"}, {functions, "functions"}, {people, "people"}}

// Budgets says how much of each budget is spent.
func (w *Written) Budgets(now time.Time) []Budget {
	list := make([]Budget, 0, len(payers))
	for _, p := range payers {
		spent := recent(*w.of(p.payer), now)
		b := Budget{By: p.name, Spent: len(spent), Of: budgets[p.payer]}
		if len(spent) > 0 {
			free := slices.MinFunc(spent, time.Time.Compare).Add(budgetSpan).UTC()
			b.Next = &free
		}
		list = append(list, b)
	}
	return list
}

// Renewals lists what was written in the last 24 hours, the newest first.
func (w *Written) Renewals(now time.Time) []Renewal {
	list := []Renewal{}
	for _, p := range payers {
		for _, at := range recent(*w.of(p.payer), now) {
			list = append(list, Renewal{at.UTC(), p.name})
		}
	}
	slices.SortStableFunc(list, func(a, b Renewal) int { return b.At.Compare(a.At) })
	return list
}

// Exhausted names whose budget of versions is used up.
func (w *Written) Exhausted(now time.Time) []string {
	var by []string
	for _, p := range []payer{schedule, functions, people} {
		if w.left(p, now) <= 0 {
			by = append(by, string(p))
		}
	}
	return by
}

// add counts one more version, and forgets those that are older than the budgets count.
func (w *Written) add(by payer, now time.Time) {
	list := w.of(by)
	*list = append(recent(*list, now), now)
}

// recent is a list of its own, because earlier states of the run share times.
func recent(times []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Time) bool { return now.Sub(t) >= budgetSpan })
}

// coolUntil is when the next attempt may be made after failures.
func (j Journal) coolUntil(kind providers.Kind) time.Time {
	switch {
	case j.Failures == 0:
		return time.Time{}
	case j.Outcome.Status() == Human || oneTime(kind):
		return j.At.Add(min(longestCool, cool<<min(j.Failures-1, 10)))
	}
	return j.At.Add(cool)
}

// helpMissing: a person is needed and was not told, or told another reason.
func (j Journal) helpMissing() bool {
	return j.Outcome.Status() == Human && j.NeedsHuman != j.Reason
}

// relieved: a person was told, and is needed no more.
func (j Journal) relieved() bool { return j.Outcome.Status() == OK && j.NeedsHuman != "" }
