package export

import (
	"hash/maphash"
	"slices"
)

const (
	minTail = 1000 // rows remembered at the least
	lastIDs = 24   // ids kept in full for the checkpoint
)

// A tail remembers the rows taken last, to find the place again in a list
// that moves. It holds hashes; two ids that share one (1 in 2^64) would be
// taken for the same row.
type tail struct {
	recent

	seed maphash.Seed
	size int
	ring []uint64
	next int
	seen map[uint64]int // hash -> the row's number, counted from 1
}

func newTail(rows int) *tail {
	return &tail{seed: maphash.MakeSeed(), size: max(rows, minTail), seen: map[uint64]int{}}
}

// add remembers a row.
func (t *tail) add(id []byte) {
	h := maphash.Bytes(t.seed, id)
	t.recent.add(id)
	if len(t.ring) < t.size {
		t.ring = append(t.ring, h)
	} else {
		if old := t.ring[t.next]; t.seen[old] == t.count-t.size {
			delete(t.seen, old)
		}
		t.ring[t.next] = h
		t.next = (t.next + 1) % t.size
	}
	t.seen[h] = t.count
}

// has reports whether a row is among those remembered.
func (t *tail) has(id []byte) bool { return t.seen[maphash.Bytes(t.seed, id)] > 0 }

// hasNew reports whether a row is in the newer half of what is remembered.
// Around such a row nothing that was taken can have been forgotten.
func (t *tail) hasNew(id []byte) bool {
	n := t.seen[maphash.Bytes(t.seed, id)]
	return n > 0 && n > t.count-t.size/2
}

// recent keeps the last few ids in full.
type recent struct {
	last  [lastIDs][]byte
	count int
}

func (r *recent) add(id []byte) {
	slot := &r.last[r.count%lastIDs]
	*slot = append((*slot)[:0], id...)
	r.count++
}

// isLast reports whether id was added last.
func (r *recent) isLast(id []byte) bool {
	return r.count > 0 && string(r.last[(r.count-1)%lastIDs]) == string(id)
}

// lastID returns the id that was added last.
func (r *recent) lastID() string {
	if r.count == 0 {
		return ""
	}
	return string(r.last[(r.count-1)%lastIDs])
}

// ids returns the last ids, oldest first, as many as budget is wide for, but
// always one.
func (r *recent) ids(budget int) []string {
	var list []string
	for i := r.count - 1; i >= max(0, r.count-lastIDs); i-- {
		id := r.last[i%lastIDs]
		if budget -= width(id) + 3; budget < 0 && len(list) > 0 {
			break
		}
		list = append(list, string(id))
	}
	slices.Reverse(list)
	return list
}

// before returns ids to ask behind again, that of the last row but one first:
// each further back than the one before, and at the end the beginning of the
// list if that is as near.
func (r *recent) before() []string {
	var list []string
	for _, back := range []int{2, 4, 8, 16, lastIDs} {
		if back > r.count {
			return append(list, "")
		}
		list = append(list, string(r.last[(r.count-back)%lastIDs]))
	}
	return list
}
