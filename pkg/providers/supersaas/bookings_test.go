package supersaas_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

// An other is another program's client of the sandbox: it sends JSON with
// Basic, as the official ones do.
type other struct {
	*testing.T

	sandbox *supersaastest.Server
}

// call returns the status, the id in Location and the answer as JSON.
func (o other) call(method, path, body string) (status int, id string, value any) {
	o.Helper()
	r, err := http.NewRequestWithContext(o.Context(), method, base+"/api/"+path, strings.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	token := o.sandbox.Token(base)
	r.SetBasicAuth(token.Account, token.Credential.Reveal())
	r.Header.Set("Content-Type", "application/json")
	answer, err := o.sandbox.Client().Do(r)
	if err != nil {
		o.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		o.Fatal(err)
	}
	if media := answer.Header.Get("Content-Type"); !strings.HasPrefix(media, "application/json") || answer.ContentLength != int64(len(text)) {
		o.Errorf("%s %s: %q, length %d of %d", method, path, media, answer.ContentLength, len(text))
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &value); err != nil {
			o.Errorf("%s %s: %v in %s", method, path, err, text)
		}
	}
	_, id, _ = strings.Cut(strings.TrimSuffix(answer.Header.Get("Location"), ".json"), "/bookings/")
	return answer.StatusCode, id, value
}

// want calls and compares the status and, as JSON, the answer's field; an
// empty field is not compared.
func (o other) want(method, path, body string, status int, field, value string) {
	o.Helper()
	got, _, answer := o.call(method, path, body)
	if got != status {
		o.Errorf("%s %s %s: %d %v, want %d", method, path, body, got, answer, status)
	}
	if field == "" {
		return
	}
	if shown := show(o.T, at(answer, field)); shown != value {
		o.Errorf("%s %s: %s is %s, want %s", method, path, field, shown, value)
	}
}

// at returns what stands at a path of names and numbers, such as "slots.0.id".
func at(value any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			switch {
			case name == "len":
				value = float64(len(v))
			case len(v) == 0:
				return nil
			case name == "last":
				value = v[len(v)-1]
			default:
				value = v[int(name[0]-'0')]
			}
		default:
			return nil
		}
	}
	return value
}

func show(t *testing.T, value any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(b.String())
}

func another(t *testing.T, records int) other {
	s, _ := account(records, "")
	return other{t, s}
}

