package secretstore

import (
	"encoding/json"
	"fmt"
	"time"
)

// A keptSecret is the document of a secret.
type keptSecret struct {
	Created, Changed, Accessed, DeleteAt time.Time

	Rotation Rotation
	Versions map[string]keptVersion
	Stages   map[string]keptStage
}

type keptVersion struct {
	Created time.Time
	Data    []byte // nil: a rotation's placeholder
}

type keptStage struct {
	Version, Before string
	Moved           time.Time
}

func (s *secret) document() ([]byte, error) {
	k := keptSecret{s.created, s.changed, s.accessed, s.deleteAt, s.rotation, map[string]keptVersion{}, map[string]keptStage{}}
	for id, v := range s.versions {
		k.Versions[id] = keptVersion{v.created, v.data}
	}
	for stage, p := range s.stages {
		k.Stages[stage] = keptStage{p.version, p.before, p.moved}
	}
	return json.Marshal(k)
}

func readSecret(name string, document []byte) (*secret, error) {
	var k keptSecret
	if err := json.Unmarshal(document, &k); err != nil {
		return nil, fmt.Errorf("reading the kept secret %s: it is no document of one", name) // what json says may quote it
	}
	s := newSecret(name, k.Created)
	s.changed, s.accessed, s.deleteAt, s.rotation, s.kept = k.Changed, k.Accessed, k.DeleteAt, k.Rotation, document
	for id, v := range k.Versions {
		s.versions[id] = &version{v.Created, v.Data}
	}
	for stage, p := range k.Stages {
		s.stages[stage] = placement{p.Version, p.Before, p.Moved}
	}
	return s, nil
}

// Load puts a secret back as Keep was told to keep it, before the Memory is used.
func (m *Memory) Load(name string, document []byte) error {
	s, err := readSecret(name, document)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(s)
	return nil
}

// put takes in a secret. m.mu is held, as by those below.
func (m *Memory) put(s *secret) {
	if m.secrets == nil {
		m.secrets = map[string]*secret{}
	}
	m.secrets[s.name] = s
}

// keep keeps a secret as it is now, or puts it back to what was kept last.
func (m *Memory) keep(s *secret) error {
	if m.Keep == nil {
		return nil
	}
	document, err := s.document()
	if err == nil {
		err = m.Keep(s.name, document)
	}
	if err == nil {
		s.kept = document
		return nil
	}
	delete(m.secrets, s.name)
	if s.kept != nil {
		if before, readErr := readSecret(s.name, s.kept); readErr == nil {
			m.put(before)
		}
	}
	return fmt.Errorf("the secret %s cannot be kept: %w", s.name, err)
}

// remove takes a secret away, also from what is kept.
func (m *Memory) remove(s *secret) error {
	if m.Keep != nil {
		if err := m.Keep(s.name, nil); err != nil {
			return fmt.Errorf("the secret %s cannot be taken away: %w", s.name, err)
		}
	}
	delete(m.secrets, s.name)
	return nil
}
