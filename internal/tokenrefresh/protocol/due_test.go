package protocol_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// looked is what a run without the lease decides at a time: "" if there is something
// to do, and why.
func (s situation) looked(at time.Time) (outcome protocol.Outcome, reason string) {
	act := s.walk(at, func(a protocol.Action) bool { return a.Do == protocol.ReadRotation || a.Do == protocol.Lease })
	if act.Do != protocol.Finish {
		return "", act.Run.Reason
	}
	return act.Run.Verdict.Outcome, act.Run.Verdict.Reason
}

// walk gives the first answer to every action, until stop or the end.
func (s situation) walk(at time.Time, stop func(protocol.Action) bool) protocol.Action {
	task := s.task
	task.Provider, task.Began = s.provider, at
	if task.Goal == "" {
		task.Goal = protocol.Keep
	}
	act := protocol.Start(task)
	for act.Do != protocol.Finish && !stop(act) {
		got := s.answers(act)[0].got
		act = protocol.Decide(protocol.Observation{Now: at, Left: protocol.NoEnd, Did: act, Got: got})
	}
	return act
}

// TestDecide_Boundaries: the instant at which each thing comes due, and the one before.
func TestDecide_Boundaries(t *testing.T) {
	t.Parallel()
	none := func(*protocol.Journal) {}
	failures := func(outcome protocol.Outcome, n int) func(*protocol.Journal) {
		return func(j *protocol.Journal) {
			j.Outcome, j.Failures, j.At, j.Reason, j.NeedsHuman = outcome, n, now, "because", "because"
		}
	}
	for _, c := range []struct {
		name     string
		provider string
		kind     providers.Kind
		life     time.Duration
		journal  func(*protocol.Journal)
		request  protocol.Request
		after    time.Duration // now
		before   string        // an instant earlier
		at       string
	}{
		{"ActiBookOne", providers.ActiBook, providers.ClientCredentials, 30 * time.Minute, none, protocol.Request{}, 19*time.Minute + 30*time.Second, "fresh", "its time has come"},
		{"ActiBookOne, unknown end", providers.ActiBook, providers.ClientCredentials, 0, none, protocol.Request{}, 19*time.Minute + 30*time.Second, "fresh", "its time has come"},
		{"ActiBookOne, short life", providers.ActiBook, providers.ClientCredentials, 12 * time.Minute, none, protocol.Request{}, 8 * time.Minute, "fresh", "its time has come"},
		{"a life of 45 minutes", providers.Yappli, providers.ClientCredentials, 45 * time.Minute, none, protocol.Request{}, 22*time.Minute + 30*time.Second - jitterOf45, "fresh", "its time has come"},
		{"Yappli", providers.Yappli, providers.ClientCredentials, day, none, protocol.Request{}, 12*hour - jitterOfDay, "fresh", "its time has come"},
		{"Yappli, unknown end", providers.Yappli, providers.ClientCredentials, 0, none, protocol.Request{}, 12*hour - jitterOfDay, "fresh", "its time has come"},
		{"SHOPLINE app", providers.SHOPLINE, providers.OneTimePair, 182 * day, probedLate, protocol.Request{}, 152 * day, "fresh", "its time has come"},
		{"SHOPLINE app, unknown end", providers.SHOPLINE, providers.OneTimePair, 0, probedLate, protocol.Request{}, 152 * day, "fresh", "its time has come"},
		{"code of 50 days", providers.AssistTencho, providers.OneTimeCode, 50 * day, func(j *protocol.Journal) { probedLate(j); j.WarnedFor, j.Warned = now.Add(50*day), 30 }, protocol.Request{}, 25 * day, "fresh", "its time has come"},
		{"code that was only probed", providers.AssistTencho, providers.OneTimeCode, 50 * day, func(j *protocol.Journal) {
			probedLate(j)
			j.Outcome, j.At, j.WarnedFor, j.Warned = protocol.Probed, now.Add(26*day), now.Add(50*day), 30
		}, protocol.Request{}, 26*day + time.Hour - 30*time.Second, "fresh", "its time has come"},
		{"probe", providers.SHOPLINE, providers.Static, 0, none, protocol.Request{}, time.Hour - 30*time.Second, "fresh", "to be tried"},
		{"probe of a pair", providers.SHOPLINE, providers.OneTimePair, 182 * day, none, protocol.Request{}, time.Hour - 30*time.Second, "fresh", "to be tried"},
		{"a life of 5 ns", providers.Yappli, providers.ClientCredentials, 5, none, protocol.Request{}, 2, "fresh", "its time has come"},
		{"probe after another run", providers.SHOPLINE, providers.Static, 0, func(j *protocol.Journal) { j.At = now.Add(time.Hour) }, protocol.Request{}, 2*time.Hour - 30*time.Second, "fresh", "to be tried"},
		{"renewables are not probed", providers.Yappli, providers.ClientCredentials, day, none, protocol.Request{}, 2 * hour, "fresh", "fresh"},
		{"warning", providers.SHOPLINE, providers.Static, 31 * day, probedAtOneDay, protocol.Request{}, day, "fresh", "it ends soon"},
		{"failed", providers.Yappli, providers.ClientCredentials, day, failures(protocol.Failed, 5), protocol.Request{}, 50 * time.Second, "cooling failed a moment ago", "the last run failed"},
		{"failed, one-time", providers.SHOPLINE, providers.OneTimePair, 182 * day, failures(protocol.Failed, 1), protocol.Request{}, 50 * time.Second, "cooling failed a moment ago", "the last run failed"},
		{"failed thrice, one-time", providers.SHOPLINE, providers.OneTimePair, 182 * day, failures(protocol.Failed, 3), protocol.Request{}, 200 * time.Second, "cooling failed a moment ago", "the last run failed"},
		{"failed often, one-time", providers.SHOPLINE, providers.OneTimePair, 182 * day, failures(protocol.Failed, 70), protocol.Request{}, 30 * time.Minute, "cooling failed a moment ago", "the last run failed"},
		{"denied, not to be tried yet", providers.SHOPLINE, providers.Static, 0, failures(protocol.Denied, 2), protocol.Request{}, time.Hour - 30*time.Second, "denied because", "to be tried"},
		{"denied and rejected", providers.SHOPLINE, providers.Static, 0, failures(protocol.Denied, 2), protocol.Request{Provider: providers.SHOPLINE, RejectedVersion: tokenID}, 100 * time.Second, "denied because", "the provider rejected it"},
		{"refused and rejected", providers.SHOPLINE, providers.Static, 0, failures(protocol.Refused, 2), protocol.Request{Provider: providers.SHOPLINE, RejectedVersion: tokenID}, 100 * hour, "refused because", "refused because"},
		{"refused and forced", providers.SHOPLINE, providers.Static, 0, failures(protocol.Refused, 2), protocol.Request{Provider: providers.SHOPLINE, Force: true}, time.Second, "asked for by a person", "asked for by a person"},
		{"refused, other connection", providers.SHOPLINE, providers.Static, 0, func(j *protocol.Journal) {
			failures(protocol.Refused, 2)(j)
			j.Connection, j.Tried = "connection-0", "connection-0/"+tokenID
		}, protocol.Request{}, time.Second, "the connection changed", "the connection changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := situation{provider: c.provider, kind: c.kind, life: c.life, journal: c.journal, task: protocol.Task{Request: c.request}}
			if c.kind == providers.Static && c.life > 0 {
				s.connection = func(x *providers.Connection) { x.ExpiresAt = now.Add(c.life) }
			}
			for at, want := range map[time.Time]string{now.Add(c.after - 1): c.before, now.Add(c.after): c.at} {
				outcome, reason := s.looked(at)
				if got := strings.TrimSpace(fmt.Sprint(outcome, " ", reason)); got != want {
					t.Errorf("%v after it was obtained: %q, want %q", at.Sub(now), got, want)
				}
			}
		})
	}
}

