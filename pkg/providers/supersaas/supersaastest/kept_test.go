package supersaastest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

type step = keepertest.Step[*supersaastest.Server]

// ask calls the API with the account's key.
func ask(s *supersaastest.Server, method, path, body string) string {
	glue := "?"
	if strings.Contains(path, "?") {
		glue = "&"
	}
	key := s.Token("").Credential.Reveal()
	return keepertest.Ask(s, "", method, path+glue+"account="+url.QueryEscape(s.Account)+"&api_key="+key, body)
}

// Everything that a client or a person can tell outlives the process.
func TestKeeper(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	open := func(k sandbox.Keeper) *supersaastest.Server {
		now = now.Add(time.Minute)
		at := now
		return supersaastest.New(sandbox.Options{Seed: uint64(now.Minute()), Records: 8 + now.Minute(), Rate: -1, Keeper: k, Now: func() time.Time { return at }})
	}
	look := func(s *supersaastest.Server) string {
		var b strings.Builder
		for _, path := range []string{
			"/api/users.json?limit=1000&form=true", "/api/hooks", "/api/promotions.json", "/api/forms.json", "/api/forms.json?id=3120001",
			"/api/changes/555001?from=2020-01-01", "/api/changes/555002?from=2020-01-01", "/api/range/555003?from=2020-01-01", "/api/range/555002?slot=true&from=2020-01-01",
		} {
			b.WriteString(ask(s, "GET", path, ""))
		}
		fmt.Fprintln(&b, s.Token("").Credential.Reveal())
		return b.String()
	}
	made := map[string]bool{}
	call := func(name, method, path, body string) step {
		return step{Name: name, Do: func(s *supersaastest.Server) {
			w := answer(s, method, path, body)
			if s.Err() == nil && w.Code/100 != 2 {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
			if at := w.Header().Get("Location"); at != "" {
				if made[at] {
					t.Errorf("%s: %s was made before", name, at)
				}
				made[at] = true
			}
		}}
	}
	by := func(name string, f func(s *supersaastest.Server)) step { return step{Name: name, Do: f} }
	const first = "20450001"
	booking := fmt.Sprintf(`"schedule_id":"%d","booking":{"start":"2027-01-05 10:00","finish":"2027-01-05 11:00","full_name":"<script>"}}`, supersaastest.ResourceSchedule)
	keepertest.Steps(t, open, look, []step{
		call("add", "POST", "/api/users.json", `{"user":{"name":"hanako@mail.example","full_name":"<b>山田\u2028\u0001 花子"}}`),
		call("add by a foreign key", "POST", "/api/users/new%2F1fk.json", `{"user":{"name":"fk"}}`),
		call("change an invented one", "PUT", "/api/users/"+first, `{"user":{"mobile":"090-0000-0000","field_2":null}}`),
		call("rename", "PUT", "/api/users/"+first, `{"user":{"name":"another"}}`),
		call("take its name", "POST", "/api/users.json", `{"user":{"name":"yuki@mail.example"}}`),
		call("delete an invented one", "DELETE", "/api/users/20450007", ""),
		by("restore it", func(s *supersaastest.Server) { s.RestoreUser(20450007) }),
		by("change what no call can", func(s *supersaastest.Server) {
			s.ChangeUser(20450010, map[string]any{"fk": "own", "credit": supersaastest.Absent, "odd": []int{1}})
		}),
		call("book", "POST", "/api/bookings.json", "{"+booking),
		call("book again", "POST", "/api/bookings.json", "{\"user_id\":\""+first+"\","+strings.Replace(booking, "2027-01-05", "2027-01-06", 2)),
		call("change an invented booking", "PUT", "/api/bookings/90210001.json", `{"booking":{"start":"2027-02-01 09:00","mobile":"1"}}`),
		call("cancel", "DELETE", "/api/bookings/90210004.json", ""),
		by("approve", func(s *supersaastest.Server) { s.ChangeBooking(90210004, "pending") }),
		by("book by hand", func(s *supersaastest.Server) {
			s.Book(supersaastest.CapacitySchedule, 20450004, time.Date(2027, 1, 1, 3, 0, 0, 0, time.UTC))
		}),
		by("submit a form", func(s *supersaastest.Server) { s.SubmitForm(20450004) }),
		by("delete a form", func(s *supersaastest.Server) { s.ChangeForm(3120001, "delete") }),
		call("promote", "POST", "/api/promotions.json", `{"id":"NEW","template_code":"WELCOME10"}`),
		call("register a webhook", "POST", "/api/hooks", `{"event":"M","parent_id":"mihon_salon","target_url":"https://shop.example/x"}`),
		call("register another", "POST", "/api/hooks", `{"event":"U","parent_id":"mihon_salon","target_url":"https://shop.example/y"}`),
		call("take it away", "DELETE", "/api/hooks", `{"id":"3302","parent_id":"mihon_salon"}`),
		call("register a third", "POST", "/api/hooks", `{"event":"P","parent_id":"mihon_salon","target_url":"https://shop.example/z"}`),
		by("roll the key", func(s *supersaastest.Server) { s.RollKey() }),
		{Name: "make by hand", Do: func(s *supersaastest.Server) { _, _ = s.ByHand().Save("users", "", map[string]string{"name": "hand"}) }},
		{Name: "change by hand", Do: func(s *supersaastest.Server) {
			_, _ = s.ByHand().Save("users", "20450016", map[string]string{"full_name": "by hand"})
		}},
		{Name: "delete by hand", Do: func(s *supersaastest.Server) { _ = s.ByHand().Delete("users", "20450016") }},
		by("replace all", func(s *supersaastest.Server) {
			if err := s.Load(strings.NewReader(document)); err != nil {
				t.Error(err)
			}
		}),
		call("change what was loaded", "PUT", "/api/bookings/5.json", `{"booking":{"mobile":"2"}}`),
		call("add after it", "POST", "/api/users.json", `{"user":{"name":"late"}}`),
	})
}

const document = `{"users":[{"id": 7, "name": "only", "full_name": "<ただ> ひとり"}], "deleted_users":[{"id":9,"name":"gone","deleted":true}], "user_forms":{"7":{"a": 1}},
"appointments":[{"id":5,"schedule_id":555001,"start":"2026-12-01T09:00","finish":"2026-12-01T10:00","created_on":"2026-11-01T00:00:00Z"}],
"forms":[{"id":3,"updated_on":"2026-11-01T00:00:00Z"}], "promotions":[], "hooks":[{"id":3400,"trigger":"M","parent_id":880001,"url":"https://shop.example/h","extra":{"k":"v"}}]}`

func answer(s *supersaastest.Server, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://sandbox.test"+path, strings.NewReader(body))
	r.SetBasicAuth(s.Account, s.Token("").Credential.Reveal())
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// A receiver takes webhooks.
type receiver struct {
	mu     sync.Mutex
	bodies []string
	stuck  chan struct{} // not nil: it answers once this is closed
	asked  chan struct{} // not nil: told of each request
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if r.asked != nil {
		r.asked <- struct{}{}
	}
	if r.stuck != nil {
		<-r.stuck
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, string(body))
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: request}, err
}

func (r *receiver) took() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []string
	for _, body := range r.bodies {
		events = append(events, regexp.MustCompile(`"full_name":"[^"]*"`).FindString(body))
	}
	return strings.Join(events, " ")
}

