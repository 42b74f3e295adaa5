package supersaastest

import (
	"encoding/json"
	"maps"
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
	e.server.post.flush()
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
		maps.DeleteFunc(o, func(_ string, value json.RawMessage) bool { return value == nil })
		u := s.users.add(fk, o)
		id = u.id
		s.hooks.fireUser(&s.users, u, "new", e.fires)
	})
	return id
}

// ChangeUser changes fields of a user.
func (e *Editor) ChangeUser(id int64, fields map[string]any) (ok bool) {
	e.do(func(s *Server) {
		u := s.users.byID[id]
		if ok = u != nil && !u.deleted; ok {
			s.users.change(u, toObject(fields))
			s.hooks.fireUser(&s.users, u, "change", e.fires)
		}
	})
	return ok
}

// DeleteUser deletes a user, who can be restored.
func (e *Editor) DeleteUser(id int64) (ok bool) {
	e.do(func(s *Server) {
		u := s.users.byID[id]
		if ok = u != nil && !u.deleted; ok {
			s.users.remove(u)
			s.hooks.fireUser(&s.users, u, "delete", e.fires)
		}
	})
	return ok
}

// RestoreUser brings a deleted user back, unless somebody else has the name
// or the foreign key by now.
func (e *Editor) RestoreUser(id int64) (ok bool) {
	e.do(func(s *Server) {
		u := s.users.byID[id]
		if ok = u != nil && u.deleted && s.users.restore(u); ok {
			s.hooks.fireUser(&s.users, u, "change", e.fires)
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
		for _, u := range s.users.shown() {
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
			s.hooks.fire("P", AccountID, payload(email.encode(nil), "purchase", nil))
		}
	})
	return ok
}

// SubmitForm is a submission of the form FormID by a user, 0 for nobody.
func (e *Editor) SubmitForm(user int64) (id int64) {
	e.do(func(s *Server) {
		f := form{id: s.forms.nextID(), user: user, created: s.Now(), changed: s.Now()}
		s.forms.list = append(s.forms.list, f)
		s.forms.note(len(s.forms.list) - 1)
		id = f.id
		s.hooks.fireForm(f, "new", e.fires)
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
				s.forms.note(i)
				s.hooks.fireForm(*f, event, e.fires)
			}
		}
	})
	return ok
}
