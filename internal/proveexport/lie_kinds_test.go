package proveexport

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

// A class says what can be known of a lie by looking at it.
type class string

const (
	faulty    class = "no list"             // the answer shows by itself that it is none
	emptied   class = "false end"           // what an empty list, or the end of one, would answer
	misplaced class = "rows in wrong place" // rows of the source, but not those asked for
	harmless  class = "another form"        // the rows asked for, in another form that must be read
)

// A kind is one way to answer untruthfully.
type kind struct {
	name  string
	class class
	fits  func(*account) bool // nil: every way of paging
	tell  func(*telling)      // changes the answer, or leaves it
}

// A telling is one answer about to be told.
type telling struct {
	account *account
	request *http.Request
	query   url.Values
	list    list     // the truth; no rows if it is no list of the dataset's
	earlier []string // rows that this list has answered before
	chance  *rand.Rand
	answer
}

// rows tells other rows in the list's own envelope.
func (t *telling) rows(rows []string) { t.body = t.list.bytes(rows) }

// said tells a text with status 200.
func (t *telling) said(body string) { t.body = []byte(body) }

// open is what stands before the list's value; shut closes its envelope.
func (t *telling) open() string { return strings.TrimSuffix(t.list.before, "[") }
func (t *telling) shut() string { return strings.Repeat("}", strings.Count(t.list.before, "{")) }
func (t *telling) bare() bool   { return t.open() == "" }

// text tells the same whatever was asked.
func text(body string) func(*telling) { return func(t *telling) { t.said(body) } }

// beside tells what the list's own envelope holds instead of rows, and what
// stands beside it; bare lists have no envelope.
func beside(value, member, bare string) func(*telling) {
	return func(t *telling) {
		if t.bare() {
			t.said(bare)
			return
		}
		t.said(t.open() + value + strings.TrimSuffix(t.shut(), "}") + member + "}")
	}
}

// errorsAt200 are errors as such APIs answer them with status 200: their own
// documents', and the usual ones of frameworks and gateways.
var errorsAt200 = []kind{
	{name: "error 200: status and errors", tell: text(`{"status":"error","errors":[{"code":"E001","message":"try again later"}]}`)},
	{name: "error 200: no errors listed", tell: text(`{"status":"error","errors":[]}`)},
	{name: "error 200: code and extras", tell: text(`{"code":"SERVICE_UNAVAILABLE","message":"try later","extras":[]}`)},
	{name: "error 200: beside null", tell: beside(`null`, `,"error":"upstream timeout"`, `{"error":"upstream timeout"}`)},
	{name: "error 200: beside an empty list", tell: beside(`[]`, `,"errors":[{"message":"upstream timeout"}]`, `{"errors":[{"message":"upstream timeout"}]}`)},
	{name: "error 200: before an empty list", tell: func(t *telling) {
		beside(`[]`, ``, `{"error":"upstream timeout","items":[]}`)(t)
		t.said(`{"success":false,"message":"timeout",` + strings.TrimPrefix(string(t.body), "{"))
	}},
	{name: "error 200: nested", tell: text(`{"error":{"code":503,"message":"The service is currently unavailable.","status":"UNAVAILABLE"}}`)},
	{name: "error 200: OAuth", tell: text(`{"error":"temporarily_unavailable","error_description":"the server is busy"}`)},
	{name: "error 200: JSON:API", tell: text(`{"errors":[{"id":"e-1","status":"503","title":"Service unavailable"}]}`)},
	{name: "error 200: fields", tell: text(`{"errors":{"base":["is overloaded"]}}`)},
	{name: "error 200: message and code", tell: text(`{"message":"Too many requests","code":"TooManyRequests"}`)},
	{name: "error 200: RFC 9457", tell: text(`{"type":"about:blank","title":"Service Unavailable","status":503}`)},
	{name: "error 200: success false", tell: text(`{"success":false,"data":[]}`)},
	{name: "error 200: result NG", tell: text(`{"result":"NG","message":"サーバーが混み合っています"}`)},
	{name: "error 200: gateway", tell: text(`{"Message":"Endpoint request timed out"}`)},
	{name: "error 200: fault", tell: text(`{"fault":{"faultstring":"Spike arrest violation","detail":{"errorcode":"policies.ratelimit"}}}`)},
	{name: "error 200: in an array", tell: text(`[{"code":"rest_error","message":"try again later"}]`)},
	{name: "error 200: Spring", tell: text(`{"timestamp":"2026-11-22T00:00:00Z","status":503,"error":"Service Unavailable","path":"/"}`)},
	{name: "error 200: in the list", tell: beside(`[{"error":"backend timeout"}]`, ``, `[{"error":"backend timeout"}]`)},
	{name: "error 200: text", tell: text(`"error"`)},
	{name: "error 200: false", tell: text(`false`)},
}

