package crash

import (
	"fmt"
	"testing"
)

// A Recorder stands in for a test that must fail: it collects the errors of
// Enumerate and passes everything else on. It is not safe for concurrent use.
//
//	r := &crash.Recorder{TB: t}
//	crash.Enumerate(r, withoutTheGuard)
//	if len(r.Errors) == 0 {
//		t.Error("nobody misses the guard")
//	}
type Recorder struct {
	testing.TB

	Errors []string
}

// Errorf keeps the error.
func (r *Recorder) Errorf(format string, args ...any) {
	r.Errors = append(r.Errors, fmt.Sprintf(format, args...))
}

// Helper does nothing: no line of the test is reported.
func (*Recorder) Helper() {}
