package supersaas_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

// TestDocumentedRequests replays every request example of the guide as bytes.
// Its words for values are replaced by values, and encoded.
func TestDocumentedRequests(t *testing.T) {
	t.Parallel()
	s := supersaastest.New(sandbox.Options{Rate: -1, Records: -1})
	id := s.AddUser(map[string]any{"name": "花子@mail.example", "full_name": "山田 花子"})
	token := s.Token(base)
	auth := "api_key=" + token.Credential.Reveal() + "&account=" + token.Account
	sum := supersaas.Checksum(token.Account, token.Credential, "花子@mail.example").Reveal()
	user := func(name string) string {
		return "&user[name]=" + escaped(name) + "&user[email]=new@mail.example&user[password]=pw-0000&user[mobile]=090-0000-0000&user[field_1]=" + escaped("ハナコ")
	}
	for _, tc := range []struct {
		name, method, target string
		status               int
		shows                string
	}{
		{"line 23 login", "GET", "/api/login?account=" + token.Account + "&after=" + escaped("個室エステ") + "&user[name]=" + escaped("花子@mail.example") + "&checksum=" + sum, 302, ""},
		{"line 57 get", "GET", "/api/users/" + text(id) + ".json?" + auth, 200, `"full_name":"山田 花子"`},
		{"line 57 get as XML", "GET", "/api/users/" + text(id) + ".xml?" + auth, 501, "JSON only"},
		{"line 59 list", "GET", "/api/users.json?" + auth + "&limit=10&offset=0&form=true", 200, `"form":null`},
		{"line 59 list as XML", "GET", "/api/users.xml?" + auth + "&limit=10&offset=0&form=true", 501, "JSON only"},
		{"line 66 filter", "GET", "/api/users.json?" + auth + "&user[name]=" + escaped("花子@mail.example"), 200, `"id":` + text(id)},
		{"line 75 create", "POST", "/api/users/?" + auth + user("new1"), 201, ""},
		{"line 78 create under a foreign key", "POST", "/api/users/123fk?" + auth + user("new2"), 201, ""},
		{"line 80 create under an awkward foreign key", "POST", "/api/users?id=" + escaped("{店\t1fk}") + "&" + auth + user("new3"), 201, ""},
		{"line 80 without braces", "POST", "/api/users?id=" + escaped("店\t2fk") + "&" + auth + user("new4"), 201, ""},
		{"line 87 duplicate", "POST", "/api/users/123fk?" + auth + user("new5") + "&duplicate=raise", 422, "already"},
		{"line 91 update", "PUT", "/api/users/" + text(id) + "?" + auth + "&user[full_name]=x", 200, ""},
		{"line 91 update by POST", "POST", "/api/users/" + text(id) + "?" + auth + "&user[full_name]=y", 200, ""},
		{"line 92 update by foreign key", "PUT", "/api/users/123fk?" + auth + "&user[full_name]=z", 200, ""},
		{"line 99 update of an unknown foreign key", "PUT", "/api/users/456fk?" + auth + "&user[name]=new6", 201, ""},
		{"line 100 notfound=error", "PUT", "/api/users/789fk?" + auth + "&user[name]=new7&notfound=error", 404, "Not found"},
		{"line 100 notfound=ignore", "PUT", "/api/users/789fk?" + auth + "&user[name]=new7&notfound=ignore", 200, ""},
		{"line 101 unknown id", "PUT", "/api/users/5?" + auth + "&user[full_name]=x", 404, "Not found"},
		{"line 102 unknown id, ignored", "PUT", "/api/users/5?" + auth + "&user[full_name]=x&notfound=ignore", 200, ""},
		{"line 113 webhook", "PUT", "/api/users/" + text(id) + "?" + auth + "&user[full_name]=x&webhook=true", 200, ""},
		{"line 106 delete", "DELETE", "/api/users/" + text(id) + "?" + auth, 200, ""},
		{"line 106 delete again", "DELETE", "/api/users/" + text(id) + "?" + auth, 404, "Not found"},
	} {
		answer, body := raw(t, s, tc.method+" "+tc.target+" HTTP/1.1\r\nHost: www.supersaas.com\r\nContent-Length: 0\r\n\r\n")
		if answer.StatusCode != tc.status || !strings.Contains(body, tc.shows) || (tc.shows == "" && body != "") {
			t.Errorf("%s: %d %s", tc.name, answer.StatusCode, body)
		}
		switch location := answer.Header.Get("Location"); {
		case tc.status == 201 && !strings.HasPrefix(location, "https://www.supersaas.com/api/users/2"):
			t.Errorf("%s: Location %q", tc.name, location)
		case tc.status == 302 && location != "/schedule/mihon_salon/"+url.PathEscape("個室エステ"):
			t.Errorf("%s: Location %q", tc.name, location)
		}
	}
	if n := len(s.UserIDs()); n != 5 {
		t.Errorf("%d users in the end", n)
	}
}

// TestDocumentedChecksums computes the guide's three recipes, which are one.
func TestDocumentedChecksums(t *testing.T) {
	t.Parallel()
	// printf '%s' 'アカウント名API Keyユーザー名' | md5sum
	got := supersaas.Checksum("アカウント名", providers.NewSecret("API Key"), "ユーザー名").Reveal()
	if want := "d4f1c0b643e08415d30dcde5a1e2fe74"; got != want {
		t.Errorf("checksum %s, want %s", got, want)
	}
	if supersaas.Checksum("a b c", providers.NewSecret("k d"), "u e") != supersaas.Checksum("a_b_c", providers.NewSecret("k d"), "u e") {
		t.Error("spaces of the account do not count as underscores")
	}
	if supersaas.Checksum("a", providers.NewSecret("k d"), "u") == supersaas.Checksum("a", providers.NewSecret("k_d"), "u") {
		t.Error("spaces of the key count as underscores")
	}
}

// TestDocumentedFields decodes every field of the guide's table at once.
func TestDocumentedFields(t *testing.T) {
	t.Parallel()
	const answer = `{"id":"20450117","role":"3","email":"h@mail.example","name":"hanako","full_name":"山田 花子","created_on":"2026-03-02T01:15:09Z",
		"address":"東京都千代田区見本町1-2-3","phone":"03-0000-0000","mobile":"090-0000-0000","country":"JP","timezone":"Asia/Tokyo",
		"field_1":"ヤマダ ハナコ","field_2":"A-102","super_field":"VIP","credit":10,"fk":889}`
	var u supersaas.User
	if err := json.Unmarshal([]byte(answer), &u); err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		u.Email: "h@mail.example", u.Name: "hanako", u.FullName: "山田 花子", u.Address: "東京都千代田区見本町1-2-3", u.Phone: "03-0000-0000",
		u.Mobile: "090-0000-0000", u.Country: "JP", u.Timezone: "Asia/Tokyo", u.Field1: "ヤマダ ハナコ", u.Field2: "A-102",
		u.SuperField: "VIP", u.Credit: "10", u.FK: "889", u.CreatedOn.Format("2006-01-02 15:04:05 MST"): "2026-03-02 01:15:09 UTC",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if u.ID != 20450117 || u.Role != supersaas.RoleUser || string(u.Raw()) != answer {
		t.Errorf("user %+v", u)
	}
}
