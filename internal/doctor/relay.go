package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/locale"
	"hikyaku/internal/pause"
)

func lookAtWebhook(o *Observations, f *finder) {
	switch w := o.Webhook; {
	case !w.Secret:
		f.add("webhook.no-secret", "", "")
	case w.Weak != "":
		f.add("webhook.weak-secret", "", w.Weak)
	}
}

func lookAtHooks(o *Observations, f *finder) {
	w := o.Webhook
	switch {
	case w.Ours == 0:
		f.add("webhook.missing", "", "")
	case !w.Secret: // nothing can be right
	case w.Right+w.Before == 0:
		f.add("webhook.wrong-secret", "", "")
	case w.Right == 0 && w.Weak == "":
		f.add("webhook.old-secret", "", "")
	case w.Ours > 1:
		f.addSaid("webhook.twice", "", count(w.Ours, "webhook", "webhooks"), "")
	}
	if len(w.Elsewhere) > 0 {
		f.addSaid("webhook.elsewhere", "", some(w.Elsewhere), "")
	}
}

func lookAtQueues(o *Observations, f *finder) {
	if o.DeadLetters > 0 {
		f.addSaid("dead.letters", "", count(o.DeadLetters, "change was", "changes were"), "")
	}
}

// The ages from which the alarms on queues ring.
const (
	oldMessage = 2 * time.Hour
	oldLetter  = 10 * 24 * time.Hour
)

func lookAtMetrics(o *Observations, f *finder) {
	m := o.Metrics
	if m.QueueAge > oldMessage {
		f.add("queue.old", "", fmt.Sprintf("%dh%02dm", int(m.QueueAge.Hours()), int(m.QueueAge.Minutes())%60))
	}
	if m.DeadAge > oldLetter {
		f.addSaid("dead.ending", "", count(int(m.DeadAge.Hours()/24), "day", "days"), "")
	}
	if m.Drift > 0 {
		f.addSaid("reconcile.drift", "", count(int(m.Drift), "sign", "signs"), "")
	}
	if m.Arrived == 0 && m.Differed > 0 {
		f.addSaid("webhook.silent", "", count(int(m.Differed), "user", "users"), "")
	}
}

const (
	oldList   = 48 * time.Hour // of members, which is compared each night
	oldWanted = time.Hour      // of a comparison, which begins within ten minutes
)

func lookAtRelay(o *Observations, f *finder) {
	r := o.Relay
	switch {
	case r.Mode != "write":
		f.add("relay.observes", "", "")
	case !r.Update:
		f.add("relay.update-unknown", "", "")
	}
	switch {
	case r.List.IsZero():
		f.add("reconcile.never", "", "")
	case o.Now.Sub(r.List) > oldList:
		f.add("reconcile.old", "", stamp(r.List))
	}
	if !r.Wanted.IsZero() && o.Now.Sub(r.Wanted) > oldWanted {
		f.add("reconcile.wanted", "", stamp(r.Wanted))
	}
	if r.Stopped {
		f.add("disabling.stopped", "", "")
	}
	if r.Pairs > 0 {
		f.addSaid("pairs.waiting", "", count(r.Pairs, "pair waits", "pairs wait"), "")
	}
	if r.Undone > 0 {
		f.addSaid("decisions.undone", "", count(r.Undone, "pair was", "pairs were"), "")
	}
}

// oldExport is the age from which the alarm on an export rings.
const oldExport = 36 * time.Hour

func lookAtExports(o *Observations, f *finder) {
	for _, d := range o.Datasets {
		if d.Unfinished != "" {
			f.add("export.unfinished", d.Name, d.Unfinished)
		}
		switch {
		case d.Doubt != "":
			f.add("export.doubt", d.Name, d.Doubt)
		case d.Covered.IsZero() && d.Unfinished == "":
			f.add("export.never", d.Name, "")
		case d.Covered.IsZero(): // the first run is the one that has not ended
		case o.Now.Sub(d.Covered) > oldExport:
			f.add("export.old", d.Name, stamp(d.Covered))
		case d.Gone:
			f.add("export.gone", d.Name, "")
		}
		if d.Rejects > 0 {
			f.addSaid("export.rejects", d.Name, count(d.Rejects, "record", "records"), "")
		}
		if d.Unresolved > 0 {
			f.addSaid("export.unresolved", d.Name, count(d.Unresolved, "place", "places"), "")
		}
		if d.Owed > 0 {
			f.addSaid("export.owed", d.Name, count(d.Owed, "span of time is owed", "spans of time are owed"), "")
		}
	}
}

