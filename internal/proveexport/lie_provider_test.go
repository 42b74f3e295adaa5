package proveexport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	errConnection = errors.New("connection reset by peer")
	errSilence    = errors.New("no answer at all")

	// totals are the counts of all rows in an answer.
	totals = regexp.MustCompile(`("(?:total_count|total|total_pages|last_page)":)\d+`)
)

// A bound is how often a question may be lied to: at most as often as the
// product asks it, less one.
type bound struct {
	asked int
	why   string
}

// bounds are those of one seed whose lies are single. A question is one query
// of one list. Whether a list has ended is one question, at whatever place it
// is asked: a run that asks it again may do so from the beginning.
var bounds = map[class]bound{
	faulty:    {4, "a call sends a question up to 4 times before it fails"},
	emptied:   {2, "an empty first answer and an end are asked for again"},
	misplaced: {2, "a page that does not fit is asked for again"},
	harmless:  {4, "it is no lie"},
}

const (
	// checks is how many answers after one that looks like the truth and is
	// not are true: by them the product can find out.
	checks = 3
	// longWaits is how many long waits a run is asked for at most: together
	// they may take 6 h, each 1 h.
	longWaits = 5
	// patience is how many requests a run of at most a hundred rows may make.
	patience = 3000
)

// A provider is a sandbox that lies. It is an http.RoundTripper, because a
// socket blocks a test in virtual time for ever.
type provider struct {
	account *account
	plan    plan
	extra   int // lies beyond the bound

	mu       sync.Mutex
	lying    bool
	requests int                // since it lies
	enough   context.CancelFunc // of the call under way, once its requests are too many
	asked    map[string]int
	told     map[string]map[class]int
	quiet    int // answers that must be true before the next that only looks so
	waits    int
	earlier  map[string][]string
	bad      map[string]bool // records that are never answered well
	counts   map[string]int  // told, by kind
	most     map[class]int   // told to one question
	log      []string
	began    time.Time

	edited func() // after each edit of what the sandbox holds
	names  ids

	before func(n int)         // the n-th request while it tells the truth; nil: nothing
	order  func(rows []string) // sorts the truth again; nil: the sandbox's order
	asks   int                 // requests while it tells the truth

	answers map[string]kept // of the sandbox, by query, since the last edit
}

// start begins to lie about a run.
func (p *provider) start(bad []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lying, p.requests, p.quiet, p.waits, p.answers = true, 0, 0, 0, nil
	p.asked, p.told, p.earlier, p.bad = map[string]int{}, map[string]map[class]int{}, map[string][]string{}, map[string]bool{}
	for _, id := range bad {
		p.bad[id] = true
	}
	p.note("-- lies from here on")
}

// stop tells the truth from now on.
func (p *provider) stop(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lying, p.bad = false, nil
	p.note("-- %s", what)
}

func (p *provider) bound(end context.CancelFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enough = end
}

func (p *provider) spent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lying && p.requests > patience
}

// remark notes what is not a request.
func (p *provider) remark(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note("-- "+format, args...)
}

func (p *provider) note(format string, args ...any) {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	p.log = append(p.log, fmt.Sprintf("%9.1f s  ", time.Since(p.began).Seconds())+fmt.Sprintf(format, args...))
}

// RoundTrip answers a request.
func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	told := p.answer(r)
	if errors.Is(told.failed, errSilence) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return told.response(r)
}

// question is a query of a list, its parameters sorted.
func question(r *http.Request) string { return r.URL.Path + "?" + r.URL.Query().Encode() }

// about is the question that a lie of a class answers.
func (p *provider) about(c class, r *http.Request) string {
	if c != emptied {
		return question(r)
	}
	q := r.URL.Query()
	q.Del(p.account.paging.size)
	q.Del(p.account.paging.at)
	return r.URL.Path + "?" + q.Encode() + " ends"
}

// dice makes chances of what is asked and how often it has been, so that they
// do not depend on the order of questions that are asked at once.
func (p *provider) dice(about string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(about))
	return rand.New(rand.NewPCG(p.plan.seed, h.Sum64()+uint64(n)))
}

