package canned

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf16"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A List is one list of one provider, as a test asks for it.
type List struct {
	Name string
	Key  string // that holds the array, at the top of the answer; empty: the answer is the array
	Good string // an answer of two records
	// Read asks for a page through a client whose requests go to h.
	Read func(ctx context.Context, h *http.Client) (jsonscan.List, error)
}

// A Lie is an answer of status 200 that is not the list that was asked for.
type Lie struct {
	Name, Body, ContentType string
}

// Lies are the ways to lie about a list.
func (l List) Lies() []Lie {
	lies := l.bodies()
	for i, envelope := range []string{
		`{"status":"error","errors":[{"code":"E001","message":"canary"}]%s}`, `{"status":"error","errors":[]%s}`,
		`{"code":"SERVICE_UNAVAILABLE","message":"canary","extras":[]%s}`, `{"error":"canary"%s}`, `{"error":{"code":429,"message":"canary"}%s}`,
		`{"errors":[{"message":"canary"}]%s}`, `{"errors":{"base":["canary"]}%s}`, `{"error_code":"canary"%s}`, `{"errorMessage":"canary"%s}`,
		`{"success":false,"data":null%s}`, `{"ok":0%s}`, `{"status":503,"title":"canary"%s}`, `{"exception":"canary"%s}`, `{"Fault":{"faultstring":"canary"}%s}`,
		`{"message":"canary"%s}`, `{"result":"NG"%s}`, `{"meta":{"code":500}%s}`, `{"detail":"canary"%s}`,
	} {
		alone := fmt.Sprintf(envelope, "")
		lies = append(lies, Lie{fmt.Sprintf("error object %d", i), alone, ""}, Lie{fmt.Sprintf("error object %d in an array", i), "[" + alone + "]", ""})
		if l.Key == "" {
			continue
		}
		for _, list := range []string{"[]", "null"} {
			body := fmt.Sprintf(envelope, `,"`+l.Key+`":`+list+`,"pagination":{}`)
			lies = append(lies, Lie{fmt.Sprintf("error object %d beside %s", i, list), body, ""})
		}
	}
	return lies
}

// bodies are lies that are no error objects.
func (l List) bodies() []Lie {
	lies := []Lie{
		{"nothing", "", ""}, {"white space", " \n", ""}, {"a text", "canary", ""}, {"a quoted text", `"canary"`, ""}, {"a number", "7", ""}, {"true", "true", ""}, {"null", "null", ""},
		{"an object", "{}", ""}, {"another object", `{"canary":[]}`, ""}, {"an array of texts", `["canary"]`, ""}, {"an array of null", `[null]`, ""}, {"an array of objects", `[{"canary":1}]`, ""},
		{"HTML", "<!doctype html><html><body>canary</body></html>", ""}, {"HTML as such", "<html>canary</html>", "text/html; charset=utf-8"}, {"a warning", "<br />\n<b>Warning</b>: canary<br />\n" + l.Good, ""},
		{"text before", "canary" + l.Good, ""}, {"a guard before", ")]}',\n" + l.Good, ""}, {"text after", l.Good + "canary", ""}, {"a comment after", l.Good + "<!-- canary -->", ""},
		{"doubled", l.Good + l.Good, ""}, {"doubled, by line", l.Good + "\n" + l.Good, ""}, {"half", l.Good[:len(l.Good)/2], ""}, {"all but the end", l.Good[:len(l.Good)-1], ""},
		{"another charset", l.Good, "application/json; charset=Shift_JIS"}, {"UTF-16", wide(l.Good), ""}, {"packed twice", packed(packed(l.Good)), ""}, {"packed and cut", packed(l.Good)[:20], ""},
		{"latin-1", strings.ReplaceAll(l.Good, "é", "\xe9"), ""},
	}
	if l.Key == "" {
		return append(lies, Lie{"an object in place of the array", `{"items":` + l.Good + `}`, ""}, Lie{"an object of objects", `{"1":{"id":1,"serial_order_id":1},"3":{"id":3,"serial_order_id":3}}`, ""})
	}
	for _, other := range []string{`"canary"`, `7`, `false`, `{}`, `{"1":{"id":1},"3":{"id":3}}`, `[{}]`, `[[]]`, `["canary"]`, `[{"canary":1}]`} {
		lies = append(lies, Lie{"another value in place of the list", `{"` + l.Key + `":` + other + `,"pagination":{}}`, ""})
	}
	return append(lies, Lie{"the list twice", strings.Replace(l.Good, "{", `{"`+l.Key+`":[],`, 1), ""}, Lie{"an array without its envelope", `[{"canary":1}]`, ""})
}

func packed(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

func wide(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		_, _ = b.Write([]byte{byte(u), byte(u >> 8)})
	}
	return b.String()
}

// Turns are answers in turn, the last one for ever.
type Turns struct {
	Answers []Lie
	Count   int // requests so far
}

// RoundTrip gives the next answer.
func (t *Turns) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	answer := t.Answers[min(t.Count, len(t.Answers)-1)]
	t.Count++
	w := httptest.NewRecorder()
	if answer.ContentType != "" {
		w.Header().Set("Content-Type", answer.ContentType)
	} else {
		w.Header()["Content-Type"] = nil
	}
	_, _ = w.WriteString(answer.Body)
	return w.Result(), nil
}

// TestList tells every lie about a list, once and for ever: it is asked for
// again, and is never a record or an end.
func TestList(t *testing.T, l List) {
	t.Helper()
	good := Lie{Body: l.Good}
	ask := func(t *testing.T, answers ...Lie) (jsonscan.List, int, error) {
		t.Helper()
		transport := &Turns{Answers: answers}
		list, err := l.Read(t.Context(), &http.Client{Transport: transport})
		return list, transport.Count, err
	}
	for _, fine := range []Lie{good, {Body: "\xef\xbb\xbf" + l.Good}, {Body: packed(l.Good)}, {Body: l.Good, ContentType: "application/json; charset=UTF-8"}} {
		if list, n, err := ask(t, fine); err != nil || len(list.Records) != 2 || n != 1 {
			t.Errorf("%s: %d records, %v after %d requests", l.Name, len(list.Records), err, n)
		}
	}
	for _, lie := range l.Lies() {
		synctest.Test(t, func(t *testing.T) {
			list, n, err := ask(t, lie, lie, good)
			if err != nil || len(list.Records) != 2 || n != 3 {
				t.Errorf("%s: %s twice: %d records, %v after %d requests", l.Name, lie.Name, len(list.Records), err, n)
			}
			list, n, err = ask(t, lie)
			var e *providers.Error
			if !errors.Is(err, providers.ErrMalformed) || !errors.As(err, &e) || !strings.HasPrefix(e.Detail, "found ") || e.Status != http.StatusOK || n != 4 || len(list.Records) != 0 || list.Null {
				t.Errorf("%s: %s (%s) for ever: %d records, %v after %d requests", l.Name, lie.Name, lie.Body, len(list.Records), err, n)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %s: the error holds text of the answer: %v", l.Name, lie.Name, err)
			}
		})
	}
}
