package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
)

// A devRun is a process of 'hikyaku dev' that is ready.
type devRun struct {
	devStack

	command *exec.Cmd
	notes   *prove.Log
	ended   chan struct{}
}

// devHome is a person's folder with the stack's directory in it.
type devHome struct {
	state string
	env   []string
}

func newDevHome(t testing.TB) devHome {
	t.Helper()
	h := devHome{state: t.TempDir()}
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); !leadsAway(name) || name == "HIKYAKU_PROVE" {
			h.env = append(h.env, pair)
		}
	}
	h.env = append(h.env, "XDG_STATE_HOME="+h.state)
	return h
}

func (h devHome) dir() string { return filepath.Join(h.state, "hikyaku", "dev") }

// start starts a stack and waits until it is ready. It ends with the test.
func (h devHome) start(t testing.TB, a ...string) *devRun {
	t.Helper()
	d := &devRun{command: program(context.Background(), append([]string{"dev", "--no-open", "--json"}, a...)...), notes: new(prove.Log), ended: make(chan struct{})}
	d.command.Env, d.command.Stderr = h.env, d.notes
	out, err := d.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.command.Process.Kill() })
	ready := make(chan error, 1)
	go func() {
		decoder := json.NewDecoder(out)
		ready <- decoder.Decode(&d.devStack)
		_, _ = io.Copy(io.Discard, out)
		_ = d.command.Wait() // its state says how it ended
		close(d.ended)
	}()
	select {
	case err := <-ready:
		if err != nil {
			t.Fatalf("it does not start: %v, %s", err, d.notes.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("it is not ready: %s", d.notes.String())
	}
	return d
}

// end sends a signal and returns the exit code.
func (d *devRun) end(t testing.TB, with os.Signal) int {
	t.Helper()
	if err := d.command.Process.Signal(with); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("it does not end: %s", d.notes.String())
	}
	return d.command.ProcessState.ExitCode()
}

// run runs another command of the same person's.
func (h devHome) run(t testing.TB, a ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	command := program(ctx, a...)
	command.Env = h.env
	text, _ := command.CombinedOutput()
	return string(text), command.ProcessState.ExitCode()
}

func (d *devRun) service(name string) serviceLine {
	for _, s := range d.Services {
		if s.Name == name {
			return s
		}
	}
	return serviceLine{}
}

// ask calls a sandbox of the stack as its owner, and returns the status and the answer.
func (d *devRun) ask(method, provider, path string, body any) (status int, answer []byte, err error) {
	s := d.service(provider)
	var raw io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		raw = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, s.URL+path, raw)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if provider == providers.SuperSaaS {
		c, err := providers.ParseConnection(s.Connection)
		if err != nil {
			return 0, nil, err
		}
		r.SetBasicAuth(c.Account, c.APIKey.Reveal())
	} else {
		token, err := providers.ParseToken(s.Token)
		if err != nil {
			return 0, nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token.Credential.Reveal())
	}
	return sendDev(r)
}

func sendDev(r *http.Request) (status int, answer []byte, err error) {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	got, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(got.Body)
	_ = got.Body.Close()
	return got.StatusCode, answer, err
}

// webhook posts what SuperSaaS posts of a changed user.
func (d *devRun) webhook(user int64) (status int, err error) {
	r, err := http.NewRequest(http.MethodPost, d.Webhook, strings.NewReader(fmt.Sprintf(`{"event":"change","id":%d}`, user)))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	status, _, err = sendDev(r)
	return status, err
}

// edit gives a user another name, without a webhook.
func (d *devRun) edit(user int64, name string) (status int, err error) {
	status, _, err = d.ask(http.MethodPut, providers.SuperSaaS, fmt.Sprintf("/api/users/%d.json", user), map[string]any{"user": map[string]string{"full_name": name}})
	return status, err
}

// users are the booking page's, by id, with their names.
func (d *devRun) users(t testing.TB) map[int64]string {
	t.Helper()
	_, raw, err := d.ask(http.MethodGet, providers.SuperSaaS, "/api/users.json?limit=500", nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		ID   int64  `json:"id"`
		Name string `json:"full_name"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err, string(raw))
	}
	names := map[int64]string{}
	for _, u := range list {
		names[u.ID] = u.Name
	}
	return names
}

// members are the app's that belong to users of the booking page, with their names.
func (d *devRun) members(t testing.TB) map[int64]string { return d.column(t, "column01") }

// column is one field of those members.
func (d *devRun) column(t testing.TB, name string) map[int64]string {
	t.Helper()
	status, raw, err := d.ask(http.MethodGet, providers.Yappli, "/api/ext/users?limit=500", nil)
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err, string(raw))
	}
	var list struct {
		Members []struct{ Member map[string]any }
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err, string(raw))
	}
	names := map[int64]string{}
	for _, m := range list.Members {
		id, err := strconv.ParseInt(fmt.Sprint(m.Member["unique_id"]), 10, 64)
		if err != nil {
			continue // one that the app had before
		}
		if _, twice := names[id]; twice {
			t.Errorf("the user %d has two members", id)
		}
		names[id] = fmt.Sprint(m.Member[name])
	}
	return names
}
