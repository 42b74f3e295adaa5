package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A slowShop is a SHOPLINE of many large customers that answers nothing more
// from a page on, until it is let go on.
type slowShop struct {
	pages   atomic.Int64  // asked for
	stuck   chan struct{} // closed when the page is asked for
	goOn    chan struct{}
	stopped sync.Once
}

const (
	slowCustomers = 500
	stuckAfter    = 6 // pages of 50, more than a part of 1 MiB holds
)

func (s *slowShop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.pages.Add(1) > stuckAfter {
		s.stopped.Do(func() { close(s.stuck) })
		select {
		case <-s.goOn:
		case <-r.Context().Done():
			return
		}
	}
	var rows []string
	for n := range slowCustomers {
		if id := fmt.Sprintf("%024d", n); id > r.URL.Query().Get("previous_id") && len(rows) < 50 {
			rows = append(rows, fmt.Sprintf(`{"id":%q,"memo":%q}`, id, strings.Repeat("見本", 1000)))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"items":[`+strings.Join(rows, ",")+`]}`)
}

// A running is an export command in a process of its own.
type running struct {
	*exec.Cmd

	out   strings.Builder
	notes *bufio.Reader
}

func startExport(t *testing.T, to string) *running {
	t.Helper()
	r := &running{Cmd: program(context.WithoutCancel(t.Context()), "export", "shopline/customers", "--at", "2026-11-22T00:30:00Z", "--to", to)}
	r.Stdout = &r.out
	pipe, err := r.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.notes = bufio.NewReader(pipe)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Process.Kill() })
	return r
}

// says reads what the command says on standard error until a text is in it.
func (r *running) says(t *testing.T, text string) {
	t.Helper()
	for {
		line, err := r.notes.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("it ends without %q: %v", text, err)
		}
	}
}

// TestField_E13_OnOneMachine: an export into a directory is killed, goes on at
// once with the same command, and a second one beside it ends with it.
func TestField_E13_OnOneMachine(t *testing.T) {
	shop := &slowShop{stuck: make(chan struct{}), goOn: make(chan struct{})}
	connectShop(t, httptest.NewServer(shop))
	t.Setenv("HIKYAKU_EXPORT_PART_MIB", "1")
	t.Setenv("HIKYAKU_SHOPLINE_RATE", "1000")
	lake := t.TempDir()
	first := startExport(t, lake)
	<-shop.stuck
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	// E10: what lies there is shown, although nothing of it is published.
	table, err := runCommand(t, "runs", "shopline/customers", "--to", lake)
	if parts := regexp.MustCompile(`unfinished +20261122T003000Z +\S+ +(\d+) +([1-9]\d*) `).FindStringSubmatch(table); err != nil || parts == nil || parts[1] == "0" {
		t.Errorf("runs says %v\n%s", err, table)
	}

	before, began := shop.pages.Load(), time.Now()
	second := startExport(t, lake)
	for shop.pages.Load() == before {
		if time.Since(began) > time.Minute {
			t.Fatal("the same command does not go on")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(began); took > 10*time.Second { // a tenth of a second, on an idle machine; a lease would take three minutes
		t.Errorf("the same command goes on after %v", took)
	}
	third := startExport(t, lake)
	third.says(t, "Another process works on this run")
	close(shop.goOn)
	second.wait(t)
	ended := time.Now()
	third.wait(t)
	if late := time.Since(ended); late > 20*time.Second {
		t.Errorf("the second of two ends %v after the first", late)
	}
	for _, r := range []*running{second, third} {
		if !strings.HasPrefix(r.out.String(), fmt.Sprintf("Exported %d rows of shopline/customers", slowCustomers)) {
			t.Errorf("it says %q", r.out.String())
		}
	}
	if files, err := filepath.Glob(filepath.Join(lake, "athena*")); err != nil || len(files) > 0 {
		t.Errorf("a bucket that does not exist is named in %v, %v", files, err)
	}
	manifest := filepath.Join(lake, "exports/shopline/customers/dt=2026-11-22/run=20261122T003000Z/_manifest.json")
	if said, err := runCommand(t, "verify", manifest); err != nil || !strings.HasPrefix(said, "complete") {
		t.Errorf("verified: %q, %v", said, err)
	}
}

// wait waits until the command has ended well.
func (r *running) wait(t *testing.T) {
	t.Helper()
	rest, _ := io.ReadAll(r.notes)
	if err := r.Wait(); err != nil {
		t.Fatal(err, string(rest))
	}
}

// TestField_E10_ACertificateIsNamed, and is not asked for again. The row's other
// words are tested where they are said.
func TestField_E10_ACertificateIsNamed(t *testing.T) {
	var connections atomic.Int64
	shop := httptest.NewUnstartedServer(http.NotFoundHandler())
	shop.Config.ErrorLog = log.New(io.Discard, "", 0)
	shop.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	shop.StartTLS()
	connectShop(t, shop)
	_, err := runCommand(t, "export", "shopline/customers", "--to", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "shopline customers.list: certificate not accepted: the certificate of 127.0.0.1 is issued by an unknown authority") {
		t.Error(err)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}
