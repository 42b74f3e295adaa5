package assisttencho

import (
	"bytes"
	"encoding/json"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

const (
	requestsPerSecond = 1
	inFlight          = 1
)

// A Client calls the orders API of one account. It sends one request at a
// time, and at most one per second unless its options hold a limiter. It is
// safe for concurrent use.
type Client struct {
	call   *call.Client
	source providers.TokenSource
}

// New returns a client that takes its tokens from source. A nil o means the
// defaults.
func New(source providers.TokenSource, o *providers.Options) *Client {
	return &Client{source: source, call: call.New(call.Config{
		Provider: providers.AssistTencho, Rate: requestsPerSecond, InFlight: inFlight,
		Authorize: call.Bearer, Inspect: inspect,
	}, source, o)}
}

// inspect finds the errors that come with a status of success. A page that
// asks for a password is the login page, to which old PHP applications
// redirect callers that are not logged in; any other page is a fault of the moment,
// such as maintenance.
func inspect(r call.Response) (kind error, detail string) { //nolint:revive,staticcheck // the order of call.Config.Inspect
	body := bytes.TrimSpace(jsonscan.TrimMark(r.Body)) // a list's answer is as it came
	if len(body) == 0 {
		return nil, ""
	}
	switch body[0] {
	case '<':
		if bytes.Contains(bytes.ToLower(body), []byte("password")) {
			return providers.ErrUnauthorized, "the login page came instead of JSON; authorize again with 'hikyaku authorize assisttencho'"
		}
		return providers.ErrTemporary, "an HTML page came instead of JSON"
	case '{':
		detail, kind = inspectError(body)
		return kind, detail
	}
	return nil, ""
}

func inspectError(body []byte) (detail string, kind error) {
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || harmless(answer.Error) {
		return "", nil //nolint:nilerr // the decoder finds the same fault
	}
	var code string
	_ = json.Unmarshal(answer.Error, &code) // anything but a text leaves it empty
	switch code {
	case "invalid_token", "expired_token", "unauthorized":
		return "the answer names the token as its error", providers.ErrUnauthorized
	case "access_denied", "insufficient_scope":
		return "the answer refuses access in spite of its status", providers.ErrForbidden
	}
	return "the answer holds an error in spite of its status", providers.ErrInvalid
}

// harmless reports whether the value of "error" says that there is none.
func harmless(value json.RawMessage) bool {
	switch string(value) {
	case "", "null", "false", "0", `""`, "[]", "{}":
		return true
	}
	return false
}
