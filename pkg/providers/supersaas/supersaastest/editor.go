package supersaastest

import (
	"encoding/json"
	"time"
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
	deleted bool
}

type forms struct{ list []form }

// SubmitForm is a submission of the form FormID by a user, 0 for nobody.
func (e *Editor) SubmitForm(user int64) (id int64) {
	e.do(func(s *Server) {
		f := form{id: 3120001 + int64(len(s.forms.list)), user: user, created: s.Now()}
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
				f.deleted = event == "delete"
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
	o := object{}
	for name, value := range map[string]any{
		"id": f.id, "super_form_id": FormID, "user_id": f.user, "content": []map[string]string{{"name": "ご要望", "value": "窓側"}},
		"created_on": stamp(f.created), "updated_on": stamp(s.Now()), "deleted": f.deleted,
	} {
		o.set(name, value)
	}
	body := payload(o.encode(formOrder), event, formOrder)
	if event == "new" {
		s.fire("S", FormID, body)
	}
	s.fire("O", FormID, body)
}

var formOrder = []string{"id", "super_form_id", "user_id", "content", "created_on", "updated_on", "deleted"}
