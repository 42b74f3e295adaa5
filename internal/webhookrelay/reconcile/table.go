package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/state"
)

// A flag is one thing that reconcile has learned of a record.
type flag uint32

const (
	listed     flag = 1 << iota // the user is in SuperSaaS's list
	noIdentity                  // the user has no unique_id
	unreadable                  // a field of the user cannot be read
	hasRow                      // the relay has a row
	linked                      // the row links the member in record.member
	claimed                     // no row does, but the member in record.member bears the identity
	unresolved                  // the row waits for this run to link it or to mark it absent
	tombstone                   // of the row
	disabled                    // of the row
	known                       // an identity object exists
	matched                     // the linked member was in Yappli's list
	enabled                     // and shows enabled=1
	differ                      // and shows other values than the mapping gives
	duplicate                   // another user owns the identity
	resolved                    // this run ended the doubt about the row
	superseded                  // the same user came again, later in the list
	spoiled                     // a list holds a record of the user, or perhaps of the user's member, that cannot be used
	left                        // the row says that the difference in record.difference is left as it is
	pending                     // the member in record.member bears the identity, and the link is pending approval
	decided                     // a person has decided that it is, and the link is not made yet
	unnoted                     // the row alone says that the relay made the member
	rejected                    // a person has decided that the member in record.member, who bears the identity exactly, is not
)

// A record is what reconcile keeps of one user, or of one identity that no
// user has. It holds hashes only, 80 bytes a user.
type record struct {
	id      int64        // SuperSaaS user; 0: an identity alone
	unique  state.Digest // of the folded unique_id; zero: none
	exact   uint64       // hash of its alias: of the row's, if that links a member or is in doubt, else of the user's; 0: not known
	desired uint64       // hash of the comparable fields' values
	mask    uint64       // which comparable fields the mapping gives
	member  uint64       // hash of the linked member's id
	match   uint64       // hash of what a member must show in the link_if fields; 0: no member can
	hidden  uint64       // hash of the row's hash that the desired fields give; 0: a list shows all of it
	flags   flag

	difference uint32 // that the row leaves, then that the list shows; 0: none
}

const recordSize = 8 + 16 + 8 + 8 + 8 + 8 + 8 + 8 + 4 + 4

// bears reports whether an alias of the record's identity is the record's own, or
// may be.
func (r *record) bears(unique state.Alias) bool {
	return r.exact == 0 || r.exact == unique.Exact.Word()
}

func (r *record) is(f flag) bool { return r.flags&f != 0 }
func (r *record) set(f flag)     { r.flags |= f }

func (r *record) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(r.id))
	b = append(b, r.unique[:]...)
	b = binary.LittleEndian.AppendUint64(b, r.exact)
	b = binary.LittleEndian.AppendUint64(b, r.desired)
	b = binary.LittleEndian.AppendUint64(b, r.mask)
	b = binary.LittleEndian.AppendUint64(b, r.member)
	b = binary.LittleEndian.AppendUint64(b, r.hidden)
	b = binary.LittleEndian.AppendUint64(b, r.match)
	b = binary.LittleEndian.AppendUint32(b, uint32(r.flags))
	return binary.LittleEndian.AppendUint32(b, r.difference)
}

func decodeRecord(b []byte) record {
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }
	return record{
		id: int64(word(0)), unique: state.Digest(b[8:24]), exact: word(24), desired: word(32), mask: word(40), member: word(48), hidden: word(56),
		match: word(64), flags: flag(binary.LittleEndian.Uint32(b[72:])), difference: binary.LittleEndian.Uint32(b[76:]),
	}
}

const slabLength = 1 << 13

// A table holds records in slabs, so that growing copies none, and finds them
// by user, identity or member once indexed. Records get their places for good.
type table struct {
	slabs    [][]record
	byID     []uint32
	byUnique []uint32
	byMember []uint32
}

func (t *table) len() int {
	if len(t.slabs) == 0 {
		return 0
	}
	return (len(t.slabs)-1)*slabLength + len(t.slabs[len(t.slabs)-1])
}

func (t *table) at(i int) *record { return &t.slabs[i/slabLength][i%slabLength] }

func (t *table) add(r record) {
	if t.len()%slabLength == 0 {
		length := slabLength
		if len(t.slabs) == 0 {
			length = slabLength / 32 // it grows: many accounts have a few hundred users
		}
		t.slabs = append(t.slabs, make([]record, 0, length))
	}
	last := len(t.slabs) - 1
	t.slabs[last] = append(t.slabs[last], r)
}

