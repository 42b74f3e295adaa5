package yappli

import (
	"errors"
	"fmt"
	"net/url"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// defaultRate is what this client allows itself, in requests per second.
// Yappli publishes no limit; this is a cautious guess.
const defaultRate = 2

// root is the path of every call, below the tenant's address.
const root = "/api/ext"

// A Client calls one tenant's Open API. It is safe for concurrent use; share
// one among all callers of a tenant, because it holds the rate limit.
//
// Every method may wait for the limit, retries what may be retried, and
// returns errors of the vocabulary in pkg/providers. An ErrInvalid whose
// Status is 2xx means that the call was accepted but its answer is not what
// the documents say: a write may have taken effect.
type Client struct{ call *call.Client }

// New returns a client that takes its tokens, and with them the tenant's
// address and quirks, from source. A nil o means the defaults.
func New(source providers.TokenSource, o *providers.Options) *Client {
	return &Client{call: call.New(call.Config{Provider: providers.Yappli, Rate: defaultRate, Authorize: call.Bearer}, source, o)}
}

// refuse is an error of this package before anything is sent.
func refuse(op, format string, args ...any) error {
	return &providers.Error{Provider: providers.Yappli, Op: op, Kind: providers.ErrInvalid, Detail: fmt.Sprintf(format, args...)}
}

// element escapes one path element. Empty and dotted ones would name another
// route.
func element(op, what, value string) (string, error) {
	if value == "" || value == "." || value == ".." {
		return "", refuse(op, "the %s is empty or dots only", what)
	}
	return "/" + url.PathEscape(value), nil
}

// malformed gives a decoder's error its call and status.
func malformed(op string, status int, cause error) error {
	e := &providers.Error{Provider: providers.Yappli, Op: op, Status: status, Kind: providers.ErrInvalid}
	if fault, ok := errors.AsType[*providers.Error](cause); ok {
		e.Detail = fault.Detail
	}
	return e
}
