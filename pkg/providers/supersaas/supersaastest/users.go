package supersaastest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// keyOf returns the user that a call names in the path or, for keys that a
// path cannot hold, in id=123fk or id={123fk}.
func keyOf(r *sandbox.Request) string {
	if key := r.PathValue("key"); key != "" {
		return strings.TrimSuffix(key, ".json")
	}
	key := r.Param("id")
	if inner, ok := strings.CutPrefix(key, "{"); ok && strings.HasSuffix(inner, "}") {
		key = strings.TrimSuffix(inner, "}")
	}
	return key
}

// window reads limit and offset. A limit above the maximum is lowered without
// notice.
func window(w http.ResponseWriter, r *sandbox.Request) (limit, offset int, ok bool) {
	limit = defaultLimit
	for name, into := range map[string]*int{"limit": &limit, "offset": &offset} {
		text, sent := r.Lookup(name)
		if !sent {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			fail(w, http.StatusBadRequest, "Bad request: "+name+" must be a number")
			return 0, 0, false
		}
		*into = n
	}
	return min(limit, maxLimit), offset, true
}

// slice is list[offset:offset+limit] for any offset and limit.
func slice[T any](list []T, limit, offset int) []T {
	list = list[min(offset, len(list)):]
	return list[:min(limit, len(list))]
}

func (s *Server) listUsers(w http.ResponseWriter, r *sandbox.Request) {
	if keyOf(r) != "" {
		s.getUser(w, r)
		return
	}
	limit, offset, ok := window(w, r)
	if !ok {
		return
	}
	name, filtered := r.Lookup("user[name]")
	if sum, ok := r.Lookup("checksum"); ok {
		name, filtered = s.checksumUser(r, sum), true
	}
	form := r.True("form")
	switch {
	case filtered:
		found := []*user{}
		if u := s.users.byName[name]; u != nil {
			found = append(found, u)
		}
		answer(w, s.page(slice(found, limit, offset), form))
	case s.Knobs.FailsFrom > 0 && offset >= s.Knobs.FailsFrom:
		fail(w, http.StatusServiceUnavailable, "unavailable")
	case s.Knobs.Lag > 0:
		answer(w, array(slice(s.users.lagging(s.sorted(), s.Now().Add(-s.Knobs.Lag), s.Knobs.Skip), limit, offset)))
	case s.Knobs.Skip != nil:
		kept := slices.DeleteFunc(slices.Clone(s.sorted()), func(u *user) bool { return s.Knobs.Skip(u.id) })
		answer(w, s.page(slice(kept, limit, offset), form))
	default:
		answer(w, s.page(slice(s.sorted(), limit, offset), form))
	}
}

func (s *Server) sorted() []*user {
	return s.users.ordered(cmp.Or(s.Knobs.Order, ByName))
}

func (s *Server) page(list []*user, form bool) []byte {
	rows := make([][]byte, len(list))
	for i, u := range list {
		rows[i] = s.show(u, form)
	}
	return array(rows)
}

// show returns a user as the API does, with the form if asked for.
func (s *Server) show(u *user, form bool) []byte {
	raw := s.users.record(u)
	if !form {
		return raw
	}
	if u.form != nil {
		return with(raw, "form", json.RawMessage(u.form))
	}
	return with(raw, "form", nil)
}

