// Package sandboxtest has the rules of every [sandbox.Editor] and every
// [sandbox.Troublemaker] as suites.
package sandboxtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hikyaku/pkg/providers/sandbox"
)

// Hostile are values that are data and nothing else.
var Hostile = []string{
	"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "a\x00b\x01\x1b[31m\x7f", "\u2028\u2029\ufeff\u202e", "{{.}} ${x} $(x) `x` '; --",
	"=cmd|' /C calc'!A0", " leading and trailing \r\n\t", "𠮷田 花子 👩‍👩‍👧", `\u0041 \" \\`, strings.Repeat("長い", 3000),
}

// A Kind says how a suite may use a kind of record.
type Kind struct {
	Name string
	New  map[string]string // fields of a record that can be made
	Text []string          // fields that take any text
}

// Editor checks one. Of each kind at least one record is there.
func Editor(t *testing.T, e sandbox.Editor, kinds ...Kind) {
	t.Helper()
	known := e.Kinds()
	if len(known) != len(kinds) {
		t.Fatalf("%d kinds, of which %d are described", len(known), len(kinds))
	}
	for i, k := range kinds {
		t.Run(k.Name, func(t *testing.T) {
			s := suite{T: t, e: e, kind: known[i], of: k}
			s.describes()
			s.pages()
			id := s.makes()
			s.changes(id)
			s.refuses(id)
			s.deletes(id)
		})
	}
	unknown(t, e)
}

func unknown(t *testing.T, e sandbox.Editor) {
	t.Helper()
	if _, _, err := e.List("nothing", sandbox.RecordQuery{}); err == nil {
		t.Error("a list of an unknown kind")
	}
	if _, err := e.Save("nothing", "", nil); err == nil {
		t.Error("a record of an unknown kind was made")
	}
	if err := e.Delete("nothing", "1"); err == nil {
		t.Error("a record of an unknown kind was deleted")
	}
}

type suite struct {
	*testing.T

	e    sandbox.Editor
	kind sandbox.RecordKind
	of   Kind
}

func (s suite) list(q sandbox.RecordQuery) ([]sandbox.Row, int) {
	s.Helper()
	page, total, err := s.e.List(s.kind.Name, q)
	if err != nil {
		s.Fatal(err)
	}
	return page, total
}

// one returns the record with an id.
func (s suite) one(id string) (sandbox.Row, bool) {
	s.Helper()
	all, _ := s.list(sandbox.RecordQuery{Length: 100000})
	i := slices.IndexFunc(all, func(r sandbox.Row) bool { return r.ID == id })
	if i < 0 {
		return sandbox.Row{}, false
	}
	return all[i], true
}

func (s suite) describes() {
	s.Helper()
	if s.kind.Name != s.of.Name || len(s.kind.Fields) == 0 {
		s.Errorf("kind %q with %d fields", s.kind.Name, len(s.kind.Fields))
	}
	seen := map[string]bool{}
	for _, f := range s.kind.Fields {
		if seen[f.Name] || f.Name == "" {
			s.Errorf("field %q twice", f.Name)
		}
		seen[f.Name] = true
	}
}

func (s suite) pages() {
	s.Helper()
	all, total := s.list(sandbox.RecordQuery{Length: 100000})
	if len(all) != total || total == 0 {
		s.Fatalf("%d records of %d", len(all), total)
	}
	var paged []string
	for skip := 0; skip < total; skip += 3 {
		page, n := s.list(sandbox.RecordQuery{Skip: skip, Length: 3})
		if n != total || len(page) != min(3, total-skip) {
			s.Fatalf("%d records from %d on, of %d", len(page), skip, n)
		}
		for _, r := range page {
			paged = append(paged, fmt.Sprint(r))
		}
	}
	for i, r := range all {
		if fmt.Sprint(r) != paged[i] {
			s.Errorf("record %d is another on its page", i)
		}
		for _, f := range s.kind.Fields {
			if _, shown := r.Fields[f.Name]; f.Secret && shown {
				s.Errorf("record %s shows its %s", r.ID, f.Name)
			}
		}
	}
	if page, n := s.list(sandbox.RecordQuery{Skip: total + 5}); len(page) != 0 || n != total {
		s.Errorf("%d records beyond the end of %d", len(page), n)
	}
	if page, n := s.list(sandbox.RecordQuery{Search: all[0].ID}); n == 0 || !slices.ContainsFunc(page, func(r sandbox.Row) bool { return r.ID == all[0].ID }) {
		s.Errorf("nothing is found by the id %s", all[0].ID)
	}
}

func (s suite) makes() string {
	s.Helper()
	_, before := s.list(sandbox.RecordQuery{})
	id, err := s.e.Save(s.kind.Name, "", s.of.New)
	if err != nil || id == "" {
		s.Fatalf("making one: %q, %v", id, err)
	}
	r, found := s.one(id)
	if _, after := s.list(sandbox.RecordQuery{}); !found || after != before+1 {
		s.Fatalf("%d records after %d and a new one; it is there: %v", after, before, found)
	}
	for _, f := range s.kind.Fields {
		if want, sent := s.of.New[f.Name]; sent && !f.Secret && r.Fields[f.Name] != want {
			s.Errorf("%s is %q, want %q", f.Name, r.Fields[f.Name], want)
		}
	}
	return id
}

func (s suite) changes(id string) {
	s.Helper()
	for _, name := range s.of.Text {
		before, _ := s.one(id)
		for _, value := range Hostile {
			if got, err := s.e.Save(s.kind.Name, id, map[string]string{name: value}); err != nil || got != id {
				s.Errorf("%s to %.40q: %q, %v", name, value, got, err)
				continue
			}
			if r, _ := s.one(id); r.Fields[name] != value {
				s.Errorf("%s came back as %.40q, want %.40q", name, r.Fields[name], value)
			}
		}
		if _, err := s.e.Save(s.kind.Name, id, map[string]string{name: "ＡＢＣ　Ｘyz-" + name}); err != nil {
			s.Error(err)
		}
		for _, search := range []string{"abc xYZ-" + name, "xyz-" + name + " ＡＢＣ", "ab"} {
			if page, _ := s.list(sandbox.RecordQuery{Search: search, Length: 100000}); !slices.ContainsFunc(page, func(r sandbox.Row) bool { return r.ID == id }) {
				s.Errorf("%s is not found by %q", name, search)
			}
		}
		if _, n := s.list(sandbox.RecordQuery{Search: "abc xyz-" + name + " nowhere-to-be-found"}); n != 0 {
			s.Errorf("%d records are found by words that none has", n)
		}
		after, _ := s.one(id)
		for _, f := range s.kind.Fields {
			if f.Name != name && !f.ReadOnly && before.Fields[f.Name] != after.Fields[f.Name] {
				s.Errorf("%s changed %s from %q to %q", name, f.Name, before.Fields[f.Name], after.Fields[f.Name])
			}
		}
	}
	r, _ := s.one(id)
	form := map[string]string{}
	for _, f := range s.kind.Fields {
		form[f.Name] = r.Fields[f.Name]
	}
	if _, err := s.e.Save(s.kind.Name, id, form); err != nil {
		s.Errorf("saving all fields as they are: %v", err)
	}
}

func (s suite) refuses(id string) {
	s.Helper()
	before, _ := s.one(id)
	bad := []map[string]string{{"unheard-of": "x"}, {s.of.Text[0]: "\xff"}}
	for _, f := range s.kind.Fields {
		if f.ReadOnly {
			bad = append(bad, map[string]string{f.Name: "x"})
		}
		if len(f.Choices) > 0 {
			bad = append(bad, map[string]string{f.Name: "none of them"})
		}
	}
	for _, fields := range bad {
		if _, err := s.e.Save(s.kind.Name, id, fields); err == nil {
			s.Errorf("%q was saved", fields)
		}
	}
	if _, err := s.e.Save(s.kind.Name, "987654321000", map[string]string{s.of.Text[0]: "x"}); err == nil {
		s.Error("a record that is not there was changed")
	}
	if after, _ := s.one(id); fmt.Sprint(after) != fmt.Sprint(before) {
		s.Errorf("what was refused changed %v to %v", before, after)
	}
}

func (s suite) deletes(id string) {
	s.Helper()
	_, before := s.list(sandbox.RecordQuery{})
	if err := s.e.Delete(s.kind.Name, id); err != nil {
		s.Errorf("deleting: %v", err)
	}
	if err := s.e.Delete(s.kind.Name, id); err == nil {
		s.Error("deleted a second time")
	}
	if _, err := s.e.Save(s.kind.Name, id, map[string]string{s.of.Text[0]: "x"}); err == nil {
		s.Error("changed what was deleted")
	}
	if _, after := s.list(sandbox.RecordQuery{}); after != before-1 {
		s.Errorf("%d records after %d and one that was deleted", after, before)
	}
}
