package main

import (
	"strings"
	"unicode"
)

// wrapped puts a text into lines of at most so many columns. A line ends at a blank, or
// beside a character that is two wide, since Japanese and Chinese have no blanks; never
// before a character that closes or after one that opens. A word that is longer has a line
// of its own.
func wrapped(text string, most int) (lines []string) {
	line, taken := "", 0
	for _, piece := range pieces(text) {
		needs := columns(strings.TrimRight(piece, " "))
		if line != "" && taken+needs > most {
			lines = append(lines, strings.TrimRight(line, " "))
			line, taken = "", 0
		}
		line += piece
		taken += columns(piece)
	}
	return append(lines, strings.TrimRight(line, " "))
}

// closing may not begin a line, and opening may not end one.
const (
	closing = "、。，．・：；？！）」』】〕〉》ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ,.;:!?)]}%’”"
	opening = "（「『【〔〈《([{‘“"
)

// pieces are the parts of a text between which a line may end, each with the blanks after
// it.
func pieces(text string) (all []string) {
	letters := []rune(text)
	begin := 0
	for i := 1; i < len(letters); i++ {
		before, after := letters[i-1], letters[i]
		may := before == ' ' && after != ' '
		if !may && before != ' ' && after != ' ' {
			may = (wide(before) == 2 || wide(after) == 2) && !strings.ContainsRune(closing, after) && !strings.ContainsRune(opening, before) && !unicode.Is(unicode.Mn, after)
		}
		if may {
			all = append(all, string(letters[begin:i]))
			begin = i
		}
	}
	return append(all, string(letters[begin:]))
}

// filled puts a text of several paragraphs into lines of at most so many columns. A line
// that begins with blanks is one of a list, and stays one.
func filled(text string, most int) string {
	var out []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if len(out) > 0 {
			out = append(out, "")
		}
		for _, item := range itemsOf(paragraph) {
			body := strings.TrimLeft(item, " ")
			indent := strings.Repeat(" ", len(item)-len(body))
			hang := ""
			if indent != "" {
				hang = "  " // of the lines after the first of an item
			}
			for i, line := range wrapped(body, most-len(indent)-len(hang)) {
				if i == 1 {
					indent += hang
				}
				out = append(out, indent+line)
			}
		}
	}
	return strings.Join(out, "\n")
}

// itemsOf are the parts of a paragraph that begin a line: the paragraph itself, and each
// line of it that begins with blanks, with the lines that go on with it.
func itemsOf(paragraph string) (items []string) {
	for line := range strings.SplitSeq(paragraph, "\n") {
		body := strings.TrimLeft(line, " ")
		indent := len(line) - len(body)
		last := len(items) - 1
		goesOn := last >= 0 && (indent == 0 && !strings.HasPrefix(items[last], " ") || indent > 4)
		if goesOn {
			items[last] += " " + body
			continue
		}
		items = append(items, line)
	}
	return items
}

// hanging puts a line into lines of at most so many columns, of which those after the first
// stand four to the right of its beginning; 0 columns: as it is.
func hanging(line string, most int) string {
	if most == 0 || columns(line) <= most {
		return line + "\n"
	}
	body := strings.TrimLeft(line, " ")
	indent := strings.Repeat(" ", len(line)-len(body))
	parts := broken(body, most-len(indent)-4)
	return indent + strings.Join(parts, "\n"+indent+"    ") + "\n"
}
