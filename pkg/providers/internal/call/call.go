// Package call is what all provider clients share: one way to send a request
// and to read its answer. It paces, retries, caps, identifies itself, maps
// answers to the error vocabulary, and replaces a rejected token once.
//
// A client holds a Client and describes each call as a function from a token
// to a Request:
//
//	res, err := c.call.Do(ctx, "users.list", func(t providers.Token) (call.Request, error) {
//		return call.Request{Path: "/api/ext/users", Query: q}, nil
//	})
//
// The function runs again for each attempt, so a retried request carries the
// token of its own time. Nothing in an error comes from a body or a URL.
package call

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// ObjectSize is the most bytes of an answer about one object, unless
// Options.MaxObject says otherwise.
const ObjectSize = 1 << 20

const (
	defaultTimeout  = 30 * time.Second
	defaultAttempts = 4
	defaultBody     = 8 << 20   // bytes of a page
	defaultSpool    = 256 << 20 // of a list that is not paged
	defaultElements = 10_000    // of a page
	firstWait       = 500 * time.Millisecond
	longestWait     = 2 * time.Minute // a longer Retry-After is the caller's to schedule
)

// A Config says how one provider is called.
type Config struct {
	Provider  string
	Rate      float64 // default requests per second, used if Options has no Limiter
	InFlight  int     // most requests at once; 0: no bound
	Authorize func(*http.Request, providers.Token)
	// Inspect may find an error in an answer whose status is 2xx, such as
	// a login page. It returns the vocabulary entry and a constant detail.
	Inspect func(Response) (kind error, detail string)
}

// A Client sends one provider's requests. It is safe for concurrent use.
type Client struct {
	config  Config
	source  providers.TokenSource
	http    *http.Client
	options providers.Options // without zero values
	slots   chan struct{}
	usual   atomic.Int64 // bytes of the last page of a list
}

// New returns a client that takes its tokens from source. A nil o means the
// defaults.
func New(config Config, source providers.TokenSource, o *providers.Options) *Client {
	if o == nil {
		o = &providers.Options{}
	}
	c := &Client{config: config, source: source, http: httpClient(o), options: *o}
	c.options.UserAgent = userAgent(o)
	if c.options.Limiter == nil {
		c.options.Limiter = providers.NewPace(config.Rate)
	}
	orElse(&c.options.Attempts, defaultAttempts)
	orElse(&c.options.MaxObject, ObjectSize)
	orElse(&c.options.MaxBody, defaultBody)
	orElse(&c.options.MaxElements, defaultElements)
	orElse(&c.options.MaxSpool, defaultSpool)
	if config.InFlight > 0 {
		c.slots = make(chan struct{}, config.InFlight)
	}
	return c
}

func orElse[T int | int64](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}

// A Request is one call to a provider.
type Request struct {
	Method string // empty: GET
	Path   string // appended to the token's BaseURL; each element already escaped
	URL    string // a full URL, instead of Path
	Query  url.Values
	Header http.Header
	Body   Body
	// Repeatable says that a POST may be sent again after an unknown
	// outcome. GET, PUT and DELETE always may.
	Repeatable bool
	// Read reads the body, which is its own from then on, as a part of the
	// attempt: if it fails, the answer is malformed, and the request is
	// sent again as after a 5xx. Its error is a jsonscan.ErrNotAList.
	Read func(body []byte) error
	// readFile is Read for an answer that goes into a file.
	readFile func(*os.File) error
}

// A Response is a complete answer. Its body is without what may stand around
// the JSON; see jsonscan.Plain.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	file   *os.File // in place of the body, of which only the beginning is there
	fault  error    // what was wrong with it on its way
}

// Do sends the request that build makes and returns the answer if its status
// is 2xx. It waits for the limiter, retries what may be retried while ctx
// lasts, and on a 401 asks the token source for another token once.
func (c *Client) Do(ctx context.Context, op string, build func(providers.Token) (Request, error)) (Response, error) {
	token, err := c.source.Token(ctx)
	if err != nil {
		return Response{}, fmt.Errorf("%s %s: reading the token: %w", c.config.Provider, op, err)
	}
	response, err := c.attempts(ctx, op, token, build)
	if o, ok := c.options.Limiter.(providers.Observer); ok {
		o.Observe(err)
	}
	return response, err
}

