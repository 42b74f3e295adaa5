package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// The ids of the troubles, in their order. A sandbox has those that can happen to it. None
// outlives its process. Those of the second group are lies: answers of status 200 that are
// not what was asked for, as providers' clients have met them. Those of the third are lies
// about lists.
const (
	// Latency lets each answer wait, by the machine's clock.
	Latency = "latency"
	// Refused answers a share of the API's calls with 429 and Retry-After: 1.
	Refused = "429"
	// Outage fails every request, in turn with 503, with a gateway's page and status 502,
	// and with a cut connection. None has an effect.
	Outage = "outage"
	// Expiry refuses tokens that were made before as expired, and lets those that are made
	// from now on live a minute, which expires_in says.
	Expiry = "expiry"
	// NoAccess answers every call of the API with 401, whatever its token. Tokens can be
	// had all the same.
	NoAccess = "denied"
	// Drift moves each page of a list but the first by one record, forward and back in
	// turn, as if records before it had vanished or appeared meanwhile.
	Drift = "drift"

	// ErrorAt200 answers with an error object; the call has no effect.
	ErrorAt200 = "lie-error-200"
	// HTMLPage answers with a page of HTML; the call has no effect.
	HTMLPage = "lie-html"
	// Truncated cuts the JSON in its middle, and says so in no header.
	Truncated = "lie-truncated"
	// Doubled answers the JSON twice.
	Doubled = "lie-doubled"
	// TextBehind lets a text follow the JSON.
	TextBehind = "lie-text-behind"
	// TextBefore lets a warning of PHP come before the JSON.
	TextBefore = "lie-text-before"
	// NoBody answers without a body.
	NoBody = "lie-no-body"
	// Unlabeled answers packed by gzip, which no header says.
	Unlabeled = "lie-unlabeled-gzip"
	// Bomb answers packed by gzip, as a header says, 64 MiB of white space before the JSON.
	Bomb = "lie-gzip-bomb"
	// Charset says that the answer is Shift_JIS, which it is not.
	Charset = "lie-charset"
	// FarRetry answers 429 with a Retry-After of centuries, in turn as a date and in seconds.
	FarRetry = "lie-retry-after"

	// EmptyList answers an empty list.
	EmptyList = "lie-empty-list"
	// NullList answers null in place of the list.
	NullList = "lie-null-list"
	// ErrorBeside answers an empty list with errors beside it.
	ErrorBeside = "lie-error-beside"
	// ShortPages leaves out the second half of a page, though more was asked for.
	ShortPages = "lie-short-pages"
	// RepeatedPages answers with the page before.
	RepeatedPages = "lie-repeated-pages"
	// FirstPage answers every page with the one that was asked for first.
	FirstPage = "lie-first-page"
	// RepeatedRows has each record of a page twice.
	RepeatedRows = "lie-repeated-rows"
	// Reordered orders the whole list anew each time, so that pages miss and repeat records.
	Reordered = "lie-shuffled"
	// OtherTimes writes the times of records otherwise: 2026-11-22t02:00:00z, +0000, 2026/11/22.
	OtherTimes = "lie-times"
	// NoID leaves the id of a page's last record out.
	NoID = "lie-no-id"
	// OtherWrapper has the list under another name than the documents say.
	OtherWrapper = "lie-other-wrapper"
	// ObjectList answers the records as an object by number, as PHP writes an array with gaps.
	ObjectList = "lie-object-list"
	// BadRecord answers 500 to every page that holds a certain record.
	BadRecord = "lie-record-500"
	// WrongTotals halves the numbers of records and pages that stand beside a list.
	WrongTotals = "lie-wrong-totals"
	// DeadCursor answers an empty page to every cursor, as if its record had vanished.
	DeadCursor = "lie-dead-cursor"
)

// A nature is what a sandbox must have for a trouble to happen to it.
type nature int

const (
	anything nature = iota
	tokens
	lists
	totals
	cursors
)

// A measure says what a trouble's amount is.
type measure int

const (
	nothing measure = iota
	seconds
	share
)

// trouble is a trouble of one sandbox.
type trouble struct {
	Trouble

	needs   nature
	measure measure
	since   time.Time // on the sandbox's clock: when it was switched on
}

