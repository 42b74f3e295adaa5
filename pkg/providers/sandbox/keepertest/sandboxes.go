package keepertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"hikyaku/pkg/providers/sandbox"
)

// A Sandbox is one that keeps its state.
type Sandbox interface {
	http.Handler
	Dump(w io.Writer) error
	Err() error
	Journal() *sandbox.Journal
}

// A Step changes a sandbox, by a call or as a person does.
type Step[S Sandbox] struct {
	Name string
	Do   func(s S)
}

// Steps takes the steps on a sandbox, one after the other, and opens another on the same
// keeper after each, as a process does that goes on where one was killed: it has to have
// the same records, and the same of whatever else look tells. A step whose changes cannot
// be kept leaves nothing of itself behind.
func Steps[S Sandbox](t *testing.T, open func(sandbox.Keeper) S, look func(s S) string, steps []Step[S]) {
	t.Helper()
	keeper := new(Memory)
	s := open(keeper)
	before := told(t, s, look)
	for _, step := range append([]Step[S]{{Name: "open", Do: func(S) {}}}, steps...) {
		lost := keeper.clone()
		killed := open(lost)
		lost.Fault = func([]sandbox.Change) error { return errors.New("the process was killed") }
		step.Do(killed)
		if got := told(t, open(&Memory{sections: lost.sections}), look); got != before {
			t.Errorf("%s, killed before it was kept: %s", step.Name, difference(before, got))
		}
		step.Do(s)
		after := told(t, s, look)
		if after == before && step.Name != "open" {
			t.Errorf("%s: changes nothing that could be seen", step.Name)
		}
		again := open(keeper)
		if err := errors.Join(s.Err(), again.Err()); err != nil {
			t.Fatalf("%s: %v", step.Name, err)
		}
		if got := told(t, again, look); got != after {
			t.Errorf("%s, opened again: %s", step.Name, difference(after, got))
		}
		s, before = again, after
	}
}

// clone is another keeper that holds the same.
func (m *Memory) clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &Memory{sections: map[string]map[string][]byte{}}
	for name, section := range m.sections {
		c.sections[name] = maps.Clone(section)
	}
	return c
}

func told[S Sandbox](t *testing.T, s S, look func(S) string) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Dump(&b); err != nil {
		t.Fatal(err)
	}
	return b.String() + look(s)
}

// difference shows where two texts part.
func difference(want, got string) string {
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	part := func(s string) string { return s[max(0, min(at-80, len(s))):min(at+120, len(s))] }
	return "want ..." + part(want) + "...\ngot ..." + part(got) + "..."
}

// Ask sends a request to a sandbox in-process, with a bearer token and a body of JSON
// where they are not empty, and returns status and body, or that the connection was cut.
func Ask(s http.Handler, token, method, path, body string) string {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://sandbox.test"+path, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	r.Header.Set("User-Agent", "test")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := sandbox.Transport(s).RoundTrip(r)
	if err != nil {
		return "the connection was cut\n"
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return "the answer was cut\n"
	}
	return fmt.Sprintln(answer.StatusCode, string(content))
}
