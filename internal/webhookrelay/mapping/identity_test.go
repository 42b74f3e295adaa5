package mapping_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers/supersaas"
)

func TestIdentityOf(t *testing.T) {
	t.Parallel()
	var u supersaas.User
	record := `{"id":7,"fk":"88fk","name":" a b　","email":null,"field_1":"  ","field_2":"B\u200b","phone":["0312345678"]}`
	if err := json.Unmarshal([]byte(record), &u); err != nil {
		t.Fatal(err)
	}
	for by, want := range map[string]string{
		"id": "7", "fk": "88", "name": "a b", "email": "", "field_1": "", "field_2": "B", "phone": "", "super_field": "",
	} {
		if got := mapping.IdentityOf(u, by); got != want {
			t.Errorf("identity %s = %q, want %q", by, got, want)
		}
	}
}

// Each line holds aliases that a person would call the same; no two lines do.
func TestFoldIdentity(t *testing.T) {
	t.Parallel()
	m := folding(t)
	for by, lines := range map[string][][]string{
		"email": {
			{"hanako@mail.example", "Hanako@mail.example", "hanako@mail.example ", "HANAKO@MAIL.EXAMPLE", "ｈａｎａｋｏ＠mail.example", "　hanako@mail.example\t"},
			{"taro@mail.example"},
			{"straße@mail.example", "STRASSE@mail.example"},
			{"Two@at@signs"}, {"two@at@signs"},
		},
		"field_1": {
			{"A0001", "A0001　", "\ufeffA0001", "Ａ０００１", " A0001\u00a0\u200b\n"},
			{"a0001"},
			{"A 0001", "A　0001"},
			{"A-0001"},
			{"ｶﾞ1", "ガ1", "カ\u30991"},
			{"x@mail.example", "X@mail.example"},
		},
		"mobile": {
			{"09010000001", "090-1000-0001", "０９０－１０００－０００１", "+81 90 1000 0001", "(090)1000-0001", "090 1000 0001 "},
			{"09010000002"},
			{"12-3", "123", "１２３"},
			{"なし", " なし　"},
		},
	} {
		whose := map[string]int{}
		for i, line := range lines {
			for _, value := range line {
				folded := m.FoldIdentity(by, value)
				if other, had := whose[folded]; had && other != i {
					t.Errorf("%s: %q is taken for %q", by, value, lines[other][0])
				}
				if whose[folded] = i; folded != m.FoldIdentity(by, line[0]) {
					t.Errorf("%s: %q folds to %q, %q to %q", by, value, folded, line[0], m.FoldIdentity(by, line[0]))
				}
			}
		}
	}
}

func folding(t testing.TB) *mapping.Mapping {
	m, err := mapping.Parse("m.yaml", []byte("options: {region: JP}\ncolumn01: name\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func FuzzFoldIdentity(f *testing.F) {
	f.Add("mobile", "090-1000-0001")
	f.Add("email", "Hanako＠mail.example")
	m := folding(f)
	f.Fuzz(func(t *testing.T, by, value string) {
		folded := m.FoldIdentity(by, value)
		if utf8.ValidString(value) && !utf8.ValidString(folded) {
			t.Errorf("%q folds to %q", value, folded)
		}
		if again := m.FoldIdentity(by, folded); again != folded {
			t.Errorf("%s: %q folds to %q, and that to %q", by, value, folded, again)
		}
	})
}
