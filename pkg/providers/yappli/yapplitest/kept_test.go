package yapplitest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const pasted = "token-that-a-person-has-pasted"

// Everything that a client or a person can tell outlives the process.
func TestKeeper(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	open := func(k sandbox.Keeper) *yapplitest.Server {
		now = now.Add(time.Minute)
		at := now
		s := yapplitest.New(sandbox.Options{Seed: uint64(now.Minute()), Records: 6 + now.Minute(), Rate: -1, Keeper: k, Now: func() time.Time { return at }})
		s.Generation, s.Lookup = 3, true
		return s
	}
	tokens := []string{pasted}
	look := func(s *yapplitest.Server) string {
		var b strings.Builder
		for _, token := range tokens {
			fmt.Fprintln(&b, s.Tokens.Valid(token, now))
		}
		fmt.Fprintln(&b, s.Tokens.Issued())
		for _, m := range s.Members() {
			fmt.Fprintln(&b, m.ID, m.Values["password"], m.Values["secret_answer"])
		}
		for _, m := range s.FindUnique("twice") {
			fmt.Fprintln(&b, m.ID)
		}
		b.WriteString(keepertest.Ask(s, pasted, "GET", "/api/ext/check/HO-000001?id=1002", ""))
		b.WriteString(keepertest.Ask(s, pasted, "GET", "/api/ext/users?per_page=100", ""))
		return b.String()
	}
	made := map[string]bool{}
	call := func(name, method, path, body string) keepertest.Step[*yapplitest.Server] {
		return keepertest.Step[*yapplitest.Server]{Name: name, Do: func(s *yapplitest.Server) {
			answer := keepertest.Ask(s, pasted, method, path, body)
			if s.Err() == nil && !strings.HasPrefix(answer, "200 ") {
				t.Errorf("%s: %s", name, answer)
			}
			if id := regexp.MustCompile(`"id":"(\d+)"`).FindStringSubmatch(answer); method == "POST" && id != nil {
				if made[id[1]] {
					t.Errorf("%s: the id %s was given before", name, id[1])
				}
				made[id[1]] = true
			}
			if token := regexp.MustCompile(`AT-[^"]+`).FindString(answer); token != "" {
				tokens = append(tokens, token)
			}
		}}
	}
	step := func(name string, f func(s *yapplitest.Server)) keepertest.Step[*yapplitest.Server] {
		return keepertest.Step[*yapplitest.Server]{Name: name, Do: f}
	}
	const users = "/api/ext/users"
	keepertest.Steps(t, open, look, []keepertest.Step[*yapplitest.Server]{
		step("paste a token", func(s *yapplitest.Server) { s.Tokens.Accept(pasted, time.Time{}) }),
		call("issue a token", "POST", "/api/ext/token", `{"grant_type":"client_credentials","client_id":"`+yapplitest.ClientID+`","client_secret":"`+yapplitest.ClientSecret+`"}`),
		step("hand over", func(s *yapplitest.Server) { s.IssueHandover("1002") }),
		call("create", "POST", users, `{"unique_id":"twice","column01":"<b>\u0000\u2028山田","password":"secret"}`),
		call("create another of the same", "POST", users, `{"unique_id":"twice","rank":3}`),
		call("change the first of them", "PUT", users+"/1001", `{"unique_id":"twice"}`),
		call("change an invented one", "PUT", users+"/1003", `{"column02":null,"column50":"x","secret_answer":"y"}`),
		call("change it again", "PUT", users+"/1003", `{"column02":"2000-01-01"}`),
		step("delete an invented one", func(s *yapplitest.Server) { s.Delete("1004") }),
		call("create one to be deleted", "POST", users, `{"unique_id":"gone"}`),
		step("delete the last", func(s *yapplitest.Server) { members := s.Members(); s.Delete(members[len(members)-1].ID) }),
		call("create after that", "POST", users, `{"unique_id":"new"}`),
		step("put", func(s *yapplitest.Server) {
			s.Put(yapplitest.Member{ID: "abc", Values: map[string]string{"unique_id": "by hand"}})
		}),
		step("shuffle", func(s *yapplitest.Server) { s.Shuffle(7) }),
		step("revoke", func(s *yapplitest.Server) { s.Tokens.Revoke(tokens[len(tokens)-1]) }),
		{Name: "make by hand", Do: func(s *yapplitest.Server) {
			_, _ = s.ByHand().Save("members", "", map[string]string{"unique_id": "hand"})
		}},
		{Name: "change by hand", Do: func(s *yapplitest.Server) {
			_, _ = s.ByHand().Save("members", "1003", map[string]string{"column07": "by hand"})
		}},
		{Name: "delete by hand", Do: func(s *yapplitest.Server) { _ = s.ByHand().Delete("members", "1003") }},
		step("replace all", func(s *yapplitest.Server) {
			if err := s.Load(strings.NewReader(`{"users":[{"id":"7","unique_id":"only"}]}`)); err != nil {
				t.Error(err)
			}
		}),
		call("create after all were replaced", "POST", users, `{"unique_id":"second"}`),
	})
}
