package awslocal

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// A FaultKind is one way to misbehave.
type FaultKind string

// The kinds of fault. Refusals come with each service's own error document.
const (
	Throttled FaultKind = "throttled" // refuse as too many requests
	Failed    FaultKind = "failed"    // refuse with a 500, before any effect
	Dropped   FaultKind = "dropped"   // cut the connection before any effect
	Lost      FaultKind = "lost"      // take effect, then cut the connection without an answer
	Slow      FaultKind = "slow"      // behave, after Fault.Delay
)

// A Fault is a misbehavior asked for with Inject.
type Fault struct {
	Operation string // prefix of "service.Operation"; empty: any
	Kind      FaultKind
	After     int           // calls of that operation to leave alone first
	Times     int           // how often; 0: once, negative: for ever
	Delay     time.Duration // before the answer or the cut
}

// door counts the calls of all services, and injects faults.
type door struct {
	mu     sync.Mutex
	calls  map[string]int
	faults []*Fault
}

// Calls returns how often each operation was called, refused and failed calls
// included. Keys are "s3.PutObject", "secretsmanager.GetSecretValue" and so
// on. What AWS does by itself and bills counts too: a Mapping's calls to its
// queue, and every invocation, be it by gateway, queue, rotation or retry.
func (a *AWS) Calls() map[string]int {
	a.door.mu.Lock()
	defer a.door.mu.Unlock()
	return maps.Clone(a.door.calls)
}

// Inject asks for faults of calls that come in over HTTP. Of those that match a call, every Slow one delays it
// and the first other one is used.
func (a *AWS) Inject(faults ...Fault) {
	a.door.mu.Lock()
	defer a.door.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		a.door.faults = append(a.door.faults, &f)
	}
}

// Behave takes back all faults.
func (a *AWS) Behave() {
	a.door.mu.Lock()
	defer a.door.mu.Unlock()
	a.door.faults = nil
}

// count counts a call.
func (d *door) count(operation string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls == nil {
		d.calls = map[string]int{}
	}
	d.calls[operation]++
}

// admit counts a call and decides its fault.
func (d *door) admit(operation string) (kind FaultKind, delay time.Duration) {
	d.count(operation)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.faults {
		switch {
		case f.Times == 0 || !strings.HasPrefix(operation, f.Operation) || f.Kind != Slow && kind != "":
			continue
		case f.After > 0:
			f.After--
			continue
		}
		f.Times--
		delay += f.Delay
		if f.Kind != Slow {
			kind = f.Kind
		}
	}
	return kind, delay
}

func (a *AWS) serve(w http.ResponseWriter, r *http.Request) {
	s := a.services.route(r)
	operation := s.operation(r)
	w.Header().Set("X-Amzn-Requestid", uuid.NewString())
	kind, delay := a.door.admit(s.name + "." + operation)
	if !pause(r.Context(), delay) {
		return
	}
	switch kind {
	case Throttled:
		s.refuse(w, r, &s.throttled)
	case Failed:
		s.refuse(w, r, &s.failed)
	case Dropped:
		panic(http.ErrAbortHandler)
	case Lost:
		a.answer(s, httptest.NewRecorder(), r, operation)
		panic(http.ErrAbortHandler)
	case Slow:
	default:
		a.answer(s, w, r, operation)
	}
}

// answer serves a call, or refuses it in the service's own way.
func (a *AWS) answer(s service, w http.ResponseWriter, r *http.Request, operation string) {
	err := s.serve(w, r, operation)
	if err == nil || r.Context().Err() != nil {
		return
	}
	var no *refusal
	if !errors.As(err, &no) {
		no = &refusal{Status: http.StatusInternalServerError, Code: s.failed.Code, Message: err.Error()}
		a.log.ErrorContext(r.Context(), "local AWS failed", "service", s.name, "operation", operation, "err", err)
	}
	a.log.DebugContext(r.Context(), "local AWS refused", "service", s.name, "operation", operation, "code", no.Code)
	s.refuse(w, r, no)
}

// inProcess is a RoundTripper that calls a handler; a cut connection is an
// error, as it is on a socket.
type inProcess struct{ http.Handler }

var errCut = errors.New("connection cut by the local AWS")

// RoundTrip serves r before it returns.
func (t inProcess) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	incoming := r.Clone(r.Context())
	if r.Body == nil {
		incoming.Body = http.NoBody
	}
	if r.Host == "" {
		incoming.Host = r.URL.Host
	}
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
				panic(p)
			}
			answer, err = nil, errCut
		}
	}()
	w := httptest.NewRecorder()
	t.ServeHTTP(w, incoming)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	answer = w.Result()
	for name, values := range answer.Header { // a socket's client writes names its own way
		if canonical := http.CanonicalHeaderKey(name); canonical != name {
			delete(answer.Header, name)
			answer.Header[canonical] = values
		}
	}
	answer.Request = r
	return answer, nil
}
