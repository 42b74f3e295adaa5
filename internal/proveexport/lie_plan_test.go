package proveexport

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// A mode is how lies follow each other.
type mode string

const (
	single  mode = "single"  // each answer for itself, by a rate
	burst   mode = "burst"   // a number of answers in a row
	endless mode = "endless" // each answer, as long as the run lasts
)

// A plan is what one seed does, drawn before its first request.
type plan struct {
	seed       uint64
	way        way
	rows, page int
	kinds      []kind
	mode       mode
	rate       float64 // of single and endless
	until      int     // answers after which all are true; 0: the run's
	from       int     // true answers before a burst
	length     int     // of a burst

	source  source
	second  bool // a complete run came before
	cold    bool // each call meets a new process
	flight  int  // questions that may be asked at once; 0: the standard
	timeout time.Duration
}

// A source is what is wrong with all answers of a seed, if anything is.
type source struct {
	moves  bool   // rows come, go and change between requests
	ties   int    // rows that sort alike come in another order each time; 0: none
	totals bool   // the count of all rows is wrong
	odd    bool   // elements that are no records stand among records
	bad    string // how one record is bad, whenever it is in an answer
}

// ownFault reports whether single records are bad, so that rejects are right.
func (s source) ownFault() bool { return s.odd || s.bad != "" }

func (s source) String() string {
	switch {
	case s.moves:
		return "inserts and deletes"
	case s.ties > 0:
		return fmt.Sprintf("ties of %d in changing order", s.ties)
	case s.totals:
		return "totals that lie"
	case s.odd:
		return "odd elements"
	case s.bad != "":
		return "a bad record (" + s.bad + ")"
	}
	return "a still list"
}

// sources returns what may be wrong with an account's list as a whole. Ties
// have an order only where there is a place to ask for, and those of a list
// that moves too are not tried: what a move shifts, ties can shift back.
func sources(a *account) []source {
	all := []source{{}, {}, {}, {}, {}, {}, {moves: true}, {moves: true}, {odd: true}, {bad: "500"}, {bad: "500"}, {bad: "cut"}, {bad: "control"}, {bad: "comma"}, {bad: "no id"}}
	if paged(a) {
		all = append(all, source{ties: 2}, source{ties: 4}, source{ties: 1000})
	}
	if a.token.Provider == "shopline" || a.paging.size == "per_page" {
		all = append(all, source{totals: true}, source{totals: true}, source{totals: true}, source{totals: true})
	}
	return all
}

// draw plans a seed. Ways and sources come in turn, so that a number of seeds
// holds each of them about equally often.
func draw(seed uint64) plan {
	chance := rand.New(rand.NewPCG(seed, 0x11e5))
	p := plan{seed: seed, way: ways[seed%uint64(len(ways))], page: 2 + chance.IntN(9), mode: single}
	p.rows = pick(chance, 0, 1, 2, 5, 9, 14, 20, 26, 33, 40, 50, 60)
	if chance.IntN(3) > 0 {
		p.rows = max(p.rows, 12)
	}
	p.rate = pick(chance, 0.1, 0.2, 0.3, 0.45, 0.6)
	switch chance.IntN(8) {
	case 0:
		p.mode, p.rate = endless, 1
	case 1, 2:
		p.mode = burst
		p.length = pick(chance, 2, 4, 5, 8, 12, 20, longestBurst())
		p.from = chance.IntN(15)
	}
	if p.mode == single && chance.IntN(2) == 0 {
		p.until = 5 + chance.IntN(60)
	}
	p.second = chance.IntN(3) == 0
	p.cold = chance.IntN(4) == 0
	p.flight = pick(chance, 1, 1, 0)
	p.timeout = pick(chance, loop.call, loop.call, loop.call, 4*time.Minute, 90*time.Second)
	return p
}

// longestBurst is how often the product asks a question that is never answered,
// less one: a call asks it several times, and the state machine calls again.
func longestBurst() int { return bounds[faulty].asked*(loop.retries+1) - 1 }

// choose draws what depends on the account.
func (p *plan) choose(a *account) {
	all := sources(a)
	p.source = all[int(p.seed)/len(ways)%len(all)]
	chance := rand.New(rand.NewPCG(p.seed, 0x4b1d))
	groups := []class{faulty, faulty, faulty, faulty} // answers in a row are about an ill server
	if p.mode == single {
		groups[0], groups[1] = pick(chance, misplaced, misplaced, harmless), pick(chance, emptied, faulty)
	}
	for _, of := range groups {
		k := pick(chance, turns[p.way.name][of]...)
		for p.mode != single && k.name == generation { // it is the truth, before another answer has been read
			k = pick(chance, turns[p.way.name][of]...)
		}
		p.kinds = append(p.kinds, k)
	}
}

// pretend leaves of a plan what looks like the truth: false ends, on a list
// that stands still.
func (p *plan) pretend() {
	p.mode, p.rate, p.source = single, max(p.rate, 0.3), source{}
	p.kinds = turns[p.way.name][emptied]
}

// turns are the kinds that fit each way, by class. One that fits few ways is
// there more often.
var turns map[string]map[class][]kind

// takeTurns fills in turns.
func takeTurns() {
	chance := rand.New(rand.NewPCG(3, 4))
	turns = map[string]map[class][]kind{}
	fitting, fits := map[string][]kind{}, map[string]int{}
	for _, w := range ways {
		a := w.open(sandbox.Options{Records: 1, Rate: -1}, 5, chance)
		for _, k := range kinds {
			if k.fits == nil || k.fits(a) {
				fitting[w.name] = append(fitting[w.name], k)
				fits[k.name]++
			}
		}
	}
	for _, w := range ways {
		turns[w.name] = map[class][]kind{}
		for _, k := range fitting[w.name] {
			often := (len(ways) + fits[k.name] - 1) / fits[k.name]
			if often > 3 { // such a list is short of questions, too
				often *= 2
			}
			turns[w.name][k.class] = append(turns[w.name][k.class], slices.Repeat([]kind{k}, often)...)
		}
	}
}

// ends reports whether the lies end in time, so that the run can be complete.
func (p plan) ends() bool {
	return p.mode != endless && !p.source.ownFault() && (p.until > 0 || !p.source.moves && p.source.ties == 0)
}

func (p plan) String() string {
	names := make([]string, len(p.kinds))
	for i, k := range p.kinds {
		names[i] = k.name
	}
	until := "to the end of the run"
	if p.until > 0 {
		until = fmt.Sprintf("for %d answers", p.until)
	}
	if p.mode == burst {
		until = fmt.Sprintf("%d after %d", p.length, p.from)
	}
	return fmt.Sprintf("seed %d: %s, %d rows in pages of %d, %s, %s at %.2f %s, second %t, cold %t, in flight %d, calls of %v; %s",
		p.seed, p.way.name, p.rows, p.page, p.source, p.mode, p.rate, until, p.second, p.cold, p.flight, p.timeout, strings.Join(names, ", "))
}
