package yapplitest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// A Member is one record. Values are by answer name ("secret_quetion",
// "created_at"), and also hold "password" and "secret_answer", which no answer
// shows. Integers are in decimal; a name that is not there is null.
type Member struct {
	ID     string
	Values map[string]string
}

// columns is how many custom fields a member has.
const columns = 50

// answerFields are the fields of an answer in the order of the documents'
// table (顧客一覧), without id.
var answerFields = func() []string {
	names := []string{"unique_id", "login_id", "rank"}
	for n := 1; n <= columns; n++ {
		names = append(names, fmt.Sprintf("column%02d", n))
	}
	return append(names, "secret_quetion", "point", "logined", "enabled", "point_geted_at", "logined_at", "created_at", "updated_at")
}()

// The integers among the fields; the documents type them so.
var integers = map[string]bool{"rank": true, "point": true, "logined": true, "enabled": true}

// JSON returns the member object as answers hold it, without white space.
func (m Member) JSON() []byte { return m.appendJSON(nil) }

func (m Member) appendJSON(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = appendText(b, m.ID)
	for _, name := range answerFields {
		b = append(b, ',', '"')
		b = append(b, name...)
		b = append(b, '"', ':')
		switch value, ok := m.Values[name]; {
		case !ok:
			b = append(b, "null"...)
		case integers[name]:
			b = append(b, value...)
		default:
			b = appendText(b, value)
		}
	}
	return append(b, '}')
}

// appendText is json.Marshal's text, without the detour where nothing needs an
// escape.
func appendText(b []byte, s string) []byte {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r > 0x7e }) < 0 && !strings.ContainsAny(s, "<>&") {
		return append(append(append(b, '"'), s...), '"')
	}
	quoted, _ := json.Marshal(s) // a string has no way to fail
	return append(b, quoted...)
}

func (m Member) clone() Member { return Member{ID: m.ID, Values: maps.Clone(m.Values)} }

// A slot is a place in the table. Invented members are made again each time
// they are looked at until something changes them, so that a million of them
// need little memory.
type slot struct {
	key    uint64 // order within the list
	id     string
	member *Member // nil: invented
}

// A change is what a slot was before, for lists that lag.
type change struct {
	at     time.Time
	before slot
	absent bool // there was none
}

// A table holds the members in the order of the list.
type table struct {
	seed    uint64
	shuffle uint64
	slots   []slot
	byID    map[string]*Member  // of changed or made members
	unique  map[string][]string // unique_id to ids, of the same
	next    int
	log     []change
}

// firstID is the id of the first invented member.
const firstID = 1001

func newTable(seed uint64, n int) table {
	t := table{seed: seed, slots: make([]slot, n), byID: map[string]*Member{}, unique: map[string][]string{}, next: firstID + n}
	for i := range t.slots {
		id := strconv.Itoa(firstID + i)
		t.slots[i] = slot{key: t.key(id), id: id}
	}
	return t
}

// reorder sorts the list by a seed; 0 is the order of ids.
func (t *table) reorder(seed uint64) {
	t.shuffle, t.log = seed, nil
	for i := range t.slots {
		t.slots[i].key = t.key(t.slots[i].id)
	}
	slices.SortFunc(t.slots, compareSlots)
}

// key orders ids as numbers, or shuffled.
func (t *table) key(id string) uint64 {
	n, err := strconv.ParseUint(id, 10, 63)
	if err != nil {
		n = 1 << 63 // ids that are no numbers come last
	}
	if t.shuffle != 0 {
		n = (n ^ t.shuffle) * 0x9e3779b97f4a7c15
		n ^= n >> 29
	}
	return n
}

func (t *table) find(id string) (int, bool) {
	return slices.BinarySearchFunc(t.slots, slot{key: t.key(id), id: id}, compareSlots)
}

func compareSlots(a, b slot) int {
	if order := cmp.Compare(a.key, b.key); order != 0 {
		return order
	}
	return strings.Compare(a.id, b.id)
}

// of returns the member of a slot.
func (t *table) of(s slot) Member {
	if s.member != nil {
		return *s.member
	}
	n, _ := strconv.Atoi(s.id)
	return invent(t.seed, n-firstID+1)
}

// get returns the member with id, for reading.
func (t *table) get(id string) (Member, bool) {
	if m := t.byID[id]; m != nil {
		return *m, true
	}
	i, ok := t.find(id)
	if !ok {
		return Member{}, false
	}
	return t.of(t.slots[i]), true
}