// TestBookings books, reads back, moves and cancels.
func TestBookings(t *testing.T) {
	t.Parallel()
	o := another(t, 12)
	status, id, _ := o.call("POST", "bookings.json", `{"schedule_id":555001,"user_id":20450001,"form":true,"webhook":null,"booking":{"start":"2030-01-07 09:00:00","finish":"2030-01-07 10:30:00","resource_id":557002,"full_name":"見本 花子","field_1_r":"<窓側>","mobile":"03-1000-0000","country":"JP"}}`)
	if status != 201 || id == "" {
		t.Fatalf("%d %q", status, id)
	}
	one := "bookings/" + id + ".json?schedule_id=555001"
	for field, value := range map[string]string{
		"id": id, "start": `"2030-01-07T09:00"`, "finish": `"2030-01-07T10:30"`, "start_utc": `"2030-01-07T00:00:00Z"`, "finish_utc": `"2030-01-07T01:30:00Z"`,
		"resource_id": "557002", "res_name": `"個室B"`, "user_id": "20450001", "full_name": `"見本 花子"`, "field_1_r": `"<窓側>"`, "mobile": `"03-1000-0000"`,
		"deleted": "false", "updated_on": "null", "schedule_name": `"個室エステ"`, "form": "null",
	} {
		o.want("GET", one, "", 200, field, value)
	}
	o.want("GET", "bookings/"+id+".json", "", 200, "id", id)
	o.want("GET", "bookings/"+id+".json?schedule_id=555002", "", 404, "errors.0.title", `"Not found"`)
	o.want("GET", "range/555001.json?from=2030-01-07&to=2030-01-08", "", 200, "bookings.0.id", id)
	o.want("GET", "agenda/555001.json?user=20450001", "", 200, "bookings.0.id", id)

	o.want("PUT", "bookings/"+id+".json", `{"schedule_id":555001,"booking":{"start":"2030-01-08T13:00","full_name":"","finish":null}}`, 200, "finish", `"2030-01-08T14:30"`)
	for field, value := range map[string]string{
		"start": `"2030-01-08T13:00"`, "start_utc": `"2030-01-08T04:00:00Z"`, "full_name": `""`, "mobile": `"03-1000-0000"`, "res_name": `"個室B"`, "updated_by": `"administrator"`,
	} {
		o.want("GET", one, "", 200, field, value)
	}
	o.want("GET", "range/555001.json?from=2030-01-07&to=2030-01-08", "", 200, "bookings", "[]")
	o.want("GET", "range/555001.json?from=2030-01-08&to=2030-01-09", "", 200, "bookings.0.id", id)
	o.want("PUT", one, `{"user_id":0,"booking":{"resource_id":557001}}`, 200, "res_name", `"個室A"`)
	o.want("GET", "range/555001.json?user=0&from=2030-01-01", "", 200, "bookings.0.full_name", `"ご来店 様"`)
	o.want("PUT", one, `{"booking":{}}`, 200, "res_name", `"個室A"`)

	o.want("DELETE", one, `{}`, 200, "", "")
	o.want("GET", one, "", 404, "", "")
	o.want("PUT", one, `{"booking":{}}`, 404, "", "")
	o.want("DELETE", one, "", 404, "", "")
	o.want("GET", "range/555001.json?from=2030-01-01", "", 200, "bookings", "[]")
	o.want("GET", "changes/555001.json?from=2026-01-01", "", 200, "bookings.last.deleted", "true")
	o.sandbox.Knobs.GoneAsUser = true
	o.want("GET", one, "", 200, "deleted", "true")
}

func TestBookings_List(t *testing.T) {
	t.Parallel()
	o := another(t, 30)
	o.want("GET", "bookings.json?schedule_id=555001", "", 200, "len", "10")
	o.sandbox.ChangeBooking(90210004, "destroy")
	o.want("GET", "bookings.json?schedule_id=555001", "", 200, "len", "9")
	o.want("GET", "bookings.json?schedule_id=555001&limit=2&offset=1&form=True", "", 200, "len", "2")
	o.want("GET", "bookings.json?schedule_id=555001&start=2025-04-08%2010:00:00&finish=2025-04-08%2012:00:00", "", 200, "len", "1")
	o.want("GET", "bookings.json?schedule_id=555001&start=2025-04-08%2010:00:00&finish=2025-04-08%2012:00:00", "", 200, "0.start", `"2025-04-08T11:00"`)
	o.want("GET", "bookings.json?schedule_id=555001", "", 200, "0.form", "null")
	o.want("GET", "bookings.json?schedule_id=555001&form=true", "", 200, "0.form.同意", "true")
	o.want("GET", "bookings?schedule_id=555002", "", 200, "0.slot.title", `"朝ヨガ"`)
	for path, status := range map[string]int{
		"bookings.json": 404, "bookings.json?schedule_id=1": 404, "bookings.json?schedule_id=555001&start=x": 400, "bookings.json?schedule_id=555001&limit=x": 400,
		"bookings/x.json": 404, "bookings/90210001.xml": 501, "bookings.xml?schedule_id=555001": 501, "groups.xml": 501,
	} {
		o.want("GET", path, "", status, "errors.0.status", `"`+text(int64(status))+`"`)
	}
}

