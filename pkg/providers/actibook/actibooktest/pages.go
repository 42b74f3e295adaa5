package actibooktest

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// pages are those of the site's administrator.
type pages struct{ server *Server }

// ByHand returns the administrator's page of site users.
func (s *Server) ByHand() sandbox.Editor { return pages{s} }

const usersKind = "site_users"

// Kinds are the site users: their group, and the parameters of the login that made them.
func (p pages) Kinds() []sandbox.RecordKind {
	groups := slices.Sorted(maps.Values(p.server.Groups))
	return []sandbox.RecordKind{{Name: usersKind, Fields: []sandbox.RecordField{
		{Name: "id", ReadOnly: true}, {Name: "group", Required: true, Choices: slices.Compact(groups)}, {Name: userID}, {Name: "name"}, {Name: "email"},
		{Name: p.server.keywordParameter(), ReadOnly: true}, {Name: "created_at", ReadOnly: true},
	}}}
}

// List returns site users, the newest first.
func (p pages) List(kind string, q sandbox.RecordQuery) (page []sandbox.Row, total int, err error) {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return nil, 0, err
	}
	p.server.Do(func() {
		list := p.server.users.list
		page, total = p.server.users.texts.Page(q, len(list), func(i int) any { return list[len(list)-1-i].key() },
			func(i int) sandbox.Row { row, _, _ := p.read(list[len(list)-1-i]); return row })
	})
	return page, total, nil
}

// A version tells a user from what it was before: each change makes new bytes.
type version struct {
	id  int
	raw *byte
}

func (u user) key() version {
	if u.raw == nil {
		return version{id: u.id}
	}
	return version{u.id, &u.raw[0]}
}

// read returns a site user as a person sees it, and as it is.
func (p pages) read(u user) (sandbox.Row, siteUser, map[string]json.RawMessage) {
	var known siteUser
	parameters := map[string]json.RawMessage{}
	_ = json.Unmarshal(p.server.served(u), &known) // what is stored was made here
	_ = json.Unmarshal(known.Parameters, &parameters)
	fields := sandbox.PlainValues(parameters)
	fields["id"], fields["group"], fields["created_at"] = strconv.Itoa(u.id), known.Group, known.CreatedAt.Format(time.RFC3339)
	return sandbox.Row{ID: fields["id"], Fields: fields}, known, parameters
}

var errNotFound = errors.New("the user was not found")

// Save makes or changes a site user. Who logs in afterwards is the same user only with
// the same parameters.
func (p pages) Save(kind, id string, fields map[string]string) (string, error) {
	known, err := sandbox.KindOf(p.Kinds(), kind)
	if err != nil {
		return "", err
	}
	p.server.Do(func() { id, err = p.save(known, id, fields) })
	return id, errors.Join(err, p.server.Journal().Commit())
}

func (p pages) save(kind sandbox.RecordKind, id string, fields map[string]string) (string, error) {
	t := &p.server.users
	number, _ := strconv.Atoi(id)
	at, found := t.find(number)
	var before sandbox.Row
	one, parameters := siteUser{CreatedAt: p.server.Now().UTC()}, map[string]json.RawMessage{}
	if id != "" {
		if !found {
			return "", errNotFound
		}
		before, one, parameters = p.read(t.list[at])
	}
	changed := before.Changed(fields)
	if err := kind.CheckSaved(id, changed); err != nil {
		return "", err
	}
	for name, value := range changed {
		if name != "group" {
			parameters[name] = sandbox.Record(value)
			continue
		}
		one.Group = value
		for _, keyword := range slices.Sorted(maps.Keys(p.server.Groups)) {
			if p.server.Groups[keyword] == value {
				parameters[p.server.keywordParameter()] = sandbox.Record(keyword)
			}
		}
	}
	one.Parameters = sandbox.Record(parameters)
	if id == "" {
		return strconv.Itoa(t.insert(one)), nil
	}
	t.change(at, one)
	return id, nil
}

// change makes a site user another, with the same id.
func (t *siteUsers) change(at int, u siteUser) {
	maps.DeleteFunc(t.byKey, func(_ string, owner int) bool { return owner == u.ID })
	t.list[at].raw = sandbox.Record(u)
	t.byKey[string(u.Parameters)] = u.ID
	t.note(t.list[at])
}

// Delete takes a site user away.
func (p pages) Delete(kind, id string) error {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return err
	}
	number, _ := strconv.Atoi(id)
	if !p.server.Delete(number) {
		return errNotFound
	}
	return p.server.Journal().Commit()
}
