package console

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// copied are commands as a person types them into a shell. What one reads stands below it,
// unless a terminal would obey some of it.
func (s *Server) copied(stdin []byte, commands [][]string) string {
	lines := make([]string, len(commands))
	for i, args := range commands {
		lines[i] = s.shown(args...)
	}
	text := strings.Join(lines, " && ")
	switch {
	case stdin == nil:
		return text
	case strings.ContainsFunc(strings.NewReplacer("\n", "", "\t", "").Replace(string(stdin)), unseen):
		return "printf %s " + quoted(string(stdin)) + " | " + text
	}
	end := "END"
	for strings.Contains("\n"+string(stdin)+"\n", "\n"+end+"\n") {
		end += "D"
	}
	return text + " <<'" + end + "'\n" + strings.TrimSuffix(string(stdin), "\n") + "\n" + end
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// shown is a command as a person types it into a shell.
func (s *Server) shown(args ...string) string {
	args = s.options.Of(args)
	words := make([]string, 0, len(args)+1)
	words = append(words, "hikyaku")
	for _, a := range args {
		if !plainWord.MatchString(a) {
			a = quoted(a)
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// unseen is true for what a terminal obeys or hides: pasted, a carriage return ends a line, and
// an escape may end the paste.
func unseen(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// quoted is a word of a shell's. What a terminal would obey stands as an escape.
func quoted(word string) string {
	if !strings.ContainsFunc(word, unseen) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for _, r := range word {
		switch {
		case r == '\'' || r == '\\':
			b.WriteString(`\` + string(r))
		case unseen(r) && r < 0x80:
			fmt.Fprintf(&b, `\%03o`, r)
		case unseen(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case unseen(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + "'"
}