// What breaks a rule changes nothing, and says what and where.
func TestBookings_Refused(t *testing.T) {
	t.Parallel()
	o := another(t, -1)
	o.want("POST", "bookings.json", `{"schedule_id":555001,"booking":{"start":"2030-01-07 09:00:00","finish":"2030-01-07 10:00:00","resource_id":557001}}`, 201, "", "")
	o.want("POST", "bookings.json", `{"schedule_id":555003,"booking":{"start":"2030-01-07 09:00:00"}}`, 201, "", "")
	const hour = `"start":"2030-01-09 09:00:00","finish":"2030-01-09 10:00:00"`
	for body, field := range map[string]string{
		`{"schedule_id":555001}`: "start",
		`{"schedule_id":555001,"booking":{"start":"2030-01-07 12:00:00"}}`:                                               "finish",
		`{"schedule_id":555001,"booking":{"start":"","finish":"2030-01-07 12:00:00"}}`:                                   "start",
		`{"schedule_id":555001,"booking":{"start":"tomorrow","finish":"2030-01-07 12:00:00"}}`:                           "start",
		`{"schedule_id":555001,"booking":{"start":"2030-01-07 12:00:00","finish":"2030-01-07 12:00:00"}}`:                "finish",
		`{"schedule_id":555001,"user_id":5,"booking":{` + hour + `}}`:                                                    "user_id",
		`{"schedule_id":555001,"booking":{` + hour + `,"resource_id":5}}`:                                                "resource_id",
		`{"schedule_id":555001,"booking":{` + hour + `,"slot_id":7700001}}`:                                              "slot_id",
		`{"schedule_id":555001,"booking":{` + hour + `,"service_id":556001}}`:                                            "service_id",
		`{"schedule_id":555001,"booking":{` + hour + `,"country":"Japan"}}`:                                              "country",
		`{"schedule_id":555002,"booking":{` + hour + `}}`:                                                                "slot_id",
		`{"schedule_id":555002,"booking":{"slot_id":5}}`:                                                                 "slot_id",
		`{"schedule_id":555003,"booking":{` + hour + `,"resource_id":557001}}`:                                           "resource_id",
		`{"schedule_id":555001,"booking":{"start":"2030-01-07 09:30","finish":"2030-01-07 09:45","resource_id":557001}}`: "start",
		`{"schedule_id":555001,"booking":{"start":"2030-01-07 08:00","finish":"2030-01-07 12:00","resource_id":557001}}`: "start",
		`{"schedule_id":555003,"booking":{"start":"2030-01-07 09:59:00"}}`:                                               "start",
	} {
		status, _, answer := o.call("POST", "bookings.json", body)
		if complaints, _ := at(answer, "errors").(map[string]any); status != 422 || len(complaints) != 1 || complaints[field] == nil {
			t.Errorf("%s: %d %v, want a complaint of %s", body, status, answer, field)
		}
	}
	for body, status := range map[string]int{
		`{"schedule_id":1,"booking":{` + hour + `}}`: 404, `{"booking":{` + hour + `}}`: 404, `{"schedule_id":555001,"booking":5}`: 400,
		`{"schedule_id":555001,"booking":{"foo":"x"}}`: 400, `{"schedule_id":555001,"booking":{"full_name":["x"]}}`: 400, `{`: 400,
	} {
		o.want("POST", "bookings.json", body, status, "", "")
	}
	o.want("POST", "bookings.json", `{"schedule_id":555001,"booking":{"foo":"x"}}`, 400, "errors.0.title", `"Bad request: unknown attribute 'foo' for Booking"`)
	o.want("GET", "bookings.json?schedule_id=555001", "", 200, "len", "1")

	// The other room is free, and the hours before and after.
	for _, free := range []string{
		`"start":"2030-01-07 09:00","finish":"2030-01-07 10:00","resource_id":"557002"`, `"start":"2030-01-07 08:00","finish":"2030-01-07 09:00","resource_id":557001`,
		`"start":"2030-01-07T01:00:00Z","finish":"2030-01-07T02:00:00Z","resource_id":557001`,
	} {
		o.want("POST", "bookings.json", `{"schedule_id":555001,"booking":{`+free+`}}`, 201, "", "")
	}
	_, id, _ := o.call("POST", "bookings.json", `{"schedule_id":555001,"booking":{`+hour+`,"resource_id":557001}}`)
	o.want("PUT", "bookings/"+id+".json", `{"booking":{"start":"2030-01-07 09:00"}}`, 422, "errors.start.0", `"conflicts with another booking"`)
	o.want("PUT", "bookings/"+id+".json", `{"booking":{"start":"2030-01-09 09:30","finish":"2030-01-09 09:00"}}`, 422, "errors.finish.0", `"must be after start"`)
	o.want("PUT", "bookings/"+id+".json", `{"booking":{"start":"2030-01-09 09:30","finish":"2030-01-09 10:00"}}`, 200, "start", `"2030-01-09T09:30"`) // over itself
	o.sandbox.Knobs.ConflictStatus = 409
	o.want("PUT", "bookings/"+id+".json", `{"booking":{"start":"2030-01-07 09:00"}}`, 409, "", "")
}

