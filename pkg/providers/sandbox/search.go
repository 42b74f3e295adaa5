package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// defaultLength is how many records a page has unless its query says it.
const defaultLength = 50

// Texts remembers what records hold, so that only the first search has to read them all.
// The zero Texts is ready; it is not safe for concurrent use.
type Texts struct{ folded map[any]string }

const (
	fewest = 1000  // so many texts are remembered, however few records there are
	most   = 20000 // of more records than that nothing is remembered, because of the memory
)

// of returns the text of a record, whose key is another once it has changed.
func (t *Texts) of(key any, n int, at func() Row) string {
	if text, known := t.folded[key]; known {
		return text
	}
	if n > most {
		return at().text()
	}
	if t.folded == nil || len(t.folded) > 2*n+fewest { // many are of what has changed since
		t.folded = make(map[any]string, n)
	}
	text := at().text()
	t.folded[key] = text
	return text
}

// Page answers a query over n records, of which at makes one: those that are on the page
// alone, unless something is searched for. key is of a type that can be compared; it
// tells records apart, and what one was from what it is. Case and width of letters do
// not matter.
func (t *Texts) Page(q RecordQuery, n int, key func(i int) any, at func(i int) Row) (page []Row, total int) {
	skip, length := max(q.Skip, 0), q.Length
	if length <= 0 {
		length = defaultLength
	}
	words := strings.Fields(fold(q.Search))
	page = []Row{}
	if len(words) == 0 {
		for i := min(skip, n); i < n && len(page) < length; i++ {
			page = append(page, at(i))
		}
		return page, n
	}
	for i := range n {
		text := t.of(key(i), n, func() Row { return at(i) })
		if slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) }) {
			continue
		}
		if total++; total > skip && len(page) < length {
			page = append(page, at(i))
		}
	}
	return page, total
}

// text is all that a record holds, its id too.
func (r Row) text() string {
	var all strings.Builder
	all.WriteString(r.ID)
	for _, value := range r.Fields {
		all.WriteByte('\n') // no word has one, so that none is found across two fields
		all.WriteString(value)
	}
	return fold(all.String())
}

// fold makes texts equal that differ only in case or width.
func fold(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

// Changed returns those of the fields that would make the record another: a form sends
// all that it has, and what it did not touch must break no rule. A field that the record
// lacks counts as empty.
func (r Row) Changed(fields map[string]string) map[string]string {
	changed := map[string]string{}
	for name, value := range fields {
		if r.Fields[name] != value {
			changed[name] = value
		}
	}
	return changed
}

// KindOf returns the kind with a name.
func KindOf(kinds []RecordKind, name string) (RecordKind, error) {
	names := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		if kind.Name == name {
			return kind, nil
		}
		names = append(names, kind.Name)
	}
	return RecordKind{}, fmt.Errorf("no records are named %q; there are %s", name, strings.Join(names, ", "))
}

// CheckSaved refuses what no kind of record takes: names that it does not have, what can
// only be read, values that are not UTF-8 or not among a field's choices, and a new
// record that lacks what it needs. fields are those that Row.Changed returned.
func (k RecordKind) CheckSaved(id string, fields map[string]string) error {
	if k.Fixed && id == "" {
		return fmt.Errorf("no %s can be made by hand", k.Name)
	}
	for _, f := range k.Fields {
		value, sent := fields[f.Name]
		switch {
		case !sent && f.Required && id == "":
			return fmt.Errorf("%s is required", f.Name)
		case !sent:
		case f.ReadOnly:
			return fmt.Errorf("%s cannot be changed", f.Name)
		case !utf8.ValidString(value):
			return fmt.Errorf("%s is not UTF-8", f.Name)
		case len(f.Choices) > 0 && !slices.Contains(f.Choices, value) && value != "":
			return fmt.Errorf("%s must be one of %s", f.Name, strings.Join(f.Choices, ", "))
		}
	}
	for name := range fields {
		if !slices.ContainsFunc(k.Fields, func(f RecordField) bool { return f.Name == name }) {
			return fmt.Errorf("%s have no field named %q", k.Name, name)
		}
	}
	return nil
}
