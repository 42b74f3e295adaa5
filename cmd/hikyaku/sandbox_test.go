package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
)

// A connected stack prints one line when it is ready; by that line alone every
// function runs on it, and other people's clients find its services.
func TestConnectedStack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dump := filepath.Join(dir, "dump")
	stack := program(t.Context(), "sandbox", "--connected", "--json", "--records", "4", "--rate", "-1", "--idle", "--dump", dump)
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
	invokeConnected(t, ready.Services[0].URL)
	hook := ready.Webhook[:strings.LastIndex(ready.Webhook, "/")] + "/wrong-secret"
	if status, _ := visit(t, http.MethodPost, hook); status != http.StatusUnauthorized {
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

// invokeConnected finds and invokes the functions as any client of Lambda does.
func invokeConnected(t *testing.T, url string) {
	t.Helper()
	client := awslambda.NewFromConfig(aws.Config{
		Region: awslocal.Region, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	listed, err := client.ListFunctions(t.Context(), &awslambda.ListFunctionsInput{})
	if err != nil || len(listed.Functions) != len(localstack.Functions()) {
		t.Fatalf("%v: %d functions", err, len(listed.Functions))
	}
	for _, name := range []string{localstack.TokenRefresh, localstack.Reconcile} { // the second needs the tokens of the first
		payload, err := os.ReadFile(filepath.Join("../../events", name, "schedule.json"))
		if err != nil {
			t.Fatal(err)
		}
		in := awslambda.InvokeInput{FunctionName: &name, Payload: payload, LogType: "Tail"}
		if name == localstack.TokenRefresh {
			in.Qualifier = aws.String(localstack.Schedule)
		}
		out, err := client.Invoke(t.Context(), &in)
		if err != nil || out.FunctionError != nil {
			t.Fatalf("%s: %v: %s", name, err, out.Payload)
		}
		logs, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
		if err != nil || !strings.Contains(string(logs), `"level":"INFO"`) || strings.Contains(string(out.Payload), `"status":"off"`) {
			t.Errorf("%s: it answers %s, and its log is %q, %v", name, out.Payload, logs, err)
		}
	}
}

// The functions of a stack that other machines reach by a name of their own
// run here all the same, where that name means nothing.
func TestConnectedStackUnderAnotherName(t *testing.T) {
	t.Parallel()
	running := program(t.Context(), "sandbox", "--connected", "--json", "--records", "4", "--rate", "-1", "--idle", "--public", "stack.example")
	out, err := running.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Wait() }) // t.Context has ended it
	var ready struct {
		Services []serviceLine `json:"services"`
	}
	if err := json.NewDecoder(out).Decode(&ready); err != nil || !strings.HasPrefix(ready.Services[0].URL, "http://stack.example:") {
		t.Fatalf("%v: %+v", err, ready)
	}
	invokeConnected(t, strings.Replace(ready.Services[0].URL, "stack.example", "127.0.0.1", 1))
}

// Another person's client can do with a sandbox what the documents describe,
// although it has neither the app nor an address that the internet reaches.
func TestSandboxForForeignClients(t *testing.T) {
	t.Parallel()
	for flag, status := range map[string]int{"--json": http.StatusBadRequest, "--allow-local-hooks": http.StatusOK} {
		services := startSandboxes(t, "sandbox", "yappli", "supersaas", "--json", "--records", "2", flag)
		users, bookings := services[0], services[1]
		if users.Handover == nil || bookings.Handover != nil {
			t.Fatalf("hand-over tokens: %v, %v", users.Handover, bookings.Handover)
		}
		token, err := providers.ParseToken(users.Token)
		if err != nil {
			t.Fatal(err)
		}
		check := users.URL + "/api/ext/check/" + users.Handover.Token + "?id=" + users.Handover.ID
		if got, body := bearing(t, http.MethodGet, check, token); got != http.StatusOK || !strings.Contains(body, `"status":true`) {
			t.Errorf("the hand-over token: %d %s", got, body)
		}
		if token, err = providers.ParseToken(bookings.Token); err != nil {
			t.Fatal(err)
		}
		query := url.Values{"event": {"M"}, "parent_id": {token.Account}, "target_url": {"http://127.0.0.1:1/hook"}, "api_key": {token.Credential.Reveal()}, "account": {token.Account}}
		if got, body := visit(t, http.MethodPost, bookings.URL+"/api/hooks?"+query.Encode()); got != status {
			t.Errorf("%s: a local webhook: %d %s", flag, got, body)
		}
	}
}

// The functions of a connected stack run: what somebody changes on the booking page, and
// what a webhook tells, arrives in the app. With --idle nothing does.
func TestConnectedStackRelaysWebhooks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags   []string
		arrives bool
	}{
		"running":            {nil, true},
		"under another name": {[]string{"--public", "stack.example"}, true},
		"idle":               {[]string{"--idle"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ready, end := startConnected(t, c.flags...)
			page, app := service(t, ready, providers.SuperSaaS), service(t, ready, providers.Yappli)
			_, list := visit(t, http.MethodGet, page+"/_sandbox/records")
			first := regexp.MustCompile(`(?s)"id": (\d+).*?"full_name": "([^"]+)"`).FindStringSubmatch(list)
			if len(first) == 0 {
				t.Fatalf("no user in %s", list)
			}
			// The first comparison brings everybody; what comes after it is a webhook's.
			if got := arrives(t, app, first[2], c.arrives); got != c.arrives {
				t.Fatalf("the first comparison brought the booking page's users: %t", got)
			}
			user := page + "/api/users/" + first[1] + ".json"
			write(t, http.MethodPut, user+"?webhook=true", &ready, `{"user":{"full_name":"見本 電子"}}`)
			if got := arrives(t, app, "見本 電子", c.arrives); got != c.arrives {
				t.Errorf("a change on the booking page arrived: %t", got)
			}
			write(t, http.MethodPut, user, &ready, `{"user":{"full_name":"試験 通子"}}`)
			write(t, http.MethodPost, strings.Replace(ready.Webhook, "stack.example", "127.0.0.1", 1), nil, `{"id":`+first[1]+`,"name":"x@mail.example","event":"change"}`)
			if got := arrives(t, app, "試験 通子", c.arrives); got != c.arrives {
				t.Errorf("what a webhook told arrived: %t", got)
			}
			end()
		})
	}
}

