package sandbox_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// library answers lists of three books in several shapes, and changes one.
func library(o sandbox.Options) (s *sandbox.Server, changes *int) {
	changes = new(int)
	s = sandbox.NewServer("library", -1, o)
	for path, body := range map[string]string{
		"/bare": `[%s]`, "/items": `{"items":[%s],"pagination":{"total_count":9,"total_pages":3}}`, "/deep": `{"a":{"n":1,"books":[%s]}, "total":9}`,
	} {
		s.Handle("GET "+path, func(w http.ResponseWriter, _ *sandbox.Request) {
			sandbox.Encoded(w, fmt.Appendf(nil, body, `{"id":1,"t":["a"]},{"id":2},{"id":"3","x":{"id":4}}`))
		})
		s.Lists("GET " + path)
	}
	s.Handle("GET /times", func(w http.ResponseWriter, _ *sandbox.Request) {
		sandbox.Encoded(w, []byte(`[{"a":"2026-11-22T02:00:00Z","b":"2026-11-22T02:00:00.012+00:00","c":"2026-11-22 02:00:00","d":"2026-11-22T02:00","e":"2026-11-22"}]`))
	})
	s.Lists("GET /times")
	s.ListsHave(true, true)
	s.Handle("GET /one", func(w http.ResponseWriter, _ *sandbox.Request) {
		sandbox.JSON(w, http.StatusOK, map[string]any{"tags": []int{1}})
	})
	s.Handle("PUT /one", func(w http.ResponseWriter, _ *sandbox.Request) {
		*changes++
		sandbox.JSON(w, http.StatusOK, map[string]int{"changes": *changes})
	})
	s.HandleUnlimited("GET /page", func(w http.ResponseWriter, _ *sandbox.Request) { sandbox.JSON(w, http.StatusOK, "page") })
	return s, changes
}

func look(t *testing.T, s *sandbox.Server, request string) string {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	status, body, err := fetch(t.Context(), s.Client(), method, "http://sandbox.test"+path)
	if err != nil {
		return "cut"
	}
	return fmt.Sprint(status, " ", strings.TrimSpace(body))
}

