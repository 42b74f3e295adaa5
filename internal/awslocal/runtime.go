package awslocal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/hostguard"
)

const (
	lambdaVersion = "$LATEST"
	initTimeout   = 10 * time.Second
	defaultMemory = 128
	stopTimeout   = 500 * time.Millisecond // between SIGTERM and SIGKILL, the service's for extensions
)

// A process is one running binary with a runtime API of its own.
type process struct {
	function *function
	cmd      *exec.Cmd
	api      *http.Server
	ready    chan struct{} // closed when it first asks for work
	isReady  sync.Once
	work     chan *invocation
	failed   chan []byte   // what it posted as its initialization's error
	exited   chan struct{} // closed after exit is set
	exit     error

	lifeline io.Closer // the writing end of its standard input, which ends when this process does
	log      *lineWriter
	old      bool // in the pool's lock: it takes no further invocation

	mu      sync.Mutex
	current *invocation
}

type invocation struct {
	id       string
	arn      string // that was invoked
	payload  []byte
	deadline time.Time
	done     chan Result // holds one
}

// run invokes the binary, in an idle process or a new one.
func (f *function) run(arn string, payload []byte) (r Result, err error) {
	// The binary measures its deadline by the machine's clock.
	in := &invocation{id: uuid.NewString(), arn: arn, payload: payload, done: make(chan Result, 1)}
	if f.Watcher != nil {
		answered := f.Watcher.Invoked(in.id, payload)
		defer func() { answered(r, err) }()
	}
	timer := time.NewTimer(f.Timeout)
	defer timer.Stop()
	for {
		p := f.pool.take()
		isNew := p == nil
		if isNew {
			var failed []byte
			if p, failed, err = f.start(); err != nil || failed != nil {
				return Result{Payload: failed, Error: "Unhandled"}, err
			}
			timer.Reset(f.Timeout)
		}
		in.deadline = time.Now().Add(f.Timeout)
		select {
		case p.work <- in:
			return p.wait(in, timer.C), nil
		case <-p.exited:
			if isNew {
				return p.crashed(in.id), nil
			} // else it ended after its last answer: take another
		case <-timer.C:
			p.kill()
			return f.timedOut(in.id), nil
		}
	}
}

// wait returns how an invocation that was handed over ends.
func (p *process) wait(in *invocation, timeout <-chan time.Time) Result {
	select {
	case r := <-in.done:
		if !p.function.pool.free(p) {
			go p.stop()
		}
		return r
	case <-p.exited:
		return p.crashed(in.id)
	case <-timeout:
		p.kill()
		return p.function.timedOut(in.id)
	}
}

func (p *process) crashed(id string) Result {
	select {
	case r := <-p.ended(): // it answered, then exited, as after a panic
		return r
	default:
	}
	reason := "exit status 0"
	if p.exit != nil {
		reason = p.exit.Error()
	}
	return failure("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: Runtime exited with error: %s", id, reason))
}

func (p *process) ended() chan Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return nil
	}
	return p.current.done
}

