package record

import (
	"maps"
	"slices"
	"strconv"

	"hikyaku/internal/console"
)

// Of each kind at most this many events are kept, so that a flood of one kind does not
// wash away the others.
const (
	mostOfKind  = 1000
	mostOfFlood = 4000 // of the kinds that every webhook has
)

func mostOf(k console.Kind) int {
	switch k {
	case console.Webhook, console.Queued, console.Received, console.Handled, console.Call:
		return mostOfFlood
	case console.Died, console.Edited, console.Token, console.Run, console.Compared, console.Process, console.Logged:
	}
	return mostOfKind
}

// events are the newest of each kind.
type events struct{ byKind map[console.Kind]*ring }

func newEvents() *events { return &events{byKind: map[console.Kind]*ring{}} }

// A ring holds the newest events in the order in which they came.
type ring struct {
	list []*console.Event
	next int // where the next one goes, once the list is full
}

func (e *events) add(event *console.Event) {
	of := e.byKind[event.Kind]
	if of == nil {
		of = &ring{}
		e.byKind[event.Kind] = of
	}
	if len(of.list) < mostOf(event.Kind) {
		of.list = append(of.list, event)
		return
	}
	of.list[of.next] = event
	of.next = (of.next + 1) % len(of.list)
}

// at is the i-th newest event, nil beyond the oldest.
func (r *ring) at(i int) *console.Event {
	if i >= len(r.list) {
		return nil
	}
	return r.list[(r.next-1-i+2*len(r.list))%len(r.list)]
}

const usualLimit = 50

// choose merges the kinds, the newest first.
func (e *events) choose(f console.Filter) []console.Event {
	if f.Limit <= 0 {
		f.Limit = usualLimit
	}
	kinds := f.Kinds
	if len(kinds) == 0 {
		kinds = slices.Sorted(maps.Keys(e.byKind))
	}
	seen := make([]int, len(kinds)) // of each kind
	var chosen []console.Event
	for len(chosen) < f.Limit {
		var newest *console.Event
		of := -1
		for i, kind := range kinds {
			if r := e.byKind[kind]; r != nil {
				if next := r.at(seen[i]); next != nil && (newest == nil || next.ID > newest.ID) {
					newest, of = next, i
				}
			}
		}
		if newest == nil {
			break
		}
		seen[of]++
		if matches(f, newest) {
			chosen = append(chosen, copied(newest))
		}
	}
	return chosen
}

func matches(f console.Filter, e *console.Event) bool {
	return (f.Provider == "" || f.Provider == e.Provider) && (f.User == "" || f.User == e.User) && (f.Way == "" || f.Way == e.Way) &&
		(!f.Bad || e.Bad) && (f.Before == "" || e.ID < f.Before)
}

func copied(e *console.Event) console.Event {
	out := *e
	out.Detail = maps.Clone(e.Detail)
	return out
}

// number is that of an event's id; 0 for anything else.
func number(id string) uint64 {
	n, _ := strconv.ParseUint(id, 10, 64)
	return n
}
