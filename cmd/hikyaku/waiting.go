package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"hikyaku/internal/locale"
)

const (
	// waitBefore is how long a command may be silent before a person is told that it works.
	waitBefore = time.Second
	waitEvery  = time.Second
)

// A waiting tells a person on a terminal that a command still works, by a line that is
// written over and gone before anything else is printed. It is safe for concurrent use.
type waiting struct {
	terminal io.Writer // nil: there is none, and nothing is told
	language locale.Language

	mu    sync.Mutex
	shown bool // the line stands there
	quiet bool // a question stands there
	done  bool // the answer is there, or the command shows its own progress
	began time.Time
	stop  chan struct{}
}

// waitOn begins to tell on a command's notes, if they go to a terminal. Commands that wait
// for a person, or go on until they are interrupted, have their own words.
func waitOn(out, notes *visibleWriter, args []string) *waiting {
	w := &waiting{language: notes.language, began: time.Now(), stop: make(chan struct{})}
	if f, terminal := file(notes); terminal && os.Getenv("TERM") != "dumb" && !slices.ContainsFunc(args, func(a string) bool { return a == "--follow" || a == "--watch" || a == "authorize" }) {
		w.terminal = f
	}
	notes.wait, out.wait = w, w
	if w.terminal != nil {
		go w.run()
	}
	return w
}

func (w *waiting) run() {
	timer := time.NewTimer(waitBefore)
	defer timer.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-timer.C:
			w.tell()
			timer.Reset(waitEvery)
		}
	}
}

func (w *waiting) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.quiet || w.done {
		return
	}
	w.shown = true
	_, _ = fmt.Fprintf(w.terminal, "\r\x1b[K%s", w.language.Sprintf("working for %s", spell(time.Since(w.began))))
}

// clear takes the line away before something is printed. A text that ends no line, such as
// a question, and an answer on standard output, keep it away.
func (w *waiting) clear(text []byte, answer bool) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shown {
		_, _ = io.WriteString(w.terminal, "\r\x1b[K")
		w.shown = false
	}
	if len(text) > 0 {
		w.done = w.done || answer
		w.quiet = text[len(text)-1] != '\n'
	}
}

// hush keeps the line away for good: a command shows its own progress.
func (w *waiting) hush() {
	if w == nil {
		return
	}
	w.clear([]byte{0}, true)
}

// end stops telling.
func (w *waiting) end() {
	close(w.stop)
	w.hush()
}
