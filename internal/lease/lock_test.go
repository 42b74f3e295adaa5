package lease_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/dirstore"
)

// childDirectory names a directory: the test binary is then a process that
// takes the lease there, says so, and does what it is told on standard input.
const childDirectory = "HIKYAKU_LEASE_CHILD"

func TestMain(m *testing.M) {
	if root := os.Getenv(childDirectory); root != "" {
		if err := holdAndListen(root); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0) // what it has not released, it leaves
	}
	os.Exit(m.Run())
}

const longTTL = 3 * time.Minute

func holdAndListen(root string) error {
	l, err := lease.Acquire(context.Background(), dirstore.New(root), key, "child", longTTL, time.Now)
	if err != nil {
		return err
	}
	if err := l.Keep(context.Background(), longTTL, json.RawMessage(`"begun"`)); err != nil {
		return err
	}
	fmt.Println("held")
	told, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	if told == "release\n" {
		return l.Release(context.Background(), json.RawMessage(`"ended"`))
	}
	return nil
}

// A holder is another process that has the lease.
type holder struct {
	*exec.Cmd

	in io.WriteCloser
}

func startHolder(t *testing.T, root string) *holder {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{Cmd: exec.CommandContext(t.Context(), self)}
	h.Env = append(os.Environ(), childDirectory+"="+root)
	out, err := h.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if h.in, err = h.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Process.Kill(); _ = h.Wait() })
	if said, _ := bufio.NewReader(out).ReadString('\n'); said != "held\n" {
		t.Fatalf("the other process says %q", said)
	}
	return h
}

func open(t *testing.T) (root string, store *dirstore.Store) {
	t.Helper()
	root = t.TempDir()
	return root, dirstore.New(root)
}