// Webhooks that wait, because they are held back or because nobody has answered yet, are
// posted by the process that goes on, in their order, and never again after that.
func TestKeeper_WaitingWebhooks(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	open := func(r *receiver, held float64) *supersaastest.Server {
		s := supersaastest.New(sandbox.Options{Records: 5, Rate: -1, Keeper: keeper})
		s.Poster, s.Knobs.HoldBack = r, held
		return s
	}
	stuck := &receiver{stuck: make(chan struct{}), asked: make(chan struct{}, 9)}
	s := open(stuck, 0)
	s.Knobs.Asynchronous = true
	s.AddHook(supersaastest.Hook{Trigger: "M", Target: "https://shop.example/h"})
	s.ChangeUser(20450001, map[string]any{"full_name": "a"})
	<-stuck.asked // it is on its way when the process is killed
	s.Knobs.HoldBack = 1
	s.ChangeUser(20450004, map[string]any{"full_name": "b"})
	s.ChangeUser(20450007, map[string]any{"full_name": "c"})

	second := new(receiver)
	s = open(second, 0)
	s.PostWaiting()
	if got := second.took(); got != `"full_name":"a"` {
		t.Errorf("posted after the first restart: %s", got)
	}
	third := new(receiver)
	s = open(third, 1)
	s.PostWaiting()
	if got := third.took(); got != "" {
		t.Errorf("posted again, or though it was held back: %s", got)
	}
	s.Release()
	if got := third.took(); got != `"full_name":"c" "full_name":"b"` {
		t.Errorf("posted when released: %s", got)
	}
	last := new(receiver)
	s = open(last, 0)
	s.PostWaiting()
	s.Release()
	if got := last.took(); got != "" {
		t.Errorf("posted again: %s", got)
	}
	close(stuck.stuck)
	s.Deliveries()
}

// Of many deliveries those that Options says are remembered, the newest.
func TestServer_MaxCalls(t *testing.T) {
	t.Parallel()
	s := supersaastest.New(sandbox.Options{Records: 3, MaxCalls: 4})
	s.Poster = new(receiver)
	s.AddHook(supersaastest.Hook{Trigger: "M", Target: "https://shop.example/h"})
	for i := range 30 {
		s.ChangeUser(20450001, map[string]any{"full_name": fmt.Sprint(i)})
		done := s.Deliveries()
		if want := fmt.Sprintf(`"full_name":"%d"`, i); len(done) != min(i+1, 4) || !strings.Contains(string(done[len(done)-1].Body), want) {
			t.Fatalf("after %d: %d, the last %s", i+1, len(done), done[len(done)-1].Body)
		}
	}
}

// A webhook is posted once its cause is kept, and not before.
func TestKeeper_PostsWhatIsKept(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	var full atomic.Bool
	keeper.Fault = func([]sandbox.Change) error {
		if full.Load() {
			return errors.New("no space left")
		}
		return nil
	}
	taken := new(receiver)
	s := supersaastest.New(sandbox.Options{Records: 3, Rate: -1, Keeper: keeper})
	s.Poster = taken
	s.AddHook(supersaastest.Hook{Trigger: "M", Target: "https://shop.example/h"})
	change := func(name string) string {
		return ask(s, "PUT", "/api/users/20450001.json?webhook=true", `{"user":{"full_name":"`+name+`"}}`)[:3]
	}
	full.Store(true)
	if status := change("a"); status != "503" || taken.took() != "" {
		t.Errorf("status %s, posted %s", status, taken.took())
	}
	full.Store(false)
	if status := change("b"); status != "200" || taken.took() != `"full_name":"a" "full_name":"b"` {
		t.Errorf("status %s, posted %s", status, taken.took())
	}
}
