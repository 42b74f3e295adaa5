package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

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

// writeTable writes rows in columns, or on a terminal that is too narrow for the widest of
// them a row as a block of lines.
func writeTable(out io.Writer, heading []string, rows [][]string) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heading}, rows...) {
		_, _ = fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	_ = table.Flush() // to memory
	if most := columnsOf(out); most > 0 {
		for line := range strings.Lines(text.String()) {
			if columns(strings.TrimRight(line, " \n")) > most {
				return writeBlocks(out, heading, rows)
			}
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// writeBlocks writes each row as its first cell, and below it what else there is of it.
func writeBlocks(out io.Writer, heading []string, rows [][]string) error {
	for i, row := range rows {
		gap := "\n"
		if i == 0 {
			gap = ""
		}
		if _, err := fmt.Fprintf(out, "%s%s\n", gap, row[0]); err != nil {
			return err
		}
		for n, cell := range row[1:] {
			if cell == "-" || cell == "" {
				continue
			}
			if _, err := fmt.Fprintf(out, "  %s: %s\n", strings.ToLower(heading[n+1]), cell); err != nil {
				return err
			}
		}
	}
	return nil
}
