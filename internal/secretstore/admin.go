package secretstore

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// A Rotation is a secret's rotation setting. A rotation runs while AWSPENDING
// stands on a version that is not the current one.
type Rotation struct {
	Enabled  bool
	Function string // the rotation function's ARN or name; stays after Cancel
}

// An Entry is all that Memory knows of a secret but its values.
type Entry struct {
	Name     string
	Created  time.Time
	Changed  time.Time // when a call last changed anything of it
	Accessed time.Time // when its value was last read; zero: never
	DeleteAt time.Time // when it will be gone; zero unless marked for deletion
	Rotation Rotation
	Versions []Version // the oldest first, those without a stage too
}

// Entries lists all secrets by name, those marked for deletion too. It sees every
// write at once, and is not counted.
func (m *Memory) Entries() []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var entries []Entry
	for _, name := range m.names() {
		s := m.secrets[name]
		if !s.deleteAt.IsZero() && !m.now().Before(s.deleteAt) {
			continue
		}
		entries = append(entries, Entry{
			Name: name, Created: s.created, Changed: s.changed, Accessed: s.accessed, DeleteAt: s.deleteAt,
			Rotation: s.rotation, Versions: s.list(m.now(), 0),
		})
	}
	return entries
}

// Delete marks a secret for deletion after a window of 7 to 30 days, or with a
// window of 0 removes it at once (the service's ForceDeleteWithoutRecovery). A
// marked secret can only be described, restored and removed at once, and its
// name stays taken.
func (m *Memory) Delete(ctx context.Context, name string, window time.Duration) error {
	s, err := m.enter(ctx, Call{OpDelete, name, ""})
	defer m.mu.Unlock()
	if window == 0 && (err == nil || s != nil && errors.Is(err, errMarked)) {
		return m.remove(s)
	}
	if err != nil {
		return err
	}
	if window < 7*24*time.Hour || window > 30*24*time.Hour {
		return invalid("the recovery window is 7 to 30 days")
	}
	s.deleteAt, s.changed = m.now().Add(window), m.now()
	return m.keep(s)
}

// Restore takes back Delete while its window is open.
func (m *Memory) Restore(ctx context.Context, name string) error {
	s, err := m.enter(ctx, Call{OpRestore, name, ""})
	defer m.mu.Unlock()
	if err != nil {
		return err
	}
	s.deleteAt, s.changed = time.Time{}, m.now()
	return m.keep(s)
}

// Rotate turns rotation on and starts one: it puts AWSPENDING on a new version
// id without a value, which the rotation function, invoked by the caller for
// each step, then fills. An empty function means the one set before. It is
// refused while another rotation runs; repeating the id of the one that runs
// is ignored, and started is false then.
//
// The service's RotateImmediately=false is Rotate, the testSecret step, and
// Promote of AWSPENDING from id to "".
func (m *Memory) Rotate(ctx context.Context, name, id, function string) (started bool, err error) {
	s, err := m.enter(ctx, Call{OpRotate, name, ""})
	defer m.mu.Unlock()
	if err != nil {
		return false, err
	}
	if err := checkVersion(id, nil); err != nil {
		return false, err
	}
	function = cmp.Or(function, s.rotation.Function)
	pending := s.holder(Pending, m.now(), 0)
	switch {
	case function == "":
		return false, fault("InvalidRequestException", ErrInvalid, "no rotation function is set for this secret")
	case pending == id:
		return false, nil
	case pending != "" && pending != s.holder(Current, m.now(), 0):
		return false, fault("InvalidRequestException", ErrInvalid, "a previous rotation is not complete")
	case s.versions[id] != nil:
		return false, fault("ResourceExistsException", ErrExists, "a version of this id exists")
	case !s.makeRoom(m.maxVersions(), m.now()):
		return false, overQuota()
	}
	s.rotation = Rotation{Enabled: true, Function: function}
	s.versions[id] = &version{created: m.now()}
	s.move(Pending, id, m.now())
	err = m.keep(s)
	return err == nil, err
}

// Cancel turns rotation off. As on the service, AWSPENDING stays where a
// running rotation left it.
func (m *Memory) Cancel(ctx context.Context, name string) error {
	s, err := m.enter(ctx, Call{OpCancel, name, ""})
	defer m.mu.Unlock()
	if err != nil {
		return err
	}
	s.rotation.Enabled, s.changed = false, m.now()
	return m.keep(s)
}
