package export

import (
	"context"
	"time"
)

// A Paging is the way in which a list is asked for its next page.
type Paging string

// The pagings.
const (
	// ByOffset: rows to skip and rows to send.
	ByOffset Paging = "offset"
	// ByPage: a page's number, from 1, and its size. Page p of size s starts
	// at row (p-1)*s.
	ByPage Paging = "page"
	// ByFixedPage: like ByPage, for a server whose page size cannot be
	// chosen. ByPage turns into it where the server is seen to do so.
	ByFixedPage Paging = "fixed-page"
	// ByCursor: the id of the last row.
	ByCursor Paging = "cursor"
	// Unpaged: the first answer is the whole list.
	Unpaged Paging = "none"
)

// A Query asks for one page of one pass. Which of its positions counts is the
// feed's matter.
type Query struct {
	Pass  int
	Limit int    // rows asked for; 0: the provider's own size
	Start int    // rows before the page
	Page  int    // number of the page, from 1; 0: not by number
	After string // id of the row before the page
	From  time.Time
	To    time.Time // both inclusive; zero: open
	Into  []byte    // memory that the answer may be read into
}

// A Pass is one list that a run reads. Most datasets have one.
type Pass struct {
	Name string
	// Time is the path of the time by which the pass selects its rows. A
	// later pass leaves out a row whose value there lies in the window.
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

// A Source is an open dataset: one account's list of one kind of record.
//
// Page returns the provider's own bytes, which the caller may change. It is
// safe for concurrent use, honors ctx, retries by itself what is worth
// retrying at once, and its errors are of the vocabulary of package providers.
type Source interface {
	Page(ctx context.Context, q Query) ([]byte, error)
}

// A Feed is a source with what must be known to read it.
type Feed struct {
	Source   Source
	Shape    Shape
	Paging   Paging
	PageSize int    // rows to ask for; 0: the provider's own size
	Passes   []Pass // empty: one pass without a name
	// Unordered: the provider promises no order, so overlap proves nothing
	// and a closing check compares ids.
	Unordered bool
	// Account tells accounts and generations of the API apart in the
	// manifest; never a secret.
	Account string
	// Traffic reports what Page has met so far; nil: not known.
	Traffic func() Traffic
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
