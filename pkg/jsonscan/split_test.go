package jsonscan_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"hikyaku/pkg/jsonscan"
)

var (
	id     = []string{"id"}
	array  = jsonscan.Shape{Name: "array", ID: id}
	items  = jsonscan.Shape{Name: "items", Path: []string{"items"}, ID: id, Total: []string{"pagination", "total_count"}, Beside: []string{"pagination"}}
	deep   = jsonscan.Shape{Name: "deep", Path: []string{"response", "orders"}, ID: id}
	table  = jsonscan.Shape{Name: "table", Path: []string{"members"}, Wrap: "member", ID: id}
	flat   = jsonscan.Shape{Name: "flat", Path: []string{"members"}, ID: id}
	inner  = jsonscan.Shape{Name: "inner", Path: []string{"members", "member"}, ID: id}
	nested = jsonscan.Shape{Name: "nested", Path: []string{"rows"}, ID: []string{"key", "id"}}
	php    = jsonscan.Shape{Name: "php", Path: []string{"orders"}, ID: id, Empty: []string{"null", "{}"}}
)

// show writes a list as its shape, its total and its records, with each fault.
func show(l jsonscan.List) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", l.Shape)
	if l.Total >= 0 {
		fmt.Fprintf(&b, " of %d", l.Total)
	}
	if l.Null {
		b.WriteString(" null")
	}
	if l.Undecidable {
		b.WriteString(" undecidable")
	}
	for _, r := range l.Records {
		fmt.Fprintf(&b, " %s=%s", r.ID, l.Bytes(r))
		if r.Fault != "" {
			fmt.Fprintf(&b, " (%s)", r.Fault)
		}
		if line := l.Line(r); line[len(line)-1] != '\n' {
			b.WriteString(" (no newline)")
		}
	}
	return b.String()
}

func shapes(s ...jsonscan.Shape) []jsonscan.Shape { return s }