// put stores m, whose Values it keeps.
func (t *table) put(m Member, now time.Time, lag time.Duration) {
	i, ok := t.find(m.ID)
	stored := slot{key: t.key(m.ID), id: m.ID, member: &m}
	if ok {
		t.remember(change{at: now, before: t.slots[i]}, lag)
		t.forget(m.ID)
		t.slots[i] = stored
	} else {
		t.remember(change{at: now, before: slot{id: m.ID}, absent: true}, lag)
		t.slots = slices.Insert(t.slots, i, stored)
	}
	t.byID[m.ID] = &m
	if unique, ok := m.Values["unique_id"]; ok {
		t.unique[unique] = append(t.unique[unique], m.ID)
	}
	if n, err := strconv.Atoi(m.ID); err == nil && n >= t.next {
		t.next = n + 1
	}
}

func (t *table) remove(id string, now time.Time, lag time.Duration) bool {
	i, ok := t.find(id)
	if !ok {
		return false
	}
	t.remember(change{at: now, before: t.slots[i]}, lag)
	t.forget(id)
	t.slots = slices.Delete(t.slots, i, i+1)
	return true
}

func (t *table) forget(id string) {
	if m := t.byID[id]; m != nil {
		unique := m.Values["unique_id"]
		t.unique[unique] = slices.DeleteFunc(t.unique[unique], func(other string) bool { return other == id })
		delete(t.byID, id)
	}
}

// remember keeps a change as long as a list may still show what was before.
func (t *table) remember(c change, lag time.Duration) {
	if lag <= 0 {
		return
	}
	old := 0
	for old < len(t.log) && c.at.Sub(t.log[old].at) > lag {
		old++
	}
	t.log = append(t.log[old:], c)
}

// asOf returns the slots as they were at an instant.
func (t *table) asOf(at time.Time) []slot {
	first := len(t.log)
	for first > 0 && t.log[first-1].at.After(at) {
		first--
	}
	if first == len(t.log) {
		return t.slots
	}
	past := table{shuffle: t.shuffle, slots: slices.Clone(t.slots)}
	for i := len(t.log) - 1; i >= first; i-- {
		place, there := past.find(t.log[i].before.id)
		switch {
		case t.log[i].absent:
			past.slots = slices.Delete(past.slots, place, place+1)
		case there:
			past.slots[place] = t.log[i].before
		default:
			past.slots = slices.Insert(past.slots, place, t.log[i].before)
		}
	}
	return past.slots
}

// withUnique returns the members that bear a unique_id, oldest first.
func (t *table) withUnique(unique string) []Member {
	var found []Member
	if n, err := strconv.Atoi(strings.TrimPrefix(unique, inventedPrefix)); err == nil && n > 0 && unique == inventedUnique(n) {
		id := strconv.Itoa(firstID + n - 1)
		if i, ok := t.find(id); ok && t.slots[i].member == nil {
			found = append(found, t.of(t.slots[i]))
		}
	}
	for _, id := range t.unique[unique] {
		found = append(found, *t.byID[id])
	}
	return found
}

const inventedPrefix = "shop-"

func inventedUnique(n int) string { return fmt.Sprintf("%s%07d", inventedPrefix, n) }

// invent makes member number n, from 1.
func invent(seed uint64, n int) Member {
	p := sandbox.NewPerson(seed, n, "JP")
	values := map[string]string{
		"unique_id": inventedUnique(n), "login_id": p.Email, "rank": strconv.Itoa(n % 6),
		"column01": p.Name(), "column02": p.Birthday, "column03": p.Reading, "column04": p.Phone, "column05": p.Address,
		"point": strconv.Itoa(n * 37 % 5000), "logined": "0", "enabled": "1",
		"created_at": stamp(p.CreatedAt), "updated_at": stamp(p.CreatedAt.Add(time.Duration(n%90) * 24 * time.Hour)),
	}
	if n%3 == 0 {
		values["logined"], values["logined_at"] = "1", values["updated_at"]
		values["secret_quetion"] = "好きな和菓子は何ですか"
	}
	if n%4 == 0 {
		values["point_geted_at"] = values["updated_at"]
	}
	return Member{ID: strconv.Itoa(firstID + n - 1), Values: values}
}

var japan = time.FixedZone("JST", 9*60*60)

// stamp is a time in the form of Yappli's answers.
func stamp(t time.Time) string { return t.In(japan).Format(time.DateTime) }
