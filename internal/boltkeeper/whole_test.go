package boltkeeper_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hikyaku/internal/boltkeeper"
	"hikyaku/pkg/providers/sandbox"
)

// openFile makes a process of this test's program open a file and read it.
const openFile = "BOLTKEEPER_TEST_OPEN"

// openOnce opens a file, reads it and writes to it, and says how that went.
func openOnce(path string) {
	k, err := boltkeeper.Open(path)
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	for section := range 3 {
		if err := k.Load(fmt.Sprint("s", section), func(string, []byte) error { return nil }); err != nil {
			fmt.Println("refused:", err)
			return
		}
	}
	if err := k.Commit(sandbox.Change{Section: "s0", Key: "again", Value: []byte("x")}); err != nil {
		fmt.Println("refused:", err)
		return
	}
	fmt.Println("opened", k.Close())
}

// A file that was cut off or overwritten is refused in a sentence: the process does not end
// with a trace of its stack.
func TestDamageIsSaid(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.bolt")
	k, err := boltkeeper.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		var changes []sandbox.Change
		for section := range 3 {
			changes = append(changes, sandbox.Change{Section: fmt.Sprint("s", section), Key: fmt.Sprint(n), Value: bytes.Repeat([]byte{byte(n)}, 50*(n%100))})
		}
		if err := k.Commit(changes...); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i := range 24 {
		bad := bytes.Clone(good)
		at := random.IntN(len(bad))
		switch i % 4 {
		case 0:
			bad = bad[:at]
		case 1:
			clear(bad[at:min(len(bad), at+8192)])
		case 2:
			for j := at; j < min(len(bad), at+4096); j++ {
				bad[j] = byte(random.Uint32())
			}
		case 3: // the heads of pages, where what leads on stands
			for page := 8192; page < len(bad); page += 4096 {
				bad[page+random.IntN(64)] ^= byte(1 + random.IntN(255))
			}
		}
		file := filepath.Join(t.TempDir(), "state.bolt")
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), os.Args[0])
		command.Env = append(os.Environ(), openFile+"="+file)
		out, err := command.CombinedOutput()
		switch {
		case err != nil:
			t.Errorf("damage %d at %d ends the process: %v: %.300s", i, at, err, out)
		case strings.HasPrefix(string(out), "refused:"):
			refused++
			if !strings.Contains(string(out), "move it away to begin anew") {
				t.Errorf("damage %d at %d does not say what to do: %s", i, at, out)
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was found")
	}
}
