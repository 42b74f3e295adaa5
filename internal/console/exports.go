package console

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hikyaku/internal/export"
)

// An exporting shows the exports of a stack, and lets a person act on them.
type exporting struct{ *Server }

// exportsPage shows each dataset's runs of the last weeks.
func (e exporting) exportsPage() page {
	return page{Name: "exports", Path: "/exports", Main: true, load: e.load, live: []string{"export-rests", "export-slow", "datasets"}}
}

// A run is what 'hikyaku runs' prints of one.
type run struct {
	State    string  `json:"state"`
	Dataset  string  `json:"dataset"`
	ID       string  `json:"run"`
	DT       string  `json:"dt"`
	Manifest string  `json:"manifest"`
	Doubt    string  `json:"doubt"`
	Doubts   []doubt `json:"doubts"`
	Parts    int     `json:"parts"`
	Rows     int     `json:"rows"`
	Rejects  int     `json:"rejects"`
	Drift    drift   `json:"drift"`
}

// A doubt is a reason to believe that a run lacks rows.
type doubt struct{ Kind, Pass, Detail string }

// A drift is how the provider's list moved while it was read.
type drift struct{ Shifts, Rewinds, Unresolved int }

// Path is the address of the run's page.
func (r run) Path() string { return "/exports/" + r.Dataset + "/" + url.PathEscape(r.ID) }

// Word is the run's state as a word of a key, without a space.
func (r run) Word() string { return strings.ReplaceAll(r.State, " ", "-") }

// Level is how well it is.
func (r run) Level() string {
	switch export.State(r.State) {
	case export.Complete, export.Accepted:
		return "well"
	case export.InDoubt:
		return "bad"
	case export.Unfinished, export.NotRecorded:
		return "warn"
	case export.Expired:
	}
	return ""
}

// A datasetRuns is a dataset with its last runs.
type datasetRuns struct {
	Dataset string
	Runs    []run // the newest first
	Days    []calendarDay
	Err     error
}

// ID is the dataset's name as a part of an element's id.
func (d datasetRuns) ID() string { return strings.ReplaceAll(d.Dataset, "/", "-") }

// Provider is the system that has the dataset.
func (d datasetRuns) Provider() string { return path.Dir(d.Dataset) }

// Newest is the last run; nil: there is none.
func (d datasetRuns) Newest() *run {
	if len(d.Runs) == 0 {
		return nil
	}
	return &d.Runs[0]
}

// Doubtful are the runs in doubt that nothing newer has made up for, the newest first.
func (d datasetRuns) Doubtful() []run {
	var list []run
	for _, r := range d.Runs {
		switch export.State(r.State) {
		case export.Complete, export.Accepted:
			return list
		case export.InDoubt:
			list = append(list, r)
		case export.Unfinished, export.NotRecorded, export.Expired:
		}
	}
	return list
}

// A calendarDay is a day of the calendar with the runs whose dt it is.
type calendarDay struct {
	DT    string
	Today bool
	Late  bool // it is still to come
	Runs  []run
}

// Day is the number of the day, with that of the month where a month begins.
func (d calendarDay) Day() string {
	if strings.HasSuffix(d.DT, "-01") {
		return d.DT[5:]
	}
	return d.DT[8:]
}

// weeks is how many the calendar shows.
const weeks = 5

// A exportsData is what the page of the exports shows.
type exportsData struct {
	Rests    *rest
	RestErr  error
	Slow     []slowCommand
	Datasets []datasetRuns
	Weekdays []string
}

func (e exporting) load(ctx context.Context, _ *http.Request) (any, error) {
	d := exportsData{Slow: e.slow.list(), Datasets: make([]datasetRuns, len(export.DatasetNames())), Weekdays: []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}}
	var reading sync.WaitGroup
	for i, name := range export.DatasetNames() {
		reading.Go(func() { d.Datasets[i] = e.dataset(ctx, name) })
	}
	reading.Wait()
	d.Rests, d.RestErr = e.rest(ctx, "export")
	return d, nil
}

// runsFresh is how long a dataset's runs are shown again: listing them asks the bucket for
// each. A deployed stack's change once a day.
func (e exporting) runsFresh() time.Duration {
	if e.options.Dev != nil {
		return e.options.Fresh
	}
	return 10 * e.options.Fresh
}

