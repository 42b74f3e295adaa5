package shoplinetest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

type step = keepertest.Step[*shoplinetest.Server]

// Everything that a client or a person can tell outlives the process.
func TestKeeper(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	open := func(k sandbox.Keeper) *shoplinetest.Server {
		now = now.Add(time.Second)
		at := now
		s := shoplinetest.New(sandbox.Options{Seed: uint64(now.Second()), Records: 7 + now.Second(), Rate: -1, Keeper: k, Now: func() time.Time { return at }})
		s.AllowLocal, s.Poster = true, new(receiver)
		return s
	}
	var tokens, refresh, files []string
	code, added := "", ""
	look := func(s *shoplinetest.Server) string {
		var b strings.Builder
		newest := s.Token("").Credential.Reveal()
		fmt.Fprintln(&b, newest, s.Tokens.Issued(), s.Tokens.Redeemed())
		for _, token := range append(tokens, newest) {
			b.WriteString(keepertest.Ask(s, token, "GET", "/v1/token/info", ""))
		}
		for _, file := range files {
			b.WriteString(keepertest.Ask(s, "", "GET", file, ""))
		}
		for _, path := range []string{"/v1/orders?per_page=999", "/v1/orders/search?updated_after=2020-01-01+00:00:00", "/v1/customers?sort_by=asc"} {
			b.WriteString(keepertest.Ask(s, newest, "GET", path, ""))
		}
		if added != "" {
			b.WriteString(keepertest.Ask(s, newest, "GET", "/v1/orders/"+added, ""))
		}
		return b.String()
	}
	by := func(name string, f func(s *shoplinetest.Server) error) step {
		return step{Name: name, Do: func(s *shoplinetest.Server) {
			if err := f(s); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}}
	}
	grant := func(name, body string, value *string) step {
		return step{Name: name, Do: func(s *shoplinetest.Server) {
			answer := keepertest.Ask(s, "", "POST", "/developers/oauth/token", fmt.Sprintf(body, *value))
			if found := regexp.MustCompile(`AT-[^"]+`).FindString(answer); found != "" {
				tokens, refresh = append(tokens, found), append(refresh, regexp.MustCompile(`RT-[^"]+`).FindString(answer))
				*value = refresh[len(refresh)-1]
			} else if s.Err() == nil {
				t.Errorf("%s: %s", name, answer)
			}
		}}
	}
	keep := func(of *string, value string, s *shoplinetest.Server) {
		if s.Err() == nil {
			*of = value
		}
	}
	const app = `"client_id":"` + shoplinetest.ClientID + `","client_secret":"` + shoplinetest.ClientSecret + `","redirect_uri":"http://127.0.0.1:8910/callback"}`
	keepertest.Steps(t, open, look, []step{
		by("generate a token", func(s *shoplinetest.Server) error {
			s.GenerateToken(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
			return nil
		}),
		by("generate one for customers", func(s *shoplinetest.Server) error {
			if token := s.GenerateToken(time.Time{}, "/v1/token", "/v1/orders"); s.Err() == nil {
				tokens = append(tokens, token)
			}
			return nil
		}),
		by("allow an address", func(s *shoplinetest.Server) error { return s.AllowIP(tokens[len(tokens)-1], "office", "198.51.100.7") }),
		by("generate one for all", func(s *shoplinetest.Server) error { s.GenerateToken(time.Time{}); return nil }),
		by("approve", func(s *shoplinetest.Server) error {
			c := s.AppConnection("http://sandbox.test")
			keep(&code, c.Code.Reveal(), s)
			s.Tokens.Issue(now)
			return nil
		}),
		grant("exchange", `{"grant_type":"authorization_code","code":"%s",`+app, &code),
		grant("refresh", `{"grant_type":"refresh_token","refresh_token":"%s",`+app, &code),
		by("change a customer", func(s *shoplinetest.Server) error {
			return s.UpdateCustomer(customers(s)[3], map[string]any{"name": "<b>\x01 & 山田"})
		}),
		by("delete a customer", func(s *shoplinetest.Server) error { s.DeleteCustomer(customers(s)[4]); return nil }),
		by("put a customer", func(s *shoplinetest.Server) error {
			return s.PutCustomer(json.RawMessage(`{ "id" : "0000000000000000000000aa", "name": "<ぬ>" }`))
		}),
		by("add an order", func(s *shoplinetest.Server) error { keep(&added, s.AddOrder(), s); return nil }),
		by("archive it", func(s *shoplinetest.Server) error { return s.Archive(added) }),
		by("add another", func(s *shoplinetest.Server) error {
			if id := s.AddOrder(); added != "" && id[16:] == added[16:] { // its number, after its time
				return fmt.Errorf("%s was given before", id)
			}
			return nil
		}),
		by("ship", func(s *shoplinetest.Server) error { return s.ChangeDelivery(orders(s)[2], "shipped") }),
		by("archive an invented one", func(s *shoplinetest.Server) error { return s.Archive(orders(s)[5]) }),
		by("delete an order", func(s *shoplinetest.Server) error { s.DeleteOrder(orders(s)[6]); return nil }),
		by("ask for a report", func(s *shoplinetest.Server) error {
			answer := keepertest.Ask(s, s.Token("").Credential.Reveal(), "POST", "/v1/orders/archived_orders",
				`{"filters":{"start_date":"2020-01-01T00:00:00Z","end_date":"2030-01-01T00:00:00Z"},"callback_url":"http://127.0.0.1:9/x"}`)
			if job := regexp.MustCompile(`"job_id":"([^"]+)"`).FindStringSubmatch(answer); job != nil {
				s.Callbacks()
				files = append(files, "/archived_orders/"+job[1]+".json")
			} else if s.Err() == nil {
				t.Error(answer)
			}
			s.Tokens.Issue(now)
			return nil
		}),
		by("delete a token", func(s *shoplinetest.Server) error { s.DeleteToken(s.Token("").Credential.Reveal()); return nil }),
		by("revoke", func(s *shoplinetest.Server) error { s.Tokens.Revoke(""); return nil }),
		by("generate after that", func(s *shoplinetest.Server) error { s.GenerateToken(time.Time{}); return nil }),
		{Name: "make by hand", Do: func(s *shoplinetest.Server) {
			_, _ = s.ByHand().Save("customers", "", map[string]string{"name": "hand"})
		}},
		{Name: "change by hand", Do: func(s *shoplinetest.Server) {
			_, _ = s.ByHand().Save("customers", customers(s)[2], map[string]string{"name": "by hand"})
		}},
		{Name: "delete by hand", Do: func(s *shoplinetest.Server) { _ = s.ByHand().Delete("customers", customers(s)[2]) }},
		by("replace all", func(s *shoplinetest.Server) error {
			return s.Load(strings.NewReader(`{"customers":[{"id":"00000000000000000000000a", "name":1}],"orders":[]}`))
		}),
		by("add after it", func(s *shoplinetest.Server) error { s.AddOrder(); return nil }),
	})
	if len(tokens) != 3 || len(files) != 1 {
		t.Errorf("%d tokens, %d files", len(tokens), len(files))
	}
}

// records returns the ids of a dump.
func records(s *shoplinetest.Server) (customers, orders []string) {
	var d struct {
		Customers, Orders []struct{ ID string }
	}
	var b strings.Builder
	_ = s.Dump(&b)
	_ = json.Unmarshal([]byte(b.String()), &d)
	for _, c := range d.Customers {
		customers = append(customers, c.ID)
	}
	for _, o := range d.Orders {
		orders = append(orders, o.ID)
	}
	return customers, orders
}

func customers(s *shoplinetest.Server) []string { ids, _ := records(s); return ids }

func orders(s *shoplinetest.Server) []string { _, ids := records(s); return ids }

// A receiver takes callbacks.
type receiver struct {
	taken atomic.Int64
	stuck chan struct{} // not nil: it answers once this is closed
	asked chan struct{} // not nil: told of each request
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, request.Body)
	if r.asked != nil {
		r.asked <- struct{}{}
	}
	if r.stuck != nil {
		<-r.stuck
	}
	r.taken.Add(1)
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: request}, err
}

