package supersaas

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

const (
	// DefaultBaseURL is where every account lives. The guide writes http;
	// the key must not travel so.
	DefaultBaseURL = "https://www.supersaas.com"
	// MaxLimit is the largest page that lists serve; a larger limit is
	// lowered without notice.
	MaxLimit = 1000

	requestsPerSecond = 4
)

// A Client calls the API of one account. It is safe for concurrent use.
type Client struct {
	call   *call.Client
	source providers.TokenSource
}

// New returns a client that takes its API key from source. A nil o means the
// defaults, among them 4 requests per second.
func New(source providers.TokenSource, o *providers.Options) *Client {
	config := call.Config{Provider: providers.SuperSaaS, Rate: requestsPerSecond, Inspect: inspect}
	return &Client{call: call.New(config, source, o), source: source}
}

// inspect finds the page that a server sends with status 200 when it sees no
// API call at all, such as a login form. XML is not asked for either.
func inspect(r call.Response) (kind error, detail string) { //nolint:revive,staticcheck // the order of call.Config.Inspect
	if body := bytes.TrimSpace(r.Body); len(body) > 0 && body[0] == '<' {
		return providers.ErrInvalid, "a page instead of JSON; check the base URL"
	}
	return nil, ""
}

// An operation is one call before the token and its quirks are known.
type operation struct {
	method string
	path   string // without base; a key's path is added
	key    *Key
	user   string // login name of the user the call is about, for the checksum
	query  url.Values
	fields Fields                  // sent as the quirk says, if not nil
	read   func(body []byte) error // reads the answer inside the retries, if not nil
	// adapt finishes the request where the token is needed.
	adapt func(*call.Request, providers.Token, Quirks) error
}

func (c *Client) do(ctx context.Context, op string, o operation) (call.Response, error) {
	return c.call.Do(ctx, op, func(t providers.Token) (call.Request, error) {
		quirks, err := readQuirks(t.Quirks)
		if err != nil {
			return call.Request{}, err
		}
		return o.build(t, quirks)
	})
}

// list reads one page of a list, of which limit rows are asked for.
func (c *Client) list(ctx context.Context, op string, o operation, limit int, shapes ...jsonscan.Shape) (jsonscan.List, error) {
	return c.call.List(ctx, op, func(t providers.Token) (call.ListRequest, error) {
		quirks, err := readQuirks(t.Quirks)
		if err != nil {
			return call.ListRequest{}, err
		}
		r, err := o.build(t, quirks)
		return call.ListRequest{Request: r, Shapes: shapes, Limit: limit}, err
	})
}

func (o operation) build(t providers.Token, quirks Quirks) (call.Request, error) {
	r := call.Request{Method: o.method, Path: o.path, Query: url.Values{}, Header: http.Header{}, Read: o.read}
	maps.Copy(r.Query, o.query)
	user := o.user
	if o.key != nil {
		r.Path = o.key.path(o.path, quirks.BareFK, r.Query)
		user = o.key.user
	}
	if o.fields != nil {
		if err := o.fields.encode(&r, quirks.Body); err != nil {
			return call.Request{}, err
		}
	}
	authorize(&r, t, quirks.Auth, user)
	if o.adapt != nil {
		if err := o.adapt(&r, t, quirks); err != nil {
			return call.Request{}, err
		}
	}
	if t.BaseURL == "" {
		r.URL = DefaultBaseURL + r.Path
	}
	return r, nil
}

// authorize puts the credential where the account wants it.
func authorize(r *call.Request, t providers.Token, auth Auth, user string) {
	switch {
	case auth == QueryAuth:
		r.Query.Set("account", t.Account)
		r.Query.Set("api_key", t.Credential.Reveal())
	case auth == BearerAuth:
		r.Query.Set("account", t.Account)
		r.Header.Set("Authorization", "Bearer "+t.Credential.Reveal())
	case auth == ChecksumAuth && user != "":
		r.Query.Del("user[name]") // the checksum stands for the name, too
		r.Query.Set("checksum", Checksum(t.Account, t.Credential, user).Reveal())
	default:
		pair := t.Account + ":" + t.Credential.Reveal()
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
}

// refuse reports a call that would be wrong before anything is sent; detail
// is a constant.
func refuse(op, detail string) error {
	return fmt.Errorf("supersaas %s: %w: %s", op, providers.ErrInvalid, detail)
}
