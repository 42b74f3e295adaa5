package actibooktest_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

type step = keepertest.Step[*actibooktest.Server]

// Everything that a client or a person can tell outlives the process.
func TestKeeper(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	open := func(k sandbox.Keeper) *actibooktest.Server {
		now = now.Add(time.Second)
		at := now
		return actibooktest.New(sandbox.Options{Seed: uint64(now.Second()), Records: 11 + now.Second(), Rate: -1, Keeper: k, Now: func() time.Time { return at }})
	}
	var tokens []string
	var tickets []string
	look := func(s *actibooktest.Server) string {
		var b strings.Builder
		fmt.Fprintln(&b, s.Tokens.Issued())
		for _, token := range tokens { // one that is not valid is refused before the body is looked at
			b.WriteString(keepertest.Ask(s, token, "POST", "/api/sso/login", "{}"))
		}
		return b.String()
	}
	call := func(name, path, body string) step {
		return step{Name: name, Do: func(s *actibooktest.Server) {
			token := ""
			if len(tokens) > 0 {
				token = tokens[0]
			}
			answer := keepertest.Ask(s, token, "POST", path, body)
			if s.Err() == nil && !strings.HasPrefix(answer, "200 ") {
				t.Errorf("%s: %s", name, answer)
			}
			if found := regexp.MustCompile(`"access_token":"([^"]+)"`).FindStringSubmatch(answer); found != nil {
				tokens = append(tokens, found[1])
			}
			if found := regexp.MustCompile(`/sso/login/[0-9a-f]+`).FindString(answer); found != "" {
				tickets = append(tickets, found)
			}
		}}
	}
	login := func(parameters string) string { return `{"parameters":{"keyword":"members",` + parameters + `}}` }
	keepertest.Steps(t, open, look, []step{
		call("issue a token", "/api/oauth/token", `{"grant_type":"client_credentials","client_id":"actibook-client","client_secret":"actibook-client-secret-0000"}`),
		call("log somebody in", "/api/sso/login", login(`"user_id":"new","name":"<b>山田\u0001"`)),
		call("log another in", "/api/sso/login", login(`"user_id":"other"`)),
		{Name: "delete an invented one", Do: func(s *actibooktest.Server) { s.Delete(9) }},
		{Name: "delete the last", Do: func(s *actibooktest.Server) { s.Delete(14) }},
		call("log a third in", "/api/sso/login", login(`"user_id":"third"`)),
		{Name: "revoke", Do: func(s *actibooktest.Server) { s.Tokens.Revoke("") }},
		call("issue another", "/api/oauth/token", `{"grant_type":"client_credentials","client_id":"actibook-client","client_secret":"actibook-client-secret-0000"}`),
		{Name: "make by hand", Do: func(s *actibooktest.Server) {
			_, _ = s.ByHand().Save("site_users", "", map[string]string{"group": "会員"})
		}},
		{Name: "change by hand", Do: func(s *actibooktest.Server) {
			_, _ = s.ByHand().Save("site_users", "5", map[string]string{"name": "by hand"})
		}},
		{Name: "delete by hand", Do: func(s *actibooktest.Server) { _ = s.ByHand().Delete("site_users", "5") }},
		{Name: "replace all", Do: func(s *actibooktest.Server) {
			if err := s.Load(strings.NewReader(`{"site_users":[{"id":40,"group":"会員","parameters":{"a": 1}}]}`)); err != nil {
				t.Error(err)
			}
		}},
		{Name: "insert after it", Do: func(s *actibooktest.Server) { s.Insert("会員", map[string]any{"b": 2}) }},
	})
	if len(tickets) != 3 || len(tokens) != 2 {
		t.Errorf("%d tickets and %d tokens", len(tickets), len(tokens))
	}
}

// A redirect URL works once, also if it was opened by a process that is gone, and who
// logs in again is who was made before.
func TestKeeper_Logins(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	open := func() *actibooktest.Server {
		return actibooktest.New(sandbox.Options{Records: 11, Rate: -1, Keeper: keeper})
	}
	s := open()
	token := s.Token("").Credential.Reveal()
	enter := func(s *actibooktest.Server, user string) string {
		answer := keepertest.Ask(s, token, "POST", "/api/sso/login", `{"parameters":{"keyword":"members","user_id":"`+user+`"}}`)
		at, _ := url.Parse(regexp.MustCompile(`http://[^"]+`).FindString(answer))
		return at.Path
	}
	used, fresh := enter(s, "a"), enter(s, "b")
	if got := keepertest.Ask(s, "", "GET", used, ""); !strings.HasPrefix(got, "302 ") {
		t.Errorf("opened: %s", got)
	}
	s = open()
	if got := keepertest.Ask(s, "", "GET", used, ""); !strings.HasPrefix(got, "403 ") {
		t.Errorf("opened a second time: %s", got)
	}
	if got := keepertest.Ask(s, "", "GET", fresh, ""); !strings.HasPrefix(got, "302 ") {
		t.Errorf("opened after a restart: %s", got)
	}
	if next := enter(s, "a"); next == used || next == fresh {
		t.Errorf("%s was given before", next)
	}
	var b strings.Builder
	if err := s.Dump(&b); err != nil || strings.Count(b.String(), `"user_id": "a"`) != 1 || strings.Count(b.String(), `"id": `) != 13 {
		t.Errorf("%v: %s", err, b.String())
	}
}
