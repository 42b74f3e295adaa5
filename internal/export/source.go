package export

import (
	"cmp"

	"hikyaku/internal/pagination"
)

// A Pass is one list that a run reads. Most datasets have one.
type Pass struct {
	Name string
	// Time is the path of the time by which the pass selects its rows. If a
	// run is too long for all its ids to be remembered, a later pass leaves out
	// a row whose time there lies in the window: this pass has delivered it.
	Time []string
	// WindowOnly: the pass is read only if the window has a beginning.
	WindowOnly bool
}

// Traffic is what a run's requests met on their way: luck, not content.
type Traffic struct {
	Requests    int64 `json:"requests"`
	RateLimited int64 `json:"rate_limited"` // answers with status 429
	Failed      int64 `json:"failed"`       // other answers that were not 2xx, and broken connections
}

// plus adds two counts.
func (t Traffic) plus(u Traffic) Traffic {
	return Traffic{t.Requests + u.Requests, t.RateLimited + u.RateLimited, t.Failed + u.Failed}
}

// minus takes an earlier count away.
func (t Traffic) minus(u Traffic) Traffic {
	return Traffic{t.Requests - u.Requests, t.RateLimited - u.RateLimited, t.Failed - u.Failed}
}

// A Feed is an open dataset: one account's lists with what must be known to
// read them.
type Feed struct {
	pagination.Source

	Passes []Pass // empty: one pass without a name
	// Unordered: the provider promises no order, so that a row of overlap
	// proves nothing, and every pass is read at least twice.
	Unordered bool
	// Account tells accounts and generations of the API apart in the
	// manifest; never a secret.
	Account string
	// Generation returns which of several documented shapes the answers have,
	// empty as long as that is not known; nil: there is only one.
	Generation func() string
	// Traffic reports what Fetch has met so far; nil: not known.
	Traffic func() Traffic
	// Attempts is how often Fetch asks before it fails; 0: once.
	Attempts int
}

func (f Feed) passes() []Pass {
	if len(f.Passes) == 0 {
		return []Pass{{}}
	}
	return f.Passes
}

func (f Feed) traffic() Traffic {
	if f.Traffic == nil {
		return Traffic{}
	}
	return f.Traffic()
}

func (f Feed) generation() string {
	if f.Generation == nil {
		return ""
	}
	return f.Generation()
}

// A step is one list that a run reads: a pass, over the run's window or over a
// window that an earlier run owes.
type step struct {
	Pass

	feedPass int // index of the pass in the feed
	window   pagination.Window
	owed     bool
}

// remembered is how many of its newest rows the run remembers.
func (f Feed) remembered() int {
	if f.Unordered || f.Paging == pagination.ByFixedPage {
		return pagination.Everything
	}
	return cmp.Or(testRemembered, pagination.RememberedRows)
}

// testRemembered replaces RememberedRows in tests of runs with more rows; 0: not.
var testRemembered int
