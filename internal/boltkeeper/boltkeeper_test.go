package boltkeeper_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/boltkeeper"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

// childFile names the file of a process of this test binary that commits until it is
// killed.
const childFile = "BOLTKEEPER_TEST_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		commitForEver(path)
		os.Exit(1)
	}
	if path := os.Getenv(openFile); path != "" {
		openOnce(path)
		return
	}
	os.Exit(m.Run())
}

// width is how many records each commit of the child changes.
const width = 5

// commitForEver commits numbers from several goroutines and tells on standard output
// what was acknowledged, as "worker number".
func commitForEver(path string) {
	k, err := boltkeeper.Open(path)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for n := next(k, w); ; n++ {
				changes := make([]sandbox.Change, 0, width)
				for i := range width {
					changes = append(changes, sandbox.Change{Section: "s", Key: fmt.Sprintf("%d %d", w, i), Value: number(n)})
				}
				changes = append(changes, sandbox.Change{Section: "log", Key: fmt.Sprintf("%d %08d", w, n), Value: number(n)}, sandbox.Change{Section: "log", Key: fmt.Sprintf("%d %08d", w, n-50)})
				if err := k.Commit(changes...); err != nil {
					fmt.Println("error:", err)
					os.Exit(1)
				}
				fmt.Println(w, n)
			}
		})
	}
	all.Wait()
}

// number is long, so that a commit touches several pages.
func number(n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%08d", n), 200) }

func next(k sandbox.Keeper, worker int) int {
	n := 0
	_ = k.Load("s", func(key string, value []byte) error {
		if strings.HasPrefix(key, fmt.Sprint(worker)+" ") {
			n, _ = strconv.Atoi(string(value[:8]))
		}
		return nil
	})
	return n + 1
}

func open(t *testing.T, path string) *boltkeeper.Keeper {
	t.Helper()
	k, err := boltkeeper.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func TestConforms(t *testing.T) {
	t.Parallel()
	keepertest.Run(t, func(t *testing.T) (sandbox.Keeper, func() sandbox.Keeper) {
		path := filepath.Join(t.TempDir(), "below", "state.bolt")
		k := open(t, path)
		return k, func() sandbox.Keeper {
			if err := k.Close(); err != nil {
				t.Fatal(err)
			}
			k = open(t, path)
			return k
		}
	})
}

// TestKill kills a process that commits, and looks for what it had acknowledged.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.bolt")
	random := prove.Random(1)
	kills, lost, torn, acknowledged := prove.Size(100, 4), 0, 0, 0
	for range kills {
		last := killAfter(t, path, time.Duration(random.IntN(120))*time.Millisecond)
		k := open(t, path)
		for w, n := range last {
			acknowledged += n
			if found := next(k, w) - 1; found < n {
				lost++
				t.Logf("worker %d was told %d, and %d is there", w, n, found)
			}
		}
		if problem := tear(k); problem != "" {
			torn++
			t.Log(problem)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if acknowledged == 0 {
		t.Error("no process lived long enough to commit anything")
	}
	prove.Figure(t, lost == 0 && torn == 0, "state kept over a kill", "nothing lost, nothing torn", "%d lost, %d torn in %d kills", lost, torn, kills)
}

// TestKillAtItsBegin kills processes that begin in an empty directory: whatever they leave,
// the next one begins.
func TestKillAtItsBegin(t *testing.T) {
	t.Parallel()
	random := prove.Random(2)
	kills, stuck := prove.Size(100, 4), 0
	for range kills {
		path := filepath.Join(t.TempDir(), "state.bolt")
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childFile+"="+path)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		_ = child.Process.Kill()
		_ = child.Wait()
		k, err := boltkeeper.Open(path)
		if err != nil {
			stuck++
			t.Log(err)
			continue
		}
		if problem := tear(k); problem != "" {
			stuck++
			t.Log(problem)
		}
		_ = k.Close()
	}
	prove.Figure(t, stuck == 0, "killed while it begins", "the next one begins", "%d do not, of %d", stuck, kills)
}

// killAfter lets a process commit for a while, kills it, and returns the last number
// of each worker that it had acknowledged.
func killAfter(t *testing.T, path string, life time.Duration) map[int]int {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childFile+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	last := map[int]int{}
	var ending *time.Timer
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // an unfinished line is of a commit that was acknowledged, but not told
			break
		}
		if ending == nil { // its life begins with what it does, not with its start
			ending = time.AfterFunc(life, func() { _ = child.Process.Kill() })
		}
		var w, n int
		if _, err := fmt.Sscan(line, &w, &n); err != nil {
			t.Fatalf("the process that commits says %q", line)
		}
		last[w] = n
	}
	if ending == nil {
		t.Fatal("the process that commits said nothing")
	}
	_ = child.Wait()
	return last
}

