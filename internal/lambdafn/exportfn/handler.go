package exportfn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"hikyaku/internal/export"
)

// event is the union of what the function takes.
type event struct {
	Source     string          `json:"source"`      // "aws.events": a rule's schedule; "aws.scheduler": a schedule's input
	DetailType string          `json:"detail-type"` // "Scheduled Event"
	Time       string          `json:"time"`        // of a rule's event
	Records    json.RawMessage `json:"Records"`     // another function's kind of event

	Action        string `json:"action"`
	Dataset       string `json:"dataset"`
	ScheduledTime string `json:"scheduled_time"`
	From          string `json:"from"`
	To            string `json:"to"`
}

// expected names the accepted shapes in the error of an event of another shape.
const expected = `expected a rule's schedule ({"source":"aws.events","time":"2026-01-02T03:04:05Z"}), a schedule's input ({"source":"aws.scheduler","scheduled_time":"<aws.scheduler.scheduled-time>","dataset":"shopline/orders"}), or {"action":"plan|extract|publish","dataset":"shopline/orders","scheduled_time":"...","from":"...","to":"..."}, of which only the scheduled time is always required`

// The actions.
const (
	actionPlan    = "plan"
	actionExtract = "extract"
	actionPublish = "publish"
)

// off is the status of a dataset whose provider is not connected.
const off export.Status = "off"

// reply answers for all datasets.
type reply struct {
	Status export.Status   `json:"status"` // done if all are, or off; else of the first to call again; else doubt
	Until  *time.Time      `json:"until,omitempty"`
	Runs   []export.Answer `json:"runs"`
}

// Invoke handles one event.
//
// An event that names a dataset answers for it; one that names none runs all
// enabled datasets one after the other. Continue, busy and doubt are answers: a
// state machine loops on the former two and ends the dataset as failed on doubt.
// An event that comes straight from a schedule has nobody to read the answer,
// so the invocation then fails. Where a run is to be continued, Lambda's own
// retry of asynchronous invocations, which brings the same event again, goes on
// with it. For a run in doubt the two retries read one object each and fail
// alike, so that the event ends where Lambda sends what failed.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	e, err := parse(payload)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	triggers, err := f.triggers(e)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	all := reply{Status: export.Done, Runs: []export.Answer{}}
	var faults []error
	for _, t := range triggers {
		answer, err := f.one(ctx, e.Action, t)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		all.add(answer)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if e.fromSchedule() && all.Status != export.Done {
		return nil, fmt.Errorf("export: %w", unfinished(all.Runs))
	}
	if e.Dataset != "" {
		return json.Marshal(all.Runs[0])
	}
	return json.Marshal(all)
}

// add takes in the answer for one dataset. The caller must go on while any run is to
// be called again, so that doubt counts only after that.
func (r *reply) add(a export.Answer) {
	r.Runs = append(r.Runs, a)
	settled := r.Status == export.Done || r.Status == export.Doubtful
	switch a.Status {
	case export.Done, off:
	case export.Doubtful:
		if r.Status == export.Done {
			r.Status = a.Status
		}
	default:
		if settled {
			r.Status, r.Until = a.Status, a.Until
		}
	}
}

// parse reads an event and fills in its defaults.
func parse(payload []byte) (event, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil || !bytes.HasPrefix(bytes.TrimSpace(payload), []byte("{")) {
		return e, errors.New("the event is not a JSON object with text fields; " + expected)
	}
	if len(e.Records) > 0 || e.Source != "" && e.Source != "aws.events" && e.Source != "aws.scheduler" {
		return e, errors.New("the event is of another kind; " + expected)
	}
	if e.Source == "aws.events" && e.ScheduledTime == "" {
		e.ScheduledTime = e.Time
	}
	switch {
	case e.ScheduledTime == "":
		return e, errors.New("the event has no scheduled time, which names the run; " + expected)
	case e.Action == "" && e.Source == "" && e.Dataset == "":
		return e, errors.New("the event names neither an action nor a dataset; " + expected)
	case e.Dataset == "" && (e.From != "" || e.To != ""):
		return e, errors.New("a backfill names its dataset; " + expected)
	}
	switch e.Action {
	case "", actionPlan, actionExtract, actionPublish:
		return e, nil
	}
	return e, errors.New("the action is not plan, extract or publish; " + expected)
}

// fromSchedule reports that nobody waits for the answer.
func (e event) fromSchedule() bool { return e.Source != "" && e.Action == "" }

// triggers returns the runs that an event asks for.
func (f *Function) triggers(e event) ([]export.Trigger, error) {
	t := export.Trigger{}
	for _, field := range []struct {
		name, text string
		to         *time.Time
	}{{"scheduled time", e.ScheduledTime, &t.Scheduled}, {"from", e.From, &t.From}, {"to", e.To, &t.To}} {
		if field.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, field.text)
		if err != nil {
			return nil, fmt.Errorf("the %s is not a time such as 2026-01-02T03:04:05Z; %s", field.name, expected)
		}
		*field.to = at
	}
	if e.Dataset != "" {
		d, err := f.dataset(e.Dataset)
		t.Dataset = d
		return []export.Trigger{t}, err
	}
	var all []export.Trigger
	for _, d := range f.datasets {
		t.Dataset = d
		all = append(all, t)
	}
	return all, nil
}

