package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// A Journal notes what changes in a sandbox, and keeps it in Options.Keeper. Without
// one it does nothing. It is safe for concurrent use.
//
// What changes while a handler runs, or a function given to Server.Do, is kept together
// or not at all, before the answer is sent.
type Journal struct {
	keeper Keeper
	prefix string // of all sections

	writing sync.Mutex // held during a commit, so that an older one never follows a newer

	mu       sync.Mutex
	handling bool    // a handler runs
	staged   changes // by what runs now
	noted    changes // to be kept with the next commit
	unread   error   // the state could not be read: nothing is written over it
	unkept   error   // the last commit failed
	formless error   // of a change that cannot be kept at all
}

// changes are values by where they are kept, nil for those that are gone, and what is to
// be done once they are kept.
type changes struct {
	values map[place][]byte
	then   []func()
}

func (c *changes) put(at place, value []byte) {
	if c.values == nil {
		c.values = map[place][]byte{}
	}
	c.values[at] = value
}

// add puts what changed later.
func (c *changes) add(later changes) {
	if c.values == nil {
		c.values = later.values
	} else {
		maps.Copy(c.values, later.values)
	}
	c.then = append(c.then, later.then...)
}

// A place is where a Keeper keeps a value.
type place struct{ section, key string }

// Journal returns the sandbox's.
func (s *Server) Journal() *Journal { return s.journal }

// Err says why the state in Options.Keeper cannot be read or written; nil: it can. As
// long as it cannot, requests that change something are refused with 503, and all of
// them if it could not be read.
func (s *Server) Err() error {
	if err := s.journal.broken(); err != nil {
		return err
	}
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.unkept
}

// A Section is a part of the journal, such as the records of a kind. The methods of a
// nil Section do nothing.
type Section struct {
	journal *Journal
	name    string
}

// Section returns the part with a name, which must not be that of another.
func (j *Journal) Section(name string) *Section {
	if j.keeper == nil {
		return nil
	}
	return &Section{journal: j, name: j.prefix + name}
}

// Put notes a value, which has to have a form in JSON.
func (s *Section) Put(key string, value any) {
	if s == nil {
		return
	}
	encoded := Record(value)
	if len(encoded) == 0 {
		s.journal.misform(fmt.Errorf("keeping %s of %s: it has no form in JSON", key, s.name))
		return
	}
	s.journal.note(place{s.name, key}, encoded)
}

// Delete notes that a value is gone.
func (s *Section) Delete(key string) {
	if s != nil {
		s.journal.note(place{s.name, key}, nil)
	}
}

// Clear notes that all values are gone.
func (s *Section) Clear() {
	if s == nil {
		return
	}
	j := s.journal
	j.mu.Lock()
	for _, values := range []map[place][]byte{j.staged.values, j.noted.values} {
		for at := range values {
			if at.section == s.name {
				values[at] = nil
			}
		}
	}
	j.mu.Unlock()
	s.load(func(key string, _ []byte) error {
		s.Delete(key)
		return nil
	})
}

// Commit keeps what was noted so far, but for what a handler has changed that still runs.
func (s *Section) Commit() {
	if s != nil {
		_ = s.journal.Commit() // Server.Err says it
	}
}

func (s *Section) load(f func(key string, value []byte) error) {
	if s == nil {
		return
	}
	if err := s.journal.keeper.Load(s.name, f); err != nil {
		s.journal.fail(fmt.Errorf("reading what was kept of %s: %w", s.name, err))
	}
}

// Each gives f every value that a section holds, in the order of the keys.
func Each[T any](s *Section, f func(key string, value T)) {
	s.load(func(key string, encoded []byte) error {
		var value T
		if err := json.Unmarshal(encoded, &value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		f(key, value)
		return nil
	})
}

func (j *Journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.unread = cmp.Or(j.unread, err)
}

// misform fails the commit of a change that cannot be encoded, and no other.
func (j *Journal) misform(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.formless = err
}

func (j *Journal) broken() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.unread
}

func (j *Journal) note(at place, value []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.now().put(at, value)
}

// now returns the changes to which one of now belongs.
func (j *Journal) now() *changes {
	if j.handling {
		return &j.staged
	}
	return &j.noted
}

// Then lets the next commit run f, once everything is kept that has been noted by now:
// for what must not happen before its cause outlives the process. f must not commit.
func (j *Journal) Then(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.now()
	c.then = append(c.then, f)
}

func (j *Journal) begin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.handling = true
}

// end adds what a handler has changed to what is kept with the next commit.
func (j *Journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.handling = false
	j.noted.add(j.staged)
	j.staged = changes{}
}

// Commit keeps what was noted so far, but for what a handler has changed that still
// runs. What cannot be kept stays noted. It returns only once nothing of it is on its
// way with another's commit either: who has seen a change may rely on it.
func (j *Journal) Commit() error {
	j.writing.Lock()
	defer j.writing.Unlock()
	kept, err := j.commit()
	for _, f := range kept.then { // inside the lock: whose changes another has kept waits for this too
		f()
	}
	return err
}

// commit returns what it has kept. The lock for writing is held.
func (j *Journal) commit() (kept changes, err error) {
	j.mu.Lock()
	if err = j.unread; err == nil {
		kept, j.noted = j.noted, changes{}
		err, j.formless = j.formless, nil
	}
	j.mu.Unlock()
	if len(kept.values) == 0 || j.keeper == nil {
		return kept, err
	}
	failed := j.write(kept.values)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unkept = failed; failed == nil {
		return kept, err
	}
	err = failed
	kept.add(j.noted) // what changed meanwhile
	j.noted = kept
	return changes{}, err
}

func (j *Journal) write(values map[place][]byte) error {
	list := make([]Change, 0, len(values))
	for at, value := range values {
		list = append(list, Change{Section: at.section, Key: at.key, Value: value})
	}
	slices.SortFunc(list, func(a, b Change) int { return cmp.Or(cmp.Compare(a.Section, b.Section), cmp.Compare(a.Key, b.Key)) })
	if err := j.keeper.Commit(list...); err != nil {
		return fmt.Errorf("keeping what has changed: %w", err)
	}
	return nil
}
