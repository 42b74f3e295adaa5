package call

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"hikyaku/pkg/providers"
)

// classify maps a status to the vocabulary; nil for 2xx.
func classify(provider, op string, r Response) error {
	if r.Status >= 200 && r.Status < 300 {
		return nil
	}
	e := &providers.Error{Provider: provider, Op: op, Status: r.Status, Code: errorCode(r.Body)}
	switch {
	case r.Status == http.StatusUnauthorized:
		e.Kind = providers.ErrUnauthorized
	case r.Status == http.StatusForbidden:
		e.Kind = providers.ErrForbidden
	case r.Status == http.StatusNotFound:
		e.Kind = providers.ErrNotFound
	case r.Status == http.StatusConflict:
		e.Kind = providers.ErrDuplicate
	case r.Status == http.StatusGone:
		e.Kind = providers.ErrGone
	case r.Status == http.StatusTooManyRequests:
		e.Kind = providers.ErrRateLimited
	case r.Status == http.StatusNotImplemented:
		e.Kind = providers.ErrInvalid
	case r.Status >= 500 || r.Status == http.StatusRequestTimeout:
		e.Kind = providers.ErrTemporary
	case r.Status >= 300 && r.Status < 400:
		e.Kind, e.Detail = providers.ErrInvalid, "redirected; set the connection's base URL to the final one"
	default:
		e.Kind = providers.ErrInvalid
	}
	e.RetryAfter = retryAfter(r.Header.Get("Retry-After"), time.Now())
	return e
}

// retryAfter reads both forms of the header: seconds, or an HTTP date.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// knownCodes are the error codes that may be shown. Any other text stays out
// of errors: a provider may echo what it was sent.
var knownCodes = map[string]bool{
	"invalid_request": true, "invalid_client": true, "invalid_grant": true, "unauthorized_client": true,
	"unsupported_grant_type": true, "invalid_scope": true, "invalid_token": true, "access_denied": true,
	"RateLimitExceeded": true,
}

func errorCode(body []byte) string {
	var e struct {
		Error json.RawMessage `json:"error"`
		Code  json.RawMessage `json:"code"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	for _, raw := range []json.RawMessage{e.Error, e.Code} {
		var code string
		if json.Unmarshal(raw, &code) == nil && knownCodes[code] {
			return code
		}
	}
	return ""
}

// Decode reads a JSON answer into v. A byte order mark is skipped. Anything
// that is not the expected JSON is an ErrInvalid, and so is text that is not
// UTF-8: encoding/json would replace it, and it would be written elsewhere.
func Decode(provider, op string, r Response, v any) error {
	if !utf8.Valid(r.Body) {
		return Malformed(provider, op, r, "the answer is not UTF-8")
	}
	if err := json.Unmarshal(bytes.TrimPrefix(r.Body, []byte("\xef\xbb\xbf")), v); err != nil {
		return Malformed(provider, op, r, "the answer is not the documented JSON")
	}
	return nil
}

// Malformed reports an answer that breaks the provider's documents; detail is
// a constant.
func Malformed(provider, op string, r Response, detail string) error {
	return &providers.Error{Provider: provider, Op: op, Status: r.Status, Kind: providers.ErrInvalid, Detail: detail}
}