// start runs the binary until it asks for work. failed is its answer if it
// cannot begin.
func (f *function) start() (p *process, failed []byte, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(f.all.jobs.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("starting the runtime API: %w", err)
	}
	p = &process{
		function: f, ready: make(chan struct{}), work: make(chan *invocation), failed: make(chan []byte, 1), exited: make(chan struct{}),
	}
	api := &http.Server{Handler: hostguard.New(p.routes()), ReadHeaderTimeout: initTimeout}
	go func() { _ = api.Serve(hostguard.Own(listener)) }()
	p.api = api
	p.cmd = exec.Command(f.Binary, f.Args...) //nolint:gosec,noctx // the binary is the caller's; it outlives every request
	p.cmd.Dir = filepath.Dir(f.Binary)
	p.cmd.Env = append(append(f.all.common(), f.environment(listener.Addr().String())...), f.Env...)
	p.cmd.WaitDelay = time.Second
	if f.Output != nil {
		p.log = &lineWriter{to: f.Output}
		p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	}
	p.lifeline, err = p.cmd.StdinPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		_ = p.api.Close()
		return nil, failure("Runtime.InvalidEntrypoint", err.Error()).Payload, nil
	}
	f.pool.begun()
	if f.Watcher != nil {
		f.Watcher.Began(p.cmd.Process.Pid)
	}
	go p.watch()
	if !f.pool.add(p) {
		p.kill()
		return nil, nil, errors.New("the local AWS is closed")
	}
	timer := time.NewTimer(initTimeout)
	defer timer.Stop()
	select {
	case <-p.ready:
		return p, nil, nil
	case <-p.exited:
	case <-timer.C:
		p.kill()
		return nil, failure("Sandbox.Timedout", "initialization timed out after 10 seconds").Payload, nil
	}
	select {
	case posted := <-p.failed:
		return nil, posted, nil
	default:
		return nil, p.crashed("-").Payload, nil
	}
}

// memory is what the function is told that it has, in MiB.
func (f *function) memory() int { return cmp.Or(f.Memory, defaultMemory) }

// environment is what Lambda itself sets.
func (f *function) environment(api string) []string {
	return []string{
		"AWS_LAMBDA_RUNTIME_API=" + api, "AWS_LAMBDA_FUNCTION_NAME=" + f.Name, "AWS_LAMBDA_FUNCTION_VERSION=" + lambdaVersion,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(f.memory()), "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + f.Name, "AWS_LAMBDA_LOG_STREAM_NAME=local",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand", "_HANDLER=bootstrap", "LAMBDA_TASK_ROOT=" + filepath.Dir(f.Binary),
		"TZ=:UTC", "LANG=en_US.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin",
	}
}

func (p *process) watch() {
	p.exit = p.cmd.Wait()
	_ = p.api.Close()
	if p.log != nil {
		p.log.flush()
	}
	p.function.pool.remove(p)
	if p.function.Watcher != nil {
		p.function.Watcher.Ended(p.cmd.Process.Pid, p.exit)
	}
	close(p.exited)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// stop ends the process as the service does, with a moment to clean up. Where there is
// no such signal, the end of its input says the same.
func (p *process) stop() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		_ = p.lifeline.Close()
	}
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		p.kill()
	}
}

// routes is the runtime API, and as much of the extensions API as
// aws-lambda-go registers for to be sent SIGTERM.
func (p *process) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", p.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { p.answer(w, r, "") })
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { p.answer(w, r, "Unhandled") })
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, maxPayload))
		select {
		case p.failed <- body:
		default:
		}
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Lambda-Extension-Identifier", uuid.NewString())
		_ = json.NewEncoder(w).Encode(map[string]string{"functionName": p.function.Name, "functionVersion": lambdaVersion, "handler": "bootstrap"})
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // no event is sent but the signal
	})
	return mux
}

func (p *process) next(w http.ResponseWriter, r *http.Request) {
	p.isReady.Do(func() { close(p.ready) })
	select {
	case <-r.Context().Done():
	case in := <-p.work:
		p.mu.Lock()
		p.current = in
		p.mu.Unlock()
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", in.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(in.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", in.arn)
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
		_, _ = w.Write(in.payload)
	}
}

// answer ends the current invocation. kind is X-Amz-Function-Error.
func (p *process) answer(w http.ResponseWriter, r *http.Request, kind string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.current == nil || p.current.id != r.PathValue("id") {
		http.Error(w, `{"errorType":"InvalidRequestID","errorMessage":"no such invocation is running"}`, http.StatusBadRequest)
		return
	}
	result := Result{Payload: body, Error: kind}
	status := http.StatusAccepted
	if len(body) > maxPayload {
		status = http.StatusRequestEntityTooLarge
		result = failure("Function.ResponseSizeTooLarge", fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxPayload))
	}
	select {
	case p.current.done <- result:
	default: // answered twice
	}
	w.WriteHeader(status)
}
