package yapplitest_test

import (
	"strings"
	"testing"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

func TestByHand(t *testing.T) {
	t.Parallel()
	s := yapplitest.New(sandbox.Options{Records: 7})
	sandboxtest.Editor(t, s.ByHand(), sandboxtest.Kind{
		Name: "members",
		New:  map[string]string{"unique_id": "made", "login_id": "a@mail.example", "rank": "3", "column01": "山田 花子", "column50": "x", "enabled": "0", "password": "secret", "secret_question": "?", "secret_answer": "!"},
		Text: []string{"login_id", "column01", "column25", "column50", "secret_question"},
	})
}

// What is saved by hand keeps to the rules of the API, and is refused in its words.
func TestByHand_Rules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		generation int
		id         string
		fields     map[string]string
		want       string // of the error
	}{
		{1, "", map[string]string{"column01": "x"}, "unique_id is required"},
		{1, "", map[string]string{"unique_id": ""}, "unique_id is required"},
		{1, "", map[string]string{"unique_id": "shop-0000001"}, "unique_id exists already"},
		{1, "1001", map[string]string{"unique_id": "another"}, "unique_id cannot be changed"},
		{3, "1001", map[string]string{"unique_id": "another"}, ""},
		{1, "1001", map[string]string{"unique_id": "shop-0000001", "column01": "x"}, ""},
		{1, "1001", map[string]string{"point": "5"}, "point cannot be changed"},
		{1, "1001", map[string]string{"rank": "x"}, "rank must be an integer"},
		{1, "1001", map[string]string{"rank": "05"}, ""},
		{1, "1001", map[string]string{"enabled": "2"}, "enabled must be one of 0, 1"},
		{3, "1001", map[string]string{"password": "abc"}, "password is too short"},
		{3, "1001", map[string]string{"logined": "1"}, "logined 1 needs logined_at"},
		{3, "1001", map[string]string{"logined": "1", "logined_at": "2026-01-01"}, "logined_at must be YYYY-MM-DD HH:MM:SS"},
		{3, "1001", map[string]string{"logined": "1", "logined_at": "2026-01-01 00:00:00"}, ""},
		{1, "5", map[string]string{"column01": "x"}, "no such user"},
	} {
		s := yapplitest.New(sandbox.Options{Records: 7})
		s.Generation, s.Duplicate, s.Replace = c.generation, yapplitest.Refuse, true
		before, _ := s.Find("1001")
		_, err := s.ByHand().Save("members", c.id, c.fields)
		if got := errorText(err); got != c.want {
			t.Errorf("generation %d, %s %v: %q, want %q", c.generation, c.id, c.fields, got, c.want)
		}
		after, _ := s.Find("1001")
		if changed := after.Values["updated_at"] != before.Values["updated_at"]; changed != (c.want == "") {
			t.Errorf("generation %d, %s %v: the member was changed: %v", c.generation, c.id, c.fields, changed)
		}
		if after.Values["column05"] != before.Values["column05"] {
			t.Errorf("%v took away what it did not name", c.fields)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimSpace(err.Error())
}
