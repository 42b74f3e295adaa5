package shopline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// The published addresses. A connection may name others.
const (
	// TokenURL is the Developer Center's token endpoint, used for a
	// connection that names none. It is another host than the API's.
	TokenURL = "https://developers.shoplineapp.com/oauth/token" //nolint:gosec // an address, no credential
)

// requestsPerSecond satisfies the current limit of 20 and the older one of
// 1,000 in 5 minutes.
const requestsPerSecond = 3

// A Client reads one shop. It is safe for concurrent use.
type Client struct{ call *call.Client }

// New returns a client that takes its tokens, with base URL, account and
// quirks, from source. A nil o means the defaults.
func New(source providers.TokenSource, o *providers.Options) *Client {
	return &Client{call: call.New(call.Config{
		Provider: providers.SHOPLINE, Rate: requestsPerSecond, Authorize: authorize,
	}, source, o)}
}

// authorize adds the token and the handle. The request's maker has checked
// the quirks before.
func authorize(r *http.Request, t providers.Token) {
	call.Bearer(r, t)
	quirks, _ := parseQuirks(t.Quirks)
	if handle := handleOf(quirks, t.Account); handle != "" {
		r.Header.Set("User-Agent", handle)
	}
}

var objectID = regexp.MustCompile(`^[0-9a-f]{24}$`)

// handleOf returns the handle to send, or "" if neither the quirks nor the
// account, which may be a merchant id, name one.
func handleOf(q Quirks, account string) string {
	if q.Handle != "" || objectID.MatchString(account) {
		return q.Handle
	}
	return account
}

// get asks for one object.
func (c *Client) get(ctx context.Context, op, path string) (call.Response, error) {
	response, err := c.call.Do(ctx, op, func(t providers.Token) (call.Request, error) {
		_, err := parseQuirks(t.Quirks)
		return call.Request{Path: path}, err
	})
	return response, explain(err)
}

// explain tells a person what SHOPLINE's refusals of a credential may mean,
// since one status stands for several faults.
func explain(err error) error {
	var e *providers.Error
	if !errors.As(err, &e) || e.Detail != "" {
		return err
	}
	switch e.Status {
	case http.StatusUnauthorized:
		e.Detail = "the token is wrong or expired, or this address is not in its IP whitelist"
	case http.StatusForbidden:
		e.Detail = "or tick this API for the token under API Auth"
	}
	return err
}

var pathID = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)

// single fetches path/id. An id with other characters could name another
// route, so it never leaves.
func (c *Client) single(ctx context.Context, op, path, id string, v any) error {
	if !pathID.MatchString(id) {
		return fmt.Errorf("shopline %s: %w: an id has only letters and digits", op, providers.ErrInvalid)
	}
	response, err := c.get(ctx, op, path+id)
	if err != nil {
		return err
	}
	return call.Decode(providers.SHOPLINE, op, response, v)
}