// generation is the documented list of another generation of the API.
const generation = "another generation"

// otherShapes are JSON, and not the documented list.
var otherShapes = []kind{
	{name: "no list", tell: func(t *telling) { t.said("{" + strings.TrimPrefix(strings.TrimPrefix(t.list.after, "]"), ",")) }},
	{name: "nothing", tell: text("")},
	{name: "no content", tell: func(t *telling) { t.status, t.body = http.StatusNoContent, nil }},
	{name: "an object of objects", tell: func(t *telling) {
		members := make([]string, len(t.list.rows))
		for i, row := range t.list.rows {
			members[i] = fmt.Sprintf("%q:%s", strconv.Itoa(i+1), row)
		}
		t.said(t.open() + "{" + strings.Join(members, ",") + "}" + t.shut())
	}},
	{name: "a list of texts", tell: beside(`["a","b"]`, ``, `["a","b"]`)},
	{name: "rows without ids", tell: beside(`[{"name":"x"},{"name":"y"}]`, ``, `[{"name":"x"},{"name":"y"}]`)},
	{name: "a number for the list", tell: beside(`0`, ``, `0`)},
	{name: "another envelope", tell: func(t *telling) {
		rows := "[" + strings.Join(t.list.rows, ",") + "]"
		if t.bare() || t.chance.IntN(2) == 0 {
			rows = `{"data":` + rows + `}`
		}
		t.said(rows)
	}},
	{name: "lines instead of a list", tell: func(t *telling) { t.said(strings.Join(t.list.rows, "\n")) }},
	{name: generation, fits: func(a *account) bool { return a.token.Provider == "yappli" }, tell: func(t *telling) {
		if t.account.paging.first(t.query) || len(t.list.rows) == 0 { // the first one decides what the rest must be
			return
		}
		var rows []string
		for _, row := range t.list.rows {
			if other := record(row); other != row {
				rows = append(rows, other)
			} else {
				rows = append(rows, `{"member":`+row+`}`)
			}
		}
		t.rows(rows)
	}},
}

// damages are what becomes of a body on its way.
var damages = []kind{
	{name: "cut", tell: func(t *telling) { t.body = t.body[:t.chance.IntN(len(bytes.TrimRight(t.body, "\n")))] }},
	{name: "cut at the last byte", tell: func(t *telling) { t.body = bytes.TrimRight(t.body, "\n")[:len(bytes.TrimRight(t.body, "\n"))-1] }},
	{name: "doubled", tell: func(t *telling) { t.body = slices.Concat(t.body, t.body) }},
	{name: "a warning before it", tell: func(t *telling) {
		t.said("<br />\n<b>Warning</b>: Undefined index in <b>/srv/www/api.php</b> on line <b>12</b><br />\n" + string(t.body))
	}},
	{name: "an object before it", tell: func(t *telling) { t.said(`{"debug":true}` + "\n" + string(t.body)) }},
	{name: "a guard before it", tell: func(t *telling) { t.said(")]}',\n" + string(t.body)) }},
	{name: "a comment behind it", tell: func(t *telling) { t.said(string(t.body) + "\n<!-- 0.8 s -->") }},
	{name: "an object behind it", tell: func(t *telling) { t.said(string(t.body) + `{"errors":[]}`) }},
	{name: "a function around it", tell: func(t *telling) { t.said("callback(" + string(t.body) + ");") }},
	{name: "UTF-16", tell: func(t *telling) {
		order := pick(t.chance, unicode.LittleEndian, unicode.BigEndian)
		t.recode(unicode.UTF16(order, pick(t.chance, unicode.UseBOM, unicode.IgnoreBOM)).NewEncoder())
	}},
	{name: "Shift_JIS", tell: func(t *telling) { t.recode(japanese.ShiftJIS.NewEncoder()) }},
	{name: "EUC-JP", tell: func(t *telling) { t.recode(japanese.EUCJP.NewEncoder()) }},
	{name: "Latin-1", tell: func(t *telling) {
		var out []byte
		for _, r := range string(t.body) {
			if r < utf8.RuneSelf {
				out = append(out, byte(r))
			} else {
				out = append(out, 0xc0+byte(r%64)) // a letter for a letter
			}
		}
		t.body = out
	}},
	{name: "gzip twice", tell: func(t *telling) { t.body = zipped(zipped(t.body)) }},
	{name: "gzip cut", tell: func(t *telling) { z := zipped(t.body); t.body = z[:len(z)*2/3] }},
	{name: "labeled as gzip, and none", tell: func(t *telling) { t.body, t.broken = nil, gzip.ErrHeader }},
	{name: "a page for people", tell: func(t *telling) {
		t.header.Set("Content-Type", pick(t.chance, "text/html; charset=UTF-8", "application/json"))
		t.said(`<!DOCTYPE html><html lang="ja"><head><title>ログイン</title></head><body><form>...</form></body></html>`)
	}},
	{name: "random bytes", tell: func(t *telling) {
		t.body = make([]byte, 1+t.chance.IntN(200))
		for i := range t.body {
			t.body[i] = byte(t.chance.Uint32())
		}
	}},
	{name: "zeros", tell: func(t *telling) { t.body = make([]byte, len(t.body)) }},
}

