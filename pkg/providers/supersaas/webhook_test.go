package supersaas_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
)

// The payloads that papers and integrations show, with invented people.
const (
	newUserSample = `{"id":20450117,"fk":null,"created_on":"2026-03-02T01:15:09Z","role":3,"last_login":"2026-03-02T01:15:40Z",
		"name":"hanako@mail.example","full_name":"山田 花子","credit":"0","email":"hanako@mail.example","mobile":"090-0000-0000","field_1":"A-102","event":"new"}`
	deletedUserSample = `{"id":20450117,"fk":"c-889fk","name":"hanako@mail.example","full_name":"山田 花子","credit":"-","deleted":true,"event":"change"}`
	bookingSample     = `{"id":90210001,"start":"2026-03-14T09:00","finish":"2026-03-14T10:00","resource_id":555001,"created_on":"2026-03-01T00:10:00Z",
		"user_id":20450117,"res_name":"Room A","created_by":"hanako@mail.example","price":150000,"deleted":false,"status":104,
		"status_message":"Approved ","full_name":"山田 花子","start_utc":"2026-03-14T00:00:00Z","finish_utc":"2026-03-14T01:00:00Z",
		"email":"hanako@mail.example","price_decimal":"1500.00","role":3,"event":"create"}`
)

func TestParseWebhook(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		newUserSample:                 "user new 20450117 20450117",
		deletedUserSample:             "user change 20450117 20450117 deleted",
		bookingSample:                 "appointment create 90210001 20450117",
		`{"id":"5","event":"delete"}`: "user delete 5 5 deleted", `{"id":5,"event":"change","deleted":"1"}`: "user change 5 5 deleted",
		`{"id":5,"event":"change","deleted":1}`: "user change 5 5 deleted", `{"id":5,"event":"change","deleted":"true"}`: "user change 5 5 deleted",
		`{"id":5,"event":"change","deleted":null}`: "user change 5 5", `{"id":5,"event":"change","deleted":"no"}`: "user change 5 5",
		`{"id":5,"event":"change","user_id":9}`: "user change 5 5", `{"id":5,"event":"new","deleted":0}`: "user new 5 5",
		`{"event":"purchase","email":"h@mail.example"}`: "purchase purchase 0 0", `{"event":"purchase","user_id":"7"}`: "purchase purchase 0 7",
		`{"id":1,"event":"edit","user_id":0}`: "appointment edit 1 0", `{"id":1,"event":"edit","user_id":null}`: "appointment edit 1 0",
		`{"id":1,"event":"destroy","user_id":2}`: "appointment destroy 1 2 deleted", `{"id":1,"event":"create","deleted":true,"user_id":2}`: "appointment create 1 2 deleted",
		`{"id":1,"event":"place","user_id":2}`: "appointment place 1 2", `{"id":1,"event":"pending","user_id":2}`: "appointment pending 1 2",
		`{"id":1,"event":"approve","user_id":2}`: "appointment approve 1 2", `{"id":1,"event":"revert","user_id":2}`: "appointment revert 1 2",
		`{"id":1,"event":"restore","user_id":2}`: "appointment restore 1 2", `{"id":1,"event":"restore","super_form_id":4,"user_id":2}`: "form restore 1 2",
		`{"id":1,"event":"new","super_form_id":4,"user_id":2}`: "form new 1 2", `{"id":1,"event":"delete","super_form_id":4}`: "form delete 1 0 deleted",
		`{"id":1,"event":"change","start":"2026-03-14T09:00","user_id":2}`: "appointment change 1 2", `{"id":1,"event":"change","slot":{},"user_id":2}`: "appointment change 1 2",
		`{"id":1,"event":"change","resource_id":3,"user_id":2}`: "appointment change 1 2", `{"id":1,"event":"change","start":null}`: "user change 1 1",
		`{"id":1,"event":"payment_received","user_id":2}`: "unknown payment_received 1 2", `{"id":1}`: "unknown  1 0", `{}`: "unknown  0 0",
		`{"id":-3,"event":"new"}`: "user new 0 0", `{"id":1.5,"event":"new"}`: "user new 0 0", `{"id":{},"event":"new"}`: "user new 0 0",
		`{"id":99999999999999999999,"event":"new"}`: "user new 0 0", `{"id":5,"event":7}`: "unknown 7 5 0", `{"id":5,"event":["new"]}`: "unknown  5 0",
		"\xef\xbb\xbf" + ` {"id":5,"event":"new"} `: "user new 5 5",
		`[{"id":5,"event":"new"}]`:                  "user new 5 5",
	} {
		events, err := supersaas.ParseWebhook([]byte(body))
		if err != nil || len(events) != 1 {
			t.Errorf("%s: %d events, %v", body, len(events), err)
			continue
		}
		if got := describe(events[0]); got != want {
			t.Errorf("%s:\n got %s\nwant %s", body, got, want)
		}
	}
	events := must(supersaas.ParseWebhook([]byte(" [" + newUserSample + "," + bookingSample + "]")))
	if len(events) != 2 || events[0].Object != supersaas.UserObject || events[1].Object != supersaas.AppointmentObject {
		t.Errorf("an array: %v", events)
	}
	if events := must(supersaas.ParseWebhook([]byte("[]"))); len(events) != 0 {
		t.Errorf("an empty array: %v", events)
	}
}

