package supersaas_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func on(schedule int64) supersaas.AppointmentsQuery {
	return supersaas.AppointmentsQuery{Schedule: schedule}
}

func TestRange(t *testing.T) {
	t.Parallel()
	_, c := account(120, "")
	all := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: on(supersaastest.ResourceSchedule)})))
	if len(all) == 0 || len(all) >= 40 {
		t.Fatalf("%d bookings", len(all))
	}
	for i, a := range all {
		if a.Deleted || a.ResourceID == 0 || a.ScheduleID != supersaastest.ResourceSchedule || a.StartUTC.IsZero() || i > 0 && a.StartUTC.Before(all[i-1].StartUTC) {
			t.Errorf("booking %+v", a)
		}
	}
	paged := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: supersaas.AppointmentsQuery{Schedule: supersaastest.ResourceSchedule, Limit: 7, Offset: 3}})))
	if len(paged) != len(all)-3 || paged[0].ID != all[3].ID || paged[len(paged)-1].ID != all[len(all)-1].ID {
		t.Errorf("%d bookings in pages of 7 from 3, of %d", len(paged), len(all))
	}
	tokyo := time.FixedZone("JST", 9*3600)
	day := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: on(supersaastest.ResourceSchedule),
		From: time.Date(2025, 4, 9, 0, 0, 0, 0, tokyo), To: time.Date(2025, 4, 9, 10, 0, 0, 0, tokyo)})))
	if len(day) != 1 || day[0].Start != "2025-04-09T09:00" || !day[0].StartUTC.Equal(instant(t, "2025-04-09T00:00:00Z")) {
		t.Errorf("one hour: %+v", day)
	}
	rooms := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: on(supersaastest.ResourceSchedule), Resource: all[0].ResourceID})))
	if len(rooms) == 0 || len(rooms) == len(all) || rooms[0].ResourceName != all[0].ResourceName {
		t.Errorf("%d bookings of one resource", len(rooms))
	}
	service := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: on(supersaastest.ServiceSchedule), Service: 556001})))
	none := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: on(supersaastest.ServiceSchedule), Service: 1})))
	if len(service) == 0 || len(none) != 0 || service[0].ServiceID != 556001 || service[0].ServiceName == "" {
		t.Errorf("%d and %d bookings of a service", len(service), len(none))
	}
}

func TestRangeOfAUser(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	user := s.AddUser(map[string]any{"name": "a@mail.example", "fk": "9"})
	mine := s.Book(supersaastest.ResourceSchedule, user, instant(t, "2026-11-23T01:00:00Z"))
	nobodys := s.Book(supersaastest.ResourceSchedule, 0, instant(t, "2026-11-23T03:00:00Z"))
	for user, want := range map[string]int64{text(user): mine, "9fk": mine, "a@mail.example": mine, "0": nobodys, "stranger": 0} {
		q := on(supersaastest.ResourceSchedule)
		q.User = user
		found := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: q})))
		if want == 0 && len(found) != 0 || want != 0 && (len(found) != 1 || found[0].ID != want) {
			t.Errorf("user %s: %+v", user, found)
		}
	}
}

