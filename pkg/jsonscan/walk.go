package jsonscan

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions of this file walk JSON that is known to be valid. They look at
// structure only: nothing is decoded but a member's name or a single string
// that a caller asks for. On bytes that are not valid they stay inside the
// slice and answer something, never panic.

// skipString returns the index after the string that begins at b[i].
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

// SkipSpace returns the index of the first byte at or after b[i] that is no
// white space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// SkipValue returns the index after the value that begins at b[i].
func SkipValue(b []byte, i int) int {
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

// skipScalar returns the index after the number or literal at b[i], which is
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

// deeperThan reports whether arrays and objects of b lie in each other more
// than depth times.
func deeperThan(b []byte, depth int) bool {
	open := 0
	for i := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			if open++; open > depth {
				return true
			}
		case '}', ']':
			open--
		}
		i++
	}
	return false
}

// compactInto moves the value b[start:end] to b[w:], w <= start, without its
// insignificant white space, and returns the index after it. Bytes that need
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
			i = SkipSpace(b[:end], i+1)
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
		i = SkipSpace(b, i+j)
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

// A Member is one name and value of an object, as indexes into the bytes that
// were walked.
type Member struct {
	Name       []byte // as it stands between the quotes; see NameIs and Unquote
	Begin      int    // of the name's quote
	Value, End int
}

// Members yields the members of the object that begins at b[i]. It stops early
// if yield says so.
func Members(b []byte, i int, yield func(Member) bool) {
	i = SkipSpace(b, i+1)
	for i < len(b) && b[i] == '"' {
		m := Member{Begin: i}
		end := skipString(b, i)
		m.Name = b[i+1 : max(i+1, end-1)]
		i = SkipSpace(b, end)
		m.Value = SkipSpace(b, min(i+1, len(b)))
		m.End = SkipValue(b, m.Value)
		if !yield(m) {
			return
		}
		i = SkipSpace(b, m.End)
		if i < len(b) && b[i] == ',' {
			i = SkipSpace(b, i+1)
		}
	}
}

// Elements yields where the elements of the array that begins at b[i] start
// and end. It stops early if yield says so.
func Elements(b []byte, i int, yield func(start, end int) bool) {
	i = SkipSpace(b, i+1)
	for i < len(b) && b[i] != ']' {
		end := SkipValue(b, i)
		if !yield(i, end) {
			return
		}
		i = SkipSpace(b, end)
		if i < len(b) && b[i] == ',' {
			i = SkipSpace(b, i+1)
		}
	}
}

// CountObjects counts the objects in the first array of an answer, which need not
// be valid: how many records it seems to have.
func CountObjects(body []byte) (n int) {
	depth, inside := 0, 0 // the depth of what is inside the array
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = skipString(body, i) - 1
		case '{', '[':
			if inside > 0 && depth == inside && body[i] == '{' {
				n++
			}
			if depth++; inside == 0 && body[i] == '[' {
				inside = depth
			}
		case '}', ']':
			if depth--; inside > 0 && depth < inside {
				return n
			}
		}
	}
	return n
}

// NameIs compares a member's name with a plain one, undoing escapes if there
// are any.
func NameIs(raw []byte, name string) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == name
	}
	text, ok := Unquote(raw)
	return ok && string(text) == name
}

// Unquote undoes the escapes of what stands between the quotes of a string; it
// is false if one is not valid. Without any the same bytes are returned. Half of
// a surrogate pair becomes U+FFFD.
func Unquote(inside []byte) ([]byte, bool) {
	i := bytes.IndexByte(inside, '\\')
	if i < 0 {
		return inside, true
	}
	out := append(make([]byte, 0, len(inside)), inside[:i]...)
	for i < len(inside) {
		if inside[i] != '\\' {
			out = append(out, inside[i])
			i++
			continue
		}
		if i+1 == len(inside) {
			return nil, false
		}
		if inside[i+1] == 'u' {
			r, n := unquoteRune(inside[i:])
			if n == 0 {
				return nil, false
			}
			out, i = utf8.AppendRune(out, r), i+n
			continue
		}
		at := strings.IndexByte(`"\/bfnrt`, inside[i+1])
		if at < 0 {
			return nil, false
		}
		out, i = append(out, "\"\\/\b\f\n\r\t"[at]), i+2
	}
	return out, true
}

// unquoteRune reads \uXXXX, or a pair of them, and returns its length; 0 if it
// is not valid.
func unquoteRune(b []byte) (rune, int) {
	first, ok := hexRune(b)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 6
	}
	if second, ok := hexRune(b[6:]); ok {
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, 6
}

// hexRune reads one \uXXXX.
func hexRune(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// Lookup finds the first value under a path of names in a record and returns
// its bytes.
func Lookup(record []byte, path []string) ([]byte, bool) {
	i := SkipSpace(record, 0)
	for _, name := range path {
		if i >= len(record) || record[i] != '{' {
			return nil, false
		}
		found := -1
		Members(record, i, func(m Member) bool {
			if NameIs(m.Name, name) {
				found = m.Value
			}
			return found < 0
		})
		if found < 0 {
			return nil, false
		}
		i = found
	}
	if len(path) == 0 || i >= len(record) {
		return nil, false
	}
	return record[i:SkipValue(record, i)], true
}

// Text returns a string's content or a number's digits; nothing for any other
// value, and for an empty string.
func Text(value []byte) ([]byte, bool) {
	if len(value) == 0 {
		return nil, false
	}
	switch c := value[0]; {
	case c == '"' && len(value) > 1:
		s, ok := Unquote(value[1 : len(value)-1])
		return s, ok && len(s) > 0
	case c == '-' || c >= '0' && c <= '9':
		return value, true
	}
	return nil, false
}
