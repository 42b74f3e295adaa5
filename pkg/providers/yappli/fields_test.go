package yappli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

func TestRequestFields_AreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	want := []string{"unique_id", "login_id", "password", "rank"}
	for n := 1; n <= 50; n++ {
		want = append(want, fmt.Sprintf("column%02d", n))
	}
	want = append(want, "secret_question", "secret_answer", "logined", "enabled", "logined_at")
	got := yappli.RequestFields()
	if !slices.Equal(got, want) {
		t.Errorf("RequestFields() = %q", got)
	}
	got[0] = "changed by a caller"
	if yappli.RequestFields()[0] != "unique_id" {
		t.Error("a caller can change the package's list")
	}
}

func TestFieldsCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		value yappli.Value
		want  string // part of the error; empty: allowed
	}{
		{"column01", yappli.Text(""), ""},
		{"column01", yappli.Null(), ""},
		{"column50", yappli.Text("山田 花子"), ""},
		{"column01", yappli.Text("\xff"), "UTF-8"},
		{"column01", yappli.Value{Text: "x", Null: true}, "null and a text"},
		{"column00", yappli.Text(""), "not a request field"},
		{"column51", yappli.Text(""), "not a request field"},
		{"colmun02", yappli.Text(""), "not a request field"},
		{"point", yappli.Int(1), "not a request field"},
		{"id", yappli.Text("1"), "not a request field"},
		{"secret_quetion", yappli.Text(""), "not a request field"},
		{"rank", yappli.Int(-3), ""},
		{"rank", yappli.Null(), ""},
		{"rank", yappli.Text("gold"), "integer"},
		{"rank", yappli.Text(""), "integer"},
		{"rank", yappli.Text("1.5"), "integer"},
		{"enabled", yappli.Bool(true), ""},
		{"enabled", yappli.Bool(false), ""},
		{"enabled", yappli.Null(), "0 or 1"},
		{"enabled", yappli.Text("2"), "0 or 1"},
		{"enabled", yappli.Text("01"), "0 or 1"},
		{"logined", yappli.Text("true"), "0 or 1"},
		{"logined", yappli.Null(), "0 or 1"},
	} {
		err := yappli.Fields{c.name: c.value}.Check()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s %+v: %v", c.name, c.value, err)
		case c.want != "" && (!errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.name)):
			t.Errorf("%s %+v: %v", c.name, c.value, err)
		}
	}
	if err := (yappli.Fields{"b": yappli.Null(), "a": yappli.Null()}).Check(); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("not the first fault: %v", err)
	}
	if err := yappli.Fields(nil).Check(); err != nil {
		t.Error(err)
	}
}

// tap hands every request's type and body to a function and answers with
// another transport.
type tap struct {
	next http.RoundTripper
	see  func(r *http.Request, body string)
}

func (p tap) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	p.see(r, string(body))
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return p.next.RoundTrip(r)
}

// TestBodiesOnTheWire pins the bytes of an update in each encoding.
func TestBodiesOnTheWire(t *testing.T) {
	t.Parallel()
	fields := yappli.Fields{
		"column02": yappli.Text("1<2 & 花"), "column01": yappli.Text(""), "column03": yappli.Null(), "rank": yappli.Int(5),
		"enabled": yappli.Bool(false), "logined": yappli.Bool(true),
		"logined_at": yappli.Timestamp(time.Date(2026, 11, 22, 15, 30, 0, 0, time.UTC)),
	}
	part := func(name, value string) string {
		return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	for encoding, want := range map[string]string{
		"json": `{"column01":"","column02":"1<2 & 花","column03":null,"enabled":0,"logined":1,"logined_at":"2026-11-23 00:30:00","rank":5}`,
		"form": "column01=&column02=1%3C2+%26+%E8%8A%B1&column03=&enabled=0&logined=1&logined_at=2026-11-23+00%3A30%3A00&rank=5",
		"multipart": part("rank", "5") + part("column01", "") + part("column02", "1<2 & 花") + part("column03", "") + part("logined", "1") +
			part("enabled", "0") + part("logined_at", "2026-11-23 00:30:00") + "--B--\r\n",
	} {
		s := quick(1)
		s.Body = encoding
		var media, body string
		client := &http.Client{Transport: tap{s.Client().Transport, func(r *http.Request, b string) {
			media, body = r.Header.Get("Content-Type"), b
			if r.UserAgent() != "shop/1.0" || r.Method != http.MethodPut || r.URL.String() != base+"/api/ext/users/1001" ||
				!strings.HasPrefix(r.Header.Get("Authorization"), "Bearer AT-") {
				t.Errorf("%s: %s %s, headers %v", encoding, r.Method, r.URL, r.Header)
			}
		}}}
		c := yappli.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: client, UserAgent: "shop/1.0"})
		if _, err := c.UpdateUser(t.Context(), "1001", fields); err != nil {
			t.Fatalf("%s: %v", encoding, err)
		}
		if _, boundary, ok := strings.Cut(media, "boundary="); ok {
			body = strings.ReplaceAll(body, boundary, "B")
			media = strings.TrimSuffix(media, "; boundary="+boundary)
		}
		if body != want {
			t.Errorf("%s: sent %q, want %q", encoding, body, want)
		}
		if wantMedia := map[string]string{"json": "application/json", "form": "application/x-www-form-urlencoded", "multipart": "multipart/form-data"}[encoding]; media != wantMedia {
			t.Errorf("%s: type %q", encoding, media)
		}
	}
}

