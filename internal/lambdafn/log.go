package lambdafn

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// The keys by which Lambda knows a line. It leaves lines out by their level, and takes
// one without a level, or without a timestamp that it can read, for INFO.
const (
	timestampKey = "timestamp"
	levelKey     = slog.LevelKey
	messageKey   = "message"
	requestKey   = "requestId"
)

// metricLevel is that of measurements. They are no messages of any severity, but a
// function whose level were raised would lose them, and with them its alarms, if theirs
// were not the highest that Lambda knows.
const metricLevel = "FATAL"

// newHandler writes records as lines with Lambda's keys.
func newHandler(out io.Writer, level slog.Level, of *invocations) slog.Handler {
	rename := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		switch a.Key {
		case slog.TimeKey:
			return slog.Time(timestampKey, a.Value.Time().UTC())
		case slog.MessageKey:
			a.Key = messageKey
		}
		return a
	}
	return requestLog{slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: rename}), of}
}

// RequestID is the id that Lambda gave the invocation; empty outside of one.
func RequestID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}

// invocations knows which one a process handles, for lines that are written without a
// context. It is safe for concurrent use. A nil one knows of none.
type invocations struct {
	mu      sync.Mutex
	running int
	id      string
}

// begin is called before an invocation is handled, and its result afterwards.
func (i *invocations) begin(id string) (end func()) {
	if i == nil {
		return func() {}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.running++
	i.id = id
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.running--; i.running == 0 {
			i.id = ""
		}
	}
}

// current is the id of the invocation that is handled; empty if there is none, or
// if there are several and nobody can say which one a line is of.
func (i *invocations) current() string {
	if i == nil {
		return ""
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.running != 1 {
		return ""
	}
	return i.id
}

// requestLog adds the invocation's request id to every record.
type requestLog struct {
	slog.Handler

	of *invocations
}

// Handle adds the id that Lambda put into ctx, or that of the one invocation that the
// process handles.
func (h requestLog) Handle(ctx context.Context, r slog.Record) error {
	id := RequestID(ctx)
	if id == "" {
		id = h.of.current()
	}
	if id != "" {
		r.AddAttrs(slog.String(requestKey, id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the id on derived loggers.
func (h requestLog) WithAttrs(a []slog.Attr) slog.Handler {
	return requestLog{h.Handler.WithAttrs(a), h.of}
}

// WithGroup keeps the id on derived loggers.
func (h requestLog) WithGroup(name string) slog.Handler {
	return requestLog{h.Handler.WithGroup(name), h.of}
}
