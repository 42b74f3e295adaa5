package actibook

import (
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

const requestsPerSecond = 1

// A Client calls the proxy login of one account. It is safe for concurrent
// use.
type Client struct {
	call *call.Client
}

// New returns a client that takes its tokens from source; a token carries the
// address of the login. A nil o means the defaults.
func New(source providers.TokenSource, o *providers.Options) *Client {
	return &Client{call: call.New(call.Config{
		Provider: providers.ActiBook, Rate: requestsPerSecond, Authorize: call.Bearer,
	}, source, o)}
}

// refuse reports a call that was not made, or an answer that was not taken.
func refuse(op string, status int, kind error, detail string) error {
	return &providers.Error{Provider: providers.ActiBook, Op: op, Status: status, Kind: kind, Detail: detail}
}
