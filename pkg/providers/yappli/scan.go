package yappli

import (
	"bytes"
	"encoding/json"
)

// encoding/json spends five times as long on these flat objects of 60
// fields, and a reconcile reads a million. The functions below walk a text
// of valid UTF-8 that json.Valid has accepted, so they have no syntax to check.

// entries calls f with each element of an array, or with each name (quotes
// included) and value of an object, until f says stop.
func entries(raw []byte, f func(name, value []byte) bool) {
	object := raw[0] == '{'
	for i := skipSpace(raw, 1); raw[i] != '}' && raw[i] != ']'; {
		var name []byte
		if object {
			end := skipValue(raw, i)
			name = raw[i:end]
			i = skipSpace(raw, skipSpace(raw, end)+1) // over the colon
		}
		end := skipValue(raw, i)
		if !f(name, raw[i:end]) {
			return
		}
		i = skipSpace(raw, end)
		if raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
}

func skipSpace(raw []byte, i int) int {
	for raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r' {
		i++
	}
	return i
}

// skipValue returns where the value that starts at i ends.
func skipValue(raw []byte, i int) int {
	switch raw[i] {
	case '"':
		return skipText(raw, i)
	case '{', '[':
		depth := 0
		for ; ; i++ {
			switch raw[i] {
			case '"':
				i = skipText(raw, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(raw) && bytes.IndexByte([]byte(",]} \n\t\r"), raw[i]) < 0 {
		i++
	}
	return i
}

func skipText(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// unquote returns the text of a JSON string as encoding/json would.
func unquote(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // it is a valid string
	return s
}