// dataset reads a dataset's runs of the weeks that the calendar shows.
func (e exporting) dataset(ctx context.Context, name string) datasetRuns {
	d := datasetRuns{Dataset: name}
	today := e.stackNow().In(e.options.Zone)
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	first := monday.AddDate(0, 0, -7*(weeks-1))
	var printed struct{ Runs []run }
	since := first.AddDate(0, 0, -1).Format(time.DateOnly) // of a zone east of Greenwich, a day begins the day before
	if d.Err = e.reader.readWithin(ctx, e.runsFresh(), &printed, "runs", name, "--since", since); d.Err != nil {
		return d
	}
	d.Runs = printed.Runs
	slices.Reverse(d.Runs)
	for i := range 7 * weeks {
		day := calendarDay{DT: first.AddDate(0, 0, i).Format(time.DateOnly)}
		day.Today, day.Late = day.DT == today.Format(time.DateOnly), day.DT > today.Format(time.DateOnly)
		for _, r := range d.Runs {
			if r.DT == day.DT {
				day.Runs = append(day.Runs, r)
			}
		}
		d.Days = append(d.Days, day)
	}
	return d
}

// A plan is what 'hikyaku export plan' prints.
type plan struct {
	Dataset     string
	Rows        int
	Requests    int
	PerSecond   float64 `json:"requests_per_second"`
	Seconds     float64
	Parts       int
	Invocations int
	USD         float64
}

// Takes is how long the run takes.
func (p plan) Takes() time.Duration { return time.Duration(p.Seconds * float64(time.Second)) }

// An exported is what 'hikyaku export' prints.
type exported struct{ run }

// actions are what a person can do about the exports.
func (e exporting) actions() []action {
	return []action{
		{name: "export-run", page: "exports", shape: decoded[exported], slow: true, command: ofDataset("export")},
		{name: "export-plan", page: "exports", shape: decoded[plan], reads: true, command: func(f url.Values) ([]string, error) {
			args, err := ofDataset("export", "plan")(f)
			if rows := strings.TrimSpace(f.Get("rows")); rows != "" && err == nil {
				if n, wrong := strconv.Atoi(rows); wrong != nil || n < 1 {
					return nil, saying("fault.rows")
				}
				args = append(args, "--rows", rows)
			}
			return args, err
		}},
		{name: "pause-export", command: pausing("export")},
		{name: "resume-export", command: resuming("export")},
		{name: "slow-stop", do: func(_ context.Context, f url.Values) (any, error) { return nil, e.slow.stop(f.Get("key")) }},
		{name: "export-verify", page: "run", shape: decoded[verdict], reads: true, slow: true, command: ofPlace("verify", "_manifest.json", "_doubt.json")},
		{name: "export-accept", command: func(f url.Values) ([]string, error) {
			args, err := ofPlace("export accept", "_doubt.json")(f)
			reason := strings.TrimSpace(f.Get("reason"))
			if err == nil && reason == "" {
				err = saying("fault.accept-why")
			}
			return append(args, "--reason", reason), err
		}},
		{name: "export-records", page: "run", reads: true, stream: e.searchRun},
		{name: "export-find", page: "exports", reads: true, stream: e.searchAll},
		{name: "export-stop", page: "run", reads: true, do: func(context.Context, url.Values) (any, error) { return nil, nil }},
	}
}

// ofDataset makes a command about the dataset that a form names.
func ofDataset(words ...string) func(url.Values) ([]string, error) {
	return func(f url.Values) ([]string, error) {
		if !slices.Contains(export.DatasetNames(), f.Get("dataset")) {
			return nil, saying("fault.no-dataset")
		}
		return append(slices.Clone(words), f.Get("dataset")), nil
	}
}

// ofPlace makes a command about the manifest whose place a form names.
func ofPlace(words string, names ...string) func(url.Values) ([]string, error) {
	return func(f url.Values) ([]string, error) {
		place := f.Get("place")
		if strings.HasPrefix(place, "-") || !slices.Contains(names, path.Base(place)) {
			return nil, saying("fault.no-run")
		}
		return append(strings.Fields(words), place), nil
	}
}
