package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
)

// A connected stack prints one line when it is ready; by that line alone every
// function runs on it, and other people's clients find its services.
func TestConnectedStack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dump := filepath.Join(dir, "dump")
	stack := program(t.Context(), "sandbox", "--connected", "--json", "--records", "4", "--rate", "-1", "--dump", dump)
	var notes bytes.Buffer
	stack.Stderr = &notes
	out, err := stack.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stack.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, &notes)
	}
	var ready struct {
		Services []serviceLine                `json:"services"`
		Webhook  string                       `json:"webhook"`
		EnvVars  map[string]map[string]string `json:"env_vars"`
	}
	if err := json.Unmarshal(line, &ready); err != nil || len(ready.Services) != 1+len(providers.Names()) || ready.Services[0].Name != "aws" || len(ready.EnvVars) != len(localstack.Functions()) {
		t.Fatalf("%v: %s", err, line)
	}
	for _, service := range ready.Services[1:] {
		connection, err := providers.ParseConnection(service.Connection)
		token, tokenErr := providers.ParseToken(service.Token)
		if err != nil || tokenErr != nil || connection.Provider != service.Name || token.Provider != service.Name {
			t.Errorf("%s: %v %v", service.Name, err, tokenErr)
		}
		if status, body := visit(t, http.MethodGet, service.URL+"/_sandbox/records"); status != 200 || !json.Valid([]byte(body)) {
			t.Errorf("%s: records: %d %s", service.Name, status, body)
		}
	}
	file := filepath.Join(dir, "stack.json")
	if err := os.WriteFile(file, line, 0o600); err != nil {
		t.Fatal(err)
	}
	invoked := program(t.Context(), "invoke", localstack.TokenRefresh, "--event", "../../events/tokenrefresh/schedule.json", "--env-vars", file)
	answer, err := invoked.Output()
	if err != nil || strings.Count(string(answer), `"outcome":"refreshed"`) != len(providers.Names()) {
		t.Errorf("%v: %s", err, answer)
	}
	hook := strings.TrimSuffix(ready.Webhook, "/") + "/wrong-secret"
	if status, _ := visit(t, http.MethodPost, hook); status == 0 || status == http.StatusOK {
		t.Errorf("a webhook with a wrong secret: %d", status)
	}
	if err := stack.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if rest, _ := lines.ReadString('\n'); rest != "" {
		t.Errorf("a second line: %s", rest)
	}
	if err := stack.Wait(); err != nil || notes.Len() != 0 {
		t.Errorf("%v: %s", err, &notes)
	}
	for _, name := range providers.Names() {
		if info, err := os.Stat(filepath.Join(dump, name+".json")); err != nil || info.Size() == 0 {
			t.Errorf("%s was not dumped: %v", name, err)
		}
	}
}
