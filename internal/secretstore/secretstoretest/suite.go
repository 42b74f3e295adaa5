// Package secretstoretest is the conformance suite of secretstore.Store. The
// fake, the local AWS and the real service pass it without Departures:
//
//	secretstoretest.Run(t, func(*testing.T) secretstore.Store {
//		return new(secretstore.Memory)
//	}, secretstoretest.Departures{})
//
// It writes secrets of random names under hikyaku-conformance/ and leaves them
// there, since a Store cannot delete.
package secretstoretest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
)

// Departures name where an emulator differs from the documented service. For
// each that is set the suite asserts the emulator's answer instead, so that a
// repaired emulator fails the suite and the field goes.
type Departures struct {
	// DanglingPromoteLosesStage: promoting to a version that does not exist
	// is reported as a lost swap, and takes the stage away nevertheless.
	DanglingPromoteLosesStage bool
	// UnguardedPromoteCopiesStage: promoting from no version, while another
	// one has the stage, succeeds, and the stage stands on both.
	UnguardedPromoteCopiesStage bool
	// PutCurrentStripsStages: a put under AWSCURRENT takes all other stages
	// from the version that loses it too.
	PutCurrentStripsStages bool
	// PutCurrentAfterPromoteForks: a put under AWSCURRENT looks for the
	// current version where the last put, not the last promotion, left it.
	// AWSCURRENT then stands on two versions.
	PutCurrentAfterPromoteForks bool
	// PendingIsMutable: a version under AWSPENDING can be overwritten.
	PendingIsMutable bool
	// NoValueLimit: a value may exceed 65536 bytes.
	NoValueLimit bool
	// NoQuota: a secret may have any number of versions.
	NoQuota bool
}

// next is a stage of the suite's own, as the refresher uses one.
const next = "HIKYAKU_NEXT"

// Run runs the suite against the stores that open returns. Each must be
// usable by several goroutines.
func Run(t *testing.T, open func(*testing.T) secretstore.Store, departures Departures) {
	t.Helper()
	cases := map[string]func(*testing.T, *fixture){
		"absent secret":          absentSecret,
		"create":                 create,
		"id length":              idLength,
		"put under a label":      putUnderLabel,
		"put again":              putAgain,
		"put under current":      putUnderCurrent,
		"put under two stages":   putUnderTwoStages,
		"put without a stage":    putWithoutStage,
		"promote":                promote,
		"promote lost":           promoteLost,
		"promote without from":   promoteWithoutFrom,
		"promote to nothing":     promoteToNothing,
		"promote to a missing":   promoteToMissing,
		"promote back":           promoteBack,
		"promote raced":          promoteRaced,
		"edit after a promotion": editAfterPromotion,
		"pending is immutable":   pendingIsImmutable,
		"value limits":           valueLimits,
		"quota of versions":      quotaOfVersions,
		"cancelled":              cancelled,
	}
	var passed atomic.Int32
	t.Cleanup(func() {
		prove.Figure(t, int(passed.Load()) == len(cases), "secrets conformance, "+t.Name()+", cases", "all", "%d of %d", passed.Load(), len(cases))
	})
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if !t.Failed() {
					passed.Add(1)
				}
			})
			run(t, &fixture{Store: open(t), name: "hikyaku-conformance/" + uuid.NewString(), departures: departures})
		})
	}
}

// A fixture is one test's store and secret.
type fixture struct {
	secretstore.Store

	name       string
	departures Departures
}

// created makes the secret and returns its first version's id.
func (f *fixture) created(t *testing.T) string {
	t.Helper()
	id := uuid.NewString()
	want(t, "create", f.Create(t.Context(), f.name, id, []byte("first")), nil)
	return id
}

// put writes a version under stages and returns its id.
func (f *fixture) put(t *testing.T, data string, stages ...string) string {
	t.Helper()
	id := uuid.NewString()
	want(t, "put "+data, f.Put(t.Context(), f.name, id, []byte(data), stages...), nil)
	return id
}

