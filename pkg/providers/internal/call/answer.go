package call

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hikyaku/pkg/providers"
)

// statusKinds are the statuses that say something of their own.
var statusKinds = map[int]error{
	http.StatusUnauthorized: providers.ErrUnauthorized, http.StatusForbidden: providers.ErrForbidden,
	http.StatusNotFound: providers.ErrNotFound, http.StatusConflict: providers.ErrDuplicate, http.StatusGone: providers.ErrGone,
	http.StatusTooManyRequests: providers.ErrRateLimited, http.StatusRequestTimeout: providers.ErrTemporary,
}

// classify maps a status to the vocabulary; nil for 2xx.
func classify(provider, op string, r Response) error {
	if r.Status >= 200 && r.Status < 300 {
		return nil
	}
	e := &providers.Error{Provider: provider, Op: op, Status: r.Status, Code: errorCode(r.Body)}
	e.Kind = cmp.Or(statusKinds[r.Status], providers.ErrInvalid)
	switch {
	case r.Status >= 500 && r.Status != http.StatusNotImplemented:
		e.Kind = providers.ErrTemporary
	case r.Status >= 300 && r.Status < 400:
		e.Detail = "redirected; set the connection's base URL to the final one"
	}
	now := time.Now()
	e.RetryAfter = retryAfter(r.Header.Get("Retry-After"), now)
	if e.RetryAfter > 0 && e.Detail == "" {
		e.Detail = notBefore(now.Add(e.RetryAfter))
	}
	return e
}

// retryAfter reads both forms of the header: seconds, or an HTTP date. None of
// them asks for more than providers.LongestRetryAfter.
func retryAfter(value string, now time.Time) time.Duration {
	const most = providers.LongestRetryAfter
	value = strings.TrimSpace(value)
	if whole, fraction, _ := strings.Cut(value, "."); whole != "" && strings.Trim(whole+fraction, "0123456789") == "" {
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil || seconds > most.Seconds() { // of any number of digits
			return most
		}
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now)), most)
	}
	return 0
}

// notBefore says until when a provider wants to be left alone.
func notBefore(until time.Time) string {
	return "nothing is sent before " + until.UTC().Truncate(time.Second).Add(time.Second).Format(time.RFC3339)
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

// Decode reads a JSON answer into v. Anything that is not the expected JSON is
// an ErrInvalid, and so is text that is not UTF-8: encoding/json would replace
// it, and it would be written elsewhere.
func Decode(provider, op string, r Response, v any) error {
	if !utf8.Valid(r.Body) {
		return Malformed(provider, op, r, "the answer is not UTF-8")
	}
	if err := json.Unmarshal(r.Body, v); err != nil {
		return Malformed(provider, op, r, "the answer is not the documented JSON")
	}
	return nil
}

// Malformed reports an answer that breaks the provider's documents; detail is
// a constant.
func Malformed(provider, op string, r Response, detail string) error {
	return &providers.Error{Provider: provider, Op: op, Status: r.Status, Kind: providers.ErrInvalid, Detail: detail}
}
