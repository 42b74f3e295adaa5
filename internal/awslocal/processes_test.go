package awslocal_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
)

// A witness writes down what it is told of processes.
type witness struct {
	mu   sync.Mutex
	told []string
	ids  chan string // of invocations
}

func (w *witness) tell(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, fmt.Sprintf(format, a...))
}

func (w *witness) Began(int)            { w.tell("began") }
func (w *witness) Ended(_ int, _ error) { w.tell("ended") }
func (w *witness) Invoked(id string, payload []byte) func(awslocal.Result, error) {
	w.tell("invoked %s", payload)
	w.ids <- id
	return func(r awslocal.Result, _ error) { w.tell("answered %s", r.Error) }
}

func TestABinaryIsWatchedAndKilledAndRenewed(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	output, told := new(syncBuffer), &witness{ids: make(chan string, 9)}
	binary(t, a, awslocal.Function{Name: "f", Args: []string{"one", "two"}, Timeout: 20 * time.Second, Output: output, Watcher: told})
	fleet, err := a.Fleet("f")
	ok(t, "fleet", err)
	_, err = a.Fleet("unknown")
	equal(t, "no such function", err != nil, true)
	ok(t, "warm", fleet.Warm())
	equal(t, "warmed", fleet.Census(), awslocal.Census{Running: 1, Starts: 1})
	first, _ := invoke(t, a, "f", `{"do":"args"}`)
	equal(t, "arguments", first["arguments"], "one two")
	equal(t, "idle", fleet.Census(), awslocal.Census{Running: 1, Starts: 1})

	failed := make(chan string)
	go func() {
		r, _ := a.Invoke(t.Context(), "f", []byte(`{"do":"answer","sleep":60000000000}`))
		failed <- r.Error
	}()
	<-told.ids
	equal(t, "no such invocation", fleet.Kill("another"), false)
	for id := <-told.ids; !fleet.Kill(id); { // once it is there
		time.Sleep(time.Millisecond)
	}
	equal(t, "killed", <-failed, "Unhandled")
	equal(t, "after it", fleet.Census(), awslocal.Census{Starts: 1})

	second, _ := invoke(t, a, "f", `{}`)
	fleet.Renew()
	third, _ := invoke(t, a, "f", `{}`)
	equal(t, "another process", second["pid"] == third["pid"], false)
	equal(t, "an idle one", fleet.Kill(""), true)
	ok(t, "close", a.Close())
	told.mu.Lock()
	defer told.mu.Unlock()
	all := strings.Join(told.told, "\n")
	equal(t, "the killed one", strings.Contains(all, "answered Unhandled"), true)
	equal(t, "the first", strings.Contains(all, `invoked {"do":"args"}`), true)
	equal(t, "began", strings.Count(all, "began"), 3)
	equal(t, "ended", strings.Count(all, "ended"), 3)
}

// What several processes write at once arrives in whole lines, also what ends without one.
func TestLinesOfProcessesStayWhole(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	var mu sync.Mutex
	var writes []string
	binary(t, a, awslocal.Function{Name: "f", Timeout: 20 * time.Second, Concurrency: 3, Output: writer(func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		writes = append(writes, string(p))
	})})
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() { _, _ = a.Invoke(t.Context(), "f", []byte(`{"do":"long"}`)) })
	}
	group.Wait()
	ok(t, "close", a.Close())
	whole := 0
	for _, w := range writes {
		if strings.Count(w, "\n") != 1 || !strings.HasSuffix(w, "\n") {
			t.Errorf("one write is %d bytes with %d ends of lines", len(w), strings.Count(w, "\n"))
		}
		if strings.Trim(w, "x\n") == "" && len(w) == 200_001 {
			whole++
		}
	}
	equal(t, "long lines", whole, 3)
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}
