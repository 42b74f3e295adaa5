package bootexport

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

// expected names the shapes for whoever sent another one.
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
	Status export.Status   `json:"status"` // done if all are, or off; else that of the first that is not
	Until  *time.Time      `json:"until,omitempty"`
	Runs   []export.Answer `json:"runs"`
}

// Invoke handles one event.
//
// An event that names a dataset answers for it; one that names none runs all
// enabled datasets one after the other. Continue and busy are answers: a state
// machine loops on them. For an event that comes straight from a schedule
// nobody loops, so the invocation then fails, and Lambda's own retry of
// asynchronous invocations, which brings the same event again, goes on with
// the same run.
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
		all.Runs = append(all.Runs, answer)
		if all.Status == export.Done && answer.Status != export.Done && answer.Status != off {
			all.Status, all.Until = answer.Status, answer.Until
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if e.fromSchedule() && all.Status != export.Done {
		return nil, fmt.Errorf("export: to be continued: %s; Lambda's retry of this event goes on", strings.Join(unfinished(all.Runs), ", "))
	}
	if e.Dataset != "" {
		return json.Marshal(all.Runs[0])
	}
	return json.Marshal(all)
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
	return answer, err
}

// report logs a call and measures it.
func (f *Function) report(ctx context.Context, run export.Run, a export.Answer, err error, elapsed time.Duration) {
	d := run.Dataset
	log := f.base.Log.With(slog.String("provider", d.Provider), slog.String("dataset", d.Name), slog.String("run", run.ID))
	dimensions := map[string]string{"provider": d.Provider, "dataset": d.Name}
	if err != nil {
		log.ErrorContext(ctx, "export failed", slog.Any("err", err), slog.Duration("elapsed", elapsed))
		f.base.Metrics.Add("ExportFailures", "Count", 1, dimensions)
		return
	}
	log.InfoContext(ctx, "export called", slog.String("status", string(a.Status)), slog.Int("rows", a.Rows), slog.Duration("elapsed", elapsed))
	if a.Observed.Invocations == 0 { // nothing was done that was not done before
		return
	}
	f.base.Metrics.Add("ExportRequests", "Count", float64(a.Observed.Requests), dimensions)
	f.base.Metrics.Add("ExportRateLimited", "Count", float64(a.Observed.RateLimited), dimensions)
	if a.Status == export.Done {
		f.base.Metrics.Add("ExportRows", "Count", float64(a.Rows), dimensions)
		f.base.Metrics.Add("ExportRejects", "Count", float64(a.Rejects), dimensions)
		f.base.Metrics.Add("ExportDrift", "Count", float64(a.Drift.Shifts), dimensions)
		f.base.Metrics.Add("ExportUnresolved", "Count", float64(a.Drift.Unresolved), dimensions)
	}
}

func unfinished(runs []export.Answer) []string {
	var names []string
	for _, a := range runs {
		if a.Status != export.Done && a.Status != off {
			names = append(names, a.Dataset+" "+string(a.Status))
		}
	}
	return names
}
