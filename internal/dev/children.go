package dev

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
)

// ClockVariable tells a function's process where the stack's clock is.
const ClockVariable = "HIKYAKU_DEV_CLOCK"

// Command is the hidden command that is a function.
const Command = "function"

// children are the functions' processes.
type children struct {
	stack *Stack
	half  *halfway

	mu    sync.Mutex
	kills map[string]int // by function
	dying map[string]int // kills whose process has not ended yet
}

func newChildren(s *Stack) *children {
	return &children{stack: s, half: s.half, kills: map[string]int{}, dying: map[string]int{}}
}

// register lets the local AWS run each function as a process of this program.
func (c *children) register() error {
	s := c.stack
	for _, name := range localstack.Functions() {
		vars := s.Local.Vars(name)
		vars[ClockVariable] = s.clockFile()
		environment := make([]string, 0, len(vars))
		for _, variable := range slices.Sorted(maps.Keys(vars)) {
			environment = append(environment, variable+"="+vars[variable])
		}
		err := s.Local.AWS.Register(awslocal.Function{
			Name: name, Aliases: localstack.Aliases(name), Binary: s.options.Program, Args: []string{Command, name}, Env: environment,
			Timeout: localstack.Timeout(name), Memory: localstack.Memory(name), Concurrency: atOnce + 2,
			Output: logLines{s, name}, Watcher: watcher{c, name},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// logLines take the log of a function.
type logLines struct {
	stack    *Stack
	function string
}

// Write takes one line. What is written for who looks for faults in hikyaku itself is left
// out, but how each user was handled.
func (l logLines) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(`"level":"DEBUG"`)) && !bytes.Contains(line, []byte(`"message":"user handled"`)) {
		return len(line), nil
	}
	l.stack.recorder.Line(l.function, line)
	l.stack.Local.AWS.Log(l.function, string(bytes.TrimRight(line, "\n"))) // where 'hikyaku tail' looks
	return l.stack.logs.Write(line)
}

// A watcher is told of one function's processes.
type watcher struct {
	children *children
	function string
}

// Began records a process.
func (w watcher) Began(pid int) { w.children.stack.recorder.Process(w.function, pid, "started", false) }

// Ended records the end of a process, and whether it was killed.
func (w watcher) Ended(pid int, err error) {
	what := "ended"
	if err != nil {
		what = "failed"
	}
	if w.children.killed(w.function) {
		what = "killed"
	}
	w.children.stack.recorder.Process(w.function, pid, what, what != "ended")
}

// Invoked lets the clock run as the machine's until the answer.
func (w watcher) Invoked(id string, payload []byte) func(awslocal.Result, error) {
	idle := w.children.stack.Clock.Busy()
	ended := w.children.stack.recorder.Invoked(w.function, id, payload)
	stop := w.children.half.begin(w.function, id, func() { w.children.kill(w.function, id) })
	return func(awslocal.Result, error) {
		stop()
		ended()
		idle()
	}
}

// kill ends a process of a function at once; see [awslocal.Fleet.Kill].
func (c *children) kill(function, invocation string) bool {
	fleet, err := c.stack.Local.AWS.Fleet(function)
	if err != nil {
		return false
	}
	c.count(function, 1)
	ok := fleet.Kill(invocation)
	if !ok {
		c.count(function, -1)
	}
	return ok
}

// renew lets functions begin in new processes.
func (c *children) renew(functions ...string) {
	for _, name := range functions {
		if fleet, err := c.stack.Local.AWS.Fleet(name); err == nil {
			fleet.Renew()
		}
	}
}

func (c *children) count(function string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kills[function] += n
	c.dying[function] += n
}

// killed reports whether the process that has ended was killed here.
func (c *children) killed(function string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dying[function] <= 0 {
		return false
	}
	c.dying[function]--
	return true
}

func (c *children) killsOf(function string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kills[function]
}

// halfway kills a share of the invocations in their middle: after one of their calls to
// providers, before they have its answer. One that makes none is not killed, for nothing of
// it is half done.
type halfway struct {
	mu      sync.Mutex
	on      bool
	share   float64
	met     int
	victims map[string]func() // kill an invocation, by its id
}

// begin chooses whether an invocation is killed. The function that takes webhooks is
// spared: what sends them is not known to send again.
func (h *halfway) begin(function, id string, kill func()) (end func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.on || function == localstack.Ingest || rand.Float64() >= h.share {
		return func() {}
	}
	h.victims[id] = kill
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.victims, id)
	}
}

// called is told of each call of an invocation. The first one kills a half of the victims,
// the next one a half of the others, and so on.
func (h *halfway) called(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kill, chosen := h.victims[id]
	if !chosen || rand.IntN(2) > 0 {
		return
	}
	delete(h.victims, id)
	h.met++
	go kill()
}
