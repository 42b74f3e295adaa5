package yapplitest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// ask sends a request in-process, without the product's client.
func ask(t *testing.T, s *yapplitest.Server, method, path, media, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://yappli.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token("").Credential.Reveal())
	r.Header.Set("User-Agent", "test")
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	w, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Body.Close() }()
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(b)
}

// listed returns the ids of a list's page.
func listed(t *testing.T, s *yapplitest.Server, query string) []string {
	t.Helper()
	status, body := ask(t, s, "GET", "/api/ext/users"+query, "", "")
	members, err := yappli.DecodeUsers([]byte(body))
	if status != 200 || err != nil {
		t.Fatalf("list %s: %d, %v", query, status, err)
	}
	ids := []string{}
	for _, m := range members {
		ids = append(ids, m.ID)
	}
	return ids
}

func quick(records int) *yapplitest.Server {
	return yapplitest.New(sandbox.Options{Records: records, Rate: -1})
}

const (
	form    = "application/x-www-form-urlencoded"
	jsonTyp = "application/json"
)

func TestRefusesWhatTheDocumentsDoNotAllow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		generation   int
		body         string
		method, path string
		media, sent  string
		want         int
	}{
		{1, "", "GET", "/api/ext/users?limit=0", "", "", 400},
		{1, "", "GET", "/api/ext/users?limit=x", "", "", 400},
		{1, "", "GET", "/api/ext/users?limit=1", "", "", 200},
		{1, "", "GET", "/api/ext/users?offset=-1", "", "", 400},
		{1, "", "GET", "/api/ext/users?page=0", "", "", 200}, // not a parameter of this generation
		{3, "", "GET", "/api/ext/users?page=0", "", "", 400},
		{3, "", "GET", "/api/ext/users?per_page=0", "", "", 400},
		{3, "", "GET", "/api/ext/users?limit=0", "", "", 200},
		{1, "", "GET", "/api/ext/users/9999", "", "", 400},
		{3, "", "GET", "/api/ext/users/9999", "", "", 404},
		{1, "", "GET", "/api/ext/check/x", "", "", 400},
		{1, "", "DELETE", "/api/ext/users/1001", "", "", 404},
		{1, "", "PUT", "/api/ext/users/1001", jsonTyp, `{"column01":"x"}`, 400},
		{1, "", "PUT", "/api/ext/users/1001", form, `column01=x`, 400},
		{1, "", "PUT", "/api/ext/users/1001", "multipart/form-data", `column01=x`, 400},
		{3, "", "PUT", "/api/ext/users/1001", form, `column01=x`, 400},
		{1, "form", "PUT", "/api/ext/users/1001", form, `column01=x`, 200},
		{1, "form", "PUT", "/api/ext/users/1001", form, `column01=%zz`, 400},
		{1, "form", "PUT", "/api/ext/users/1001", form, `unique_id=x`, 400},
		{3, "form", "PUT", "/api/ext/users/1001", form, `unique_id=x`, 200},
		{3, "form", "PUT", "/api/ext/users/1001", form, `point=1`, 400},
		{1, "form", "PUT", "/api/ext/users/1001", form, `enabled=2`, 400},
		{1, "form", "PUT", "/api/ext/users/1001", form, `enabled=`, 400},
		{1, "form", "PUT", "/api/ext/users/1001", form, `rank=gold`, 400},
		{1, "form", "PUT", "/api/ext/users/1001", form, `rank=`, 200},
		{1, "form", "PUT", "/api/ext/users/1001", form, `password=abc&logined=1&logined_at=yesterday`, 200},
		{3, "form", "PUT", "/api/ext/users/1001", form, `password=abc`, 400},
		{3, "form", "PUT", "/api/ext/users/1001", form, `logined=1`, 400},
		{3, "form", "PUT", "/api/ext/users/1001", form, `logined=1&logined_at=yesterday`, 400},
		{3, "form", "PUT", "/api/ext/users/1001", form, `logined=1&logined_at=2026-11-22+10:00:00`, 200},
		{3, "json", "PUT", "/api/ext/users/1001", jsonTyp, `{"rank":"5"}`, 400},
		{3, "json", "PUT", "/api/ext/users/1001", jsonTyp, `{"column01":5}`, 400},
		{3, "json", "PUT", "/api/ext/users/1001", jsonTyp, `{"enabled":null}`, 400},
		{3, "json", "PUT", "/api/ext/users/1001", jsonTyp, `{"rank":null,"colmun02":5}`, 200},
		{3, "json", "PUT", "/api/ext/users/1001", jsonTyp, `{"rank":`, 400},
		{3, "json", "PUT", "/api/ext/users/9999", jsonTyp, `{"rank":1}`, 404},
		{1, "form", "POST", "/api/ext/users", form, `column01=x`, 400},
		{1, "form", "POST", "/api/ext/users", form, `unique_id=`, 400},
		{3, "json", "POST", "/api/ext/users", jsonTyp, `{"unique_id":null}`, 400},
		{3, "json", "POST", "/api/ext/users", jsonTyp, `{"unique_id":"x"}`, 200},
		{1, "", "POST", "/api/ext/token", jsonTyp, `{}`, 400},
		{3, "", "POST", "/api/ext/token", form, `grant_type=client_credentials`, 400},
		{1, "", "POST", "/api/ext/token", form, `grant_type=password&client_id=a&client_secret=b`, 400},
		{1, "", "POST", "/api/ext/token", form, `grant_type=client_credentials&client_id=a&client_secret=b`, 401},
	} {
		s := quick(2)
		s.Generation, s.Body = c.generation, c.body
		status, body := ask(t, s, c.method, c.path, c.media, c.sent)
		if status != c.want {
			t.Errorf("generation %d, %s %s %s: %d %s", c.generation, c.method, c.path, c.sent, status, body)
		}
		if changed := s.Members()[0].Values["column01"] == "x"; changed && status != 200 {
			t.Errorf("%s %s: refused, but took effect", c.method, c.sent)
		}
	}
	s := quick(1)
	s.MissingStatus = 410
	if status, _ := ask(t, s, "GET", "/api/ext/users/7", "", ""); status != 410 {
		t.Errorf("MissingStatus: %d", status)
	}
}

