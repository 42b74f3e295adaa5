package supersaastest

import (
	"encoding/json"
	"errors"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// FormID is the account's one stand-alone form.
const FormID = 660001

// An Editor changes records as people do in the account's pages. Its methods
// take field values as encoding/json does; nil means null, and Absent takes a
// field away. They return false, or 0, if there is nothing to change.
type Editor struct {
	server *Server
	fires  bool
}

// Quiet returns an editor that fires no webhooks, like another integration's
// calls of the API.
func (s *Server) Quiet() *Editor { return &Editor{server: s} }

// do runs f under the handling lock, and posts what it fired afterwards.
func (e *Editor) do(f func(s *Server)) {
	e.server.Do(func() { f(e.server) })
	e.server.flush()
}

func toObject(fields map[string]any) object {
	o := object{}
	for name, value := range fields {
		if _, ok := value.(absent); ok {
			o[name] = nil
			continue
		}
		o.set(name, value)
	}
	return o
}

// AddUser adds a user, whose id it returns. Only name is needed; nothing else
// is checked, so that odd records can be made. It is 0 if the name is taken.
func (e *Editor) AddUser(fields map[string]any) (id int64) {
	e.do(func(s *Server) {
		o := toObject(fields)
		fk := ""
		if raw := o["fk"]; raw != nil && string(raw) != "null" {
			fk = textOf(raw)
		}
		if s.users.byName[textOf(o["name"])] != nil || s.users.byFK[fk] != nil {
			return
		}
		for name, value := range o {
			if value == nil {
				delete(o, name)
			}
		}
		u := s.add(fk, o)
		id = u.id
		s.fireUser(u, "new", e.fires)
	})
	return id
}

// ChangeUser changes fields of a user.
func (e *Editor) ChangeUser(id int64, fields map[string]any) (ok bool) {
	e.do(func(s *Server) {
		u := s.users.byID[id]
		if ok = u != nil && !u.deleted; ok {
			s.change(u, toObject(fields))
			s.fireUser(u, "change", e.fires)
		}
	})
	return ok
}

// DeleteUser deletes a user, who can be restored.
func (e *Editor) DeleteUser(id int64) (ok bool) {
	e.do(func(s *Server) {
		u := s.users.byID[id]
		if ok = u != nil && !u.deleted; ok {
			s.remove(u)
			s.fireUser(u, "delete", e.fires)
		}
	})
	return ok
}

// RestoreUser brings a deleted user back, unless somebody else has the name
// or the foreign key by now.
func (e *Editor) RestoreUser(id int64) (ok bool) {
	e.do(func(s *Server) {
		u := s.users.byID[id]
		if ok = u != nil && u.deleted && s.restore(u); ok {
			s.fireUser(u, "change", e.fires)
		}
	})
	return ok
}

// User returns a user as GET would, and whether there is one; a deleted one
// says so.
func (s *Server) User(id int64) (raw json.RawMessage, ok bool) {
	s.Do(func() {
		if u := s.users.byID[id]; u != nil {
			raw, ok = s.users.record(u), true
		}
	})
	return raw, ok
}

// UserIDs returns the users that are not deleted, in the order of the lists.
func (s *Server) UserIDs() (ids []int64) {
	s.Do(func() {
		for _, u := range s.sorted() {
			ids = append(ids, u.id)
		}
	})
	return ids
}

// Purchase is a user's purchase in the account's shop.
func (e *Editor) Purchase(user int64) (ok bool) {
	e.do(func(s *Server) {
		u := s.users.byID[user]
		if ok = u != nil; ok && e.fires {
			email := object{"email": parseObject(s.users.record(u))["email"]}
			s.fire("P", AccountID, payload(email.encode(nil), "purchase", nil))
		}
	})
	return ok
}

// form is a submission of the stand-alone form.
type form struct {
	id      int64
	user    int64
	created time.Time
	changed time.Time
	deleted bool
	raw     []byte // of a loaded one that was not changed
}

type forms struct{ list []form }

const firstForm = 3120001

// generate invents a submission of every fourth of n users, of the first few
// thousand of them.
func (t *forms) generate(n int) {
	t.list = nil
	for i := 0; i < min(n, 4000); i += 4 {
		at := sandbox.Epoch.Add(time.Duration(i) * 13 * time.Minute)
		t.list = append(t.list, form{id: firstForm + int64(len(t.list)), user: firstUser + int64(i)*stepUser, created: at, changed: at})
	}
}

func (t *forms) nextID() int64 {
	last := int64(firstForm - 1)
	for _, f := range t.list {
		last = max(last, f.id)
	}
	return last + 1
}

// load adds a submission of a document.
func (t *forms) load(raw json.RawMessage) error {
	o := parseObject(raw)
	f := form{id: number(o["id"]), user: number(o["user_id"]), deleted: sandbox.IsTrue(textOf(o["deleted"])), raw: raw}
	var err error
	if f.changed, err = time.Parse(time.RFC3339, textOf(o["updated_on"])); err != nil || f.id <= 0 {
		return errors.New("loading supersaas records: a form needs an id, and updated_on such as 2025-04-08T09:00:00Z")
	}
	if f.created, err = time.Parse(time.RFC3339, textOf(o["created_on"])); err != nil {
		f.created = f.changed
	}
	t.list = append(t.list, f)
	return nil
}

// record returns the submission as lists serve it.
func (f form) record() []byte {
	if f.raw != nil {
		return f.raw
	}
	o := object{}
	for name, value := range map[string]any{
		"id": f.id, "super_form_id": FormID, "user_id": f.user, "content": []map[string]string{{"name": "ご要望", "value": "窓側"}},
		"created_on": stamp(f.created), "updated_on": stamp(f.changed), "deleted": f.deleted,
	} {
		o.set(name, value)
	}
	return o.encode(formOrder)
}

// SubmitForm is a submission of the form FormID by a user, 0 for nobody.
func (e *Editor) SubmitForm(user int64) (id int64) {
	e.do(func(s *Server) {
		f := form{id: s.forms.nextID(), user: user, created: s.Now(), changed: s.Now()}
		s.forms.list = append(s.forms.list, f)
		id = f.id
		s.fireForm(f, "new", e.fires)
	})
	return id
}

// ChangeForm does change, delete or restore to a submission.
func (e *Editor) ChangeForm(id int64, event string) (ok bool) {
	e.do(func(s *Server) {
		for i := range s.forms.list {
			if f := &s.forms.list[i]; f.id == id {
				ok = true
				f.deleted, f.changed, f.raw = event == "delete", s.Now(), nil
				s.fireForm(*f, event, e.fires)
			}
		}
	})
	return ok
}

func (s *Server) fireForm(f form, event string, fires bool) {
	if !fires {
		return
	}
	body := payload(f.record(), event, formOrder)
	if event == "new" {
		s.fire("S", FormID, body)
	}
	s.fire("O", FormID, body)
}

var formOrder = []string{"id", "super_form_id", "user_id", "content", "created_on", "updated_on", "deleted"}
