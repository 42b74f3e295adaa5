package supersaas_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

func TestSandboxData(t *testing.T) {
	t.Parallel()
	s, c := account(400, "")
	_, again := account(400, "")
	all, same := must(c.ReadUsers(ctx, supersaas.UsersQuery{Limit: 400})), must(again.ReadUsers(ctx, supersaas.UsersQuery{Limit: 400}))
	if !bytes.Equal(all.Body, same.Body) {
		t.Error("the same seed gives other users")
	}
	other := supersaastest.New(sandbox.Options{Seed: 12, Records: 400, Rate: -1})
	if got := must(supersaas.New(providers.Fixed(other.Token(base)), unpaced(other.Client())).ReadUsers(ctx, supersaas.UsersQuery{Limit: 400})); bytes.Equal(got.Body, all.Body) {
		t.Error("another seed gives the same users")
	}
	seen := map[string]int{}
	for _, u := range must(collect(c.Users(ctx, supersaas.UsersQuery{}))) {
		f := u.Fields()
		seen[u.Country]++
		seen["role "+text(int64(u.Role))]++
		for _, name := range []string{"fk", "field_1", "field_2", "mobile", "credit"} {
			switch v, there := f[name]; {
			case !there:
				seen[name+" absent"]++
			case v == nil:
				seen[name+" null"]++
			case v == "":
				seen[name+" empty"]++
			default:
				seen[name+" set"]++
			}
		}
		if u.Name == "" || u.FullName == "" || u.CreatedOn.IsZero() || u.Timezone == "" || u.Email == "" {
			t.Errorf("user %s", u.Raw())
		}
	}
	for _, want := range []string{"JP", "TW", "HK", "role 3", "role 4", "role -1", "fk null", "fk set", "field_1 empty", "field_1 set", "field_2 null", "field_2 set", "mobile absent", "mobile set", "credit set"} {
		if seen[want] == 0 {
			t.Errorf("nobody has %s: %v", want, seen)
		}
	}
	for _, fk := range []string{"10000", "店/5 A"} {
		if u := must(c.GetUser(ctx, supersaas.FK(fk), false)); u.FK != fk {
			t.Errorf("fk %q", u.FK)
		}
	}
	if n := len(must(collect(c.Users(ctx, supersaas.UsersQuery{})))); n != 400 || len(s.UserIDs()) != 400 {
		t.Errorf("%d users", n)
	}
}