// What each trouble makes of an answer. Where nothing is said the answer stays.
func TestTroubles(t *testing.T) {
	t.Parallel()
	const (
		row1, row2, row3 = `{"id":1,"t":["a"]}`, `{"id":2}`, `{"id":"3","x":{"id":4}}`
		all              = row1 + "," + row2 + "," + row3
		foot             = `,"pagination":{"total_count":9,"total_pages":3}}`
		one              = `{"tags":[1]}`
		unavailable      = `{"error":"unavailable"}`
		html             = "<!DOCTYPE html><html><body><h1>Under maintenance</h1></body></html>"
		warning          = "<br />\n<b>Warning</b>: Undefined index: page in <b>/www/api.php</b><br />\n"
		comment          = "\n<!-- 0.0123 s -->"
	)
	healthy := map[string]string{
		"GET /bare": "[" + all + "]", "GET /items": `{"items":[` + all + "]" + foot, "GET /deep": `{"a":{"n":1,"books":[` + all + `]}, "total":9}`,
		"GET /one": one, "GET /page": `"page"`, "GET /items?previous_id=2": `{"items":[` + all + "]" + foot,
	}
	for id, wants := range map[string]map[string]string{
		sandbox.Refused:      {"GET /one": `429 {"error":"rate_limited"}`, "GET /bare": `429 {"error":"rate_limited"}`},
		sandbox.NoAccess:     {"GET /one": `401 {"error":"invalid_token"}`},
		sandbox.ErrorAt200:   {"GET /one": "200 " + unavailable, "GET /items": "200 " + unavailable},
		sandbox.HTMLPage:     {"GET /one": "200 " + html},
		sandbox.Truncated:    {"GET /one": "200 " + one[:6]},
		sandbox.Doubled:      {"GET /one": "200 " + one + "\n" + one, "GET /bare": "200 [" + all + "][" + all + "]"},
		sandbox.TextBehind:   {"GET /one": "200 " + one + "\n" + comment, "GET /bare": "200 [" + all + "]" + comment},
		sandbox.TextBefore:   {"GET /one": "200 " + warning + one},
		sandbox.Charset:      {"GET /one": "200 " + one},
		sandbox.OtherTimes:   {"GET /times": `200 [{"a":"2026-11-22t02:00:00z","b":"2026-11-22t02:00:00.012+0000","c":"2026/11/22 02:00:00","d":"2026-11-22t02:00","e":"2026-11-22"}]`},
		sandbox.NoBody:       {"GET /one": "200 ", "GET /items": "200 "},
		sandbox.FarRetry:     {"GET /one": `429 {"error":"rate_limited"}`},
		sandbox.EmptyList:    {"GET /bare": "200 []", "GET /items": `200 {"items":[]` + foot, "GET /deep": `200 {"a":{"n":1,"books":[]}, "total":9}`},
		sandbox.NullList:     {"GET /bare": "200 null", "GET /items": `200 {"items":null` + foot},
		sandbox.ErrorBeside:  {"GET /items": `200 {"items":[],"errors":[{"code":"E001","message":"upstream timeout"}]` + foot},
		sandbox.ShortPages:   {"GET /bare": "200 [" + row1 + "," + row2 + "]"},
		sandbox.RepeatedRows: {"GET /bare": "200 [" + all + "," + all + "]"},
		sandbox.NoID:         {"GET /bare": "200 [" + row1 + "," + row2 + `,{"x":{"id":4}}]`},
		sandbox.OtherWrapper: {"GET /bare": `200 {"data":[` + all + "]}", "GET /items": `200 {"records":[` + all + "]" + foot, "GET /deep": `200 {"a":{"n":1,"records":[` + all + `]}, "total":9}`},
		sandbox.ObjectList:   {"GET /bare": `200 {"1":` + row1 + `,"3":` + row2 + `,"5":` + row3 + "}"},
		sandbox.BadRecord:    {"GET /bare": "500 ", "GET /items": "500 "},
		sandbox.WrongTotals:  {"GET /items": `200 {"items":[` + all + `],"pagination":{"total_count":4,"total_pages":1}}`, "GET /deep": `200 {"a":{"n":1,"books":[` + all + `]}, "total":4}`, "GET /bare": "200 [" + all + "]"},
		sandbox.DeadCursor:   {"GET /items?previous_id=2": `200 {"items":[]` + foot, "GET /items": `200 {"items":[` + all + "]" + foot},
	} {
		s, _ := library(sandbox.Options{})
		if err := s.SetTrouble(id, true, float64(0)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if id != sandbox.NoAccess {
			_ = s.SetTrouble(id, true, 1)
		}
		for request, want := range wants {
			if got := look(t, s, request); got != want {
				t.Errorf("%s, %s: %s, want %s", id, request, got, want)
			}
		}
		if got := look(t, s, "GET /page"); got != `200 "page"` {
			t.Errorf("%s: a person's page: %s", id, got)
		}
		_ = s.SetTrouble(id, false, 0)
		for request, want := range healthy {
			if got := look(t, s, request); got != "200 "+want {
				t.Errorf("after %s, %s: %s, want %s", id, request, got, want)
			}
		}
	}
}

// How many requests met a trouble is counted since it was switched on, and the calls name it.
func TestTroubles_Met(t *testing.T) {
	t.Parallel()
	s, changes := library(sandbox.Options{})
	met := func(id string) (n int) {
		for _, trouble := range s.Troubles() {
			if trouble.ID == id {
				n = trouble.Met
			}
		}
		return n
	}
	_ = s.SetTrouble(sandbox.Outage, true, 0)
	seen := map[string]int{}
	for range 6 {
		seen[look(t, s, "PUT /one")]++
		seen[look(t, s, "GET /page")[:3]]++
	}
	if len(seen) < 4 || met(sandbox.Outage) != 12 || *changes != 0 {
		t.Errorf("an outage: %v, met %d times, %d changes", seen, met(sandbox.Outage), *changes)
	}
	_ = s.SetTrouble(sandbox.Outage, true, 0)
	if met(sandbox.Outage) != 12 {
		t.Error("switched on again the count begins anew")
	}
	_ = s.SetTrouble(sandbox.Outage, false, 0)
	if got := look(t, s, "PUT /one"); got != `200 {"changes":1}` || met(sandbox.Outage) != 12 {
		t.Errorf("after the outage: %s, met %d times", got, met(sandbox.Outage))
	}
	_ = s.SetTrouble(sandbox.Outage, true, 0)
	if met(sandbox.Outage) != 0 {
		t.Error("the count of an outage before is still there")
	}
	_ = s.SetTrouble(sandbox.Outage, false, 0)

	_ = s.SetTrouble(sandbox.Truncated, true, 0.25)
	for range 400 {
		_ = look(t, s, "PUT /one")
	}
	if n := met(sandbox.Truncated); n < 60 || n > 140 || *changes != 401 {
		t.Errorf("a quarter of 400 calls: %d, %d changes", n, *changes)
	}
	named := 0
	for _, call := range s.Calls() {
		if call.Fault == sandbox.Truncated {
			named++
		}
	}
	if named != met(sandbox.Truncated) {
		t.Errorf("%d calls are named, %d met it", named, met(sandbox.Truncated))
	}
}

// Pages are answered again in place of the next, and rows in another order each time, but
// all of them.
func TestTroubles_OfLists(t *testing.T) {
	t.Parallel()
	s := sandbox.NewServer("pages", -1, sandbox.Options{})
	s.Handle("GET /list", func(w http.ResponseWriter, r *sandbox.Request) {
		rows := []string{}
		for i := range 8 {
			rows = append(rows, r.Param("page")+fmt.Sprint(i+s.Drifting()))
		}
		sandbox.JSON(w, http.StatusOK, sandbox.Disordered(s, rows))
	})
	s.Lists("GET /list")
	_ = s.SetTrouble(sandbox.FirstPage, true, 1)
	for _, page := range []string{"1", "2", "3"} {
		if got := look(t, s, "GET /list?page="+page)[6:7]; got != "1" {
			t.Errorf("page %s is answered with page %s", page, got)
		}
	}
	_ = s.SetTrouble(sandbox.FirstPage, false, 0)
	_ = s.SetTrouble(sandbox.RepeatedPages, true, 1)
	var got []string
	for _, page := range []string{"1", "2", "2", "3"} {
		got = append(got, look(t, s, "GET /list?page="+page)[6:7])
	}
	if strings.Join(got, "") != "1123" && strings.Join(got, "") != "1122" {
		t.Errorf("pages %v", got)
	}
	_ = s.SetTrouble(sandbox.RepeatedPages, false, 0)
	_ = s.SetTrouble(sandbox.Reordered, true, 0)
	orders := map[string]bool{}
	for range 5 {
		answer := look(t, s, "GET /list?page=1")
		orders[answer] = true
		var rows []string
		if err := json.Unmarshal([]byte(answer[4:]), &rows); err != nil || len(rows) != 8 {
			t.Errorf("%v: %s", err, answer)
		}
	}
	if len(orders) < 3 {
		t.Errorf("%d orders of five answers", len(orders))
	}
	_ = s.SetTrouble(sandbox.Reordered, false, 0)
	_ = s.SetTrouble(sandbox.Drift, true, 0)
	if first, second := s.Drifting(), s.Drifting(); first*second != -1 {
		t.Errorf("drifts by %d, then by %d", first, second)
	}
}

// What a lie says in headers, and what is packed.
func TestTroubles_Headers(t *testing.T) {
	t.Parallel()
	s, _ := library(sandbox.Options{})
	ask := func() (http.Header, []byte) {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://sandbox.test/one", nil)
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.Body.Close() != nil || answer.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("%v, length %s of %d", err, answer.Header.Get("Content-Length"), len(body))
		}
		return answer.Header, body
	}
	unpacked := func(body []byte) string {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return err.Error()
		}
		text, err := io.ReadAll(z)
		return fmt.Sprint(len(text) > 32<<20, strings.TrimSpace(string(text)), err)
	}
	for _, c := range []struct{ id, header, value, body string }{
		{sandbox.Charset, "Content-Type", "application/json; charset=Shift_JIS", ""},
		{sandbox.Unlabeled, "Content-Encoding", "", `false{"tags":[1]}<nil>`},
		{sandbox.Bomb, "Content-Encoding", "gzip", `true{"tags":[1]}<nil>`},
		{sandbox.FarRetry, "Retry-After", time.Now().AddDate(300, 0, 0).UTC().Format("2006"), ""},
		{sandbox.FarRetry, "Retry-After", "9999999999", ""},
	} {
		_ = s.SetTrouble(c.id, true, 1)
		header, body := ask()
		if got := header.Get(c.header); got != c.value && !strings.Contains(got, c.value+" ") {
			t.Errorf("%s: %s is %q, want %q", c.id, c.header, got, c.value)
		}
		if c.body != "" && unpacked(body) != c.body {
			t.Errorf("%s: %s", c.id, unpacked(body))
		}
		_ = s.SetTrouble(c.id, false, 0)
		if header, body := ask(); header.Get("Content-Encoding") != "" || string(body) != "{\"tags\":[1]}\n" {
			t.Errorf("after %s: %v %s", c.id, header, body)
		}
	}
}

