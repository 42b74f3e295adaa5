package actibooktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
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

// siteUsers are those of the site, in the order of their ids.
type siteUsers struct {
	list   []user
	byKey  map[string]int // id of the user that parameters name; of those that were written
	nextID int

	kept, counts *sandbox.Section
	texts        sandbox.Texts
}

func (s *Server) served(u user) json.RawMessage {
	if u.raw != nil {
		return u.raw
	}
	person := sandbox.NewPerson(s.seed, u.id, "JP")
	parameters := map[string]any{s.keywordParameter(): "members", userID: fmt.Sprint(firstUserID + u.id), "name": person.Name(), "email": person.Email}
	return sandbox.Record(siteUser{ID: u.id, Group: s.Groups["members"], Parameters: sandbox.Record(parameters), CreatedAt: person.CreatedAt})
}

// The parameter that tells invented users apart, and what it begins after.
const (
	userID      = "user_id"
	firstUserID = 100000
)

// userFor returns the id of the site user that a login's parameters name, and
// makes it if it is new. What identifies a user is not documented: here the
// whole of the parameters does.
func (s *Server) userFor(group string, parameters map[string]any) int {
	raw := sandbox.Record(parameters)
	if id, known := s.users.byKey[string(raw)]; known {
		return id
	}
	if id, known := s.invented(parameters, raw); known {
		return id
	}
	return s.users.insert(siteUser{Group: group, Parameters: raw, CreatedAt: s.Now().UTC()})
}

// invented finds the invented user that parameters name.
func (s *Server) invented(parameters map[string]any, raw json.RawMessage) (id int, known bool) {
	text, _ := parameters[userID].(string)
	number, err := strconv.Atoi(text)
	at, found := s.users.find(number - firstUserID)
	if err != nil || !found || s.users.list[at].raw != nil {
		return 0, false
	}
	var u siteUser
	err = json.Unmarshal(s.served(s.users.list[at]), &u)
	return u.ID, err == nil && string(u.Parameters) == string(raw)
}

func (t *siteUsers) find(id int) (at int, found bool) {
	return slices.BinarySearchFunc(t.list, id, func(u user, id int) int { return u.id - id })
}

func (t *siteUsers) insert(u siteUser) int {
	u.ID = t.nextID
	t.nextID++
	t.list = append(t.list, user{u.ID, sandbox.Record(u)})
	t.byKey[string(u.Parameters)] = u.ID
	t.note(t.list[len(t.list)-1])
	t.counts.Put(nextID, t.nextID)
	return u.ID
}

// Insert adds a site user by hand and returns its id. A login with equal
// parameters finds it.
func (s *Server) Insert(group string, parameters map[string]any) (id int) {
	s.Do(func() {
		id = s.users.insert(siteUser{Group: group, Parameters: sandbox.Record(parameters), CreatedAt: s.Now().UTC()})
	})
	return id
}

// Delete removes a site user by hand. It reports whether there was one.
func (s *Server) Delete(id int) (found bool) {
	s.Do(func() { found = s.users.remove(id) })
	return found
}

func (t *siteUsers) remove(id int) bool {
	at, found := t.find(id)
	if found {
		t.list = slices.Delete(t.list, at, at+1)
		maps.DeleteFunc(t.byKey, func(_ string, owner int) bool { return owner == id })
		t.kept.Put(userKey(id), keptUser{Gone: true})
	}
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
		for _, u := range s.users.list {
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
	loaded := siteUsers{list: make([]user, 0, len(all.SiteUsers)), byKey: map[string]int{}, nextID: 1}
	for i, raw := range all.SiteUsers {
		var u siteUser
		if err := json.Unmarshal(raw, &u); err != nil || u.ID < 1 || len(u.Parameters) == 0 {
			return fmt.Errorf("loading site users: number %d lacks an id or parameters", i+1)
		}
		var key bytes.Buffer
		_ = json.Compact(&key, u.Parameters) // it has just been read as JSON
		u.Parameters = key.Bytes()
		loaded.list = append(loaded.list, user{u.ID, sandbox.Record(u)})
		loaded.byKey[key.String()], loaded.nextID = u.ID, max(loaded.nextID, u.ID+1)
	}
	slices.SortStableFunc(loaded.list, func(a, b user) int { return a.id - b.id })
	s.Do(func() {
		loaded.kept, loaded.counts = s.users.kept, s.users.counts
		s.users = loaded
		s.Disown()
		s.users.keepAll()
	})
	return nil
}
