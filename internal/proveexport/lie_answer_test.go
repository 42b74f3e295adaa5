package proveexport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"hikyaku/pkg/providers"
)

// An answer is what comes back over the network, as net/http's transport hands
// it on: a body that was labeled as gzip is unpacked already.
type answer struct {
	status int
	header http.Header
	body   []byte
	failed error // instead of an answer
	broken error // after the body
}

func (a answer) response(r *http.Request) (*http.Response, error) {
	if a.failed != nil {
		return nil, a.failed
	}
	body := io.Reader(bytes.NewReader(a.body))
	length := int64(len(a.body))
	if a.broken != nil {
		body, length = io.MultiReader(body, failing{a.broken}), -1
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(body), ContentLength: length, Request: r,
	}, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// ask returns the records that the sandbox answers to a path, asked with the
// account's own credential.
func (a *account) ask(path string) (records []string) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, providerURL+path, nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set("User-Agent", "model")
	if a.token.Provider == providers.SuperSaaS {
		r.SetBasicAuth(a.token.Account, a.token.Credential.Reveal())
	} else {
		r.Header.Set("Authorization", "Bearer "+a.token.Credential.Reveal())
	}
	l, err := parseList(a.serve(r).body)
	if err != nil {
		panic(fmt.Sprintf("the sandbox's answer to %s: %v", path, err))
	}
	for _, row := range l.rows {
		records = append(records, record(row))
	}
	return records
}

// serve is the sandbox's own answer.
func (a *account) serve(r *http.Request) answer {
	r = r.Clone(r.Context())
	r.RequestURI, r.RemoteAddr, r.Host, r.Body = r.URL.RequestURI(), "127.0.0.1:1", r.URL.Host, http.NoBody
	recorder := httptest.NewRecorder()
	a.handler.ServeHTTP(recorder, r)
	return answer{status: recorder.Code, header: recorder.Header(), body: recorder.Body.Bytes()}
}

// with returns the sandbox's answer to a request with another query.
func (a *account) with(r *http.Request, change func(url.Values)) answer {
	other := r.Clone(r.Context())
	q := other.URL.Query()
	change(q)
	other.URL.RawQuery = q.Encode()
	return a.serve(other)
}

// A list is an answer's list with what stands around it. No sandbox's envelope
// has another array before the list's own.
type list struct {
	before, after string
	rows          []string // the elements' own bytes
}

var errNoList = errors.New("the sandbox answered no list")

// parseList splits what a sandbox has answered, which is well formed: in a
// thousand seeds, encoding/json would take most of the time.
func parseList(body []byte) (list, error) {
	start := bytes.IndexByte(body, '[')
	if start < 0 {
		return list{}, errNoList
	}
	l := list{before: string(body[:start+1])}
	depth, from := 0, start+1
	for i := start + 1; i < len(body); i++ {
		switch body[i] {
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth >= 0 {
				continue
			}
			if row := bytes.TrimSpace(body[from:i]); len(row) > 0 {
				l.rows = append(l.rows, string(row))
			}
			l.after = string(body[i:])
			return l, nil
		case ',':
			if depth == 0 {
				l.rows = append(l.rows, string(bytes.TrimSpace(body[from:i])))
				from = i + 1
			}
		}
	}
	return list{}, errNoList
}

// bytes returns the list with other rows.
func (l list) bytes(rows []string) []byte {
	return []byte(l.before + strings.Join(rows, ",") + l.after)
}

// record takes Yappli's wrapper off an element.
func record(element string) string {
	if inner, wrapped := strings.CutPrefix(element, `{"member":`); wrapped {
		return strings.TrimSuffix(inner, "}")
	}
	return element
}

// ids reads the ids of records, each distinct one once.
type ids struct {
	name  string
	known map[string]string
}

func (i *ids) of(record string) string {
	if id, ok := i.known[record]; ok {
		return id
	}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal([]byte(record), &fields)
	id := strings.Trim(string(fields[i.name]), `"`)
	i.known[record] = id
	return id
}
