package actibooktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"hikyaku/pkg/providers/sandbox"
)

const nextID = "next user" // in the section "counts"

func userKey(id int) string { return fmt.Sprintf("%019d", id) }

type keptUser struct {
	Raw  json.RawMessage `json:"raw,omitempty"`
	Gone bool            `json:"gone,omitempty"`
}

// note keeps a site user who is no longer as invented.
func (t *siteUsers) note(u user) { t.kept.Put(userKey(u.id), keptUser{Raw: u.raw}) }

func (t *siteUsers) keepAll() {
	t.kept.Clear()
	for _, u := range t.list {
		t.note(u)
	}
	t.counts.Put(nextID, t.nextID)
}

// put takes over a user that was kept.
func (t *siteUsers) put(id int, k keptUser) {
	at, found := t.find(id)
	switch {
	case k.Gone && found:
		t.list = slices.Delete(t.list, at, at+1)
		return
	case k.Gone:
		return
	case found:
		t.list[at].raw = k.Raw
	default:
		t.list = slices.Insert(t.list, at, user{id: id, raw: k.Raw})
	}
	var u siteUser
	_ = json.Unmarshal(k.Raw, &u) // what is kept was made here
	t.byKey[string(u.Parameters)] = id
}

// resume begins with the invented users, and takes over what was kept.
func (s *Server) resume() {
	seed, records := s.Origin()
	section := s.Journal().Section
	s.seed = seed
	s.users = siteUsers{byKey: map[string]int{}, nextID: records + 1, kept: section("users"), counts: section("counts")}
	for id := 1; id <= records; id++ {
		s.users.list = append(s.users.list, user{id: id})
	}
	sandbox.Each(s.users.kept, func(key string, k keptUser) {
		id, _ := strconv.Atoi(key)
		s.users.put(id, k)
	})
	sandbox.Each(s.users.counts, func(_ string, n int) { s.users.nextID = n })
	s.tickets = tickets{byName: map[string]*ticket{}, kept: section("tickets")}
	sandbox.Each(s.tickets.kept, func(name string, t ticket) { s.tickets.byName[name] = &t })
	s.Tokens.KeepIn(section("tokens"))
}
