package call_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

func TestDo_Request(t *testing.T) {
	t.Parallel()
	s := &scripted{replies: []reply{{}}}
	c := client(s, func(_ *call.Config, o *providers.Options) { o.UserAgent = "example-shop" })
	_, err := send(t.Context(), c, call.Request{
		Method: "PUT", Path: "/users/a%2Fb", Query: url.Values{"limit": {"5"}, "tag": {"a", "b"}},
		Header: http.Header{"X-Extra": {"1"}}, Body: call.Body{ContentType: "text/plain", Bytes: []byte("本文")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := s.sent[0]
	if got := r.Method + " " + r.URL.String(); got != "PUT https://api.example/base/users/a%2Fb?limit=5&tag=a&tag=b" {
		t.Error(got)
	}
	for name, want := range map[string]string{
		"User-Agent": "example-shop", "Accept": "application/json", "Content-Type": "text/plain", "X-Extra": "1", "Authorization": "Bearer first",
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
	if s.bodies[0] != "本文" {
		t.Error(s.bodies[0])
	}
	plain := &scripted{replies: []reply{{}}}
	if _, err := send(t.Context(), client(plain), call.Request{Header: http.Header{"Accept": {"text/html"}}}); err != nil {
		t.Fatal(err)
	}
	r = plain.sent[0]
	if r.Method != "GET" || r.URL.String() != base || r.Header.Get("User-Agent") != "hikyaku" || r.Header.Get("Accept") != "text/html" || r.Header.Get("Content-Type") != "" {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
}

func TestDo_Address(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		base string
		r    call.Request
		want string // empty: refused
	}{
		"a slash at the end":    {"https://api.example/base///", call.Request{Path: "/x"}, "https://api.example/base/x"},
		"no path":               {"http://api.example", call.Request{}, "http://api.example"},
		"a whole URL":           {"https://api.example", call.Request{URL: "https://other.example/y?keep=1"}, "https://other.example/y?keep=1"},
		"a query is left":       {"https://api.example", call.Request{URL: "https://other.example/y?b=%e8&a"}, "https://other.example/y?b=%e8&a"},
		"a query is added":      {"https://api.example", call.Request{URL: "https://other.example/y?keep=1&b=old", Query: url.Values{"b": {"new"}}}, "https://other.example/y?b=new&keep=1"},
		"Japanese in the query": {"https://api.example", call.Request{Path: "/x", Query: url.Values{"q": {"花 子"}}}, "https://api.example/x?q=%E8%8A%B1+%E5%AD%90"},
		"nothing":               {"", call.Request{Path: "/x"}, ""},
		"no scheme":             {"api.example", call.Request{Path: "/x"}, ""},
		"another scheme":        {"ftp://api.example", call.Request{Path: "/x"}, ""},
		"no host":               {"https:///x", call.Request{}, ""},
		"broken":                {"https://api.example/%zz", call.Request{}, ""},
		"a broken method":       {"https://api.example", call.Request{Method: "GE T"}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			s := &scripted{replies: []reply{{}}}
			source := providers.Fixed(providers.Token{BaseURL: c.base})
			_, err := send(t.Context(), call.New(call.Config{Provider: "test"}, source, &providers.Options{HTTP: &http.Client{Transport: s}, Limiter: noLimit{}}), c.r)
			switch {
			case c.want == "" && (!errors.Is(err, providers.ErrInvalid) || s.count() != 0 || strings.Contains(err.Error(), "example")):
				t.Errorf("%v after %d requests", err, s.count())
			case c.want != "" && (err != nil || s.sent[0].URL.String() != c.want):
				t.Errorf("%v %v, want %s", err, s.sent, c.want)
			}
		})
	}
}

func TestDo_CapsAnAnswer(t *testing.T) {
	t.Parallel()
	capped := func(_ *call.Config, o *providers.Options) { o.MaxObject = 10 }
	s := &scripted{replies: []reply{{body: "0123456789"}}}
	if r, err := send(t.Context(), client(s, capped), call.Request{}); err != nil || len(r.Body) != 10 {
		t.Errorf("at the cap: %v, %d bytes", err, len(r.Body))
	}
	s = &scripted{replies: []reply{{body: "0123456789a", status: 201}}}
	r, err := send(t.Context(), client(s, capped), call.Request{})
	if !errors.Is(err, providers.ErrTooLarge) || kindOf(err).Status != 201 || len(r.Body) != 0 || s.count() != 1 || !strings.Contains(err.Error(), "cap of 10 bytes") {
		t.Errorf("above the cap: %v, %d bytes, %d requests", err, len(r.Body), s.count())
	}
	s = &scripted{replies: []reply{{body: "an error page", status: 503}, {body: "too many of you", status: 429}, {body: "{}"}}}
	if r, err := send(t.Context(), client(s, capped), call.Request{}); err != nil || string(r.Body) != "{}" || s.count() != 3 {
		t.Errorf("long answers of an outage and a rate limit, then a short one: %v, %q after %d requests", err, r.Body, s.count())
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(make([]byte, 100_000)) // a few hundred bytes on their way
		_ = z.Close()
	}))
	defer server.Close()
	unpacked := call.New(call.Config{Provider: "test"}, providers.Fixed(providers.Token{BaseURL: server.URL}), &providers.Options{Limiter: noLimit{}, MaxObject: 10_000})
	if _, err := send(t.Context(), unpacked, call.Request{}); !errors.Is(err, providers.ErrTooLarge) {
		t.Errorf("above the cap once unpacked: %v", err)
	}
	anything := func([]byte) error { return nil }
	for size, c := range map[int]struct {
		request call.Request
		fits    bool
	}{
		1 << 20: {call.Request{}, true}, 1<<20 + 1: {call.Request{}, false}, 8 << 20: {call.Request{Read: anything}, true}, 8<<20 + 1: {call.Request{Read: anything}, false},
	} {
		s = &scripted{replies: []reply{{body: strings.Repeat("x", size)}}}
		r, err := send(t.Context(), client(s), c.request)
		if c.fits != (err == nil) || c.fits != (len(r.Body) == size) || !c.fits && !errors.Is(err, providers.ErrTooLarge) {
			t.Errorf("%d bytes by default, a page %v: %v", size, c.request.Read != nil, err)
		}
	}
}

// A redirect could send the token elsewhere; it is reported, and the caller's
// client is left as it was.
func TestDo_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	s := &scripted{replies: []reply{{status: 307, header: http.Header{"Location": {"https://other.example/?secret=1"}}}}}
	followed := false
	h := &http.Client{Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { followed = true; return nil }}
	c := call.New(call.Config{Provider: "test"}, providers.Fixed(token("a")), &providers.Options{HTTP: h, Limiter: noLimit{}})
	_, err := send(t.Context(), c, call.Request{})
	if e := kindOf(err); !errors.Is(err, providers.ErrInvalid) || e.Status != 307 || !strings.HasPrefix(e.Detail, "redirected") || s.count() != 1 || strings.Contains(err.Error(), "other.example") {
		t.Errorf("%v after %d requests", err, s.count())
	}
	_, onceErr := call.Once(t.Context(), "test", "token", &providers.Options{HTTP: h}, call.Request{Method: "POST", URL: base})
	if !errors.Is(onceErr, providers.ErrInvalid) || s.count() != 2 || followed {
		t.Errorf("a token call: %v after %d requests, followed %v", onceErr, s.count(), followed)
	}
	if h.CheckRedirect(nil, nil) != nil || !followed {
		t.Error("the caller's own client was changed")
	}
}

