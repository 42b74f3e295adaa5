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

// Page answers a query over n records, of which at makes one: those that are on the page
// alone, unless something is searched for. Case and width of letters do not matter.
func (q RecordQuery) Page(n int, at func(i int) Row) (page []Row, total int) {
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
		row := at(i)
		if !row.holds(words) {
			continue
		}
		if total++; total > skip && len(page) < length {
			page = append(page, row)
		}
	}
	return page, total
}

// holds reports whether each word stands in some field, or in the id.
func (r Row) holds(words []string) bool {
	var all strings.Builder
	all.WriteString(r.ID)
	for _, value := range r.Fields {
		all.WriteByte('\n') // no word has one, so that none is found across two fields
		all.WriteString(value)
	}
	text := fold(all.String())
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
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