// lookAtExecutions says of each state machine how the newest execution ended, unless
// what it was for was done since.
func lookAtExecutions(o *Observations, f *finder) {
	newest := map[string]Execution{}
	for _, e := range o.Executions {
		if e.Started.After(newest[e.Machine].Started) && (e.Machine != reconcileLoop || e.Status != Succeeded || !o.read(FromRelay)) {
			newest[e.Machine] = e
		}
	}
	again := func(e Execution, input string) string {
		return "aws stepfunctions start-execution --state-machine-arn " + e.MachineARN + " --input " + input + " {aws}"
	}
	// That a comparison succeeded says little, as it may have had nothing to do: a list of
	// members that is newer proves that one did.
	if e := newest[reconcileLoop]; e.Status != "" && e.Status != Succeeded && o.Relay.List.Before(e.Started) {
		f.addNext("reconcile.failed", e.Machine, e.Status, again(e, `'{"event":{"action":"reconcile"}}'`))
	}
	if e := newest[exportLoop]; e.Status != "" && e.Status != Succeeded {
		f.addNext("export.failed", e.Machine, e.Status, again(e, `"$(aws stepfunctions describe-execution --execution-arn `+e.ARN+` --query input --output text {aws})"`))
	}
}

// PartOfAnother stands in the description of an alarm that tells nobody by itself.
const PartOfAnother = "; a part of "

func lookAtAlarms(o *Observations, f *finder) {
	if len(o.Alarms)+len(o.LostAlarms) == 0 {
		f.add("alarm.none", "", "")
	}
	for _, name := range o.LostAlarms {
		f.add("alarm.gone", name, "")
	}
	for _, a := range o.Alarms {
		if strings.Contains(a.Description, PartOfAnother) {
			continue
		}
		if a.Rings {
			severity, says, _ := strings.Cut(a.Description, ": ")
			id := map[string]string{string(Critical): "alarm.critical", string(Warning): "alarm.warning"}[severity]
			if id == "" {
				id = "alarm.high"
			}
			f.add(id, a.Name, says)
		}
		switch {
		case !a.Acts:
			f.addNext("alarm.muted", a.Name, "somebody took its actions away. Deploy once without it in the template, and once with it.", deploy)
		case a.Muted:
			f.add("alarm.muted", a.Name, "its actions are disabled.")
		}
	}
}

func lookAtTopic(o *Observations, f *finder) {
	switch t := o.Topic; {
	case t.Confirmed > 0:
	case t.Pending > 0:
		f.add("topic.unconfirmed", t.ARN, "")
	default:
		f.add("topic.nobody", t.ARN, "")
	}
}

func lookAtPauses(o *Observations, f *finder) {
	if o.BrokenPauses != "" {
		f.addNext("pause.broken", "", o.BrokenPauses, o.moveAway("state/pause"))
	}
	for _, part := range pause.Parts() {
		p := o.Pauses.Of(part)
		switch {
		case p == nil || len(o.triggers(part, true)) > 0: // lookAtTriggers says it
		case p.Overdue(o.Now):
			f.addSaid("pause.overdue", part, locale.M("its pause began at %s and was to end at %s; none may last longer than 12 days.", stamp(p.Since), stamp(p.Until)), "")
		default:
			f.addSaid("pause.lasts", part, locale.M("until %s by %s: %s", stamp(p.Until), p.By, p.Reason), "")
		}
	}
}

// triggers are those of a part that are on, or off; none if they could not be read.
func (o *Observations) triggers(part string, on bool) (names []string) {
	if !o.read(FromSchedules) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(o.Triggers[part])) {
		if o.Triggers[part][name] == on {
			names = append(names, name)
		}
	}
	return names
}

func lookAtTriggers(o *Observations, f *finder) {
	for _, name := range o.LostTriggers {
		f.add("trigger.gone", name, "")
	}
	if o.Unwatched != "" {
		f.add("pause.unwatched", "", o.Unwatched)
	}
	if !o.read(FromPauses) || o.BrokenPauses != "" {
		return // whether somebody has paused it is not known
	}
	for _, part := range pause.Parts() {
		on, off := o.triggers(part, true), o.triggers(part, false)
		switch paused := o.Pauses.Of(part) != nil; {
		case paused && len(on) > 0:
			f.add("pause.half", part, strings.Join(on, ", "))
		case !paused && len(off) > 0:
			f.add("trigger.off", part, strings.Join(off, ", "))
		}
	}
}

// some are the first of many names, each once: others have made them.
func some(names []string) locale.Message {
	const most = 10
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if more := len(names) - most; more > 0 {
		return locale.M("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return locale.T(strings.Join(names, ", "))
}

// count is a number with its noun.
func count(n int, one, many string) locale.Message {
	if n == 1 {
		return locale.T("1 " + one)
	}
	return locale.M("%d "+many, n)
}
