package pagination

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"

	"hikyaku/pkg/jsonscan"
)

// Known is the set of the rows that a run has returned, by 64-bit digests of
// their ids, in some 20 bytes each. Two ids with one digest would be taken for
// the same row; among a million rows that happens once in 37 million runs.
//
// It forgets its oldest rows a table at a time. It is not safe for concurrent use.
type Known struct {
	perTable  int      // rows of a full table; 0: one table that has no bound
	tables    []*table // the oldest first
	count     int
	forgotten bool
	answers   uint16 // number of the answer taken last
}

const (
	// RememberedRows is how many of the newest rows an export remembers at
	// least.
	RememberedRows = 1_000_000
	// Everything makes a set that forgets nothing. A list that is always read
	// twice needs that: rows that were forgotten would be returned again.
	Everything = 0
)

// NewKnown returns a set that remembers at least the newest rows added, or
// Everything.
func NewKnown(rows int) *Known { return &Known{perTable: (rows + 2) / 3} }

// tablesKept is how many tables there are at most: three full ones, which hold
// the rows to be remembered, and the one being filled.
const tablesKept = 4

// A knownRow is what is known of a row, in 16 bytes.
type knownRow struct {
	id      uint64 // digest of its id; 0: no row
	content uint16 // digest of its bytes
	next    uint16 // of the id that followed it in the newest answer; 0: none did; vanished
	answer  uint16 // number of the newest answer that showed it
	pass    uint8
	looks   uint8 // the look that took it, times 16, plus the last look that met it
}

// vanished is knownRow.next of a row that the first look did not find any more
// where it had read it, in a list that had grown in front of that place: it may
// have moved to the front.
const vanished = 2 // no digest16

func (s knownRow) taken() int { return int(s.looks >> 4) }
func (s knownRow) met() int   { return int(s.looks & 15) }

// meet notes that a look has met the row.
func (s *knownRow) meet(look int) { s.looks = s.looks&0xf0 | uint8(look&15) }

// takenIn is knownRow.looks of a row that a look takes.
func takenIn(look int) uint8 { return uint8(look&15) * 17 }

// knownRowSize is the size of a stored knownRow.
const knownRowSize = 16

// A mark is what a record is compared by.
type mark struct {
	id      uint64 // digest of its id
	content uint16 // digest of its bytes
}

// identified are the marks of one answer's records.
type identified struct {
	first *jsonscan.Record // tells the answer
	marks []mark
}

// identify gives the records of an answer the ids by which they are known, and
// returns their marks. An answer is read for that only once in a row.
func (a *identified) identify(l jsonscan.List) []mark {
	if len(l.Records) == 0 {
		return nil
	}
	if a.first != &l.Records[0] {
		a.first, a.marks = &l.Records[0], make([]mark, 0, len(l.Records))
		for i := range l.Records {
			r := &l.Records[i]
			r.ID = idOf(l, *r)
			a.marks = append(a.marks, mark{id: digest(r.ID), content: contentOf(l, *r)})
		}
	}
	return a.marks
}

func digest(id []byte) uint64 {
	if d := xxhash.Sum64(id); d != 0 {
		return d
	}
	return 1
}

// contentOf is a digest of a record's bytes.
func contentOf(l jsonscan.List, r jsonscan.Record) uint16 { return uint16(digest(l.Bytes(r))) }

// digest16 is a shorter digest of a digest; never 0.
func digest16(d uint64) uint16 { return uint16(d>>48) | 1 }

// Len returns how many rows have been added.
func (k *Known) Len() int { return k.count }

// Forgetful reports whether rows have been forgotten.
func (k *Known) Forgetful() bool { return k.forgotten }

// find returns what is known of an id; nil if nothing is. The next add may move it.
func (k *Known) find(id uint64) *knownRow {
	for i := len(k.tables) - 1; i >= 0; i-- {
		if s := k.tables[i].find(id); s != nil {
			return s
		}
	}
	return nil
}

// has reports whether all rows of an answer are known.
func (k *Known) has(l jsonscan.List) bool {
	return !slices.ContainsFunc(l.Records, func(r jsonscan.Record) bool { return k.find(digest(idOf(l, r))) == nil })
}

// add returns the row as it is known from now on, which the next add may move.
func (k *Known) add(s knownRow) *knownRow {
	n := len(k.tables)
	if n == 0 || k.perTable > 0 && k.tables[n-1].count >= k.perTable {
		if n == tablesKept {
			k.tables = append(k.tables[:0], k.tables[1:]...)
			k.forgotten = true
		}
		k.tables = append(k.tables, &table{most: k.perTable})
	}
	k.count++
	return k.tables[len(k.tables)-1].add(s)
}

// Restore adds rows as Row.AppendKnown wrote them in another process.
func (k *Known) Restore(r io.Reader) error {
	var raw [knownRowSize]byte
	for {
		if _, err := io.ReadFull(r, raw[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the known ids: %w", err)
		}
		s := knownRow{
			id: binary.LittleEndian.Uint64(raw[:]), content: binary.LittleEndian.Uint16(raw[8:]),
			next: binary.LittleEndian.Uint16(raw[10:]), answer: binary.LittleEndian.Uint16(raw[12:]), pass: raw[14], looks: raw[15],
		}
		if k.answers = s.answer; k.find(s.id) == nil {
			k.add(s)
		}
	}
}

// appendTo appends a stored knownRow.
func (s knownRow) appendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.id)
	b = binary.LittleEndian.AppendUint16(b, s.content)
	b = binary.LittleEndian.AppendUint16(b, s.next)
	b = binary.LittleEndian.AppendUint16(b, s.answer)
	return append(b, s.pass, s.looks)
}

// fewSlots is up to where a table grows in steps. One that has a bound is then
// given all that it will ever hold: to move its rows again and again would take
// more time than a row's look at it, and as much memory.
const fewSlots = 1 << 14

// A table is a hash table with open addressing.
type table struct {
	slots []knownRow
	count int
	most  int // rows that it takes; 0: no bound
}

func (t *table) place(id uint64) int {
	mixed := id * 0x9e3779b97f4a7c15
	return int(mixed >> 32 * uint64(len(t.slots)) >> 32)
}

func (t *table) find(id uint64) *knownRow {
	if len(t.slots) == 0 {
		return nil
	}
	for i := t.place(id); ; i = (i + 1) % len(t.slots) {
		switch t.slots[i].id {
		case id:
			return &t.slots[i]
		case 0:
			return nil
		}
	}
}

func (t *table) add(s knownRow) *knownRow {
	if t.count*4 >= len(t.slots)*3 {
		t.grow()
	}
	t.count++
	return t.put(s)
}

// clear forgets all rows.
func (t *table) clear() {
	clear(t.slots)
	t.count = 0
}

func (t *table) grow() {
	old := t.slots
	size := max(64, len(old)*3/2)
	if full := max(64, t.most*4/3+4); t.most > 0 && (size > full || size > fewSlots) {
		size = full
	}
	t.slots = make([]knownRow, size)
	for _, s := range old {
		if s.id != 0 {
			t.put(s)
		}
	}
}

func (t *table) put(s knownRow) *knownRow {
	i := t.place(s.id)
	for t.slots[i].id != 0 && t.slots[i].id != s.id {
		i = (i + 1) % len(t.slots)
	}
	t.slots[i] = s
	return &t.slots[i]
}
