package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"hikyaku/internal/locale"
	"hikyaku/pkg/providers"
)

// Why no code came. Each says that nothing was spent, because that is what a
// person who reads it needs to know first.
var (
	errNobody   = locale.Errorf("no redirect came in time; nothing was spent. Run the command again, or with a longer --timeout")
	errStopped  = stoppedError("stopped before a redirect came; nothing was spent")
	errState    = locale.Errorf("that redirect does not belong to this run: its state is another. Nothing was spent. Open the page printed here, not an earlier one")
	errNoCode   = locale.Errorf("that address holds no code. Paste the whole address that the browser shows after the approval")
	errNoPaste  = locale.Errorf("the input ended without a redirect's address; nothing was spent. Paste the address that the browser shows after the approval")
	errRepeated = locale.Errorf("a redirect was taken already; this one is ignored")
)

// A declinedError is the provider's answer that nobody approved. It is final
// for its state.
type declinedError struct{ code string }

// Error names the provider's code if it is one of RFC 6749.
func (e *declinedError) Error() string {
	return e.Says().String()
}

// Says is the sentence.
func (e *declinedError) Says() locale.Message {
	return locale.M("the provider sent no code but %s; nothing was spent. Run the command again, and approve the application", e.code)
}

// errorCodes are those of RFC 6749, section 4.1.2.1. Another text is not
// shown: anybody can write into a URL.
var errorCodes = []string{"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope", "server_error", "temporarily_unavailable"}

// A receiver takes the one redirect of this run, from a loopback port or from
// pasted text, whichever comes first. It is safe for concurrent use.
type receiver struct {
	state  string
	notes  io.Writer // tells the person what was refused
	result chan received

	mu     sync.Mutex
	taken  bool
	server *http.Server
}

type received struct {
	code providers.Secret
	err  error
}

func newReceiver(state string, notes io.Writer) *receiver {
	return &receiver{state: state, notes: notes, result: make(chan received, 1)}
}

// take judges a redirect's query. The first one with the right state ends the
// waiting, with its code or with the provider's error.
func (r *receiver) take(query url.Values) error {
	states := query["state"]
	if len(states) != 1 || subtle.ConstantTimeCompare([]byte(states[0]), []byte(r.state)) != 1 {
		return errState
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	codes := query["code"]
	switch {
	case r.taken:
		return errRepeated
	case query.Has("error"):
		r.taken = true
		declined := &declinedError{code: "an error"}
		if slices.Contains(errorCodes, query.Get("error")) {
			declined.code = query.Get("error")
		}
		r.result <- received{err: declined}
		return declined
	case len(codes) != 1 || codes[0] == "":
		return errNoCode
	}
	r.taken = true
	r.result <- received{code: providers.NewSecret(codes[0])}
	return nil
}

// wait returns what was taken, or why nothing was.
func (r *receiver) wait(ctx context.Context) (providers.Secret, error) {
	select {
	case got := <-r.result:
		return got.code, got.err
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken { // at the same moment
		got := <-r.result
		return got.code, got.err
	}
	r.taken = true
	if errors.Is(context.Cause(ctx), errNobody) {
		return providers.Secret{}, errNobody
	}
	return providers.Secret{}, errStopped
}

// read takes pasted addresses, a line each. The end of the input ends the
// waiting only if nothing else can come.
func (r *receiver) read(in io.Reader, only bool) {
	last := errNoPaste
	lines := bufio.NewScanner(io.LimitReader(in, largestInput))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		err := errNoCode
		if u, parseErr := url.Parse(line); parseErr == nil && u.RawQuery != "" {
			err = r.take(u.Query())
		}
		var declined *declinedError
		if err == nil || errors.As(err, &declined) {
			return
		}
		last = err
		say(r.notes, "hikyaku: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if only && !r.taken {
		r.taken = true
		r.result <- received{err: last}
	}
}

// address is where to listen for redirect; "" if it is not on this machine or
// is to be pasted.
func (f authorizeFlags) address(redirect string) (string, error) {
	u, err := url.Parse(redirect)
	local := err == nil && u.Scheme == "http" && loopback(u.Hostname()) != ""
	switch {
	case f.paste && f.listen != "":
		return "", &usageError{locale.Errorf("--listen and --paste exclude each other")}
	case f.paste, f.listen == "" && !local:
		return "", nil
	case !local:
		return "", &usageError{locale.Errorf("--listen: the connection's redirect URL is not on this machine; paste the redirect's address instead")}
	case f.listen == "":
		return net.JoinHostPort(loopback(u.Hostname()), cmp.Or(u.Port(), "80")), nil
	}
	host, port, err := net.SplitHostPort(f.listen)
	if err != nil || loopback(host) == "" {
		return "", &usageError{locale.Errorf("--listen %s: expected a loopback HOST:PORT, such as 127.0.0.1:8910", f.listen)}
	}
	return net.JoinHostPort(loopback(host), port), nil
}

// loopback is a host's loopback address, or "".
func loopback(host string) string {
	if host == "localhost" {
		return "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return ip.String()
	}
	return ""
}

// listen serves the redirect's path at address.
func (r *receiver) listen(ctx context.Context, address, redirect string) error {
	u, err := url.Parse(redirect)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	r.server = &http.Server{Handler: r.page(cmp.Or(u.Path, "/")), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() { _ = r.server.Serve(listener) }()
	return nil
}

// close lets the browser have its answer before the port is given up.
func (r *receiver) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = r.server.Shutdown(ctx)
}

// page answers the browser that the provider sent here.
func (r *receiver) page(path string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		if q.URL.Path != path {
			http.NotFound(w, q)
			return
		}
		if q.Method != http.MethodGet {
			http.Error(w, "only a redirect is expected here", http.StatusMethodNotAllowed)
			return
		}
		var declined *declinedError
		err := r.take(q.URL.Query())
		if err != nil && !errors.As(err, &declined) { // which ends the command with the same words
			say(r.notes, "hikyaku: %v", err)
		}
		if err != nil {
			http.Error(w, languageOf(r.notes).Error(err), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, languageOf(r.notes).Text("Received. You can close this page; the result is shown where hikyaku runs.")+"\n")
	})
}
