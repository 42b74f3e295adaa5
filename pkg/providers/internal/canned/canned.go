// Package canned is what the tests of several providers share: an answer that
// was prepared in advance, for the faults that no sandbox makes, and a request
// as raw bytes, as another program would send it.
package canned

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

// A Transport gives every request the same answer and keeps the last request.
// It is for one request at a time.
type Transport struct {
	Status int // 0: 200
	Body   string
	Err    error // instead of an answer

	Sent *http.Request
	Seen []byte // the body of Sent
}

// RoundTrip answers r.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var seen []byte
	if r.Body != nil {
		var err error
		if seen, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	t.Sent, t.Seen = r, seen
	if t.Err != nil {
		return nil, t.Err
	}
	recorder := httptest.NewRecorder()
	if t.Status != 0 {
		recorder.Code = t.Status
	}
	recorder.Body.WriteString(t.Body)
	return recorder.Result(), nil
}

// Replay sends raw, the bytes of an HTTP/1 request, to h.
func Replay(h http.Handler, raw string) (*http.Response, error) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = "127.0.0.1:9"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}
