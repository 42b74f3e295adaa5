package pagination

import (
	"cmp"
	"slices"
)

const (
	minRecent = 1000 // rows remembered at least
	fullIDs   = 24   // of them, kept with their whole ids
	// idWidth bounds what a Position's ids take together as ASCII JSON, so that
	// a part's metadata can hold it.
	idWidth = 400
)

// recentRows are the rows that a look has read last, in their order. By them the
// reader finds its place again in a list that has moved.
type recentRows struct {
	last [fullIDs][]byte // the last ids, a ring
	read int             // rows read so far; rows are numbered from 1

	ring    []readRow // that of number n at index n-1, modulo its length
	numbers numbers   // of the rows in ring, at least
	shift   int       // by how far the rows of a list that has moved stand behind where they were read
	again   rereading
}

// A readRow is a row as it was read.
type readRow struct {
	id    uint64 // digest of its id
	place int    // less shift at that time
}

// A rereading is what is read once more, because the reader went back: the rows
// expected after one place, up to another.
type rereading struct {
	after, to int
	read      int  // number of the row read last before that
	grown     bool // the list has grown in front of it
}

// newRecent remembers the last ids, the newest of them at a place.
func newRecent(rows int, last []string, place int) *recentRows {
	r := &recentRows{ring: make([]readRow, max(rows, minRecent))}
	for i, id := range last {
		r.add([]byte(id), place-len(last)+1+i)
	}
	return r
}

// add notes a row as the one read last, at a place.
func (r *recentRows) add(id []byte, place int) {
	r.keep(id)
	r.note(digest(id), place)
}

// keep keeps the whole id of the row that is noted next.
func (r *recentRows) keep(id []byte) {
	slot := &r.last[r.read%fullIDs]
	*slot = append((*slot)[:0], id...)
}

// note notes a row by the digest of its id.
func (r *recentRows) note(d uint64, place int) {
	r.ring[r.read%len(r.ring)] = readRow{d, place - r.shift}
	r.read++
	r.numbers.set(d, r.read, len(r.ring))
}

// number returns the number of a row that is remembered, by the digest of its id;
// 0 for any other.
func (r *recentRows) number(d uint64) int {
	if n := r.numbers.get(d); n > r.read-len(r.ring) {
		return n
	}
	return 0
}

// numbers are the numbers of at least the rows read last, by the digests of
// their ids: what is older is forgotten a map at a time.
type numbers struct{ newer, older map[uint64]int }

func (n *numbers) get(d uint64) int { return cmp.Or(n.newer[d], n.older[d]) }

func (n *numbers) set(d uint64, number, most int) {
	if n.newer == nil || len(n.newer) == most {
		n.newer, n.older = n.older, n.newer
		clear(n.newer)
		if n.newer == nil {
			n.newer = map[uint64]int{}
		}
	}
	n.newer[d] = number
}

// has reports whether a row is remembered.
func (r *recentRows) has(id []byte) bool { return r.number(digest(id)) > 0 }

// inNewerHalf reports whether a row is in the newer half of what is remembered.
// The rows that were read next to it are then remembered, too.
func (r *recentRows) inNewerHalf(id []byte) bool {
	n := r.number(digest(id))
	return n > 0 && n > r.read-len(r.ring)/2
}

// place returns where the row of a number is expected now.
func (r *recentRows) place(number int) int { return r.ring[(number-1)%len(r.ring)].place + r.shift }

// goBack notes that the list is read on from the row of a number, which stands by
// moved rows further on than expected: the rows after it are read again.
func (r *recentRows) goBack(number, moved int) {
	r.shift += moved
	r.again = rereading{after: r.place(number), to: max(r.again.to+moved, r.place(r.read)), read: r.read, grown: moved > 0}
}

// missed goes on with a rereading to a place. If the list had grown in front of
// it, it returns the digests of the rows expected before that place and not found.
func (r *recentRows) missed(place int) (ids []uint64) {
	again := r.again
	r.again.after = max(again.after, min(place, again.to))
	if !again.grown {
		return nil
	}
	for n := max(0, r.read-len(r.ring)) + 1; n <= again.read && again.after+1 < min(place, again.to+1); n++ {
		d := r.ring[(n-1)%len(r.ring)].id
		if p := r.place(n); r.number(d) == n && p > again.after && p < place && p <= again.to {
			ids = append(ids, d)
		}
	}
	return ids
}

// expectedAgain returns the place at which a row is expected that is read again
// because the reader went back, and stands in its order; 0 for any other.
func (r *recentRows) expectedAgain(id uint64) int {
	if n := r.number(id); n > 0 && r.place(n) > r.again.after && r.place(n) <= r.again.to {
		return r.place(n)
	}
	return 0
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

// withID returns how many rows back the last one is that has an id of its own. A
// page that holds only rows without one is no list to the client. 1 where none of
// those kept has one.
func (r *recentRows) withID() int {
	for n := 1; n <= min(r.read, fullIDs); n++ {
		if !IsDigest([]byte(r.back(n))) {
			return n
		}
	}
	return 1
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