// However a caller writes a rank, the member's JSON holds a JSON number.
func TestRankIsAnsweredAsANumber(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{"05": "5", "%2B5": "5", "-0": "0", "-007": "-7"} {
		s := quick(1)
		s.Body = "form"
		status, body := ask(t, s, "PUT", "/api/ext/users/1001", form, "rank="+sent)
		if status != 200 || !strings.Contains(body, `"rank":`+want+`,`) {
			t.Errorf("rank=%s: %d %s", sent, status, body)
		}
		if _, list := ask(t, s, "GET", "/api/ext/users", "", ""); !json.Valid([]byte(list)) {
			t.Errorf("rank=%s: the list is no JSON: %s", sent, list)
		}
		if err := s.Dump(io.Discard); err != nil {
			t.Errorf("rank=%s: %v", sent, err)
		}
	}
}

// A place beyond any list is refused, not multiplied past the largest integer.
func TestPagesFarAway(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"page=9223372036854775807", "page=9223372036854775807&per_page=2", "page=2147483649", "per_page=9223372036854775807"} {
		s := quick(2)
		s.Generation = 3
		if status, body := ask(t, s, "GET", "/api/ext/users?"+query, "", ""); status != 400 {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	s := quick(2)
	s.Generation = 3
	if got := listed(t, s, "?page=2147483648"); len(got) != 0 {
		t.Errorf("the last page that is allowed: %q", got)
	}
}

func TestNullAndEmptyStayApart(t *testing.T) {
	t.Parallel()
	s := quick(1)
	s.Body = "json"
	status, body := ask(t, s, "PUT", "/api/ext/users/1001", jsonTyp, `{"rank":null,"column01":"","column02":null,"logined_at":null}`)
	if status != 200 || !strings.Contains(body, `"rank":null,"column01":"","column02":null,"column03":"`) {
		t.Errorf("%d %s", status, body)
	}
}

// A tenant that trims compares the unique_id of a creation without its white
// space, too.
func TestTrim(t *testing.T) {
	t.Parallel()
	for _, body := range []string{jsonTyp, form} {
		s := quick(1)
		s.Trim, s.Duplicate, s.Body = true, yapplitest.Refuse, map[string]string{jsonTyp: "json", form: "form"}[body]
		sent := map[string]string{jsonTyp: `{"unique_id":" u\u3000","column01":"\ta b\n"}`, form: "unique_id=+u%E3%80%80&column01=%09a+b%0A"}[body]
		if status, answer := ask(t, s, "POST", "/api/ext/users", body, sent); status != 200 || !strings.Contains(answer, `"unique_id":"u"`) {
			t.Errorf("%s: POST %d %s", body, status, answer)
		}
		if status, answer := ask(t, s, "POST", "/api/ext/users", body, sent); status != 400 {
			t.Errorf("%s: POST again %d %s", body, status, answer)
		}
		if status, answer := ask(t, s, "PUT", "/api/ext/users/1001", body, strings.ReplaceAll(sent, "unique_id", "login_id")); status != 200 {
			t.Errorf("%s: PUT %d %s", body, status, answer)
		}
		for _, m := range s.Members() {
			if m.Values["column01"] != "a b" || m.ID == "1001" && m.Values["login_id"] != "u" {
				t.Errorf("%s: stored %q", body, m.Values)
			}
		}
		blank := map[string]string{jsonTyp: `{"unique_id":"\u3000"}`, form: "unique_id=+"}[body]
		if status, answer := ask(t, s, "POST", "/api/ext/users", body, blank); status != 400 {
			t.Errorf("%s: POST of a blank unique_id %d %s", body, status, answer)
		}
	}
	s := quick(0)
	s.Body = "json"
	ask(t, s, "POST", "/api/ext/users", jsonTyp, `{"unique_id":" u ","column01":" a "}`)
	if found := s.FindUnique(" u "); len(found) != 1 || found[0].Values["column01"] != " a " {
		t.Errorf("without the knob: %q", found)
	}
}

func TestListsCanBeClampedSkippedAndShuffled(t *testing.T) {
	t.Parallel()
	s := quick(6)
	s.Put(yapplitest.Member{ID: "x-1"}) // ids that are no numbers come last
	if got := listed(t, s, ""); !slices.Equal(got, []string{"1001", "1002", "1003", "1004", "1005", "1006", "x-1"}) {
		t.Errorf("list %q", got)
	}
	if got := listed(t, s, "?limit=2&offset=5"); !slices.Equal(got, []string{"1006", "x-1"}) {
		t.Errorf("offset 5: %q", got)
	}
	if got := listed(t, s, "?limit=2&offset=99"); len(got) != 0 {
		t.Errorf("offset 99: %q", got)
	}
	s.MaxPage = 3
	if got := listed(t, s, "?limit=50"); len(got) != 3 {
		t.Errorf("clamped: %q", got)
	}
	s.MaxPage, s.Skip = 0, func(id string) bool { return id == "1002" }
	if got := listed(t, s, "?limit=2"); !slices.Equal(got, []string{"1001", "1003"}) {
		t.Errorf("skipped: %q", got)
	}
	s.Skip = nil
	plain := listed(t, s, "")
	s.Shuffle(7)
	shuffled := listed(t, s, "")
	if slices.Equal(plain, shuffled) || len(shuffled) != 7 || !slices.Equal(shuffled, listed(t, s, "")) {
		t.Errorf("shuffled %q", shuffled)
	}
	s.Put(yapplitest.Member{})
	if got := listed(t, s, ""); len(got) != 8 || !slices.Contains(got, "1007") {
		t.Errorf("after a creation in a shuffled list: %q", got)
	}
	for _, id := range shuffled {
		if m, ok := s.Find(id); !ok || m.ID != id {
			t.Errorf("%s cannot be found in a shuffled list", id)
		}
	}
	s.Shuffle(0)
	if got := listed(t, s, ""); !slices.Equal(got, append(plain[:6:6], "1007", "x-1")) {
		t.Errorf("order restored: %q", got)
	}
}

func TestMembersCanChangeBetweenPages(t *testing.T) {
	t.Parallel()
	for _, generation := range []int{1, 3} {
		s := quick(7)
		s.Generation = generation
		var pages []int
		s.BetweenPages = func(page int) {
			pages = append(pages, page)
			s.Delete(fmt.Sprint(1000 + page)) // 1002 before page 2, 1003 before page 3
		}
		token := s.Token("http://yappli.example")
		quirks, err := yappli.ParseQuirks(token.Quirks)
		if err != nil {
			t.Fatal(err)
		}
		token.Quirks = fmt.Appendf(nil, `{"page_size":2,"paging":%q}`, quirks.Paging)
		var got []string
		for m, err := range yappli.New(providers.Fixed(token), &providers.Options{HTTP: s.Client(), Limiter: rate.NewLimiter(rate.Inf, 0)}).Users(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.ID)
		}
		// Each deletion shifts a member over the boundary: 1003 and 1006 are missed.
		if !slices.Equal(got, []string{"1001", "1002", "1004", "1005", "1007"}) || !slices.Equal(pages, []int{2, 3, 4}) {
			t.Errorf("generation %d: %q, hook before pages %v", generation, got, pages)
		}
	}
}

