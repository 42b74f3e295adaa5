// Package records reads the records of a run that was exported: from its beginning, from
// any number on, or those in which a text stands. Nothing is kept: two parts at a time are
// unpacked and read, and what is found comes at once, in the run's order.
//
//	run, err := records.Open(ctx, store, manifestKey)
//	scan := run.Scan(records.Query{Search: "見本", Limit: 20})
//	for record, err := range scan.All(ctx) {
//		...
//	}
//
// The records are personal data.
package records

import (
	"context"
	"errors"
	"fmt"
	"path"

	"hikyaku/internal/export"
	"hikyaku/internal/fold"
	"hikyaku/internal/objectstore"
	"hikyaku/pkg/jsonscan"
)

// A Run is one that has ended, published or in doubt.
type Run struct {
	Manifest export.Manifest
	Key      string // of the manifest

	store objectstore.Store
}

// Open reads a run's manifest, or the _doubt.json of one in doubt.
func Open(ctx context.Context, store objectstore.Store, key string) (*Run, error) {
	m, err := export.ReadManifest(ctx, store, key)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return &Run{Manifest: m, Key: key, store: store}, nil
}

// A Query chooses records.
type Query struct {
	// Search is a text that stands in a value of the record, at any depth: without
	// escapes, and without the difference of capitals and of wide and narrow letters.
	// Empty: every record.
	Search string
	Skip   int // of those chosen, how many to leave out first
	Limit  int // at most so many; 0: all
}

// A Record is one line of a run.
type Record struct {
	Number int    // in the run, from 1
	Raw    []byte // the line as it is stored, without its newline
}

// A Column is one field of a record, at its top level.
type Column struct {
	Name  string
	Value string // a text without escapes; anything else as JSON
	Text  bool   // it is a text
	JSON  []byte // as it is stored
}

// Null reports whether the field holds nothing.
func (c Column) Null() bool { return !c.Text && c.Value == "null" }

// Columns returns the fields of a record in its order.
func (r Record) Columns() []Column {
	var columns []Column
	start := jsonscan.SkipSpace(r.Raw, 0)
	if start >= len(r.Raw) || r.Raw[start] != '{' {
		return nil
	}
	jsonscan.Members(r.Raw, start, func(m jsonscan.Member) bool {
		name, _ := jsonscan.Unquote(m.Name)
		c := Column{Name: string(name), JSON: r.Raw[m.Value:m.End], Value: string(r.Raw[m.Value:m.End])}
		if c.JSON[0] == '"' {
			text, _ := jsonscan.Unquote(c.JSON[1 : len(c.JSON)-1])
			c.Value, c.Text = string(text), true
		}
		columns = append(columns, c)
		return true
	})
	return columns
}

// Scan prepares a reading of the run.
func (r *Run) Scan(q Query) *Scan {
	s := &Scan{run: r, query: q}
	if q.Search != "" {
		s.needle = fold.Append(nil, []byte(q.Search))
	}
	return s
}

// A matcher says whether a record is chosen. It is used by one goroutine.
type matcher struct {
	needle []byte
	folded []byte
}

// AppendValues appends every value of a record, folded, with a zero between them: names are left
// out, and no text is found that begins in one value and ends in the next.
func AppendValues(dst, record []byte) []byte {
	for i := 0; i < len(record); {
		switch c := record[i]; {
		case c == '"':
			end, escaped := stringEnd(record, i+1)
			next := jsonscan.SkipSpace(record, min(end+1, len(record)))
			if next >= len(record) || record[next] != ':' {
				inside := record[i+1 : min(end, len(record))]
				if escaped {
					inside, _ = jsonscan.Unquote(inside)
				}
				dst = append(fold.Append(dst, inside), 0)
			}
			i = next
		case structural(c):
			i++
		default: // a number, true, false or null
			start := i
			for i < len(record) && !structural(record[i]) {
				i++
			}
			dst = append(fold.Append(dst, record[start:i]), 0)
		}
	}
	return dst
}

// structural reports a byte that stands between values.
func structural(c byte) bool {
	switch c {
	case '{', '}', '[', ']', ',', ':', '"', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}

// stringEnd finds the quote that ends a string.
func stringEnd(b []byte, i int) (end int, escaped bool) {
	for i < len(b) {
		switch b[i] {
		case '"':
			return i, escaped
		case '\\':
			escaped = true
			i++
		}
		i++
	}
	return i, escaped
}

// gone is the error of a part that is not there any more.
func gone(key string, err error) error {
	if errors.Is(err, objectstore.ErrNotFound) {
		return fmt.Errorf("%s is not there: the run has expired, or somebody has removed it: see 'hikyaku verify'", path.Base(key))
	}
	return fmt.Errorf("reading %s: %w", key, err)
}