func (p *provider) answer(r *http.Request) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lying {
		return p.untrue(r)
	}
	if p.asks++; p.before != nil {
		p.before(p.asks)
	}
	a, l := p.truth(r, p.order)
	p.note("%s: %d, %d rows", question(r), a.status, len(l.rows))
	return a
}

// untrue answers while the provider lies, which is not to say that each answer
// is a lie.
func (p *provider) untrue(r *http.Request) answer {
	if p.requests++; p.requests > patience && p.enough != nil {
		p.enough()
	}
	q := question(r)
	p.asked[q]++
	chance := p.dice(q, p.asked[q])
	active := p.plan.until == 0 || p.requests <= p.plan.until
	if active && p.plan.source.moves && chance.IntN(3) == 0 {
		p.edit(chance)
	}
	order := p.order
	if n := p.plan.source.ties; active && n > 0 {
		order = func(rows []string) { shuffleTies(rows, n, chance) }
	}
	a, l := p.truth(r, order)
	t := &telling{
		account: p.account, request: r, query: r.URL.Query(), list: l, chance: chance, answer: a,
		earlier: p.earlier[r.URL.Path],
	}
	what := p.spoil(t)
	if what == "" && active {
		what = p.lie(t)
	}
	p.remember(r, l)
	p.quiet--
	switch {
	case what == "":
		p.note("%s: %d, %d rows", q, t.status, len(l.rows))
	case t.failed != nil:
		p.note("%s: %v, LIE %s", q, t.failed, what)
	default:
		p.note("%s: %d, %d bytes for %d rows, LIE %s", q, t.status, len(t.body), len(l.rows), what)
	}
	return t.answer
}

// edit moves the list: rows come, go and change, and cancel out.
func (p *provider) edit(chance *rand.Rand) {
	a := p.account
	both := func(c *rand.Rand) { a.remove(c); a.insert(c) }
	pick(chance, a.insert, a.remove, a.change, both)(chance)
	p.forget()
	p.counts["inserts and deletes"]++
}

// truth is what the source holds, in its own order or in another.
func (p *provider) truth(r *http.Request, order func([]string)) (answer, list) {
	page := p.own(r, p.account.paging.obey)
	a, l := page.answer, page.list
	if a.header = a.header.Clone(); page.err != nil {
		return a, list{}
	}
	if order == nil || !paged(p.account) || strings.Contains(r.URL.Path, "schedules") {
		return a, l
	}
	whole := slices.Clone(p.own(r, p.account.paging.whole).list.rows)
	order(whole)
	from, to := p.account.paging.rows(r.URL.Query(), len(whole))
	if rows := whole[from:to]; !slices.Equal(rows, l.rows) {
		if p.lying {
			p.counts["ties in changing order"]++
		}
		l.rows = rows
		a.body = l.bytes(rows)
	}
	return a, l
}

// A kept answer is the sandbox's own.
type kept struct {
	answer
	list list
	err  error
}

// own returns the sandbox's answer to a changed query. It is kept until the
// next edit: most of a seed's time would go into making it again.
func (p *provider) own(r *http.Request, change func(url.Values)) kept {
	q := r.URL.Query()
	change(q)
	about := r.URL.Path + "?" + q.Encode()
	if page, there := p.answers[about]; there {
		return page
	}
	if p.answers == nil {
		p.answers = map[string]kept{}
	}
	page := kept{answer: p.account.with(r, change)}
	page.list, page.err = parseList(page.body)
	p.answers[about] = page
	return page
}

// forget is called after each edit.
func (p *provider) forget() {
	p.answers = nil
	p.edited()
}

// shuffleTies gives groups of n rows, which sort alike, another order.
func shuffleTies(rows []string, n int, chance *rand.Rand) {
	for group := range slices.Chunk(rows, n) {
		chance.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
	}
}

// remember keeps the rows that a list has answered, for repetitions.
func (p *provider) remember(r *http.Request, l list) {
	if len(p.earlier[r.URL.Path]) < 400 {
		p.earlier[r.URL.Path] = append(p.earlier[r.URL.Path], l.rows...)
	}
}

