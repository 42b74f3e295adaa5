package actibooktest_test

import (
	"strings"
	"testing"

	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
)

func TestByHand(t *testing.T) {
	t.Parallel()
	s := actibooktest.New(sandbox.Options{Records: 7})
	sandboxtest.Editor(t, s.ByHand(), sandboxtest.Kind{
		Name: "site_users", New: map[string]string{"group": "スタッフ", "user_id": "made", "name": "山田 花子"}, Text: []string{"user_id", "name", "email"},
	})
}

// Who was made or changed by hand is who logs in with the same parameters.
func TestByHand_LogsIn(t *testing.T) {
	t.Parallel()
	s := actibooktest.New(sandbox.Options{Records: 7, Rate: -1})
	e := s.ByHand()
	id, err := e.Save("site_users", "", map[string]string{"group": "スタッフ", "user_id": "made"})
	if err != nil || id != "8" {
		t.Fatal(id, err)
	}
	if _, err := e.Save("site_users", "3", map[string]string{"name": "x", "email": "y", "user_id": "changed"}); err != nil {
		t.Fatal(err)
	}
	for parameters, users := range map[string]int{`{"keyword":"staff","user_id":"made"}`: 8, `{"keyword":"members","user_id":"changed","name":"x","email":"y"}`: 8} {
		answer := keepertest.Ask(s, s.Token("").Credential.Reveal(), "POST", "/api/sso/login", `{"parameters":`+parameters+`}`)
		if _, total, _ := e.List("site_users", sandbox.RecordQuery{}); total != users || !strings.HasPrefix(answer, "200 ") {
			t.Errorf("%s: %d users, %s", parameters, total, answer)
		}
	}
	if _, err := e.Save("site_users", "", map[string]string{"name": "x"}); err == nil || err.Error() != "group is required" {
		t.Error(err)
	}
}