func TestRangeOfToday(t *testing.T) {
	t.Parallel()
	// It is 2026-11-22 in UTC and 2026-11-23 in Tokyo.
	now := instant(t, "2026-11-22T20:00:00Z")
	s := supersaastest.New(sandbox.Options{Records: -1, Rate: -1, Now: func() time.Time { return now }})
	for _, at := range []string{"2026-11-22T14:59:00Z", "2026-11-22T15:00:00Z", "2026-11-23T14:59:00Z", "2026-11-23T15:00:00Z"} {
		s.Quiet().Book(supersaastest.ResourceSchedule, 0, instant(t, at))
	}
	token := s.Token(base)
	_, body := raw(t, s, "GET /api/range/555001.json?today=true&account="+token.Account+"&api_key="+token.Credential.Reveal()+" HTTP/1.1\r\nHost: h\r\n\r\n")
	if strings.Count(body, `"schedule_id"`) != 2 || !strings.Contains(body, `"start":"2026-11-23T00:00"`) || !strings.Contains(body, `"start":"2026-11-23T23:59"`) {
		t.Errorf("today: %s", body)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	s, c := account(120, "")
	from := instant(t, "2025-04-01T00:00:00Z")
	all := must(collect(c.Changes(ctx, supersaas.ChangesQuery{AppointmentsQuery: on(supersaastest.ResourceSchedule), From: from})))
	deleted := 0
	for _, a := range all {
		if a.Deleted {
			deleted++
		}
	}
	if len(all) != 40 || deleted == 0 {
		t.Errorf("%d bookings, %d deleted", len(all), deleted)
	}
	changed := func(a supersaas.Appointment) time.Time {
		if a.UpdatedOn.IsZero() {
			return a.CreatedOn
		}
		return a.UpdatedOn
	}
	zone := time.FixedZone("JST", 9*3600)
	part := must(collect(c.Changes(ctx, supersaas.ChangesQuery{AppointmentsQuery: on(supersaastest.ResourceSchedule),
		From: changed(all[10]).In(zone), To: changed(all[20]).In(zone)})))
	if len(part) != 10 || part[0].ID != all[10].ID || part[9].ID != all[19].ID {
		t.Errorf("from the 11th to before the 21st: %d", len(part))
	}
	s.ChangeBooking(all[5].ID, "destroy")
	late := must(collect(c.Changes(ctx, supersaas.ChangesQuery{AppointmentsQuery: on(supersaastest.ResourceSchedule), From: time.Now().Add(-time.Minute)})))
	if len(late) != 1 || late[0].ID != all[5].ID || !late[0].Deleted {
		t.Errorf("after a deletion: %+v", late)
	}
	before := s.Count("")
	if _, err := c.ReadChanges(ctx, supersaas.ChangesQuery{AppointmentsQuery: on(supersaastest.ResourceSchedule)}); err == nil || s.Count("") != before {
		t.Errorf("without a start: %v", err)
	}
	if _, err := c.ReadRange(ctx, supersaas.RangeQuery{}); err == nil || s.Count("") != before {
		t.Errorf("without a schedule: %v", err)
	}
	token := s.Token(base)
	_, body := raw(t, s, "GET /api/changes/555001.json?account="+token.Account+"&api_key="+token.Credential.Reveal()+" HTTP/1.1\r\nHost: h\r\n\r\n")
	if n := strings.Count(body, `"start_utc"`); n != 10 {
		t.Errorf("without a start, as bytes: %d rows", n)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	s, c := account(120, "")
	q := supersaas.AppointmentsQuery{Schedule: supersaastest.CapacitySchedule, Slots: true, Limit: 4}
	slots := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: q})))
	bookings := 0
	for _, slot := range slots {
		bookings += len(slot.Bookings)
		if slot.Count != int64(len(slot.Bookings)) || slot.Title == "" || slot.Start == "" || slot.Bookings[0].SlotID != slot.ID || slot.Location == "" || slot.Capacity != 0 {
			t.Errorf("slot %+v", slot)
		}
	}
	q.Slots = false
	flat := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: q})))
	if len(slots) != 10 || bookings != len(flat) || flat[0].Slot == nil || flat[0].Slot.ID != flat[0].SlotID || flat[0].Start != "" {
		t.Errorf("%d slots with %d bookings, %d flat", len(slots), bookings, len(flat))
	}
	q.Slots = true
	if changed := must(collect(c.Changes(ctx, supersaas.ChangesQuery{AppointmentsQuery: q, From: instant(t, "2025-01-01T00:00:00Z")}))); len(changed) != 10 {
		t.Errorf("%d changed slots", len(changed))
	}
	_, err := c.ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: on(supersaastest.CapacitySchedule), Resource: 1})
	wantKind(t, err, providers.ErrInvalid, 405)
	q.Schedule = supersaastest.ServiceSchedule
	_, err = c.ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: q})
	wantKind(t, err, providers.ErrInvalid, 501)
	_, err = c.ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: on(4)})
	wantKind(t, err, providers.ErrNotFound, 404)
	s.Knobs.BareLists = true
	if bare := must(collect(c.Range(ctx, supersaas.RangeQuery{AppointmentsQuery: on(supersaastest.CapacitySchedule)}))); len(bare) != len(flat) {
		t.Errorf("%d bookings in a bare array", len(bare))
	}
	if page := must(c.ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: on(supersaastest.CapacitySchedule)})); page.Shape != supersaas.ShapeArray {
		t.Errorf("the page has the shape %q", page.Shape)
	}
}

