package awslocal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"hikyaku/pkg/providers/sandbox"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"
)

// Limits of a payload, in bytes.
const (
	maxPayload      = 6 << 20 // synchronous, both ways
	maxAsyncPayload = 1 << 20
)

// A Function is what a name invokes: a handler in this process, one that is
// composed for each concurrent invocation, or a real binary that is run with
// the runtime API, one process for each concurrent invocation, as on the
// service.
type Function struct {
	Name    string
	Aliases []string // further qualifiers, beside $LATEST to which each points

	Handler lambda.Handler // or:
	Compose Compose        // or:
	Binary  string         // path of a bootstrap; its directory is the task root. Its standard input ends with this process
	Args    []string       // of the binary
	Env     []string       // of the binary, beside Environment and Lambda's own; nothing else is inherited. GetFunctionConfiguration shows it of any function
	Output  io.Writer      // gets what a composed function or the binary logs, of a binary whole lines; nil: nobody does

	Watcher Watcher // of the binary's processes; nil: nobody

	Timeout     time.Duration // of an invocation; 0: 3 s, the service's default
	Concurrency int           // invocations at a time; more are throttled; 0: 10
	Memory      int           // MiB, as the function is told; nothing holds it to them; 0: 128
}

// A Result is what a function answered. An error of the function, its time-out
// and its crash are answers too: Error is then "Unhandled" and Payload an
// object with errorMessage and errorType.
type Result struct {
	Payload []byte
	Error   string // X-Amz-Function-Error; empty: success
	Log     []byte // the end of what it logged; of a composed function only
}

// functions are all registered functions.
type functions struct {
	jobs     *jobs
	frontend *frontend
	meter    *meter
	now      func() time.Time
	log      *slog.Logger
	delays   []time.Duration // before each retry of an asynchronous invocation
	common   func() []string // variables of every binary

	mu     sync.Mutex
	byName map[string]*function
}

// A function is a registered function with its slots and processes.
type function struct {
	Function

	all        *functions
	registered time.Time
	slots      chan struct{} // one for each running invocation
	pool       pool          // of a binary
	composed   environments  // of a composed function
}

// Register adds a function, or replaces the one of its name; invocations of
// the old one end undisturbed.
func (a *AWS) Register(f Function) error { return a.functions.register(f) }

func (f *functions) register(add Function) error {
	ways := 0
	for _, given := range []bool{add.Handler != nil, add.Compose != nil, add.Binary != ""} {
		if given {
			ways++
		}
	}
	if add.Name == "" || ways != 1 {
		return errors.New("registering a function: it needs a name and either a handler, a composition or a binary")
	}
	if add.Timeout <= 0 {
		add.Timeout = 3 * time.Second
	}
	if add.Concurrency <= 0 {
		add.Concurrency = 10
	}
	made := &function{Function: add, all: f, registered: f.now(), slots: make(chan struct{}, add.Concurrency)}
	if add.Output != nil {
		made.Output = &redirected{to: add.Output} // several environments write to it
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.byName[add.Name]; old != nil {
		f.jobs.work.Go(old.pool.stop)
	}
	f.byName[add.Name] = made
	return nil
}

// A target is a function as a caller names it, with the ARN that the function is
// told: it ends in the alias, if there is one, as on the service.
type target struct {
	*function

	arn string
}

// find accepts a name, a partial ARN or a full one, perhaps with a qualifier. No
// version is ever published: the qualifiers are $LATEST and the aliases.
func (f *functions) find(name string) (target, error) {
	qualified := localName(name)
	plain, qualifier, _ := strings.Cut(qualified, ":")
	f.mu.Lock()
	defer f.mu.Unlock()
	found, ok := f.byName[plain]
	switch {
	case !ok || qualifier != "" && qualifier != lambdaVersion && !slices.Contains(found.Aliases, qualifier):
		return target{}, noFunction(qualified)
	case qualifier == lambdaVersion:
		qualified = plain
	}
	return target{found, functionARN(qualified)}, nil
}

// localName is what stands after an ARN's "function:": a name, perhaps with a
// qualifier.
func localName(name string) string {
	parts := strings.Split(name, ":")
	if i := slices.Index(parts, "function"); i >= 0 && i+1 < len(parts) {
		parts = parts[i+1:]
	}
	return strings.Join(parts, ":")
}

func noFunction(name string) error {
	return &refusal{Status: 404, Code: "ResourceNotFoundException", Message: "Function not found: " + functionARN(name)}
}

func functionARN(name string) string { return arn("lambda", "function:"+name) }

func (f *functions) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all sync.WaitGroup
	for _, each := range f.byName {
		all.Go(each.pool.stop)
	}
	all.Wait()
}