func (t *telling) recode(to *encoding.Encoder) {
	if out, err := encoding.ReplaceUnsupported(to).Bytes(t.body); err == nil {
		t.body = out
	}
}

func zipped(body []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	_, _ = z.Write(body)
	_ = z.Close()
	return b.Bytes()
}

// failures are answers that say that they are none.
var failures = []kind{
	{name: "status 500", tell: func(t *telling) { t.fail(500, `{"error":"internal"}`) }},
	{name: "status 502", tell: func(t *telling) { t.fail(502, "<html><body><h1>502 Bad Gateway</h1></body></html>") }},
	{name: "status 503", tell: func(t *telling) { t.fail(503, "") }},
	{name: "status 504", tell: func(t *telling) { t.fail(504, `{"message":"Endpoint request timed out"}`) }},
	{name: "status 408", tell: func(t *telling) { t.fail(408, "") }},
	{name: "status 429", tell: func(t *telling) { t.fail(429, `{"code":"RateLimitExceeded"}`) }},
	{name: "connection refused", tell: func(t *telling) { t.failed = errConnection }},
	{name: "connection cut", tell: func(t *telling) { t.body, t.broken = t.body[:t.chance.IntN(len(t.body))], errConnection }},
	{name: "no answer", tell: func(t *telling) { t.failed = errSilence }},
	{name: "odd Retry-After", tell: func(t *telling) { t.retry("-5", "soon", " 7 ", "1.5", "0", "1e2", "Thu, 01 Jan 1970 00:00:00 GMT") }},
	{name: "long Retry-After", tell: func(t *telling) {
		t.retry("9999999999", "3600", "86400", "Wed, 22 Nov 2036 00:00:00 GMT", "1e12", "900")
	}},
}

func (t *telling) fail(status int, body string) { t.status, t.body = status, []byte(body) }

func (t *telling) retry(values ...string) {
	t.fail(pick(t.chance, 429, 503), `{"code":"RateLimitExceeded"}`)
	t.header.Set("Retry-After", pick(t.chance, values...))
}

// empties are what an empty list, or its end, would answer.
var empties = []kind{
	{name: "empty", tell: func(t *telling) { t.rows(nil) }},
	{name: "empty, in all its figures", tell: func(t *telling) {
		t.list.after = totals.ReplaceAllString(t.list.after, `${1}0`)
		t.rows(nil)
	}},
	{name: "the row of overlap alone", fits: paged, tell: func(t *telling) {
		if len(t.list.rows) > 1 && !t.account.paging.first(t.query) {
			t.rows(t.list.rows[:1])
		}
	}},
	{name: "null for the list", fits: func(a *account) bool { return a.token.Provider != "supersaas" }, tell: func(t *telling) {
		t.said(t.open() + "null" + strings.TrimPrefix(t.list.after, "]"))
	}},
	{name: "null", fits: func(a *account) bool { return a.token.Provider == "assisttencho" }, tell: text("null")},
	{name: "an empty object", fits: func(a *account) bool { return a.token.Provider == "assisttencho" }, tell: text("{}")},
}

