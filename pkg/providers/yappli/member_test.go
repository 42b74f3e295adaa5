package yappli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// fullMember has every field of the documents' table (顧客一覧).
const fullMember = `{"id":"1001","unique_id":"ss-20450117","login_id":"hanako@mail.example","rank":1,"column01":"山田 花子",` +
	`"column02":"","column50":null,"secret_quetion":"好きな色","point":120,"logined":1,"enabled":0,"point_geted_at":"メモ",` +
	`"logined_at":"2026-03-02 10:15:10","created_at":"2026-03-01 00:00:00","updated_at":"2026-03-02 10:15:11"}`

func TestDecodeUsersReadsEveryWrapper(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"table", `{"members":[{"member":` + fullMember + `},{"member":` + fullMember + `}]}`, 2},
		{"table with arrays", `{"members":[{"member":[` + fullMember + `,` + fullMember + `]}]}`, 2},
		{"flat", `{"members":[` + fullMember + `]}`, 1},
		{"inner", `{"members":{"member":[` + fullMember + `]}}`, 1},
		{"single", `{"member":` + fullMember + `}`, 1},
		{"single in an array", `{"member":[` + fullMember + `]}`, 1},
		{"bare", fullMember, 1},
		{"bare array", `[` + fullMember + `]`, 1},
		{"totals", `{"total":1,"current_page":1,"last_page":1,"members":[` + fullMember + `]}`, 1},
		{"white space and a byte order mark", "\xef\xbb\xbf \r\n{ \"members\" : [ { \"member\" : " + fullMember + " } ] }\n", 1},
		{"escaped names", `{"m\u0065mbers":[` + strings.Replace(fullMember, `"id"`, `"\u0069d"`, 1) + `]}`, 1},
		{"no members", `{"members":[]}`, 0},
		{"no members inside", `{"members":[{"member":[]}]}`, 0},
	} {
		members, err := yappli.DecodeUsers([]byte(c.body))
		if err != nil || len(members) != c.want || members == nil {
			t.Errorf("%s: %d members, %v", c.name, len(members), err)
			continue
		}
		for _, m := range members {
			if m.ID != "1001" || m.UniqueID != "ss-20450117" || m.LoginID != "hanako@mail.example" || m.Rank != 1 || m.Column(1) != "山田 花子" ||
				m.SecretQuestion != "好きな色" || m.Point != 120 || !m.Logined || m.Enabled || m.PointGetedAt != "メモ" ||
				m.LoginedAt != "2026-03-02 10:15:10" || m.CreatedAt != "2026-03-01 00:00:00" || m.UpdatedAt != "2026-03-02 10:15:11" {
				t.Errorf("%s: decoded %+v", c.name, m)
			}
		}
	}
}

// TestDecodeUsersSkipsEveryWhiteSpace puts each kind of it between all tokens.
func TestDecodeUsersSkipsEveryWhiteSpace(t *testing.T) {
	t.Parallel()
	for _, space := range []string{" ", "\t", "\n", "\r", "\r\n\t "} {
		tokens := strings.Fields(`{ "members" : [ { "member" : { "id" : "1" , "rank" : 7 , "column01" : "a" , "x" : [ 1 , { } ] } } , { "id" : 2 } ] }`)
		members, err := yappli.DecodeUsers([]byte(space + strings.Join(tokens, space) + space))
		if err != nil || len(members) != 2 || members[0].ID != "1" || members[0].Rank != 7 || members[0].Column(1) != "a" || members[1].ID != "2" {
			t.Errorf("%q: %+v, %v", space, members, err)
		}
	}
}

func TestDecodeUsersRefusesWhatIsNoMember(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat(`[`, n) + fullMember + strings.Repeat(`]`, n) }
	if _, err := yappli.DecodeUsers([]byte(deep(8))); err != nil {
		t.Errorf("8 arrays: %v", err)
	}
	for name, body := range map[string]string{
		"nothing": ``, "space": ` `, "null": `null`, "text": `"members"`, "number": `7`, "html": `<!doctype html><html>ログイン</html>`,
		"no wrapper": `{"users":[]}`, "empty object": `{}`, "null members": `{"members":null}`, "text member": `{"members":["1001"]}`,
		"error": `{"error":"invalid_request","error_description":"x"}`, "no id": `{"members":[{"member":{"unique_id":"x"}}]}`,
		"null id": `{"id":null}`, "empty id": `{"members":[` + fullMember + `,{"id":""}]}`, "cut short": `{"members":[{"member":{"id":"1"`,
		"two documents": fullMember + fullMember, "too deep": deep(9), "garbage": "\x00\xff\xfe", "not UTF-8": strings.Replace(fullMember, "メモ", "\xff", 1),
	} {
		t.Run(name, func(t *testing.T) {
			members, err := yappli.DecodeUsers([]byte(body))
			if !errors.Is(err, providers.ErrInvalid) {
				t.Errorf("%d members, %v", len(members), err)
			}
		})
	}
}

