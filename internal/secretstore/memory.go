package secretstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// Names of the service's operations, as Memory counts them.
const (
	OpGet      = "GetSecretValue"
	OpDescribe = "DescribeSecret"
	OpCreate   = "CreateSecret"
	OpPut      = "PutSecretValue"
	OpPromote  = "UpdateSecretVersionStage"
	OpDelete   = "DeleteSecret"
	OpRestore  = "RestoreSecret"
	OpRotate   = "RotateSecret"
	OpCancel   = "CancelRotateSecret"
)

// A Call is what Memory counts: one operation on one secret, and for OpGet the
// stage that was read (empty for a read by version id).
type Call struct{ Op, Name, Stage string }

// Memory is a Store in memory that follows the documented rules of Secrets
// Manager, the awkward ones too:
//
//   - A version id has 32 to 64 characters. A version never changes; writing
//     the same id and value again is ignored (its stages do not move either),
//     another value is refused.
//   - A stage moves to the version that is put under it. When AWSCURRENT moves,
//     AWSPREVIOUS goes to the version that loses it.
//   - A secret's first version is current, whatever stages were asked for
//     (and it has these too).
//   - Promote is UpdateSecretVersionStage: refused unless the stage is on the
//     version named. AWSCURRENT can be moved but never taken away.
//   - A secret has at most 100 versions. The service "keeps 100 of the most
//     recent versions, but all that were created in the last 24 hours"; we read
//     this so: a put beyond 100 first removes the oldest versions that have no
//     stage and are older than 24 hours, and is refused with ErrLimit if there
//     are none. Until then a version without a stage stays readable by its id.
//   - While a rotation runs, AWSPENDING may stand on a version without a value,
//     which reads as ErrNotFound and is filled by the first put of its id.
//
// Errors are *Fault. Set the fields before use; the zero Memory is ready.
type Memory struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// ReadLag is how long after a stage's move Get by stage and Describe
	// still answer what was before. Reads by version id, and the checks of
	// writes, never lag.
	ReadLag time.Duration
	// Throttle reports whether to refuse a call with ErrThrottled; nil
	// refuses none. It must be safe for concurrent use.
	Throttle func(op, name string) bool
	// Keep, if not nil, keeps the document of a secret somewhere, from where Load puts it
	// back at the next start; a nil document: the secret is gone. It is called before a
	// change is answered. A call whose change is not kept fails, and changes nothing.
	// That a value was read is kept once a day. It is called by one goroutine at a time.
	Keep func(name string, document []byte) error
	// MaxVersions is the quota of versions of one secret; 0 means 100.
	MaxVersions int

	mu      sync.Mutex
	secrets map[string]*secret
	calls   map[Call]int
}

var _ Store = (*Memory)(nil)

// Get reads the version under a stage.
func (m *Memory) Get(ctx context.Context, name, stage string) (Value, error) {
	s, err := m.enter(ctx, Call{OpGet, name, stage})
	defer m.mu.Unlock()
	if err != nil {
		return Value{}, err
	}
	return m.read(s, s.holder(stage, m.now(), m.ReadLag), "staging label: "+stage, m.ReadLag)
}

// GetVersion reads a version by id.
func (m *Memory) GetVersion(ctx context.Context, name, id string) (Value, error) {
	s, err := m.enter(ctx, Call{OpGet, name, ""})
	defer m.mu.Unlock()
	if err != nil {
		return Value{}, err
	}
	return m.read(s, id, "VersionId: "+id, 0)
}

func (m *Memory) read(s *secret, id, what string, lag time.Duration) (Value, error) {
	before := s.accessed
	v, err := s.read(id, what, m.now(), lag)
	if err == nil && !dayOf(before).Equal(dayOf(s.accessed)) {
		_ = m.keep(s) // the value is right whether or not it is kept when it was read
	}
	return v, err
}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Describe lists the versions that have a stage.
func (m *Memory) Describe(ctx context.Context, name string) (Description, error) {
	s, err := m.enter(ctx, Call{OpDescribe, name, ""})
	defer m.mu.Unlock()
	if err != nil {
		return Description{}, err
	}
	d := Description{Rotating: s.rotation.Enabled}
	for _, v := range s.list(m.now(), m.ReadLag) {
		if len(v.Stages) > 0 {
			v.Created = time.Time{} // the service does not say it here
			d.Versions = append(d.Versions, v)
		}
	}
	return d, nil
}

