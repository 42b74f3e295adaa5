package main

import (
	"io"
	"os"
	"slices"
)

// A painter colors words on a terminal. The zero one leaves them as they are.
type painter struct{ colors bool }

// painterOf is a painter for an output: it colors on a terminal alone, and never where the
// person has said that no program should (NO_COLOR), or the terminal cannot (TERM=dumb).
func painterOf(out io.Writer) painter {
	_, terminal := file(out)
	return painter{terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// The colors by what they mean. Each is readable on light and on dark ground, and what it
// means stands in the words, too.
const (
	red    = "31"
	yellow = "33"
	green  = "32"
)

// colorOf is the color of a state, as tables and findings name it; "" of other words.
func colorOf(word string) string {
	switch {
	case slices.Contains([]string{
		"expired", "needs_human", "unreadable", "failed", "refused", "in_doubt", "Critical", "High", "in doubt", "missing", "dead letter",
	}, word):
		return red
	case slices.Contains([]string{
		"unknown_expiry", "unclear", "cooling", "unconfigured", "Warning", "unfinished", "not recorded", "differing", "gone", "unresolved", "awaiting_approval",
	}, word):
		return yellow
	case slices.Contains([]string{"valid", "works", "refreshed", "complete", "accepted", "written", "equal"}, word):
		return green
	}
	return ""
}

// state colors a word that says how something is.
func (p painter) state(word string) string { return p.in(colorOf(word), word) }

// in colors a text.
func (p painter) in(color, text string) string {
	if !p.colors || color == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// writePainted writes a text with the painter's colors, which a visibleWriter would show
// as escapes: what others wrote in it is to be made visible before.
func writePainted(out io.Writer, text string) (int, error) {
	if w, ok := out.(*visibleWriter); ok {
		return w.paint(text)
	}
	return io.WriteString(out, text)
}