func TestSplit_Lists(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shapes []jsonscan.Shape
		body   string
		want   string
	}{
		{shapes(array), ` [ {"id": 1} , {"id":"b", "x": [ 1 , 2 ] } ] `, `array 1={"id":1} b={"id":"b","x":[1,2]}`},
		{shapes(array), `[]`, `array`},
		{shapes(array), "\xef\xbb\xbf[{\"id\":1}]", `array 1={"id":1}`},
		{shapes(items), `{"items":[{"id":"1"}],"pagination":{"total_count":61}}`, `items of 61 1={"id":"1"}`},
		{shapes(items), `{"pagination":{"total_count":"0"},"items":[ ]}`, `items of 0`},
		{shapes(items), `{"items":[{"id":"1"}],"pagination":{"total_count":-1}}`, `items 1={"id":"1"}`},
		{shapes(items), `{"items":[{"id":"1"}],"pagination":{"total_count":1.5}}`, `items 1={"id":"1"}`},
		{shapes(items), `{"\u0069tems":[{"\u0069d":"\u0031"}]}`, `items 1={"\u0069d":"\u0031"}`},
		{shapes(deep), `{"success":"ok","response":{"orders":[{"id":3}],"count":1}}`, `deep 3={"id":3}`},
		{shapes(nested), `{"rows":[{"key":{"id":9}},{"key":{}}]}`, `nested 9={"key":{"id":9}} ={"key":{}} (no id)`},
		{shapes(table), `{"members":[{"member":{"id":1}},{"member":[{"id":2},{"id":3}]},{"member":[]}]}`, `table 1={"id":1} 2={"id":2} 3={"id":3}`},
		{shapes(table), `{"members":[{"member":[]},{"member":[]}]}`, `table`},
		{shapes(table, flat, inner), `{"members":[{"member":{"id":1}}]}`, `table 1={"id":1}`},
		{shapes(table, flat, inner), `{"members":[{"id":1},{"id":2,"member":{"id":3}}]}`, `flat 1={"id":1} 2={"id":2,"member":{"id":3}}`},
		{shapes(table, flat, inner), `{"members":{"member":[{"id":1}]}}`, `inner 1={"id":1}`},
		{shapes(table, flat, inner), `{"members":[]}`, ``},
		{shapes(inner, table), `{"members":{"member":[]}}`, `inner`},
		{shapes(table), `{"members":[{"member":{"id":1}},{"id":2},{"member":"x"},{"member":{"id":3},"x":1}]}`,
			`table 1={"id":1} 2={"id":2} (not wrapped as the others are) ="x" (not an object) ={"member":{"id":3},"x":1} (not wrapped as the others are)`},
		// One odd element among good ones is that record's fault.
		{shapes(array), `[{"id":1},null,5,"x",[{"id":2}],{},{"id":null},{"id":""},{"id":true},{"id":{"id":1}},{"id":-0.5}]`,
			`array 1={"id":1} =null (not an object) =5 (not an object) ="x" (not an object) =[{"id":2}] (not an object) ={} (no id) ={"id":null} (no id)` +
				` ={"id":""} (no id) ={"id":true} (no id) ={"id":{"id":1}} (no id) -0.5={"id":-0.5}`},
		{shapes(array), "[{\"id\":1,\"s\":\"é\"},{\"id\":2,\"s\":\"\xff\"}]", "array 1={\"id\":1,\"s\":\"é\"} 2={\"id\":2,\"s\":\"\xff\"} (not valid UTF-8)"},
		{shapes(array), "[{\"id\":2,\"s\":\"\xff\"}]", "array undecidable 2={\"id\":2,\"s\":\"\xff\"} (not valid UTF-8)"},
		{shapes(array), "[null,{\"id\":2,\"s\":\"\xff\"}]", "array undecidable =null (not an object) 2={\"id\":2,\"s\":\"\xff\"} (not valid UTF-8)"},
		{shapes(array), "[{\"id\":1},{\"id\":2,\"s\":\"\xff\"}]", "array 1={\"id\":1} 2={\"id\":2,\"s\":\"\xff\"} (not valid UTF-8)"},
		{shapes(array), `[{"id":1,"id":2,"s":"\ud800"}]`, `array 1={"id":1,"id":2,"s":"\ud800"}`},
		{shapes(array), `[{"id":"` + strings.Repeat("長", 400) + `"}]`, `array ` + strings.Repeat("長", 400) + `={"id":"` + strings.Repeat("長", 400) + `"}`},
		// Null is no empty list, but for where the documents say so.
		{shapes(flat), `{"members":null}`, `flat null`},
		{shapes(flat, table), `{"members":null}`, ` null`},
		{shapes(items), `{"items":null,"pagination":{"total_count":61}}`, `items of 61 null`},
		{shapes(php), `{"orders":null}`, `php`},
		{shapes(php), `{"orders":{}}`, `php`},
		{shapes(php), `{"orders":[]}`, `php`},
		{shapes(php), ` null `, `php`},
		{shapes(php), `{ }`, `php`},
		// What says that all is well is no sign of an error.
		{shapes(flat), `{"members":[],"error":null,"errors":[],"error_code":0,"errorCode":"0000","error_message":"","exception":false,"fault":{}}`, `flat`},
		{shapes(flat), `{"errcode":0,"errmsg":"ok","error":{"code":200,"message":"Success."},"status":"OK","code":200,"message":"success","members":[]}`, `flat`},
		{shapes(flat), `{"success":true,"ok":1,"status":1,"result":"success","detail":null,"members":[],"has_errors":false,"failed":0}`, `flat`},
		{shapes(flat), `{"success":"ok","code":"200","message":"正常終了","members":[],"meta":{"status":200,"message":"OK"}}`, `flat`},
		{shapes(flat), `{"members":[],"total":0,"current_page":1,"last_page":1,"default":"x","title":"Members","type":"list"}`, `flat`},
		{shapes(flat), `{"members":[{"id":1,"rank":2,"error":"x","status":"error","success":false}],"status":"pending","message":"1 member","code":1,"shop":{"status":"down"}}`,
			`flat 1={"id":1,"rank":2,"error":"x","status":"error","success":false}`},
		{shapes(flat), `{"members":[{"id":1,"status":"pending"},{"id":2,"error":"x"}]}`, `flat 1={"id":1,"status":"pending"} 2={"id":2,"error":"x"}`},
		{shapes(array), `[{"id":1,"message":"hello"}]`, `array 1={"id":1,"message":"hello"}`},
	} {
		list, err := jsonscan.Split([]byte(c.body), jsonscan.Limits{}, c.shapes...)
		if got := show(list); err != nil || got != c.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", c.body, got, err, c.want)
		}
	}
}

