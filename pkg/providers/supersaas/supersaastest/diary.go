package supersaastest

import (
	"cmp"
	"slices"
	"time"
)

// A diary keeps one schedule's bookings in the orders in which its lists serve
// them, so that a page costs what is on it, however many bookings there are.
type diary struct {
	byStart  []*booking // those that are not deleted
	byChange []*booking
}

func compareStarts(a, b *booking) int {
	return cmp.Or(a.start.Compare(b.start), cmp.Compare(a.id, b.id))
}

func compareChanges(a, b *booking) int {
	return cmp.Or(a.changed.Compare(b.changed), cmp.Compare(a.id, b.id))
}

// newDiary sorts the bookings of a schedule.
func newDiary(list []*booking) *diary {
	d := &diary{byChange: slices.Clone(list)}
	for _, b := range list {
		if !b.deleted {
			d.byStart = append(d.byStart, b)
		}
	}
	slices.SortFunc(d.byStart, compareStarts)
	slices.SortFunc(d.byChange, compareChanges)
	return d
}

// insert adds a booking as it is now.
func (d *diary) insert(b *booking) {
	d.byChange = inserted(d.byChange, b, compareChanges)
	if !b.deleted {
		d.byStart = inserted(d.byStart, b, compareStarts)
	}
}

// remove takes out a booking that is as it was when it was inserted.
func (d *diary) remove(b *booking) {
	d.byChange = removed(d.byChange, b, compareChanges)
	if !b.deleted {
		d.byStart = removed(d.byStart, b, compareStarts)
	}
}

func inserted(list []*booking, b *booking, compare func(a, b *booking) int) []*booking {
	i, _ := slices.BinarySearchFunc(list, b, compare)
	return slices.Insert(list, i, b)
}

// removed looks on from the first that compares equal: a loaded document may
// have one id twice.
func removed(list []*booking, b *booking, compare func(a, b *booking) int) []*booking {
	i, _ := slices.BinarySearchFunc(list, b, compare)
	i += slices.Index(list[i:], b)
	return slices.Delete(list, i, i+1)
}

// between returns those of a sorted list whose time lies in [from, to); to may
// be open.
func between(list []*booking, at func(*booking) time.Time, from, to time.Time) []*booking {
	search := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(list, t, func(b *booking, t time.Time) int {
			if at(b).Before(t) {
				return -1
			}
			return 1
		})
		return i
	}
	first, last := search(from), len(list)
	if !to.IsZero() {
		last = max(search(to), first)
	}
	return list[first:last]
}