// A booking of a capacity schedule joins the others of its slot.
func TestBookings_Slots(t *testing.T) {
	t.Parallel()
	o := another(t, 60)
	_, _, slots := o.call("GET", "range/555002.json?slot=True", "")
	user := text(o.sandbox.AddUser(map[string]any{"name": "a@mail.example"}))
	slot, next := show(t, at(slots, "slots.1.id")), show(t, at(slots, "slots.2.id"))
	_, id, _ := o.call("POST", "bookings.json", `{"schedule_id":555002,"user_id":`+user+`,"booking":{"slot_id":`+slot+`}}`)
	o.want("GET", "bookings/"+id+".json", "", 200, "slot.start", show(t, at(slots, "slots.1.start")))
	o.want("GET", "range/555002.json?slot=TRUE", "", 200, "slots.1.bookings.last.id", id)
	o.want("GET", "agenda/555002.json?user="+user+"&from=2025-04-01&slot=True", "", 200, "slots.last.bookings.last.id", id)
	o.want("PUT", "bookings/"+id+".json", `{"booking":{"slot_id":"`+next+`"}}`, 200, "slot_id", next)
	o.want("GET", "range/555002.json?slot=1", "", 200, "slots.2.bookings.last.id", id)
	o.want("PUT", "bookings/"+id+".json", `{"booking":{"full_name":"見本"}}`, 200, "slot_id", next)
	o.want("GET", "free/555002.json?from=2025-04-01&maxresults=3", "", 200, "slots.len", "3")
	o.want("GET", "range/555002.json?slot=false", "", 200, "slots", "null")
}

func TestAgenda(t *testing.T) {
	t.Parallel()
	o := another(t, -1)
	user := o.sandbox.AddUser(map[string]any{"name": "a@mail.example", "fk": "9"})
	past := o.sandbox.Book(supersaastest.ResourceSchedule, user, time.Now().Add(-time.Hour))
	soon := o.sandbox.Book(supersaastest.ResourceSchedule, user, time.Now().Add(time.Hour))
	o.sandbox.Book(supersaastest.ResourceSchedule, 0, time.Now().Add(time.Hour))
	for _, key := range []string{text(user), "9fk", "a@mail.example"} {
		o.want("GET", "agenda/555001.json?user="+key, "", 200, "bookings.len", "1")
		o.want("GET", "agenda/555001.json?user="+key, "", 200, "bookings.0.id", text(soon))
	}
	o.want("GET", "agenda/555001.json?from=2020-01-01&user="+text(user), "", 200, "bookings.0.id", text(past))
	o.want("GET", "agenda/555001.json?user=stranger", "", 200, "bookings", "[]")
	o.want("GET", "agenda/555001.json", "", 400, "errors.0.title", `"Bad request: user is missing"`)
	o.want("GET", "agenda/5.json?user=1", "", 404, "", "")
	o.want("GET", "agenda/555003.json?user=1&slot=True", "", 501, "", "")
}

