package yapplitest

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// Records are the tenant's members. Its methods read and change them as people
// and other programs do.
type Records struct {
	knobs *Knobs
	now   func() time.Time
	seed  uint64

	disown func() // notes that no member is an invented one any longer

	mu     sync.Mutex // guards what follows
	table  table
	random *rand.Rand // of lags
	kept   kept
	texts  sandbox.Texts
}

// Members returns all members in the order of the list, as they are now. The
// caller owns them.
func (s *Records) Members() []Member {
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
func (s *Records) Put(m Member) string {
	defer s.kept.members.Commit()
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
	s.put(m)
	return m.ID
}

// put stores a member and keeps it. The lock is held.
func (s *Records) put(m Member) {
	s.table.put(m, s.now(), s.knobs.Lag)
	s.kept.member(&s.table, m)
}

// complete sets what a new member has without having been told.
func (s *Records) complete(values map[string]string) {
	now := stamp(s.now())
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
func (s *Records) Delete(id string) bool {
	defer s.kept.members.Commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.table.remove(id, s.now(), s.knobs.Lag)
	if found {
		s.kept.gone(id)
	}
	return found
}

// Find returns the member with Yappli's id.
func (s *Records) Find(id string) (Member, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.table.get(id)
	return m.clone(), ok
}

// FindUnique returns every member that bears a unique_id.
func (s *Records) FindUnique(unique string) []Member {
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
func (s *Records) Shuffle(seed uint64) {
	defer s.kept.members.Commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.reorder(seed)
	s.kept.list(&s.table)
}

// Dump writes {"users":[...]} with every member as the lists hold it.
func (s *Records) Dump(w io.Writer) error {
	members := s.Members()
	records := make([]json.RawMessage, len(members))
	for i, m := range members {
		records[i] = m.JSON()
	}
	return sandbox.Dump(w, map[string][]json.RawMessage{"users": records})
}

// Load replaces all members by those of a document that Dump wrote. What no
// answer shows is lost.
func (s *Records) Load(r io.Reader) error {
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
	defer s.kept.members.Commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disown()
	s.table = newTable(s.seed, 0)
	s.kept.members.Clear()
	for _, m := range loaded {
		s.complete(m.Values)
		s.table.put(m, s.now(), 0)
		s.kept.member(&s.table, m)
	}
	s.kept.list(&s.table)
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

// shown returns part of the list as it shows itself now, in the order that it is given,
// and its whole length.
func (s *Records) shown(offset, limit int, order func([]slot) []slot) (members []Member, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slots := s.table.slots
	if s.knobs.Lag > 0 {
		slots = s.table.asOf(s.now().Add(-time.Duration(s.random.Int64N(int64(s.knobs.Lag) + 1))))
	}
	if s.knobs.Skip != nil {
		slots = slices.DeleteFunc(slices.Clone(slots), func(place slot) bool { return s.knobs.Skip(place.id) })
	}
	slots = order(slots)
	total = len(slots)
	offset = min(offset, total)
	for _, place := range slots[offset:min(offset+limit, total)] {
		members = append(members, s.table.of(place))
	}
	return members, total
}

// create makes a member, or does what the tenant's rule for duplicates says. It
// returns false if that is a refusal.
func (s *Records) create(unique string, set map[string]*string) (Member, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if existing := s.table.withUnique(unique); len(existing) > 0 && s.knobs.Duplicate != SecondUser {
		if s.knobs.Duplicate == Refuse {
			return Member{}, false
		}
		return s.change(existing[0], set), true
	}
	m := Member{ID: strconv.Itoa(s.table.next), Values: map[string]string{}}
	s.complete(m.Values)
	apply(m.Values, set)
	s.put(m)
	return m, true
}

// update changes a member, and returns false if there is none.
func (s *Records) update(id string, set map[string]*string) (Member, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.table.get(id)
	if !ok {
		return Member{}, false
	}
	return s.change(m, set), true
}

// change applies set to m and stores the result. The lock is held.
func (s *Records) change(m Member, set map[string]*string) Member {
	m = m.clone()
	if s.knobs.Replace {
		for _, name := range answerFields {
			switch name {
			case "unique_id", "point", "point_geted_at", "created_at", "updated_at":
			default:
				delete(m.Values, name)
			}
		}
	}
	s.complete(m.Values)
	apply(m.Values, set)
	m.Values["updated_at"] = stamp(s.now())
	s.put(m)
	return m
}

func apply(values map[string]string, set map[string]*string) {
	for name, value := range set {
		if value == nil {
			delete(values, name)
		} else {
			values[name] = *value
		}
	}
}