// A killed process, one that ended without a release, and one that released
// are all seen at once where the store locks.
func TestProcesses_TheNextGoesOnWhenTheFirstEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end     func(*holder) error
		journal string
	}{
		"killed":   {func(h *holder) error { return h.Process.Kill() }, `"begun"`},
		"left":     {func(h *holder) error { return h.in.Close() }, `"begun"`},
		"released": {func(h *holder) error { _, err := io.WriteString(h.in, "release\n"); return err }, `"ended"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, store := open(t)
			h := startHolder(t, root)
			_, err := lease.Acquire(t.Context(), store, key, "me", longTTL, time.Now)
			var held *lease.HeldError
			if !errors.As(err, &held) || held.Owner != "child" || time.Until(held.Until) > time.Second {
				t.Fatalf("Acquire = %v, want it held, and another try within a second", err)
			}
			if err := c.end(h); err != nil {
				t.Fatal(err)
			}
			_ = h.Wait()
			l, err := lease.Acquire(t.Context(), store, key, "me", longTTL, time.Now)
			if err != nil {
				t.Fatalf("Acquire = %v, want the lease at the first try", err)
			}
			wantJournal(t, l, c.journal)
			if err := l.Release(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// lockless is a store without its locks.
type lockless struct{ objectstore.Store }

// TestProcesses_WithoutTheLock shows that the test above can fail.
func TestProcesses_WithoutTheLock(t *testing.T) {
	t.Parallel()
	root, store := open(t)
	h := startHolder(t, root)
	if err := h.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.Wait()
	_, err := lease.Acquire(t.Context(), lockless{store}, key, "me", longTTL, time.Now)
	var held *lease.HeldError
	if !errors.As(err, &held) || time.Until(held.Until) < longTTL/2 {
		t.Errorf("Acquire = %v, want the lease of a killed process held to its end", err)
	}
}

// A process that tries again when a HeldError says has the lease soon after its holder
// has released it, long before its end. A busy machine may take its time.
func TestProcesses_WaitForALivingHolder(t *testing.T) {
	t.Parallel()
	root, store := open(t)
	h := startHolder(t, root)
	began := time.Now()
	for tries := 0; ; tries++ {
		l, err := lease.Acquire(t.Context(), store, key, "me", longTTL, time.Now)
		var held *lease.HeldError
		switch {
		case err == nil:
			if waited := time.Since(began); tries < 2 || waited > longTTL/3 {
				t.Errorf("the lease after %d tries and %s", tries, waited)
			}
			wantJournal(t, l, `"ended"`)
			return
		case !errors.As(err, &held) || time.Until(held.Until) > time.Second:
			t.Fatalf("Acquire = %v, want another try within a second", err)
		}
		time.Sleep(10 * time.Millisecond) // it may try at once: the lock tells that the holder lives
		if tries == 1 {
			if _, err := io.WriteString(h.in, "release\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// locked is a memory with locks that a test takes and gives back.
type locked struct {
	objectstore.Memory

	taken bool
	fails error
}

func (l *locked) TryLock(context.Context, string) (func() error, error) {
	if l.fails != nil {
		return nil, l.fails
	}
	if l.taken {
		return nil, objectstore.ErrLocked
	}
	l.taken = true
	return func() error { l.taken = false; return nil }, nil
}

func TestLock_IsGivenBackWithTheLease(t *testing.T) {
	t.Parallel()
	store, at := new(locked), start
	now := func() time.Time { return at }
	acquire := func(owner string) (*lease.Lease, error) {
		return lease.Acquire(t.Context(), store, key, owner, time.Minute, now)
	}
	a, err := acquire("a")
	if err != nil || !store.taken {
		t.Fatalf("Acquire = %v, locked %t", err, store.taken)
	}
	if err := a.Keep(t.Context(), time.Minute, nil); err != nil || !store.taken {
		t.Errorf("Keep = %v, locked %t", err, store.taken)
	}
	if err := a.Release(t.Context(), nil); err != nil || store.taken {
		t.Errorf("Release = %v, locked %t", err, store.taken)
	}
	b, err := acquire("b")
	if err != nil {
		t.Fatal(err)
	}
	at = at.Add(time.Minute)
	c, err := acquire("c") // b hangs: past its end the lock keeps nobody out
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Keep(t.Context(), time.Minute, nil); !errors.Is(err, lease.ErrLost) || store.taken {
		t.Errorf("Keep of a lost lease = %v, locked %t", err, store.taken)
	}
	// c came without the lock, so that a free lock says nothing about it.
	var held *lease.HeldError
	if _, err := acquire("d"); !errors.As(err, &held) || held.Owner != "c" || !held.Until.Equal(c.Until) || store.taken {
		t.Errorf("Acquire = %v, locked %t, want it held by c until its end", err, store.taken)
	}
}

func TestLock_OfALostSwapIsGivenBack(t *testing.T) {
	t.Parallel()
	store := new(locked)
	now := func() time.Time { return start }
	early, err := lease.Read(t.Context(), store, key)
	if err != nil {
		t.Fatal(err)
	}
	first, err := lease.Acquire(t.Context(), store, key, "a", time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	store.taken = false // a's process ends
	var held *lease.HeldError
	if _, err := early.Acquire(t.Context(), "b", time.Minute, now); !errors.As(err, &held) || held.Owner != "a" || !held.Until.Equal(start.Add(time.Second)) || store.taken {
		t.Errorf("Acquire = %v, locked %t, want another try in a second", err, store.taken)
	}
	if b, err := lease.Acquire(t.Context(), store, key, "b", time.Minute, now); err != nil || b.Owner != "b" {
		t.Errorf("Acquire = %v, though a is gone", err)
	}
	if err := first.Keep(t.Context(), time.Minute, nil); !errors.Is(err, lease.ErrLost) {
		t.Errorf("Keep of a = %v, want ErrLost", err)
	}
}

// A lease of a version that took no lock, and a system without locks, leave
// the lease as the only truth; a lock that fails otherwise is an error.
func TestLock_IsNotTheOnlyTruth(t *testing.T) {
	t.Parallel()
	const before = `{"nonce":"n","counter":1,"data":{"owner":"before","until":"2026-11-22T09:01:00Z"}}`
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		fails error
		want  error
	}{"an older version": {nil, nil}, "no locks": {errors.ErrUnsupported, nil}, "broken": {broken, broken}} {
		store := &locked{fails: c.fails}
		if _, err := store.Put(t.Context(), objectstore.Object{Key: key, Body: strings.NewReader(before), Size: int64(len(before))}); err != nil {
			t.Fatal(err)
		}
		at := start
		acquire := func() error {
			_, err := lease.Acquire(t.Context(), store, key, "a", time.Minute, func() time.Time { return at })
			return err
		}
		var held *lease.HeldError
		if err := acquire(); c.want != nil && !errors.Is(err, c.want) || c.want == nil && (!errors.As(err, &held) || !held.Until.Equal(start.Add(time.Minute))) || store.taken {
			t.Errorf("%s: Acquire = %v, locked %t", name, err, store.taken)
		}
		at = at.Add(time.Minute)
		if err := acquire(); !errors.Is(err, c.want) {
			t.Errorf("%s: Acquire after the end = %v", name, err)
		}
	}
}
