package call_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

func streamed(t *testing.T, c *call.Client) (int, error) {
	t.Helper()
	stream, err := c.Stream(t.Context(), "things.list", func(providers.Token) (call.ListRequest, error) {
		return call.ListRequest{Shapes: []jsonscan.Shape{{Path: []string{"items"}, ID: []string{"id"}}}}, nil
	})
	if err != nil {
		return 0, err
	}
	defer func() {
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	}()
	for rows := 0; ; {
		list, err := stream.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += len(list.Records)
	}
}

func TestStream_ThroughATemporaryFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	change := func(_ *call.Config, o *providers.Options) { o.SpoolDir, o.MaxSpool = dir, 4<<20 }
	rows := func(n int) string {
		return `{"items":[` + strings.TrimSuffix(strings.Repeat(`{"id":1,"s":"x"},`, n), ",") + `]}`
	}
	long := rows(150_000) // 2.5 MiB
	for name, c := range map[string]struct {
		replies  []reply
		want     int
		kind     error
		found    string
		requests int
	}{
		"a short one":             {[]reply{{body: rows(3)}}, 3, nil, "", 1},
		"none":                    {[]reply{{body: `{"items":[]}`}}, 0, nil, "", 1},
		"a long one":              {[]reply{{body: long}}, 150_000, nil, "", 1},
		"packed":                  {[]reply{{body: packed("\xef\xbb\xbf" + long)}}, 150_000, nil, "", 1},
		"an outage first":         {[]reply{{status: 503}, {body: long}}, 150_000, nil, "", 2},
		"cut first":               {[]reply{{body: long[:2<<20], cut: true}, {body: long}}, 150_000, nil, "", 2},
		"shortened first":         {[]reply{{body: long[:2<<20]}, {body: long}}, 150_000, nil, "", 2},
		"an error first":          {[]reply{{body: `{"items":[],"errors":[{"message":"canary"}]}`}, {body: long}}, 150_000, nil, "", 2},
		"an error after the list": {[]reply{{body: long[:len(long)-1] + `,"error":"canary"}`}}, 0, providers.ErrMalformed, "found an error beside the list", 4},
		"packed twice":            {[]reply{{body: packed(packed(long))}}, 0, providers.ErrMalformed, "found an answer compressed twice", 4},
		"packed and cut":          {[]reply{{body: packed(long)[:500]}}, 0, providers.ErrMalformed, "found broken gzip", 4},
		"no gzip at all":          {[]reply{{body: "\x1f\x8b\x08broken"}}, 0, providers.ErrMalformed, "found broken gzip", 4},
		"another charset":         {[]reply{{body: long, header: http.Header{"Content-Type": {"application/json;charset=euc-jp"}}}}, 0, providers.ErrMalformed, "found another character set (by its Content-Type)", 4},
		"nothing":                 {[]reply{{}}, 0, providers.ErrMalformed, "found an empty answer", 4},
		"refused":                 {[]reply{{status: 403, body: "canary"}}, 0, providers.ErrForbidden, "", 1},
		"too long":                {[]reply{{body: rows(300_000)}}, 0, providers.ErrTooLarge, "", 1},
		"too long, packed":        {[]reply{{body: packed(rows(300_000))}}, 0, providers.ErrTooLarge, "", 1},
		"too long as it comes":    {[]reply{{body: strings.Repeat(packed(""), 200_000) + packed(rows(3))}}, 0, providers.ErrTooLarge, "", 1}, // of nothing
		"a bomb":                  {[]reply{{body: packed(strings.Repeat(" ", 16<<20))}}, 0, providers.ErrTooLarge, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{replies: c.replies}
				n, err := streamed(t, client(s, change))
				if n != c.want || !errors.Is(err, c.kind) || s.count() != c.requests || kindOf(err).Detail != c.found {
					t.Errorf("%d rows, %v after %d requests", n, err, s.count())
				}
				if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), dir)) {
					t.Errorf("%v", err)
				}
				if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 0 {
					t.Errorf("%s stay behind", files)
				}
			})
		})
	}
	gone := func(_ *call.Config, o *providers.Options) { o.SpoolDir = filepath.Join(dir, "no such folder") }
	s := &scripted{replies: []reply{{body: rows(1)}}}
	if _, err := streamed(t, client(s, gone)); !errors.Is(err, os.ErrNotExist) || providers.Retryable(err) || s.count() != 1 || strings.Contains(err.Error(), dir) {
		t.Errorf("no folder: %v after %d requests", err, s.count())
	}
}

// A list of 64 MiB in one answer takes the memory of a page.
func TestStream_Memory(t *testing.T) {
	dir := t.TempDir()
	change := func(_ *call.Config, o *providers.Options) { o.SpoolDir = dir }
	row := `{"id":1,"s":"` + strings.Repeat("x", 1000) + `"},`
	body := `{"items":[` + strings.Repeat(row, 64<<10) + `{"id":2}]}`
	c := client(&scripted{replies: []reply{{body: body}}}, change)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, err := streamed(t, c)
	runtime.ReadMemStats(&after)
	if err != nil || n != 64<<10+1 {
		t.Fatal(n, err)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}