func TestFree(t *testing.T) {
	t.Parallel()
	o := another(t, -1)
	o.want("POST", "bookings.json", `{"schedule_id":555001,"booking":{"start":"2030-01-07 09:00","finish":"2030-01-07 10:00","resource_id":557001}}`, 201, "", "")
	const day = "free/555001.json?from=2030-01-07%2008:30:00"
	for path, field := range map[string][2]string{
		day:                                   {"slots.len", "10"},
		day + "&resource=557002":              {"slots.0.start", `"2030-01-07T09:00"`},
		day + "&resource=個室A":                 {"slots.0.start", `"2030-01-07T10:00"`},
		day + "&maxresults=1":                 {"slots.0.resource_id", "557002"},
		day + "&maxresults=1&full=True":       {"slots.0.count", "1"},
		day + "&maxresults=9&length=30":       {"slots.2.finish", `"2030-01-07T10:30"`},
		day + "&length=600&maxresults=1":      {"slots.0.name", `"個室B"`},
		day + "&length=601":                   {"slots", "[]"},
		"free/555001.json?maxresults=2&from=": {"errors.0.status", `"400"`},
	} {
		_, _, answer := o.call("GET", path, "")
		if got := show(t, at(answer, field[0])); got != field[1] {
			t.Errorf("%s: %s is %s, want %s", path, field[0], got, field[1])
		}
	}
	o.want("GET", "free/555001.json", "", 200, "slots.len", "10")
	o.want("GET", "free/555001.json?from=2030-01-07%2018:30:00&maxresults=1", "", 200, "slots.0.start", `"2030-01-08T09:00"`)
	for path, status := range map[string]int{
		"free/555003.json": 501, "free/555002.json?resource=x": 405, "free/555001.json?resource=x": 404, "free/555001.json?length=0": 400,
		"free/555001.json?maxresults=x": 400, "free/1.json": 404,
	} {
		o.want("GET", path, "", status, "errors.0.status", `"`+text(int64(status))+`"`)
	}
	o.sandbox.Knobs.BareLists = true
	o.want("GET", day+"&maxresults=1", "", 200, "0.name", `"個室B"`)
}

func TestInformation(t *testing.T) {
	t.Parallel()
	o := another(t, -1)
	o.want("GET", "resources.json?schedule_id=555001", "", 200, "1", `{"id":557002,"name":"個室B"}`)
	o.want("GET", "resources.json?schedule_id=555003", "", 200, "0", `{"id":556001,"name":"凝膠指甲"}`)
	o.want("GET", "groups.json", "", 200, "0", `{"id":7,"name":"会員"}`)
	o.want("GET", "super_forms.json", "", 200, "0", `{"id":660001,"name":"ご要望"}`)
	for path, status := range map[string]int{"resources.json": 400, "resources.json?schedule_id=1": 404, "resources.json?schedule_id=555002": 405} {
		o.want("GET", path, "", status, "errors.0.status", `"`+text(int64(status))+`"`)
	}
	o.sandbox.Knobs.Tuples = true
	o.want("GET", "resources.json?schedule_id=555001", "", 200, "0", `[557001,"個室A"]`)
	o.want("GET", "groups.json", "", 200, "0", `[7,"会員"]`)
	o.want("GET", "unknown.json", "", 404, "errors.0.title", `"Not found"`)
	o.want("PATCH", "groups.json", "", 404, "errors.0.status", `"404"`)
}

func TestForms(t *testing.T) {
	t.Parallel()
	o := another(t, 40)
	o.want("GET", "forms.json?form_id=660001", "", 200, "len", "10")
	o.want("GET", "forms.json?form_id=660001&limit=2&offset=9", "", 200, "len", "1")
	id := o.sandbox.SubmitForm(20450004)
	o.want("GET", "forms.json?form_id=660001&user=20450004", "", 200, "0.id", text(id))
	o.want("GET", "forms.json?from=2026-01-01%2000:00:00&from_time=2026-01-01%2000:00:00", "", 200, "len", "1")
	o.want("GET", "forms.json?id="+text(id), "", 200, "user_id", "20450004")
	o.sandbox.ChangeForm(3120001, "change")
	o.want("GET", "forms.json?from=2026-01-01", "", 200, "0.id", "3120001")
	o.sandbox.ChangeForm(id, "delete")
	o.want("GET", "forms.json?id="+text(id), "", 404, "errors.0.status", `"404"`)
	o.want("GET", "forms.json?user=20450004", "", 200, "len", "0")
	for path, status := range map[string]int{"forms.json?id=5": 404, "forms.json?form_id=5": 404, "forms.json?from=x": 400, "forms.json?limit=x": 400} {
		o.want("GET", path, "", status, "errors.0.status", `"`+text(int64(status))+`"`)
	}
}