// attempts is Do with a token.
func (c *Client) attempts(ctx context.Context, op string, token providers.Token, build func(providers.Token) (Request, error)) (Response, error) {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval = firstWait
	replaced, rejected := false, token
	for attempt := 1; ; attempt++ {
		request, err := build(token)
		if err != nil {
			return Response{}, fmt.Errorf("%s %s: %w", c.config.Provider, op, err)
		}
		response, err := c.once(ctx, op, request, token)
		if errors.Is(err, providers.ErrUnauthorized) && !replaced {
			replaced = true
			next, rejectedErr := c.source.Rejected(ctx, token)
			if rejectedErr == nil {
				rejected, token, attempt = token, next, attempt-1
				continue
			}
			if !errors.Is(rejectedErr, providers.ErrUnauthorized) {
				if providers.Retryable(rejectedErr) {
					rejectedErr = unsent(rejectedErr)
				}
				return response, fmt.Errorf("%s %s: replacing the rejected token: %w", c.config.Provider, op, rejectedErr)
			}
			return response, err
		}
		if err == nil || attempt >= c.options.Attempts || !mayRepeat(request, err) {
			return response, err
		}
		if !pause(ctx, max(waits.NextBackOff(), providers.RetryAfter(err))) {
			return response, err
		}
		next, unread := c.source.Token(ctx) // it may have been replaced meanwhile
		if unread != nil {
			return response, err
		}
		if !replaced || next.Credential != rejected.Credential {
			token = next
		}
	}
}

// mayRepeat: a refusal by rate limit had no effect, so anything may follow
// it; after an unknown outcome only what is harmless twice.
func mayRepeat(r Request, err error) bool {
	if errors.Is(err, providers.ErrRateLimited) {
		return true
	}
	if errors.Is(err, providers.ErrCertificate) {
		return false
	}
	return errors.Is(err, providers.ErrTemporary) && (r.Method != http.MethodPost || r.Repeatable)
}

// pause waits for d and reports whether it did. It gives up at once if d is
// not worth waiting for here: longer than longestWait, or past ctx's end.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); d > longestWait || ok && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (c *Client) once(ctx context.Context, op string, r Request, t providers.Token) (Response, error) {
	if c.slots != nil {
		select {
		case c.slots <- struct{}{}:
			defer func() { <-c.slots }()
		case <-ctx.Done():
			return Response{}, c.failure(op, 0, unsent(ctx.Err()))
		}
	}
	if err := c.options.Limiter.Wait(ctx); err != nil {
		return Response{}, c.notLet(op, err)
	}
	request, err := newRequest(ctx, t.BaseURL, r, c.options.UserAgent)
	if err != nil {
		return Response{}, c.failure(op, 0, err)
	}
	if c.config.Authorize != nil {
		c.config.Authorize(request, t)
	}
	sent := time.Now()
	response, err := c.receive(request, r)
	if err != nil {
		return response, c.failure(op, response.Status, err)
	}
	err = classify(c.config.Provider, op, response)
	if l, ok := c.options.Limiter.(providers.Learner); ok {
		l.Learn(sent, err)
	}
	if err != nil {
		return response, err
	}
	return response, c.accept(op, r, response)
}

// accept reads an answer whose status is 2xx.
func (c *Client) accept(op string, r Request, response Response) error {
	fault := func(kind error, detail string) error {
		return &providers.Error{Provider: c.config.Provider, Op: op, Status: response.Status, Kind: kind, Detail: detail}
	}
	var kind error
	var detail string
	if c.config.Inspect != nil {
		kind, detail = c.config.Inspect(response)
	}
	if r.Read == nil && r.readFile == nil {
		if kind != nil {
			return fault(kind, detail)
		}
		return nil
	}
	// A list says itself what it is; of what may be found in it, only the
	// credential is no temporary failure.
	var err error
	if errors.Is(kind, providers.ErrUnauthorized) || errors.Is(kind, providers.ErrForbidden) {
		err = fault(kind, detail)
	} else {
		err = read(r, response)
	}
	if err != nil && response.file != nil {
		_ = temporary{response.file}.Close()
	}
	var other *jsonscan.NotAListError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsonscan.ErrTooLarge) && errors.As(err, &other):
		return fault(providers.ErrTooLarge, other.Found)
	case errors.As(err, &other):
		detail = "found " + other.Found
		if other.Found == "HTML" {
			detail += "; if it stays so, check the connection's base URL"
		}
		if errors.Is(err, jsonscan.ErrOtherShape) {
			return fault(providers.ErrOtherShape, detail)
		}
		return fault(providers.ErrMalformed, detail)
	}
	return err
}

