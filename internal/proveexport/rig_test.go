package proveexport

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers/sandbox"
)

// What all proofs share, under shorter names.
var (
	sized, seed, random = prove.Size, prove.Seed, prove.Random

	figure = prove.Figure
)

// A rig is a stack on sockets, whose providers have tokens.
type rig struct {
	testing.TB

	stack *localstack.Stack
	vars  map[string]string // of the export
	store objectstore.Store
}

const anyRate = 1e5 // requests per second

func newRig(t testing.TB, o sandbox.Options) *rig {
	t.Helper()
	s, err := localstack.Start(t.Context(), localstack.Options{Sandbox: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.AWS.Close() })
	r := &rig{TB: t, stack: s, vars: maps.Clone(s.Vars(localstack.Export))}
	for name, sandbox := range s.Sandboxes {
		secret := secretstore.Name(localstack.Prefix, name, secretstore.TokenPart)
		if err := s.AWS.Secrets.Create(t.Context(), secret, uuid.NewString(), sandbox.Token(s.URLs[name]).Document()); err != nil {
			t.Fatal(err)
		}
	}
	r.reach()
	return r
}

// reach opens the store that the export writes to.
func (r *rig) reach() {
	r.Helper()
	base, err := clibase.Open(lambdafn.Environ{Vars: r.vars, Out: io.Discard})
	if err != nil {
		r.Fatal(err)
	}
	r.store = base.Objects
}

// function composes the export again, as a cold start does.
func (r *rig) function() *exportfn.Function {
	r.Helper()
	f, err := exportfn.New(r.Context(), lambdafn.Environ{Vars: r.vars, Out: io.Discard})
	if err != nil {
		r.Fatal(err)
	}
	return f
}

func (r *rig) invoke(ctx context.Context, event string) (export.Answer, error) {
	r.Helper()
	var a export.Answer
	raw, err := r.function().Invoke(ctx, []byte(event))
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	return a, err
}

func (r *rig) must(event string) export.Answer {
	r.Helper()
	a, err := r.invoke(r.Context(), event)
	if err != nil {
		r.Fatal(err)
	}
	return a
}

// event asks for a run of a dataset n minutes after midnight.
func event(dataset string, n int) string {
	return fmt.Sprintf(`{"action":"extract","dataset":%q,"scheduled_time":%q}`, dataset, at(n).Format(time.RFC3339))
}

func at(n int) time.Time {
	return time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Minute)
}

// verified returns a manifest all of whose figures are proved.
func (r *rig) verified(key string) export.Manifest {
	r.Helper()
	v, err := export.Verify(r.Context(), r.store, key)
	if err != nil || len(v.Faults) > 0 {
		r.Fatal(key, err, v.Faults)
	}
	return v.Manifest
}

func (r *rig) object(key string) []byte {
	r.Helper()
	_, body, err := r.store.Get(r.Context(), key)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(body)
	if err != nil {
		r.Fatal(err)
	}
	return raw
}

// rows returns the lines of a run.
func (r *rig) rows(m export.Manifest) []string {
	r.Helper()
	var all []string
	for _, p := range m.Parts {
		plain := r.object(p.Key)
		if strings.HasSuffix(p.Key, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(plain))
			if err != nil {
				r.Fatal(err)
			}
			if plain, err = io.ReadAll(z); err != nil {
				r.Fatal(err)
			}
		}
		all = append(all, strings.Split(strings.TrimSuffix(string(plain), "\n"), "\n")...)
	}
	return all
}

// expire lets the lease of a dead holder end, as if its time had passed.
func (r *rig) expire(dataset string, run export.Run) {
	r.Helper()
	r.rewriteLease(dataset, run, func(held map[string]json.RawMessage) { held["until"] = json.RawMessage(`"2026-01-01T00:00:00Z"`) })
}

func (r *rig) rewriteLease(dataset string, run export.Run, change func(held map[string]json.RawMessage)) {
	r.Helper()
	document, err := objectstore.ReadDocument(r.Context(), r.store, leaseKey(dataset, run))
	if err != nil || !document.Exists() {
		return // it died before it took one
	}
	var held map[string]json.RawMessage
	if err := document.Decode(&held); err != nil {
		r.Fatal(err)
	}
	change(held)
	if _, err := document.Replace(r.Context(), r.store, held); err != nil {
		r.Fatal(err)
	}
}

func leaseKey(dataset string, run export.Run) string {
	return localstack.Prefix + "/state/export/" + dataset + "/run=" + run.ID + ".json"
}

func runOf(t testing.TB, dataset string, trigger export.Trigger) export.Run {
	t.Helper()
	d, err := export.FindDataset(dataset)
	if err != nil {
		t.Fatal(err)
	}
	trigger.Dataset = d
	run, err := export.NewRun(trigger, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return run
}