func packed(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

func utf16le(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		b.Write([]byte{byte(u), byte(u >> 8)})
	}
	return b.String()
}

func TestSplit_SaysWhatWasFound(t *testing.T) {
	t.Parallel()
	good := `{"items":[{"id":"1","name":"ãé"},{"id":"2"}],"pagination":{}}`
	var zlibbed bytes.Buffer
	z := zlib.NewWriter(&zlibbed)
	_, _ = z.Write([]byte(good))
	_ = z.Close()
	cut := packed(good)
	for _, c := range []struct{ body, want string }{
		{``, "an empty answer"},
		{" \r\n", "an empty answer"},
		{`<!doctype html><html><body>502 {"items":[]}</body></html>`, "HTML"},
		{"\xef\xbb\xbf \n<html>", "HTML"},
		{`<br /><b>Warning</b>: x in y on line 1<br />` + good, "HTML"},
		{`<?xml version="1.0"?><items/>`, "XML"},
		{`upstream connect error`, "text in place of JSON"},
		{`Warning: foo() ` + good, "text before the JSON"},
		{`)]}',` + good, "text before the JSON"},
		{`callback(` + good + `);`, "text before the JSON"},
		{`1f4` + "\r\n" + good, "text before the JSON"},
		{"\x00" + good, "text before the JSON"},
		{good + ` OK`, "text after the JSON"},
		{good + `<!-- 12 ms -->`, "text after the JSON"},
		{good + "\x00", "text after the JSON"},
		{good + good, "two JSON values"},
		{good + "\n" + `[]`, "two JSON values"},
		{good[:len(good)-1], "JSON cut short after byte 62"},
		{good[:20], "JSON cut short after byte 20"},
		{`{"items":[{"id":"1"}`, "JSON cut short after byte 20"},
		{`{"items":[{"id":"1"},],"pagination":{}}`, "JSON that is not valid at byte 20"},
		{`{"items":[{"id":NaN}]}`, "JSON that is not valid at byte 16"},
		{`{'items':[]}`, "JSON that is not valid at byte 1"},
		{`{"items":[` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `]}`, "JSON nested more than 10000 deep"},
		{`{"items":[{"id":1}],"x":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`, "JSON nested more than 10000 deep"},
		{utf16le(good), "another character set (UTF-16)"},
		{"\xff\xfe" + utf16le(good), "another character set (UTF-16)"},
		{"\xfe\xff\x00{", "another character set (UTF-16)"},
		{"{\x00\x00\x00\"\x00\x00\x00", "another character set (UTF-32)"},
		{`{"id":7,"title":"x","items":[{"id":1}]}`, "a record in place of the list"},
		{`{"id":7,"title":"x","items":[]}`, "a record in place of the list"},
		{`{"items":null,"id":"7"}`, "a record in place of the list"},
		{"{\"items\":[{\"id\":1,\"s\":\"\xe9\"},{\"id\":2},{\"id\":3,\"s\":\"\xe8\"}]}", "another character set than UTF-8"},
		{packed(packed(good)), "an answer compressed twice"},
		{cut[:len(cut)-9], fmt.Sprintf("gzip cut short after byte %d", len(cut)-9)},
		{cut[:12], "gzip cut short after byte 12"},
		{cut[:len(cut)-8] + "12345678", "broken gzip"},
		{cut + "x", fmt.Sprintf("gzip cut short after byte %d", len(cut)+1)},
		{cut + cut, "two JSON values"},
		{"\x1f\x8b\x08broken", "broken gzip"},
		{zlibbed.String(), "an answer compressed by zlib"},
		{`null`, "null in place of the object that holds the list"},
		{`7`, "a number in place of the object that holds the list"},
		{`"items"`, "a text in place of the object that holds the list"},
		{`true`, "true or false in place of the object that holds the list"},
		{`[{"id":"1"}]`, "an array in place of the object that holds the list"},
		{`[]`, "an array in place of the object that holds the list"},
		{`{}`, "an object without the list"},
		{`{"data":[{"id":"1"}]}`, "an object without the list"},
		{`{"id":"1","name":"x"}`, "an object without the list"},
		{`{"items":{"1":{"id":"1"},"3":{"id":"3"}}}`, "an object of objects in place of the list"},
		{`{"items":{"id":"1"}}`, "an object in place of the list"},
		{`{"items":{}}`, "an object in place of the list"},
		{`{"items":"none","pagination":{}}`, "a text in place of the list"},
		{`{"items":0,"pagination":{}}`, "a number in place of the list"},
		{`{"items":false,"pagination":{}}`, "true or false in place of the list"},
		{`{"items":null}`, "null in place of the list, and nothing of what stands beside it"},
		{`{"items":[{}]}`, "an array without an object that has an id"},
		{`{"items":[null],"pagination":{}}`, "an array without an object that has an id"},
		{`{"items":[["1"]],"pagination":{}}`, "an array without an object that has an id"},
		{`{"items":[{"code":"E001","message":"x"}],"pagination":{}}`, "an array without an object that has an id"},
		{`{"items":[{"id":"e1","status":"500","title":"x"},{"id":"e2","code":429,"detail":"x"}],"pagination":{}}`, "an array without an object that has an id"},
		{`{"items":[{"id":"e1","error":"x","request_id":"r"}],"pagination":{}}`, "an array without an object that has an id"},
		{`{"items":[{"id":"1"}],"items":[]}`, "the list's name twice"},
		{`{"items":[],"items":[{"id":"1"}]}`, "the list's name twice"},
		{`{"status":"error","errors":[{"code":"E001","message":"..."}]}`, "an error object"},
		{`{"code":"SERVICE_UNAVAILABLE","message":"try later","extras":[]}`, "an error object"},
		{`{"items":null,"error":"upstream timeout"}`, "an error object"},
		{`{"items":[],"errors":[{"message":"..."}]}`, "an error beside the list"},
	} {
		_, err := jsonscan.Split([]byte(c.body), jsonscan.Limits{}, items)
		var e *jsonscan.NotAListError
		if !errors.As(err, &e) || !errors.Is(err, jsonscan.ErrNotAList) || errors.Is(err, jsonscan.ErrTooLarge) || e.Found != c.want {
			t.Errorf("%.80q: %v; want %s", c.body, err, c.want)
		}
	}
	if _, err := jsonscan.Split([]byte(`{"bookings":[{"id":1}],"slots":[{"id":2}]}`), jsonscan.Limits{},
		jsonscan.Shape{Path: []string{"bookings"}, ID: id}, jsonscan.Shape{Path: []string{"slots"}, ID: id}); err == nil || !strings.HasSuffix(err.Error(), "records under two names") {
		t.Error(err)
	}
}

