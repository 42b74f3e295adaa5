package awslocal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

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

// A Function is what a name invokes: a handler in this process, or a real
// binary that is run with the runtime API, one process for each concurrent
// invocation, as on the service.
type Function struct {
	Name    string
	Handler lambda.Handler // or:
	Binary  string         // path of a bootstrap; its directory is the task root
	Env     []string       // of the binary, beside Environment and Lambda's own; nothing else is inherited
	Output  io.Writer      // gets what the binary logs; nil: nobody does

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
}

// functions are all registered functions.
type functions struct {
	mu     sync.Mutex
	byName map[string]*function
}

// A function is a registered function with its slots and processes.
type function struct {
	Function

	aws   *AWS
	slots chan struct{} // one for each running invocation
	pool  pool
}

// Register adds a function, or replaces the one of its name; invocations of
// the old one end undisturbed.
func (a *AWS) Register(f Function) error {
	if f.Name == "" || (f.Handler == nil) == (f.Binary == "") {
		return errors.New("registering a function: it needs a name and either a handler or a binary")
	}
	if f.Timeout <= 0 {
		f.Timeout = 3 * time.Second
	}
	if f.Concurrency <= 0 {
		f.Concurrency = 10
	}
	made := &function{Function: f, aws: a, slots: make(chan struct{}, f.Concurrency)}
	if f.Output != nil {
		made.Output = &sharedWriter{to: f.Output}
	}
	a.functions.mu.Lock()
	defer a.functions.mu.Unlock()
	if old := a.functions.byName[f.Name]; old != nil {
		a.work.Go(old.pool.stop)
	}
	a.functions.byName[f.Name] = made
	return nil
}

// find accepts a name, a partial ARN or a full one. There are no versions and
// no aliases: the only qualifier of a function is $LATEST.
func (f *functions) find(name string) (*function, error) {
	qualified := localName(name)
	plain, qualifier, _ := strings.Cut(qualified, ":")
	f.mu.Lock()
	defer f.mu.Unlock()
	found, ok := f.byName[plain]
	if !ok || qualifier != "" && qualifier != lambdaVersion {
		return nil, noFunction(qualified)
	}
	return found, nil
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
	return &refusal{Status: 404, Code: "ResourceNotFoundException", Message: "Function not found: " + arn("lambda", "function:"+name)}
}

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
	a.door.count(invokeOperation)
	return a.invoke(ctx, name, payload)
}

func (a *AWS) invoke(ctx context.Context, name string, payload []byte) (Result, error) {
	f, err := a.functions.find(name)
	if err != nil {
		return Result{}, err
	}
	if err := checkPayload(payload, maxPayload); err != nil {
		return Result{}, err
	}
	select {
	case f.slots <- struct{}{}:
	default:
		return Result{}, &refusal{
			Status: http.StatusTooManyRequests, Code: "TooManyRequestsException", Message: "Rate Exceeded.",
			Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
		}
	}
	if f.Handler != nil {
		return f.call(ctx, payload), nil // which frees the slot
	}
	defer func() { <-f.slots }()
	return f.run(payload)
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
func (f *function) call(ctx context.Context, payload []byte) Result {
	id := uuid.NewString()
	ctx = lambdacontext.NewContext(context.WithoutCancel(ctx), &lambdacontext.LambdaContext{
		AwsRequestID: id, InvokedFunctionArn: arn("lambda", "function:"+f.Name),
	})
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	done := make(chan Result, 1)
	go func() {
		defer func() { <-f.slots }()
		defer cancel()
		done <- f.handle(ctx, payload)
	}()
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

func (f *function) handle(ctx context.Context, payload []byte) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r = failure(typeName(p), fmt.Sprint(p))
		}
	}()
	out, err := f.Handler.Invoke(ctx, payload)
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

const (
	invokeBase = "/2015-03-31/functions"
	invokePath = "/invocations"

	invokeOperation = "lambda.Invoke"
)

