package secretstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A shelf is a fake with a clock that moves only when told, and one secret.
type shelf struct {
	*secretstore.Memory

	at    time.Time
	first string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{Memory: new(secretstore.Memory), at: noon, first: uuid.NewString()}
	s.Now = func() time.Time { return s.at }
	wantErr(t, "create", s.Create(t.Context(), "s", s.first, []byte("first")), nil)
	return s
}

func (s *shelf) put(t *testing.T, data string, stages ...string) string {
	t.Helper()
	id := uuid.NewString()
	wantErr(t, "put "+data, s.Put(t.Context(), "s", id, []byte(data), stages...), nil)
	return id
}

func (s *shelf) wantStage(t *testing.T, stage, id string) {
	t.Helper()
	v, err := s.Get(t.Context(), "s", stage)
	if id == "" {
		wantErr(t, "get "+stage, err, secretstore.ErrNotFound)
		return
	}
	if err != nil || v.ID != id {
		t.Fatalf("%s is version %q, error %v, want %q", stage, v.ID, err, id)
	}
}

func wantErr(t *testing.T, doing string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%s: error %v, want %v", doing, err, kind)
	}
}

// wantCode checks which exception of the service an error stands for.
func wantCode(t *testing.T, err error, code string, kind error) {
	t.Helper()
	var fault *secretstore.Fault
	if !errors.As(err, &fault) || fault.Code != code || !errors.Is(err, kind) {
		t.Fatalf("error %v, want %s, which is %v", err, code, kind)
	}
}

func TestQuotaFreesDeprecatedVersionsAfterADay(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.at = noon.Add(time.Hour)
	ids := []string{s.first}
	for range 99 {
		ids = append(ids, s.put(t, "x", "NEXT"))
	}
	put := func() error { return s.Put(t.Context(), "s", uuid.NewString(), []byte("x"), "NEXT") }

	s.at = noon.Add(25 * time.Hour) // the 99 are a day old and no more
	wantCode(t, put(), "LimitExceededException", secretstore.ErrLimit)
	s.at = s.at.Add(1)
	wantErr(t, "put", put(), nil)
	_, err := s.GetVersion(t.Context(), "s", s.first)
	wantErr(t, "the current version, older but labeled", err, nil)
	gone := 0
	for _, id := range ids {
		if _, err := s.GetVersion(t.Context(), "s", id); errors.Is(err, secretstore.ErrNotFound) {
			gone++
		}
	}
	if entries := s.Entries(); gone != 1 || len(entries) != 1 || len(entries[0].Versions) != 100 {
		t.Errorf("%d versions gone, %d left, want one gone for one put", gone, len(entries[0].Versions))
	}
	s.MaxVersions = 98
	wantErr(t, "put under a lower quota", put(), nil)
	if left := len(s.Entries()[0].Versions); left != 98 {
		t.Errorf("%d versions left, want 98", left)
	}
}

func TestQuotaOfStages(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	id := s.put(t, "x", "S2")
	for i := 3; i <= 20; i++ {
		wantErr(t, "label", s.Promote(t.Context(), "s", fmt.Sprint("S", i), id, ""), nil)
	}
	wantCode(t, s.Promote(t.Context(), "s", "S21", id, ""), "LimitExceededException", secretstore.ErrLimit)
	wantCode(t, s.Put(t.Context(), "s", uuid.NewString(), []byte("x"), "S21"), "LimitExceededException", secretstore.ErrLimit)
	wantErr(t, "move one of the twenty", s.Promote(t.Context(), "s", "S20", s.first, id), nil)
	wantErr(t, "take one away", s.Promote(t.Context(), "s", "S20", "", s.first), nil)
	wantErr(t, "label", s.Promote(t.Context(), "s", "S21", id, ""), nil)
}