// stands checks which version each stage is on, by Get and by Describe; ""
// is none. Every other stage must be on none.
func (f *fixture) stands(t *testing.T, stages map[string]string) {
	t.Helper()
	d, err := f.Describe(t.Context(), f.name)
	want(t, "describe", err, nil)
	for _, v := range d.Versions {
		for _, stage := range v.Stages {
			if stages[stage] != v.ID {
				t.Errorf("%s stands on %s, want %q", stage, v.ID, stages[stage])
			}
		}
	}
	for stage, id := range stages {
		holder, _ := d.Holder(stage)
		if holder.ID != id {
			t.Errorf("Describe: %s stands on %q, want %q", stage, holder.ID, id)
		}
		v, err := f.Get(t.Context(), f.name, stage)
		if id == "" {
			want(t, "get "+stage, err, secretstore.ErrNotFound)
			continue
		}
		want(t, "get "+stage, err, nil)
		if v.ID != id || !v.Has(stage) || !slices.IsSorted(v.Stages) {
			t.Errorf("Get %s = version %q with %v, want %q", stage, v.ID, v.Stages, id)
		}
	}
}

// holds checks a version's value, read by id.
func (f *fixture) holds(t *testing.T, id, data string) {
	t.Helper()
	v, err := f.GetVersion(t.Context(), f.name, id)
	want(t, "get version", err, nil)
	if v.ID != id || string(v.Data) != data {
		t.Errorf("version %s = %q of id %q, want %q", id, v.Data, v.ID, data)
	}
	if v.Created.IsZero() {
		t.Errorf("version %s has no time of creation", id)
	}
}

func want(t *testing.T, doing string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%s: error %v, want %v", doing, err, kind)
	}
}

func absentSecret(t *testing.T, f *fixture) {
	ctx, id := t.Context(), uuid.NewString()
	_, err := f.Get(ctx, f.name, secretstore.Current)
	want(t, "get", err, secretstore.ErrNotFound)
	_, err = f.GetVersion(ctx, f.name, id)
	want(t, "get version", err, secretstore.ErrNotFound)
	_, err = f.Describe(ctx, f.name)
	want(t, "describe", err, secretstore.ErrNotFound)
	want(t, "put", f.Put(ctx, f.name, id, []byte("x"), next), secretstore.ErrNotFound)
	want(t, "promote", f.Promote(ctx, f.name, next, id, ""), secretstore.ErrNotFound)
}

func create(t *testing.T, f *fixture) {
	ctx, id := t.Context(), f.created(t)
	f.stands(t, map[string]string{secretstore.Current: id, secretstore.Previous: "", next: ""})
	f.holds(t, id, "first")
	want(t, "create again", f.Create(ctx, f.name, id, []byte("first")), nil)
	want(t, "create with another value", f.Create(ctx, f.name, id, []byte("other")), secretstore.ErrExists)
	want(t, "create with another id", f.Create(ctx, f.name, uuid.NewString(), []byte("first")), secretstore.ErrExists)
	f.stands(t, map[string]string{secretstore.Current: id})
	f.holds(t, id, "first")
	_, err := f.GetVersion(ctx, f.name, uuid.NewString())
	want(t, "get another version", err, secretstore.ErrNotFound)
	d, err := f.Describe(ctx, f.name)
	want(t, "describe", err, nil)
	if len(d.Versions) != 1 || d.Rotating {
		t.Errorf("Describe = %+v, want one version and no rotation", d)
	}
}

func idLength(t *testing.T, f *fixture) {
	id := func(n int) string {
		return (uuid.NewString() + uuid.NewString())[:min(n, 64)] + strings.Repeat("x", max(0, n-64))
	}
	for _, n := range []int{31, 65} {
		want(t, "create", f.Create(t.Context(), f.name, id(n), []byte("x")), secretstore.ErrInvalid)
	}
	f.created(t)
	for n, kind := range map[int]error{31: secretstore.ErrInvalid, 32: nil, 64: nil, 65: secretstore.ErrInvalid} {
		want(t, "put", f.Put(t.Context(), f.name, id(n), []byte("x"), next), kind)
	}
}

func cancelled(t *testing.T, f *fixture) {
	id := f.created(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Get(ctx, f.name, secretstore.Current)
	want(t, "get", err, context.Canceled)
	want(t, "put", f.Put(ctx, f.name, uuid.NewString(), []byte("x"), next), context.Canceled)
	f.stands(t, map[string]string{secretstore.Current: id, next: ""})
}