func TestSandboxRefusesWhatIsNotDocumented(t *testing.T) {
	t.Parallel()
	s, _ := account(3, "")
	token := s.Token(base)
	auth := "account=" + token.Account + "&api_key=" + token.Credential.Reveal()
	for request, want := range map[string]int{
		"GET /api/users.json?limit=x&": 400, "GET /api/users.json?limit=-1&": 400, "GET /api/users.json?offset=&": 400, "GET /api/users.json?limit=0&": 200,
		"GET /api/users?": 200, "GET /api/users/?": 200, "GET /api/users.json?id=20450001&": 200, "GET /api/users.json?id=%7B10000fk%7D&": 200,
		"GET /api/customers.json?": 404, "GET /api/forms.json?": 200, "GET /api/promotions.json?": 200, "DELETE /api/promotions.json?id=WELCOME10&": 404, "PATCH /api/users/20450001.json?": 404, "PUT /api/users.json?": 404, "DELETE /api/users.json?": 404,
		"PUT /api/users.json?id=20450001&user[full_name]=x&": 200, "DELETE /api/users.json?id=20450004&": 200,
		"POST /api/users.json?user[name]=n&duplicate=maybe&": 400, "PUT /api/users/5.json?notfound=maybe&": 400, "POST /api/users/fk?user[name]=n&": 404,
		"PUT /api/users/5.json?user[name]=n&notfound=ignore&": 200, "POST /api/users.json?user[nick]=n&": 400,
		"GET /api/changes/555001.json?from=yesterday&": 400, "GET /api/changes/555001.json?from=2025-04-02&limit=x&": 400, "GET /api/range/555001.json?to=2025-04-02&": 200,
		"GET /api/range/1.json?": 404, "POST /api/hooks?event=Z&parent_id=1&target_url=https://a.example/&": 400, "DELETE /api/hooks?id=1&": 404,
	} {
		answer, body := raw(t, s, request+auth+" HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
		if answer.StatusCode != want {
			t.Errorf("%s: %d %s", request, answer.StatusCode, body)
		}
		if want >= 400 && want != 404 && !strings.Contains(body, `"errors":[{"status":"`+text(int64(want))+`","title":"`) {
			t.Errorf("%s: %s", request, body)
		}
	}
	for body, want := range map[string]int{`{"user":5}`: 400, `{"user":{"name":["x"]}}`: 400, `{"user":{"name":null}}`: 422, `{`: 400, `{"user":{"name":"n","group":7,"email":null}}`: 201} {
		request := fmt.Sprintf("POST /api/users.json?%s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", auth, len(body), body)
		if answer, got := raw(t, s, request); answer.StatusCode != want {
			t.Errorf("%s: %d %s", body, answer.StatusCode, got)
		}
	}
}

func TestDumpAndLoad(t *testing.T) {
	t.Parallel()
	s, c := account(30, "")
	ids := s.UserIDs()
	s.DeleteUser(ids[0])
	s.ChangeUser(ids[1], map[string]any{"full_name": "変更 <後>", "mobile": supersaastest.Absent, "phone": nil, "fk": "77fk"})
	s.AddHook(supersaastest.Hook{Trigger: "M", Target: target.Reveal(), Extra: map[string]string{"k": "v"}})
	var first, second bytes.Buffer
	if err := s.Dump(&first); err != nil {
		t.Fatal(err)
	}
	fresh, client := account(5, "")
	if err := fresh.Load(bytes.NewReader(first.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Dump(&second); err != nil || first.String() != second.String() {
		t.Errorf("a dump of what was loaded differs: %v", err)
	}
	for _, q := range []supersaas.UsersQuery{{Limit: 100}, {Limit: 100, Form: true}} {
		want, got := must(c.ReadUsers(ctx, q)), must(client.ReadUsers(ctx, q))
		if string(got.Body[got.Records[0].Start:]) != string(want.Body[want.Records[0].Start:]) {
			t.Errorf("lists differ (form %v):\n%s\n%s", q.Form, got.Body, want.Body)
		}
	}
	for _, schedule := range []int64{supersaastest.ResourceSchedule, supersaastest.CapacitySchedule, supersaastest.ServiceSchedule} {
		q := supersaas.ChangesQuery{AppointmentsQuery: on(schedule), From: instant(t, "2025-01-01T00:00:00Z")}
		want, got := must(collect(c.Changes(ctx, q))), must(collect(client.Changes(ctx, q)))
		r := supersaas.RangeQuery{AppointmentsQuery: on(schedule)}
		wantRange, gotRange := must(collect(c.Range(ctx, r))), must(collect(client.Range(ctx, r)))
		if len(want) != 10 || len(got) != 10 || got[0].ID != want[0].ID || len(wantRange) != len(gotRange) || wantRange[0].ID != gotRange[0].ID {
			t.Errorf("schedule %d: %d and %d changes", schedule, len(want), len(got))
		}
	}
	var dumped struct {
		Users        []json.RawMessage `json:"users"`
		Appointments []json.RawMessage `json:"appointments"`
		Deleted      []json.RawMessage `json:"deleted_users"`
		Hooks        []supersaastest.Hook
	}
	if err := json.Unmarshal(first.Bytes(), &dumped); err != nil || len(dumped.Users) != 29 || len(dumped.Deleted) != 1 || len(dumped.Appointments) != 29 || len(dumped.Hooks) != 1 {
		t.Errorf("dumped %d users, %d deleted, %d appointments: %v", len(dumped.Users), len(dumped.Deleted), len(dumped.Appointments), err)
	}
	if !fresh.RestoreUser(ids[0]) {
		t.Error("a loaded deleted user is not restored")
	}
	if next := fresh.AddUser(map[string]any{"name": "next"}); next <= slices.Max(ids) {
		t.Errorf("id %d is used again", next)
	}
	if next := fresh.AddHook(supersaastest.Hook{Trigger: "U"}); next != 3302 {
		t.Errorf("hook %d", next)
	}
	for _, broken := range []string{
		"", "[]", `{"users":[{"name":"a"}]}`, `{"users":[{"id":1,"name":"a"},{"id":1,"name":"b"}]}`, `{"users":[{"id":1,"name":"a"},{"id":2,"name":"a"}]}`,
		`{"appointments":[{"id":1}]}`, `{"appointments":[{"id":1,"schedule_id":555001}]}`, `{"appointments":[{"schedule_id":555001,"start":"2025-04-08T09:00"}]}`,
	} {
		if err := fresh.Load(strings.NewReader(broken)); err == nil || len(fresh.UserIDs()) != 31 {
			t.Errorf("%s: loaded, or changed something: %v", broken, err)
		}
	}
}

func TestListsThatLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := account(3, "")
		s.Knobs.Lag = 10 * time.Second
		names := func() string {
			var all []string
			for _, u := range must(collect(c.Users(ctx, supersaas.UsersQuery{}))) {
				all = append(all, u.SuperField)
			}
			slices.Sort(all)
			return strings.Join(all, ",")
		}
		ids := s.UserIDs()
		for _, id := range ids {
			s.Quiet().ChangeUser(id, map[string]any{"super_field": "1"})
		}
		time.Sleep(20 * time.Second)
		s.ChangeUser(ids[0], map[string]any{"super_field": "2"})
		time.Sleep(6 * time.Second)
		s.ChangeUser(ids[0], map[string]any{"super_field": "3"})
		s.DeleteUser(ids[1])
		s.AddUser(map[string]any{"name": "new", "super_field": "4"})
		if got := names(); got != "1,1,1" {
			t.Errorf("at once: %s", got)
		}
		if u := must(c.GetUser(ctx, supersaas.ID(ids[0]), false)); u.SuperField != "3" {
			t.Error("a single user lags")
		}
		time.Sleep(5 * time.Second)
		if got := names(); got != "1,1,2" {
			t.Errorf("after 11 and 5 s: %s", got)
		}
		time.Sleep(5 * time.Second)
		if got := names(); got != "1,3,4" {
			t.Errorf("after 16 and 10 s: %s", got)
		}
		s.RestoreUser(ids[1])
		time.Sleep(5 * time.Second)
		if got := names(); got != "1,3,4" {
			t.Errorf("5 s after a restore: %s", got)
		}
		time.Sleep(5 * time.Second)
		if got := names(); got != "1,1,3,4" {
			t.Errorf("10 s after a restore: %s", got)
		}
	})
}

