package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"hikyaku/pkg/providers"
)

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

// childrenOf are the ids of a process's children, where the system tells them.
func childrenOf(t testing.TB, parent int) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		raw, _ := os.ReadFile(path) // it may be gone
		if _, rest, ok := strings.Cut(string(raw), ") "); ok {
			var state string
			var of int
			if _, err := fmt.Sscan(rest, &state, &of); err == nil && of == parent {
				pids = append(pids, filepath.Base(filepath.Dir(path)))
			}
		}
	}
	return pids
}

func TestDevStack_GoesOn(t *testing.T) {
	t.Parallel()
	home := newDevHome(t)
	d := home.start(t, "--records", "3")
	users := d.settled(t)
	status, _, err := d.ask(http.MethodPut, providers.SuperSaaS, fmt.Sprintf("/api/users/%d.json?webhook=true", users[0]), map[string]any{"user": map[string]string{"full_name": "山田 はなこ"}})
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	eventually(t, "the edited user arrives in the app", func() bool { return d.members(t)[users[0]] == "山田 はなこ" })

	open := filepath.Join(home.state, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777), os.WriteFile(filepath.Join(open, "file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command, says string
		code          int
	}{
		{"tokens --dev --json", `"provider":"yappli"`, 0},
		{"dev env", "export HIKYAKU_STACK='hikyaku-local'", 0},
		{"tokens --dev --stack other", "--dev and --stack: give one of the two", 2},
		{"dev --no-open", "another process keeps its state in this directory", 1},
		{"dev --addr 192.0.2.1:80", "expected an address of this machine", 2},
		{"dev --records -1", "expected 0 or more", 2},
		{"dev --no-open --dir " + open, "every user of this machine may write to", 1},
		{"dev --no-open --dir " + filepath.Join(open, "file"), "name another one with --dir", 1},
		{"dev --speed 0.5", "expected 1 to 1000", 2},
		{"dev --real nobody", "no such provider", 2},
		{"dev --real yappli", "set HIKYAKU_REAL_YAPPLI", 2},
		{"dev --real yappli --speed 2", "cannot be made to run faster", 2},
		{"dev --write", "--write is for --real", 2},
		{"function tokenrefresh", "'hikyaku dev' starts its functions itself", 2},
	} {
		if out, code := home.run(t, strings.Fields(c.command)...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s exits with %d: %s", c.command, code, out)
		}
	}
	if code := d.end(t, os.Interrupt); code != 0 {
		t.Errorf("Ctrl-C ends it with %d: %s", code, d.notes.String())
	}
	if out, code := home.run(t, "tokens", "--dev"); code != 1 || !strings.Contains(out, "no development stack runs on this machine") {
		t.Errorf("after it, tokens exits with %d: %s", code, out)
	}

	again := home.start(t)
	if again.Webhook != d.Webhook || again.service("aws").URL != d.service("aws").URL || !strings.HasPrefix(again.Link, d.Console+"/") {
		t.Errorf("it listens elsewhere: %+v, and was at %+v", again, d.devStack)
	}
	if name := again.users(t)[users[0]]; name != "山田 はなこ" {
		t.Errorf("the edited user is %q", name)
	}
	if runtime.GOOS == "linux" {
		eventually(t, "functions run", func() bool { return len(childrenOf(t, again.command.Process.Pid)) >= 2 })
		children := childrenOf(t, again.command.Process.Pid)
		again.end(t, syscall.SIGKILL)
		eventually(t, "the functions of a killed stack end", func() bool {
			for _, pid := range children {
				if _, err := os.Stat("/proc/" + pid); err == nil {
					return false
				}
			}
			return true
		})
	}
}

// A mapping file that changes counts at once, and one with a fault says so and leaves the
// last one.
func TestDevStack_TakesAChangedMapping(t *testing.T) {
	t.Parallel()
	home := newDevHome(t)
	file := filepath.Join(home.state, "mapping.yaml")
	write := func(column string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("login_id: email\n"+column+": full_name\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("column01")
	d := home.start(t, "--records", "2", "--mapping", file)
	users := d.settled(t)
	written := func(field string) func() bool {
		return func() bool { return d.column(t, field)[users[0]] == d.users(t)[users[0]] }
	}
	write("column09")
	eventually(t, "the member has what the new mapping says: "+d.notes.String(), written("column09"))
	write("no_such_field")
	eventually(t, "the fault is said", func() bool { return strings.Contains(d.notes.String(), "no_such_field") })
	write("column11")
	eventually(t, "the next one counts: "+d.notes.String(), written("column11"))
}

// Commands tell a fast stack's time, and start what its state machines do.
func TestDevStack_IsToldByItsOwnTime(t *testing.T) {
	t.Parallel()
	home := newDevHome(t)
	d := home.start(t, "--records", "2")
	d.settled(t)
	d.end(t, os.Interrupt)
	clockAt(t, filepath.Join(home.dir(), "clock"), 90*24*time.Hour)
	d = home.start(t)
	if out, code := home.run(t, "trigger", "export", "yappli/users", "--dev"); code != 0 {
		t.Fatal(out)
	}
	month := time.Now().Add(90 * 24 * time.Hour).UTC().Format("2006-01")
	eventually(t, "the export of three months later is done: "+d.notes.String(), func() bool {
		out, code := home.run(t, "runs", "yappli/users", "--dev", "--json")
		return code == 0 && strings.Contains(out, month) && strings.Contains(out, "complete")
	})
	if out, code := home.run(t, "pause", "export", "--for", "1h", "--reason", "a test", "--yes", "--dev"); code != 0 || !strings.Contains(out, "until "+month) {
		t.Error(code, out)
	}
}

// clockAt lets a stack's clock be ahead.
func clockAt(t *testing.T, path string, by time.Duration) {
	t.Helper()
	if err := os.WriteFile(path, binary.LittleEndian.AppendUint64(nil, uint64(by)), 0o600); err != nil {
		t.Fatal(err)
	}
}