func TestMemberIsLenientInTypes(t *testing.T) {
	t.Parallel()
	decode := func(body string) yappli.Member {
		t.Helper()
		members, err := yappli.DecodeUsers([]byte(body))
		if err != nil || len(members) != 1 {
			t.Fatal(err)
		}
		return members[0]
	}
	m := decode(`{"id":1001,"unique_id":20450117,"rank":"3","point":"12.0","logined":"1","enabled":true,"column01":5,"secret_question":"q",` +
		`"external_ids":{"line":"U1"},"column02":"a","column02":"b"}`)
	if m.ID != "1001" || m.UniqueID != "20450117" || m.Rank != 3 || m.Point != 12 || !m.Logined || !m.Enabled || m.Column(1) != "5" ||
		m.SecretQuestion != "q" || m.Column(2) != "b" {
		t.Errorf("decoded %+v", m)
	}
	for name, want := range map[string]string{"enabled": "1", "logined": "1", "rank": "3", "unique_id": "20450117", "secret_question": "q"} {
		t.Run(name, func(t *testing.T) {
			if got, shown := m.Field(name); got != want || !shown {
				t.Errorf("Field(%q) = %q, %v", name, got, shown)
			}
		})
	}
	for _, name := range []string{"id", "point", "external_ids", "secret_quetion", "password", "column03", "column51", "login_id"} {
		if got, shown := m.Field(name); got != "" || shown {
			t.Errorf("Field(%q) = %q, %v", name, got, shown)
		}
	}
	for body, want := range map[string]bool{
		`{"id":"1"}`: true, `{"id":"1","enabled":null}`: true, `{"id":"1","enabled":1}`: true, `{"id":"1","enabled":"1"}`: true,
		`{"id":"1","enabled":0}`: false, `{"id":"1","enabled":0,"enabled":null}`: true, `{"id":"1","enabled":null,"enabled":0}`: false, `{"id":"1","enabled":"0"}`: false, `{"id":"1","enabled":false}`: false,
	} {
		if got := decode(body); got.Enabled != want || got.Logined {
			t.Errorf("%s: enabled %v", body, got.Enabled)
		}
	}
	both := decode(`{"id":"1","secret_question":"new","secret_quetion":"old","rank":"gold","column07":"第\"七\u4e03\ud83d\ude00"}`)
	if both.SecretQuestion != "new" || both.Rank != 0 || both.Column(7) != "第\"七七😀" || both.Column(0) != "" || both.Column(51) != "" {
		t.Errorf("decoded %+v", both)
	}
	if rank, shown := both.Field("rank"); rank != "gold" || !shown {
		t.Errorf("a rank that is no number is kept as it is: %q, %v", rank, shown)
	}
}

// FuzzDecodeUsers compares with what encoding/json alone makes of a bare
// member, and checks that nothing panics on anything else.
func FuzzDecodeUsers(f *testing.F) {
	for _, seed := range []string{
		fullMember, `{"members":[{"member":` + fullMember + `}]}`, `{"members":[]}`, `{"id":1e3,"column01":"\ud800"}`, "\xef\xbb\xbf[]", `{"id":[{}],"a":"\\\""}`,
		`{"member":{"id":"1","x":{"id":"2","y":[1,"]"]}}}`, `{`, `"`, `[[[[[[[[[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		members, err := yappli.DecodeUsers(body)
		if err != nil {
			if !errors.Is(err, providers.ErrInvalid) {
				t.Fatalf("error outside the vocabulary: %v", err)
			}
			return
		}
		for _, m := range members {
			if m.ID == "" {
				t.Fatal("a member without an id")
			}
		}
		var bare map[string]json.RawMessage
		if json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &bare) != nil || bare["id"] == nil {
			return
		}
		if len(members) != 1 {
			t.Fatalf("%d members in a bare one", len(members))
		}
		for _, name := range []string{"column01", "unique_id", "login_id"} {
			var want *string
			if text := bare[name]; len(text) > 0 && text[0] == '"' && json.Unmarshal(text, &want) == nil {
				if got, shown := members[0].Field(name); got != *want || !shown {
					t.Fatalf("Field(%q) = %q, encoding/json reads %q", name, got, *want)
				}
			}
		}
	})
}