// spoil does what a bad record does to every answer that holds it, and what a
// server does to all its totals.
func (p *provider) spoil(t *telling) string {
	if p.plan.source.totals && totals.Match(t.body) {
		wrong := pick(t.chance, "0", "1", "-1", "99999", "null", `"many"`, "1e300")
		t.list.after = totals.ReplaceAllString(t.list.after, "${1}"+wrong)
		t.rows(t.list.rows)
		p.counts["totals that lie"]++
	}
	if p.plan.source.odd && len(t.list.rows) > 0 && t.chance.IntN(6) == 0 {
		odd := pick(t.chance, "null", "0", `"x"`, "{}", "[]", `{"name":"x"}`, `{"id":null,"serial_order_id":null}`, `{"id":{},"serial_order_id":[]}`)
		t.rows(slices.Insert(slices.Clone(t.list.rows), t.chance.IntN(len(t.list.rows)+1), odd))
		p.counts["an odd element"]++
	}
	for i, row := range t.list.rows {
		if !p.bad[p.names.of(record(row))] {
			continue
		}
		if p.plan.source.bad == "500" {
			t.fail(500, `{"error":"internal"}`)
			p.counts["500 for one record"]++
			return "500 for one record"
		}
		rows := slices.Clone(t.list.rows)
		rows[i] = broken(p.plan.source.bad, row)
		t.rows(rows)
		p.counts["a broken record"]++
	}
	return ""
}

// broken returns a record with a fault that is always the same.
func broken(how, row string) string {
	switch how {
	case "cut":
		return row[:len(row)*2/3]
	case "control":
		return strings.Replace(row, `":"`, "\":\"\x01", 1)
	case "comma":
		return row[:len(row)-1] + ",}"
	}
	return `{"name":"no id"}`
}

// lie tells a lie if one is due, and returns its name.
func (p *provider) lie(t *telling) string {
	if !p.due(t) {
		return ""
	}
	kinds := slices.Clone(p.plan.kinds)
	t.chance.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	// What is told to fewest questions comes first, or would hardly be told.
	order := []class{emptied, misplaced, harmless, faulty}
	slices.SortStableFunc(kinds, func(a, b kind) int {
		return cmp.Compare(slices.Index(order, a.class), slices.Index(order, b.class))
	})
	for _, k := range kinds {
		q := p.about(k.class, t.request)
		if !p.may(k, q) {
			continue
		}
		before := t.answer
		before.header = t.header.Clone()
		k.tell(t)
		if t.status == before.status && string(t.body) == string(before.body) && t.failed == nil && t.broken == nil {
			t.answer = before
			continue
		}
		p.count(k, q)
		return k.name
	}
	return ""
}

// due reports whether this answer is to be a lie, if any kind may be told.
func (p *provider) due(t *telling) bool {
	if p.plan.mode == burst {
		return p.requests > p.plan.from && p.requests <= p.plan.from+p.plan.length+p.extra
	}
	rate := p.plan.rate
	if p.plan.mode == single && t.account.paging.first(t.query) {
		rate = max(rate, 0.5)
	}
	return t.chance.Float64() < rate
}

// may reports whether the bound allows one lie more.
func (p *provider) may(k kind, q string) bool {
	if strings.Contains(q, "schedules") && (k.class == misplaced || k.class == emptied) {
		return false
	}
	if k.name == "long Retry-After" && p.plan.mode != endless && p.waits >= longWaits {
		return false
	}
	looksTrue := k.class == emptied || k.class == misplaced
	if looksTrue && p.quiet > 0 && p.extra == 0 {
		return false
	}
	if k.class == faulty && p.plan.mode != single { // bounded by the burst's length, or not at all
		return true
	}
	return p.told[q][k.class] < bounds[k.class].asked-1+p.extra
}

func (p *provider) count(k kind, q string) {
	p.counts[k.name]++
	if k.name == "long Retry-After" {
		p.waits++
	}
	if k.class == emptied || k.class == misplaced {
		p.quiet = checks + 1
	}
	if p.told[q] == nil {
		p.told[q] = map[class]int{}
	}
	p.told[q][k.class]++
	if p.plan.mode == single || k.class != faulty {
		p.most[k.class] = max(p.most[k.class], p.told[q][k.class])
	}
}