// TestListsLag: each page shows some instant within Lag, single reads do not
// lag, and after Lag without changes the list is the truth.
func TestListsLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := quick(3)
		s.Lag = 10 * time.Second
		time.Sleep(time.Hour)
		s.Delete("1001")
		time.Sleep(time.Second)
		id := s.Put(yapplitest.Member{Values: map[string]string{"unique_id": "u", "column01": "first"}})
		time.Sleep(time.Second)
		s.Put(yapplitest.Member{ID: id, Values: map[string]string{"unique_id": "u", "column01": "second"}})
		time.Sleep(time.Second)
		if m, _ := s.Find(id); m.Values["column01"] != "second" {
			t.Error("a single read lags")
		}
		seen := map[string]bool{}
		for range 300 {
			_, body := ask(t, s, "GET", "/api/ext/users", "", "")
			members, err := yappli.DecodeUsers([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			state := ""
			for _, m := range members {
				state += m.ID
				if m.ID == id {
					state += m.Column(1)
				}
				state += " "
			}
			seen[state] = true
		}
		want := map[string]bool{"1001 1002 1003 ": true, "1002 1003 ": true, "1002 1003 1004first ": true, "1002 1003 1004second ": true}
		if !reflect.DeepEqual(seen, want) {
			t.Errorf("states seen: %v", seen)
		}
		time.Sleep(11 * time.Second)
		for range 50 {
			if got := listed(t, s, ""); !slices.Equal(got, []string{"1002", "1003", "1004"}) {
				t.Fatalf("after the lag: %q", got)
			}
		}
	})
}

