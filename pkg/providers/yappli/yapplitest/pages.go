package yapplitest

import (
	"errors"

	"hikyaku/pkg/providers/sandbox"
)

// pages are those of the tenant's administrator.
type pages struct{ server *Server }

// ByHand returns the administrator's page of members.
func (s *Server) ByHand() sandbox.Editor { return pages{s} }

const membersKind = "members"

// labels are what the shop has named the fields whose use is the same in invented members
// and in those that the shipped mapping makes.
var labels = map[string]string{
	"unique_id": "会員ID", "login_id": "ログインID", "rank": "ランク", "column01": "氏名", "column03": "フリガナ", "column05": "住所",
}

// question is the one field whose name in answers is not that of requests.
const question, answeredQuestion = "secret_question", "secret_quetion"

// Kinds are the members.
func (p pages) Kinds() []sandbox.RecordKind {
	fields := make([]sandbox.RecordField, 0, len(answerFields)+3)
	fields = append(fields, sandbox.RecordField{Name: "id", ReadOnly: true})
	for _, name := range answerFields {
		f := sandbox.RecordField{Name: name, Label: labels[name], Required: name == "unique_id"}
		switch name {
		case "point", "point_geted_at", "created_at", "updated_at":
			f.ReadOnly = true
		case "logined", "enabled":
			f.Choices = []string{"0", "1"}
		case answeredQuestion:
			f.Name = question
		}
		fields = append(fields, f)
	}
	fields = append(fields, sandbox.RecordField{Name: "secret_answer", Secret: true}, sandbox.RecordField{Name: "password", Secret: true})
	return []sandbox.RecordKind{{Name: membersKind, Fields: fields}}
}

// List returns members in the order of the lists.
func (p pages) List(kind string, q sandbox.RecordQuery) (page []sandbox.Row, total int, err error) {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return nil, 0, err
	}
	s := p.server.Records
	s.mu.Lock()
	defer s.mu.Unlock()
	page, total = s.texts.Page(q, len(s.table.slots), func(i int) any { return s.table.slots[i] }, // whose member is another after each change
		func(i int) sandbox.Row { return row(s.table.of(s.table.slots[i])) })
	return page, total, nil
}

// row is a member without what no answer shows.
func row(m Member) sandbox.Row {
	fields := map[string]string{"id": m.ID}
	for name, value := range m.Values {
		switch name {
		case "password", "secret_answer":
		case answeredQuestion:
			fields[question] = value
		default:
			fields[name] = value
		}
	}
	return sandbox.Row{ID: m.ID, Fields: fields}
}

// Save makes or changes a member by the rules of the API, but that a change leaves alone
// what it does not name, whatever the tenant's calls do.
func (p pages) Save(kind, id string, fields map[string]string) (string, error) {
	known, err := sandbox.KindOf(p.Kinds(), kind)
	if err != nil {
		return "", err
	}
	p.server.Do(func() { id, err = p.save(known, id, fields) })
	return id, errors.Join(err, p.server.Journal().Commit())
}

func (p pages) save(kind sandbox.RecordKind, id string, fields map[string]string) (string, error) {
	s := p.server
	var before sandbox.Row
	if id != "" {
		m, found := s.Find(id)
		if !found {
			return "", errors.New("no such user")
		}
		before = row(m)
	}
	changed := before.Changed(fields)
	if err := kind.CheckSaved(id, changed); err != nil {
		return "", err
	}
	if at, sent := fields["logined_at"]; sent && changed["logined"] != "" {
		changed["logined_at"] = at // which the other needs beside it, changed or not
	}
	set, err := s.asked(changed)
	if err != nil {
		return "", err
	}
	unique, named := set["unique_id"]
	switch {
	case id == "":
		m, ok := s.Records.create(*unique, set)
		if !ok {
			return "", errors.New("unique_id exists already")
		}
		return m.ID, nil
	case named && s.Generation < 3:
		return "", errors.New("unique_id cannot be changed")
	}
	s.edit(id, set)
	return id, nil
}

// asked reads fields as a request with them would be.
func (k *Knobs) asked(fields map[string]string) (map[string]*string, error) {
	set := map[string]*string{}
	for name, value := range fields {
		if err := k.take(set, name, &value); err != nil {
			return nil, err
		}
	}
	return set, k.complete(set)
}

// edit changes a member's fields and no others.
func (s *Records) edit(id string, set map[string]*string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, found := s.table.get(id)
	if !found {
		return
	}
	m = m.clone()
	apply(m.Values, set)
	m.Values["updated_at"] = stamp(s.now())
	s.put(m)
}

// Delete takes a member away.
func (p pages) Delete(kind, id string) error {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return err
	}
	found := false
	p.server.Do(func() { found = p.server.Delete(id) })
	if !found {
		return errors.New("no such user")
	}
	return p.server.Journal().Commit()
}
