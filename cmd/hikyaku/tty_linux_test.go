package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/aws/aws-lambda-go/lambda"
	"golang.org/x/term"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
)

// pseudoTerminal returns the end that a person has, and the one that a command has.
func pseudoTerminal(t *testing.T) (person, command *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine has no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	var number, locked int32
	for _, c := range []struct {
		request uintptr
		value   *int32
	}{{syscall.TIOCGPTN, &number}, {syscall.TIOCSPTLCK, &locked}} {
		if _, _, code := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), c.request, uintptr(unsafe.Pointer(c.value))); code != 0 {
			t.Fatal(code)
		}
	}
	command, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Close() })
	return person, command
}

// A key that ends a command or its input ends the question for a secret at once, and leaves
// the terminal as it was: with its echo.
func TestSecretPrompt_LeavesTheTerminalAsItWas(t *testing.T) {
	t.Parallel()
	_, settings, err := newStack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	vars := os.Environ()
	for name, value := range settings {
		vars = append(vars, name+"="+value)
	}
	for name, c := range map[string]struct{ key, says string }{
		"Ctrl-C": {"\x03", "stopped; nothing was stored"}, `Ctrl-\`: {"\x1c", "stopped; nothing was stored"}, "Ctrl-D": {"\x04", "the input ended before there was an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			person, tty := pseudoTerminal(t)
			before, err := term.GetState(int(tty.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			connect := program(ctx, "connect", "supersaas", "--prefix", "new")
			connect.Env, connect.Stdin, connect.Stdout, connect.Stderr = vars, tty, tty, tty
			connect.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := connect.Start(); err != nil {
				t.Fatal(err)
			}
			screen := &screen{of: person}
			go screen.watch()
			for _, c := range []struct{ prompt, answer string }{{"Address", "\n"}, {"Account name", "invented\n"}, {"API key", ""}} {
				screen.await(ctx, t, c.prompt)
				_, _ = io.WriteString(person, c.answer)
			}
			for state := before; reflect.DeepEqual(state, before); { // until nothing is echoed
				if state, err = term.GetState(int(tty.Fd())); err != nil || ctx.Err() != nil {
					t.Fatalf("the secret would be echoed: %v", err)
				}
			}
			_, _ = io.WriteString(person, c.key)
			err = connect.Wait()
			after, stateErr := term.GetState(int(tty.Fd()))
			if stateErr != nil || !reflect.DeepEqual(after, before) {
				t.Errorf("the terminal is %+v, %v; it was %+v", after, stateErr, before)
			}
			screen.await(ctx, t, c.says)
			if code := connect.ProcessState.ExitCode(); code != 1 || strings.Contains(screen.text(), "goroutine") {
				t.Errorf("%v, exit code %d\n%s", err, code, screen.text())
			}
		})
	}
}

// A stack that writes is paused on a terminal only by a person who says yes; of one that
// writes nothing nobody is asked.
func TestPause_AsksOnATerminal(t *testing.T) {
	t.Parallel()
	for mode, c := range map[string]struct {
		answer string
		code   int
		off    int
	}{"write": {"no\n", 1, 0}, "observe": {"", 0, 3}} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s, _, err := newStack(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			vars := s.Vars(localstack.Relay)
			vars["HIKYAKU_RELAY"] = mode
			if err := s.AWS.Register(awslocal.Function{Name: localstack.Relay, Env: pairs(vars), Handler: lambda.NewHandler(func() {})}); err != nil {
				t.Fatal(err)
			}
			person, tty := pseudoTerminal(t)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			pause := program(ctx, "pause", "relay", "--for", "1h", "--reason", "x", "--stack", localstack.Name)
			pause.Env = append(os.Environ(), s.AWS.Environment()...)
			pause.Stdin, pause.Stdout, pause.Stderr = tty, tty, tty
			pause.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := pause.Start(); err != nil {
				t.Fatal(err)
			}
			screen := &screen{of: person}
			go screen.watch()
			if c.answer != "" {
				screen.await(ctx, t, "Type yes to go on")
				_, _ = io.WriteString(person, c.answer)
			}
			_ = pause.Wait()
			off, err := offIn(t.Context(), s)
			if code := pause.ProcessState.ExitCode(); code != c.code || len(off) != c.off || err != nil {
				t.Errorf("exit code %d, off %v, %v\n%s", code, off, err, screen.text())
			}
		})
	}
}

// A screen is what a person has seen so far.
type screen struct {
	of *os.File

	mu   sync.Mutex
	seen strings.Builder
}

func (s *screen) watch() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.of.Read(buffer)
		s.mu.Lock()
		s.seen.Write(buffer[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

func (s *screen) await(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(s.text(), text) {
		select {
		case <-ctx.Done():
			t.Fatalf("%q is not asked:\n%s", text, s.text())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// At 60 columns progress stays on its line, tables turn into blocks, and a reconcile shows
// how far it has come.
func TestNarrowTerminal(t *testing.T) {
	t.Parallel()
	s, settings, err := newStack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	vars := os.Environ()
	for _, more := range []map[string]string{s.Vars(localstack.Reconcile), settings} {
		vars = append(vars, pairs(more)...)
	}
	const most = 60
	run := func(words ...string) string {
		person, tty := pseudoTerminal(t)
		size := struct{ rows, columns, x, y uint16 }{24, most, 0, 0}
		if _, _, code := syscall.Syscall(syscall.SYS_IOCTL, tty.Fd(), syscall.TIOCSWINSZ, uintptr(unsafe.Pointer(&size))); code != 0 {
			t.Fatal(code)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		command := program(ctx, words...)
		command.Env, command.Stdout, command.Stderr = vars, tty, tty
		screen := &screen{of: person}
		go screen.watch()
		if err := command.Run(); err != nil {
			t.Errorf("%v: %v\n%s", words, err, screen.text())
		}
		_, _ = io.WriteString(tty, "END")
		screen.await(ctx, t, "END")
		return waited.ReplaceAllString(screen.text(), "")
	}
	run("tokens", "refresh", "yappli")
	refreshed := run("tokens", "refresh")
	for _, text := range []string{"\nyappli\r\n  kind: client_credentials\r\n  outcome: fresh\r\n  expires: in 23h"} {
		if !strings.Contains(refreshed, text) {
			t.Errorf("tokens refresh lacks %q:\n%s", text, refreshed)
		}
	}
	if said := run("tokens"); !strings.Contains(said, "yappli\r\n  kind: client_credentials\r\n  state: \x1b[32mvalid\x1b[0m\r\n") || strings.Contains(said, "PROVIDER") {
		t.Errorf("tokens: %s", said)
	}
	lake := t.TempDir()
	live := run("export", "yappli/users", "--sandbox", "--records", "400", "--to", lake) + run("reconcile") + run("reconcile", "--dry-run")
	shown := 0
	for part := range strings.SplitSeq(live, "\r\x1b[K") {
		line, _, _ := strings.Cut(part, "\r\n")
		if !strings.HasPrefix(line, "listing: ") && !strings.HasPrefix(line, "comparing: ") && !strings.Contains(line, " pages, ") {
			continue
		}
		if shown++; columns(line) >= most {
			t.Errorf("progress takes %d columns: %s", columns(line), line)
		}
	}
	if shown < 4 || !strings.Contains(live, "\r\x1b[Klisting: ") || !strings.Contains(live, "\r\x1b[Kcomparing: ") {
		t.Errorf("little is shown: %q", live)
	}
	if said := run("runs", "yappli/users", "--to", lake); !strings.HasPrefix(said, "complete\r\n  run: 20") || !strings.Contains(said, "\n  rows: 400\r\n") {
		t.Errorf("runs: %s", said)
	}
}

// waited is what a command that takes a while shows meanwhile.
var waited = regexp.MustCompile(`\r\x1b\[Kworking for \d+s(\r\x1b\[K)?`)

func TestCut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "abcd": "abcd", "abcde": "abcd", "飛脚便": "飛脚", "a飛脚": "a飛"} {
		if got := cut(text, 4); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
