package prove

import (
	"bytes"
	"sync"
)

// A Log keeps what several goroutines or processes write while a test reads it.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps what comes.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String is all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
