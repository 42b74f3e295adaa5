package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// columnsOf is how many columns a terminal has; 0 where out is none, or does not say.
func columnsOf(out io.Writer) int {
	if f, terminal := file(out); terminal {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			return columns
		}
	}
	return 0
}

// columns is how many a text takes: East Asian characters are two wide.
func columns(text string) (n int) {
	for _, r := range text {
		n += wide(r)
	}
	return n
}

func wide(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// cut shortens a text to a number of columns.
func cut(text string, most int) string {
	taken := 0
	for i, r := range text {
		if taken += wide(r); taken > most {
			return text[:i]
		}
	}
	return text
}

// A liveLine is a line on a terminal that is written over. One that were longer than the
// terminal is wide would stay on it, so it is cut.
type liveLine struct{ terminal *os.File }

// lineOn is a line on the terminal that an output goes to, which nothing else writes over.
func lineOn(out io.Writer, terminal *os.File) *liveLine {
	if w, ok := out.(*visibleWriter); ok {
		w.wait.hush()
	}
	return &liveLine{terminal}
}

func (l *liveLine) show(text string) {
	if most := columnsOf(l.terminal); most > 0 {
		text = cut(text, most-1) // the last column makes some terminals go to the next line
	}
	_, _ = fmt.Fprintf(l.terminal, "\r\x1b[K%s", text)
}

// clear takes the line away; nil has none.
func (l *liveLine) clear() {
	if l != nil {
		_, _ = io.WriteString(l.terminal, "\r\x1b[K")
	}
}
