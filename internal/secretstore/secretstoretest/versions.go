package secretstoretest

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
)

func putUnderLabel(t *testing.T, f *fixture) {
	first := f.created(t)
	a := f.put(t, "プロフィール a", next)
	f.stands(t, map[string]string{secretstore.Current: first, next: a, secretstore.Previous: ""})
	f.holds(t, a, "プロフィール a")
	b := f.put(t, "b", next)
	f.stands(t, map[string]string{secretstore.Current: first, next: b})
	// a has no stage now: deprecated, but there for at least a day.
	f.holds(t, a, "プロフィール a")
}

func putAgain(t *testing.T, f *fixture) {
	first := f.created(t)
	a := f.put(t, "a", next)
	b := f.put(t, "b", next)
	want(t, "put a again", f.Put(t.Context(), f.name, a, []byte("a"), next), nil)
	f.stands(t, map[string]string{secretstore.Current: first, next: b}) // it was ignored: no stage moved
	want(t, "put a with another value", f.Put(t.Context(), f.name, a, []byte("other"), next), secretstore.ErrExists)
	f.stands(t, map[string]string{secretstore.Current: first, next: b})
	f.holds(t, a, "a")
}

func putUnderCurrent(t *testing.T, f *fixture) {
	first := f.created(t)
	want(t, "label the first", f.Promote(t.Context(), f.name, next, first, ""), nil)
	a := f.put(t, "a", secretstore.Current)
	wantNext := first
	if f.departures.PutCurrentStripsStages {
		wantNext = ""
	}
	f.stands(t, map[string]string{secretstore.Current: a, secretstore.Previous: first, next: wantNext})
	b := f.put(t, "b", secretstore.Current)
	f.stands(t, map[string]string{secretstore.Current: b, secretstore.Previous: a, next: wantNext})
	f.holds(t, first, "first")
}

func putUnderTwoStages(t *testing.T, f *fixture) {
	first := f.created(t)
	a := f.put(t, "a", secretstore.Pending, next)
	f.stands(t, map[string]string{secretstore.Current: first, secretstore.Pending: a, next: a})
	b := f.put(t, "b", next)
	f.stands(t, map[string]string{secretstore.Current: first, secretstore.Pending: a, next: b})
}

func putWithoutStage(t *testing.T, f *fixture) {
	first := f.created(t)
	want(t, "put", f.Put(t.Context(), f.name, uuid.NewString(), []byte("x")), secretstore.ErrInvalid)
	f.stands(t, map[string]string{secretstore.Current: first})
}

func pendingIsImmutable(t *testing.T, f *fixture) {
	f.created(t)
	a := f.put(t, "a", secretstore.Pending)
	err := f.Put(t.Context(), f.name, a, []byte("other"), secretstore.Pending)
	if f.departures.PendingIsMutable {
		want(t, "put", err, nil)
		f.holds(t, a, "other")
		return
	}
	want(t, "put", err, secretstore.ErrExists)
	f.holds(t, a, "a")
}

func valueLimits(t *testing.T, f *fixture) {
	first := f.created(t)
	largest := f.put(t, strings.Repeat("x", 65536), next)
	f.stands(t, map[string]string{secretstore.Current: first, next: largest})
	kind := secretstore.ErrInvalid
	if f.departures.NoValueLimit {
		kind = nil
	}
	want(t, "put 65537 bytes", f.Put(t.Context(), f.name, uuid.NewString(), make([]byte, 65537), secretstore.Pending), kind)
	want(t, "put nothing", f.Put(t.Context(), f.name, uuid.NewString(), []byte{}, secretstore.Pending), secretstore.ErrInvalid)
}

// quotaOfVersions fills a secret with versions that are all younger than a
// day.
func quotaOfVersions(t *testing.T, f *fixture) {
	first := f.created(t)
	var last string
	for range 99 {
		last = f.put(t, "x", next)
	}
	err := f.Put(t.Context(), f.name, uuid.NewString(), []byte("one too many"), secretstore.Current)
	if f.departures.NoQuota {
		want(t, "put version 101", err, nil)
		return
	}
	want(t, "put version 101", err, secretstore.ErrLimit)
	f.stands(t, map[string]string{secretstore.Current: first, next: last})
	want(t, "put version 100 again", f.Put(t.Context(), f.name, last, []byte("x"), next), nil)
}