func TestTimesAreSentAsDocumented(t *testing.T) {
	t.Parallel()
	a := &answering{body: "[]"}
	c := a.client("")
	at := time.Date(2026, 3, 14, 1, 2, 3, 0, time.FixedZone("JST", 9*3600))
	must(c.ReadChanges(ctx, supersaas.ChangesQuery{AppointmentsQuery: on(5), From: at, To: at}))
	must(c.ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: supersaas.AppointmentsQuery{Schedule: 5, Limit: 2, Offset: 4, Slots: true, User: "9fk"}, From: at, To: at, Resource: 7, Service: 8}))
	must(c.ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: on(5)}))
	for i, want := range []string{
		"/api/changes/5.json?from=2026-03-13+16%3A02%3A03&to=2026-03-13+16%3A02%3A03",
		"/api/range/5.json?from=2026-03-14+01%3A02%3A03&limit=2&offset=4&resource_id=7&service_id=8&slot=true&to=2026-03-14+01%3A02%3A03&user=9fk",
		"/api/range/5.json",
	} {
		if got := a.sent[i].URL.RequestURI(); got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
	}
}

func TestAppointmentDecoding(t *testing.T) {
	t.Parallel()
	var a supersaas.Appointment
	if err := json.Unmarshal([]byte(bookingSample), &a); err != nil {
		t.Fatal(err)
	}
	if a.ID != 90210001 || a.Start != "2026-03-14T09:00" || a.Finish != "2026-03-14T10:00" || a.ResourceID != 555001 || a.ResourceName != "Room A" ||
		a.UserID != 20450117 || a.Price != "150000" || a.PriceDecimal != "1500.00" || a.Deleted || a.Status != "104" || a.FullName != "山田 花子" ||
		a.Email != "hanako@mail.example" || !a.FinishUTC.Equal(instant(t, "2026-03-14T01:00:00Z")) || !a.CreatedOn.Equal(instant(t, "2026-03-01T00:10:00Z")) ||
		!a.UpdatedOn.IsZero() || string(a.Raw()) != bookingSample {
		t.Errorf("appointment %+v", a)
	}
	for body, want := range map[string]bool{`"W"`: true, `true`: true, `1`: true, `false`: false, `null`: false, `"no"`: false} {
		if err := json.Unmarshal([]byte(`{"id":1,"resource":"B","user_id":"0","waitlisted":`+body+`}`), &a); err != nil || a.Waitlisted != want || a.ResourceName != "B" || a.UserID != 0 {
			t.Errorf("%s: %+v, %v", body, a, err)
		}
	}
	for _, body := range []string{`{}`, `{"bookings":null}`, `{"slots":{}}`, `{"bookings":[{}]}`, `"x"`, `5`} {
		for _, err := range (&answering{body: body}).client("").Range(ctx, supersaas.RangeQuery{AppointmentsQuery: on(5)}) {
			wantKind(t, err, providers.ErrMalformed, 200)
		}
	}
	for _, err := range (&answering{body: `[{"id":"x"}]`}).client("").Range(ctx, supersaas.RangeQuery{AppointmentsQuery: on(5)}) {
		wantKind(t, err, providers.ErrInvalid, 200)
	}
	for _, body := range []string{`{"bookings":[]}`, `{"slots":[]}`, `[]`} {
		if got := must(collect((&answering{body: body}).client("").Range(ctx, supersaas.RangeQuery{AppointmentsQuery: on(5)}))); len(got) != 0 {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func FuzzAppointment(f *testing.F) {
	for _, seed := range []string{bookingSample, `{"id":1,"slot":{"id":2,"bookings":[{"id":3}]}}`, `{"id":1,"slot":null,"bookings":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var a supersaas.Appointment
		if json.Unmarshal(body, &a) == nil && (a.ID <= 0 || a.UserID < 0 || len(a.Raw()) == 0) {
			t.Fatalf("appointment %+v of %s", a, body)
		}
	})
}

func TestSchedulesAndFields(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	want := []supersaas.Schedule{{ID: 555001, Name: "個室エステ"}, {ID: 555002, Name: "ヨガクラス"}, {ID: 555003, Name: "到府美甲"}}
	for _, tuples := range []bool{false, true} {
		s.Knobs.Tuples = tuples
		got := must(c.Schedules(ctx))
		if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("schedules %v", got)
		}
	}
	fields := must(c.FieldList(ctx, 0))
	if len(fields) != 6 || fields[3] != (supersaas.Field{Name: "field_1", Label: "フリガナ", Type: "text"}) || fields[5] != (supersaas.Field{Name: "super_field", Label: "担当者メモ", Type: "select", Advanced: true, Spec: "A,B,C"}) {
		t.Errorf("fields %+v", fields)
	}
	if fields := must(c.FieldList(ctx, 555001)); fields[len(fields)-1].Name != "field_1_r" {
		t.Errorf("fields of a schedule %+v", fields)
	}
	_, err := c.FieldList(ctx, 4)
	wantKind(t, err, providers.ErrNotFound, 404)
	for _, body := range []string{`[[]]`, `[{"name":"x"}]`, `[["x",1]]`, `{}`, `[5]`, `null`, `{"errors":[{"status":"400","title":"x"}]}`, `[[1,"x"]`, `[[1,"x"]] OK`, `<html>`} {
		_, err := (&answering{body: body}).client("").Schedules(ctx)
		wantKind(t, err, providers.ErrMalformed, 200)
	}
	got := must((&answering{body: `[{"name":"a","spec":{"x":1},"advanced":1},{"name":5}]`}).client("").FieldList(ctx, 0))
	if len(got) != 2 || got[0].Spec != `{"x":1}` || !got[0].Advanced || got[1].Name != "5" {
		t.Errorf("fields %+v", got)
	}
	_, err = (&answering{body: `[5]`}).client("").FieldList(ctx, 0)
	wantKind(t, err, providers.ErrMalformed, 200)
	_, err = (&answering{body: `{}`}).client("").Hooks(ctx)
	wantKind(t, err, providers.ErrMalformed, 200)
}

// A page of a range costs the sandbox what the page holds, not what the
// schedule does, also while bookings are made.
func TestSandbox_RangeDoesNotGrowWithTheSchedule(t *testing.T) {
	cost := func(records int, slots bool) float64 {
		s, c := account(records, "")
		schedule := int64(supersaastest.ResourceSchedule)
		if slots {
			schedule = supersaastest.CapacitySchedule
		}
		q := supersaas.RangeQuery{AppointmentsQuery: supersaas.AppointmentsQuery{Schedule: schedule, Limit: 40, Offset: 80, Slots: slots}}
		at := instant(t, "2025-06-01T00:00:00Z")
		return testing.AllocsPerRun(5, func() {
			s.Quiet().Book(schedule, 0, at)
			if page := must(c.ReadRange(ctx, q)); len(page.Records) != 40 {
				t.Errorf("%d records", len(page.Records))
			}
		})
	}
	for _, slots := range []bool{false, true} {
		few, many := cost(3000, slots), cost(60_000, slots)
		if many > 1.2*few+50 {
			t.Errorf("slots %v: %v allocations for a page of few, %v of many", slots, few, many)
		}
	}
}
