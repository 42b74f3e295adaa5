package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/console"
	"hikyaku/internal/dev"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// newDevStack starts a stack in this process, whose functions are processes of the command.
func newDevStack(t *testing.T, o dev.Options) *dev.Stack {
	t.Helper()
	program, err := exec.LookPath("hikyaku")
	if err != nil {
		t.Fatal(err)
	}
	o.Program, o.Notes = program, func(sentence string) { t.Log(sentence) }
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Sandbox.Rate == 0 {
		o.Sandbox = sandbox.Options{Seed: 1, Records: 3, Rate: demoRate}
	}
	s, err := dev.Start(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// firstWork waits until a new stack has done its first work.
func firstWork(t *testing.T, s *dev.Stack) (user string) {
	t.Helper()
	ids := s.Local.SuperSaaS().UserIDs()
	handled := console.Filter{Kinds: []console.Kind{console.Handled}}
	eventually(t, "every user is handled once", func() bool {
		state := s.State()
		return len(s.Events(handled)) >= len(ids) && state.Queue == console.Depth{}
	})
	return strconv.FormatInt(ids[0], 10)
}

func kindsAlong(w console.Way) string {
	var kinds []string
	for _, e := range w.Steps {
		if e.Kind != console.Call {
			kinds = append(kinds, string(e.Kind))
		}
	}
	return strings.Join(kinds, " ")
}

// A change by hand is followed to its end, and what waits can be delayed, doubled and
// dropped, and sent again.
func TestDevStack_FollowsAChange(t *testing.T) {
	t.Parallel()
	s := newDevStack(t, dev.Options{})
	user := firstWork(t, s)
	saved, err := s.Editor(providers.SuperSaaS).Save("users", user, map[string]string{"full_name": "山田 はなこ"})
	if err != nil || saved != user {
		t.Fatal(saved, err)
	}
	webhook := console.Filter{Kinds: []console.Kind{console.Webhook}, Limit: 1}
	var first console.Way
	eventually(t, "the way of the change ends", func() bool {
		hooks := s.Events(webhook)
		if len(hooks) == 0 {
			return false
		}
		first, _ = s.Way(hooks[0].Way)
		return first.Ended && strings.HasSuffix(kindsAlong(first), "handled")
	})
	if kindsAlong(first) != "webhook queued received handled" || first.User != user || first.Steps[0].Status != 200 {
		t.Errorf("the way is %s: %+v", kindsAlong(first), first)
	}
	var calls []string
	for _, e := range first.Steps {
		if e.Kind == console.Call {
			calls = append(calls, e.Provider+" "+e.Message)
		}
	}
	if last := strings.Join(calls, ", "); !strings.Contains(last, "supersaas GET /api/users/") || !strings.Contains(last, "yappli PUT /api/ext/users/{id}") {
		t.Errorf("the calls are %s", last)
	}
	if edited := s.Events(console.Filter{Kinds: []console.Kind{console.Edited}}); len(edited) != 1 || edited[0].User != user {
		t.Errorf("what a person edited is %+v", edited)
	}

	if err := s.SetTrouble(providers.Yappli, "outage", true, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Editor(providers.SuperSaaS).Save("users", user, map[string]string{"full_name": "佐藤 はなこ"}); err != nil {
		t.Fatal(err)
	}
	id := first.ID
	eventually(t, "the next webhook waits", func() bool {
		if hooks := s.Events(webhook); hooks[0].Way != first.ID {
			id = hooks[0].Way
		}
		w, _ := s.Way(id)
		return id != first.ID && w.Waiting && strings.Contains(kindsAlong(w), "handled")
	})
	if err := s.Delay(id, time.Hour); err != nil {
		t.Error(err)
	}
	eventually(t, "it waits longer", func() bool { w, _ := s.Way(id); return w.Next.Sub(s.State().Now) > 50*time.Minute })
	if err := s.Duplicate(id); err != nil {
		t.Error(err)
	}
	eventually(t, "there are two", func() bool { q := s.State().Queue; return q.Visible+q.InFlight+q.Delayed == 2 })
	if err := s.Drop(id); err != nil {
		t.Error(err)
	}
	eventually(t, "the first is gone", func() bool { w, _ := s.Way(id); return !w.Waiting })
	if err := s.Drop(id); err == nil {
		t.Error("it was dropped twice")
	}
	if err := s.SetTrouble(providers.Yappli, "outage", false, 0); err != nil {
		t.Error(err)
	}
	again, err := s.Repeat(t.Context(), first.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w, ok := s.Way(again); !ok || string(w.Webhook) != string(first.Webhook) || again == first.ID {
		t.Errorf("the repeated webhook: %v %+v", ok, w)
	}
	edited, err := s.Repeat(t.Context(), first.ID, fmt.Appendf(nil, `{"event":"change","id":%s,"note":"edited"}`, user))
	if w, ok := s.Way(edited); err != nil || !ok || !strings.Contains(string(w.Webhook), "edited") {
		t.Errorf("the edited webhook: %v %v", err, ok)
	}
	if _, err := s.Repeat(t.Context(), "nothing", nil); err == nil {
		t.Error("it repeated what it does not know")
	}
}

// While no function runs, the schedules fire as much oftener as time runs faster.
func TestDevStack_TimeRunsFaster(t *testing.T) {
	t.Parallel()
	s := newDevStack(t, dev.Options{})
	firstWork(t, s)
	invoked := func() int { return s.Local.AWS.Calls()["lambda.Invoke"] }
	before, from := invoked(), s.State().Now
	if err := s.SetSpeed(600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ten minutes pass", func() bool { return s.State().Now.Sub(from) > 10*time.Minute })
	if err := s.SetSpeed(1); err != nil {
		t.Fatal(err)
	}
	minutes := int(s.State().Now.Sub(from) / time.Minute)
	eventually(t, "a tick each minute", func() bool { return invoked()-before >= minutes-1 })
	if most := minutes + minutes/5 + minutes/10 + 4; invoked()-before > most { // pauses are watched each 5 minutes, and a list may be wanted each 10
		t.Errorf("%d invocations in %d minutes, and at most %d are due", invoked()-before, minutes, most)
	}
	if err := s.SetSpeed(0.1); err == nil {
		t.Error("it took a speed below 1")
	}
	state := s.State()
	if state.Speed != 1 || len(state.Functions) != len(localstack.Functions()) || state.Functions[0].Starts == 0 {
		t.Errorf("the state is %+v", state)
	}
}

// A function that is killed half-way is begun again, and counted; what it did is done in
// the end.
func TestDevStack_KillsAFunction(t *testing.T) {
	t.Parallel()
	s := newDevStack(t, dev.Options{})
	user := firstWork(t, s)
	if err := s.SetTrouble("", "killed", true, 1); err != nil {
		t.Fatal(err)
	}
	name, n := "", 0
	kills := func() (n int) {
		for _, f := range s.State().Functions {
			n += f.Kills
		}
		return n
	}
	eventually(t, "a function is killed", func() bool {
		n++ // a victim may survive all its calls, so that there is another one
		name = fmt.Sprintf("鈴木 はなこ %d", n)
		if _, err := s.Editor(providers.SuperSaaS).Save("users", user, map[string]string{"full_name": name}); err != nil {
			t.Fatal(err)
		}
		return kills() > 0
	})
	met := 0
	for _, trouble := range s.Troubles() {
		if trouble.Provider == "" && trouble.ID == "killed" {
			met = trouble.Met
		}
	}
	if err := s.SetTrouble("", "killed", false, 0); err != nil || met == 0 {
		t.Error(met, err)
	}
	if err := s.SetSpeed(600); err != nil { // what it held is free again after a minute or two
		t.Fatal(err)
	}
	eventually(t, "the change arrives all the same", func() bool {
		for _, m := range s.Local.Yappli().Members() {
			if m.Values["column01"] == name {
				return s.State().Queue == console.Depth{}
			}
		}
		return false
	})
	killed := s.Events(console.Filter{Kinds: []console.Kind{console.Process}, Bad: true})
	if len(killed) == 0 || killed[0].Outcome != "killed" {
		t.Errorf("what happened to processes is %+v", killed)
	}
	for _, wrong := range []error{s.Kill("nothing"), s.SetTrouble("", "nothing", true, 1), s.SetTrouble("", "killed", true, 2), s.SetTrouble("nobody", "outage", true, 1)} {
		if wrong == nil {
			t.Error("it took what it does not have")
		}
	}
	if err := s.Kill(localstack.Relay); err != nil {
		t.Error(err)
	}
}