// Tokens that were made before are refused as expired, new ones live a minute, and after
// it all of them work as if nothing had been.
func TestTroubles_Expiry(t *testing.T) {
	t.Parallel()
	now := start
	tick := func() time.Time { now = now.Add(time.Second); return now }
	s, _ := library(sandbox.Options{Now: tick})
	if err := s.SetTrouble(sandbox.Expiry, true, 0); err == nil {
		t.Error("without tokens nothing can expire")
	}
	tokens := &sandbox.Tokens{Life: time.Hour}
	s.Expiring(tokens)
	before, refresh := tokens.Issue(tick())
	tokens.Accept("pasted", time.Time{})
	if err := s.SetTrouble(sandbox.Expiry, true, 0); err != nil || tokens.LifeNow() != time.Minute {
		t.Error(err, tokens.LifeNow())
	}
	if tokens.Valid(before, tick()) || tokens.Valid("pasted", tick()) {
		t.Error("an old token is valid")
	}
	next, _, ok := tokens.Redeem(refresh, tick())
	if !ok || !tokens.Valid(next, tick()) {
		t.Error("a new token is refused")
	}
	now = now.Add(time.Minute)
	if tokens.Valid(next, tick()) {
		t.Error("a new token lives for more than a minute")
	}
	if got := s.Troubles()[3]; got.ID != sandbox.Expiry || got.Met != 3 {
		t.Errorf("%+v", got)
	}
	_ = s.SetTrouble(sandbox.Expiry, false, 0)
	if !tokens.Valid(before, tick()) || !tokens.Valid("pasted", tick()) || !tokens.Valid(next, tick()) || tokens.LifeNow() != time.Hour {
		t.Error("a token does not live on after it")
	}
}

// Troubles are switched on and off while requests come, and leave nothing behind.
func TestTroubles_UnderLoad(t *testing.T) {
	t.Parallel()
	s, _ := library(sandbox.Options{})
	healthy := look(t, s, "GET /items?previous_id=2")
	var clients sync.WaitGroup
	var stop atomic.Bool
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				_ = look(t, s, "GET /items?previous_id=2")
				_ = look(t, s, "PUT /one")
			}
		})
	}
	for range 3 {
		for _, trouble := range s.Troubles() {
			amount := min(trouble.Amount, 0.001)
			if err := s.SetTrouble(trouble.ID, true, amount); err != nil {
				t.Error(err)
			}
			_ = s.Troubles()
			if err := s.SetTrouble(trouble.ID, false, 0); err != nil {
				t.Error(err)
			}
			if got := look(t, s, "GET /items?previous_id=2"); got != healthy {
				t.Errorf("after %s: %s", trouble.ID, got)
			}
		}
	}
	stop.Store(true)
	clients.Wait()
}
