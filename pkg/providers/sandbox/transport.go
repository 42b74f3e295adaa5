package sandbox

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
)

// Transport calls h in-process, for http.Client. A handler that aborts shows
// as a broken connection, before or after the first half of the body.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

var errCut = errors.New("connection cut")

func (t transport) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	request := r.Clone(r.Context())
	if request.Body == nil {
		request.Body = http.NoBody
	}
	request.RequestURI = r.URL.RequestURI()
	request.RemoteAddr = "127.0.0.1:1"
	request.Host = cmp.Or(request.Host, r.URL.Host)
	recorder := httptest.NewRecorder()
	defer func() {
		switch p := recover(); {
		case p == nil:
		case p != http.ErrAbortHandler: //nolint:errorlint // net/http compares it so
			panic(p)
		case !recorder.Flushed:
			answer, err = nil, errCut
		default:
			answer, err = recorder.Result(), nil
			canonical(answer.Header)
			answer.Body = io.NopCloser(io.MultiReader(answer.Body, brokenReader{}))
		}
	}()
	t.handler.ServeHTTP(recorder, request)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	answer = recorder.Result()
	canonical(answer.Header)
	answer.Request = r
	return answer, nil
}

// canonical writes the names of headers as a client of a socket does, whatever way
// the server wrote them.
func canonical(h http.Header) {
	for name, values := range h {
		if key := http.CanonicalHeaderKey(name); key != name {
			delete(h, name)
			h[key] = values
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
