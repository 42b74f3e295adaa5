package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/internal/seenfile"
	"hikyaku/pkg/providers/sandbox"
)

// serve lets a handler look at one request and returns the answer.
func serve(t *testing.T, look func(*sandbox.Request), method, target, media, body string) *httptest.ResponseRecorder {
	t.Helper()
	s := sandbox.NewServer("looking", -1, sandbox.Options{})
	s.Handle(method+" /users/{id}", func(w http.ResponseWriter, r *sandbox.Request) {
		look(r)
		sandbox.JSON(w, http.StatusCreated, map[string]string{"name": "花子 <&>"})
	})
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestRequest_ReadsEveryForm(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	_ = form.WriteField("name", "花子")
	_ = form.WriteField("n", "7")
	_ = form.Close()
	for what, c := range map[string]struct{ media, body, kind string }{
		"form":      {"application/x-www-form-urlencoded; charset=utf-8", "name=%E8%8A%B1%E5%AD%90&n=7", "form"},
		"multipart": {form.FormDataContentType(), b.String(), "multipart"},
		"json":      {"application/json", `{"name":"花子","n":7,"deep":{"a":[1]},"none":null,"yes":true,"big":12345678901234567890}`, "json"},
	} {
		t.Run(what, func(t *testing.T) {
			w := serve(t, func(r *sandbox.Request) {
				if r.Bad != nil || r.Param("name") != "花子" || r.Int("n", 1) != 7 || r.Int("none", 3) != 3 || r.Int("name", 4) != 4 || r.Param("q") != "query first" || r.PathValue("id") != "a/b" || string(r.Raw) != c.body {
					t.Errorf("%v %q %d", r.Bad, r.Param("name"), r.Int("n", 1))
				}
				if _, found := r.Lookup("none"); found {
					t.Error("null is present")
				}
				if _, found := r.Lookup("absent"); found || r.Param("absent") != "" {
					t.Error("an absent parameter is present")
				}
				if c.kind == "json" && (r.Param("deep") != `{"a":[1]}` || r.Param("yes") != "true" || r.Param("big") != "12345678901234567890" || len(r.Fields) != 0) {
					t.Errorf("json: %q %q %q", r.Param("deep"), r.Param("yes"), r.Param("big"))
				}
			}, "POST", "/users/a%2Fb?q=query+first&q=second", c.media, c.body)
			if w.Code != 201 || w.Body.String() != `{"name":"花子 <&>"}`+"\n" || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			for _, line := range []string{"-", "path:id", "query:q", "header:Content-Type", c.kind + ":name"} {
				if full := "looking\tPOST /users/{id}\t" + line; !slices.Contains(sandbox.Seen(), full) {
					t.Errorf("not seen: %s", line)
				}
			}
		})
	}
	if !slices.Contains(sandbox.Seen(), "looking\tPOST /users/{id}\tjson:deep.a") || !slices.IsSorted(sandbox.Seen()) {
		t.Error("a nested name was not seen")
	}
}

func TestRequest_BrokenBodies(t *testing.T) {
	t.Parallel()
	for media, body := range map[string]string{
		"application/json": "{", "multipart/form-data; boundary=x": "--x\r\nbroken", "application/x-www-form-urlencoded": "a=%zz", "multipart/form-data": "--",
	} {
		serve(t, func(r *sandbox.Request) {
			if r.Bad == nil {
				t.Errorf("%s: accepted", media)
			}
		}, "POST", "/users/1", media, body)
	}
	for _, c := range [][2]string{
		{"application/json", `{"a":1} x`}, {"application/json", `{"a":1}{"b":2}`}, {"application/json", `{"a":1}]`},
		{"application/json", "{\"a\":\"\xff\"}"}, {"application/json", "{\"\xff\":1}"},
		{"application/x-www-form-urlencoded", "a=%ff"}, {"application/x-www-form-urlencoded", "%ff=a"},
		{"application/x-www-form-urlencoded", "a=1&a=%E8%8A"}, {"application/x-www-form-urlencoded", "a=\xff"},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--x--\r\n"},
	} {
		serve(t, func(r *sandbox.Request) {
			if r.Bad == nil {
				t.Errorf("%s %q: accepted", c[0], c[1])
			}
		}, "POST", "/users/1", c[0], c[1])
	}
	serve(t, func(r *sandbox.Request) {
		if r.Bad != nil || r.Param("a") != "1" {
			t.Errorf("white space after JSON: %v", r.Bad)
		}
	}, "POST", "/users/1", "application/json", "{\"a\":1}\r\n\t ")
	serve(t, func(r *sandbox.Request) {
		if r.Bad == nil {
			t.Error("a huge body was accepted")
		}
	}, "POST", "/users/1", "text/plain", strings.Repeat("x", 16<<20+1))
	for _, media := range []string{"", "text/plain", "application/json"} {
		serve(t, func(r *sandbox.Request) {
			if r.Bad != nil || len(r.JSON) != 0 {
				t.Errorf("%q without a body: %v", media, r.Bad)
			}
		}, "POST", "/users/1", media, "")
	}
}

func TestRequest_BearerToken(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{"Bearer abc": "abc", "bearer abc": "abc", "BEARER a b": "a b", "Basic abc": "", "abc": "", "": ""} {
		r := sandbox.Request{Request: httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)}
		r.Header.Set("Authorization", header)
		if got := r.BearerToken(); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

func TestServer_UnknownRoute(t *testing.T) {
	t.Parallel()
	s := newShop(-1, sandbox.Options{})
	status, body, err := s.get(t.Context(), "GET", "/nothing")
	if status != 404 || !strings.Contains(body, "not_found") || err != nil || s.Count("GET (no such route)") != 1 || s.Provider() != "test" {
		t.Errorf("%d %s %v", status, body, err)
	}
}

func TestServer_Clock(t *testing.T) {
	t.Parallel()
	s := newShop(-1, sandbox.Options{Now: func() time.Time { return start }})
	_, _, _ = s.get(t.Context(), "GET", "/things")
	if s.Now() != start || s.Calls()[0].Time != start {
		t.Error("another clock")
	}
	if d := time.Since(newShop(1, sandbox.Options{}).Now()); d < 0 || d > time.Minute {
		t.Error("the default clock is not the machine's")
	}
	s.Calls()[0].Route = "changed"
	if s.Calls()[0].Route != "GET /things" {
		t.Error("a caller changed what is remembered")
	}
	ran := false
	s.Do(func() { ran = true })
	if !ran {
		t.Error("Do did nothing")
	}
}

// A handler that panics takes its own request down, and no other.
func TestServer_SurvivesAPanic(t *testing.T) {
	t.Parallel()
	s := newShop(-1, sandbox.Options{})
	s.Handle("GET /panics", func(http.ResponseWriter, *sandbox.Request) { panic("on purpose") })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/panics", nil))
	}()
	done := make(chan int, 1)
	go func() {
		status, _, _ := s.get(t.Context(), "GET", "/things")
		done <- status
	}()
	select {
	case status := <-done:
		if status != 200 {
			t.Errorf("the next request: %d", status)
		}
	case <-time.After(10 * time.Second):
		t.Error("the next request waits for ever")
	}
}

func TestOptions_Count(t *testing.T) {
	t.Parallel()
	for records, want := range map[int]int{0: 120, 1: 1, 500: 500, -1: 0} {
		if got := (sandbox.Options{Records: records}).Count(); got != want {
			t.Errorf("%d: %d", records, got)
		}
	}
}

func TestRecordAndDump(t *testing.T) {
	t.Parallel()
	v := map[string]any{"b": "<花子&>", "a": json.Number("1.50")}
	if got := string(sandbox.Record(v)); got != `{"a":1.50,"b":"<花子&>"}` {
		t.Error(got)
	}
	var b bytes.Buffer
	if err := sandbox.Dump(&b, []json.RawMessage{sandbox.Record(v)}); err != nil || b.String() != "[\n  {\n    \"a\": 1.50,\n    \"b\": \"<花子&>\"\n  }\n]\n" {
		t.Errorf("%v %q", err, b.String())
	}
}

// Everybody is invented: no address resolves, no number is anybody's.
func TestNewPerson(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	for n := range 300 {
		p := sandbox.NewPerson(7, n, "JP", "TW", "HK")
		if p != sandbox.NewPerson(7, n, "JP", "TW", "HK") {
			t.Fatalf("person %d is another the second time", n)
		}
		kinds[p.Country]++
		born, err := time.Parse(time.DateOnly, p.Birthday)
		_, zoneErr := time.LoadLocation(p.Timezone)
		if !strings.HasSuffix(p.Email, ".example") || !strings.Contains(strings.ReplaceAll(p.Phone, "-", ""), "0000") || err != nil || zoneErr != nil || born.Year() < 1950 || born.Year() > 2005 || p.Address == "" || p.Number != n || p.CreatedAt.Before(sandbox.Epoch) {
			t.Errorf("%+v %v %v", p, err, zoneErr)
		}
		if (p.Reading != "") != (p.Country == "JP") || strings.Contains(p.Name(), " ") != (p.Country == "JP") || !strings.HasPrefix(p.Name(), p.Family) || !strings.HasSuffix(p.Name(), p.Given) {
			t.Errorf("%q %q", p.Name(), p.Reading)
		}
		if n > 0 && !p.CreatedAt.After(sandbox.NewPerson(7, n-1, "JP", "TW", "HK").CreatedAt.Add(-7*time.Minute)) {
			t.Errorf("person %d signed up long before the one before", n)
		}
	}
	if len(kinds) != 3 || sandbox.NewPerson(7, 1, "JP") == sandbox.NewPerson(8, 1, "JP") {
		t.Errorf("%v", kinds)
	}
}

func TestCanned(t *testing.T) {
	t.Parallel()
	transport := &canned.Transport{Body: "good"}
	status, body, err := fetch(t.Context(), &http.Client{Transport: transport}, "POST", "http://x.test/a")
	if status != 200 || body != "good" || err != nil || transport.Sent.URL.Path != "/a" || len(transport.Seen) != 0 {
		t.Errorf("%d %s %v", status, body, err)
	}
	transport.Status, transport.Err = 503, fmt.Errorf("broken")
	if _, _, err := fetch(t.Context(), &http.Client{Transport: transport}, "GET", "http://x.test/b"); err == nil || transport.Sent.URL.Path != "/b" {
		t.Error(err)
	}
	s := newShop(-1, sandbox.Options{})
	answer, err := canned.Replay(s, "GET /things HTTP/1.1\r\nHost: x.test\r\n\r\n")
	if err != nil || answer.StatusCode != 200 || s.effects != 1 {
		t.Errorf("%v", err)
	}
	_ = answer.Body.Close()
	if _, err := canned.Replay(s, "nonsense"); err == nil {
		t.Error("nonsense was sent")
	}
}

func TestSeenFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(seenfile.Variable, dir)
	s := newShop(-1, sandbox.Options{})
	_, _, _ = s.get(t.Context(), "GET", "/things?limit=5")
	if err := seenfile.Write("test"); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "test.txt"))
	if err != nil || !slices.Contains(strings.Split(string(content), "\n"), "test\tGET /things\tquery:limit") {
		t.Errorf("%v %s", err, content)
	}
	t.Setenv(seenfile.Variable, "")
	if err := seenfile.Write("../nowhere/x"); err != nil {
		t.Error("written without a directory")
	}
}

