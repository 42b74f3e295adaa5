package call

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// receive sends a request and reads its answer as far as the request's kind
// allows.
func (c *Client) receive(request *http.Request, r Request) (Response, error) {
	switch {
	case r.readFile != nil:
		return c.spool(request)
	case r.Read != nil:
		response, err := send(c.http, request, c.options.MaxBody, true, int(c.usual.Load()), c.options.Buffers)
		c.usual.Store(int64(len(response.Body)))
		return response, err
	}
	return send(c.http, request, c.options.MaxObject, false, 0, nil)
}

// send returns a complete answer, or an error of the vocabulary. An error of
// the transport is never wrapped: its text holds the URL.
func send(client *http.Client, request *http.Request, most int64, raw bool, usual int, memory *providers.Buffers) (Response, error) {
	answer, err := exchange(client, request)
	if err != nil {
		return Response{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	return whole(request.Context(), answer, most, raw, usual, memory)
}

// whole reads an answer into memory. Of more than most bytes, as they come or
// unpacked, it is an ErrTooLarge; where the status is not 2xx, that alone says
// what the answer is, and the body is dropped. A raw answer is left as it came.
// usual is how many bytes such an answer has had before, for one that does not
// say: to grow as they come would take several times their memory.
func whole(ctx context.Context, answer *http.Response, most int64, raw bool, usual int, memory *providers.Buffers) (Response, error) {
	response := Response{Status: answer.StatusCode, Header: answer.Header}
	good := response.Status/100 == 2
	if !good {
		most = min(most, ObjectSize)
	}
	size := usual + usual/16
	if answer.ContentLength >= 0 {
		size = int(answer.ContentLength)
	}
	var err error
	if answer.ContentLength > most {
		err = jsonscan.ErrTooLarge
	} else {
		buffer := memory.Get(min(size, int(most)) + 1) // one more shows the end without growing
		response.Body, err = jsonscan.ReadInto(buffer, answer.Body, int(most))
	}
	if err == nil && (!raw || !good) {
		var plain []byte
		plain, err = jsonscan.Plain(response.Body, int(most))
		switch {
		case err == nil:
			response.Body = plain
		case !errors.Is(err, jsonscan.ErrTooLarge):
			return response, nil // the reader of the answer says what is wrong with it
		}
	}
	switch {
	case err == nil:
		return response, nil
	case !errors.Is(err, jsonscan.ErrTooLarge):
		return response, unknownOutcome(ctx)
	}
	response.Body = nil
	if good {
		return response, fmt.Errorf("%w of %d bytes", providers.ErrTooLarge, most)
	}
	return response, nil
}

// exchange sends a request and returns the answer's beginning.
func exchange(client *http.Client, request *http.Request) (*http.Response, error) {
	var dialed, connected bool
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { dialed = true },
		GotConn: func(httptrace.GotConnInfo) { connected = true },
	}
	answer, err := client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err == nil {
		return answer, nil
	}
	if blocked, ok := errors.AsType[providers.BlockedError](err); ok {
		return nil, blocked
	}
	if what := certificateFault(err); what != "" {
		return nil, fmt.Errorf("%w: the certificate of %s %s", providers.ErrCertificate, request.URL.Hostname(), what)
	}
	if dialed && !connected && request.Context().Err() == nil {
		return nil, fmt.Errorf("%w: no connection", providers.ErrUnsent)
	}
	return nil, unknownOutcome(request.Context())
}

// certificateFault says what is wrong with a server's certificate, if that is
// why there is no connection.
func certificateFault(err error) string {
	var (
		verification *tls.CertificateVerificationError
		name         x509.HostnameError
		authority    x509.UnknownAuthorityError
		invalid      x509.CertificateInvalidError
		roots        x509.SystemRootsError
	)
	switch {
	case errors.As(err, &name):
		return "is for another host name"
	case errors.As(err, &authority):
		return "is issued by an unknown authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore) {
			return "is not valid yet; compare the clocks"
		}
		return "has expired"
	case errors.As(err, &invalid):
		return "is not valid for this use"
	case errors.As(err, &roots):
		return "cannot be checked: this machine has no list of authorities"
	case errors.As(err, &verification):
		return "cannot be verified"
	}
	return ""
}

// unknownOutcome is ErrTemporary, and says so if it was ctx that ended.
func unknownOutcome(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", providers.ErrTemporary, err)
	}
	return providers.ErrTemporary
}

// otherCharset refuses a list whose header names another character set than
// UTF-8: its bytes might be valid by chance.
func otherCharset(header http.Header) error {
	_, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return nil //nolint:nilerr // no content type, or one that says nothing
	}
	if charset := strings.ToLower(parameters["charset"]); !slices.Contains([]string{"", "utf-8", "utf8", "us-ascii", "ascii"}, charset) {
		return &jsonscan.NotAListError{Found: "another character set (by its Content-Type)"}
	}
	return nil
}