// A rank is sent in its plain form, whatever the caller wrote and in whatever
// encoding.
func TestRankOnTheWire(t *testing.T) {
	t.Parallel()
	for encoding, want := range map[string]string{"json": `"rank":5}`, "form": "rank=5", "multipart": "\r\n\r\n5\r\n"} {
		for _, rank := range []string{"5", "05", "+5"} {
			s := quick(1)
			s.Body = encoding
			var body string
			client := &http.Client{Transport: tap{s.Client().Transport, func(_ *http.Request, b string) { body = b }}}
			c := yappli.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: client})
			if _, err := c.UpdateUser(t.Context(), "1001", yappli.Fields{"rank": yappli.Text(rank)}); err != nil || !strings.Contains(body, want) {
				t.Errorf("%s, %s: %v, sent %q", encoding, rank, err, body)
			}
		}
	}
}

func TestWritesThatAreRefusedBeforeTheyAreSent(t *testing.T) {
	t.Parallel()
	s := quick(1)
	c, ctx := connect(s), t.Context()
	for name, call := range map[string]func() error{
		"creation without unique_id": func() error { _, err := c.CreateUser(ctx, yappli.Fields{"column01": yappli.Text("x")}); return err },
		"creation with a null one":   func() error { _, err := c.CreateUser(ctx, yappli.Fields{"unique_id": yappli.Null()}); return err },
		"creation with a misspelled name": func() error {
			_, err := c.CreateUser(ctx, yappli.Fields{"unique_id": yappli.Text("x"), "colmun02": yappli.Text("x")})
			return err
		},
		"update of unique_id": func() error {
			_, err := c.UpdateUser(ctx, "1001", yappli.Fields{"unique_id": yappli.Text("x")})
			return err
		},
		"update of point":             func() error { _, err := c.UpdateUser(ctx, "1001", yappli.Fields{"point": yappli.Int(1)}); return err },
		"update of nothing":           func() error { _, err := c.UpdateUser(ctx, "1001", yappli.Fields{}); return err },
		"update of nobody":            func() error { _, err := c.UpdateUser(ctx, "", yappli.Fields{"rank": yappli.Int(1)}); return err },
		"update of the parent":        func() error { _, err := c.UpdateUser(ctx, "..", yappli.Fields{"rank": yappli.Int(1)}); return err },
		"nobody":                      func() error { _, err := c.User(ctx, ""); return err },
		"dot":                         func() error { _, err := c.User(ctx, "."); return err },
		"look-up of nobody":           func() error { _, err := c.UserByUniqueID(ctx, ""); return err },
		"look-up without the route":   func() error { _, err := c.UserByUniqueID(ctx, "shop-0000001"); return err },
		"hand-over without a token":   func() error { _, err := c.CheckHandover(ctx, providers.Secret{}, "1001"); return err },
		"hand-over without an id":     func() error { _, err := c.CheckHandover(ctx, providers.NewSecret("HO-1"), ""); return err },
		"page in a tenant of offsets": func() error { _, err := c.ReadUsers(ctx, yappli.UsersQuery{Page: 1}); return err },
		"negative offset":             func() error { _, err := c.ReadUsers(ctx, yappli.UsersQuery{Offset: -1}); return err },
		"negative limit":              func() error { _, err := c.ReadUsers(ctx, yappli.UsersQuery{Limit: -1}); return err },
		"negative page":               func() error { _, err := c.ReadUsers(ctx, yappli.UsersQuery{Page: -1}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(); !errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), "yappli") {
				t.Errorf("%v", err)
			}
		})
	}
	if n := s.Count(""); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestQuirksAreReadForEachCall(t *testing.T) {
	t.Parallel()
	s := yapplitest.New(sandbox.Options{Rate: -1, Records: 1})
	token := s.Token(base)
	for quirks, want := range map[string]string{
		`{"body":"xml"}`: "body", `{"token":"multipart"}`: "token", `{"paging":"cursor"}`: "paging", `{"lookup":"scan"}`: "lookup",
		`{"update":"maybe"}`: "update", `{"page_size":1001}`: "page_size", `{"page_size":-1}`: "page_size", `{"bodies":"json"}`: "bodies",
		`{}{}`: "more than one", `[]`: "quirks", `{"body":1}`: "body",
	} {
		token.Quirks = []byte(quirks)
		_, err := yappli.New(providers.Fixed(token), &providers.Options{HTTP: s.Client(), Limiter: noLimit{}}).User(t.Context(), "1001")
		if !errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", quirks, err)
		}
	}
	q, err := yappli.ParseQuirks(nil)
	if want := (yappli.Quirks{Token: yappli.Form, Body: yappli.Multipart, Paging: yappli.ByOffset, PageSize: 50, Lookup: yappli.LookupNone}); err != nil || q != want {
		t.Errorf("defaults %+v, %v", q, err)
	}
	q, err = yappli.ParseQuirks([]byte(`{"token":"json","body":"form","paging":"page","page_size":1000,"lookup":"unique_id","update":"replace"}`))
	if want := (yappli.Quirks{Token: yappli.JSON, Body: yappli.Form, Paging: yappli.ByPage, PageSize: 1000, Lookup: yappli.LookupUniqueID, Update: yappli.UpdateReplace}); err != nil || q != want {
		t.Errorf("all set: %+v, %v", q, err)
	}
	if q, err = yappli.ParseQuirks([]byte(`{"page_size":1}`)); err != nil || q.PageSize != 1 {
		t.Errorf("page_size 1: %+v, %v", q, err)
	}
}
