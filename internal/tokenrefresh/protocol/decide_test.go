package protocol_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/tokenrefresh/protocol"
)

var update = flag.Bool("update", false, "write testdata/ anew from what is decided")

// A transition is one decision: after an action and what it gave, the next one.
type transition struct {
	situation situation
	answer    answer
	before    protocol.Action
	next      protocol.Action
}

func (x transition) String() string {
	before := string(x.before.Run.Phase) + ": " + show(x.before)
	if x.before.Do != protocol.Begin {
		before += " | " + x.answer.name
	}
	after, run := show(x.next), x.next.Run
	switch {
	case run.Phase == x.before.Run.Phase || x.next.Do == protocol.Finish:
	case run.Phase == protocol.Ending:
		after = "end, " + verdict(run.Verdict) + ": " + after
	default:
		after = string(run.Phase) + ": " + after
	}
	inherited := x.before.Run.Journal
	if x.answer.got.Err == nil && (x.before.Do == protocol.Lease || x.before.Do == protocol.ReadJournal) {
		inherited = x.answer.got.Journal
	}
	if journal := changes(inherited, run); journal != "" {
		after += " [" + journal + "]"
	}
	return before + " -> " + after
}

// verdict renders how a run ends.
func verdict(v protocol.Verdict) string {
	text := fmt.Sprintf("%s %q", v.Outcome, v.Reason)
	if v.Err != nil {
		text += " (" + strings.ReplaceAll(v.Err.Error(), "\n", "; ") + ")"
	}
	return text
}

// changes renders what a decision writes into the journal. "Remembered" says that it
// tells the next run how this one ended, and on what.
func changes(before protocol.Journal, run protocol.Run) string {
	var list []string
	after := run.Journal
	say := func(name string, before, after any) {
		if b, a := fmt.Sprint(before), fmt.Sprint(after); a != b {
			list = append(list, name+"="+a)
		}
	}
	if after.Outcome != before.Outcome || after.Reason != before.Reason || !after.At.Equal(before.At) || after.Tried != before.Tried {
		if after.Outcome != run.Verdict.Outcome || after.Reason != run.Verdict.Reason || !after.At.Equal(run.Began) || after.Tried != run.ConnectionVersion+"/"+run.TokenVersion {
			list = append(list, "a wrong memory of the run")
		}
		list = append(list, "remembered")
	}
	intent := func(i *protocol.Intent) string {
		if i == nil {
			return "none"
		}
		return i.Base + "/" + i.Key
	}
	say("intent", intent(before.Intent), intent(after.Intent))
	say("spent", intent(before.Spent), intent(after.Spent))
	say("code", before.Code, after.Code)
	say("renews", before.Renews, after.Renews)
	say("connection", before.Connection, after.Connection)
	say("failures", before.Failures, after.Failures)
	say("probed", before.Probed.Format(time.RFC3339), after.Probed.Format(time.RFC3339))
	say("told", fmt.Sprintf("%q", before.NeedsHuman), fmt.Sprintf("%q", after.NeedsHuman))
	say("warned", fmt.Sprint(before.Warned, before.WarnedFor.IsZero()), fmt.Sprint(after.Warned, after.WarnedFor.IsZero()))
	say("writes", len(before.Writes), len(after.Writes))
	say("asked", len(before.Asked), len(after.Asked))
	say("forced", len(before.Forced), len(after.Forced))
	pending := func(p *protocol.Sighting) string {
		if p == nil {
			return "none"
		}
		return p.ID + " since " + p.Since.Format(time.RFC3339)
	}
	say("pending", pending(before.Pending), pending(after.Pending))
	if p := after.Promoted; p != nil && p != before.Promoted {
		list = append(list, "promoted="+p.From+" to "+p.To)
	}
	return strings.Join(list, ", ")
}

// explore follows every answer to every action of a situation, each state once.
func (s situation) explore(visit func(transition)) {
	task := s.task
	task.Provider, task.Began = s.provider, now
	if task.Goal == "" {
		task.Goal = protocol.Keep
	}
	seen := map[string]bool{}
	queue := []protocol.Action{protocol.Start(task)}
	for len(queue) > 0 {
		before := queue[0]
		queue = queue[1:]
		answers := s.answers(before)
		if before.Do == protocol.Begin {
			answers = []answer{done}
		}
		for _, a := range answers {
			left := map[bool]time.Duration{true: protocol.NoEnd, false: max(0, a.left)}[a.left == 0]
			next := protocol.Decide(protocol.Observation{Now: now, Left: left, Did: before, Got: a.got})
			visit(transition{s, a, before, next})
			if key := state(next); next.Do != protocol.Finish && !seen[key] {
				seen[key] = true
				queue = append(queue, next)
			}
		}
	}
}

// state tells the states of a situation apart.
func state(a protocol.Action) string {
	r := a.Run
	return fmt.Sprint(r.Phase, show(a), r.Leased, r.Reason, r.Outcome, r.Verdict.Outcome, r.Next.ID, r.Next.Label, r.Next.Works, r.Next.Token.Credential.Reveal(),
		r.Edit, r.Waits > 24, r.Goal, r.Version, r.Record.Version, r.Record.Grant.Access.Reveal(), r.TokenVersion, r.Token.Credential.Reveal(), string(r.Journal.Document()))
}

const head = `Every decision of package protocol: phase: action | what it gave -> next action [what changes in the journal].
A line that stands in an earlier situation is not repeated. The number counts all of a situation's decisions,
the digest is of their lines.
`

// An exploration is what following every situation shows.
type exploration struct {
	table   string              // testdata/decisions.txt
	broken  []string            // transitions that break an invariant, and which
	reached map[protocol.Do]int // how often each action came next
}

// explored follows every situation once, for all the tests of its transitions.
var explored = sync.OnceValue(func() exploration {
	found := exploration{reached: map[protocol.Do]int{}}
	var b strings.Builder
	b.WriteString(head)
	written := map[string]bool{}
	for _, s := range situations() {
		var fresh strings.Builder
		digest, n := sha256.New(), 0
		s.explore(func(x transition) {
			found.check(x)
			if !s.ending && x.before.Run.Phase == protocol.Ending {
				return // the table shows how a run ends in some situations only
			}
			line := x.String()
			_, _ = fmt.Fprintln(digest, line)
			n++
			if !written[line] {
				written[line] = true
				fresh.WriteString(line + "\n")
			}
		})
		fmt.Fprintf(&b, "\n## %s (%d decisions, %.4x)\n%s", s.name, n, digest.Sum(nil), &fresh)
	}
	found.table = b.String()
	return found
})

// check holds a transition against the invariants.
func (e *exploration) check(x transition) {
	e.reached[x.next.Do]++
	for rule, holds := range invariants {
		if !holds(x) {
			e.broken = append(e.broken, fmt.Sprintf("%s: %s breaks: %s", x.situation.name, x, rule))
		}
	}
}

// TestDecide_Table compares every decision with testdata/decisions.txt: each situation,
// each state that it leads to, and each answer, with the next action and what the journal
// then says. -update writes it anew; read what changes.
func TestDecide_Table(t *testing.T) {
	t.Parallel()
	table := explored().table
	path := filepath.Join("testdata", "decisions.txt")
	if *update {
		if err := os.WriteFile(path, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(table, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(wanted)) {
		g, w := line(got, i), line(wanted, i)
		if g != w {
			t.Fatalf("line %d:\n got %s\nwant %s", i+1, g, w)
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}
