package supersaas_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

// pageTime is how long a page takes at the best of some tries, and how much
// it allocates.
func pageTime(t *testing.T, s *supersaastest.Server, path string) (best time.Duration, allocs float64) {
	t.Helper()
	best = time.Hour
	for range 10 {
		began := time.Now()
		page(t, s, path)
		best = min(best, time.Since(began))
	}
	return best, testing.AllocsPerRun(3, func() { page(t, s, path) })
}

// page asks a sandbox for a path.
func page(t *testing.T, s *supersaastest.Server, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(s.Account, s.Token(base).Credential.Reveal())
	answer, err := s.Client().Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v, %v", path, answer, err)
	}
	body, err := io.ReadAll(answer.Body)
	var compact bytes.Buffer // loaded records keep the white space of their document
	if err := errors.Join(err, json.Compact(&compact, body)); err != nil {
		t.Fatal(err)
	}
	return compact.String()
}

// TestSandbox_PagesOfAppointmentsCostWhatTheyHold: a page of a schedule takes
// about as long as a page of users, however many bookings there are.
func TestSandbox_PagesOfAppointmentsCostWhatTheyHold(t *testing.T) {
	small := supersaastest.New(sandbox.Options{Records: 600, Rate: -1})
	large := supersaastest.New(sandbox.Options{Records: 63_000, Rate: -1})
	users, _ := pageTime(t, large, "/api/users.json?limit=40&offset=100")
	for name, path := range map[string]string{
		"range":           fmt.Sprintf("/api/range/%d.json?limit=40&offset=60", supersaastest.ResourceSchedule),
		"range of a time": fmt.Sprintf("/api/range/%d.json?limit=40&offset=10&from=2025-04-10%%2000:00:00", supersaastest.ResourceSchedule),
		"slots":           fmt.Sprintf("/api/range/%d.json?limit=10&offset=10&slot=true", supersaastest.CapacitySchedule),
		"changes":         fmt.Sprintf("/api/changes/%d.json?limit=40&offset=60&from=2025-01-01%%2000:00:00", supersaastest.ServiceSchedule),
	} {
		t.Run(name, func(t *testing.T) {
			_, few := pageTime(t, small, path)
			took, many := pageTime(t, large, path)
			if took > 20*users || many > 1.1*few {
				t.Errorf("a page of %s takes %s where one of users takes %s, and %.0f allocations where 600 records take %.0f", name, took, users, many, few)
			}
		})
	}
}

// What the lists show after many changes is what they show where the same
// records are loaded at once.
func TestSandbox_ListsFollowEveryChangeOfABooking(t *testing.T) {
	t.Parallel()
	now := instant(t, "2026-11-22T00:00:00Z")
	options := sandbox.Options{Records: 300, Rate: -1, Now: func() time.Time { return now }}
	s := supersaastest.New(options)
	random := rand.New(rand.NewPCG(20261122, 1))
	events := []string{"edit", "destroy", "restore", "destroy", "pending"}
	for i := range 600 {
		now = now.Add(time.Duration(random.IntN(2)) * time.Minute)
		if i%4 == 0 {
			s.Book(supersaastest.ResourceSchedule+random.Int64N(3), 0, instant(t, "2025-04-08T00:00:00Z").AddDate(0, 0, random.IntN(30)))
			continue
		}
		s.ChangeBooking(90210001+random.Int64N(350), events[random.IntN(len(events))])
	}
	var dump bytes.Buffer
	if err := s.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	loaded := supersaastest.New(options)
	if err := loaded.Load(&dump); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"range", "changes"} {
		for schedule := int64(supersaastest.ResourceSchedule); schedule <= supersaastest.ServiceSchedule; schedule++ {
			seen := 0
			for offset := 0; ; offset += 7 {
				path := fmt.Sprintf("/api/%s/%d.json?limit=7&offset=%d&from=2025-04-01%%2000:00:00", list, schedule, offset)
				body, want := page(t, s, path), page(t, loaded, path)
				if body != want {
					t.Fatalf("%s answers %s, want %s", path, body, want)
				}
				if seen += strings.Count(body, `"schedule_id"`); !strings.Contains(body, `"schedule_id"`) {
					break
				}
			}
			if seen < 50 {
				t.Errorf("%s of %d shows %d bookings", list, schedule, seen)
			}
		}
	}
}
