package actibooktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// A user is one site user. It is invented again whenever it is asked for,
// until a login or a person writes it.
type user struct {
	id  int
	raw json.RawMessage // nil: as invented
}

// siteUser is the form of a user in Dump and Load. The provider has no call
// that shows one.
type siteUser struct {
	ID         int             `json:"id"`
	Group      string          `json:"group"`
	Parameters json.RawMessage `json:"parameters"` // of the login that made it
	CreatedAt  time.Time       `json:"created_at"`
}

func (s *Server) served(u user) json.RawMessage {
	if u.raw != nil {
		return u.raw
	}
	person := sandbox.NewPerson(s.seed, u.id, "JP")
	parameters := map[string]any{s.keywordParameter(): "members", "user_id": fmt.Sprint(100000 + u.id), "name": person.Name(), "email": person.Email}
	return sandbox.Record(siteUser{ID: u.id, Group: s.Groups["members"], Parameters: sandbox.Record(parameters), CreatedAt: person.CreatedAt})
}

// userFor returns the id of the site user that a login's parameters name, and
// makes it if it is new. What identifies a user is not documented: here the
// whole of the parameters does.
func (s *Server) userFor(group string, parameters map[string]any) int {
	s.indexInvented()
	raw := sandbox.Record(parameters)
	if id, known := s.byKey[string(raw)]; known {
		return id
	}
	return s.insert(siteUser{Group: group, Parameters: raw, CreatedAt: s.Now().UTC()})
}

// indexInvented makes the invented users known, once and only if somebody
// logs in.
func (s *Server) indexInvented() {
	if s.indexed {
		return
	}
	s.indexed = true
	for _, invented := range s.users {
		var u siteUser
		if invented.raw == nil && json.Unmarshal(s.served(invented), &u) == nil {
			s.byKey[string(u.Parameters)] = u.ID
		}
	}
}

func (s *Server) insert(u siteUser) int {
	u.ID = s.nextID
	s.nextID++
	s.users = append(s.users, user{u.ID, sandbox.Record(u)})
	s.byKey[string(u.Parameters)] = u.ID
	return u.ID
}

// Insert adds a site user by hand and returns its id. A login with equal
// parameters finds it.
func (s *Server) Insert(group string, parameters map[string]any) (id int) {
	s.Do(func() {
		id = s.insert(siteUser{Group: group, Parameters: sandbox.Record(parameters), CreatedAt: s.Now().UTC()})
	})
	return id
}

// Delete removes a site user by hand. It reports whether there was one.
func (s *Server) Delete(id int) (found bool) {
	s.Do(func() {
		at := slices.IndexFunc(s.users, func(u user) bool { return u.id == id })
		if found = at >= 0; found {
			s.users = slices.Delete(s.users, at, at+1)
			maps.DeleteFunc(s.byKey, func(_ string, owner int) bool { return owner == id })
		}
	})
	return found
}

// users is the form of Dump and Load.
type users struct {
	SiteUsers []json.RawMessage `json:"site_users"`
}

// Dump writes every site user.
func (s *Server) Dump(w io.Writer) error {
	all := users{SiteUsers: []json.RawMessage{}}
	s.Do(func() {
		for _, u := range s.users {
			all.SiteUsers = append(all.SiteUsers, s.served(u))
		}
	})
	return sandbox.Dump(w, all)
}

// Load replaces the site users by what Dump has written.
func (s *Server) Load(r io.Reader) error {
	var all users
	if err := json.NewDecoder(r).Decode(&all); err != nil {
		return fmt.Errorf("loading site users: %w", err)
	}
	loaded, byKey, next := make([]user, 0, len(all.SiteUsers)), map[string]int{}, 1
	for i, raw := range all.SiteUsers {
		var u siteUser
		if err := json.Unmarshal(raw, &u); err != nil || u.ID < 1 || len(u.Parameters) == 0 {
			return fmt.Errorf("loading site users: number %d lacks an id or parameters", i+1)
		}
		var key bytes.Buffer
		_ = json.Compact(&key, u.Parameters) // it has just been read as JSON
		u.Parameters = key.Bytes()
		loaded = append(loaded, user{u.ID, sandbox.Record(u)})
		byKey[key.String()], next = u.ID, max(next, u.ID+1)
	}
	s.Do(func() { s.users, s.byKey, s.nextID = loaded, byKey, next })
	return nil
}
