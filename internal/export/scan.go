package export

import (
	"bytes"
	"encoding/json"
)

// The functions of this file walk JSON that jsontext has already found valid.
// They look at structure only: nothing is decoded but a member's name or a
// single string that a caller asks for. On bytes that are not valid they stay
// inside the slice and answer something, never panic.

// skipString returns the index behind the string that begins at b[i].
func skipString(b []byte, i int) int {
	for i++; i < len(b); {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 {
			return len(b)
		}
		i += j + 1
		if !escapedQuote(b, i-1) {
			return i
		}
	}
	return len(b)
}

// escapedQuote reports whether an odd number of backslashes precedes b[i].
func escapedQuote(b []byte, i int) bool {
	n := 0
	for i > 0 && b[i-1] == '\\' {
		i--
		n++
	}
	return n%2 == 1
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// skipValue returns the index behind the value that begins at b[i].
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\t', '\r':
			i++
			continue
		default:
			i = skipScalar(b, i)
		}
		if depth <= 0 {
			return i
		}
	}
	return len(b)
}

// skipScalar returns the index behind the number or literal at b[i], which is
// at least one byte.
func skipScalar(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case ',', '}', ']', ':', '"', '{', '[', ' ', '\n', '\t', '\r':
			return i
		}
	}
	return i
}

// compactInto moves the value b[start:end] to b[w:], w <= start, without its
// insignificant white space, and returns the index behind it. Bytes that need
// not move are not copied, which is the usual case: APIs send compact JSON.
func compactInto(b []byte, w, start, end int) int {
	if surelyCompact(b[start:end]) {
		return move(b, w, start, end)
	}
	run := start
	for i := start; i < end; {
		switch c := b[i]; {
		case c == '"':
			i = skipString(b[:end], i)
		case c > ' ':
			i++
		default:
			w = move(b, w, run, i)
			i = skipSpace(b[:end], i+1)
			run = i
		}
	}
	return move(b, w, run, end)
}

// surelyCompact reports whether a value has no white space between its tokens,
// from the neighbors of its spaces alone: outside a string one of them is a
// bracket, comma or colon. Where that is so inside a string, too, it is not sure.
func surelyCompact(b []byte) bool {
	for _, c := range []byte("\n\r\t") { // which no string may hold
		if bytes.IndexByte(b, c) >= 0 {
			return false
		}
	}
	for i := 0; ; {
		j := bytes.IndexByte(b[i:], ' ')
		if j < 0 {
			return true
		}
		before := i + j - 1
		i = skipSpace(b, i+j)
		if before < 0 || i == len(b) {
			return false
		}
		switch b[before] {
		case '{', '[', ',', ':':
			return false
		}
		switch b[i] {
		case '}', ']', ',', ':':
			return false
		}
	}
}

func move(b []byte, w, start, end int) int {
	if w != start {
		copy(b[w:], b[start:end])
	}
	return w + end - start
}

// A member is one name and value of an object, as indexes.
type member struct {
	name       []byte // as it stands between the quotes
	begin      int    // of the name's quote
	value, end int
}

// members yields the members of the object that begins at b[i]. It stops early
// if yield says so.
func members(b []byte, i int, yield func(member) bool) {
	i = skipSpace(b, i+1)
	for i < len(b) && b[i] == '"' {
		m := member{begin: i}
		end := skipString(b, i)
		m.name = b[i+1 : max(i+1, end-1)]
		i = skipSpace(b, end)
		m.value = skipSpace(b, min(i+1, len(b)))
		m.end = skipValue(b, m.value)
		if !yield(m) {
			return
		}
		i = skipSpace(b, m.end)
		if i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
}

// nameIs compares a raw name with a plain one, undoing escapes if there are any.
func nameIs(raw []byte, name string) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == name
	}
	text, ok := unquote(raw)
	return ok && string(text) == name
}

// unquote undoes the escapes of a string's inside.
func unquote(inside []byte) ([]byte, bool) {
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside, true
	}
	quoted := append(append([]byte{'"'}, inside...), '"')
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil, false
	}
	return []byte(s), true
}

// lookup finds the first value under a path of names in the object b and
// returns its bytes.
func lookup(b []byte, path []string) ([]byte, bool) {
	i := skipSpace(b, 0)
	for _, name := range path {
		if i >= len(b) || b[i] != '{' {
			return nil, false
		}
		found := -1
		members(b, i, func(m member) bool {
			if nameIs(m.name, name) {
				found = m.value
			}
			return found < 0
		})
		if found < 0 {
			return nil, false
		}
		i = found
	}
	if len(path) == 0 || i >= len(b) {
		return nil, false
	}
	return b[i:skipValue(b, i)], true
}

// text returns a string's content or a number's digits; nothing for any other
// value, and for an empty string.
func text(value []byte) ([]byte, bool) {
	if len(value) == 0 {
		return nil, false
	}
	switch c := value[0]; {
	case c == '"':
		s, ok := unquote(value[1 : len(value)-1])
		return s, ok && len(s) > 0
	case c == '-' || c >= '0' && c <= '9':
		return value, true
	}
	return nil, false
}
