package lambdafn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"hikyaku/internal/cloudwatchtest"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/prove"
)

// What each level of Lambda leaves out: the lines below it, and never a measurement.
func TestLog_WhatLambdaLeavesOut(t *testing.T) {
	t.Parallel()
	base, _, out := open(t, map[string]string{"HIKYAKU_LOG_LEVEL": "DEBUG"})
	base.Log.Debug("a")
	base.Log.Info("b")
	base.Log.Warn("c")
	base.Log.Error("d")
	base.Metrics.Add("Rows", "Count", 3, map[string]string{"provider": "yappli"})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for application, want := range map[string]string{
		"TRACE": "a b c d metric", "DEBUG": "a b c d metric", "INFO": "b c d metric", "WARN": "c d metric", "ERROR": "d metric", "FATAL": "metric",
	} {
		var left []string
		for _, line := range lines {
			var l struct{ Message string }
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			if cloudwatchtest.Kept([]byte(line), application) {
				left = append(left, l.Message)
			}
		}
		if got := strings.Join(left, " "); got != want {
			t.Errorf("at %s %q is left, want %q", application, got, want)
		}
	}
}

// Two stacks of an account do not add up: each metric has the stack as a dimension.
func TestMetrics_HaveTheStack(t *testing.T) {
	t.Parallel()
	base, _, out := open(t, map[string]string{"HIKYAKU_STACK": "tokyo"})
	base.Metrics.Add("Rows", "Count", 3, nil)
	base.Metrics.Add("ExportDoubt", "Count", 1, map[string]string{"provider": "yappli", "dataset": "users"})
	base.Metrics.AddTimed("RelayOutcome", map[string]string{"outcome": "updated"}, "RelayLag", 1500*time.Millisecond)
	third := strings.Split(out.String(), "\n")[2]
	for _, want := range []string{
		`{"Dimensions":[["outcome","stack"]],"Metrics":[{"Name":"RelayOutcome","Unit":"Count"}],"Namespace":"Hikyaku"}`,
		`{"Dimensions":[["stack"]],"Metrics":[{"Name":"RelayLag","Unit":"Seconds"}],"Namespace":"Hikyaku"}`,
		`"RelayLag":1.5`, `"RelayOutcome":1`, `"outcome":"updated"`,
	} {
		if !strings.Contains(third, want) {
			t.Errorf("line %s, want %s", third, want)
		}
	}
	for line, want := range map[int]string{0: `"Dimensions":[["stack"]]`, 1: `"Dimensions":[["dataset","provider","stack"],["stack"]]`} {
		got := strings.Split(out.String(), "\n")[line]
		if !strings.Contains(got, want) || !strings.Contains(got, `"stack":"tokyo"`) {
			t.Errorf("line %s, want %s", got, want)
		}
	}
}

// talkative is the function of a child process: it writes in every way there is.
func talkative(e lambdafn.Environ) (lambda.Handler, error) {
	e.Vars = vars(map[string]string{"HIKYAKU_STACK": "tokyo"})
	s, err := lambdafn.Load[settings](e)
	if err != nil {
		return nil, err
	}
	base := lambdafn.Open(e, s.Common)
	return lambda.NewHandler(func(ctx context.Context, event string) {
		if event == "panic elsewhere" {
			go panic("a fault that no handler can catch")
			select {}
		}
		base.Log.InfoContext(ctx, "with the event's context")
		base.Log.Info("without it")
		base.Metrics.Add("Rows", "Count", 1, nil)
		panic("a fault\nin two lines")
	}), nil
}

// runtimeAPI hands one event to a child, and returns the variable that names it.
func runtimeAPI(t *testing.T, event string) string {
	t.Helper()
	var asked atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/invocation/next") {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		if asked.Add(1) > 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "request-7")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:ap-northeast-1:123456789012:function:f")
		_, _ = fmt.Fprintf(w, "%q", event)
	}))
	t.Cleanup(api.Close)
	return "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://")
}

// Whatever a binary says, while it handles an event, when it panics, and when it cannot
// start, Lambda can read.
func TestMain_EveryLineHasLambdasKeys(t *testing.T) {
	t.Parallel()
	said := map[string]string{} // request by message
	for _, environment := range []string{runtimeAPI(t, "log and panic"), "NOTHING=1"} {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = []string{childOf + "=1", environment}
		var out bytes.Buffer
		child.Stderr = &out
		if environment != "NOTHING=1" {
			child.Stdout = &out // else the child prints what another test reads
		}
		if err := child.Run(); err == nil {
			t.Errorf("a child that fails ends well: %s", &out)
		}
		for line := range strings.Lines(out.String()) {
			l, err := cloudwatchtest.ParseLine([]byte(line))
			if err != nil {
				t.Errorf("line %q: %v", line, err)
			}
			said[l.Message] = l.RequestID
		}
	}
	for _, message := range []string{"with the event's context", "without it", "metric"} {
		if said[message] != "request-7" {
			t.Errorf("the request of %q is %q", message, said[message])
		}
	}
	if _, ok := said["the function does not start"]; !ok {
		t.Errorf("nothing says that the function does not start: %v", said)
	}
	if len(said) < 5 {
		t.Errorf("nothing says that the function panicked: %v", said)
	}
}

// A panic outside of the handler ends the process at once, and Go's runtime writes plain
// text. Lambda takes that for INFO, so it is kept at the template's level and would be
// lost at WARN.
func TestMain_APanicElsewhereIsKept(t *testing.T) {
	t.Parallel()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = []string{childOf + "=1", runtimeAPI(t, "panic elsewhere")}
	var out bytes.Buffer
	child.Stderr = &out
	if err := child.Run(); err == nil || !strings.Contains(out.String(), "panic: a fault that no handler can catch") {
		t.Fatalf("the child ended with %v and said %s", err, &out)
	}
	template := prove.ReadTemplate(t, "../..")
	level := fmt.Sprint(template.At("Globals", "Function", "LoggingConfig", "ApplicationLogLevel"))
	for line := range strings.Lines(out.String()) {
		if _, err := cloudwatchtest.ParseLine([]byte(line)); err == nil {
			continue // of the library
		}
		for _, application := range cloudwatchtest.Levels {
			want := slices.Contains([]string{"TRACE", "DEBUG", "INFO"}, application)
			if got := cloudwatchtest.Kept([]byte(line), application); got != want || application == level && !got {
				t.Errorf("at %s %q is kept: %t", application, line, got)
			}
		}
	}
}
