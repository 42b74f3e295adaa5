package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// A sandboxed is one provider on the page of the sandboxes.
type sandboxed struct {
	Provider string
	Real     bool
	Kinds    []kindCount
}

// A kindCount is a kind of record with how many there are.
type kindCount struct {
	Provider, Name string
	Total          int
}

// Path is the address of the kind's list.
func (k kindCount) Path() string { return "/sandboxes/" + k.Provider + "/" + k.Name }

// sandboxes lists the providers whose records a person may change by hand here.
func (s *Server) sandboxes() page {
	return page{Name: "sandboxes", Path: "/sandboxes", Main: s.options.Dev != nil, load: s.loadSandboxes}
}

func (s *Server) loadSandboxes(context.Context, *http.Request) (any, error) {
	var all []sandboxed
	if s.options.Dev == nil {
		return all, nil
	}
	for _, name := range providers.Names() {
		one := sandboxed{Provider: name, Real: slices.Contains(s.options.Dev.State().Real, name)}
		if editor := s.options.Dev.Editor(name); editor != nil {
			for _, kind := range editor.Kinds() {
				_, total, err := editor.List(kind.Name, sandbox.RecordQuery{Length: 1})
				if err != nil {
					return nil, err
				}
				one.Kinds = append(one.Kinds, kindCount{name, kind.Name, total})
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// sandbox lists the records of a kind, of the first where none is named.
func (s *Server) sandbox() []page {
	one := page{Name: "sandbox", Path: "/sandboxes/{provider}", Under: "sandboxes", load: s.loadSandbox}
	kind := one
	kind.Path += "/{kind}"
	return []page{one, kind}
}

// listLength is how many records a list shows at a time.
const listLength = 50

// A recordList is a page of records of a kind.
type recordList struct {
	Provider string
	Kind     sandbox.RecordKind
	Columns  []sandbox.RecordField
	Rows     []recordRow
	Total    int
	Search   string
	Skip     int
}

// A recordRow is a record in a list.
type recordRow struct {
	ID, Path string
	Cells    []string
}

// Empty reports whether there is none.
func (l recordList) Empty() bool { return l.Total == 0 }

// Last is the number of the last record that is shown.
func (l recordList) Last() int { return l.Skip + len(l.Rows) }

// First is the number of the first.
func (l recordList) First() int { return l.Skip + 1 }

// Before and After are what the pages before and after this one skip; nothing if there is
// no such page.
func (l recordList) Before() []int {
	if l.Skip == 0 {
		return nil
	}
	return []int{max(0, l.Skip-listLength)}
}

// After is what the next page skips.
func (l recordList) After() []int {
	if l.Last() >= l.Total {
		return nil
	}
	return []int{l.Last()}
}

// NewPath is the address of the form for a new record.
func (l recordList) NewPath() string { return recordPath(l.Provider, l.Kind.Name, newRecord) }

// A sandboxData is what the page of a sandbox shows.
type sandboxData struct {
	Provider string
	Real     bool
	Kinds    []kindCount
	List     recordList
}

func (s *Server) loadSandbox(_ context.Context, r *http.Request) (any, error) {
	d := sandboxData{Provider: r.PathValue("provider")}
	editor, err := s.editor(d.Provider)
	if err != nil {
		return nil, err
	}
	if editor == nil {
		d.Real = true
		return d, nil
	}
	for _, kind := range editor.Kinds() {
		d.Kinds = append(d.Kinds, kindCount{Provider: d.Provider, Name: kind.Name})
	}
	name := r.PathValue("kind")
	if name == "" && len(d.Kinds) > 0 {
		name = d.Kinds[0].Name
	}
	d.List, err = listRecords(editor, d.Provider, name, "", 0)
	return d, err
}

// editor is a provider's sandbox; nil where the provider is real.
func (s *Server) editor(provider string) (sandbox.Editor, error) {
	switch {
	case s.options.Dev == nil:
		return nil, saying("fault.dev-only")
	case !slices.Contains(providers.Names(), provider):
		return nil, saying("fault.no-provider")
	}
	return s.options.Dev.Editor(provider), nil
}

// kindOf is a kind of record of a sandbox.
func kindOf(editor sandbox.Editor, name string) (sandbox.RecordKind, error) {
	kinds := editor.Kinds()
	i := slices.IndexFunc(kinds, func(k sandbox.RecordKind) bool { return k.Name == name })
	if i < 0 {
		return sandbox.RecordKind{}, saying("fault.no-kind")
	}
	return kinds[i], nil
}

// mostColumns is how many fields of a record a list shows.
const mostColumns = 5

func listRecords(editor sandbox.Editor, provider, name, search string, skip int) (recordList, error) {
	kind, err := kindOf(editor, name)
	if err != nil {
		return recordList{}, err
	}
	l := recordList{Provider: provider, Kind: kind, Search: search, Skip: max(0, skip)}
	for _, f := range kind.Fields {
		if !f.Secret && f.Name != "id" && len(l.Columns) < mostColumns {
			l.Columns = append(l.Columns, f)
		}
	}
	found, total, err := editor.List(name, sandbox.RecordQuery{Search: search, Skip: l.Skip, Length: listLength})
	if err != nil {
		return l, err
	}
	l.Total = total
	for _, row := range found {
		shown := recordRow{ID: row.ID, Path: recordPath(provider, name, row.ID)}
		for _, f := range l.Columns {
			shown.Cells = append(shown.Cells, row.Fields[f.Name])
		}
		l.Rows = append(l.Rows, shown)
	}
	return l, nil
}

// recordPath is the address of a record's page.
func recordPath(provider, kind, id string) string {
	return "/sandboxes/" + provider + "/" + kind + "/" + url.PathEscape(id)
}

func (s *Server) sandboxActions() []action {
	return []action{
		{name: "sandbox-find", page: "sandbox", reads: true, do: s.findRecords},
		{name: "sandbox-save", page: "record", do: s.saveRecord},
		{name: "sandbox-delete", page: "record", do: s.deleteRecord},
	}
}

func (s *Server) findRecords(_ context.Context, f url.Values) (any, error) {
	editor, err := s.formEditor(f)
	if err != nil {
		return nil, err
	}
	skip, _ := strconv.Atoi(f.Get("skip")) // none: the beginning
	return listRecords(editor, f.Get("provider"), f.Get("kind"), f.Get("search"), skip)
}

// formEditor is the sandbox that a form names.
func (s *Server) formEditor(f url.Values) (sandbox.Editor, error) {
	editor, err := s.editor(f.Get("provider"))
	if err == nil && editor == nil {
		err = saying("fault.real")
	}
	return editor, err
}

// saveRecord saves those fields of a form that differ from what the record holds: what is
// left alone is not written, as on the provider's own page.
func (s *Server) saveRecord(_ context.Context, f url.Values) (any, error) {
	editor, err := s.formEditor(f)
	if err != nil {
		return nil, err
	}
	kind, err := kindOf(editor, f.Get("kind"))
	if err != nil {
		return nil, err
	}
	id := f.Get("id")
	before := sandbox.Row{}
	if id != "" {
		if before, err = findRecord(editor, kind.Name, id); err != nil {
			return nil, err
		}
	}
	fields := map[string]string{}
	for _, field := range kind.Fields {
		value, sent := f["field."+field.Name]
		switch {
		case !sent || field.ReadOnly || field.Secret && value[0] == "":
		case id == "" && value[0] != "", id != "" && value[0] != before.Fields[field.Name]:
			fields[field.Name] = value[0]
		}
	}
	if id != "" && len(fields) == 0 {
		return nil, saying("fault.nothing-changed")
	}
	saved, err := editor.Save(kind.Name, id, fields)
	if err != nil || id != "" {
		return nil, err
	}
	return elsewhere(recordPath(f.Get("provider"), kind.Name, saved)), nil
}

func (s *Server) deleteRecord(_ context.Context, f url.Values) (any, error) {
	editor, err := s.formEditor(f)
	if err != nil {
		return nil, err
	}
	kind, err := kindOf(editor, f.Get("kind"))
	if err != nil {
		return nil, err
	}
	return nil, editor.Delete(kind.Name, f.Get("id"))
}

// lookLength is how many records are looked through at a time for one.
const lookLength = 500

// findRecord finds a record by its id. A search for the id finds it at once where it
// stands in a field.
func findRecord(editor sandbox.Editor, kind, id string) (sandbox.Row, error) {
	for _, search := range []string{id, ""} {
		for skip, total := 0, 1; skip < total; skip += lookLength {
			rows, all, err := editor.List(kind, sandbox.RecordQuery{Search: search, Skip: skip, Length: lookLength})
			if err != nil {
				return sandbox.Row{}, err
			}
			if i := slices.IndexFunc(rows, func(r sandbox.Row) bool { return r.ID == id }); i >= 0 {
				return rows[i], nil
			}
			total = all
		}
	}
	return sandbox.Row{}, saying("fault.no-record")
}
