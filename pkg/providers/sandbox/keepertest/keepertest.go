// Package keepertest has what tests need that keep state: a [sandbox.Keeper] in memory,
// and the rules of every Keeper as a suite.
//
//	keeper := new(keepertest.Memory)
//	first := yapplitest.New(yapplitest.Options{Keeper: keeper})
//	...
//	again := yapplitest.New(yapplitest.Options{Keeper: keeper}) // as after a restart
package keepertest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"hikyaku/pkg/providers/sandbox"
)

// A Memory keeps state as long as the test holds it. The zero Memory is ready, and safe
// for concurrent use.
type Memory struct {
	// Fault, if not nil, is asked before each commit, which fails with what it returns
	// and keeps nothing. It must be safe for concurrent use.
	Fault func(changes []sandbox.Change) error

	mu       sync.Mutex
	sections map[string]map[string][]byte
}

var _ sandbox.Keeper = (*Memory)(nil)

// Commit keeps all the changes.
func (m *Memory) Commit(changes ...sandbox.Change) error {
	if m.Fault != nil {
		if err := m.Fault(changes); err != nil {
			return err
		}
	}
	for _, c := range changes {
		if c.Section == "" || c.Key == "" {
			return errors.New("a change needs a section and a key")
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		if c.Value == nil {
			delete(m.sections[c.Section], c.Key)
			continue
		}
		if m.sections == nil {
			m.sections = map[string]map[string][]byte{}
		}
		if m.sections[c.Section] == nil {
			m.sections[c.Section] = map[string][]byte{}
		}
		m.sections[c.Section][c.Key] = append([]byte{}, c.Value...)
	}
	return nil
}

// Load calls f with everything that a section holds, in the order of the keys.
func (m *Memory) Load(section string, f func(key string, value []byte) error) error {
	m.mu.Lock()
	kept := maps.Clone(m.sections[section])
	m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(kept)) {
		if err := f(key, slices.Clone(kept[key])); err != nil {
			return err
		}
	}
	return nil
}

// Run checks that a Keeper is one. open opens an empty one; reopen closes it and opens
// it again, as a restart does.
func Run(t *testing.T, open func(*testing.T) (k sandbox.Keeper, reopen func() sandbox.Keeper)) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, sandbox.Keeper, func() sandbox.Keeper){
		"keeps and deletes": keepsAndDeletes, "in order": inOrder, "all or none": allOrNone, "may commit while it loads": commitsInLoad, "at a time": atATime,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, reopen := open(t)
			check(t, k, reopen)
		})
	}
}

// Contents renders a section as "key=value" in the order of the keys.
func Contents(t testing.TB, k sandbox.Keeper, section string) string {
	t.Helper()
	var pairs []string
	if err := k.Load(section, func(key string, value []byte) error {
		pairs = append(pairs, key+"="+string(value))
		return nil
	}); err != nil {
		t.Fatalf("load %s: %v", section, err)
	}
	return strings.Join(pairs, " ")
}

func commit(t *testing.T, k sandbox.Keeper, changes ...sandbox.Change) {
	t.Helper()
	if err := k.Commit(changes...); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func put(section, key, value string) sandbox.Change {
	return sandbox.Change{Section: section, Key: key, Value: []byte(value)}
}

func expect(t *testing.T, k sandbox.Keeper, section, want string) {
	t.Helper()
	if got := Contents(t, k, section); got != want {
		t.Errorf("%s holds %q, want %q", section, got, want)
	}
}

func keepsAndDeletes(t *testing.T, k sandbox.Keeper, reopen func() sandbox.Keeper) {
	expect(t, k, "none", "")
	commit(t, k)
	value := []byte("one")
	commit(t, k, sandbox.Change{Section: "a", Key: "1", Value: value}, put("a", "2", "two"), put("b", "1", ""), sandbox.Change{Section: "none", Key: "x"})
	copy(value, "###")
	expect(t, k, "a", "1=one 2=two")
	k = reopen()
	expect(t, k, "a", "1=one 2=two")
	expect(t, k, "b", "1=")
	commit(t, k, put("a", "2", "2"), sandbox.Change{Section: "a", Key: "1"}, put("a", "3", "x"), sandbox.Change{Section: "a", Key: "3"})
	k = reopen()
	expect(t, k, "a", "2=2")
}

func inOrder(t *testing.T, k sandbox.Keeper, reopen func() sandbox.Keeper) {
	const records = 3000
	changes := make([]sandbox.Change, 0, records)
	want := make([]string, 0, records)
	for i := range records {
		key := fmt.Sprintf("%05d", i)
		want = append(want, key)
		changes = append(changes, sandbox.Change{Section: "s", Key: key, Value: bytes.Repeat([]byte{'x'}, 1000)})
	}
	slices.Reverse(changes)
	commit(t, k, changes...)
	var got []string
	fail := errors.New("enough")
	k = reopen()
	if err := k.Load("s", func(key string, _ []byte) error { got = append(got, key); return nil }); err != nil || !slices.Equal(got, want) {
		t.Errorf("%d keys in another order than they have (%v)", len(got), err)
	}
	calls := 0
	if err := k.Load("s", func(string, []byte) error { calls++; return fail }); calls != 1 || !errors.Is(err, fail) {
		t.Errorf("%d calls after an error: %v", calls, err)
	}
}

func allOrNone(t *testing.T, k sandbox.Keeper, reopen func() sandbox.Keeper) {
	commit(t, k, put("s", "1", "before"))
	if err := k.Commit(put("s", "1", "after"), put("s", "", "no key")); err == nil {
		t.Error("a change without a key was kept")
	}
	if err := k.Commit(put("s", "2", "after"), put("", "1", "no section")); err == nil {
		t.Error("a change without a section was kept")
	}
	expect(t, k, "s", "1=before")
	expect(t, reopen(), "s", "1=before")
}

func commitsInLoad(t *testing.T, k sandbox.Keeper, _ func() sandbox.Keeper) {
	commit(t, k, put("s", "1", "x"), put("s", "2", "x"))
	if err := k.Load("s", func(key string, _ []byte) error { return k.Commit(put("copy", key, "y")) }); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "copy", "1=y 2=y")
}

func atATime(t *testing.T, k sandbox.Keeper, reopen func() sandbox.Keeper) {
	const workers, each = 8, 50
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%d-%d", w, i)
				bad := put("s", "", "")
				if err := k.Commit(put("s", key, "kept"), put("s", "last-"+fmt.Sprint(w), key)); err != nil {
					t.Errorf("commit %s: %v", key, err)
				}
				if err := k.Commit(put("bad", key, "torn"), bad); err == nil {
					t.Errorf("commit %s: a change without a key was kept", key)
				}
			}
		})
	}
	all.Wait()
	k = reopen()
	expect(t, k, "bad", "")
	if got := strings.Count(Contents(t, k, "s"), "=kept"); got != workers*each {
		t.Errorf("%d of %d commits are there", got, workers*each)
	}
	for w := range workers {
		if want := fmt.Sprintf("last-%d=%d-%d", w, w, each-1); !strings.Contains(Contents(t, k, "s"), want) {
			t.Errorf("%s is not there: an older commit came later", want)
		}
	}
}
