package record

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/console"
	"hikyaku/pkg/providers"
)

// Invocation is the header by which a function's process tells of which invocation a
// request is.
const Invocation = "Hikyaku-Dev-Invocation"

// mostWebhook is how much of a webhook is read; the gateway refuses more.
const mostWebhook = 10 << 20

// Webhooks records what the gateway is sent. WithID gives a request its id there, by
// which its messages are known again; a caller that has called Name before chose it.
func (r *Recorder) Webhooks(next http.Handler, withID func(ctx context.Context, id string) context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(io.LimitReader(q.Body, mostWebhook+1))
		if err != nil {
			http.Error(w, `{"message":"Bad Request"}`, http.StatusBadRequest)
			return
		}
		q.Body = io.NopCloser(bytes.NewReader(body))
		id, ok := q.Context().Value(nameKey{}).(string)
		if !ok {
			id = uuid.NewString()
		}
		e := r.webhook(id, body)
		answer := &status{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(answer, q.WithContext(withID(q.Context(), id)))
		r.mu.Lock()
		defer r.mu.Unlock()
		e.Status, e.Bad = answer.code, answer.code >= http.StatusBadRequest
		if of := r.ways.byID[id]; of != nil {
			of.answered = true
		}
		r.dirty = true
	})
}

type nameKey struct{}

// Name chooses the id of the webhook that is sent with the context.
func Name(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, nameKey{}, id)
}

func (r *Recorder) webhook(id string, body []byte) *console.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.now()
	r.ways.began(id, at, body)
	r.series.now.Webhooks++
	r.tally.Webhooks++
	return r.add(console.Event{At: at, Kind: console.Webhook, Way: id, Message: "POST /webhook/{secret}"}, body)
}

// A status remembers the status of an answer.
type status struct {
	http.ResponseWriter

	code int
}

// WriteHeader implements http.ResponseWriter.
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets an answer be flushed.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

var userInPath = regexp.MustCompile(`/users/(\d+)`)

// spent is what stands in the path of a request and works once there.
var spent = regexp.MustCompile(`(?i)(/(?:check|sso/login)/+)[^/]+`)

// Calls records what a provider is asked.
func (r *Recorder) Calls(provider string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		began := time.Now()
		invocation := q.Header.Get(Invocation)
		q.Header.Del(Invocation)
		answer := &status{ResponseWriter: w, code: http.StatusOK}
		defer func() {
			failed := recover()
			if failed != nil {
				answer.code = 0
			}
			r.called(provider, invocation, q, answer.code, time.Since(began))
			if r.heard != nil && invocation != "" {
				r.heard(invocation)
			}
			if failed != nil {
				panic(failed) // as a sandbox cuts a connection
			}
		}()
		next.ServeHTTP(answer, q)
	})
}

func (r *Recorder) called(provider, invocation string, q *http.Request, code int, took time.Duration) {
	message := q.Pattern
	if message == "" || message == "/" {
		message = q.Method + " " + spent.ReplaceAllString(q.URL.Path, "$1{token}")
	}
	e := console.Event{
		Kind: console.Call, Provider: provider, Message: message, Status: code, Bad: code == 0 || code >= http.StatusBadRequest && code != http.StatusNotFound,
		Detail: map[string]string{"milliseconds": strconv.FormatInt(took.Milliseconds(), 10)},
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.series.now.Requests++
	if code == 0 || code == http.StatusTooManyRequests || code >= http.StatusInternalServerError {
		r.series.now.Refused++
	}
	if in := r.calls[invocation]; in != nil && !in.over {
		e.Function = in.function
		if user := userInPath.FindStringSubmatch(q.URL.Path); user != nil && provider == providers.SuperSaaS {
			in.user = user[1]
		}
		e.User = in.user
		if ways := in.ways[in.user]; len(ways) > 0 {
			e.Way = ways[0]
		}
	}
	r.add(e, nil)
}