// lagging returns the records as they were at a time, in the order of now.
func (t *users) lagging(live []*user, at time.Time, skip func(int64) bool) [][]byte {
	list := slices.Clone(live)
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

func (s *Server) getUser(w http.ResponseWriter, r *sandbox.Request) {
	u := s.users.find(keyOf(r))
	if u == nil || u.deleted && !s.Knobs.GoneAsUser {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	answer(w, s.show(u, r.True("form")))
}

// writeUser is POST and PUT, which differ where no user is named: only POST
// creates there.
func (s *Server) writeUser(w http.ResponseWriter, r *sandbox.Request) {
	fields, err := userFields(r)
	if err != nil {
		fail(w, http.StatusBadRequest, "Bad request: "+err.Error())
		return
	}
	duplicate, notFound := r.Param("duplicate"), r.Param("notfound")
	if !slices.Contains([]string{"", "raise", "ignore"}, duplicate) || !slices.Contains([]string{"", "error", "ignore"}, notFound) {
		fail(w, http.StatusBadRequest, "Bad request: unknown option")
		return
	}
	key := keyOf(r)
	fk, foreign := strings.CutSuffix(key, "fk")
	u := s.users.find(key)
	if u != nil && u.deleted {
		u = nil
	}
	switch {
	case key == "" && r.Method == http.MethodPost:
		s.createUser(w, r, "", fields)
	case u != nil && foreign && r.Method == http.MethodPost && duplicate == "raise":
		invalid(w, "fk", "has already been taken")
	case u != nil:
		s.updateUser(w, r, u, fields)
	case notFound == "ignore" && key != "":
		w.WriteHeader(http.StatusOK)
	case foreign && fk != "" && notFound == "":
		s.createUser(w, r, fk, fields)
	default:
		fail(w, http.StatusNotFound, "Not found")
	}
}

func (s *Server) createUser(w http.ResponseWriter, r *sandbox.Request, fk string, fields object) {
	if field, complaint := s.users.check(nil, fields); complaint != "" {
		invalid(w, field, complaint)
		return
	}
	u := s.add(fk, fields)
	s.fireUser(u, "new", r.True("webhook"))
	created(w, r, "/api/users/"+itoa(u.id)+".json")
}

func (s *Server) updateUser(w http.ResponseWriter, r *sandbox.Request, u *user, fields object) {
	if field, complaint := s.users.check(u, fields); complaint != "" {
		invalid(w, field, complaint)
		return
	}
	s.change(u, fields)
	s.fireUser(u, "change", r.True("webhook"))
	w.WriteHeader(http.StatusOK)
}

func (s *Server) deleteUser(w http.ResponseWriter, r *sandbox.Request) {
	u := s.users.find(keyOf(r))
	if u == nil || u.deleted {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	s.remove(u)
	s.fireUser(u, "delete", r.True("webhook"))
	w.WriteHeader(http.StatusOK)
}

// add, change, remove and restore alter the table; everything that alters a
// user ends in one of them.
func (s *Server) add(fk string, fields object) *user {
	o := object{}
	now := stamp(s.Now())
	u := &user{id: s.users.next, fk: fk, name: textOf(fields["name"])}
	s.users.next += stepUser
	for name, value := range map[string]any{"id": u.id, "fk": nil, "created_on": now, "role": 3, "credit": "0"} {
		o.set(name, value)
	}
	if fk != "" {
		o.set("fk", fk)
	}
	for name, value := range fields {
		o[name] = value
	}
	u.raw = o.encode(userOrder)
	s.users.insert(u)
	s.remember(u, nil)
	return u
}

func (s *Server) change(u *user, fields object) {
	before := s.users.record(u)
	o := parseObject(before)
	for name, value := range fields {
		if value == nil {
			delete(o, name)
			continue
		}
		o[name] = value
	}
	o.set("updated_on", stamp(s.Now()))
	s.rename(u, o)
	s.remember(u, before)
}

// rename stores o and keeps the indexes right.
func (s *Server) rename(u *user, o object) {
	name, fk := textOf(o["name"]), ""
	if raw, ok := o["fk"]; ok && string(raw) != "null" {
		fk = textOf(raw)
	}
	if name == u.name && fk == u.fk || u.deleted {
		u.name, u.fk, u.raw = name, fk, o.encode(userOrder)
		return
	}
	s.users.hide(u)
	u.name, u.fk, u.raw = name, fk, o.encode(userOrder)
	s.users.insert(u)
}

func (s *Server) remove(u *user) {
	before := s.users.record(u)
	o := parseObject(before)
	o.set("deleted", true)
	o.set("updated_on", stamp(s.Now()))
	s.users.hide(u)
	u.deleted = true
	s.rename(u, o)
	s.remember(u, before)
}

func (s *Server) restore(u *user) bool {
	if s.users.byName[u.name] != nil || u.fk != "" && s.users.byFK[u.fk] != nil {
		return false // somebody else has the name now
	}
	o := parseObject(u.raw)
	o.set("deleted", Absent)
	o.set("updated_on", stamp(s.Now()))
	u.deleted, u.raw = false, o.encode(userOrder)
	s.users.insert(u)
	s.remember(u, nil)
	return true
}

// remember keeps what lists that lag show; before is what they showed until
// now.
func (s *Server) remember(u *user, before []byte) {
	if s.Knobs.Lag <= 0 {
		return
	}
	if u.history == nil {
		u.history = []version{{raw: before}}
	}
	v := version{from: s.Now()}
	if !u.deleted {
		v.raw = u.raw
	}
	u.history = append(u.history, v)
}