func TestReadsByStageLag(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.at = s.at.Add(time.Hour)
	s.ReadLag = time.Minute
	next := s.put(t, "next", "NEXT")
	s.wantStage(t, "NEXT", "")
	if v, err := s.GetVersion(t.Context(), "s", next); err != nil || !v.Has("NEXT") {
		t.Errorf("version by id = %+v, %v", v, err)
	}
	wantErr(t, "promote at once", s.Promote(t.Context(), "s", secretstore.Current, next, s.first), nil)
	s.at = s.at.Add(time.Minute - 1)
	s.wantStage(t, secretstore.Current, s.first)
	d, err := s.Describe(t.Context(), "s")
	wantErr(t, "describe", err, nil)
	if v, _ := d.Holder(secretstore.Current); v.ID != s.first || len(d.Versions) != 1 {
		t.Errorf("Describe = %+v, want the first version alone", d)
	}
	s.at = s.at.Add(1)
	s.wantStage(t, secretstore.Current, next)
	s.wantStage(t, secretstore.Previous, s.first)
	s.wantStage(t, "NEXT", next)
}

func TestThrottledCallsAreCounted(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	var throttled atomic.Bool
	s.Throttle = func(op, name string) bool { return throttled.Load() && op == secretstore.OpPut && name == "s" }
	id := s.put(t, "x", "NEXT")
	throttled.Store(true)
	wantCode(t, s.Put(t.Context(), "s", uuid.NewString(), []byte("y"), "NEXT"), "ThrottlingException", secretstore.ErrThrottled)
	s.wantStage(t, "NEXT", id)
	_, err := s.GetVersion(t.Context(), "s", id)
	wantErr(t, "get version", err, nil)
	for call, want := range map[secretstore.Call]int{
		{Op: secretstore.OpCreate, Name: "s"}:             1,
		{Op: secretstore.OpPut, Name: "s"}:                2,
		{Op: secretstore.OpGet, Name: "s", Stage: "NEXT"}: 1,
		{Op: secretstore.OpGet, Name: "s"}:                1,
		{Op: secretstore.OpDescribe, Name: "s"}:           0,
	} {
		if got := s.Calls()[call]; got != want {
			t.Errorf("%+v was counted %d times, want %d", call, got, want)
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx, day := t.Context(), 24*time.Hour
	for _, window := range []time.Duration{7*day - 1, 30*day + 1, -1} {
		wantCode(t, s.Delete(ctx, "s", window), "InvalidParameterException", secretstore.ErrInvalid)
	}
	wantErr(t, "delete", s.Delete(ctx, "s", 7*day), nil)
	_, err := s.Get(ctx, "s", secretstore.Current)
	wantCode(t, err, "InvalidRequestException", secretstore.ErrInvalid)
	wantCode(t, s.Create(ctx, "s", uuid.NewString(), []byte("x")), "InvalidRequestException", secretstore.ErrInvalid)
	_, err = s.Describe(ctx, "s")
	wantErr(t, "describe", err, nil)
	if e := s.Entries()[0]; !e.DeleteAt.Equal(noon.Add(7*day)) || !e.Created.Equal(noon) || e.Name != "s" {
		t.Errorf("entry = %+v", e)
	}
	s.at = noon.Add(7*day - 1)
	wantErr(t, "restore", s.Restore(ctx, "s"), nil)
	s.wantStage(t, secretstore.Current, s.first)

	wantErr(t, "delete", s.Delete(ctx, "s", 30*day), nil)
	s.at = s.at.Add(30 * day)
	wantCode(t, s.Restore(ctx, "s"), "ResourceNotFoundException", secretstore.ErrNotFound)
	if entries := s.Entries(); len(entries) != 0 {
		t.Errorf("entries = %+v, want none", entries)
	}
	wantErr(t, "create anew", s.Create(ctx, "s", s.first, []byte("other")), nil)
	wantErr(t, "delete at once", s.Delete(ctx, "s", 0), nil)
	wantErr(t, "delete again", s.Delete(ctx, "s", 0), secretstore.ErrNotFound)

	wantErr(t, "create anew", s.Create(ctx, "s", s.first, []byte("other")), nil)
	wantErr(t, "delete", s.Delete(ctx, "s", 7*day), nil)
	wantErr(t, "delete again with a window", s.Delete(ctx, "s", 7*day), secretstore.ErrInvalid)
	wantErr(t, "delete a marked one at once", s.Delete(ctx, "s", 0), nil)
	wantErr(t, "create its name anew", s.Create(ctx, "s", s.first, []byte("other")), nil)
}

// An entry says when its secret was last changed, and when last read.
func TestEntrySaysWhen(t *testing.T) {
	t.Parallel()
	at := noon
	m, ctx, first, second := &secretstore.Memory{Now: func() time.Time { return at }}, t.Context(), uuid.NewString(), uuid.NewString()
	wantErr(t, "create", m.Create(ctx, "s", first, []byte("x")), nil)
	if e := m.Entries()[0]; !e.Changed.Equal(noon) || !e.Accessed.IsZero() {
		t.Errorf("created: %+v", e)
	}
	for _, change := range []func() error{
		func() error { return m.Put(ctx, "s", second, []byte("y"), "NEXT") },
		func() error { return m.Promote(ctx, "s", secretstore.Current, second, first) },
		func() error { _, err := m.Rotate(ctx, "s", uuid.NewString(), "f"); return err },
		func() error { return m.Cancel(ctx, "s") },
		func() error { return m.Delete(ctx, "s", 7*24*time.Hour) },
		func() error { return m.Restore(ctx, "s") },
	} {
		at = at.Add(time.Hour)
		wantErr(t, "change", change(), nil)
		if e := m.Entries()[0]; !e.Changed.Equal(at) {
			t.Errorf("changed at %s: %+v", at, e)
		}
	}
	changed := at
	at = at.Add(time.Hour)
	_, err := m.Get(ctx, "s", "NONE")
	wantErr(t, "read nothing", err, secretstore.ErrNotFound)
	if e := m.Entries()[0]; !e.Accessed.IsZero() {
		t.Errorf("nothing was read: %+v", e)
	}
	_, err = m.GetVersion(ctx, "s", first)
	wantErr(t, "read", err, nil)
	if e := m.Entries()[0]; !e.Changed.Equal(changed) || !e.Accessed.Equal(at) {
		t.Errorf("read at %s: %+v", at, e)
	}
}

func TestSecretWithoutAVersion(t *testing.T) {
	t.Parallel()
	m, id := new(secretstore.Memory), uuid.NewString()
	for _, name := range []string{"", "with space", "改", string(make([]byte, 513))} {
		wantErr(t, "create", m.Create(t.Context(), name, id, nil), secretstore.ErrInvalid)
	}
	wantErr(t, "create", m.Create(t.Context(), "a/b_c+d=e.f@g-h", id, nil), nil)
	_, err := m.Get(t.Context(), "a/b_c+d=e.f@g-h", secretstore.Current)
	wantErr(t, "get", err, secretstore.ErrNotFound)
	// The first version is current, whatever was asked for, and has that too.
	wantErr(t, "put", m.Put(t.Context(), "a/b_c+d=e.f@g-h", id, []byte("x"), "NEXT"), nil)
	v, err := m.Get(t.Context(), "a/b_c+d=e.f@g-h", secretstore.Current)
	if err != nil || !slices.Equal(v.Stages, []string{secretstore.Current, "NEXT"}) {
		t.Errorf("first version has %v, %v", v.Stages, err)
	}
	if entries := m.Entries(); len(entries) != 1 || time.Since(entries[0].Created) > time.Minute {
		t.Errorf("entries = %+v", entries)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx, id := t.Context(), uuid.NewString()
	rotate := func(id, function string) (bool, error) { return s.Rotate(ctx, "s", id, function) }

	_, err := rotate(id, "")
	wantCode(t, err, "InvalidRequestException", secretstore.ErrInvalid) // no function yet
	_, err = rotate("short", "f")
	wantCode(t, err, "InvalidParameterException", secretstore.ErrInvalid)
	_, err = rotate(s.first, "f")
	wantCode(t, err, "ResourceExistsException", secretstore.ErrExists)
	if e := s.Entries()[0]; e.Rotation.Enabled || len(e.Versions) != 1 {
		t.Errorf("entry after refusals = %+v", e)
	}

	started, err := rotate(id, "f")
	if err != nil || !started {
		t.Fatalf("Rotate = %t, %v", started, err)
	}
	s.wantStage(t, secretstore.Pending, "") // a placeholder
	_, err = s.GetVersion(ctx, "s", id)
	wantErr(t, "get the placeholder", err, secretstore.ErrNotFound)
	d, err := s.Describe(ctx, "s")
	wantErr(t, "describe", err, nil)
	if v, ok := d.Holder(secretstore.Pending); !ok || v.ID != id || !d.Rotating {
		t.Errorf("Describe = %+v, want %s pending and rotating", d, id)
	}
	started, err = rotate(id, "")
	if err != nil || started {
		t.Errorf("Rotate again = %t, %v, want it ignored", started, err)
	}
	_, err = rotate(uuid.NewString(), "")
	wantCode(t, err, "InvalidRequestException", secretstore.ErrInvalid) // the other one runs

	wantErr(t, "fill", s.Put(ctx, "s", id, []byte("new"), secretstore.Pending), nil)
	s.wantStage(t, secretstore.Pending, id)
	wantErr(t, "fill with another", s.Put(ctx, "s", id, []byte("other"), secretstore.Pending), secretstore.ErrExists)
	wantErr(t, "finish", s.Promote(ctx, "s", secretstore.Current, id, s.first), nil)
	s.wantStage(t, secretstore.Pending, id) // left where it is, it blocks nothing
	another := uuid.NewString()
	if started, err := rotate(another, ""); err != nil || !started {
		t.Errorf("Rotate anew = %t, %v", started, err)
	}
	wantErr(t, "cancel", s.Cancel(ctx, "s"), nil)
	if e := s.Entries()[0]; e.Rotation != (secretstore.Rotation{Function: "f"}) {
		t.Errorf("rotation after Cancel = %+v", e.Rotation)
	}
	_, err = rotate(uuid.NewString(), "")
	wantErr(t, "rotate over what Cancel left", err, secretstore.ErrInvalid)
	wantErr(t, "clear it", s.Promote(ctx, "s", secretstore.Pending, "", another), nil)
	started, err = rotate(uuid.NewString(), "g")
	if e := s.Entries()[0]; err != nil || !started || e.Rotation != (secretstore.Rotation{Enabled: true, Function: "g"}) {
		t.Errorf("Rotate = %t, %v, rotation %+v", started, err, e.Rotation)
	}
}

func TestRotationKeepsTheQuota(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.MaxVersions = 2
	s.put(t, "x", "NEXT")
	_, err := s.Rotate(t.Context(), "s", uuid.NewString(), "f")
	wantCode(t, err, "LimitExceededException", secretstore.ErrLimit)
}

func TestCancelledCallsOfTheTwin(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	id := uuid.NewString()
	_, rotated := s.Rotate(ctx, "s", id, "f")
	_, read := s.GetVersion(ctx, "s", s.first)
	_, described := s.Describe(ctx, "s")
	for name, err := range map[string]error{
		"create": s.Create(ctx, "other", id, []byte("x")), "promote": s.Promote(ctx, "s", "NEXT", s.first, ""),
		"delete": s.Delete(ctx, "s", 0), "restore": s.Restore(ctx, "s"), "cancel": s.Cancel(ctx, "s"),
		"rotate": rotated, "get version": read, "describe": described,
	} {
		wantErr(t, name, err, context.Canceled)
	}
	if entries := s.Entries(); len(entries) != 1 || entries[0].Rotation.Enabled {
		t.Errorf("entries = %+v", entries)
	}
}
