package main

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/prove"
)

// A person who waits is told so, on a terminal alone, and nothing of it is left.
func TestEveryCommand_TellsThatItWorks(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	env := append(os.Environ(), "LANG=ja_JP.UTF-8", "LC_ALL=", "AWS_REGION=ap-northeast-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "AWS_ENDPOINT_URL=http://"+silent.Addr().String())
	for _, dumb := range []bool{false, true} {
		person, tty, err := everyTerminal(60)
		if err != nil {
			t.Skip(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		command := program(ctx, "doctor", "--stack", "x")
		command.Env, command.Stderr = env, tty
		if dumb {
			command.Env = slices.Concat(env, []string{"TERM=dumb"})
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		_ = tty.Close()
		screen := make(chan string)
		go func() {
			raw, _ := io.ReadAll(person)
			screen <- string(raw)
		}()
		time.Sleep(2500 * time.Millisecond)
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
		text := <-screen
		if told := strings.Contains(text, "\r\x1b[K処理中: 1s"); told == dumb {
			t.Errorf("dumb %v: that it works is told: %v: %q", dumb, told, text)
		}
		if !dumb && !strings.HasSuffix(text, "\r\x1b[Khikyaku: 中止しました\r\n") || dumb && strings.Contains(text, "\x1b") {
			t.Errorf("dumb %v: the screen ends as %q", dumb, text)
		}
		cancel()
		_ = person.Close()
	}
}

// Colors are for terminals that have them, and for people who want them.
func TestPainter_ColorsATerminalAlone(t *testing.T) {
	person, tty, err := everyTerminal(60)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = person.Close(); _ = tty.Close() })
	for _, c := range []struct {
		out             io.Writer
		noColor, screen string
		want            string
	}{
		{tty, "", "xterm", "\x1b[31mexpired\x1b[0m"}, {tty, "1", "xterm", "expired"}, {tty, "", "dumb", "expired"}, {&strings.Builder{}, "", "xterm", "expired"},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.screen)
		if got := painterOf(&visibleWriter{to: c.out}).state("expired"); got != c.want {
			t.Errorf("NO_COLOR=%s TERM=%s: %q, want %q", c.noColor, c.screen, got, c.want)
		}
	}
	var shown strings.Builder
	w := &visibleWriter{to: &shown}
	if _, err := w.paint("\x1b[31mred\x1b[0m \x1b[2J"); err != nil || shown.String() != "\x1b[31mred\x1b[0m \\u001b[2J" {
		t.Errorf("%q, %v: other sequences than colors have to be visible", shown.String(), err)
	}
}
