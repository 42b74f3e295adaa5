package secretstore

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The service's limits on one secret.
const (
	maxValue  = 65536          // bytes
	maxLabels = 20             // stages on all its versions together
	keepFor   = 24 * time.Hour // no version is removed sooner
)

// A Fault is a refusal by Memory: the exception of the service that stands for
// it, and the Store's error that it is.
type Fault struct {
	Code    string // "ResourceNotFoundException"
	Message string
	Kind    error // one of the Store's errors
}

// Error names the exception and the reason; neither holds a value.
func (f *Fault) Error() string { return f.Code + ": " + f.Message }

// Unwrap returns the Store's error.
func (f *Fault) Unwrap() error { return f.Kind }

func fault(code string, kind error, message string) error {
	return &Fault{Code: code, Message: message, Kind: kind}
}

// errMarked refuses what cannot be done with a secret that waits for its
// deletion.
var errMarked = fault("InvalidRequestException", ErrInvalid, "You can't perform this operation on the secret because it was marked for deletion.")

func invalid(message string) error { return fault("InvalidParameterException", ErrInvalid, message) }

func overQuota() error {
	return fault("LimitExceededException", ErrLimit, "the secret has its quota of versions, all labeled or younger than 24 hours")
}

func checkName(name string) error {
	foreign := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.In(r, unicode.Letter, unicode.Digit) && !strings.ContainsRune("/_+=.@-", r)
	}
	if name == "" || len(name) > 512 || strings.ContainsFunc(name, foreign) {
		return invalid("a name has 1 to 512 characters, letters, digits and /_+=.@-")
	}
	return nil
}

func checkVersion(id string, data []byte) error {
	if len(id) < 32 || len(id) > 64 {
		return invalid("a version id has 32 to 64 characters")
	}
	if data != nil && (len(data) == 0 || len(data) > maxValue) {
		return invalid("a value has 1 to 65536 bytes")
	}
	return nil
}

// A secret is one secret's state. Memory's mutex guards it.
type secret struct {
	name              string
	created, deleteAt time.Time // deleteAt: zero unless marked for deletion
	changed, accessed time.Time // accessed: zero until a value is read
	rotation          Rotation
	versions          map[string]*version
	stages            map[string]placement
	kept              []byte // document that was kept last; nil: none
}

type version struct {
	created time.Time
	data    []byte // nil: a rotation's placeholder
}

// A placement is where a stage stands, and where it stood before it moved.
type placement struct {
	version, before string
	moved           time.Time
}

func newSecret(name string, now time.Time) *secret {
	return &secret{name: name, created: now, changed: now, versions: map[string]*version{}, stages: map[string]placement{}}
}

// holder returns the id of the version under a stage as a reader sees it that
// lags behind; "" is none.
func (s *secret) holder(stage string, now time.Time, lag time.Duration) string {
	p := s.stages[stage]
	if now.Sub(p.moved) < lag {
		return p.before
	}
	return p.version
}

// read reads a version, which the caller asked for as what, and notes when.
func (s *secret) read(id, what string, now time.Time, lag time.Duration) (Value, error) {
	v := s.versions[id]
	if v == nil || v.data == nil {
		return Value{}, fault("ResourceNotFoundException", ErrNotFound, "Secrets Manager can't find the specified secret value for "+what)
	}
	s.accessed = now
	return Value{Version: s.describe(id, now, lag), Data: slices.Clone(v.data)}, nil
}

func (s *secret) describe(id string, now time.Time, lag time.Duration) Version {
	d := Version{ID: id, Created: s.versions[id].created}
	for stage := range s.stages {
		if s.holder(stage, now, lag) == id {
			d.Stages = append(d.Stages, stage)
		}
	}
	slices.Sort(d.Stages)
	return d
}

// list describes all versions, the oldest first.
func (s *secret) list(now time.Time, lag time.Duration) []Version {
	list := make([]Version, 0, len(s.versions))
	for _, id := range slices.Sorted(maps.Keys(s.versions)) {
		list = append(list, s.describe(id, now, lag))
	}
	slices.SortStableFunc(list, func(a, b Version) int { return a.Created.Compare(b.Created) })
	return list
}

// add writes a version under stages. A first version is current too.
func (s *secret) add(id string, data []byte, stages []string, now time.Time) {
	v := s.versions[id]
	if v == nil {
		v = &version{created: now}
		s.versions[id] = v
	}
	v.data, s.changed = slices.Clone(data), now
	if s.holder(Current, now, 0) == "" && !slices.Contains(stages, Current) {
		s.move(Current, id, now)
	}
	for _, stage := range stages {
		s.move(stage, id, now)
	}
}

// move places a stage on version to; "" takes it away.
func (s *secret) move(stage, to string, now time.Time) {
	from := s.holder(stage, now, 0)
	if from == to {
		return
	}
	s.stages[stage] = placement{version: to, before: from, moved: now}
	s.changed = now
	if stage == Current && from != "" {
		s.move(Previous, from, now)
	}
}

// labelsWith counts the stages that stand somewhere once these do too.
func (s *secret) labelsWith(stages []string) int {
	labels := map[string]bool{}
	for stage, p := range s.stages {
		if p.version != "" {
			labels[stage] = true
		}
	}
	for _, stage := range stages {
		labels[stage] = true
	}
	return len(labels)
}

// makeRoom removes deprecated versions until one more fits into the quota.
func (s *secret) makeRoom(quota int, now time.Time) bool {
	for _, v := range s.list(now, 0) {
		if len(s.versions) < quota {
			break
		}
		if len(v.Stages) == 0 && now.Sub(v.Created) > keepFor {
			delete(s.versions, v.ID)
		}
	}
	return len(s.versions) < quota
}