func TestPromotions(t *testing.T) {
	t.Parallel()
	o := another(t, -1)
	o.want("GET", "promotions.json", "", 200, "0", `{"code":"WELCOME10","description":"初回10%オフ","usage":3}`)
	o.want("GET", "promotions.json?limit=1&offset=1", "", 200, "0.code", `"SUMMER500"`)
	o.want("POST", "promotions.json", `{"id":"NEW1","template_code":"WELCOME10"}`, 201, "", "")
	o.want("POST", "promotions.json?id=NEW2&template_code=summer500", "", 201, "", "")
	o.want("GET", "promotions.json", "", 200, "len", "4")
	o.want("GET", "promotions.json?id=NEW1", "", 200, "description", `"初回10%オフ"`)
	o.want("GET", "promotions.json?promotion_code=NEW2", "", 200, "0.usage", "0")
	for request, status := range map[string]int{
		"GET promotions.json?id=X": 404, "GET promotions.json?promotion_code=X": 404, "GET promotions.json?limit=x": 400, "POST promotions.json": 422,
		"POST promotions.json?id=NEW3&template_code=X": 404, "POST promotions.json?id=NEW1&template_code=WELCOME10": 422, "POST promotions.json?id=a-b&template_code=WELCOME10": 422,
	} {
		method, path, _ := strings.Cut(request, " ")
		o.want(method, path, "", status, "", "")
	}
	o.want("GET", "promotions.json", "", 200, "len", "4")
}

