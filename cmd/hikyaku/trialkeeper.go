package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/outcome"
)

// How long what was read is tried on again. It holds people's data no longer.
const (
	subjectsLife = 10 * time.Second
	snapshotLife = time.Minute
)

// A trialKeeper caches what 'mapping try' has read of its users while somebody types a
// mapping in the console: the providers are not asked again at each key. The command prints
// the same with it and without.
type trialKeeper struct {
	mu       sync.Mutex
	subjects map[string]keptSubjects
	snapshot *admin.Snapshot
	function *relayfn.Function // by which the snapshot was taken
	taken    time.Time
}

type keptSubjects struct {
	at       time.Time
	identity string
	list     []keptSubject
}

type keptSubject struct {
	admin.Subject

	// other is that the relay has something to do beside the fields that are mapped.
	other bool
}

type trialKeeperKey struct{}

// runner is inProcess with what the keeper has.
func (k *trialKeeper) runner(ctx context.Context, stdin []byte, args ...string) (json.RawMessage, error) {
	if len(args) > 1 && args[0] == "mapping" && !slices.Contains([]string{"try", "show", "log", "schema", "check"}, args[1]) {
		defer k.forget() // another mapping counts
	}
	return inProcess(context.WithValue(ctx, trialKeeperKey{}, k), stdin, args...)
}

func (k *trialKeeper) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.subjects, k.snapshot, k.function = nil, nil, nil
}

// keptFor is a trial by what the context's keeper has; ok is false where it has not enough.
func (t *mappingTrial) keptFor(c *cobra.Command, source []byte) (trial admin.Trial, ok bool, err error) {
	k, _ := c.Context().Value(trialKeeperKey{}).(*trialKeeper)
	switch {
	case k == nil || t.count == (len(t.users) > 0) || len(t.users) > 0 && !t.compare:
		return trial, false, nil
	case t.count:
		return k.count(c, t, source)
	}
	k.mu.Lock()
	kept := k.subjects[t.key()]
	k.mu.Unlock()
	if time.Since(kept.at) > subjectsLife {
		return trial, false, nil
	}
	trial, ok = kept.try(source)
	return trial, ok, nil
}

// key names the people of a trial.
func (t *mappingTrial) key() string { return fmt.Sprint(t.users) }

// keep remembers the people of a trial, as they were read for it.
func (t *mappingTrial) keep(c *cobra.Command, identity string, subjects []admin.Subject, trial admin.Trial) {
	k, _ := c.Context().Value(trialKeeperKey{}).(*trialKeeper)
	if k == nil || !t.compare {
		return
	}
	kept := keptSubjects{at: time.Now(), identity: identity}
	for i, s := range subjects {
		kept.list = append(kept.list, keptSubject{s, s.Outcome == outcome.WouldUpdate && !anyChanges(trial.Users[i].Fields)})
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.subjects == nil || len(k.subjects) > 20 {
		k.subjects = map[string]keptSubjects{}
	}
	k.subjects[t.key()] = kept
}

// try tries a mapping on people who were read for another one. It says no where only
// reading them again tells what the relay would do.
func (k keptSubjects) try(source []byte) (admin.Trial, bool) {
	subjects := make([]admin.Subject, len(k.list))
	for i, s := range k.list {
		subjects[i] = s.Subject
		switch s.Outcome {
		case outcome.Unchanged, outcome.WouldUpdate:
			subjects[i].Outcome = outcome.WouldUpdate
		case outcome.WouldCreate:
		default:
			return admin.Trial{}, false
		}
	}
	trial, draft := admin.Try(k.identity, source, subjects)
	if draft.UsesForm() && !slices.ContainsFunc(subjects, func(s admin.Subject) bool { return s.User.Fields()["form"] != nil }) {
		return trial, false // forms are read for a mapping that uses them
	}
	for i, s := range k.list {
		if u := &trial.Users[i]; u.Outcome == outcome.WouldUpdate && !s.other && !anyChanges(u.Fields) {
			u.Outcome, u.Says = outcome.Unchanged, outcome.Unchanged.Sentence()
		}
	}
	return trial, true
}

func anyChanges(fields []admin.FieldSide) bool {
	return slices.ContainsFunc(fields, func(f admin.FieldSide) bool { return f.Changes })
}

// count counts by a snapshot of all users.
func (k *trialKeeper) count(c *cobra.Command, t *mappingTrial, source []byte) (trial admin.Trial, ok bool, err error) {
	snapshot, function, err := k.users(c, t, false)
	if err != nil || !snapshot.Whole {
		return trial, false, nil //nolint:nilerr // counting without the snapshot says what is wrong
	}
	trial, draft := admin.Try(function.Identity(), source, nil)
	if len(trial.Faults) > 0 {
		return trial, true, nil
	}
	old, err := t.counts(c, function)
	if err != nil {
		return trial, false, err
	}
	if admin.NeedsForm(draft, old) && !snapshot.Form {
		if snapshot, _, err = k.users(c, t, true); err != nil {
			return trial, false, err
		}
	}
	count, err := snapshot.Count(c.Context(), draft, old)
	trial.Count = &count
	return trial, true, err
}

// users is the snapshot, taken again once it is old.
func (k *trialKeeper) users(c *cobra.Command, t *mappingTrial, form bool) (*admin.Snapshot, *relayfn.Function, error) {
	k.mu.Lock()
	snapshot, function, taken := k.snapshot, k.function, k.taken
	k.mu.Unlock()
	if snapshot != nil && time.Since(taken) < snapshotLife && (snapshot.Form || !form) {
		return snapshot, function, nil
	}
	t.stack.queueless = true
	function, err := t.stack.open(c, relayfn.Reconcile, localstack.Reconcile)
	if err != nil {
		return nil, nil, err
	}
	opened, err := function.Tenant(c.Context())
	if err != nil {
		return nil, nil, err
	}
	if snapshot, err = admin.TakeSnapshot(c.Context(), opened, form, nil); err != nil {
		return nil, nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.snapshot, k.function, k.taken = snapshot, function, time.Now()
	return snapshot, function, nil
}

// counts is the mapping that counts; nil: none was published, or it cannot be compared with.
func (t *mappingTrial) counts(c *cobra.Command, function *relayfn.Function) (*mapping.Mapping, error) {
	store := function.Published()
	log, err := store.Log(c.Context())
	if err != nil {
		return nil, err
	}
	current, ok := log.Current()
	if !ok {
		return nil, nil //nolint:nilnil // there is none
	}
	p := publication{relayFlags: t.stack}
	return p.current(c, function, store, current)
}