func TestOrders(t *testing.T) {
	t.Parallel()
	s, c := account(50, "")
	ids := func() []int64 { return pageIDs(t, c, supersaas.UsersQuery{}) }
	byName := ids()
	s.Knobs.Order = supersaastest.ByID
	if byID := ids(); !slices.IsSorted(byID) || slices.Equal(byID, byName) {
		t.Error("by id")
	}
	s.Knobs.Order = supersaastest.Shuffled
	shuffled := ids()
	if slices.IsSorted(shuffled) || slices.Equal(shuffled, byName) || !slices.Equal(shuffled, ids()) {
		t.Error("shuffled")
	}
	id := s.AddUser(map[string]any{"name": "000"})
	s.DeleteUser(shuffled[0])
	if after := ids(); len(after) != 50 || !slices.Contains(after, id) || slices.Contains(after, shuffled[0]) {
		t.Error("after an insertion and a deletion")
	}
	s.Knobs.Order = ""
	if after := ids(); after[0] != id {
		t.Error("the new first name is not first")
	}
	s.ChangeUser(id, map[string]any{"name": "zzz"})
	if after := ids(); after[len(after)-1] != id {
		t.Error("the renamed user did not move")
	}
	if _, ok := s.User(id); !ok || s.AddUser(map[string]any{"name": "zzz"}) != 0 {
		t.Error("a name was given twice")
	}
	gone := s.AddUser(map[string]any{"name": "gone", "fk": "g"})
	s.DeleteUser(gone)
	heir := s.AddUser(map[string]any{"name": "gone", "fk": "g"})
	if s.RestoreUser(gone) || s.RestoreUser(heir) || s.ChangeUser(gone, nil) || s.DeleteUser(gone) || s.ChangeUser(1, nil) || s.DeleteUser(1) || s.RestoreUser(1) {
		t.Error("an impossible change was made")
	}
	if raw, ok := s.User(gone); !ok || !strings.Contains(string(raw), `"deleted":true`) {
		t.Errorf("the deleted user is %s", raw)
	}
}

