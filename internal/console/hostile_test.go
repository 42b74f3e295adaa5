package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"hikyaku/internal/console"
)

// What is copied reaches a shell as it was meant, and a terminal obeys none of it: a carriage
// return ends a line there, and an escape may end a paste.
func TestCopies_AreObeyedByNoTerminal(t *testing.T) {
	s, b := open(t, healthy)
	b.enter(s)
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	for _, word := range []string{
		"it's \\n $(x) `x` \"x\"", "a\rtouch x\r", "\x1b[201~\ntouch x\n", "\u202eabc", "\u009b1m", "'\r'\\'\r", "a\nb", "\U000e0041'",
	} {
		_, _, body := b.do(http.MethodPost, "/command/pause-relay", url.Values{"reason": {"x" + word + "x"}, "for": {"1h"}}.Encode(), nil)
		copied := copiedFrom(t, body)
		if strings.ContainsAny(copied, "\r\x1b\u202e\u009b") {
			t.Errorf("a terminal would obey %q", copied)
		}
		out, err := exec.CommandContext(t.Context(), shell, "-c", "export LC_ALL=C.UTF-8; hikyaku() { printf '%s' \"$4\"; }\n"+copied).Output()
		if err != nil || string(out) != "x"+word+"x" {
			t.Errorf("%q becomes %q (%v) by %q", "x"+word+"x", out, err, copied)
		}
		text := "a: b\n# " + word + "END\nEND\n"
		want := strings.ReplaceAll(text, "\r", "\n")
		_, _, body = b.do(http.MethodPost, "/command/mapping-put", url.Values{"mapping": {text}}.Encode(), nil)
		copied = copiedFrom(t, body)
		if strings.ContainsAny(copied, "\r\x1b\u202e\u009b") {
			t.Errorf("a terminal would obey %q", copied)
		}
		out, err = exec.CommandContext(t.Context(), shell, "-c", "export LC_ALL=C.UTF-8; hikyaku() { cat; }\n"+copied).Output()
		if err != nil || string(out) != want {
			t.Errorf("%q becomes %q (%v) by %q", want, out, err, copied)
		}
	}
}

// copiedFrom is the command of an answer.
func copiedFrom(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `data-copy="`)
	text, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		t.Fatalf("no command to copy in %s", body)
	}
	return strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&lt;", "<", "&gt;", ">", "&#43;", "+", "&#13;", "\r", "&amp;", "&").Replace(text)
}

// Every form is bounded, and keeps nothing that nobody can choose.
func TestForms_AreBounded(t *testing.T) {
	s, b := open(t, healthy)
	b.enter(s)
	for _, path := range []string{"/do/find-people", "/command/find-people", "/choose"} {
		status, headers, body := b.do(http.MethodPost, path, "language="+strings.Repeat("x", 2<<20), nil)
		if status < http.StatusBadRequest && headers.Get("Set-Cookie") != "" || len(body)+len(headers.Get("Set-Cookie")) > 1<<16 {
			t.Errorf("%s takes 2 MB: %d", path, status)
		}
	}
	for _, choice := range []string{"language=tlh", "scheme=pink", "language=" + strings.Repeat("x", 5000)} {
		if _, headers, _ := b.do(http.MethodPost, "/choose", choice, nil); headers.Get("Set-Cookie") != "" {
			t.Errorf("%.30s is kept", choice)
		}
	}
}

// On a deployed stack everything that changes something is noted with its reason, also what is
// no command.
func TestActions_AreNotedAlsoWithoutACommand(t *testing.T) {
	var notes []string
	s, b := open(t, healthy, func(o *console.Options) {
		o.Write = true
		o.Audit = func(_ context.Context, command []string, why string) (func(error) error, error) {
			if why == "" {
				return nil, errors.New("say why")
			}
			notes = append(notes, strings.Join(command, " ")+": "+why)
			return func(error) error { return nil }, nil
		}
	})
	b.enter(s)
	_, _, raw := b.do(http.MethodGet, "/routes.json", "", nil)
	var routes struct{ Actions []string }
	if err := json.Unmarshal([]byte(raw), &routes); err != nil {
		t.Fatal(err)
	}
	b.do(http.MethodPost, "/do/slow-stop", "key=export+yappli/users&why=too+dear", nil)
	if len(notes) != 1 || notes[0] != "slow-stop key=export yappli/users: too dear" {
		t.Errorf("of a stop is noted %q", notes)
	}
	notes = nil
	form := url.Values{"key": {"x"}, "provider": {"yappli"}, "dataset": {"yappli/users"}, "user": {"1"}, "pair": {"1 x"}, "event": {"user-changed"}, "for": {"1h"}}
	for _, action := range routes.Actions {
		b.do(http.MethodPost, "/do/"+action, form.Encode(), nil)
	}
	if len(notes) > 0 {
		t.Errorf("without a reason is begun %q", notes)
	}
}

// A description of a run opens nothing else of the bucket, and a name in it says nothing else
// to the browser.
func TestDownloads_StayWithTheirRun(t *testing.T) {
	printed, store := exportsOf(t, "complete", 3)
	for line, text := range printed {
		text = strings.ReplaceAll(text, `"shop/rejects/part-00000.jsonl"`, `"shop/yappli/secret"`)
		printed[line] = strings.ReplaceAll(text, runFolder+"part-00000.jsonl.gz", "shop/state/part-00000.jsonl.gz")
	}
	s, b := open(t, printed, withBucket(store))
	b.enter(s)
	for _, path := range []string{"part-00000.jsonl.gz", "rejects/secret"} {
		if status, _, body := b.do(http.MethodGet, "/download/yappli/users/20261122T003000Z/"+path, "", nil); status != http.StatusNotFound {
			t.Errorf("%s answered %d: %.80s", path, status, body)
		}
	}
}
