package awslocal

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

// A Compose makes a handler that writes its logs to logs. It is called for the
// first invocation and whenever all that it made are busy, as the service
// starts a process.
type Compose func(logs io.Writer) (lambda.Handler, error)

// environments are the handlers that one function was composed into. Each
// serves one invocation at a time, so that what it logs is that invocation's.
type environments struct {
	mu   sync.Mutex
	idle []*environment
}

type environment struct {
	handler lambda.Handler
	logs    *redirected
}

// take returns an idle environment, or a new one.
func (e *environments) take(compose Compose) (*environment, error) {
	e.mu.Lock()
	if n := len(e.idle); n > 0 {
		taken := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		return taken, nil
	}
	e.mu.Unlock()
	made := &environment{logs: &redirected{to: io.Discard}}
	var err error
	made.handler, err = compose(made.logs)
	return made, err
}

func (e *environments) free(used *environment) {
	used.logs.set(io.Discard)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = append(e.idle, used)
}

// redirected is a writer for several goroutines, whose end can be moved.
type redirected struct {
	mu sync.Mutex
	to io.Writer
}

func (r *redirected) set(to io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

// Write passes p on whole.
func (r *redirected) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.to.Write(p)
}

const maxLogTail = 4 << 10 // bytes of X-Amz-Log-Result before its coding

// A logTail keeps the end of what one invocation logs, between the lines that
// the service writes about it, and passes the logs on.
type logTail struct {
	to io.Writer // may be nil

	mu   sync.Mutex
	tail []byte
}

func (l *logTail) begin(id string) {
	l.keep(fmt.Appendf(nil, "START RequestId: %s Version: %s\n", id, lambdaVersion))
}

// end returns the tail. The memory that was used is not known here, and not said.
func (l *logTail) end(id string, took time.Duration, memory int) []byte {
	l.keep(fmt.Appendf(nil, "END RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\tMemory Size: %d MB\t\n",
		id, id, float64(took.Microseconds())/1000, (took + time.Millisecond - 1).Milliseconds(), memory))
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.tail)
}

func (l *logTail) keep(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	if over := len(l.tail) - maxLogTail; over > 0 {
		l.tail = l.tail[over:]
	}
}

// Write keeps p and passes it on.
func (l *logTail) Write(p []byte) (int, error) {
	l.keep(p)
	if l.to == nil {
		return len(p), nil
	}
	return l.to.Write(p)
}