func TestParseWebhookRefuses(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", " ", "null", "5", `"x"`, "{", `{"id":5`, "[5]", "[[]]", "[null]", `[{"id":5},]`, "id=5&event=new", "<xml/>", `{"id":5}{}`} {
		if events, err := supersaas.ParseWebhook([]byte(body)); !errors.Is(err, providers.ErrInvalid) || len(events) != 0 {
			t.Errorf("%q: %v, %v", body, events, err)
		}
	}
}

func TestUserStates(t *testing.T) {
	t.Parallel()
	var u supersaas.User
	if err := json.Unmarshal([]byte(`{"id":5,"a":null,"b":"","credit":"-","group":7.50,"form":{"x":[1]}}`), &u); err != nil {
		t.Fatal(err)
	}
	f := u.Fields()
	if v, there := f["a"]; v != nil || !there {
		t.Error("null is lost")
	}
	if f["b"] != "" {
		t.Error("empty is lost")
	}
	if _, there := f["c"]; there {
		t.Error("absent is there")
	}
	if f["group"] != json.Number("7.50") || f["id"] != json.Number("5") || f["credit"] != "-" || u.Group != "7.50" {
		t.Errorf("fields %v", f)
	}
	if got := (supersaas.User{}).Fields(); got == nil || len(got) != 0 {
		t.Errorf("fields of nobody: %v", got)
	}
}

func TestUserDecoding(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int64{
		`{"id":9007199254740993}`: 9007199254740993, `{"id":"12"}`: 12, `{"id":0}`: 0, `{"id":-1}`: 0, `{"id":1.0}`: 1, `{"id":" 1 "}`: 1, `{"id":1.5}`: 0, `{"id":[1]}`: 0, `{"id":null}`: 0, `{}`: 0,
		`[]`: 0, `null`: 0, `{"id":5,"name":[]}`: 5, `{"id":5,"deleted":{}}`: 0, `{"id":5,"deleted":"perhaps"}`: 0, `{"id":5,"deleted":null}`: 5, `{"id":5,"created_on":{}}`: 5, `{"id":5,"created_on":"yesterday","role":"x"}`: 5,
	} {
		var u supersaas.User
		if err := json.Unmarshal([]byte(body), &u); (err == nil) != (want > 0) || u.ID != want {
			t.Errorf("%s: %d, %v", body, u.ID, err)
		}
	}
	var odd supersaas.User
	if err := json.Unmarshal([]byte(`{"id":5,"address":["a"],"updated_on":{},"name":7,"form":[1]}`), &odd); err != nil || !slices.Equal(odd.Odd(), []string{"address", "updated_on"}) || odd.Name != "7" || odd.Address != "" {
		t.Errorf("user %+v with %v odd, %v", odd, odd.Odd(), err)
	}
	for text, want := range map[string]string{
		"2026-03-02T01:15:09Z": "2026-03-02T01:15:09Z", "2026-03-02T01:15:09+09:00": "2026-03-01T16:15:09Z", "2026-03-02T01:15:09": "2026-03-02T01:15:09Z",
		"2026-03-02T01:15": "2026-03-02T01:15:00Z", "2026-03-02 01:15:09": "2026-03-02T01:15:09Z", "soon": "0001-01-01T00:00:00Z",
	} {
		var u supersaas.User
		if err := json.Unmarshal([]byte(`{"id":1,"updated_on":"`+text+`","last_login":null}`), &u); err != nil || u.UpdatedOn.Format("2006-01-02T15:04:05Z07:00") != want || !u.LastLogin.IsZero() {
			t.Errorf("%s: %v, %v", text, u.UpdatedOn, err)
		}
	}
	for fk, want := range map[string]string{`"c-889fk"`: "c-889", `889`: "889", `"889"`: "889", `null`: "", `""`: ""} {
		var u supersaas.User
		if err := json.Unmarshal([]byte(`{"id":1,"fk":`+fk+`}`), &u); err != nil || u.FK != want {
			t.Errorf("%s: %q, %v", fk, u.FK, err)
		}
	}
}

func FuzzParseWebhook(f *testing.F) {
	for _, seed := range []string{newUserSample, deletedUserSample, bookingSample, "[{}]", "\xff", `{"id":"\ud800"}`, `{"slot":{"id":1}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := supersaas.ParseWebhook(body)
		if err != nil && (!errors.Is(err, providers.ErrInvalid) || events != nil) {
			t.Fatalf("%v with %v", events, err)
		}
		for _, e := range events {
			e.Text("id")
			if e.ID < 0 || e.UserID < 0 || e.Object == supersaas.UserObject && e.UserID != e.ID {
				t.Fatalf("event %+v", e)
			}
		}
	})
}

func FuzzUser(f *testing.F) {
	for _, seed := range []string{newUserSample, deletedUserSample, `{"id":1,"form":[]}`, `{"ID":3}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var u supersaas.User
		if json.Unmarshal(body, &u) != nil {
			return
		}
		if u.ID <= 0 || strings.TrimSpace(string(body)) != string(u.Raw()) || len(u.Fields()) == 0 {
			t.Fatalf("user %+v of %s", u, body)
		}
	})
}