// signs are envelopes around a list that say that the answer is an error. %s
// stands for the list's own member.
var signs = []string{
	`{"error":"upstream timeout",%s}`, `{"error":true,%s}`, `{"error":1,%s}`, `{"error":{"code":"E1"},%s}`, `{"error":{"code":429,"message":"slow down"},%s}`,
	`{%s,"errors":[{"message":"..."}]}`, `{%s,"errors":{"base":["..."]}}`, `{%s,"errors":["..."]}`, `{%s,"errors":"..."}`, `{%s,"errors":1}`,
	`{%s,"errors":[{"status":"400","title":"Bad request"}]}`, `{"Errors":["x"],%s}`, `{"ERROR":"x",%s}`,
	`{"error_code":"E001",%s}`, `{"errorCode":17,%s}`, `{"error-code":"x",%s}`, `{"ErrorCode":"x",%s}`, `{"errorcode":"x",%s}`, `{"errcode":40001,"errmsg":"invalid credential",%s}`,
	`{"error_message":"x",%s}`, `{"errorMessage":"x",%s}`, `{"error_description":"x",%s}`, `{"errorDetails":{"a":1},%s}`, `{"errMsg":"x",%s}`,
	`{"@odata.error":{"code":"x"},%s}`, `{"has_error":true,%s}`, `{"hasErrors":1,%s}`, `{"isError":"true",%s}`, `{"error_count":2,%s}`,
	`{"exception":"x",%s}`, `{"exceptionMessage":"x",%s}`, `{"Exception":{"class":"X"},%s}`, `{"fault":{"faultstring":"x"},%s}`, `{"faultcode":"x",%s}`, `{"Fault":"x",%s}`,
	`{"failure":"x",%s}`, `{"failed":true,%s}`, `{"failures":[1],%s}`, `{"fatal":"x",%s}`, `{"traceback":"x",%s}`, `{"エラー":"x",%s}`,
	`{"success":false,%s}`, `{"success":0,%s}`, `{"success":"false",%s}`, `{"success":"ng",%s}`, `{"is_success":false,%s}`, `{"isSuccess":"0",%s}`,
	`{"ok":false,%s}`, `{"OK":0,%s}`, `{"ok":"no",%s}`, `{"succeeded":false,%s}`, `{"authenticated":false,%s}`,
	`{"status":"error",%s}`, `{"status":"ERROR",%s}`, `{"status":"fail",%s}`, `{"status":"failed",%s}`, `{"status":"NG",%s}`, `{"status":500,%s}`, `{"status":"503",%s}`, `{"status":false,%s}`,
	`{"status":"SERVICE_UNAVAILABLE",%s}`, `{"status":{"code":503},%s}`, `{"status":{"code":"ServiceUnavailable"},%s}`, `{"state":"failure",%s}`,
	`{"result":"error",%s}`, `{"result":"NG",%s}`, `{"result":false,%s}`, `{"outcome":"failure",%s}`,
	`{"code":429,%s}`, `{"code":"RateLimitExceeded",%s}`, `{"code":"InternalError",%s}`, `{"code":"gateway_timeout",%s}`, `{"statusCode":502,%s}`, `{"status_code":"404",%s}`, `{"resultCode":"ERROR_AUTH",%s}`,
	`{"__type":"ThrottlingException",%s}`, `{"type":"error",%s}`, `{"title":"Service Unavailable",%s}`, `{"level":"error",%s}`, `{"severity":"FATAL",%s}`,
	`{"timed_out":true,%s}`, `{"incomplete_results":true,%s}`, `{"partial":true,%s}`, `{"maintenance":true,%s}`,
	`{"meta":{"error":"x"},%s}`, `{"meta":{"status":"error"},%s}`, `{"meta":{"code":500},%s}`, `{"header":{"success":false},%s}`, `{"response":{"status":{"code":500}},%s}`,
	`{"debug":{"trace":{"exception":"x"}},%s}`, `{"\u0065rror":"x",%s}`, `{"data":{"errors":[1]},%s}`,
}