func TestNewTokenRevokesOld(t *testing.T) {
	t.Parallel()
	s := quick(1)
	old := s.Token("http://yappli.example")
	probe := func(token providers.Token) error {
		return yappli.NewAuthority(&providers.Options{HTTP: s.Client()}).Probe(t.Context(), providers.Connection{}, token)
	}
	kept := s.Token("http://yappli.example")
	if probe(old) != nil || probe(kept) != nil {
		t.Error("two tokens do not work side by side")
	}
	s.Tokens.NewRevokesOld = true
	latest := s.Token("http://yappli.example")
	if probe(old) == nil || probe(kept) == nil || probe(latest) != nil {
		t.Error("the newest token is not the only one")
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := yapplitest.New(sandbox.Options{Records: 1})
		var got []int
		for range 3 {
			status, _ := ask(t, s, "GET", "/api/ext/users", "", "")
			got = append(got, status)
		}
		time.Sleep(time.Second)
		status, _ := ask(t, s, "GET", "/api/ext/users", "", "")
		if got = append(got, status); !slices.Equal(got, []int{200, 200, 429, 200}) {
			t.Errorf("%v", got)
		}
	})
}

func TestRecordsByHand(t *testing.T) {
	t.Parallel()
	s := quick(3)
	given := map[string]string{"unique_id": "u", "column01": "a"}
	id := s.Put(yapplitest.Member{Values: given})
	given["column01"] = "the caller's map"
	m, ok := s.Find(id)
	if !ok || id != "1004" || m.Values["column01"] != "a" || m.Values["enabled"] != "1" || m.Values["rank"] != "0" || m.Values["created_at"] == "" {
		t.Errorf("Put made %+v", m)
	}
	m.Values["column01"] = "the caller's copy"
	s.FindUnique("u")[0].Values["column01"] = "the caller's copy"
	s.Members()[3].Values["column01"] = "the caller's copy"
	if m, _ := s.Find(id); m.Values["column01"] != "a" {
		t.Error("a caller can change a record behind the sandbox's back")
	}
	s.Put(yapplitest.Member{ID: "1002", Values: map[string]string{"unique_id": "u"}})
	if got := s.FindUnique("u"); len(got) != 2 || got[0].ID != "1004" || got[1].ID != "1002" {
		t.Errorf("FindUnique: %v", got)
	}
	if got := s.FindUnique("shop-0000002"); len(got) != 0 {
		t.Errorf("an overwritten member is still found: %v", got)
	}
	if got := s.FindUnique("shop-0000003"); len(got) != 1 || got[0].ID != "1003" {
		t.Errorf("FindUnique of an invented member: %v", got)
	}
	for _, unique := range []string{"", "shop-0000009", "shop-3", "shop-0000000"} {
		if got := s.FindUnique(unique); len(got) != 0 {
			t.Errorf("FindUnique(%q): %v", unique, got)
		}
	}
	if !s.Delete("1002") || s.Delete("1002") || s.Delete("9999") || len(s.FindUnique("u")) != 1 || len(s.Members()) != 3 {
		t.Error("Delete")
	}
	if _, ok := s.Find("1002"); ok {
		t.Error("a deleted member is found")
	}
	if id := s.Put(yapplitest.Member{ID: "2000"}); id != "2000" || s.Put(yapplitest.Member{}) != "2001" {
		t.Error("ids are not handed out above the largest")
	}
}

