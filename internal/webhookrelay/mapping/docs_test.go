package mapping_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"hikyaku/internal/webhookrelay/mapping"
)

const document = "../../../docs/mapping.md"

// TestDocument runs each example of docs/mapping.md, and wants one of each
// function and each operator's kind.
func TestDocument(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	blocks := func(kind string) (all []string) {
		for _, found := range regexp.MustCompile("(?s)```"+kind+"\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
			all = append(all, found[1])
		}
		return all
	}
	users := blocks("user")
	if len(users) != 1 {
		t.Fatalf("%d users, want one", len(users))
	}
	u, shown := user(t, users[0]), 0
	called := map[string]bool{}
	for _, block := range blocks("examples") {
		for line := range strings.Lines(block) {
			expression, want, ok := strings.Cut(strings.TrimRight(line, "\n"), " → ")
			if !ok {
				t.Fatalf("%q is no example", line)
			}
			shown++
			for _, name := range mapping.Functions() {
				called[name] = called[name] || regexp.MustCompile(`\b`+name+`\(`).MatchString(expression)
			}
			source := "options: {zone: Asia/Tokyo, region: JP}\ncolumn01: '" + strings.ReplaceAll(strings.TrimSpace(expression), "'", "''") + "'\n"
			m, err := mapping.Parse("example", []byte(source))
			if err != nil {
				if want != "unreadable" || !strings.Contains(err.Error(), "can never be read") {
					t.Error(err)
				}
				continue
			}
			wish := m.Apply(u)
			got := wish.Fields["column01"]
			is := map[string]bool{"unreadable": len(wish.Unreadable) == 1, "null": got.Null, "nothing": !got.Null && got.Text == "" && len(wish.Fields) == 1}
			if holds, special := is[want]; special && !holds || !special && got.Text != want {
				t.Errorf("%s: %+v, want %s", expression, wish, want)
			}
		}
	}
	for _, name := range mapping.Functions() {
		if !called[name] {
			t.Errorf("%s has no example", name)
		}
		if !strings.Contains(string(raw), "`"+name+"(") && !strings.Contains(string(raw), "`"+name+"`") {
			t.Errorf("%s is not explained", name)
		}
	}
	for _, part := range blocks("yaml") {
		if _, err := mapping.Parse("yaml", []byte(part)); err != nil {
			t.Error(err)
		}
	}
	if shown < 80 {
		t.Errorf("only %d examples were found", shown)
	}
}
