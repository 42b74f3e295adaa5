package awslocal

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"sync"
)

// A Watcher is told of the processes and invocations of a function's binary.
type Watcher interface {
	// Began and Ended tell of a process; err is how it ended.
	Began(pid int)
	Ended(pid int, err error)
	// Invoked is called before an invocation, also where a process must begin first, and
	// what it returns with the answer.
	Invoked(id string, payload []byte) (answered func(Result, error))
}

// A pool is the processes of one function.
type pool struct {
	mu     sync.Mutex
	idle   []*process
	all    map[*process]bool
	starts int
	done   bool
}

// Processes returns the process ids of a function's binary, for tests that
// kill or measure them.
func (a *AWS) Processes(name string) []int {
	f, err := a.functions.find(name)
	if err != nil {
		return nil
	}
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	var pids []int
	for p := range f.pool.all {
		pids = append(pids, p.cmd.Process.Pid)
	}
	return pids
}

// A Census is how many processes a function's binary has.
type Census struct {
	Running int
	Busy    int // of them, with an invocation, or on the way to their first
	Starts  int // so far
}

// A Fleet is the processes of one function's binary.
type Fleet struct{ of *function }

// Fleet returns the processes of a function that was registered.
func (a *AWS) Fleet(name string) (Fleet, error) {
	found, err := a.functions.find(name)
	return Fleet{found.function}, err
}

// Census counts the processes.
func (f Fleet) Census() Census {
	p := &f.of.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	return Census{Running: len(p.all), Busy: max(0, len(p.all)-len(p.idle)), Starts: p.starts}
}

// Kill ends a process at once: that of an invocation, by its id, or, if the id is empty,
// one that is busy rather than one that is idle. It reports whether there was one.
func (f Fleet) Kill(invocation string) bool {
	chosen := f.of.pool.choose(invocation)
	if chosen == nil {
		return false
	}
	chosen.kill()
	return true
}

// Warm begins a process that waits for its first invocation.
func (f Fleet) Warm() error {
	p, failed, err := f.of.start()
	if err != nil || failed != nil {
		return cmp.Or(err, fmt.Errorf("%s does not start: %s", f.of.Name, failed))
	}
	if !f.of.pool.free(p) {
		go p.stop()
	}
	return nil
}

// Renew lets the next invocations begin in new processes, as a deployment does: what is
// idle ends now, and what is busy after its answer.
func (f Fleet) Renew() {
	p := &f.of.pool
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	for each := range p.all {
		each.old = true
	}
	p.mu.Unlock()
	for _, each := range idle {
		f.of.all.jobs.work.Go(each.stop)
	}
}

func (p *pool) choose(invocation string) (chosen *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := map[*process]bool{}
	for _, each := range p.idle {
		idle[each] = true
	}
	for each := range p.all {
		switch {
		case invocation != "":
			if !idle[each] && each.handles(invocation) {
				return each
			}
		case chosen == nil || !idle[each]:
			chosen = each
		}
	}
	return chosen
}

func (p *process) handles(invocation string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current != nil && p.current.id == invocation
}

// take returns an idle process that still lives, or nil.
func (p *pool) take() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		select {
		case <-last.exited:
		default:
			return last
		}
	}
	return nil
}

func (p *pool) begun() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts++
}

func (p *pool) add(made *process) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return false
	}
	if p.all == nil {
		p.all = map[*process]bool{}
	}
	p.all[made] = true
	return true
}

// free takes a process back. It is refused if the process is to end.
func (p *pool) free(used *process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if used.old {
		return false
	}
	p.idle = append(p.idle, used)
	return true
}

func (p *pool) remove(ended *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, ended)
	for i, each := range p.idle {
		if each == ended {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			return
		}
	}
}

// stop ends all processes, and lets none start.
func (p *pool) stop() {
	p.mu.Lock()
	p.done = true
	running := p.all
	p.all = nil
	p.mu.Unlock()
	var all sync.WaitGroup
	for each := range running {
		all.Go(each.stop)
	}
	all.Wait()
}

// A lineWriter passes on what one process writes, line by line, so that lines of several
// processes stay whole.
type lineWriter struct {
	to io.Writer

	mu   sync.Mutex
	part []byte
}

// maxLine is what is passed on without its end.
const maxLine = 1 << 20

// Write passes on the lines that end in p.
func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		end := bytes.IndexByte(l.part, '\n') + 1
		if end == 0 && len(l.part) > maxLine {
			end = len(l.part)
		}
		if end == 0 {
			return len(p), nil
		}
		if _, err := l.to.Write(l.part[:end]); err != nil {
			return 0, err
		}
		l.part = append(l.part[:0], l.part[end:]...)
	}
}

func (l *lineWriter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.part) > 0 {
		_, _ = l.to.Write(append(l.part, '\n'))
		l.part = nil
	}
}
