package jsonscan

import "github.com/go-json-experiment/json/jsontext"

// Valid reports whether b is one JSON value. Duplicate names and text that is
// no UTF-8 are allowed: providers send them.
func Valid(b []byte) bool {
	return jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}