// others are rows of the source that were not asked for, or not in this order.
// What is left out is left out only where the next question shows it: a cursor
// never skips forward, and a list in one answer is whole.
var others = []kind{
	{name: "another page", fits: paged, tell: func(t *telling) {
		other, _ := parseList(t.account.with(t.request, func(q url.Values) {
			p := t.account.paging
			p.obey(q)
			if p.style == "page" {
				q.Set(p.at, strconv.Itoa(1+t.chance.IntN(9)))
			} else {
				q.Set(p.at, strconv.Itoa(t.chance.IntN(40)))
			}
		}).body)
		if len(other.rows) > 1 { // or it would look like the end
			t.rows(other.rows)
		}
	}},
	{name: "an earlier page", fits: func(a *account) bool { return a.paging.style == "cursor" }, tell: func(t *telling) {
		if t.account.paging.first(t.query) || len(t.earlier) == 0 {
			return
		}
		back := t.earlier[t.chance.IntN(len(t.earlier))]
		other, _ := parseList(t.account.with(t.request, func(q url.Values) {
			q.Del(t.account.paging.at)
			if t.chance.IntN(2) == 0 {
				q.Set(t.account.paging.at, (&ids{name: t.account.id, known: map[string]string{}}).of(record(back)))
			}
		}).body)
		t.rows(other.rows)
	}},
	{name: "a short page", fits: func(a *account) bool { return a.paging.style != "none" }, tell: func(t *telling) {
		if n := len(t.list.rows); n > 2 {
			t.rows(t.list.rows[:2+t.chance.IntN(n-2)])
		}
	}},
	{name: "repetitions near", fits: isPaged, tell: func(t *telling) { t.repeat(t.earlier[max(0, len(t.earlier)-12):]) }},
	{name: "repetitions far", fits: isPaged, tell: func(t *telling) { t.repeat(t.earlier[:min(12, len(t.earlier))]) }},
	{name: "a row twice", tell: func(t *telling) {
		if n := len(t.list.rows); n > 0 {
			t.rows(slices.Insert(slices.Clone(t.list.rows), t.chance.IntN(n+1), pick(t.chance, t.list.rows...)))
		}
	}},
	{name: "a page in another order", tell: func(t *telling) {
		rows := slices.Clone(t.list.rows)
		t.chance.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		t.rows(rows)
	}},
}

func isPaged(a *account) bool { return a.paging.style != "none" }

// paged: by a place that can be asked for.
func paged(a *account) bool { return a.paging.style == "offset" || a.paging.style == "page" }

// repeat puts up to three rows again before, among or after those of the page.
func (t *telling) repeat(rows []string) {
	if len(rows) == 0 {
		return
	}
	all := slices.Clone(t.list.rows)
	at := t.chance.IntN(len(all) + 1)
	for range 1 + t.chance.IntN(3) {
		all = slices.Insert(all, at, pick(t.chance, rows...))
	}
	t.rows(all)
}

// forms are the truth in another form, which is to be read.
var forms = []kind{
	{name: "byte order mark", tell: func(t *telling) { t.said("\xef\xbb\xbf" + string(t.body)) }},
	{name: "gzip without a label", tell: func(t *telling) { t.body = zipped(t.body) }},
	{name: "space around it", tell: func(t *telling) { t.said("\r\n \t" + string(t.body) + "\r\n\r\n") }},
	{name: "indented", tell: func(t *telling) {
		var b bytes.Buffer
		if json.Indent(&b, t.body, "", "\t") == nil {
			t.body = b.Bytes()
		}
	}},
	{name: "a longer page", fits: func(a *account) bool { return a.paging.style == "offset" || a.paging.style == "cursor" }, tell: func(t *telling) {
		p := t.account.paging
		size := p.limit(t.query)
		longer, _ := parseList(t.account.with(t.request, func(q url.Values) { q.Set(p.size, strconv.Itoa(size+1+t.chance.IntN(size))) }).body)
		t.rows(longer.rows)
	}},
}

// kinds are all of them.
var kinds = func() (all []kind) {
	for _, group := range []struct {
		class class
		kinds []kind
	}{
		{faulty, errorsAt200}, {faulty, otherShapes}, {faulty, damages}, {faulty, failures},
		{emptied, empties}, {misplaced, others}, {harmless, forms},
	} {
		for _, k := range group.kinds {
			k.class = group.class
			all = append(all, k)
		}
	}
	return all
}()