func (a *AWS) lambdaService() service {
	return service{
		name: "lambda", serve: a.serveInvoke, refuse: refuseLambda,
		operation: func(r *http.Request) string {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, invokePath) {
				return "Invoke"
			}
			return r.Method + " " + r.URL.Path
		},
		throttled: refusal{Status: http.StatusTooManyRequests, Code: "TooManyRequestsException", Message: "Rate Exceeded. (injected fault)", Reason: "CallerRateLimitExceeded"},
		failed:    refusal{Status: http.StatusInternalServerError, Code: "ServiceException", Message: "internal failure (injected fault)"},
	}
}

func (a *AWS) serveInvoke(w http.ResponseWriter, r *http.Request, operation string) error {
	if operation != "Invoke" {
		return &refusal{Status: http.StatusNotFound, Code: unknownOperation, Message: "the local AWS does not serve lambda " + operation + "; it serves Invoke"}
	}
	name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, invokeBase+"/"), invokePath)
	if err := unservedInvoke(r, name); err != nil {
		return err
	}
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	if err != nil {
		return refuse("InvalidRequestContentException", "the body cannot be read")
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	w.Header().Set("X-Amz-Executed-Version", lambdaVersion)
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "Event":
		if err := a.invokeLater(name, payload); err != nil {
			return err
		}
		w.WriteHeader(http.StatusAccepted)
	case "DryRun":
		if _, err := a.functions.find(name); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
	case "", "RequestResponse":
		answer, err := a.invoke(r.Context(), name, payload)
		if err != nil {
			return err
		}
		if answer.Error != "" {
			w.Header().Set("X-Amz-Function-Error", answer.Error)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer.Payload)
	default:
		return refuse("InvalidParameterValueException", "invocation type %s is none of RequestResponse, Event, DryRun", kind)
	}
	return nil
}

// unservedInvoke refuses what an invocation may ask for and would not get.
func unservedInvoke(r *http.Request, name string) error {
	if q := r.URL.Query().Get("Qualifier"); q != "" && q != lambdaVersion {
		return noFunction(localName(name) + ":" + q)
	}
	if kind := r.Header.Get("X-Amz-Log-Type"); kind != "" && kind != "None" {
		return refuse("InvalidParameterValueException", "the local AWS does not serve X-Amz-Log-Type %s of lambda Invoke; a function's logs go to its Output", kind)
	}
	if r.Header.Get("X-Amz-Client-Context") != "" {
		return refuse("InvalidParameterValueException", "the local AWS does not serve X-Amz-Client-Context of lambda Invoke")
	}
	return nil
}

// invokeLater queues an asynchronous invocation. A function error is tried
// again after each of the retry delays; throttling waits and costs no try.
func (a *AWS) invokeLater(name string, payload []byte) error {
	if _, err := a.functions.find(name); err != nil {
		return err
	}
	if err := checkPayload(payload, maxAsyncPayload); err != nil {
		return err
	}
	a.background(func(ctx context.Context) {
		for try := 0; ; {
			answer, err := a.invoke(ctx, name, payload)
			wait := time.Second
			switch {
			case err == nil && answer.Error == "":
				return
			case err == nil && try == len(a.delays):
				a.log.WarnContext(ctx, "asynchronous invocation given up", "function", name, "tries", try+1)
				return
			case err == nil:
				wait = a.delays[try]
				try++
			}
			if !pause(ctx, wait) {
				return
			}
			a.door.count(invokeOperation)
		}
	})
	return nil
}

func refuseLambda(w http.ResponseWriter, _ *http.Request, no *refusal) {
	w.Header().Set("X-Amzn-Errortype", no.Code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(max(no.Status, http.StatusBadRequest))
	body := map[string]string{"Type": "User", "Message": no.Message}
	if no.Reason != "" {
		body["Reason"] = no.Reason
	}
	_ = json.NewEncoder(w).Encode(body)
}