func TestDo_ErrorCodes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"error":"invalid_grant"}`: "invalid_grant", `{"error":"invalid_client","code":"x"}`: "invalid_client",
		`{"code":"RateLimitExceeded","message":"canary"}`: "RateLimitExceeded", `{"error":{"a":1},"code":"access_denied"}`: "access_denied",
		`{"error":"canary@mail.example"}`: "", `{"error":"Invalid_Grant"}`: "", `{"error":5}`: "", `{}`: "", ``: "", `[1]`: "", `<html>canary</html>`: "", `{"error":null}`: "",
		`{"error":"unauthorized_client"}`: "unauthorized_client", `{"error":"unsupported_grant_type"}`: "unsupported_grant_type",
		`{"error":"invalid_scope"}`: "invalid_scope", `{"error":"invalid_token"}`: "invalid_token", `{"error":"invalid_request"}`: "invalid_request",
	} {
		s := &scripted{replies: []reply{{status: 400, body: body}}}
		response, err := send(t.Context(), client(s), call.Request{})
		if kindOf(err).Code != want || strings.Contains(err.Error(), "canary") || string(response.Body) != body {
			t.Errorf("%s: %v, want code %q", body, err, want)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	j, err := call.JSON(map[string]string{"name": "花子 <&>"})
	if err != nil || j.ContentType != "application/json" || string(j.Bytes) != `{"name":"花子 <&>"}` {
		t.Errorf("%v %s %s", err, j.ContentType, j.Bytes)
	}
	if b, err := call.JSON(math.NaN()); err == nil || b.ContentType != "" {
		t.Errorf("a number that JSON has not: %v", err)
	}
	f := call.Form(url.Values{"b": {"花"}, "a": {"1 2"}})
	if f.ContentType != "application/x-www-form-urlencoded" || string(f.Bytes) != "a=1+2&b=%E8%8A%B1" {
		t.Errorf("%s %s", f.ContentType, f.Bytes)
	}
	m, err := call.Multipart([]call.Field{{Name: "b", Value: "花子"}, {Name: "a", Value: ""}, {Name: "b", Value: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	media, params, err := mime.ParseMediaType(m.ContentType)
	if err != nil || media != "multipart/form-data" {
		t.Fatal(err, media)
	}
	reader := multipart.NewReader(bytes.NewReader(m.Bytes), params["boundary"])
	var got []string
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, part.FormName()+"="+string(value))
	}
	if strings.Join(got, " ") != "b=花子 a= b=2" {
		t.Error(got)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"a":"花子"}`: "花子", "\xef\xbb\xbf" + `{"a":"b"}`: "b", packed(`{"a":"b"}`): "b", `{}`: "", `{"a":"�"}`: "�",
	} {
		var v struct{ A string }
		r, err := send(t.Context(), client(&scripted{replies: []reply{{body: body}}}), call.Request{})
		if err = errors.Join(err, call.Decode("test", "op", r, &v)); err != nil || v.A != want {
			t.Errorf("%q: %q %v", body, v.A, err)
		}
	}
	for body, detail := range map[string]string{
		"{\"a\":\"\x83\x65\"}": "the answer is not UTF-8", `{"a":`: "the answer is not the documented JSON", `[]`: "the answer is not the documented JSON",
		``: "the answer is not the documented JSON", `{"a":1}`: "the answer is not the documented JSON", `{} {}`: "the answer is not the documented JSON",
	} {
		var v struct{ A string }
		err := call.Decode("test", "op", call.Response{Status: 203, Body: []byte(body)}, &v)
		if e := kindOf(err); !errors.Is(err, providers.ErrInvalid) || e.Detail != detail || e.Status != 203 || e.Provider != "test" || e.Op != "op" {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestDecodeQuirks(t *testing.T) {
	t.Parallel()
	type quirks struct {
		Size int `json:"size"`
	}
	for raw, want := range map[string]int{``: 7, `{}`: 7, `{"size":5}`: 5, `{"size":0}`: 0, `null`: 7} {
		q := quirks{Size: 7}
		if err := call.DecodeQuirks("test", []byte(raw), &q); err != nil || q.Size != want {
			t.Errorf("%q: %d %v", raw, q.Size, err)
		}
	}
	for raw, text := range map[string]string{
		`{"sise":5}`: `unknown field "sise"`, `{"size":"x"}`: "docs/providers/test.md", `[`: "docs/providers/test.md",
		`{} {}`: "more than one JSON value", `{}x`: "more than one JSON value",
	} {
		err := call.DecodeQuirks("test", []byte(raw), &quirks{})
		if !errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "quirks of test") {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"a":"b"}`))
	f.Add([]byte("\xef\xbb\xbf{}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var v map[string]any
		err := call.Decode("test", "op", call.Response{Status: 200, Body: body}, &v)
		if err != nil && !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("%q: %v", body, err)
		}
	})
}