// A message that a report is ready is posted by the process that goes on, and its file
// is there.
func TestKeeper_WaitingCallbacks(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	open := func(r *receiver) *shoplinetest.Server {
		s := shoplinetest.New(sandbox.Options{Records: 5, Rate: -1, Keeper: keeper})
		s.AllowLocal, s.Poster = true, r
		return s
	}
	stuck := &receiver{stuck: make(chan struct{}), asked: make(chan struct{}, 9)}
	s := open(stuck)
	answer := keepertest.Ask(s, s.Token("").Credential.Reveal(), "POST", "/v1/orders/archived_orders",
		`{"filters":{"start_date":"2020-01-01T00:00:00Z","end_date":"2030-01-01T00:00:00Z"},"callback_url":"http://127.0.0.1:9/x"}`)
	<-stuck.asked // it is on its way when the process is killed
	job := regexp.MustCompile(`"job_id":"([^"]+)"`).FindStringSubmatch(answer)
	for i, want := range []int64{1, 0} {
		r := new(receiver)
		s := open(r)
		s.PostWaiting()
		s.PostWaiting()
		if got := r.taken.Load(); got != want || len(s.Callbacks()) != int(want) {
			t.Errorf("after restart %d: %d callbacks, want %d", i+1, got, want)
		}
		if got := keepertest.Ask(s, "", "GET", "/archived_orders/"+job[1]+".json", ""); got != "200 []\n" {
			t.Errorf("after restart %d: the file: %s", i+1, got)
		}
	}
	close(stuck.stuck)
	s.Callbacks()
}
