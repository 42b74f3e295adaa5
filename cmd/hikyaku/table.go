package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// writeTable writes rows in columns, or on a terminal that is too narrow for the widest of
// them a row as a block of lines. Headings are put into the reader's language here.
func writeTable(out io.Writer, heading []string, rows [][]string) error {
	heading, rows = inLanguageOf(out, heading), seen(rows)
	widths := make([]int, len(heading))
	for _, row := range append([][]string{heading}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	var text strings.Builder
	widest := 0
	paint := painterOf(out)
	for n, row := range append([][]string{heading}, rows...) {
		line, taken := "", 0
		for i, cell := range row {
			shown := cell
			if n > 0 {
				shown = paint.state(cell)
			}
			line += shown
			taken += columns(cell)
			if i < len(row)-1 {
				gap := widths[i] - columns(cell) + columnGap
				line += strings.Repeat(" ", gap)
				taken += gap
			}
		}
		widest = max(widest, taken)
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if most := columnsOf(out); most > 0 && widest > most {
		return writeBlocks(out, heading, rows)
	}
	_, err := writePainted(out, text.String())
	return err
}

// columnGap is what stands between two columns.
const columnGap = 2

func inLanguageOf(out io.Writer, texts []string) []string {
	l := languageOf(out)
	said := make([]string, len(texts))
	for i, text := range texts {
		said[i] = l.Text(text)
	}
	return said
}

// writeBlocks writes each row as its first cell, and below it what else there is of it, in
// lines that fit.
func writeBlocks(out io.Writer, heading []string, rows [][]string) error {
	most, paint := columnsOf(out), painterOf(out)
	for i, row := range rows {
		gap := "\n"
		if i == 0 {
			gap = ""
		}
		if _, err := fmt.Fprintf(out, "%s%s\n", gap, strings.Join(broken(row[0], most), "\n")); err != nil {
			return err
		}
		for n, cell := range row[1:] {
			if cell == "-" || cell == "" {
				continue
			}
			name := strings.ToLower(heading[n+1]) + ": "
			lines := broken(cell, max(most-2-columns(name), most/2))
			for k, line := range lines {
				if k > 0 {
					name = strings.Repeat(" ", columns(name))
				}
				if len(lines) == 1 {
					line = paint.state(line)
				}
				if _, err := writePainted(out, "  "+name+line+"\n"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// broken is a text in lines of so many columns; what has no blanks is broken anywhere.
func broken(text string, most int) (lines []string) {
	for _, line := range wrapped(text, most) {
		for columns(line) > most {
			head := cut(line, most)
			if head == "" {
				break
			}
			lines, line = append(lines, head), line[len(head):]
		}
		lines = append(lines, line)
	}
	return lines
}

// writePairs writes names beside what each is.
func writePairs(out io.Writer, rows [][2]string) error {
	widest := 0
	for _, row := range rows {
		widest = max(widest, columns(row[0]))
	}
	room := 0 // no terminal: as wide as it is
	if most := columnsOf(out); most > 0 {
		room = max(most-widest-columnGap, most/2)
	}
	for _, row := range rows {
		lines := []string{row[1]}
		if room > 0 {
			lines = broken(row[1], room)
		}
		for i, line := range lines {
			name := ""
			if i == 0 {
				name = row[0]
			}
			if _, err := fmt.Fprintf(out, "%s%s%s\n", name, strings.Repeat(" ", widest-columns(name)+columnGap), line); err != nil {
				return err
			}
		}
	}
	return nil
}

// seen are the cells of a table, some of which hold what others wrote.
func seen(rows [][]string) [][]string {
	safe := make([][]string, len(rows))
	for n, row := range rows {
		for _, cell := range row {
			safe[n] = append(safe[n], visible(cmp.Or(cell, "-")))
		}
	}
	return safe
}