// index makes the records findable. Of several records of one user the one
// added last counts.
func (t *table) index() {
	t.byID, t.byUnique, t.byMember = t.byID[:0], t.byUnique[:0], t.byMember[:0]
	for i := range t.len() {
		t.byID = append(t.byID, uint32(i))
	}
	slices.SortFunc(t.byID, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(t.at(int(a)).id, t.at(int(b)).id), cmp.Compare(a, b))
	})
	for i, place := range t.byID {
		r := t.at(int(place))
		if i+1 < len(t.byID) && r.id != 0 && t.at(int(t.byID[i+1])).id == r.id {
			*r = record{flags: superseded}
		}
	}
	t.byID = slices.DeleteFunc(t.byID, func(i uint32) bool { return t.at(int(i)).id == 0 })
	for i := range t.len() {
		r := t.at(i)
		if r.unique != (state.Digest{}) {
			t.byUnique = append(t.byUnique, uint32(i))
		}
		if r.is(linked) {
			t.byMember = append(t.byMember, uint32(i))
		}
	}
	slices.SortFunc(t.byUnique, func(a, b uint32) int {
		x, y := t.at(int(a)), t.at(int(b))
		return cmp.Or(bytes.Compare(x.unique[:], y.unique[:]), cmp.Compare(x.id, y.id))
	})
	slices.SortFunc(t.byMember, func(a, b uint32) int { return cmp.Compare(t.at(int(a)).member, t.at(int(b)).member) })
}

// user finds a user's record; nil if there is none.
func (t *table) user(id int64) *record {
	i, ok := slices.BinarySearchFunc(t.byID, id, func(p uint32, id int64) int { return cmp.Compare(t.at(int(p)).id, id) })
	if !ok {
		return nil
	}
	return t.at(int(t.byID[i]))
}

// bearers finds the records of an identity, in the order of their users.
func (t *table) bearers(unique state.Digest) []*record {
	i, _ := slices.BinarySearchFunc(t.byUnique, unique, func(p uint32, u state.Digest) int {
		return bytes.Compare(t.at(int(p)).unique[:], u[:])
	})
	var found []*record
	for ; i < len(t.byUnique) && t.at(int(t.byUnique[i])).unique == unique; i++ {
		found = append(found, t.at(int(t.byUnique[i])))
	}
	return found
}

// linkedTo finds the record that a row links to a member; nil if none does.
func (t *table) linkedTo(member uint64) *record {
	i, ok := slices.BinarySearchFunc(t.byMember, member, func(p uint32, m uint64) int { return cmp.Compare(t.at(int(p)).member, m) })
	if !ok {
		return nil
	}
	return t.at(int(t.byMember[i]))
}

// save writes the table under a prefix, a slab an object.
func (t *table) save(ctx context.Context, objects objectstore.Store, prefix string) error {
	buffer := make([]byte, 0, min(slabLength, t.len())*recordSize)
	for i, slab := range t.slabs {
		buffer = buffer[:0]
		for j := range slab {
			buffer = slab[j].append(buffer)
		}
		key := fmt.Sprintf("%s%06d", prefix, i)
		_, err := objects.Put(ctx, objectstore.Object{Key: key, Body: bytes.NewReader(buffer), Size: int64(len(buffer)), ContentType: "application/octet-stream"})
		if err != nil {
			return fmt.Errorf("writing %s: %w", key, err)
		}
	}
	return nil
}

// loadTable reads a table of so many records that save wrote.
func loadTable(ctx context.Context, objects objectstore.Store, prefix string, records int) (*table, error) {
	t := &table{}
	for i := 0; t.len() < records; i++ {
		key := fmt.Sprintf("%s%06d", prefix, i)
		_, body, err := objects.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", key, err)
		}
		raw, err := io.ReadAll(io.LimitReader(body, slabLength*recordSize))
		_ = body.Close()
		if err != nil || len(raw) == 0 || len(raw)%recordSize != 0 {
			return nil, fmt.Errorf("reading %s: %w", key, cmp.Or(err, io.ErrUnexpectedEOF))
		}
		for ; len(raw) > 0; raw = raw[recordSize:] {
			t.add(decodeRecord(raw))
		}
	}
	t.index()
	return t, nil
}
