package awslocal

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/google/uuid"

	"hikyaku/pkg/providers/sandbox"
)

// frontend counts the calls of all services, and injects faults.
type frontend struct {
	mu     sync.Mutex
	calls  map[string]int
	faults sandbox.Injector
}

// Calls returns how often each operation was called, refused and failed calls
// included. Keys are "s3.PutObject", "secretsmanager.GetSecretValue" and so
// on. What AWS does by itself and bills counts too: a Mapping's calls to its
// queue, and every invocation, be it by gateway, queue, rotation or retry.
func (a *AWS) Calls() map[string]int {
	a.frontend.mu.Lock()
	defer a.frontend.mu.Unlock()
	return maps.Clone(a.frontend.calls)
}

// Inject asks for faults of calls that come in over HTTP; a Route is an operation
// such as "s3.PutObject", or a prefix of one. Refusals come with each service's own
// error document. A kind that no service of AWS shows panics.
func (a *AWS) Inject(faults ...sandbox.Fault) {
	for _, f := range faults {
		switch f.Kind {
		case sandbox.TooMany, sandbox.ServerFail, sandbox.Dropped, sandbox.Lost, sandbox.Slow:
		default:
			panic("the local AWS has no fault " + string(f.Kind))
		}
	}
	a.frontend.faults.Inject(faults...)
}

// ClearFaults takes back all faults.
func (a *AWS) ClearFaults() { a.frontend.faults.Clear() }

// count counts a call.
func (f *frontend) count(operation string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[operation]++
}

func (f *frontend) serve(w http.ResponseWriter, r *http.Request, s service, log *slog.Logger) {
	operation := s.operation(r)
	w.Header().Set("X-Amzn-Requestid", uuid.NewString())
	name := s.name + "." + operation
	f.count(name)
	fault, _ := f.faults.Next(name)
	if !sandbox.Pause(r.Context(), fault.Delay) {
		panic(http.ErrAbortHandler) // nothing was done: a return would be answered 200
	}
	switch fault.Kind {
	case sandbox.TooMany:
		s.refuse(w, r, &s.throttled)
	case sandbox.ServerFail:
		s.refuse(w, r, &s.failed)
	case sandbox.Dropped:
		panic(http.ErrAbortHandler)
	case sandbox.Lost:
		s.answer(httptest.NewRecorder(), r, operation, log)
		panic(http.ErrAbortHandler)
	default:
		s.answer(w, r, operation, log)
	}
}

// answer serves a call, or refuses it in the service's own way.
func (s service) answer(w http.ResponseWriter, r *http.Request, operation string, log *slog.Logger) {
	err := s.serve(w, r, operation)
	if err == nil {
		return
	}
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody waits, or the local AWS ends, and a return would be answered 200
	}
	var no *refusal
	if !errors.As(err, &no) {
		no = &refusal{Status: http.StatusInternalServerError, Code: s.failed.Code, Message: err.Error()}
		log.ErrorContext(r.Context(), "local AWS failed", "service", s.name, "operation", operation, "err", err)
	}
	log.DebugContext(r.Context(), "local AWS refused", "service", s.name, "operation", operation, "code", no.Code)
	s.refuse(w, r, no)
}