func TestDumpAndLoad(t *testing.T) {
	t.Parallel()
	from, to := quick(20), quick(5)
	from.Put(yapplitest.Member{ID: "1003", Values: map[string]string{"unique_id": "ss-\"\\<>&\u2028", "column01": "𠮷田\r\n\t", "column02": "", "password": "p"}})
	var dump bytes.Buffer
	if err := from.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	if err := to.Load(bytes.NewReader(dump.Bytes())); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := to.Dump(&again); err != nil || again.String() != dump.String() || len(to.Members()) != 20 {
		t.Errorf("%d members after loading, %v", len(to.Members()), err)
	}
	if got := to.FindUnique("shop-0000007"); len(got) != 1 || got[0].ID != "1007" {
		t.Errorf("FindUnique after loading: %v", got)
	}
	for _, document := range []string{
		``, `[]`, `{"users":[{}]}`, `{"users":[{"id":""}]}`, `{"users":[{"id":1}]}`, `{"users":[{"id":"1","rank":"x"}]}`,
		`{"users":[{"id":"1","column01":5}]}`, `{"users":[{"id":"1","colmun02":"x"}]}`,
	} {
		if err := to.Load(strings.NewReader(document)); err == nil {
			t.Errorf("loaded %s", document)
		}
	}
	if len(to.Members()) != 20 {
		t.Error("a document that was refused changed the members")
	}
	if err := to.Load(strings.NewReader(`{"users":[]}`)); err != nil || len(to.Members()) != 0 {
		t.Errorf("nobody: %v", err)
	}
}

func TestMembersAreJSONAndReproducible(t *testing.T) {
	t.Parallel()
	one, same, other := quick(30), quick(30), yapplitest.New(sandbox.Options{Records: 30, Seed: 9})
	for i, m := range one.Members() {
		if !json.Valid(m.JSON()) {
			t.Errorf("not JSON: %s", m.JSON())
		}
		if !bytes.Equal(m.JSON(), same.Members()[i].JSON()) {
			t.Errorf("member %d differs for an equal seed", i)
		}
	}
	if bytes.Equal(one.Members()[0].JSON(), other.Members()[0].JSON()) {
		t.Error("another seed gives the same member")
	}
}

// TestAMillionMembersAreCheap: invented members take memory only when they are
// looked at.
func TestAMillionMembersAreCheap(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := quick(1_000_000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := (after.HeapAlloc - before.HeapAlloc) >> 20; used > 80 {
		t.Errorf("a million members take %d MB", used)
	}
	if got := listed(t, s, "?limit=2&offset=999999"); !slices.Equal(got, []string{"1001000"}) {
		t.Errorf("the last page: %q", got)
	}
	if got := s.FindUnique("shop-0999999"); len(got) != 1 || got[0].ID != "1000999" {
		t.Errorf("look-up: %v", got)
	}
}