// The jitter of a token that was obtained now: a part of a tenth of its life that its
// beginning alone decides.
const (
	jitterOfDay = 1078321370256 * time.Nanosecond
	jitterOf45  = 268321370256 * time.Nanosecond
)

// probedLate keeps probes out of the way of what comes due by age.
func probedLate(j *protocol.Journal) { j.Probed, j.At = now.Add(1000*day), now.Add(1000*day) }

func probedAtOneDay(j *protocol.Journal) { j.Probed = now.Add(day) }

// TestDecide_Warnings: each day on which a person is told that a credential ends, once.
func TestDecide_Warnings(t *testing.T) {
	t.Parallel()
	warned := 0
	end := now.Add(100 * day)
	var days []string
	for at := end.Add(-40 * day); at.Before(end.Add(2 * day)); at = at.Add(12 * hour) {
		s := situation{
			provider: providers.SHOPLINE, kind: providers.Static, life: 100 * day,
			connection: func(c *providers.Connection) { c.ExpiresAt = end },
			journal: func(j *protocol.Journal) {
				j.Probed = at
				if warned > 0 {
					j.Warned, j.WarnedFor = warned, end
				}
			},
		}
		if _, reason := s.looked(at); reason != "it ends soon" {
			continue
		}
		act := s.walk(at, func(a protocol.Action) bool { return a.Do == protocol.Release })
		warned = act.Run.Journal.Warned
		days = append(days, fmt.Sprintf("%d at %v", warned, end.Sub(at).Hours()/24))
		if !act.Run.Journal.WarnedFor.Equal(end) {
			t.Errorf("warned of %v", act.Run.Journal.WarnedFor)
		}
	}
	if got, want := strings.Join(days, ", "), "30 at 30, 14 at 14, 7 at 7, 3 at 3, 1 at 1"; got != want {
		t.Errorf("warned %s, want %s", got, want)
	}
}