// startConnected runs a connected stack, and returns what it printed and what ends it.
func startConnected(t *testing.T, flags ...string) (ready connectedStack, end func()) {
	t.Helper()
	running := program(t.Context(), append([]string{"sandbox", "--connected", "--json", "--records", "3", "--rate", "-1"}, flags...)...)
	var notes bytes.Buffer
	running.Stderr = &notes
	out, err := running.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	return ready, func() {
		if err := running.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := running.Wait(); err != nil || notes.Len() != 0 {
			t.Errorf("%v: %s", err, &notes)
		}
	}
}

// arrives waits until the app's records hold a text; not for long if they should not.
func arrives(t *testing.T, app, text string, expected bool) bool {
	t.Helper()
	patience := 2 * time.Second
	if expected {
		patience = 30 * time.Second
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, records := visit(t, http.MethodGet, app+"/_sandbox/records"); strings.Contains(records, text) {
			return true
		}
	}
	return false
}

// service is the address of a connected stack's service as this machine reaches it.
func service(t *testing.T, s connectedStack, name string) string {
	t.Helper()
	for _, line := range s.Services {
		if line.Name == name {
			return strings.Replace(line.URL, "stack.example", "127.0.0.1", 1)
		}
	}
	t.Fatalf("no %s", name)
	return ""
}

// write sends a document; to the booking page of a stack with its account's key.
func write(t *testing.T, method, address string, s *connectedStack, document string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if s != nil {
		i := slices.IndexFunc(s.Services, func(l serviceLine) bool { return l.Name == providers.SuperSaaS })
		token, err := providers.ParseToken(s.Services[i].Token)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(token.Account, token.Credential.Reveal())
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", method, address, answer.StatusCode, body)
	}
}

func TestPrintServices_ShowsTheHandOverToken(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	line := serviceLine{Name: "yappli", URL: "http://127.0.0.1:1", Handover: &localstack.Handover{Token: "HO-1", ID: "1001"}}
	if err := printServices(&out, []serviceLine{line, {Name: "aws", URL: "http://127.0.0.1:2"}}, false); err != nil ||
		!strings.Contains(out.String(), "http://127.0.0.1:1  (hand-over token HO-1 of user 1001)\n") || strings.Count(out.String(), "hand-over") != 1 {
		t.Errorf("%v: %s", err, &out)
	}
}

// startSandboxes runs the program until the test ends, and returns what its
// line of JSON says.
func startSandboxes(t *testing.T, args ...string) []serviceLine {
	t.Helper()
	running := program(t.Context(), args...)
	out, err := running.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Wait() }) // t.Context has ended it
	var ready struct {
		Services []serviceLine `json:"services"`
	}
	if err := json.NewDecoder(out).Decode(&ready); err != nil || len(ready.Services) != 2 {
		t.Fatalf("%v: %+v", err, ready)
	}
	return ready.Services
}

// bearing is visit with a token in the header.
func bearing(t *testing.T, method, address string, token providers.Token) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Credential.Reveal())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}
