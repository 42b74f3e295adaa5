package sandbox_test

import (
	"fmt"
	"testing"

	"hikyaku/pkg/providers/sandbox"
)

// Words are found in any field, whatever their case and width, across fields but not
// across the border of two; and what a record held before a change is forgotten.
func TestTexts(t *testing.T) {
	t.Parallel()
	rows := []sandbox.Row{
		{ID: "1", Fields: map[string]string{"a": "Ｙamada", "b": "花子"}},
		{ID: "2", Fields: map[string]string{"a": "ya", "b": "mada"}},
		{ID: "33", Fields: map[string]string{"a": "ﾔﾏﾀﾞ", "b": "x\ny"}},
	}
	versions := make([]int, len(rows))
	read := 0
	var texts sandbox.Texts
	search := func(q sandbox.RecordQuery) string {
		page, total := texts.Page(q, len(rows), func(i int) any { return [2]int{i, versions[i]} }, func(i int) sandbox.Row {
			read++
			return rows[i]
		})
		ids := []string{}
		for _, r := range page {
			ids = append(ids, r.ID)
		}
		return fmt.Sprint(total, ids)
	}
	for _, c := range []struct {
		q    sandbox.RecordQuery
		want string
	}{
		{sandbox.RecordQuery{}, "3 [1 2 33]"},
		{sandbox.RecordQuery{Search: " \t\u3000"}, "3 [1 2 33]"},
		{sandbox.RecordQuery{Search: "yamada"}, "1 [1]"},
		{sandbox.RecordQuery{Search: "YA ｍａｄａ"}, "2 [1 2]"},
		{sandbox.RecordQuery{Search: "花子　yama"}, "1 [1]"},
		{sandbox.RecordQuery{Search: "ヤマダ"}, "1 [33]"},
		{sandbox.RecordQuery{Search: "33"}, "1 [33]"},
		{sandbox.RecordQuery{Search: "nobody"}, "0 []"},
		{sandbox.RecordQuery{Search: "a", Skip: 1, Length: 1}, "2 [2]"},
		{sandbox.RecordQuery{Skip: 1, Length: 1}, "3 [2]"},
		{sandbox.RecordQuery{Skip: -1, Length: 2}, "3 [1 2]"},
		{sandbox.RecordQuery{Skip: 7}, "3 []"},
	} {
		if got := search(c.q); got != c.want {
			t.Errorf("%+v: %s, want %s", c.q, got, c.want)
		}
	}
	read = 0
	if search(sandbox.RecordQuery{Search: "nobody"}); read != 0 {
		t.Errorf("%d records were read again", read)
	}
	rows[1].Fields["b"] = "花"
	versions[1]++
	if got := search(sandbox.RecordQuery{Search: "花"}); got != "2 [1 2]" || read != 3 {
		t.Errorf("after a change: %s, %d records read", got, read)
	}
	for range 5000 {
		versions[0]++
		search(sandbox.RecordQuery{Search: "nobody"})
	}
	if got := search(sandbox.RecordQuery{Search: "花"}); got != "2 [1 2]" {
		t.Errorf("after many changes: %s", got)
	}
}

func TestRow_Changed(t *testing.T) {
	t.Parallel()
	row := sandbox.Row{Fields: map[string]string{"same": "a", "other": "b", "emptied": "c"}}
	got := row.Changed(map[string]string{"same": "a", "other": "x", "emptied": "", "absent": "", "new": "n"})
	if fmt.Sprint(got) != "map[emptied: new:n other:x]" {
		t.Errorf("%v", got)
	}
}

func TestRecordKind_CheckSaved(t *testing.T) {
	t.Parallel()
	kind := sandbox.RecordKind{Name: "things", Fields: []sandbox.RecordField{
		{Name: "id", ReadOnly: true}, {Name: "name", Required: true}, {Name: "kind", Choices: []string{"a", "b"}},
	}}
	for _, c := range []struct {
		id     string
		fields map[string]string
		want   string
	}{
		{"", map[string]string{"name": "x"}, "<nil>"},
		{"", map[string]string{}, "name is required"},
		{"1", map[string]string{}, "<nil>"},
		{"1", map[string]string{"id": "2"}, "id cannot be changed"},
		{"1", map[string]string{"kind": "c"}, "kind must be one of a, b"},
		{"1", map[string]string{"kind": ""}, "<nil>"},
		{"1", map[string]string{"name": "\xff"}, "name is not UTF-8"},
		{"1", map[string]string{"size": "1"}, `things have no field named "size"`},
	} {
		if got := fmt.Sprint(kind.CheckSaved(c.id, c.fields)); got != c.want {
			t.Errorf("%q %v: %s, want %s", c.id, c.fields, got, c.want)
		}
	}
	kind.Fixed = true
	if err := kind.CheckSaved("", map[string]string{"name": "x"}); err == nil {
		t.Error("one was made of a fixed kind")
	}
	if _, err := sandbox.KindOf([]sandbox.RecordKind{kind}, "none"); err == nil || err.Error() != `no records are named "none"; there are things` {
		t.Error(err)
	}
}
