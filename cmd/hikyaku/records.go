package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/export"
	"hikyaku/internal/export/records"
	"hikyaku/internal/locale"
)

const (
	pageOfRecords = 20     // shown, unless --limit says otherwise
	mostRecords   = 10_000 // in one object of --json
)

// A recordsCall is one call of 'records'.
type recordsCall struct {
	exportFlags

	run     string
	query   records.Query
	columns []string
	lines   bool
}

// A foundRecord is one record, as --json has it.
type foundRecord struct {
	Number int             `json:"number"` // in the run, from 1
	Record json.RawMessage `json:"record"`
}

// A recordsPage is what 'records' answers.
type recordsPage struct {
	Dataset  string        `json:"dataset"`
	Run      string        `json:"run"`
	State    export.State  `json:"state"`
	Manifest string        `json:"manifest"` // key
	Rows     int           `json:"rows"`     // of the run
	Read     int           `json:"read"`     // that were looked at
	More     bool          `json:"more"`     // there are others after these
	Columns  []string      `json:"columns"`  // names of the fields, in the order in which they were met
	Records  []foundRecord `json:"records"`
}

func newRecords() *cobra.Command {
	call := recordsCall{exportFlags: exportFlags{listing: true}}
	c := &cobra.Command{
		Use:   "records DATASET",
		Short: "Read and search the records of a run that was exported",
		Long: "Reads the records of the newest published run, or of --run, and prints them as they are found, each with\n" +
			"its number and its fields; what is nested stands there as JSON, what is null not at all. --search chooses\n" +
			"those in which a text stands, in any value, without the difference of capitals and of wide and narrow\n" +
			"letters; --columns chooses fields. It stops after 20, or --limit; --skip goes on from there. It reads the\n" +
			"run's files and nothing else, in little memory, and Ctrl-C ends it at once. The output holds personal data.\n\n" +
			"--to is where the run lies, as 'hikyaku runs' has it: s3://bucket/prefix or a directory. With --lines, or\n" +
			"--to - for the stack's own place, it prints the lines as they are stored, all of them unless --limit says\n" +
			"otherwise.\n\n" +
			"With --json: dataset, run, state, manifest, rows, read, more, columns, and records (number, record); at\n" +
			"most 10,000 at once.",
		Example: "  hikyaku records yappli/users --search 見本 --stack hikyaku\n  hikyaku records shopline/orders --columns id,status --skip 20 --json\n" +
			"  hikyaku records supersaas/users --run 20261122T003000Z --lines > users.jsonl",
		ValidArgs: export.DatasetNames(),
		Args:      oneKnown,
		RunE:      func(c *cobra.Command, a []string) error { return call.show(c, a[0]) },
	}
	call.stack.add(c)
	call.output.add(c)
	flags := c.Flags()
	flags.StringVar(&call.to, "to", "", "where the run lies: s3://bucket/prefix or a directory (default: the stack's own bucket and prefix)")
	flags.StringVar(&call.run, "run", "", "the run, as 'hikyaku runs' names it (default: the newest published one)")
	flags.StringVar(&call.query.Search, "search", "", "only records in which this text stands")
	flags.StringSliceVar(&call.columns, "columns", nil, "fields to show, separated by commas (default: all)")
	flags.IntVar(&call.query.Skip, "skip", 0, "how many to leave out first")
	flags.IntVar(&call.query.Limit, "limit", pageOfRecords, "at most so many; 0: all")
	flags.BoolVar(&call.lines, "lines", false, "print the lines as they are stored")
	return c
}

// check refuses what cannot be meant, and sets what follows from other flags.
func (r *recordsCall) check(c *cobra.Command) error {
	if r.to == toPipe {
		r.to, r.lines = "", true
	}
	if r.lines && !c.Flags().Changed("limit") {
		r.query.Limit = 0
	}
	switch {
	case r.query.Skip < 0 || r.query.Limit < 0:
		return &usageError{locale.Errorf("--skip and --limit take numbers that are not below 0")}
	case r.lines && r.asJSON:
		return &usageError{locale.Errorf("--lines and --json: give one of the two; lines are many objects, and --json is one")}
	case r.lines && len(r.columns) > 0:
		return &usageError{locale.Errorf("--lines and --columns: give one of the two; lines are printed whole, as they are stored")}
	case r.asJSON && (r.query.Limit == 0 || r.query.Limit > mostRecords):
		return &usageError{locale.Errorf("--limit: with --json at most %d records come at once; go on with --skip, or print --lines", mostRecords)}
	}
	return nil
}

func (r *recordsCall) show(c *cobra.Command, dataset string) error {
	if err := r.check(c); err != nil {
		return err
	}
	direct, d, err := r.open(c, dataset)
	if err != nil {
		return err
	}
	answer, err := direct.Core.RunNamed(c.Context(), d, r.run)
	if err != nil {
		return err
	}
	key, err := readable(answer)
	if err != nil {
		return err
	}
	run, err := records.Open(c.Context(), direct.Objects, key)
	if err != nil {
		return err
	}
	page := recordsPage{Dataset: dataset, Run: answer.Run, State: answer.State, Manifest: key, Rows: run.Manifest.Rows, Columns: []string{}, Records: []foundRecord{}}
	query := r.query
	if query.Limit > 0 {
		query.Limit++ // to know whether there are more
	}
	return r.print(c, run.Scan(query), page)
}

