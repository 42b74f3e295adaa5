package console

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"hikyaku/internal/export"
	"hikyaku/internal/export/records"
)

// runName is what a run may be called.
var runName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z(_[0-9A-Za-z-]+)?$`)

const (
	recordsShown  = 50  // of a run at a time
	hitsShown     = 200 // of a search, at most
	hitsOfDataset = 30  // of a search in all datasets, for each
	columnsShown  = 6   // unless a person has chosen others
	valueShown    = 200 // bytes of a value
)

// hits are records as a page shows them.
type hits struct {
	Groups []hitGroup
	Search string
	Done   bool
	Took   time.Duration
	Err    error // why a run cannot be read any further
}

// Found is how many there are.
func (h hits) Found() int {
	n := 0
	for _, g := range h.Groups {
		n += g.Found
	}
	return n
}

// Read and Total are how many records were looked at, and of how many.
func (h hits) Read() int {
	n := 0
	for _, g := range h.Groups {
		n += g.Read
	}
	return n
}

// Total is how many records there are to look at.
func (h hits) Total() int {
	n := 0
	for _, g := range h.Groups {
		n += g.Total
	}
	return n
}

// Percent is how much was looked at.
func (h hits) Percent() int { return 100 * h.Read() / max(1, h.Total()) }

// A hitGroup is what was found in one run.
type hitGroup struct {
	Dataset, Run string
	Path         string // of the run's page
	All          []string
	Columns      []string // of All, those that are shown
	Rows         []hitRow
	Skip         int
	Found        int // at most so many are shown as there are rows
	Read, Total  int
	More         bool // there are records after these
}

// Next is what the next page skips.
func (g hitGroup) Next() int { return g.Skip + len(g.Rows) }

// Provider is the system that the records are of.
func (g hitGroup) Provider() string { return path.Dir(g.Dataset) }

// ID is the dataset's name as a word of a key.
func (g hitGroup) ID() string { return strings.ReplaceAll(g.Dataset, "/", "-") }

// Chosen reports whether a column is shown.
func (g hitGroup) Chosen(column string) bool { return slices.Contains(g.Columns, column) }

// A hitRow is one record.
type hitRow struct {
	Number int
	fields map[string]string
}

// Cells are the values of some columns.
func (r hitRow) Cells(columns []string) []string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = r.fields[c]
	}
	return cells
}

// add keeps a record. Its bytes are the scan's only until the next one.
func (g *hitGroup) add(r records.Record) {
	row := hitRow{Number: r.Number, fields: map[string]string{}}
	for _, c := range r.Columns() {
		if !slices.Contains(g.All, c.Name) && len(g.All) < 200 {
			g.All = append(g.All, c.Name)
		}
		row.fields[c.Name] = clipped(c.Value)
	}
	g.Rows = append(g.Rows, row)
}

// show chooses the columns: those of the form, or else the first.
func (g *hitGroup) show(chosen []string) {
	g.Columns = nil
	for _, c := range g.All {
		if slices.Contains(chosen, c) || len(chosen) == 0 && len(g.Columns) < columnsShown {
			g.Columns = append(g.Columns, c)
		}
	}
}

// clipped shortens a value to what a cell shows.
func clipped(value string) string {
	if len(value) <= valueShown {
		return value
	}
	end := valueShown
	for end > 0 && !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end] + "…"
}

// firstRecords are a run's first; nil: they cannot be read, which the search then says.
func (e exporting) firstRecords(ctx context.Context, told wholeRun) *hits {
	var first *hits
	keep := func(h hits) error { first = &h; return nil }
	look := search{query: records.Query{Limit: recordsShown}, most: recordsShown}
	if e.options.Objects == nil || look.in(ctx, e, []target{targetOf(told)}, keep) != nil || first.Err != nil {
		return nil
	}
	return first
}

// A target is a run that is searched.
type target struct{ dataset, run, key, path string }

func targetOf(r wholeRun) target {
	return target{dataset: r.Dataset, run: r.ID, key: cmp.Or(r.Manifest, r.Doubt), path: r.Path()}
}

// searchRun shows the records of a run that a form asks for, as they are found.
func (e exporting) searchRun(ctx context.Context, f url.Values, show func(any) error) error {
	told, err := e.wholeRun(ctx, f.Get("dataset"), f.Get("run"))
	if err != nil {
		return err
	}
	if told.Whole == nil {
		return saying("fault.no-records")
	}
	look := search{query: records.Query{Search: f.Get("search")}, columns: f["column"], most: hitsShown}
	if skip, wrong := strconv.Atoi(cmp.Or(f.Get("skip"), "0")); wrong == nil && skip > 0 {
		look.query.Skip = skip
	}
	if look.query.Search == "" {
		look.query.Limit, look.most = recordsShown, recordsShown
	}
	return look.in(ctx, e, []target{targetOf(told)}, func(h hits) error { return show(h) })
}

// searchAll looks for a text in the newest run of every dataset.
func (e exporting) searchAll(ctx context.Context, f url.Values, show func(any) error) error {
	look := search{query: records.Query{Search: f.Get("search")}, most: hitsOfDataset}
	if look.query.Search == "" {
		return saying("fault.no-words")
	}
	var targets []target
	for _, name := range export.DatasetNames() {
		d := e.dataset(ctx, name)
		if d.Err != nil {
			return d.Err
		}
		for _, r := range d.Runs {
			if r.Manifest != "" && r.State != string(export.Expired) {
				targets = append(targets, target{dataset: name, run: r.ID, key: r.Manifest, path: r.Path()})
				break
			}
		}
	}
	if len(targets) == 0 {
		return saying("fault.no-exports")
	}
	return look.in(ctx, e, targets, func(h hits) error { return show(h) })
}

// A search is what is looked for, and how it is shown.
type search struct {
	query   records.Query
	columns []string
	most    int // rows of each run that are shown
}

// in searches runs one after the other, and shows what was found at once and then a few
// times a second. It ends with its context, or once it cannot be shown.
func (s search) in(ctx context.Context, e exporting, targets []target, show func(hits) error) error {
	if e.options.Objects == nil {
		return saying("fault.no-bucket")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := &searching{begun: e.options.Now(), now: e.options.Now, search: s.query.Search, first: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- s.scan(ctx, e, targets, found) }()
	ticks := time.NewTicker(leastPause)
	defer ticks.Stop()
	for {
		select {
		case err := <-ended:
			return show(found.shown(s.columns, true, err))
		case <-found.first:
		case <-ticks.C:
		}
		if err := show(found.shown(s.columns, false, nil)); err != nil {
			cancel()
			return errors.Join(err, <-ended)
		}
	}
}

// scan reads the runs.
func (s search) scan(ctx context.Context, e exporting, targets []target, found *searching) error {
	store, _ := e.options.Objects()
	for _, t := range targets {
		opened, err := records.Open(ctx, store, t.key)
		if err != nil {
			return err
		}
		query := s.query
		if query.Limit > 0 {
			query.Limit++ // to know whether there are more
		}
		scan := opened.Scan(query)
		found.begin(hitGroup{Dataset: t.dataset, Run: t.run, Path: t.path, Skip: s.query.Skip, Total: opened.Manifest.Rows}, scan)
		for record, err := range scan.All(ctx) {
			if err != nil {
				return err
			}
			found.take(record, s.most, s.query.Limit)
		}
	}
	return nil
}

// A searching is what a search has found so far.
type searching struct {
	begun  time.Time
	now    func() time.Time
	search string
	first  chan struct{} // something is to be shown at once

	mu     sync.Mutex
	groups []*hitGroup
	scan   *records.Scan // of the last group
}

func (f *searching) begin(g hitGroup, scan *records.Scan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	f.groups, f.scan = append(f.groups, &g), scan
}

// settle notes how far the last scan has come.
func (f *searching) settle() {
	if f.scan != nil {
		f.groups[len(f.groups)-1].Read = f.scan.Read()
	}
}

func (f *searching) take(r records.Record, most, limit int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.groups[len(f.groups)-1]
	if g.Found++; limit > 0 && g.Found > limit {
		g.Found, g.More = limit, true
		return
	}
	if len(g.Rows) >= most {
		return
	}
	g.add(r)
	if len(g.Rows) == 1 {
		select {
		case f.first <- struct{}{}:
		default:
		}
	}
}

// shown is a copy of what there is for a template.
func (f *searching) shown(columns []string, done bool, err error) hits {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	h := hits{Search: f.search, Done: done, Took: f.now().Sub(f.begun), Err: err}
	for _, g := range f.groups {
		one := *g
		one.Rows, one.All = slices.Clone(g.Rows), slices.Clone(g.All)
		one.show(columns)
		h.Groups = append(h.Groups, one)
	}
	return h
}
