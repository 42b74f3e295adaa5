package call_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

func packed(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

// list reads one page of {"items":[...]}, of which limit rows were asked for.
func list(t *testing.T, c *call.Client, limit int) (jsonscan.List, error) {
	t.Helper()
	return c.List(t.Context(), "things.list", func(providers.Token) (call.ListRequest, error) {
		return call.ListRequest{Shapes: []jsonscan.Shape{{Path: []string{"items"}, ID: []string{"id"}}}, Limit: limit}, nil
	})
}

// What is no list is asked for again like an answer with status 500, and in
// the end says what was found.
func TestList_AsksAgainForWhatIsNoList(t *testing.T) {
	t.Parallel()
	good := `{"items":[{"id":1},{"id":2}]}`
	japanese := http.Header{"Content-Type": {`application/json; charset="Shift_JIS"`}}
	for name, c := range map[string]struct {
		bad   reply
		found string
	}{
		"error object":  {reply{body: `{"status":"error","errors":[{"code":"E001","message":"canary"}]}`}, "found an error object"},
		"HTML":          {reply{body: `<html>canary</html>`}, "found HTML; if it stays so, check the connection's base URL"},
		"cut":           {reply{body: good[:10]}, "found JSON cut short after byte 10"},
		"nothing":       {reply{status: 204}, "found an empty answer"},
		"charset":       {reply{body: good, header: japanese}, "found another character set (by its Content-Type)"},
		"packed twice":  {reply{body: packed(packed(good))}, "found an answer compressed twice"},
		"other members": {reply{body: `{"canary":[]}`}, "found an object without the list"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{replies: []reply{c.bad, c.bad, {body: "\xef\xbb\xbf" + good, header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}}}}}
				if l, err := list(t, client(s), 0); err != nil || len(l.Records) != 2 || s.count() != 3 {
					t.Errorf("%s twice: %d records, %v after %d requests", name, len(l.Records), err, s.count())
				}
				s = &scripted{replies: []reply{c.bad}}
				l, err := list(t, client(s), 0)
				e := kindOf(err)
				if !errors.Is(err, providers.ErrMalformed) || !errors.Is(err, providers.ErrTemporary) || !errors.Is(err, jsonscan.ErrNotAList) || errors.Is(err, providers.ErrUnsent) ||
					!providers.Retryable(err) || e.Detail != c.found || e.Op != "things.list" || e.Status != max(c.bad.status, 200) || s.count() != 4 || len(l.Records) != 0 {
					t.Errorf("%s for ever: %v after %d requests", name, err, s.count())
				}
				if strings.Contains(err.Error(), "canary") {
					t.Errorf("the error holds text of the answer: %v", err)
				}
			})
		})
	}
}

// Only a refused credential counts of what Inspect finds in a list's answer.
func TestList_Inspect(t *testing.T) {
	t.Parallel()
	for kind, want := range map[error]error{
		providers.ErrUnauthorized: providers.ErrUnauthorized, providers.ErrForbidden: providers.ErrForbidden,
		providers.ErrInvalid: providers.ErrMalformed, providers.ErrTemporary: providers.ErrMalformed,
	} {
		inspect := func(c *call.Config, _ *providers.Options) {
			c.Inspect = func(call.Response) (error, string) { return kind, "x" } //nolint:staticcheck // the order of call.Config.Inspect
		}
		if _, err := list(t, client(&scripted{replies: []reply{{body: `<html>`}}}, inspect, attempts(1)), 0); !errors.Is(err, want) {
			t.Errorf("%v: %v", kind, err)
		}
	}
}

func TestList_Caps(t *testing.T) {
	t.Parallel()
	rows := func(n int) string { return `{"items":[{"id":1}` + strings.Repeat(`,{"id":1}`, n-1) + `]}` }
	change := func(_ *call.Config, o *providers.Options) { o.MaxBody, o.MaxElements, o.MaxRecord = 1000, 10, 20 }
	for name, c := range map[string]struct {
		body  string
		limit int
		fits  bool
	}{
		"rows":                    {rows(10), 1, true},
		"more rows":               {rows(11), 1, false},
		"rows that were wanted":   {rows(40), 10, true},
		"more than four times":    {rows(41), 10, false},
		"bytes":                   {rows(1) + strings.Repeat(" ", 1000-len(rows(1))), 1, true},
		"more bytes":              {rows(1) + strings.Repeat(" ", 1001-len(rows(1))), 1, false},
		"bytes, unpacked":         {packed(rows(1) + strings.Repeat(" ", 1000-len(rows(1)))), 1, true},
		"more bytes, unpacked":    {packed(rows(1) + strings.Repeat(" ", 1001-len(rows(1)))), 1, false},
		"very many bytes, packed": {packed(rows(1) + strings.Repeat(" ", 10<<20)), 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scripted{replies: []reply{{body: c.body}}}
			_, err := list(t, client(s, change), c.limit)
			if c.fits != (err == nil) || !c.fits && (!errors.Is(err, providers.ErrTooLarge) || providers.Retryable(err)) || s.count() != 1 {
				t.Errorf("%v after %d requests", err, s.count())
			}
		})
	}
	l, err := list(t, client(&scripted{replies: []reply{{body: `{"items":[{"id":1},{"id":2,"long":"xxxxxxxx"}]}`}}}, change), 2)
	if err != nil || l.Records[0].Fault != "" || l.Records[1].Fault != "larger than 20 bytes" {
		t.Errorf("a large record: %+v, %v", l.Records, err)
	}
}