// emptySigns count where there are no records only.
var emptySigns = []string{
	`{"message":"try later",%s}`, `{"message":{"text":"x"},%s}`, `{"messages":["x"],%s}`, `{"msg":"x",%s}`, `{"detail":"Not found.",%s}`, `{"details":["x"],%s}`, `{"reason":"x",%s}`,
	`{"code":"E001",%s}`, `{"code":1,%s}`, `{"code":-1,%s}`, `{"code":"42P01",%s}`, `{"status":"pending",%s}`, `{"status":"processing",%s}`, `{"status":302,%s}`, `{"statusCode":0.5,%s}`,
	`{"result":"x",%s}`, `{"meta":{"message":"x"},%s}`, `{"meta":{"code":"E1"},%s}`, `{"status":{"message":"x"},%s}`,
}

func TestSplit_SignsOfAnError(t *testing.T) {
	t.Parallel()
	split := func(envelope, list string, path ...string) error {
		body := fmt.Sprintf(envelope, list)
		if !json.Valid([]byte(body)) {
			t.Fatal(body)
		}
		_, err := jsonscan.Split([]byte(body), jsonscan.Limits{}, jsonscan.Shape{Path: path, ID: id, Empty: []string{"{}"}})
		return err
	}
	for _, sign := range append(append([]string(nil), signs...), emptySigns...) {
		for _, list := range []string{`"items":[]`, `"items":null`, `"items":{}`, `"others":[]`, `"others":[{"id":1}]`} {
			if err := split(sign, list, "items"); !errors.Is(err, jsonscan.ErrNotAList) {
				t.Errorf("%s with %s: %v", sign, list, err)
			}
		}
		for _, list := range []string{`"x":1`, `"items":[]`} {
			if err := split(sign, list); !errors.Is(err, jsonscan.ErrNotAList) {
				t.Errorf("%s with %s, for an array: %v", sign, list, err)
			}
		}
	}
	for _, sign := range signs {
		if err := split(sign, `"items":[{"id":1}]`, "items"); !errors.Is(err, jsonscan.ErrNotAList) {
			t.Errorf("%s with a record: %v", sign, err)
		}
		if err := split(`{"answer":`+sign+`}`, `"items":[{"id":1}]`, "answer", "items"); !errors.Is(err, jsonscan.ErrNotAList) {
			t.Errorf("%s further down: %v", sign, err)
		}
	}
	for _, sign := range emptySigns {
		if err := split(sign, `"items":[{"id":1}]`, "items"); err != nil {
			t.Errorf("%s with a record: %v", sign, err)
		}
	}
}