// Create makes a secret with its first version, or with none if data is nil.
func (m *Memory) Create(ctx context.Context, name, id string, data []byte) error {
	s, err := m.enter(ctx, Call{OpCreate, name, ""})
	defer m.mu.Unlock()
	if err == nil {
		if v := s.versions[id]; v != nil && v.data != nil && bytes.Equal(v.data, data) {
			return nil
		}
		return fault("ResourceExistsException", ErrExists, "The operation failed because the secret "+name+" already exists.")
	}
	if errors.Is(err, errMarked) { // it keeps its name
		return fault("InvalidRequestException", ErrInvalid, "You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := checkName(name); err != nil {
		return err
	}
	if err := checkVersion(id, data); err != nil {
		return err
	}
	s = newSecret(name, m.now())
	if data != nil {
		s.add(id, data, []string{Current}, m.now())
	}
	m.put(s)
	return m.keep(s)
}

// Put adds a version under the given stages, or fills a rotation's placeholder.
func (m *Memory) Put(ctx context.Context, name, id string, data []byte, stages ...string) error {
	s, err := m.enter(ctx, Call{OpPut, name, ""})
	defer m.mu.Unlock()
	if err != nil {
		return err
	}
	if err := checkVersion(id, data); err != nil {
		return err
	}
	if len(stages) == 0 || data == nil {
		return invalid("a put needs at least one stage and a value")
	}
	if v := s.versions[id]; v != nil && v.data != nil {
		if bytes.Equal(v.data, data) {
			return nil
		}
		return fault("ResourceExistsException", ErrExists, "a version of this id exists with another value")
	}
	if s.labelsWith(stages) > maxLabels {
		return fault("LimitExceededException", ErrLimit, "more than 20 stages on one secret")
	}
	if s.versions[id] == nil && !s.makeRoom(m.maxVersions(), m.now()) {
		return overQuota()
	}
	s.add(id, data, stages, m.now())
	return m.keep(s)
}

// Promote moves a stage by compare-and-swap.
func (m *Memory) Promote(ctx context.Context, name, stage, to, from string) error {
	s, err := m.enter(ctx, Call{OpPromote, name, stage})
	defer m.mu.Unlock()
	if err != nil {
		return err
	}
	switch holder := s.holder(stage, m.now(), 0); {
	case stage == "" || to == "" && from == "":
		return invalid("a stage and a version to move it to or from are needed")
	case to == "" && stage == Current:
		return invalid("AWSCURRENT can only be moved to another version")
	case to != "" && s.versions[to] == nil:
		return fault("ResourceNotFoundException", ErrNotFound, "no version of the id to move to")
	case from == "" && holder == to:
		return nil
	case holder != from:
		return fault("InvalidParameterException", ErrConflict, "the stage is not on the version to remove it from")
	case from == "" && s.labelsWith([]string{stage}) > maxLabels:
		return fault("LimitExceededException", ErrLimit, "more than 20 stages on one secret")
	}
	s.move(stage, to, m.now())
	return m.keep(s)
}

// Calls returns how often each call was made, refused ones included.
func (m *Memory) Calls() map[Call]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.calls)
}

// enter counts a call, finds its secret and returns with m.mu locked, also on
// an error. A secret that waits for its deletion is returned with an error.
func (m *Memory) enter(ctx context.Context, call Call) (*secret, error) {
	throttled := m.Throttle != nil && m.Throttle(call.Op, call.Name)
	m.mu.Lock()
	if m.calls == nil {
		m.calls = map[Call]int{}
	}
	m.calls[call]++
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if throttled {
		return nil, fault("ThrottlingException", ErrThrottled, "rate exceeded")
	}
	s := m.secrets[call.Name]
	if s != nil && !s.deleteAt.IsZero() && !m.now().Before(s.deleteAt) {
		delete(m.secrets, call.Name)
		s = nil
	}
	if s == nil {
		return nil, fault("ResourceNotFoundException", ErrNotFound, "Secrets Manager can't find the specified secret.")
	}
	if !s.deleteAt.IsZero() && call.Op != OpRestore && call.Op != OpDescribe {
		return s, errMarked
	}
	return s, nil
}

func (m *Memory) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

func (m *Memory) maxVersions() int { return cmp.Or(m.MaxVersions, 100) }

// names returns the names of all secrets, sorted. m.mu is held.
func (m *Memory) names() []string {
	return slices.Sorted(maps.Keys(m.secrets))
}
