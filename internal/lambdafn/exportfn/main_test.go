package exportfn

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
)

// TestMain collects garbage more rarely: the tests make much of it and keep little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	// Some of these tests wait: more of them than there are processors run at once.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