func TestSplit_Limits(t *testing.T) {
	t.Parallel()
	body := `[{"id":1},{"id":2,"s":"xxxxxxxxxx"},{"id":3}]`
	split := func(body string, l jsonscan.Limits, s jsonscan.Shape) (jsonscan.List, error) {
		return jsonscan.Split([]byte(body), l, s)
	}
	list, err := split(body, jsonscan.Limits{Record: 20}, array)
	if got, want := show(list), `array 1={"id":1} 2={"id":2,"s":"xxxxxxxxxx"} (larger than 20 bytes) 3={"id":3}`; err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	for name, c := range map[string]struct {
		body   string
		limits jsonscan.Limits
		shape  jsonscan.Shape
		large  bool
	}{
		"elements":              {body, jsonscan.Limits{Elements: 2}, array, true},
		"as many elements":      {body, jsonscan.Limits{Elements: 3}, array, false},
		"elements in a wrapper": {`{"members":[{"member":` + body + `}]}`, jsonscan.Limits{Elements: 2}, table, true},
		"bytes":                 {body, jsonscan.Limits{Body: len(body) - 1}, array, true},
		"as many bytes":         {body, jsonscan.Limits{Body: len(body)}, array, false},
		"unpacked":              {packed(body), jsonscan.Limits{Body: len(body) - 1}, array, true},
		"as many unpacked":      {packed(body), jsonscan.Limits{Body: len(body)}, array, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := split(c.body, c.limits, c.shape)
			if errors.Is(err, jsonscan.ErrTooLarge) != c.large || errors.Is(err, jsonscan.ErrNotAList) != c.large || err == nil == c.large {
				t.Errorf("%v", err)
			}
		})
	}
	// More members than any envelope has are not kept.
	if _, err := split(`{`+strings.Repeat(`"":0,`, 5000)+`"items":[]}`, jsonscan.Limits{}, items); err == nil {
		t.Error("an envelope of 5000 members")
	}
	// A value that is nested deep beside the list is judged in little time.
	hard := `{"error":` + strings.Repeat("[", 9_000) + strings.Repeat("0,", 1<<20) + "0" + strings.Repeat("]", 9_000) + `,"items":[]}`
	if _, err := split(hard, jsonscan.Limits{}, items); err == nil {
		t.Error("an error nested deep")
	}
}