// Every answer that is held whole says how long it is and what it is, also
// where it is empty, and also above the 2 KB up to which net/http would know.
func TestServer_AnswersSayTheirLengthAndType(t *testing.T) {
	t.Parallel()
	s := newShop(-1, sandbox.Options{})
	long := strings.Repeat("長", 5000)
	s.Handle("GET /long", func(w http.ResponseWriter, _ *sandbox.Request) { sandbox.JSON(w, http.StatusOK, long) })
	s.Handle("PUT /empty", func(w http.ResponseWriter, _ *sandbox.Request) { w.WriteHeader(http.StatusCreated) })
	s.Handle("DELETE /nothing", func(w http.ResponseWriter, _ *sandbox.Request) { w.WriteHeader(http.StatusNoContent) })
	s.Handle("GET /page", func(w http.ResponseWriter, _ *sandbox.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<p>"))
	})
	server := httptest.NewServer(s)
	defer server.Close()
	for request, want := range map[string]struct {
		status int
		length int64
		media  string
	}{
		"GET /long":       {200, int64(len(long)) + 3, "application/json; charset=utf-8"},
		"PUT /empty":      {201, 0, "application/json; charset=utf-8"},
		"DELETE /nothing": {204, 0, ""},
		"GET /page":       {200, 3, "text/html"},
		"GET /unknown":    {404, 22, "application/json; charset=utf-8"},
	} {
		method, path, _ := strings.Cut(request, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != want.status || answer.ContentLength != want.length || int64(len(body)) != want.length || err != nil ||
			answer.Header.Get("Content-Type") != want.media || len(answer.TransferEncoding) != 0 {
			t.Errorf("%s: %d, length %d of %d, %q %v %v", request, answer.StatusCode, answer.ContentLength, len(body), answer.Header.Get("Content-Type"), answer.TransferEncoding, err)
		}
	}
}

func TestIsTrue(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"true": true, "True": true, "TRUE": true, "1": true, "yes": true, "on": true, "false": false, "False": false, "0": false, "": false, "2": false, "truer": false} {
		if sandbox.IsTrue(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
