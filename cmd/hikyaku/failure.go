package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"hikyaku/internal/locale"
)

// The kinds of failures, as --json names them.
const (
	kindUsage   = "usage"   // the command was called wrongly
	kindFailed  = "failed"  // it could not do what it was asked for
	kindDoubt   = "doubt"   // an export is in doubt
	kindStopped = "stopped" // a person ended it
	kindFound   = "found"   // it found what it looks for to be wrong
)

// A failure is what --json prints of a command that did not succeed.
type failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"` // in English
	Exit    int    `json:"exit"`    // the exit code
}

// failureOf is the failure that an error means; nil: none. started says whether the command
// had begun: before that cobra checks names, flags and arguments.
func failureOf(err error, started bool) *failure {
	if err == nil || hasEnough(err) {
		return nil
	}
	f := &failure{Kind: kindFailed, Message: visibleLines(err.Error()), Exit: 1}
	var usage *usageError
	var doubt *doubtError
	var found *foundError
	var stopped stoppedError
	switch {
	case !started || errors.As(err, &usage):
		f.Kind, f.Exit = kindUsage, 2
	case errors.As(err, &found):
		f.Kind, f.Exit = kindFound, found.code()
	case errors.As(err, &doubt):
		f.Kind, f.Exit = kindDoubt, 3
	case errors.As(err, &stopped):
		f.Kind = kindStopped
	}
	return f
}

// asksJSON reports whether --json is among the arguments, also where they cannot be parsed.
func asksJSON(args []string) bool {
	asks := false
	for _, a := range args {
		switch a {
		case "--":
			return asks
		case "--json", "--json=true", "--json=1", "--json=t":
			asks = true
		case "--json=false", "--json=0", "--json=f":
			asks = false
		}
	}
	return asks
}

// hold keeps an answer until the command has ended.
func (w *visibleWriter) hold(answer any) error {
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = raw
	return nil
}

// finish prints the answer that is held, and the failure in the same object: of a command
// with --json there is one. Where a command has printed more than that already, as a server
// has that is up, the failure would be a second one, and is left out.
func (w *visibleWriter) finish(f *failure) error {
	w.mu.Lock()
	answer, used := w.held, w.used
	w.mu.Unlock()
	if f != nil && !used {
		raw, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if answer = bytes.TrimSpace(answer); len(answer) > 2 && answer[0] == '{' {
			answer = append(answer[:len(answer)-1:len(answer)-1], ',')
		} else {
			answer = []byte("{")
		}
		answer = append(append(append(answer, `"error":`...), raw...), '}')
	}
	if answer == nil {
		return nil
	}
	_, err := w.Write(append(answer, '\n'))
	return err
}

// inWordsOf is an error for a person. Where nothing of it is known in the person's language,
// a sentence of that language introduces it.
func inWordsOf(l locale.Language, err error) string {
	text := l.Error(err)
	if l == locale.Japanese && !strings.ContainsFunc(text, isJapanese) {
		return l.Sprintf("the command failed: %s", text)
	}
	return text
}

func isJapanese(r rune) bool { return r >= 0x3040 && r <= 0x30ff }
