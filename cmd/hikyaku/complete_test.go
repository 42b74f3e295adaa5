package main

import (
	"bytes"
	"net"
	"os"
	"testing"
	"time"
)

// A person who presses Tab waits at most two seconds, also where AWS takes the call and
// never answers.
func TestCompletion_WaitsForNobody(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for _, words := range [][]string{{"doctor", "--stack", ""}, {"export", "yappli/users", "--stack", "x", "--at", ""}} {
		var out, notes bytes.Buffer
		command := program(t.Context(), append([]string{"__complete"}, words...)...)
		command.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir(), "AWS_REGION=ap-northeast-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "AWS_ENDPOINT_URL=http://"+silent.Addr().String())
		command.Stdout, command.Stderr = &out, &notes
		began := time.Now()
		if err := command.Run(); err != nil || notes.Len() > 0 || out.String() != ":4\n" {
			t.Errorf("%v: %v, prints %q and says %q", words, err, out.String(), notes.String())
		}
		if took := time.Since(began); took > 4*time.Second { // half of it for a machine that is busy
			t.Errorf("%v: %v", words, took)
		}
	}
}
