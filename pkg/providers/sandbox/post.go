package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// patience is how long a sandbox waits for who takes a webhook or a callback. That of
// the providers is not documented.
const patience = 5 * time.Second

// Post posts JSON to an address that a client has registered, and returns the status of
// the answer; 0: there was none. It follows no redirect. A nil transport is the network.
func Post(transport http.RoundTripper, target string, body []byte) (status int, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body) // so that the connection is used again
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}