// tear finds a commit of which only a part is there.
func tear(k sandbox.Keeper) string {
	numbers, log := map[string]map[string]bool{}, map[string]int{}
	_ = k.Load("s", func(key string, value []byte) error {
		worker := key[:1]
		if numbers[worker] == nil {
			numbers[worker] = map[string]bool{}
		}
		numbers[worker][string(value[:8])] = true
		return nil
	})
	_ = k.Load("log", func(key string, _ []byte) error { log[key[:1]]++; numbers[key[:1]]["log"] = true; return nil })
	for worker, distinct := range numbers {
		delete(distinct, "log")
		if len(distinct) != 1 {
			return fmt.Sprintf("worker %s has records of %d commits at once", worker, len(distinct))
		}
		if log[worker] > 50 {
			return fmt.Sprintf("worker %s has %d records that its commits deleted", worker, log[worker])
		}
	}
	return ""
}

func TestTearIsFound(t *testing.T) {
	t.Parallel()
	var k keepertest.Memory
	for i := range width {
		if err := k.Commit(sandbox.Change{Section: "s", Key: fmt.Sprint("1 ", i), Value: number(7 + i/4)}); err != nil {
			t.Fatal(err)
		}
	}
	if tear(&k) == "" {
		t.Error("nobody sees half a commit")
	}
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.bolt")
	first := open(t, path)
	_, err := boltkeeper.Open(path)
	if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), filepath.Dir(path)) {
		t.Fatalf("a file in use was opened, or refused without words: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_ = open(t, path)
}

// TestFirstOnes lets several begin in an empty directory: one has it, and none loses
// what it kept to another.
func TestFirstOnes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.bolt")
	var mu sync.Mutex
	var won []*boltkeeper.Keeper
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if k, err := boltkeeper.Open(path); err == nil {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, k)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d opened it at once", len(won))
	}
	if err := won[0].Commit(sandbox.Change{Section: "s", Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := won[0].Close(); err != nil {
		t.Fatal(err)
	}
	if got := keepertest.Contents(t, open(t, path), "s"); got != "k=v" {
		t.Errorf("the state is %q", got)
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
		t.Errorf("files are left behind: %v", files)
	}
}

func TestForeignFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.bolt")
	if err := os.WriteFile(path, bytes.Repeat([]byte("not a state "), 4000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := boltkeeper.Open(path); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("a foreign file was taken, or refused without words: %v", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := boltkeeper.Open(path); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("a short foreign file was taken, or refused without words: %v", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	k := open(t, filepath.Join(t.TempDir(), "state.bolt"))
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.Commit(sandbox.Change{Section: "s", Key: "k", Value: []byte("v")}); err == nil {
		t.Error("a closed keeper acknowledges")
	}
	if err := k.Load("s", func(string, []byte) error { return errors.ErrUnsupported }); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a closed keeper loads: %v", err)
	}
}

func BenchmarkCommit(b *testing.B) {
	k, err := boltkeeper.Open(filepath.Join(b.TempDir(), "state.bolt"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	value := bytes.Repeat([]byte("x"), 500)
	var mu sync.Mutex
	n := 0
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			key := fmt.Sprintf("%010d", n)
			mu.Unlock()
			if err := k.Commit(sandbox.Change{Section: "s", Key: key, Value: value}, sandbox.Change{Section: "s", Key: fmt.Sprintf("%010d", n-1000)}); err != nil {
				b.Error(err)
			}
		}
	})
}
