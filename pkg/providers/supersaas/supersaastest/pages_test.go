package supersaastest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

func TestByHand(t *testing.T) {
	t.Parallel()
	s := supersaastest.New(sandbox.Options{Records: 6})
	sandboxtest.Editor(t, s.ByHand(),
		sandboxtest.Kind{
			Name: "users", New: map[string]string{"name": "new@mail.example", "full_name": "山田 花子", "password": "secret", "role": "4", "credit": "2.5", "country": "JP"},
			Text: []string{"full_name", "email", "address", "phone", "mobile", "field_1", "field_2", "super_field"},
		},
		sandboxtest.Kind{
			Name: "appointments", New: map[string]string{"schedule_id": "555001", "user_id": "20450001", "start": "2027-01-05T10:00", "finish": "2027-01-05T11:30", "resource_id": "557002"},
			Text: []string{"full_name", "email", "address", "mobile", "phone", "field_1", "field_2", "field_1_r", "field_2_r", "super_field"},
		})
}

// What is saved by hand keeps to the rules of the API, and is refused in its words.
func TestByHand_Rules(t *testing.T) {
	t.Parallel()
	s := supersaastest.New(sandbox.Options{Records: 20})
	e := s.ByHand()
	users, _, _ := e.List("users", sandbox.RecordQuery{Length: 2})
	book := func(more ...string) map[string]string {
		fields := map[string]string{"schedule_id": "555001", "start": "2027-01-05 10:00", "finish": "2027-01-05 11:00", "resource_id": "557001"}
		for i := 0; i < len(more); i += 2 {
			fields[more[i]] = more[i+1]
		}
		return fields
	}
	taken, err := e.Save("appointments", "", book())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind, id string
		fields   map[string]string
		want     string
	}{
		{"users", "", map[string]string{"full_name": "x"}, "name is required"},
		{"users", "", map[string]string{"name": ""}, "name is required"},
		{"users", "", map[string]string{"name": users[0].Fields["name"]}, "name has already been taken"},
		{"users", users[1].ID, map[string]string{"name": users[0].Fields["name"]}, "name has already been taken"},
		{"users", users[1].ID, map[string]string{"name": strings.Repeat("x", 51)}, "name is too long (maximum is 50 characters)"},
		{"users", users[1].ID, map[string]string{"name": ""}, "name can't be blank"},
		{"users", users[1].ID, map[string]string{"name": "admin"}, "name is reserved"},
		{"users", users[1].ID, map[string]string{"country": "Japan"}, "country is invalid"},
		{"users", "1", map[string]string{"full_name": "x"}, "not found"},
		{"appointments", "", map[string]string{}, "schedule_id is required"},
		{"appointments", "", book("start", ""), "start can't be blank"},
		{"appointments", "", book("finish", "2027-01-05 09:00"), "finish must be after start"},
		{"appointments", "", book("start", "2027-01-05 09:30"), "start conflicts with another booking"},
		{"appointments", "", book("resource_id", "5"), "resource_id is invalid"},
		{"appointments", "", book("user_id", "5"), "user_id is invalid"},
		{"appointments", "", map[string]string{"schedule_id": "555002"}, "slot_id can't be blank"},
		{"appointments", taken, map[string]string{"schedule_id": "555003"}, "schedule_id cannot be changed"},
	} {
		if _, err := e.Save(c.kind, c.id, c.fields); err == nil || err.Error() != c.want {
			t.Errorf("%s %s %v: %v, want %s", c.kind, c.id, c.fields, err, c.want)
		}
	}
	if _, err := e.Save("appointments", taken, map[string]string{"start": "2027-01-05T10:30", "finish": "2027-01-05T11:00", "schedule_id": "555001"}); err != nil {
		t.Fatal(err)
	}
	for _, fields := range []map[string]string{book("finish", "2027-01-05 10:30"), book("resource_id", "557002"), {"schedule_id": "555002", "slot_id": "7700001"}, {"schedule_id": "555003", "start": "2027-03-01 10:00"}} {
		if _, err := e.Save("appointments", "", fields); err != nil {
			t.Errorf("%v: %v", fields, err)
		}
	}
}

// A change by hand fires the webhooks of the account as its own pages do, once, with the
// record as the API shows it.
func TestByHand_FiresWebhooks(t *testing.T) {
	t.Parallel()
	taken := new(receiver)
	s := supersaastest.New(sandbox.Options{Records: 20})
	s.Poster = taken
	for _, trigger := range []string{"M", "U"} {
		s.AddHook(supersaastest.Hook{Trigger: trigger, Target: "https://shop.example/" + trigger})
	}
	for _, trigger := range []string{"N", "C"} {
		s.AddHook(supersaastest.Hook{Trigger: trigger, ParentID: supersaastest.ResourceSchedule, Target: "https://shop.example/" + trigger})
	}
	e := s.ByHand()
	fired := 0
	said := func(what string, err error, want ...string) {
		t.Helper()
		var got []string
		for _, d := range s.Deliveries() {
			event := regexp.MustCompile(`"event":"(\w+)"`).FindStringSubmatch(string(d.Body))
			got = append(got, fmt.Sprintf("%s %s %d", d.Trigger, event[1], d.Status))
		}
		if err != nil || strings.Join(got[max(0, len(got)-len(want)):], ", ") != strings.Join(want, ", ") || len(got) != fired+len(want) {
			t.Errorf("%s: %v; fired %v, of which the last should be %v", what, err, got, want)
		}
		fired = len(got)
	}
	id, err := e.Save("users", "", map[string]string{"name": "new", "full_name": "<b>花子"})
	said("a new user", err, "U new 200", "M new 200")
	_, err = e.Save("users", id, map[string]string{"mobile": "1"})
	said("a changed user", err, "M change 200")
	if raw, _ := s.User(20450001); !strings.Contains(taken.bodies[len(taken.bodies)-1], `"full_name":"<b>花子"`) || len(raw) == 0 {
		t.Errorf("the payload is %s", taken.bodies[len(taken.bodies)-1])
	}
	_, err = e.Save("users", id, map[string]string{"country": "nowhere"})
	if err == nil {
		t.Error("saved")
	}
	said("a refused change", nil)
	booked, err := e.Save("appointments", "", map[string]string{"schedule_id": "555001", "user_id": id, "start": "2027-01-05 10:00", "finish": "2027-01-05 11:00"})
	said("a booking", err, "N create 200", "C create 200")
	_, err = e.Save("appointments", booked, map[string]string{"start": "2027-01-06 10:00"})
	said("a changed booking", err, "C edit 200")
	said("a cancelled booking", e.Delete("appointments", booked), "C destroy 200")
	said("a deleted user", e.Delete("users", id), "M delete 200")
}
