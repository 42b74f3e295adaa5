package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"

	"hikyaku/internal/locale"
)

// visible shows what a provider wrote so that a terminal neither obeys nor hides
// any of it: control characters, those that turn the direction of writing, those
// without a width, and bytes that are no text stand as escapes. It leaves one
// line.
func visible(s string) string { return shown(s, "") }

// shown is visible, but for the characters to keep. The escapes are those of
// JSON, so that what was JSON before is the same JSON afterwards.
func shown(s, keep string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case !hidden(r) || strings.ContainsRune(keep, r) && r != utf8.RuneError:
			b.WriteRune(r)
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// visibleLines is visible for a text of several lines of our own.
func visibleLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = visible(line)
	}
	return strings.Join(lines, "\n")
}

// A visibleWriter is where every command prints: visible for lines and tables,
// so that no command can forget it. A newline or tab within what a provider
// wrote is for the command to show, by visible. It is safe for concurrent use.
type visibleWriter struct {
	to       io.Writer
	language locale.Language // of the person who reads it

	mu   sync.Mutex
	cut  []byte          // the beginning of a character that ends in the next write
	held json.RawMessage // the answer of a command with --json, until the command has ended
	used bool            // something was written

	wait   *waiting // has a line on the terminal to be taken away; nil: nobody has
	answer bool     // it is standard output
}

// Write implements io.Writer.
func (w *visibleWriter) Write(p []byte) (int, error) {
	w.wait.clear(p, w.answer)
	w.mu.Lock()
	defer w.mu.Unlock()
	text := slices.Concat(w.cut, p)
	whole := len(text)
	for n := 1; n <= min(utf8.UTFMax, len(text)); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole -= n
			}
			break
		}
	}
	w.cut = text[whole:]
	w.used = true
	if _, err := io.WriteString(w.to, shown(string(text[:whole]), "\n\t")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// paint writes a text as Write does, but for the colors of a painter.
func (w *visibleWriter) paint(text string) (int, error) {
	w.wait.clear([]byte(text), w.answer)
	for rest := text; rest != ""; {
		at := painted.FindStringIndex(rest)
		if at == nil {
			at = []int{len(rest), len(rest)}
		}
		if _, err := w.Write([]byte(rest[:at[0]])); err != nil {
			return 0, err
		}
		if _, err := io.WriteString(w.to, rest[at[0]:at[1]]); err != nil {
			return 0, err
		}
		rest = rest[at[1]:]
	}
	return len(text), nil
}

// painted are the sequences that a painter writes.
var painted = regexp.MustCompile(`\x1b\[(31|32|33|0)m`)

// languageOf is the language of who reads an output; English where it is not known.
func languageOf(out io.Writer) locale.Language {
	if w, ok := out.(*visibleWriter); ok && w.language != "" {
		return w.language
	}
	return locale.English
}

// file returns the file behind a command's output, for progress that is written
// over, and for data that is read by a program.
func file(out io.Writer) (f *os.File, terminal bool) {
	switch out := out.(type) {
	case *visibleWriter:
		f, _ = out.to.(*os.File)
	case *os.File:
		f = out
	}
	return f, f != nil && term.IsTerminal(int(f.Fd()))
}

// hidden reports a character that a terminal obeys or does not show. The
// replacement character is among them because it stands for a broken byte too.
func hidden(r rune) bool {
	switch r {
	case utf8.RuneError, '\u115f', '\u1160', '\u17b4', '\u17b5', '\u3164', '\uffa0': // the others are letters without a width
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Variation_Selector)
}
