package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// patience bounds one start with its first invocation.
const patience = 20 * time.Second

// start runs a binary under a runtime API that has one event, and returns the
// milliseconds from exec to its first request and to its first answer.
func start(ctx context.Context, binary string, environment []string, event []byte) (ready, answered float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	asked, done := make(chan time.Time, 1), make(chan time.Time, 1)
	server := &http.Server{Handler: runtimeAPI(event, asked, done), ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()

	process := exec.CommandContext(ctx, binary)
	process.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "_HANDLER=bootstrap"}, environment...)
	began := time.Now()
	if err := process.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	}()
	for _, wait := range []struct {
		event chan time.Time
		into  *float64
	}{{asked, &ready}, {done, &answered}} {
		select {
		case at := <-wait.event:
			*wait.into = float64(at.Sub(began).Microseconds()) / 1000
		case <-ctx.Done():
			return 0, 0, errors.New("no answer in time")
		}
	}
	return ready, answered, nil
}

// runtimeAPI hands out one event and notes when it was asked for and answered.
func runtimeAPI(event []byte, asked, done chan<- time.Time) http.Handler {
	mux := http.NewServeMux()
	first := true
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		if !first {
			<-r.Context().Done() // there is no second event
			return
		}
		first = false
		asked <- time.Now()
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "00000000-0000-4000-8000-000000000001")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(patience).UnixMilli(), 10))
		_, _ = w.Write(event)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{kind}", func(w http.ResponseWriter, _ *http.Request) {
		done <- time.Now()
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Lambda-Extension-Identifier", strings.Repeat("0", 36))
		_, _ = w.Write([]byte("{}"))
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	})
	return mux
}
