package refreshfn_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/s3store"
	"hikyaku/internal/pause"
)

// A look at the pauses measures how many parts are paused, and how many too long. It
// reads one object, and touches no credential.
func TestWatch_MeasuresThePauses(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	vars := s.Vars(localstack.TokenRefresh)
	vars["HIKYAKU_STACK"] = "shop"
	function, err := refreshfn.New(t.Context(), lambdafn.Environ{Vars: vars, Out: s, Now: func() time.Time { return now }})
	s.must(err)
	s.function = function
	objects := s.objects()
	begin := func(part string, length time.Duration) {
		_, err := pause.Begin(t.Context(), objects, localstack.Prefix, map[string][]string{part: nil},
			pause.Pause{By: "arn:aws:iam::000000000000:user/operator", Reason: "Yappli moves", Since: now, Until: now.Add(length)})
		s.must(err)
	}
	for _, step := range []struct {
		name, answer string
		change       func()
		measured     string
	}{
		{"nothing is paused", `{"paused":[],"overdue":[]}`, func() {}, ""},
		{"the relay is", `{"paused":["relay"],"overdue":[]}`, func() { begin(pause.Relay, time.Hour) }, "Paused=1"},
		{"and tokens", `{"paused":["relay","tokens"],"overdue":[]}`, func() { begin(pause.Tokens, 3*time.Hour) }, "TokensPaused=1 Paused=2"},
		{"the relay too long", `{"paused":["relay","tokens"],"overdue":["relay"]}`, func() { now = now.Add(2 * time.Hour) }, "TokensPaused=1 Paused=2 PauseOverdue=1"},
		{"both too long", `{"paused":["relay","tokens"],"overdue":["relay","tokens"]}`, func() { now = now.Add(2 * time.Hour) }, "Paused=2 PauseOverdue=2"},
		{"resumed", `{"paused":[],"overdue":[]}`, func() {
			seen, err := pause.Read(t.Context(), objects, localstack.Prefix)
			s.must(err)
			_, err = pause.End(t.Context(), objects, localstack.Prefix, seen, pause.Parts())
			s.must(err)
		}, ""},
	} {
		step.change()
		logged, calls := len(s.logged()), s.AWS.Calls()
		answer, err := s.ask(localstack.Watch, `{"action":"watch_pauses"}`)
		if err != nil || answer != step.answer {
			t.Errorf("%s: %s, %v, want %s", step.name, answer, err, step.answer)
		}
		if got := measures(t, s.logged()[logged:]); got != step.measured {
			t.Errorf("%s: measured %q, want %q", step.name, got, step.measured)
		}
		for operation, n := range s.AWS.Calls() {
			if want := calls[operation]; n != want && (operation != "s3.GetObject" || n != want+1) {
				t.Errorf("%s: %s was called %d times", step.name, operation, n-want)
			}
		}
	}
	if !strings.Contains(s.logged(), `"reason":"Yappli moves"`) {
		t.Error("the log does not say why")
	}
}

// Whether a stack is paused must not be guessed.
func TestWatch_FailsWhereNothingCanBeRead(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	_, err := s.objects().Put(t.Context(), objectstore.Object{Key: localstack.Prefix + "/state/pause", Body: strings.NewReader("yes"), Size: 3})
	s.must(err)
	if answer, err := s.ask(localstack.Watch, `{"action":"watch_pauses"}`); err == nil || !strings.Contains(err.Error(), "hikyaku/state/pause: not a document of hikyaku's") {
		t.Errorf("%s, %v", answer, err)
	}
}

func (s *stack) objects() objectstore.Store {
	s.t.Helper()
	e := lambdafn.Environ{Vars: s.Vars(localstack.TokenRefresh)}
	settings, err := lambdafn.Load[refreshfn.Settings](e)
	s.must(err)
	return s3store.New(lambdafn.Open(e, settings.Common).AWS, awslocal.Bucket)
}

// measures are the metrics of log lines, each of the stack alone.
func measures(t *testing.T, lines string) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(lines) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Paused", "PauseOverdue", "TokensPaused"} {
			if value, ok := m[name]; ok {
				all = append(all, fmt.Sprintf("%s=%v", name, value))
				if sets := fmt.Sprint(m["_aws"]); !strings.Contains(sets, "Dimensions:[[stack]]") || m["stack"] != "shop" {
					t.Errorf("%s is measured by %s", name, sets)
				}
			}
		}
	}
	return strings.Join(all, " ")
}
