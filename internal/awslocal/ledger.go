package awslocal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"hikyaku/pkg/providers/sandbox"
)

// A ledger takes down what changes, in the order in which it changes, and keeps it
// before anybody hears of it. Changes of several callers are kept together.
//
// Who changes something notes it while the lock of the thing is held, and settles before
// it answers, without the lock. What could not be kept stays noted and is tried again by
// the next one to settle: until then nothing is answered, because an answer may rest on it.
type ledger struct {
	keeper sandbox.Keeper // nil: nothing is kept

	mu         sync.Mutex
	noted      []sandbox.Change // not kept yet
	last, kept uint64           // changes since the start
	writing    *writing         // nil: nobody writes
}

// A writing is one commit under way.
type writing struct {
	done chan struct{}
	err  error // once done is closed
}

// note takes changes down.
func (l *ledger) note(changes ...sandbox.Change) {
	if l.keeper == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noted = append(l.noted, changes...)
	l.last += uint64(len(changes))
}

// settle returns once everything is kept that was noted before.
func (l *ledger) settle() error {
	if l.keeper == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for until := l.last; l.kept < until; {
		if err := l.write(); err != nil {
			return err
		}
	}
	return nil
}

// write keeps all that is noted, or waits for who is doing so. l.mu is held, but not
// meanwhile.
func (l *ledger) write() error {
	if w := l.writing; w != nil {
		l.mu.Unlock()
		<-w.done
		l.mu.Lock()
		return w.err
	}
	own := &writing{done: make(chan struct{})}
	l.writing = own
	changes := l.noted
	l.mu.Unlock()
	err := l.keeper.Commit(changes...)
	l.mu.Lock()
	if err == nil {
		l.kept += uint64(len(changes))
		l.noted = append([]sandbox.Change(nil), l.noted[len(changes):]...)
	} else {
		own.err = fmt.Errorf("the local AWS cannot keep its state: %w", err)
	}
	l.writing = nil
	close(own.done)
	return own.err
}

// settled runs f, which takes its own lock, and keeps what it changed.
func settled[Out any](l *ledger, f func() (Out, error)) (Out, error) {
	out, err := f()
	if failed := l.settle(); failed != nil {
		var none Out
		return none, failed
	}
	return out, err
}

// record makes a change that keeps a value as JSON, with a body of bytes behind it.
func record(section, key string, v any, body []byte) sandbox.Change {
	head, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("awslocal: a record of %s: %v", section, err)) // of our own types
	}
	return sandbox.Change{Section: section, Key: key, Value: append(append(head, '\n'), body...)}
}

// readRecord reads what record made.
func readRecord(value []byte, v any) (body []byte, err error) {
	head, body, ok := bytes.Cut(value, []byte{'\n'})
	if !ok {
		return nil, errors.New("a record without an end")
	}
	return body, json.Unmarshal(head, v)
}

func erasure(section, key string) sandbox.Change {
	return sandbox.Change{Section: section, Key: key}
}

// load reads a section.
func load[R any](k sandbox.Keeper, section string, f func(key string, r R, body []byte) error) error {
	if k == nil {
		return nil
	}
	return k.Load(section, func(key string, value []byte) error {
		var r R
		body, err := readRecord(value, &r)
		if err == nil {
			err = f(key, r, body)
		}
		if err != nil {
			return fmt.Errorf("reading %.80q of the local AWS's %s: %w", key, section, err)
		}
		return nil
	})
}
