package awslocal_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/prove"
)

// bootstrap builds testdata/bootstrap once for all tests.
var bootstrap = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "awslocal")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", path, "./testdata/bootstrap")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	return path, build.Run()
})

// TestMain collects garbage more rarely: the tests make much of it and keep little.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		serveUntilKilled(dir)
		os.Exit(1)
	}
	debug.SetGCPercent(400)
	// Some of these tests wait: more of them than there are processors run at once.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	code := m.Run()
	if path, err := bootstrap(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// A syncBuffer is written by processes while the test reads it.
type syncBuffer struct{ prove.Log }

// expect waits for text, which arrives through a pipe.
func (s *syncBuffer) expect(t *testing.T, text string) {
	t.Helper()
	var have string
	for range 100 {
		have = s.String()
		if strings.Contains(have, text) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("no %q in the log: %q", text, have)
}

// binary registers the test's bootstrap.
func binary(t *testing.T, a *awslocal.AWS, f awslocal.Function) {
	t.Helper()
	path, err := bootstrap()
	ok(t, "build", err)
	f.Binary = path
	ok(t, "register", a.Register(f))
}

// invoke returns the answer's fields and the function error.
func invoke(t *testing.T, a *awslocal.AWS, name, payload string) (map[string]string, string) {
	t.Helper()
	r, err := a.Invoke(t.Context(), name, []byte(payload))
	ok(t, payload, err)
	var fields map[string]any
	ok(t, payload, json.Unmarshal(r.Payload, &fields))
	out := map[string]string{}
	for k, v := range fields {
		if s, isText := v.(string); isText {
			out[k] = s
		}
	}
	return out, r.Error
}

func TestABinaryRunsUnderTheRuntimeAPI(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	output := new(syncBuffer)
	binary(t, a, awslocal.Function{Name: "f", Env: []string{"SETTING=one"}, Timeout: 20 * time.Second, Memory: 256, Output: output})
	got, failed := invoke(t, a, "f", `{"do":"answer"}`)
	equal(t, "failed", failed, "")
	path, _ := bootstrap()
	for name, want := range map[string]string{
		"setting": "one", "endpoint": a.URL, "root": filepath.Dir(path), "home": "", "left": "20s", "memory": "256",
		"arn": "arn:aws:lambda:ap-northeast-1:000000000000:function:f",
	} {
		equal(t, name, got[name], want)
	}
	equal(t, "request id", len(got["request"]), 36)
	again, _ := invoke(t, a, "f", `{"do":"answer"}`)
	equal(t, "the process is kept", again["pid"], got["pid"])
	equal(t, "processes", len(a.Processes("f")), 1)
	equal(t, "process", strconv.Itoa(a.Processes("f")[0]), got["pid"])
	equal(t, "another id", again["request"] == got["request"], false)

	got, failed = invoke(t, a, "f", `{"do":"fail"}`)
	equal(t, "error", failed+" "+got["errorType"]+" "+got["errorMessage"], "Unhandled errorString asked to fail")
	got, _ = invoke(t, a, "f", `{"do":"answer"}`)
	equal(t, "the process outlives errors", got["pid"], again["pid"])
	got, failed = invoke(t, a, "f", `{"do":"big"}`)
	equal(t, "big", failed+" "+got["errorType"], "Unhandled Function.ResponseSizeTooLarge")
	_, failed = invoke(t, a, "f", `{"do":"answer"}`) // by another process: this refusal ends aws-lambda-go
	equal(t, "afterwards", failed, "")
	output.expect(t, "handling answer\nhandling answer\nhandling fail\n")
	ok(t, "close", a.Close())
	output.expect(t, "terminated\n")
	if _, err := a.Invoke(t.Context(), "f", []byte(`{}`)); err == nil {
		t.Error("a closed AWS started a process")
	}
}

func TestABinaryThatDiesIsReplaced(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	binary(t, a, awslocal.Function{Name: "f", Timeout: 20 * time.Second})
	first, _ := invoke(t, a, "f", `{}`)
	got, failed := invoke(t, a, "f", `{"do":"panic"}`)
	equal(t, "panic", failed+" "+got["errorType"]+" "+got["errorMessage"], "Unhandled string asked to panic")
	second, failed := invoke(t, a, "f", `{}`)
	equal(t, "after a panic", failed, "")
	equal(t, "another process", second["pid"] == first["pid"], false)
	got, failed = invoke(t, a, "f", `{"do":"exit"}`)
	equal(t, "exit", failed+" "+got["errorType"], "Unhandled Runtime.ExitError")
	equal(t, "status", strings.HasSuffix(got["errorMessage"], "Runtime exited with error: exit status 3"), true)
	third, failed := invoke(t, a, "f", `{}`)
	equal(t, "after an exit", failed, "")
	pid, err := strconv.Atoi(third["pid"])
	ok(t, "pid", err)
	ok(t, "kill", syscall.Kill(pid, syscall.SIGKILL))
	fourth, failed := invoke(t, a, "f", `{}`)
	for failed != "" { // the kill may hit the invocation itself
		fourth, failed = invoke(t, a, "f", `{}`)
	}
	equal(t, "another process", fourth["pid"] == third["pid"], false)
}

func TestABinaryIsKilledAtItsTimeout(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	binary(t, a, awslocal.Function{Name: "f", Timeout: 300 * time.Millisecond})
	got, failed := invoke(t, a, "f", `{"do":"answer","sleep":60000000000}`)
	equal(t, "kind", failed+" "+got["errorType"], "Unhandled Sandbox.Timedout")
	equal(t, "message", strings.HasSuffix(got["errorMessage"], "Task timed out after 0.30 seconds"), true)
	equal(t, "processes", len(a.Processes("f")), 0)
}

func TestABinaryThatCannotBegin(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	output := new(syncBuffer)
	binary(t, a, awslocal.Function{Name: "broken", Env: []string{"SETTING=broken"}, Output: output})
	got, failed := invoke(t, a, "broken", `{}`)
	equal(t, "kind", failed+" "+got["errorType"], "Unhandled Runtime.ExitError")
	output.expect(t, "the settings have 1 fault\n")
	binary(t, a, awslocal.Function{Name: "posted", Env: []string{"SETTING=posted"}})
	got, failed = invoke(t, a, "posted", `{}`)
	equal(t, "posted", failed+" "+got["errorType"]+" "+got["errorMessage"], "Unhandled Runtime.Settings the settings have 1 fault")
	output = new(syncBuffer)
	binary(t, a, awslocal.Function{Name: "stranger", Env: []string{"SETTING=stranger"}, Output: output, Timeout: 20 * time.Second})
	_, failed = invoke(t, a, "stranger", `{}`)
	equal(t, "stranger", failed, "")
	output.expect(t, "stranger 400\nhandling \n")
	ok(t, "register", a.Register(awslocal.Function{Name: "none", Binary: filepath.Join(t.TempDir(), "bootstrap")}))
	got, failed = invoke(t, a, "none", `{}`)
	equal(t, "kind", failed+" "+got["errorType"], "Unhandled Runtime.InvalidEntrypoint")
	equal(t, "no such function", len(a.Processes("unknown")), 0)
}

func TestConcurrentInvocationsHaveAProcessEach(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	binary(t, a, awslocal.Function{Name: "f", Timeout: 20 * time.Second, Concurrency: 2})
	var group sync.WaitGroup
	var mu sync.Mutex
	pids := map[string]bool{}
	for range 2 {
		group.Go(func() {
			r, err := a.Invoke(context.Background(), "f", []byte(`{"sleep":500000000}`))
			var got map[string]string
			if err == nil {
				err = json.Unmarshal(r.Payload, &got)
			}
			mu.Lock()
			defer mu.Unlock()
			pids[got["pid"]] = err == nil
		})
	}
	group.Wait()
	equal(t, "processes", len(pids), 2)
	equal(t, "failed", pids[""], false)
}