// A bomb is stopped at the limit, in the memory of about two pages.
func TestSplit_StopsABomb(t *testing.T) {
	bomb := []byte(packed("[" + strings.Repeat(" ", 16<<20) + "]"))
	const limit = 1 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := jsonscan.Split(bomb, jsonscan.Limits{Body: limit}, array)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, jsonscan.ErrTooLarge) {
		t.Error(err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 3*limit {
		t.Errorf("%d bytes were allocated for a limit of %d", n, limit)
	}
}

// corpus are records whose bytes a decoder would change, a line each.
func corpus(t testing.TB) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

func TestSplit_KeepsARecordsBytes(t *testing.T) {
	t.Parallel()
	records := corpus(t)
	spaced := make([]string, len(records))
	wrapped := make([]string, len(records))
	for i, r := range records {
		var b bytes.Buffer
		if err := json.Indent(&b, []byte(r), " ", "\t"); err != nil {
			t.Fatal(err)
		}
		spaced[i] = strings.ReplaceAll(b.String(), "\n", "\r\n ")
		wrapped[i] = `{"member" : ` + r + ` }`
	}
	list := strings.Join(records, ",")
	for name, c := range map[string]struct {
		shape jsonscan.Shape
		body  string
	}{
		"array":               {array, "[" + list + "]"},
		"pretty array":        {array, " [\r\n" + strings.Join(spaced, " ,\t") + "\n] \n"},
		"byte order mark":     {array, "\xef\xbb\xbf[" + list + "]"},
		"gzip without header": {array, packed("\xef\xbb\xbf[" + list + "]")},
		"envelope":            {items, `{"tags":["a"],"items":[` + list + `],"other":[]}`},
		"further down":        {deep, `{"response":{"note":[],"orders":[` + list + `]}}`},
		"wrapped":             {table, `{"members":[` + strings.Join(wrapped, ",") + `]}`},
		"wrapped twice":       {table, `{"members":[{"member":[` + strings.Join(spaced, " , ") + ` ] }]}`},
		"inner":               {inner, `{"members":{"member":[` + strings.Join(spaced, ",") + `]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := jsonscan.Split([]byte(c.body), jsonscan.Limits{}, c.shape)
			if err != nil || len(list.Records) != len(records) {
				t.Errorf("%d records, %v", len(list.Records), err)
				return
			}
			for i, r := range list.Records {
				if string(list.Bytes(r)) != records[i] || r.Fault != "" && r.Fault != "no id" {
					t.Errorf("record %d is %s (%s)", i, list.Bytes(r), r.Fault)
				}
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	for _, c := range corpus(f) {
		f.Add([]byte("["+c+"]"), 0)
		f.Add([]byte(`{"items" : [ `+c+` ] }`), 1)
	}
	for _, s := range []string{
		"[{\"id\":\"\xff\"}]", `[1,{"id":1},[],"x",{}]`, `{"members":[{"member":{"id":1}}]}`, `{"items":null}`, `{"error":[{"a":"b"}],"items":[]}`,
		`{"status":500,"items":[]}`, packed(`[{"id":1}]`), "[{\"id\":1}]x", "{\"items\":", `{"m":{"m":{"error":1}},"items":[]}`,
	} {
		f.Add([]byte(s), 2)
	}
	all := shapes(array, items, deep, table, flat, inner, php)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		plain, plainErr := jsonscan.Plain(bytes.Clone(body), 1<<20)
		for _, some := range [][]jsonscan.Shape{all, {array}, {all[(n%len(all)+len(all))%len(all)]}} {
			list, err := jsonscan.Split(bytes.Clone(body), jsonscan.Limits{Body: 1 << 20, Record: 1 << 10, Elements: 1 << 10}, some...)
			if err != nil {
				if !errors.Is(err, jsonscan.ErrNotAList) {
					t.Errorf("an error of another kind: %v", err)
				}
				continue
			}
			if plainErr != nil || !json.Valid(plain) && utf8.Valid(plain) {
				t.Fatalf("%q is a list, but no JSON", body)
			}
			ids := 0
			for _, r := range list.Records {
				record := list.Bytes(r)
				var c bytes.Buffer
				if err := json.Compact(&c, record); err != nil || c.String() != string(record) {
					t.Errorf("record %q is not compact JSON: %v", record, err)
				}
				var object map[string]json.RawMessage
				isObject := json.Unmarshal(record, &object) == nil && object != nil
				if r.Fault == "" && (!isObject || r.ID == nil || !utf8.Valid(record)) {
					t.Errorf("record %q has no fault", record)
				}
				if isObject && r.ID != nil {
					ids++
				}
			}
			if len(list.Records) > 0 && ids == 0 || list.Null && len(list.Records) > 0 {
				t.Errorf("%q: %s", body, show(list))
			}
			if len(some) == 1 && some[0].Name == "array" && utf8.Valid(plain) && len(list.Records) > 0 {
				var records []json.RawMessage
				if json.Unmarshal(plain, &records) != nil || len(records) != len(list.Records) {
					t.Fatalf("%q: %d records of %d", body, len(list.Records), len(records))
				}
			}
		}
	})
}

// The worst answers that the limits allow cost a few times their own bytes.
func TestSplit_MemoryOfTheWorstAnswers(t *testing.T) {
	const size = 1 << 20
	fill := func(before, unit, after string) string {
		return before + strings.Repeat(unit, (size-len(before)-len(after))/len(unit)) + after
	}
	for name, body := range map[string]string{
		"elements":             fill(`{"items":[{"id":1}`, `,{"id":1}`, `]}`),
		"odd elements":         fill(`{"items":[{"id":1}`, `,0`, `]}`),
		"members of envelope":  fill(`{"items":[{"id":1}]`, `,"":0`, `}`),
		"members of an object": fill(`{"items":{"id":1`, `,"":0`, `}}`),
		"members of an error":  fill(`{"error":{"":0`, `,"":0`, `},"items":[]}`),
		"elements of an error": fill(`{"error":[0`, `,0`, `],"items":[]}`),
		"a long error":         fill(`{"error":"`, `\n`, `","items":[]}`),
		"a long name":          fill(`{"`, `\n`, `":0,"items":[]}`),
		"a long id":            fill(`{"items":[{"id":"`, `x`, `"}]}`),
		"an id of escapes":     fill(`{"items":[{"id":"`, `\u0041`, `"}]}`),
		"members of a record":  fill(`{"items":[{"id":1`, `,"":0`, `}]}`),
		"depth":                fill(`{"items":[{"id":1},`+strings.Repeat(`[`, 9990), ` `, strings.Repeat(`]`, 9990)+`]}`),
		"too much depth":       fill(`{"items":[{"id":1},`+strings.Repeat(`[`, 400_000), `0`, strings.Repeat(`]`, 400_000)+`]}`),
		"white space":          fill(`{"items":[{"id":1}`, ` `, `]}`),
		"bad UTF-8":            fill(`{"items":[{"id":1,"s":"`, "\xff", `"}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			raw := []byte(body)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = jsonscan.Split(raw, jsonscan.Limits{Body: size, Elements: 10_000, Record: size}, items)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 3*size {
				t.Errorf("%d bytes were allocated for %d", n, len(body))
			}
		})
	}
}
