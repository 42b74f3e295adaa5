package actibook_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/sandbox"
)

func TestDumpAndLoad(t *testing.T) {
	t.Parallel()
	s, client := newSite(nil)
	if id := s.Insert("会員", map[string]any{"keyword": "members", "name": "<山田>"}); id != 6 {
		t.Errorf("inserted number %d; want 6", id)
	}
	if !s.Delete(2) || s.Delete(2) {
		t.Error("deleting by hand failed")
	}
	before := siteUsers(t, s)
	if len(before) != 5 || !strings.Contains(before[0], `"id":1,"group":"会員","parameters":{"email":"`) {
		t.Errorf("site users %s", before)
	}
	var dump bytes.Buffer
	if err := s.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	other := actibooktest.New(sandbox.Options{Seed: 9})
	if n := len(siteUsers(t, other)); n != 120 {
		t.Errorf("%d site users; want 120", n)
	}
	if err := other.Load(bytes.NewReader(dump.Bytes())); err != nil {
		t.Fatal(err)
	}
	if after := siteUsers(t, other); !slices.Equal(after, before) {
		t.Errorf("loaded %s; want %s", after, before)
	}
	if id := other.Insert("x", nil); id != 7 {
		t.Errorf("the next user has number %d; want 7", id)
	}
	for _, bad := range []string{`{`, `{"site_users":[{}]}`, `{"site_users":[{"id":0,"parameters":{}}]}`, `{"site_users":[{"id":1}]}`} {
		if err := other.Load(strings.NewReader(bad)); err == nil {
			t.Errorf("%s was loaded", bad)
		}
	}
	// A login with the parameters of a user finds that user; deleted, it is
	// made again.
	if _, err := client.Login(t.Context(), map[string]any{"keyword": "members", "name": "<山田>"}); err != nil || len(siteUsers(t, s)) != 5 {
		t.Errorf("login of a known user: %d users, %v", len(siteUsers(t, s)), err)
	}
	s.Delete(6)
	if _, err := client.Login(t.Context(), map[string]any{"keyword": "members", "name": "<山田>"}); err != nil || !strings.HasPrefix(lastUser(t, s), `{"id":7,`) {
		t.Errorf("login of a deleted user: %s, %v", lastUser(t, s), err)
	}
}

// An invented user is found by its parameters too.
func TestLoginOfAnInventedUser(t *testing.T) {
	t.Parallel()
	s, client := newSite(nil)
	line := siteUsers(t, s)[3]
	field := func(name string) string {
		_, rest, _ := strings.Cut(line, `"`+name+`":"`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	parameters := map[string]any{"keyword": "members", "user_id": field("user_id"), "name": field("name"), "email": field("email")}
	for range 2 {
		if _, err := client.Login(t.Context(), parameters); err != nil || len(siteUsers(t, s)) != 5 {
			t.Errorf("%d users, %v", len(siteUsers(t, s)), err)
		}
	}
}

func TestSandboxRefusals(t *testing.T) {
	t.Parallel()
	s, _ := newSite(nil)
	token := s.Token(base).Credential.Reveal()
	head, tail, _ := strings.Cut(token, ".")
	credentials := `"client_id":"` + s.ClientID + `","client_secret":"` + s.ClientSecret + `"`
	bearer := func(token string) string { return jsonType + "Authorization: Bearer " + token + "\r\n" }
	for name, c := range map[string]struct {
		raw    string
		status int
	}{
		"token":             {post("/api/oauth/token", jsonType, `{"grant_type":"client_credentials",`+credentials+`}`), 200},
		"token by form":     {post("/api/oauth/token", "Content-Type: application/x-www-form-urlencoded\r\n", "grant_type=client_credentials"), 400},
		"token by query":    {post("/api/oauth/token?grant_type=client_credentials", jsonType, `{`+credentials+`}`), 400},
		"half a body":       {post("/api/oauth/token", jsonType, `{"grant_type":`), 400},
		"another grant":     {post("/api/oauth/token", jsonType, `{"grant_type":"password",`+credentials+`}`), 400},
		"no secret":         {post("/api/oauth/token", jsonType, `{"grant_type":"client_credentials","client_id":"`+s.ClientID+`"}`), 401},
		"login":             {post("/api/sso/login", bearer(token), `{"parameters":{"keyword":"staff"}}`), 200},
		"no parameters":     {post("/api/sso/login", bearer(token), `{"keyword":"staff"}`), 400},
		"parameters a text": {post("/api/sso/login", bearer(token), `{"parameters":"staff"}`), 400},
		"not JSON":          {post("/api/sso/login", "Content-Type: text/plain\r\nAuthorization: Bearer "+token+"\r\n", `{"parameters":{}}`), 400},
		"no token":          {post("/api/sso/login", jsonType, `{"parameters":{"keyword":"staff"}}`), 401},
		"another signature": {post("/api/sso/login", bearer(head+"."+strings.ToUpper(tail)), `{"parameters":{}}`), 401},
		"no signature":      {post("/api/sso/login", bearer(token+"!"), `{"parameters":{}}`), 401},
		"opaque":            {post("/api/sso/login", bearer("opaque"), `{"parameters":{}}`), 401},
		"another scheme":    {post("/api/sso/login", jsonType+"Authorization: Basic "+token+"\r\n", `{"parameters":{}}`), 401},
	} {
		t.Run(name, func(t *testing.T) {
			if answer := replay(t, s, c.raw); answer.StatusCode != c.status {
				t.Errorf("status %d; want %d", answer.StatusCode, c.status)
			}
		})
	}
}
