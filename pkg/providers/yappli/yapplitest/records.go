package yapplitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"hikyaku/pkg/providers/sandbox"
)

// Members returns all members in the order of the list, as they are now. The
// caller owns them.
func (s *Server) Members() []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	members := make([]Member, len(s.table.slots))
	for i, place := range s.table.slots {
		members[i] = s.table.of(place).clone()
	}
	return members
}

// Put stores m, as an operator or another program would have: it replaces the
// member with its id, or adds one. An empty id takes the next free one. Fields
// that every member has (rank, point, logined, enabled and the two times) get
// their defaults where m has none. It returns the id.
func (s *Server) Put(m Member) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m = m.clone()
	if m.Values == nil {
		m.Values = map[string]string{}
	}
	if m.ID == "" {
		m.ID = fmt.Sprint(s.table.next)
	}
	s.complete(m.Values)
	s.table.put(m, s.Now(), s.Lag)
	return m.ID
}

// complete sets what a new member has without having been told.
func (s *Server) complete(values map[string]string) {
	now := stamp(s.Now())
	for name, value := range map[string]string{
		"rank": "0", "point": "0", "logined": "0", "enabled": "1", "created_at": now, "updated_at": now,
	} {
		if _, ok := values[name]; !ok {
			values[name] = value
		}
	}
}

// Delete removes a member as if it had never been, which no call of the API
// can, and reports whether it was there.
func (s *Server) Delete(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.remove(id, s.Now(), s.Lag)
}

// Find returns the member with Yappli's id.
func (s *Server) Find(id string) (Member, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.table.get(id)
	return m.clone(), ok
}

// FindUnique returns every member that bears a unique_id.
func (s *Server) FindUnique(unique string) []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.table.withUnique(unique)
	for i := range found {
		found[i] = found[i].clone()
	}
	return found
}

// Shuffle changes the order of lists to one that depends on seed; 0 restores
// the order of ids.
func (s *Server) Shuffle(seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.shuffle, s.table.log = seed, nil
	for i := range s.table.slots {
		s.table.slots[i].key = s.table.key(s.table.slots[i].id)
	}
	slices.SortFunc(s.table.slots, compareSlots)
}

// Dump writes {"users":[...]} with every member as the lists hold it.
func (s *Server) Dump(w io.Writer) error {
	members := s.Members()
	records := make([]json.RawMessage, len(members))
	for i, m := range members {
		records[i] = m.JSON()
	}
	return sandbox.Dump(w, map[string][]json.RawMessage{"users": records})
}

// Load replaces all members by those of a document that Dump wrote. What no
// answer shows is lost.
func (s *Server) Load(r io.Reader) error {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	var document struct {
		Users []map[string]any `json:"users"`
	}
	if err := dec.Decode(&document); err != nil {
		return fmt.Errorf("loading yappli members: %w", err)
	}
	loaded := make([]Member, 0, len(document.Users))
	for i, object := range document.Users {
		m, err := fromObject(object)
		if err != nil {
			return fmt.Errorf("loading yappli member %d: %w", i+1, err)
		}
		loaded = append(loaded, m)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = newTable(s.seed, 0)
	for _, m := range loaded {
		s.complete(m.Values)
		s.table.put(m, s.Now(), 0)
	}
	return nil
}

func fromObject(object map[string]any) (Member, error) {
	m := Member{Values: map[string]string{}}
	for name, v := range object {
		text, isText := v.(string)
		number, isNumber := v.(json.Number)
		switch {
		case name == "id" && isText && text != "":
			m.ID = text
		case v == nil || name == "id":
		case !slices.Contains(answerFields, name):
			return m, fmt.Errorf("no field is named %q", name)
		case integers[name] && isNumber:
			m.Values[name] = number.String()
		case !integers[name] && isText:
			m.Values[name] = text
		default:
			return m, fmt.Errorf("%s has the wrong type", name)
		}
	}
	if m.ID == "" {
		return m, fmt.Errorf("no id")
	}
	return m, nil
}

// wrapOne and wrapList put member objects into the tenant's wrapper.
func (s *Server) wrapOne(m Member) []byte {
	b := m.JSON()
	switch s.Wrapper {
	case "bare":
		return b
	case "inner":
		return slices.Concat([]byte(`{"member":[`), b, []byte(`]}`))
	}
	return slices.Concat([]byte(`{"member":`), b, []byte(`}`))
}

func (s *Server) wrapList(b *bytes.Buffer, members []Member) {
	open, before, after, end := `{"members":[`, `{"member":`, `}`, `]`
	switch s.Wrapper {
	case "flat", "bare":
		before, after = "", ""
	case "inner":
		open, before, after, end = `{"members":{"member":[`, "", "", `]}`
	}
	b.WriteString(open)
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(before)
		b.Write(m.appendJSON(b.AvailableBuffer()))
		b.WriteString(after)
	}
	b.WriteString(end)
}