// Invoke runs a function and waits for its answer, as a synchronous invocation
// does. The error is about the invocation: no such function, too many at a
// time, a payload that is not JSON.
func (a *AWS) Invoke(ctx context.Context, name string, payload []byte) (Result, error) {
	return a.functions.counted(ctx, name, payload)
}

// counted is an invocation that comes not over HTTP, and is billed all the same.
func (f *functions) counted(ctx context.Context, name string, payload []byte) (Result, error) {
	f.frontend.count(invokeOperation)
	return f.invoke(ctx, name, payload)
}

func (f *functions) invoke(ctx context.Context, name string, payload []byte) (Result, error) {
	found, err := f.find(name)
	if err != nil {
		return Result{}, err
	}
	if err := checkPayload(payload, maxPayload); err != nil {
		return Result{}, err
	}
	select {
	case found.slots <- struct{}{}:
	default:
		return Result{}, &refusal{
			Status: http.StatusTooManyRequests, Code: "TooManyRequestsException", Message: "Rate Exceeded.",
			Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
		}
	}
	began := time.Now() // of the machine's clock, by which Lambda bills
	defer func() { f.meter.invoked(found.Name, time.Since(began)) }()
	if found.Binary == "" {
		return found.call(ctx, found.arn, payload), nil // which frees the slot
	}
	defer func() { <-found.slots }()
	return found.run(found.arn, payload)
}

func checkPayload(payload []byte, limit int) error {
	if len(payload) > limit {
		return &refusal{Status: http.StatusRequestEntityTooLarge, Code: "RequestTooLargeException", Message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit)}
	}
	if !json.Valid(payload) {
		return refuse("InvalidRequestContentException", "Could not parse request body into json")
	}
	return nil
}

// call runs a handler in this process. As on the service, a caller that goes
// away does not stop it; past its time-out it is answered for, and left to
// notice its deadline.
func (f *function) call(ctx context.Context, arn string, payload []byte) Result {
	id := uuid.NewString()
	ctx = lambdacontext.NewContext(context.WithoutCancel(ctx), &lambdacontext.LambdaContext{
		AwsRequestID: id, InvokedFunctionArn: arn,
	})
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	logs := &logTail{to: f.Output}
	began := time.Now()
	logs.begin(id)
	done := make(chan Result, 1)
	go func() {
		defer func() { <-f.slots }()
		defer cancel()
		done <- f.handle(ctx, payload, logs)
	}()
	result := f.outcome(ctx, id, done)
	if f.Compose != nil {
		result.Log = logs.end(id, time.Since(began), f.memory())
	}
	return result
}

// outcome is what a handler answers, or that it did not in time.
func (f *function) outcome(ctx context.Context, id string, done <-chan Result) Result {
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
	}
	select {
	case r := <-done: // it ended, and that ended ctx
		return r
	default:
		return f.timedOut(id)
	}
}

func (f *function) handle(ctx context.Context, payload []byte, logs *logTail) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r = failure(typeName(p), fmt.Sprint(p))
		}
	}()
	handler := f.Handler
	if f.Compose != nil {
		taken, err := f.composed.take(f.Compose)
		if err != nil {
			return failure(typeName(err), err.Error())
		}
		taken.logs.set(logs)
		defer f.composed.free(taken)
		handler = taken.handler
	}
	out, err := handler.Invoke(ctx, payload)
	var answer messages.InvokeResponse_Error
	switch {
	case errors.As(err, &answer):
		return failure(answer.Type, answer.Message)
	case err != nil:
		return failure(typeName(err), err.Error())
	case len(out) > maxPayload:
		return failure("Function.ResponseSizeTooLarge", fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxPayload))
	case len(out) == 0:
		out = []byte("null")
	}
	return Result{Payload: out}
}

// typeName names an error's type as aws-lambda-go does.
func typeName(err any) string {
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

func failure(kind, message string) Result {
	body, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message})
	return Result{Payload: body, Error: "Unhandled"}
}

func (f *function) timedOut(id string) Result {
	return failure("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", id, f.Timeout.Seconds()))
}

// invokeLater queues an asynchronous invocation. A function error is tried
// again after each of the retry delays; throttling waits and costs no try.
func (f *functions) invokeLater(name string, payload []byte) error {
	if _, err := f.find(name); err != nil {
		return err
	}
	if err := checkPayload(payload, maxAsyncPayload); err != nil {
		return err
	}
	f.jobs.begin(func(ctx context.Context) {
		for try := 0; ; {
			answer, err := f.invoke(ctx, name, payload)
			wait := time.Second
			switch {
			case err == nil && answer.Error == "":
				return
			case err == nil && try == len(f.delays):
				f.log.WarnContext(ctx, "asynchronous invocation given up", "function", name, "tries", try+1)
				return
			case err == nil:
				wait = f.delays[try]
				try++
			}
			if !sandbox.Pause(ctx, wait) {
				return
			}
			f.frontend.count(invokeOperation)
		}
	})
	return nil
}