// TestSandboxOverSockets has many clients at once, with webhooks posted over
// the network to a receiver that reads back.
func TestSandboxOverSockets(t *testing.T) {
	t.Parallel()
	s, _ := account(10, "")
	s.Knobs = supersaastest.Knobs{AllowLocal: true, Asynchronous: true}
	server := httptest.NewServer(s)
	defer server.Close()
	client := supersaas.New(providers.Fixed(s.Token(server.URL)), unpaced(server.Client()))
	received := make(chan string, 100)
	relay := httptest.NewServer(handlerFunc(func(body string) {
		events, err := supersaas.ParseWebhook([]byte(body))
		if err == nil && len(events) == 1 {
			u, err := client.GetUser(ctx, supersaas.ID(events[0].UserID), false)
			received <- fmt.Sprint(u.Name, err)
		}
	}))
	defer relay.Close()
	must(client.CreateHook(ctx, supersaas.ChangedUser, "", providers.NewSecret(relay.URL)))
	var workers sync.WaitGroup
	for i := range 20 {
		workers.Go(func() {
			if _, err := client.CreateUser(ctx, "", supersaas.Fields{"name": fmt.Sprint("u", i)}, supersaas.WriteOptions{Webhook: true}); err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	if n := len(s.Deliveries()); n != 20 || len(received) != 20 || len(s.UserIDs()) != 30 {
		t.Errorf("%d deliveries, %d received, %d users", n, len(received), len(s.UserIDs()))
	}
	relay.Close()
	s.ChangeUser(20450001, nil)
	if d := s.Deliveries(); d[20].Err == nil || d[20].Status != 0 {
		t.Error("a delivery to nowhere went well")
	}
}

func BenchmarkSandboxGetUser(b *testing.B) {
	s, c := account(1000, "")
	ids := s.UserIDs()
	for i := 0; b.Loop(); i++ {
		must(c.GetUser(ctx, supersaas.ID(ids[i%len(ids)]), false))
	}
}

func BenchmarkSandboxNew(b *testing.B) {
	for b.Loop() {
		supersaastest.New(sandbox.Options{Records: -1})
	}
}

func BenchmarkParseWebhook(b *testing.B) {
	body := []byte(strings.TrimSuffix(newUserSample, `"event":"new"}`) + `"address":"` + strings.Repeat("東", 500) + `","event":"new"}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		must(supersaas.ParseWebhook(body))
	}
}

func BenchmarkDecodeMap(b *testing.B) {
	body := []byte(strings.TrimSuffix(newUserSample, `"event":"new"}`) + `"address":"` + strings.Repeat("東", 500) + `","event":"new"}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var m map[string]any
		_ = json.Unmarshal(body, &m)
	}
}
