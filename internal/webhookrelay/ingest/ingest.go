// Package ingest takes a webhook, believes nothing of it but "user 123
// changed", and puts that on a FIFO queue.
//
//	in := &ingest.Ingest{Secrets: reader.Valid, Queue: queue, ...}
//	response := in.Accept(ctx, ingest.Request{Secret: fromThePath, Body: body})
package ingest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/pkg/providers"
)

// MaxBody caps a webhook's body in bytes. SuperSaaS's own are a few kilobytes;
// the queue could not take a larger message anyway.
const MaxBody = 256 << 10

// maxUsers caps what one body may name. SuperSaaS is documented to send one; a
// body of thousands would end in the middle of its time.
const maxUsers = 10

// retryAfter is what a sender is asked to wait while nothing can be stored.
// SuperSaaS is not known to obey it, nor to send again at all.
const retryAfter = 30 * time.Second

// Ingest accepts webhooks. It is safe for concurrent use.
//
// Every request gets one of these answers: 200 once what it says is durable,
// or needs no keeping; 400 for a shape or a size no sender of ours produces;
// 401 for a wrong secret; 503 with Retry-After if there is no secret, or the
// queue refuses. A well-formed but unwanted event is a 200: a sender may disable a
// webhook that fails.
type Ingest struct {
	// Secrets returns the secrets that are accepted now: the current one, and
	// the previous one while it rotates.
	Secrets func(context.Context) []providers.Secret
	// SecretField names the payload's field that holds the secret; empty:
	// the secret is in the URL's path.
	SecretField string
	Queue       queue.Queue
	Log         *slog.Logger
	Metrics     Metrics
	Now         func() time.Time
}

// Metrics takes measurements. Dimensions are few and of few values.
type Metrics interface {
	Add(name, unit string, value float64, dimensions map[string]string)
}

// A Request is one webhook, whose body has not been looked into.
type Request struct {
	ID     string           // unique to the request, such as API Gateway's request id; empty: one is made
	At     time.Time        // when it arrived, so that equal requests make equal messages; zero: now
	Secret providers.Secret // from the path
	Body   []byte           // decoded, at most MaxBody and a byte of it
}

// A Response is the answer. Its text is constant and says nothing about the
// request.
type Response struct {
	Status     int
	RetryAfter time.Duration // 0: none
	Text       string
}

// Reject counts a request that never reached Accept, under a constant reason,
// and returns its answer.
func (in *Ingest) Reject(reason string) Response {
	return in.answer(http.StatusBadRequest, reason)
}

// Accept handles one webhook. Nothing is sent before the secret and every
// element of the body were checked.
func (in *Ingest) Accept(ctx context.Context, r Request) Response {
	if len(r.Body) > MaxBody {
		return in.answer(http.StatusBadRequest, "too_large")
	}
	accepted := in.digests(ctx)
	if len(accepted) == 0 {
		return in.answer(http.StatusServiceUnavailable, "no_secret")
	}
	if in.SecretField == "" && !matches(accepted, r.Secret.Reveal()) {
		return in.answer(http.StatusUnauthorized, "wrong_secret")
	}
	payloads, ok := parsePayloads(r.Body, in.SecretField)
	if !ok {
		return in.answer(http.StatusBadRequest, "wrong_shape")
	}
	if in.SecretField != "" {
		for _, p := range payloads {
			if !matches(accepted, p.secret) {
				return in.answer(http.StatusUnauthorized, "wrong_secret")
			}
		}
	}
	if len(payloads) > maxUsers {
		in.Log.WarnContext(ctx, "webhook refused: more users in one body than SuperSaaS is known to send", "users", len(payloads), "at_most", maxUsers)
		return in.answer(http.StatusBadRequest, "too_many")
	}
	if r.At.IsZero() {
		r.At = in.Now()
	}
	return in.enqueue(ctx, r.ID, r.At.UTC(), payloads)
}

func (in *Ingest) enqueue(ctx context.Context, request string, at time.Time, payloads []payload) Response {
	var envelopes []queue.Envelope
	var objects []string
	if request == "" { // else the queue would take different events for one
		request = uuid.NewString()
	}
	for i, p := range payloads {
		kind, known := p.kind()
		user := p.user(kind)
		switch {
		case !known:
			in.count("WebhookIgnored", "reason", "unknown_event")
		case user == 0:
			in.count("WebhookIgnored", "reason", "no_user")
		default:
			objects = append(objects, kind.object)
			message := queue.Message{User: user, Event: string(p.Event), Deleted: bool(p.Deleted), At: at}
			envelopes = append(envelopes, message.Envelope(request+"-"+strconv.Itoa(i)))
		}
	}
	if len(envelopes) > 0 {
		if err := in.Queue.Send(ctx, envelopes...); err != nil {
			in.Log.ErrorContext(ctx, "webhook not stored", "rows", len(envelopes), "err", err)
			return in.answer(http.StatusServiceUnavailable, "queue")
		}
	}
	for _, object := range objects {
		in.count("WebhookAccepted", "object", object)
	}
	return Response{Status: http.StatusOK, Text: "accepted"}
}

// digests returns the SHA-256 of each valid secret.
func (in *Ingest) digests(ctx context.Context) (digests [][sha256.Size]byte) {
	for _, s := range in.Secrets(ctx) {
		if !s.Empty() {
			digests = append(digests, sha256.Sum256([]byte(s.Reveal())))
		}
	}
	return digests
}

// matches compares digests, so that neither the length nor a common beginning
// of a guess shows in the time taken, and looks at all of them.
func matches(accepted [][sha256.Size]byte, guess string) bool {
	digest := sha256.Sum256([]byte(guess))
	found := 0
	for _, a := range accepted {
		found |= subtle.ConstantTimeCompare(a[:], digest[:])
	}
	return found == 1 && guess != ""
}

// answer counts and answers anything but a success.
func (in *Ingest) answer(status int, reason string) Response {
	in.count("WebhookRejected", "reason", reason)
	switch status {
	case http.StatusUnauthorized:
		return Response{Status: status, Text: "not authorized"}
	case http.StatusServiceUnavailable:
		return Response{Status: status, RetryAfter: retryAfter, Text: "try again later"}
	}
	return Response{Status: status, Text: "bad request"}
}

func (in *Ingest) count(name, dimension, value string) {
	in.Metrics.Add(name, "Count", 1, map[string]string{dimension: value})
}