// allTroubles are those of every sandbox, in their order, with the usual amounts.
func allTroubles() []*trouble {
	of := func(id string, needs nature, m measure, amount float64) *trouble {
		return &trouble{Trouble: Trouble{ID: id, Amount: amount}, needs: needs, measure: m}
	}
	return []*trouble{
		of(Latency, anything, seconds, 2), of(Refused, anything, share, 0.5), of(Outage, anything, nothing, 0), of(Expiry, tokens, nothing, 0),
		of(NoAccess, anything, nothing, 0), of(Drift, lists, nothing, 0),
		of(ErrorAt200, anything, share, 0.5), of(HTMLPage, anything, share, 0.5), of(Truncated, anything, share, 0.5), of(Doubled, anything, share, 0.5),
		of(TextBehind, anything, share, 0.5), of(TextBefore, anything, share, 0.5), of(NoBody, anything, share, 0.5), of(Unlabeled, anything, share, 1),
		of(Bomb, anything, share, 0.5), of(Charset, anything, share, 0.5), of(FarRetry, anything, share, 0.1),
		of(EmptyList, lists, share, 0.5), of(NullList, lists, share, 0.5), of(ErrorBeside, lists, share, 0.5), of(ShortPages, lists, share, 1),
		of(RepeatedPages, lists, share, 0.5), of(FirstPage, lists, share, 1), of(RepeatedRows, lists, share, 1),
		of(Reordered, lists, nothing, 0), of(OtherTimes, lists, share, 1), of(NoID, lists, share, 1),
		of(OtherWrapper, lists, share, 1), of(ObjectList, lists, share, 1), of(BadRecord, lists, share, 1), of(WrongTotals, totals, share, 1),
		of(DeadCursor, cursors, share, 1),
	}
}

// A troublemaker keeps the troubles of one sandbox. It is safe for concurrent use.
type troublemaker struct {
	now func() time.Time

	mu      sync.Mutex
	random  *rand.Rand
	list    []*trouble
	natures map[nature]bool
	lists   map[string]bool   // routes
	turn    int               // of an outage and a drift
	pages   map[string][]byte // last answer of each list
	bad     []byte            // record
}

func newTroublemaker(provider string, o Options) *troublemaker {
	t := &troublemaker{
		now: o.Now, random: rand.New(rand.NewPCG(o.Seed, 0x74726f75626c65)), list: allTroubles(), natures: map[nature]bool{anything: true},
		lists: map[string]bool{}, pages: map[string][]byte{},
	}
	for _, one := range t.list {
		one.Provider = provider
	}
	return t
}

// Lists says which routes answer lists, so that there are troubles of lists. Call it
// before the first request.
func (t *troublemaker) Lists(routes ...string) {
	t.natures[lists] = true
	for _, route := range routes {
		t.lists[route] = true
	}
}

// ListsHave says that the answers of lists have totals beside them, and that lists are
// read on from a cursor, in the parameter previous_id.
func (t *troublemaker) ListsHave(hasTotals, hasCursors bool) {
	t.natures[totals], t.natures[cursors] = hasTotals, hasCursors
}

// Expiring says that a sandbox's tokens can expire before their time.
func (t *troublemaker) Expiring(of *Tokens) {
	t.natures[tokens] = true
	of.trouble = t
}

// Troubles are all troubles that can happen to the sandbox, on and off.
func (t *troublemaker) Troubles() []Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Trouble
	for _, one := range t.list {
		if t.natures[one.needs] {
			all = append(all, one.Trouble)
		}
	}
	return all
}

// longest is the longest latency.
const longest = 10 * time.Minute

// SetTrouble switches a trouble on or off. With an amount of 0 it has the one that
// Troubles shows. Switched off, it is as if it had never been.
func (t *troublemaker) SetTrouble(id string, on bool, amount float64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.find(id)
	if one == nil {
		return t.unknown(id)
	}
	switch {
	case one.measure == share && !(amount >= 0 && amount <= 1):
		return fmt.Errorf("%s takes a share of the requests, from 0 to 1", id)
	case one.measure == seconds && !(amount >= 0 && amount <= longest.Seconds()):
		return fmt.Errorf("%s takes seconds, from 0 to %v", id, longest.Seconds())
	case one.measure == nothing && amount != 0:
		return fmt.Errorf("%s takes no amount", id)
	}
	one.Amount = cmp.Or(amount, one.Amount)
	if on && !one.On {
		one.Met, one.since = 0, t.now()
	}
	if one.On = on; !on {
		t.pages, t.bad = map[string][]byte{}, nil
	}
	return nil
}

func (t *troublemaker) find(id string) *trouble {
	i := slices.IndexFunc(t.list, func(one *trouble) bool { return one.ID == id && t.natures[one.needs] })
	if i < 0 {
		return nil
	}
	return t.list[i]
}

func (t *troublemaker) unknown(id string) error {
	var names []string
	for _, one := range t.list {
		if t.natures[one.needs] {
			names = append(names, one.ID)
		}
	}
	return fmt.Errorf("no trouble is named %q; there are %s", id, strings.Join(names, ", "))
}

