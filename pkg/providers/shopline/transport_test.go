package shopline_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// answering returns an HTTP client that answers every request alike.
func answering(status int, body string) *http.Client {
	return &http.Client{Transport: answer{status, body}}
}

type answer struct {
	status int
	body   string
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// record keeps the query of the last request.
type record struct {
	http.RoundTripper
	query *url.Values
}

func (t record) RoundTrip(r *http.Request) (*http.Response, error) {
	*t.query = r.URL.Query()
	return t.RoundTripper.RoundTrip(r)
}

// agent keeps the User-Agent of every request.
type agent struct {
	http.RoundTripper
	agents *[]string
}

func (t agent) RoundTrip(r *http.Request) (*http.Response, error) {
	*t.agents = append(*t.agents, r.UserAgent())
	return t.RoundTripper.RoundTrip(r)
}
