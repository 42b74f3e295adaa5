package protocol_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

func TestParseJournal(t *testing.T) {
	t.Parallel()
	if j, err := protocol.ParseJournal(nil); err != nil || !j.Split || j.Outcome != "" {
		t.Errorf("of nothing: %+v, %v", j, err)
	}
	if _, err := protocol.ParseJournal(json.RawMessage(`["alien"]`)); err == nil {
		t.Error("another's journal is read")
	}
	in := situation{kind: providers.OneTimePair, age: hour}.left()
	out, err := protocol.ParseJournal(in.Document())
	if err != nil || out.Outcome != in.Outcome || !out.Renews || !out.Probed.Equal(in.Probed) {
		t.Errorf("%+v, %v; want %+v", out, err, in)
	}
}

// TestParseJournal_OfAnEarlierVersion: it counted what functions had written in the
// schedule's list too.
func TestParseJournal_OfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return now.Add(time.Duration(minute) * time.Minute) }
	old := protocol.Written{Writes: []time.Time{at(0), at(1), at(2), at(3)}, Asked: []time.Time{at(0), at(2), at(9)}}
	j, err := protocol.ParseJournal(protocol.Journal{Written: old}.Document())
	if err != nil || !slices.Equal(j.Writes, []time.Time{at(1), at(3)}) || len(j.Asked) != 3 {
		t.Errorf("%+v, %v", j.Written, err)
	}
	again, err := protocol.ParseJournal(j.Document())
	if err != nil || len(again.Writes) != 2 {
		t.Errorf("taken out twice: %+v, %v", again.Written, err)
	}
}

// TestDecide_Budgets: the last version that each may have written, and the first that
// they may not; what is a day old does not count.
func TestDecide_Budgets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		kind    providers.Kind
		request protocol.Request
		list    func(*protocol.Journal) *[]time.Time
		may     int
	}{
		{"schedule", providers.ClientCredentials, protocol.Request{}, func(j *protocol.Journal) *[]time.Time { return &j.Writes }, 79},
		{"schedule, one-time", providers.OneTimePair, protocol.Request{}, func(j *protocol.Journal) *[]time.Time { return &j.Writes }, 77},
		{"functions", providers.ClientCredentials, protocol.Request{RejectedVersion: tokenID}, func(j *protocol.Journal) *[]time.Time { return &j.Asked }, 11},
		{"people", providers.ClientCredentials, protocol.Request{Force: true}, func(j *protocol.Journal) *[]time.Time { return &j.Forced }, 5},
		{"people, one-time", providers.OneTimePair, protocol.Request{Force: true}, func(j *protocol.Journal) *[]time.Time { return &j.Forced }, 3},
	} {
		for more, old := range map[int]time.Duration{0: hour, 1: hour, 20: day} {
			provider, age := providers.Yappli, 13*hour
			if c.kind == providers.OneTimePair {
				provider, age = providers.SHOPLINE, 153*day
			}
			life := map[providers.Kind]time.Duration{providers.ClientCredentials: day, providers.OneTimePair: 182 * day}[c.kind]
			s := situation{provider: provider, kind: c.kind, life: life, age: age, task: protocol.Task{Request: c.request}, journal: func(j *protocol.Journal) {
				for n := range c.may + more {
					at := now.Add(-hour)
					if n >= c.may {
						at = now.Add(-old)
					}
					*c.list(j) = append(*c.list(j), at)
				}
			}}
			act := s.walk(now, func(a protocol.Action) bool { return a.Do == protocol.Release })
			over := act.Run.Verdict.Outcome == protocol.OverBudget
			if over != (more == 1) {
				t.Errorf("%s, %d versions, %d more of %v ago: %+v", c.name, c.may, more, old, act.Run.Verdict)
			}
			if counted := len(*c.list(&act.Run.Journal)); !over && counted > c.may+4 {
				t.Errorf("%s: %d versions are counted: the old ones are not forgotten", c.name, counted)
			}
		}
	}
}
