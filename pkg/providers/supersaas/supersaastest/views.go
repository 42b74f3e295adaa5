package supersaastest

import (
	"cmp"
	"slices"
	"time"
)

// A view is how a list shows one schedule.
type view struct {
	schedule int64
	changes  bool // by the time of the last change, deleted ones included; else by start
}

func (v view) at(b *booking) time.Time {
	if v.changes {
		return b.changed
	}
	return b.start
}

func (v view) compare(a, b *booking) int {
	return cmp.Or(v.at(a).Compare(v.at(b)), cmp.Compare(a.id, b.id))
}

func (v view) shows(b *booking) bool {
	return b.schedule.id == v.schedule && (v.changes || !b.deleted)
}

// sorted returns the bookings of a view in its order. It is kept until a
// booking changes, so that a page costs what the page holds.
func (t *bookings) sorted(v view) []*booking {
	if rows, ok := t.views[v]; ok {
		return rows
	}
	var rows []*booking
	for _, b := range t.list {
		if v.shows(b) {
			rows = append(rows, b)
		}
	}
	slices.SortFunc(rows, v.compare)
	if t.views == nil {
		t.views = map[view][]*booking{}
	}
	t.views[v] = rows
	return rows
}

// add puts a new booking into the table.
func (t *bookings) add(b *booking) {
	t.list = append(t.list, b)
	for v, rows := range t.views {
		if v.shows(b) {
			i, _ := slices.BinarySearchFunc(rows, b, v.compare)
			t.views[v] = slices.Insert(rows, i, b)
		}
	}
}

// between returns the part of the rows whose time lies in [from, to); zero ends
// are open.
func (v view) between(rows []*booking, from, to time.Time) []*booking {
	first := func(at time.Time) int {
		i, _ := slices.BinarySearchFunc(rows, at, func(b *booking, at time.Time) int { return v.at(b).Compare(at) })
		return i
	}
	end := len(rows)
	if !to.IsZero() {
		end = first(to)
	}
	return rows[min(first(from), end):end]
}
