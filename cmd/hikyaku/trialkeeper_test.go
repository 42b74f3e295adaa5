package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// While somebody writes a mapping in the console, it is tried on people who were read a
// moment ago. The answers are those of the command, and nobody is asked.
func TestTrialKeeper_AnswersAsTheCommand(t *testing.T) {
	prove.Heavy(t)
	p := newPatient(t)
	k := new(trialKeeper)
	var listed struct{ Records []struct{ ID string } }
	raw, err := inProcess(t.Context(), nil, "users", "list", "supersaas", "--limit", "3", "--json")
	p.ok(err)
	p.ok(json.Unmarshal(raw, &listed))
	people := ""
	for _, r := range listed.Records {
		people += "," + r.ID
	}
	people = strings.TrimPrefix(people, ",")
	same := func(what, source string, args ...string) {
		t.Helper()
		args = append([]string{"mapping", "try", "-"}, append(args, "--json")...)
		want, _ := inProcess(t.Context(), []byte(source), args...)
		got, _ := k.runner(t.Context(), []byte(source), args...)
		if string(got) != string(want) || len(want) == 0 {
			t.Errorf("%s: the keeper answers\n%s\nand the command\n%s", what, got, want)
		}
	}
	sources := map[string]string{
		"the one that counts": "login_id: email\ncolumn01: full_name\n",
		"another":             "login_id: email\ncolumn01: email\ncolumn02: full_name\n",
		"one with a fault":    "login_id: email\ncolumn01: ful_name\n",
		"one of forms":        "login_id: email\ncolumn01: form.x\n",
		"one of nothing":      "",
	}
	for what, source := range sources {
		same(what, source, "--user", people, "--compare")
		same(what, source, "--count")
	}
	var asked atomic.Int64
	for _, name := range []string{"supersaas", "yappli"} {
		p.before[name].denied = func(*http.Request, string) bool { asked.Add(1); return false }
	}
	for range 5 {
		_, err = k.runner(t.Context(), []byte(sources["another"]), "mapping", "try", "-", "--user", people, "--compare", "--json")
		p.ok(err)
		_, err = k.runner(t.Context(), []byte(sources["another"]), "mapping", "try", "-", "--count", "--json")
		p.ok(err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("five trials asked the providers %d times", n)
	}
	raw, err = k.runner(t.Context(), []byte(sources["another"]), "mapping", "put", "-", "--yes", "--stack", localstack.Name, "--json")
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	for what, source := range sources {
		same("after it counts, "+what, source, "--user", people, "--compare")
		same("after it counts, "+what, source, "--count")
	}
}