// A meeting is what a request meets.
type meeting struct {
	fault Fault
	delay time.Duration
	named FaultKind // of what it met first, in the list of calls
	lie   func(*httptest.ResponseRecorder) *httptest.ResponseRecorder
}

// meet decides what a request meets. unlimited is a route of people and tokens.
func (t *troublemaker) meet(r *Request, route string, unlimited bool) *meeting {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &meeting{}
	var lies []*trouble
	for _, one := range t.list {
		if !one.On || unlimited && one.ID != Latency && one.ID != Outage || one.measure == share && t.random.Float64() >= one.Amount {
			continue
		}
		if one.ID == Latency {
			m.delay = time.Duration(one.Amount * float64(time.Second))
			one.Met++
			continue
		}
		if fault := t.refusal(one.ID); fault.Kind != None {
			if m.fault.Kind == None {
				m.fault, m.named = fault, FaultKind(one.ID)
				one.Met++
			}
			continue
		}
		lies = append(lies, one)
	}
	m.lie = func(answer *httptest.ResponseRecorder) *httptest.ResponseRecorder {
		if len(lies) == 0 || answer.Code != http.StatusOK || m.fault.Kind != None {
			return answer
		}
		return t.tell(lies, m, r, route, answer)
	}
	return m
}

// refusal is the fault of a trouble that comes before any effect.
func (t *troublemaker) refusal(id string) Fault {
	switch id {
	case Refused:
		return Fault{Kind: TooMany, RetryAfter: "1"}
	case FarRetry:
		if t.turn++; t.turn%2 == 0 {
			return Fault{Kind: TooMany, RetryAfter: "9999999999"}
		}
		return Fault{Kind: TooMany, RetryAfter: time.Now().AddDate(300, 0, 0).UTC().Format(http.TimeFormat)}
	case NoAccess:
		return Fault{Kind: Denied}
	case Outage:
		t.turn++
		return Fault{Kind: []FaultKind{ServerFail, BadGateway, Dropped}[t.turn%3]}
	case ErrorAt200:
		return Fault{Kind: errorAt200}
	case HTMLPage:
		return Fault{Kind: pageAt200}
	}
	return Fault{}
}

// tell lets each of the lies change an answer, if it can.
func (t *troublemaker) tell(lies []*trouble, m *meeting, r *Request, route string, answer *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	t.mu.Lock()
	defer t.mu.Unlock()
	body := slices.Clone(answer.Body.Bytes())
	for _, one := range lies {
		lie := lie{id: one.ID, query: r.URL.Query()}
		var told []byte
		var err error
		if rewrite := wholeLies[one.ID]; rewrite != nil {
			told = rewrite(body)
			label(answer.Header(), one.ID)
		} else if t.lists[route] && r.Method == http.MethodGet {
			told, err = t.listLie(lie, r, route, body)
		}
		if told == nil && err == nil {
			continue
		}
		one.Met++
		m.named = cmp.Or(m.named, FaultKind(one.ID))
		if errors.Is(err, errBadRecord) {
			answer = httptest.NewRecorder()
			answer.Code = http.StatusInternalServerError
			return answer
		}
		body = told
	}
	answer.Body.Reset()
	answer.Body.Write(body)
	return answer
}

// Drifting returns by how many records a page of a list lies elsewhere than it should;
// mostly 0. Ask for each page but a list's first.
func (t *troublemaker) Drifting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.find(Drift)
	if one == nil || !one.On {
		return 0
	}
	one.Met++
	t.turn++
	return 1 - 2*(t.turn%2)
}

// Disordered returns a list as a request sees it: mostly as it is, and in an order of its
// own while Reordered is on.
func Disordered[T any](s *Server, list []T) []T {
	t := s.troublemaker
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.find(Reordered)
	if one == nil || !one.On || len(list) < 2 {
		return list
	}
	one.Met++
	list = slices.Clone(list)
	t.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// shortLife is how long a token lives that is made while Expiry is on.
const shortLife = time.Minute

// Ended reports whether what was made at a time is refused as expired now, before its time.
func (t *troublemaker) Ended(made time.Time) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.find(Expiry)
	if one == nil || !one.On || made.After(one.since) && t.now().Before(made.Add(shortLife)) {
		return false
	}
	one.Met++
	return true
}

// time is the sandbox's; zero without one.
func (t *troublemaker) time() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.now()
}

// shortened is how long a token lives that is made now and would live for life; 0 is for ever.
func (t *troublemaker) shortened(life time.Duration) time.Duration {
	if t == nil {
		return life
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.find(Expiry); one != nil && one.On && (life == 0 || life > shortLife) {
		return shortLife
	}
	return life
}
