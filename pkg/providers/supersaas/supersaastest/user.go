package supersaastest

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

const (
	firstUser = 20450001
	stepUser  = 3 // ids of one account are not consecutive
)

// userOrder is the order of a user's fields, as the samples show them.
var userOrder = []string{
	"id", "fk", "created_on", "updated_on", "role", "last_login", "name", "full_name", "credit", "email", "address",
	"phone", "mobile", "country", "timezone", "field_1", "field_2", "super_field", "group", "deleted",
}

type user struct {
	id      int64
	name    string
	fk      string
	deleted bool
	number  int    // of the invented person, if raw is nil
	raw     []byte // as lists serve it
	form    []byte // shared by many: do not change it
	history []version
	changes int // so far
}

// version is what lists showed of a user from a time on; nil: nothing.
type version struct {
	from time.Time
	raw  []byte
}

// users is the table. Its lists are sorted when first asked for, and kept so.
type users struct {
	set    *Settings
	now    func() time.Time
	seed   uint64
	next   int64
	byID   map[int64]*user
	byName map[string]*user // not the deleted
	byFK   map[string]*user // not the deleted
	sorted []*user          // not the deleted
	order  Order            // of sorted; empty: not sorted yet
	kept   *sandbox.Section
	counts *sandbox.Section
}

// newUsers invents n users. What they look like is made up when it is asked
// for, so that many users take little memory.
func newUsers(set *Settings, now func() time.Time, seed uint64, n int) users {
	t := users{set: set, now: now, seed: seed, next: firstUser + int64(n)*stepUser, byID: make(map[int64]*user, n), byName: make(map[string]*user, n), byFK: map[string]*user{}}
	for i := range n {
		u := &user{id: firstUser + int64(i)*stepUser, number: i, name: loginName(sandbox.NewPerson(seed, i, countries...)), fk: inventedFK(i)}
		if i%4 == 0 {
			u.form = inventedForm
		}
		t.insert(u)
	}
	return t
}

var inventedForm = []byte(`{"肌質":"乾燥","アレルギー":["なし"],"同意":true}`)

var countries = []string{"JP", "JP", "TW", "HK"}

// loginName is the e-mail address for three in four, as in accounts that
// changed their setting.
func loginName(p sandbox.Person) string {
	if p.Number%4 == 3 {
		return strings.Replace(strings.TrimSuffix(p.Email, "@mail.example"), ".", "_", 1)
	}
	return p.Email
}

func inventedFK(n int) string {
	switch {
	case n%50 == 5:
		return "店/" + strconv.Itoa(n) + " A"
	case n%5 == 0:
		return strconv.Itoa(10000 + n)
	}
	return ""
}

// invent makes the record of invented person n: some fields are filled, some
// empty, some null and some left out.
func (t *users) invent(u *user) object {
	n, p := u.number, sandbox.NewPerson(t.seed, u.number, countries...)
	o := objectOf(map[string]any{
		"id": u.id, "fk": nil, "created_on": stamp(p.CreatedAt), "role": 3, "name": u.name, "full_name": p.Name(),
		"credit": []string{"0", "10", "-", "2.5"}[n%4], "email": p.Email, "country": p.Country, "timezone": p.Timezone,
		"field_1": p.Reading, "field_2": nil, "group": nil,
	})
	optional := func(when bool, name string, value any) {
		if when {
			o.set(name, value)
		}
	}
	optional(u.fk != "", "fk", u.fk)
	optional(n%3 == 0, "updated_on", stamp(p.CreatedAt.Add(36*time.Hour)))
	optional(n%3 != 1, "last_login", stamp(p.CreatedAt.Add(31*time.Second)))
	optional(n%3 != 2, "mobile", phone(p))
	optional(n%3 == 2, "phone", phone(p))
	optional(n%2 == 0, "address", p.Address)
	optional(n%2 == 0, "field_2", "A-"+strconv.Itoa(100000+n))
	optional(n%6 == 1, "super_field", "VIP <要連絡>")
	optional(n%8 == 2, "group", 7)
	optional(n%97 == 96, "role", 4)
	optional(n%53 == 52, "role", -1)
	return o
}