// one brings one run forward.
func (f *Function) one(ctx context.Context, action string, t export.Trigger) (export.Answer, error) {
	run, err := f.core.NewRun(t)
	if err != nil {
		return export.Answer{}, err
	}
	began := f.base.Now()
	connected, err := f.tokens[t.Dataset.Provider].Connected(ctx)
	if err != nil {
		return export.Answer{}, err
	}
	var answer export.Answer
	switch {
	case !connected:
		answer = export.Answer{Status: off, Dataset: t.Dataset.String(), Run: run.ID, DT: run.DT}
	case action == actionPlan:
		answer, err = f.core.Plan(ctx, run)
	case action == actionPublish:
		answer, err = f.core.Publish(ctx, run)
	default:
		answer, err = f.core.Extract(ctx, run)
	}
	f.report(ctx, run, answer, err, f.base.Now().Sub(began))
	if another := answer.Status == export.Busy && answer.Cause == ""; connected && !another { // the other call reports it
		f.reportAge(ctx, t.Dataset)
	}
	return answer, err
}

// report logs a call and measures it.
func (f *Function) report(ctx context.Context, run export.Run, a export.Answer, err error, elapsed time.Duration) {
	d := run.Dataset
	log := f.base.Log.With(slog.String("provider", d.Provider), slog.String("dataset", d.Name), slog.String("run", run.ID))
	dimensions := dimensions(d)
	if err != nil {
		log.ErrorContext(ctx, "export failed", slog.Any("err", err), slog.Duration("elapsed", elapsed))
		f.base.Metrics.Add("ExportFailures", "Count", 1, dimensions)
		return
	}
	if a.Status == export.Doubtful {
		log.ErrorContext(ctx, "export in doubt", slog.String("object_key", a.Doubt), slog.Any("doubts", a.Doubts), slog.Int("rows", a.Rows), slog.Duration("elapsed", elapsed))
	} else {
		log.InfoContext(ctx, "export called", slog.String("status", string(a.Status)), slog.Int("rows", a.Rows), slog.Int("rejects", a.Rejects), slog.Duration("elapsed", elapsed))
	}
	if a.Observed.Invocations == 0 { // nothing was done that was not done before
		return
	}
	f.base.Metrics.Add("ExportRequests", "Count", float64(a.Observed.Requests), dimensions)
	f.base.Metrics.Add("ExportRateLimited", "Count", float64(a.Observed.RateLimited), dimensions)
	doubts := 0.0
	switch a.Status {
	case export.Done:
		f.base.Metrics.Add("ExportRows", "Count", float64(a.Rows), dimensions)
	case export.Doubtful:
		doubts = 1
	default:
		return
	}
	f.base.Metrics.Add("ExportDrift", "Count", float64(a.Drift.Shifts), dimensions)
	f.base.Metrics.Add("ExportTotalWrong", "Count", float64(a.TotalWrong), dimensions)
	f.base.Metrics.Add("ExportDoubt", "Count", doubts, dimensions)
	f.base.Metrics.Add("ExportRejects", "Count", float64(a.Rejects), dimensions)
	f.base.Metrics.Add("ExportUnresolved", "Count", float64(a.Drift.Unresolved), dimensions)
}

// ageTime bounds the reading of an age.
const ageTime = 5 * time.Second

// reportAge measures how old the newest published data of a dataset is, after
// every call, whatever came of it: nothing else notices a dataset that is no longer
// published. One that never was has no age.
func (f *Function) reportAge(ctx context.Context, d export.Dataset) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ageTime) // also where the call ran out of time
	defer cancel()
	end, err := f.core.CoveredUntil(ctx, d)
	if err != nil {
		f.base.Log.WarnContext(ctx, "age of the export not known", slog.String("provider", d.Provider), slog.String("dataset", d.Name), slog.Any("err", err))
		return
	}
	if !end.IsZero() {
		f.base.Metrics.Add("ExportAge", "Seconds", max(0, f.base.Now().Sub(end).Seconds()), dimensions(d))
	}
}

func dimensions(d export.Dataset) map[string]string {
	return map[string]string{"provider": d.Provider, "dataset": d.Name}
}

// unfinished names the runs that are not published, and says what a repetition
// of the event would do for them.
func unfinished(runs []export.Answer) error {
	var again, doubts []string
	for _, a := range runs {
		switch a.Status {
		case export.Done, off:
		case export.Doubtful:
			doubts = append(doubts, a.Dataset+" ("+a.Doubt+")")
		default:
			again = append(again, a.Dataset+" "+string(a.Status))
		}
	}
	var faults []error
	if len(again) > 0 {
		faults = append(faults, fmt.Errorf("to be continued: %s; Lambda's retry of this event goes on", strings.Join(again, ", ")))
	}
	if len(doubts) > 0 {
		faults = append(faults, fmt.Errorf("in doubt, not published: %s; the same event changes nothing, the next scheduled run asks for all of it again, and 'hikyaku export accept' publishes it as it is", strings.Join(doubts, ", ")))
	}
	return errors.Join(faults...)
}