// readable is the key of the manifest of a run whose records can be read.
func readable(a export.Answer) (string, error) {
	switch {
	case a.State == export.Expired:
		return "", locale.Errorf("the run %s has expired: its records are gone, as they are once their retention is over; 'hikyaku runs' lists those that are there", a.Run)
	case a.Manifest != "":
		return a.Manifest, nil
	case a.Doubt != "":
		return a.Doubt, nil
	}
	return "", locale.Errorf("the run %s is not finished: its records can be read once it has ended, see 'hikyaku runs'", a.Run)
}

// print prints what a scan finds as it comes, or with --json together.
func (r *recordsCall) print(c *cobra.Command, scan *records.Scan, page recordsPage) error {
	line, told := r.progress(c, scan, page.Rows)
	defer line.clear()
	out := c.OutOrStdout()
	if raw, _ := file(out); r.lines && raw != nil {
		out = unseen(out, raw)
	}
	n := 0
	for record, err := range watched(c.Context(), scan, told) {
		switch {
		case c.Context().Err() != nil:
			return stoppedError(fmt.Sprintf("stopped after %d records, of which %d were printed", scan.Read(), n))
		case err != nil:
			return err
		case n == r.query.Limit && n > 0:
			page.More = true
			continue
		}
		n++
		if r.asJSON {
			page.add(record, r.columns)
			continue
		}
		line.clear()
		if err := r.printOne(out, record); err != nil {
			return err
		}
	}
	line.clear()
	page.Read = scan.Read()
	if r.asJSON {
		return r.output.print(c, page, nil)
	}
	r.summary(c, page, n)
	return nil
}

// unseen is standard output for programs: a terminal gets nothing that it would obey.
func unseen(out io.Writer, raw *os.File) io.Writer {
	if _, terminal := file(raw); terminal {
		return out
	}
	return raw
}

func (r *recordsCall) printOne(out io.Writer, record records.Record) error {
	if r.lines {
		_, err := fmt.Fprintf(out, "%s\n", record.Raw)
		return err
	}
	if _, err := fmt.Fprintf(out, "#%d\n", record.Number); err != nil {
		return err
	}
	columns := chosen(record, r.columns)
	rows := make([][2]string, 0, len(columns))
	for _, column := range columns {
		if column.Null() && len(r.columns) == 0 {
			continue // most of a record may be null
		}
		rows = append(rows, [2]string{"  " + visible(column.Name), visible(column.Value)})
	}
	return writePairs(out, rows)
}

// chosen are the columns of a record that are asked for, in that order; all, if none is.
func chosen(record records.Record, names []string) []records.Column {
	columns := record.Columns()
	if len(names) == 0 {
		return columns
	}
	var list []records.Column
	for _, name := range names {
		if i := slices.IndexFunc(columns, func(c records.Column) bool { return c.Name == name }); i >= 0 {
			list = append(list, columns[i])
		}
	}
	return list
}

// add keeps a record for --json.
func (p *recordsPage) add(record records.Record, names []string) {
	columns := chosen(record, names)
	for _, c := range columns {
		if !slices.Contains(p.Columns, c.Name) {
			p.Columns = append(p.Columns, c.Name)
		}
	}
	raw := append(json.RawMessage(nil), record.Raw...)
	if len(names) > 0 {
		raw = json.RawMessage("{")
		for i, c := range columns {
			if i > 0 {
				raw = append(raw, ',')
			}
			name, _ := json.Marshal(c.Name) // a text
			raw = append(append(append(raw, name...), ':'), c.JSON...)
		}
		raw = append(raw, '}')
	}
	p.Records = append(p.Records, foundRecord{record.Number, raw})
}

// summary says on standard error what was printed and how to go on.
func (r *recordsCall) summary(c *cobra.Command, page recordsPage, n int) {
	notes := c.ErrOrStderr()
	say(notes, "%s of the run %s of %s (%s), which has %d.", count(n, "record"), page.Run, page.Dataset, locale.T(string(page.State)), page.Rows)
	if page.More {
		say(notes, "There are more: --skip %d goes on.", r.query.Skip+n)
	}
}

// progress shows on a terminal how far a search has come.
func (r *recordsCall) progress(c *cobra.Command, scan *records.Scan, rows int) (*liveLine, func()) {
	to, terminal := file(c.ErrOrStderr())
	if !terminal {
		return nil, nil
	}
	line, l := lineOn(c.ErrOrStderr(), to), languageOf(c.ErrOrStderr())
	return line, func() { line.show(l.Sprintf("read %d of %d records", scan.Read(), rows)) }
}

// watched yields what a scan finds, and lets a person see each half second how far it is.
func watched(ctx context.Context, scan *records.Scan, told func()) func(func(records.Record, error) bool) {
	if told == nil {
		return scan.All(ctx)
	}
	return func(yield func(records.Record, error) bool) {
		done := make(chan struct{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			ticker := time.NewTicker(500 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-ticker.C:
					told()
				case <-done:
					return
				}
			}
		}()
		scan.All(ctx)(yield)
		close(done)
		<-ended
	}
}
