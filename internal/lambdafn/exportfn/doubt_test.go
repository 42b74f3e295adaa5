package exportfn

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// measured returns the values of a metric of a dataset since the last call.
func (s *stack) measured(name, dataset string) []float64 {
	s.Helper()
	var values []float64
	for line := range strings.Lines(s.out.String()) {
		var one map[string]any
		if json.Unmarshal([]byte(line), &one) != nil {
			s.Fatal(line)
		}
		if v, ok := one[name].(float64); ok && fmt.Sprint(one["provider"], "/", one["dataset"]) == dataset {
			values = append(values, v)
		}
	}
	return values
}

// overall counts how often a metric was measured without dimensions.
func (s *stack) overall(name string) (times int) {
	s.Helper()
	for line := range strings.Lines(s.out.String()) {
		var one struct {
			Format struct {
				CloudWatchMetrics []struct {
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			s.Fatal(err)
		}
		for _, m := range one.Format.CloudWatchMetrics {
			for _, set := range m.Dimensions {
				if len(set) == 0 && m.Metrics[0].Name == name {
					times++
				}
			}
		}
	}
	return times
}

// shrunken is a stack whose Yappli had 160 members when it was last exported,
// and has ten now.
func shrunken(t *testing.T) *stack {
	t.Helper()
	s := newStack(t)
	for n := range 100 {
		s.yappli.Put(yapplitest.Member{Values: map[string]string{"unique_id": fmt.Sprint("more-", n)}})
	}
	s.mustInvoke(`{"action":"extract","dataset":"yappli/users","scheduled_time":"2026-11-21T00:30:00Z"}`)
	for _, m := range s.yappli.Members()[10:] {
		s.yappli.Delete(m.ID)
	}
	s.out.Reset()
	return s
}

const doubtKey = "shop/exports/yappli/users/dt=2026-11-22/run=20261122T003000Z/_doubt.json"

// TestDoubt_IsAnAnswer: a state machine is told, once with the metrics and the
// log, and then with the answer alone.
func TestDoubt_IsAnAnswer(t *testing.T) {
	t.Parallel()
	s := shrunken(t)
	event := string(eventFile(t, "extract-yappli-users.json"))
	a := s.mustInvoke(event)
	if a.Status != export.Doubtful || a.State != export.InDoubt || a.Doubt != doubtKey || len(a.Doubts) != 1 || a.Doubts[0].Kind != export.DoubtShrunk {
		t.Fatalf("answer %+v", a.Answer)
	}
	log := s.out.String()
	if !strings.Contains(log, `"message":"export in doubt"`) || !strings.Contains(log, doubtKey) || !strings.Contains(log, "10 rows where run 20261121T003000Z had 160: more than 50 % fewer") {
		t.Errorf("the log does not name the doubt:\n%s", log)
	}
	for name, want := range map[string]float64{"ExportDoubt": 1, "ExportRejects": 0, "ExportUnresolved": 0, "ExportTotalWrong": 0, "ExportAge": 24*3600 + 60} {
		if got := s.measured(name, "yappli/users"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %g once", name, got, want)
		}
	}
	for _, name := range []string{"ExportDoubt", "ExportRejects", "ExportUnresolved"} { // whose alarms know no dataset
		if got := s.overall(name); got != 1 {
			t.Errorf("%s is measured %d times without dimensions, want once", name, got)
		}
	}
	if got := s.measured("ExportRows", "yappli/users"); len(got) > 0 {
		t.Errorf("rows that nobody can read are counted as exported: %v", got)
	}
	s.out.Reset()
	if again := s.mustInvoke(event); again.Status != export.Doubtful || again.Doubt != doubtKey {
		t.Errorf("again: %+v", again.Answer)
	}
	if got := s.measured("ExportDoubt", "yappli/users"); len(got) > 0 {
		t.Errorf("the alarm rings again for the same run: %v", got)
	}
	if got := s.measured("ExportAge", "yappli/users"); len(got) != 1 {
		t.Errorf("ages %v, want one of each call", got)
	}
}

// TestDoubt_FailsAnEventThatNobodyReads, and says that repeating it is useless,
// after all other datasets have been exported.
func TestDoubt_FailsAnEventThatNobodyReads(t *testing.T) {
	t.Parallel()
	s := shrunken(t)
	for range 2 {
		requests := len(s.yappli.Calls())
		_, err := s.invoke(t.Context(), eventFile(t, "schedule.json"))
		if err == nil || !strings.Contains(err.Error(), "in doubt, not published: yappli/users ("+doubtKey+"); the same event changes nothing") || strings.Contains(err.Error(), "to be continued") {
			t.Errorf("got %v", err)
		}
		for _, d := range export.Datasets()[1:] {
			var latest struct{ Data export.Pointer }
			document, err := objectstore.ReadDocument(t.Context(), s.objects, "shop/exports/"+d.String()+"/latest.json")
			if err == nil {
				err = json.Unmarshal(document.Data, &latest.Data)
			}
			if err != nil || latest.Data.Run != "20261122T003000Z" {
				t.Errorf("%s: latest is %+v, %v", d, latest.Data, err)
			}
		}
		if n := len(s.yappli.Calls()) - requests; n > 8 { // two looks
			t.Errorf("%d requests", n)
		}
	}
}

// TestReply_GoesOnBeforeItDoubts: the caller must not stop at a doubt while
// another dataset is to be continued.
func TestReply_GoesOnBeforeItDoubts(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		runs  []export.Answer
		want  export.Status
		until bool
	}{
		{[]export.Answer{{Status: export.Done}, {Status: off}}, export.Done, false},
		{[]export.Answer{{Status: export.Doubtful}, {Status: export.Done}}, export.Doubtful, false},
		{[]export.Answer{{Status: export.Doubtful}, {Status: export.Continue}, {Status: export.Doubtful}}, export.Continue, false},
		{[]export.Answer{{Status: export.Done}, {Status: export.Doubtful}, {Status: export.Busy, Until: &until, Cause: "yappli asks to wait"}}, export.Busy, true},
		{[]export.Answer{{Status: export.Continue}, {Status: export.Busy, Until: &until}}, export.Continue, false},
	} {
		r := reply{Status: export.Done}
		for _, a := range c.runs {
			r.add(a)
		}
		if r.Status != c.want || (r.Until != nil) != c.until || len(r.Runs) != len(c.runs) {
			t.Errorf("%+v: %s until %v, want %s", c.runs, r.Status, r.Until, c.want)
		}
	}
}

// TestAge_IsMeasuredByEveryCall, one that fails too, and never of a dataset that
// is off or has never been published.
func TestAge_IsMeasuredByEveryCall(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	event := func(dataset, at string) string {
		return fmt.Sprintf(`{"action":"extract","dataset":%q,"scheduled_time":%q}`, dataset, at)
	}
	for _, dataset := range []string{"shopline/orders", "supersaas/users"} {
		s.mustInvoke(fmt.Sprintf(`{"action":"plan","dataset":%q,"scheduled_time":"2026-11-21T00:00:00Z"}`, dataset))
		if got := s.measured("ExportAge", dataset); len(got) > 0 {
			t.Errorf("%s has never been published and is %v old", dataset, got)
		}
		s.mustInvoke(event(dataset, "2026-11-21T00:00:00Z"))
		s.mustInvoke(event(dataset, "2026-11-21T00:00:00Z"))
		s.mustInvoke(event(dataset, "2026-11-22T00:00:00Z"))
		denied := sandbox.Fault{Kind: sandbox.Denied}
		if dataset == "supersaas/users" {
			s.supersaas.Inject(denied)
		} else {
			s.shopline.Inject(denied)
		}
		if _, err := s.invoke(t.Context(), []byte(event(dataset, "2026-11-22T00:10:00Z"))); err == nil {
			t.Fatal("want a failure")
		}
		if got := s.measured("ExportAge", dataset); fmt.Sprint(got) != "[88260 88260 1860 1860]" {
			t.Errorf("%s: ages %v, want a day and 31 minutes twice, then 31 minutes twice", dataset, got)
		}
	}
}
