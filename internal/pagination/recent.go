package pagination

import "slices"

const (
	minRecent = 1000 // rows remembered at least
	fullIDs   = 24   // of them, kept with their whole ids
	// idWidth bounds what a Position's ids take together as ASCII JSON, so that
	// a part's metadata can hold it.
	idWidth = 480
)

// recentRows are the rows that a look has read last, in their order. By them the
// reader finds its place again in a list that has moved.
type recentRows struct {
	last [fullIDs][]byte // the last ids, a ring
	read int             // rows read so far; rows are numbered from 1

	ring   []uint64       // digests of the ids
	next   int            // index of the oldest one, once the ring is full
	number map[uint64]int // of each row in ring
}

func newRecent(rows int, last []string) *recentRows {
	r := &recentRows{ring: make([]uint64, 0, max(rows, minRecent)), number: map[uint64]int{}}
	for _, id := range last {
		r.add([]byte(id))
	}
	return r
}

// add notes a row as the one read last.
func (r *recentRows) add(id []byte) {
	slot := &r.last[r.read%fullIDs]
	*slot = append((*slot)[:0], id...)
	r.read++
	d := digest(id)
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, d)
	} else {
		if old := r.ring[r.next]; r.number[old] == r.read-cap(r.ring) {
			delete(r.number, old)
		}
		r.ring[r.next] = d
		r.next = (r.next + 1) % cap(r.ring)
	}
	r.number[d] = r.read
}

// has reports whether a row is remembered.
func (r *recentRows) has(id []byte) bool { return r.number[digest(id)] > 0 }

// inNewerHalf reports whether a row is in the newer half of what is remembered.
// The rows that were read next to it are then remembered, too.
func (r *recentRows) inNewerHalf(id []byte) bool {
	n := r.number[digest(id)]
	return n > 0 && n > r.read-cap(r.ring)/2
}

// isLast reports whether id was read last.
func (r *recentRows) isLast(id []byte) bool {
	return r.read > 0 && string(r.last[(r.read-1)%fullIDs]) == string(id)
}

// back returns the id read n rows before the next one, 1 being the last; empty
// where that is not kept.
func (r *recentRows) back(n int) string {
	if n > r.read || n > fullIDs {
		return ""
	}
	return string(r.last[(r.read-n)%fullIDs])
}

// ids returns the last ids, the newest at the end: as many as fit into idWidth,
// but always one.
func (r *recentRows) ids() []string {
	var list []string
	budget := idWidth
	for n := 1; n <= min(r.read, fullIDs); n++ {
		id := r.back(n)
		if budget -= Width([]byte(id)) + 3; budget < 0 && len(list) > 0 {
			break
		}
		list = append(list, id)
	}
	slices.Reverse(list)
	return list
}