// notLet reports a request that the limiter did not let go.
func (c *Client) notLet(op string, cause error) error {
	var held *providers.HeldError
	if !errors.As(cause, &held) {
		return c.failure(op, 0, unsent(cause))
	}
	return &providers.Error{
		Provider: c.config.Provider, Op: op, Status: http.StatusTooManyRequests, Kind: providers.ErrRateLimited,
		RetryAfter: max(time.Until(held.Until), time.Second), Detail: notBefore(held.Until),
	}
}

// read reads a list.
func read(r Request, response Response) error {
	if response.fault != nil {
		return response.fault
	}
	if err := otherCharset(response.Header); err != nil {
		return err
	}
	if r.readFile != nil {
		return r.readFile(response.file)
	}
	return r.Read(response.Body)
}

func (c *Client) failure(op string, status int, kind error) error {
	return &providers.Error{Provider: c.config.Provider, Op: op, Status: status, Kind: kind}
}

// Once sends one request to a token endpoint: no retry, no replay by the
// transport, no redirect, an answer of at most 1 MiB, and a connection of its
// own. The answer is returned with the error, because the token may be in it.
func Once(ctx context.Context, provider, op string, o *providers.Options, r Request) (Response, error) {
	if o == nil {
		o = &providers.Options{}
	}
	request, err := newRequest(ctx, "", r, userAgent(o))
	if err != nil {
		return Response{}, &providers.Error{Provider: provider, Op: op, Kind: err}
	}
	request.GetBody = nil // net/http replays a request only if it can get its body again
	request.Close = true
	client := httpClient(o)
	client.CloseIdleConnections() // one that the server has closed meanwhile would leave the outcome unknown
	response, err := send(client, request, ObjectSize, false, 0, nil)
	if err != nil {
		return response, &providers.Error{Provider: provider, Op: op, Status: response.Status, Kind: err}
	}
	return response, classify(provider, op, response)
}

func newRequest(ctx context.Context, base string, r Request, agent string) (*http.Request, error) {
	u, err := url.Parse(cmp.Or(r.URL, strings.TrimRight(base, "/")+r.Path))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%w: the configured URL is not an absolute http(s) URL", providers.ErrInvalid)
	}
	if len(r.Query) > 0 {
		query := u.Query()
		maps.Copy(query, r.Query)
		u.RawQuery = query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodGet), u.String(), bytes.NewReader(r.Body.Bytes))
	if err != nil {
		return nil, fmt.Errorf("%w: the request cannot be built", providers.ErrInvalid)
	}
	maps.Copy(request.Header, r.Header)
	request.Header.Set("User-Agent", agent)
	if request.Header.Get("Accept") == "" {
		request.Header.Set("Accept", "application/json")
	}
	if r.Body.ContentType != "" {
		request.Header.Set("Content-Type", r.Body.ContentType)
	}
	return request, nil
}

// unsent marks the cause of a failure before any effect: the request never
// left, or was refused for its token.
func unsent(cause error) error { return fmt.Errorf("%w: %w", providers.ErrUnsent, cause) }

// Now is the time at which o's owner lives.
func Now(o *providers.Options) time.Time {
	if o == nil || o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

func httpClient(o *providers.Options) *http.Client {
	client := http.Client{Timeout: defaultTimeout}
	if o.HTTP != nil {
		client = *o.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

func userAgent(o *providers.Options) string { return cmp.Or(o.UserAgent, "hikyaku") }

// Bearer authorizes with "Authorization: Bearer".
func Bearer(r *http.Request, t providers.Token) {
	r.Header.Set("Authorization", "Bearer "+t.Credential.Reveal())
}
