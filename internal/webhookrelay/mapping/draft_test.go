package mapping_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// Each fault stands at the character where it begins.
func TestDraft_SaysWhereEachFaultIs(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][2]int{
		"column01: full_nam":                         {1, 11},
		"column01: full_name\ncolumn02: trim(mobil)": {2, 16},
		"column02: 'trim(\"見本\" + fulname)'":         {1, 24},
		"column02:   upper(full_name":                {1, 27},
		"column02: \"\\u0074rim(fulname)\"":          {1, 11}, // escapes: where the value begins
		"column02: |\n  trim(fulname)":               {1, 11},
		"colum01: full_name":                         {1, 1},
		"options:\n  regon: JP\ncolumn01: phone":     {2, 3},
		"column01: phone\nlink_if: [column09]":       {2, 11},
		"column01: phone\ncolumn01: mobile":          {2, 1},
		"# nothing":                                  {1, 1},
	} {
		_, faults := mapping.Draft("id", []byte(source))
		if len(faults) != 1 || [2]int{faults[0].Line, faults[0].Column} != want {
			t.Errorf("%q has the faults %+v, want one at %v", source, faults, want)
		}
	}
}

// A file with a fault still shows what its other lines make.
func TestDraft_LeavesOutWhatIsBrokenAndNothingElse(t *testing.T) {
	t.Parallel()
	source := []byte("options:\n  empty: keep\ncolumn01: full_name\ncolumn02: fulname + 1\ncolumn03: phone\ncolumn04: date(name)\ncolumn05: field_1\nlink_if: [column02, column06]\n")
	m, faults := mapping.Draft("id", source)
	keys := make([]string, 0, len(faults))
	for _, f := range faults {
		keys = append(keys, f.Key)
	}
	if !slices.Equal(keys, []string{"column02", "link_if"}) && !slices.Equal(keys, []string{"column02", "link_if", "link_if"}) {
		t.Fatalf("the faults are of %q: %+v", keys, faults)
	}
	if got := m.Targets(); !slices.Equal(got, []string{"column01", "column03", "column04", "column05"}) {
		t.Fatalf("the draft maps %q", got)
	}
	var u supersaas.User
	if err := json.Unmarshal([]byte(`{"id":7,"full_name":"見本 試子","name":"no date","phone":""}`), &u); err != nil {
		t.Fatal(err)
	}
	states := map[string]mapping.State{}
	desired := m.Apply(u)
	for _, made := range m.Explain(u) {
		states[made.Field] = made.State
		sent, is := desired.Fields[made.Field]
		if is != (made.State == mapping.Sent) || is && sent != made.Value || (made.State == mapping.Unreadable) != slices.Contains(desired.Unreadable, made.Field) {
			t.Errorf("%s: explained as %+v, applied as %+v", made.Field, made, desired)
		}
		if made.Source == "" || len(made.Uses) != 1 {
			t.Errorf("%s says nothing of its source: %+v", made.Field, made)
		}
	}
	want := map[string]mapping.State{"column01": mapping.Sent, "column03": mapping.Kept, "column04": mapping.Unreadable, "column05": mapping.Absent}
	for name, state := range want {
		if states[name] != state {
			t.Errorf("%s is %q, want %q", name, states[name], state)
		}
	}
	if desired.Fields["column01"] != yappli.Text("見本 試子") {
		t.Errorf("column01 is %v", desired.Fields["column01"])
	}
	_, err := mapping.ParseFor("id", "m.yaml", source)
	if err == nil || strings.Count(err.Error(), "\n") != len(faults) || !strings.Contains(err.Error(), "  m.yaml:4: column02: unknown name fulname") {
		t.Errorf("the error is %v", err)
	}
}