// phone is a number that a shop in Japan can dial, of ranges without subscribers:
// the relay reads it by the rules of numbers, which the others' 0000 break.
func phone(p sandbox.Person) string {
	switch p.Country {
	case "JP":
		return fmt.Sprintf("03-1000-%04d", p.Number%10000)
	case "TW":
		return fmt.Sprintf("+886 900-000-%03d", p.Number%1000)
	}
	return fmt.Sprintf("+852 8100 %04d", p.Number%10000)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// record returns the user as lists serve it.
func (t *users) record(u *user) []byte {
	if u.raw != nil {
		return u.raw
	}
	return t.invent(u).encode(userOrder)
}

// find resolves a key as the provider does: 123fk is a foreign key, digits are
// an id or, if there is no such id, a login name.
func (t *users) find(key string) *user {
	if fk, ok := strings.CutSuffix(key, "fk"); ok {
		return t.byFK[fk]
	}
	if id, err := strconv.ParseInt(key, 10, 64); err == nil {
		if u := t.byID[id]; u != nil {
			return u
		}
	}
	return t.byName[key]
}

func (t *users) insert(u *user) {
	t.byID[u.id], t.byName[u.name] = u, u
	if u.fk != "" {
		t.byFK[u.fk] = u
	}
	if t.order != "" {
		i, _ := slices.BinarySearchFunc(t.sorted, u, t.compare)
		t.sorted = slices.Insert(t.sorted, i, u)
	}
}

// hide takes a user out of the lists and of the names; the id stays.
func (t *users) hide(u *user) {
	if t.byName[u.name] == u {
		delete(t.byName, u.name)
	}
	if t.byFK[u.fk] == u {
		delete(t.byFK, u.fk)
	}
	if t.order != "" {
		if i, ok := slices.BinarySearchFunc(t.sorted, u, t.compare); ok {
			t.sorted = slices.Delete(t.sorted, i, i+1)
		}
	}
}

// ordered returns the users that are not deleted. Do not change the slice.
func (t *users) ordered(order Order) []*user {
	if t.order != order {
		t.order, t.sorted = order, t.sorted[:0]
		for _, u := range t.byID {
			if !u.deleted {
				t.sorted = append(t.sorted, u)
			}
		}
		slices.SortFunc(t.sorted, t.compare)
	}
	return t.sorted
}

func (t *users) compare(a, b *user) int {
	switch t.order {
	case ByID:
		return cmp.Compare(a.id, b.id)
	case Shuffled:
		return cmp.Or(cmp.Compare(t.scatter(a.id), t.scatter(b.id)), cmp.Compare(a.id, b.id))
	default:
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
	}
}

func (t *users) scatter(id int64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendUint(strconv.AppendInt(nil, id, 10), t.seed, 16))
	return h.Sum64()
}

// shown returns the users that are not deleted, in the order of the lists.
func (t *users) shown() []*user {
	return t.ordered(cmp.Or(t.set.Knobs.Order, ByName))
}

func (t *users) page(list []*user, form bool) []byte {
	rows := make([][]byte, len(list))
	for i, u := range list {
		rows[i] = t.show(u, form)
	}
	return array(rows)
}

// show returns a user as the API does, with the form if asked for.
func (t *users) show(u *user, form bool) []byte {
	return shown(t.record(u), u.form, form)
}

// lagging returns the records as they were before the lag, in the order of now.
func (t *users) lagging(skip func(int64) bool) [][]byte {
	list, at := slices.Clone(t.shown()), t.now().Add(-t.set.Knobs.Lag)
	for _, u := range t.byID {
		if u.deleted && len(u.history) > 0 {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, t.compare)
	var rows [][]byte
	for _, u := range list {
		raw := t.record(u)
		for _, v := range u.history {
			if !v.from.After(at) {
				raw = v.raw
			}
		}
		if raw != nil && (skip == nil || !skip(u.id)) {
			rows = append(rows, raw)
		}
	}
	return rows
}

// add, change, remove and restore alter the table; everything that alters a
// user ends in one of them.
func (t *users) add(fk string, fields object) *user {
	u := &user{id: t.next, fk: fk, name: textOf(fields["name"])}
	t.next += stepUser
	o := objectOf(map[string]any{"id": u.id, "fk": nil, "created_on": stamp(t.now()), "role": 3, "credit": "0"})
	if fk != "" {
		o.set("fk", fk)
	}
	maps.Copy(o, fields)
	u.raw = o.encode(userOrder)
	t.insert(u)
	t.remember(u, nil)
	t.note(u)
	t.counts.Put(nextUser, t.next)
	return u
}

func (t *users) change(u *user, fields object) {
	before := t.record(u)
	o := parseObject(before)
	for name, value := range fields {
		if value == nil {
			delete(o, name)
			continue
		}
		o[name] = value
	}
	o.set("updated_on", stamp(t.now()))
	t.rename(u, o)
	t.remember(u, before)
	t.note(u)
}

// rename stores o and keeps the indexes right.
func (t *users) rename(u *user, o object) {
	name, fk := textOf(o["name"]), ""
	if raw, ok := o["fk"]; ok && string(raw) != "null" {
		fk = textOf(raw)
	}
	if name == u.name && fk == u.fk || u.deleted {
		u.name, u.fk, u.raw = name, fk, o.encode(userOrder)
		return
	}
	t.hide(u)
	u.name, u.fk, u.raw = name, fk, o.encode(userOrder)
	t.insert(u)
}

func (t *users) remove(u *user) {
	before := t.record(u)
	o := parseObject(before)
	o.set("deleted", true)
	o.set("updated_on", stamp(t.now()))
	t.hide(u)
	u.deleted = true
	t.rename(u, o)
	t.remember(u, before)
	t.note(u)
}

func (t *users) restore(u *user) bool {
	if t.byName[u.name] != nil || u.fk != "" && t.byFK[u.fk] != nil {
		return false // somebody else has the name now
	}
	o := parseObject(u.raw)
	o.set("deleted", Absent)
	o.set("updated_on", stamp(t.now()))
	u.deleted, u.raw = false, o.encode(userOrder)
	t.insert(u)
	t.remember(u, nil)
	t.note(u)
	return true
}

// remember keeps what lists that lag show; before is what they showed until
// now.
func (t *users) remember(u *user, before []byte) {
	if t.set.Knobs.Lag <= 0 {
		return
	}
	if u.history == nil {
		u.history = []version{{raw: before}}
	}
	v := version{from: t.now()}
	if !u.deleted {
		v.raw = u.raw
	}
	u.history = append(u.history, v)
}

// number is the id of a user named by id, name or foreign key; 0 is nobody, and
// -1 stands for one whom the account does not have.
func (t *users) number(key string) int64 {
	if u := t.find(key); u != nil {
		return u.id
	}
	if key == "0" {
		return 0
	}
	return -1
}