// A call's webhook fires if it asks for it, in whichever spelling of true.
func TestBookings_Webhooks(t *testing.T) {
	t.Parallel()
	s, _ := account(3, "")
	o := other{t, s}
	fired := func() int { return len(s.Deliveries()) }
	s.Poster = roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	s.AddHook(supersaastest.Hook{Trigger: "C", ParentID: supersaastest.ResourceSchedule, Target: "https://relay.example/x"})
	for i, webhook := range []string{`true`, `"True"`, `"true"`, `1`} {
		day := "2030-01-0" + text(int64(i+1))
		_, id, _ := o.call("POST", "bookings.json", `{"schedule_id":555001,"webhook":`+webhook+`,"booking":{"start":"`+day+` 09:00","finish":"`+day+` 10:00"}}`)
		o.want("PUT", "bookings/"+id+".json?webhook=True", `{"booking":{"full_name":"x"}}`, 200, "", "")
		o.want("DELETE", "bookings/"+id+".json", `{"webhook":`+webhook+`}`, 200, "", "")
		if got := fired(); got != 3*(i+1) {
			t.Fatalf("%s: %d webhooks", webhook, got)
		}
	}
	bodies := s.Deliveries()
	if !bytes.HasSuffix(bodies[0].Body, []byte(`"event":"create"}`)) || !bytes.HasSuffix(bodies[1].Body, []byte(`"event":"edit"}`)) || !bytes.HasSuffix(bodies[2].Body, []byte(`"event":"destroy"}`)) {
		t.Errorf("%s\n%s\n%s", bodies[0].Body, bodies[1].Body, bodies[2].Body)
	}
	for _, webhook := range []string{`false`, `null`, `"False"`, `0`} {
		o.want("POST", "bookings.json", `{"schedule_id":555001,"webhook":`+webhook+`,"booking":{"start":"2030-02-01 09:00","finish":"2030-02-01 10:00"}}`, 201, "", "")
		_, _, all := o.call("GET", "bookings.json?schedule_id=555001&start=2030-02-01", "")
		o.want("DELETE", "bookings/"+show(t, at(all, "0.id"))+".json", "", 200, "", "")
	}
	if fired() != 12 {
		t.Errorf("%d webhooks", fired())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What calls made survives a dump; what was loaded keeps what it says of
// itself when it is changed.
func TestDumpAndLoad_Bookings(t *testing.T) {
	t.Parallel()
	o := another(t, 12)
	o.want("POST", "promotions.json", `{"id":"NEW1","template_code":"WELCOME10"}`, 201, "", "")
	_, id, _ := o.call("POST", "bookings.json", `{"schedule_id":555001,"booking":{"start":"2030-01-07 09:00","finish":"2030-01-07 10:30","resource_id":557001,"field_2_r":"窓側"}}`)
	form := o.sandbox.SubmitForm(20450001)
	var first, second bytes.Buffer
	if err := o.sandbox.Dump(&first); err != nil {
		t.Fatal(err)
	}
	loaded := another(t, -1)
	if err := loaded.sandbox.Load(bytes.NewReader(first.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := loaded.sandbox.Dump(&second); err != nil || first.String() != second.String() {
		t.Errorf("a dump of what was loaded differs: %v", err)
	}
	loaded.want("GET", "promotions.json?id=NEW1", "", 200, "code", `"NEW1"`)
	loaded.want("GET", "forms.json?id="+text(form), "", 200, "id", text(form))
	loaded.want("GET", "bookings/90210001.json?form=true", "", 200, "form.肌質", `"乾燥"`)
	loaded.want("POST", "bookings.json", `{"schedule_id":555001,"booking":{"start":"2030-01-07 10:15","finish":"2030-01-07 11:00","resource_id":557001}}`, 422, "", "")
	loaded.want("PUT", "bookings/"+id+".json", `{"booking":{"start":"2030-01-07 12:00"}}`, 200, "field_2_r", `"窓側"`)
	loaded.want("GET", "bookings/"+id+".json", "", 200, "finish", `"2030-01-07T13:30"`)
	if !loaded.sandbox.ChangeBooking(90210004, "destroy") || !loaded.sandbox.ChangeBooking(90210004, "restore") || !loaded.sandbox.ChangeBooking(90210004, "pending") {
		t.Error("a loaded booking cannot be changed")
	}
	loaded.want("GET", "bookings/90210004.json", "", 200, "status", "94")
	loaded.want("GET", "bookings/90210004.json", "", 200, "full_name", show(t, at(get(o, "bookings/90210004.json"), "full_name")))
	if err := loaded.sandbox.Load(strings.NewReader(`{"forms":[{"id":1}]}`)); err == nil {
		t.Error("a form without a time was loaded")
	}
	if err := loaded.sandbox.Load(strings.NewReader(`{}`)); err != nil {
		t.Error(err)
	}
	loaded.want("GET", "promotions.json", "", 200, "len", "2")
	loaded.want("GET", "forms.json", "", 200, "len", "0")
}

func get(o other, path string) any {
	_, _, value := o.call("GET", path, "")
	return value
}

// An official client's limiter notes when a call asks to be sent and waits for
// the oldest of its last four: its calls leave as many as five in a second,
// and none of them may be refused. A client without a limiter is.
func TestRate_OfTheOfficialClient(t *testing.T) {
	t.Parallel()
	for _, latency := range []time.Duration{200 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := supersaastest.New(sandbox.Options{Records: -1})
			o := other{t, s}
			random := rand.New(rand.NewPCG(7, uint64(latency)))
			var asked []time.Time // of the calls that the limiter remembers; zero: nothing
			asked = append(asked, make([]time.Time, 4)...)
			for range 400 {
				now := time.Now()
				for !asked[0].IsZero() && now.Sub(asked[0]) >= time.Second {
					asked = append(asked[1:], time.Time{})
				}
				oldest := asked[0]
				asked = append(asked[1:], now)
				if !oldest.IsZero() && now.Sub(oldest) < time.Second {
					time.Sleep(time.Second - now.Sub(oldest))
				}
				time.Sleep(time.Duration(random.Int64N(int64(latency))))
				o.want("GET", "groups.json", "", 200, "", "")
				time.Sleep(time.Duration(random.Int64N(int64(latency))))
			}
			time.Sleep(time.Minute)
			refused := 0
			for range 20 {
				if status, _, _ := o.call("GET", "groups.json", ""); status == 429 {
					refused++
				}
			}
			if refused != 15 {
				t.Errorf("%d of 20 at once were refused", refused)
			}
		})
	}
}