// TestDecide_Memory: how a tick goes by what its process saw before.
func TestDecide_Memory(t *testing.T) {
	t.Parallel()
	s := situation{provider: providers.Yappli, kind: providers.ClientCredentials, life: day, age: hour}
	well := s.walk(now, func(protocol.Action) bool { return false }).Run
	seen, known := well.Remember()
	if !known || well.Verdict.Outcome != protocol.Fresh {
		t.Fatalf("%+v is not remembered", well.Verdict)
	}
	untold, human := seen, seen
	untold.Snapshot.Journal.NeedsHuman = "something"
	human.Snapshot.Journal.Outcome, human.Snapshot.Journal.Reason = protocol.Refused, "x"
	const rest = 4*time.Minute + 30*time.Second
	for _, c := range []struct {
		name   string
		memory protocol.Memory
		change func(*protocol.Task)
		after  time.Duration
		want   string
	}{
		{"a moment later", seen, nil, rest - 1, `finish resting ""`},
		{"later", seen, nil, rest, "read connection current"},
		{"when it is due", seen, nil, 12 * hour, "read rotation token"},
		{"off", protocol.Memory{At: now, Off: true}, nil, rest - 1, `finish resting ""`},
		{"off, later", protocol.Memory{At: now, Off: true}, nil, rest, "read connection current"},
		{"a person was not told", untold, nil, time.Minute, "read connection current"},
		{"a person is needed and was not told", human, nil, time.Minute, "read connection current"},
		{"a request", seen, func(task *protocol.Task) { task.Request.Provider = providers.Yappli }, time.Minute, "read connection current"},
		{"a rotation", seen, func(task *protocol.Task) { task.Goal = protocol.TestPending }, time.Minute, "read connection current"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			task := protocol.Task{Provider: providers.Yappli, Goal: protocol.Keep, Began: now.Add(c.after), Memory: &c.memory}
			if c.change != nil {
				c.change(&task)
			}
			act := protocol.Decide(protocol.Observation{Now: now.Add(c.after), Left: protocol.NoEnd, Did: protocol.Start(task)})
			if got := show(act); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if act.Do == protocol.Read && act.Run.TokenVersion != "" {
				t.Error("what was remembered is kept although everything is read")
			}
		})
	}
}

// TestRun_Remember: only a run after which all is well is remembered.
func TestRun_Remember(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[protocol.Outcome]bool{
		protocol.Fresh: true, protocol.Off: true, protocol.Refreshed: true, protocol.Probed: true, protocol.Adopted: true, protocol.Promoted: true,
		protocol.Failed: false, protocol.Waiting: false, protocol.Cooling: false, protocol.Rotating: false, protocol.Denied: false,
	} {
		run := protocol.Run{Task: protocol.Task{Began: now}, Verdict: protocol.Verdict{Outcome: outcome}}
		m, well := run.Remember()
		if well != want || m.Off != (outcome == protocol.Off) || !m.At.Equal(now) {
			t.Errorf("%s: %t, %+v", outcome, well, m)
		}
		run.Verdict.Err = errOutage
		if _, well := run.Remember(); well {
			t.Errorf("%s with an error is remembered", outcome)
		}
	}
}
