package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/export/records"
	"hikyaku/internal/fold"
	"hikyaku/internal/locale"
)

// listFlags say which records of a provider's list are shown.
type listFlags struct {
	shopCall

	search      string
	limit, most int
}

const mostRead = 5000 // unless --most says otherwise

func (f *listFlags) add(c *cobra.Command) {
	f.shopCall.add(c)
	c.Flags().StringVar(&f.search, "search", "", "only those in which this text stands: a name, an address, a telephone number, an id")
	c.Flags().IntVar(&f.limit, "limit", pageOfRecords, "at most so many")
	c.Flags().IntVar(&f.most, "most", mostRead, "read at most so many of the provider's list")
}

// check refuses numbers that mean nothing.
func (f *listFlags) check() error {
	if f.limit < 1 || f.limit > mostRecords || f.most < 1 {
		return &usageError{locale.Errorf("--limit takes a number from 1 to %d, --most one above 0", mostRecords)}
	}
	return nil
}

// listsAlone lets a command that groups others list by itself, as its 'list' does: with the
// provider's name alone.
func listsAlone(group, list *cobra.Command) {
	group.Flags().AddFlagSet(list.Flags())
	group.ValidArgs = list.ValidArgs
	group.Args = func(c *cobra.Command, a []string) error {
		if len(a) > 0 && !slices.Contains(c.ValidArgs, a[0]) {
			names := slices.Clone(c.ValidArgs)
			for _, sub := range c.Commands() {
				names = append(names, sub.Name())
			}
			return locale.Errorf("%q means nothing to %q%s", a[0], c.CommandPath(), instead(a[0], names))
		}
		if len(a) == 0 {
			return nil
		}
		return list.Args(c, a)
	}
	group.RunE = func(c *cobra.Command, a []string) error {
		if len(a) == 0 {
			return showHelp(c, a)
		}
		return list.RunE(c, a)
	}
}

// A listed is one record of a provider's list.
type listed struct {
	ID      string          `json:"id"`
	FoundIn string          `json:"found_in,omitempty"` // the field in which the text stands
	Record  json.RawMessage `json:"record"`             // as the provider sent it
}

// Why a list has ended.
const (
	endOfList = "end"   // everything was read
	atLimit   = "limit" // there may be more
	atMost    = "most"  // as much was read as may be
	exactly   = "exact" // the record of that id or name was asked for singly, and found
)

// A listing is what a list answers.
type listing struct {
	Provider string   `json:"provider"`
	Records  []listed `json:"records"`
	Read     int      `json:"read"`    // records that were looked at
	Stopped  string   `json:"stopped"` // end, limit, most or exact
}

// collect reads a list until it has what is asked for.
func (f *listFlags) collect(ctx context.Context, provider string, list iter.Seq2[listed, error], told func(read, found int)) (listing, error) {
	answer, wanted := listing{Provider: provider, Records: []listed{}, Stopped: endOfList}, newSearcher(f.search)
	for r, err := range list {
		switch {
		case ctx.Err() != nil:
			return answer, stoppedError(fmt.Sprintf("stopped after %d records, of which %d were found", answer.Read, len(answer.Records)))
		case err != nil:
			return answer, err
		case len(answer.Records) == f.limit:
			answer.Stopped = atLimit
			return answer, nil
		case answer.Read == f.most:
			answer.Stopped = atMost
			return answer, nil
		}
		answer.Read++
		if in, found := wanted.finds(r.Record); found {
			r.FoundIn = in
			answer.Records = append(answer.Records, r)
		}
		if told != nil {
			told(answer.Read, len(answer.Records))
		}
	}
	if err := ctx.Err(); err != nil {
		return answer, stoppedError(fmt.Sprintf("stopped after %d records, of which %d were found", answer.Read, len(answer.Records)))
	}
	return answer, nil
}

// show reads a list, and prints the columns of what was found.
func (f *listFlags) show(c *cobra.Command, provider string, columns []string, list iter.Seq2[listed, error]) error {
	var line *liveLine
	var told func(read, found int)
	if to, terminal := file(c.ErrOrStderr()); terminal {
		line = lineOn(c.ErrOrStderr(), to)
		l := languageOf(c.ErrOrStderr())
		told = func(read, found int) { line.show(l.Sprintf("read %d, found %d", read, found)) }
	}
	answer, err := f.collect(c.Context(), provider, list, told)
	line.clear()
	if err != nil {
		return err
	}
	return f.printListing(c, answer, columns)
}

func (f *listFlags) printListing(c *cobra.Command, answer listing, columns []string) error {
	return f.print(c, answer, func(out io.Writer) error {
		if err := answer.table(out, columns); err != nil {
			return err
		}
		answer.summary(c.ErrOrStderr(), f.search)
		return nil
	})
}

// firstColumns are shown of records whose fields no document names.
const firstColumns = 4

// table prints the records, if there are any.
func (l listing) table(out io.Writer, columns []string) error {
	if len(l.Records) == 0 {
		return nil
	}
	if len(columns) == 0 { // nobody knows the names: those that the first record begins with
		for _, column := range (records.Record{Raw: l.Records[0].Record}).Columns() {
			if len(columns) < firstColumns && column.Value != l.Records[0].ID && !strings.ContainsAny(column.Value, "{[") {
				columns = append(columns, column.Name)
			}
		}
	}
	heading := make([]string, 0, len(columns)+2)
	heading = append(heading, "ID")
	for _, column := range columns {
		heading = append(heading, strings.ToUpper(column))
	}
	searched := slices.ContainsFunc(l.Records, func(r listed) bool { return r.FoundIn != "" })
	if searched {
		heading = append(heading, "FOUND IN")
	}
	rows := make([][]string, 0, len(l.Records))
	for _, r := range l.Records {
		row := append(make([]string, 0, len(heading)), r.ID)
		fields := map[string]string{}
		for _, column := range (records.Record{Raw: r.Record}).Columns() {
			if fields[column.Name] = column.Value; column.Null() {
				fields[column.Name] = ""
			}
		}
		for _, column := range columns {
			row = append(row, fields[column])
		}
		if searched {
			row = append(row, r.FoundIn)
		}
		rows = append(rows, row)
	}
	return writeTable(out, heading, rows)
}

// summary says how far the list was read, and what to do about it.
func (l listing) summary(notes io.Writer, search string) {
	found := count(len(l.Records), "record")
	switch l.Stopped {
	case exactly:
		say(notes, "%s: there is one of exactly this id or name, so the list was not read.", found)
	case atLimit:
		say(notes, "%s, %d read. There may be more: --limit shows more.", found, l.Read)
	case atMost:
		say(notes, "%s, %d read, and the list goes on: --most reads more of it.", found, l.Read)
	default:
		if search != "" {
			say(notes, "%s, of %d in all.", found, l.Read)
			return
		}
		say(notes, "%s.", found)
	}
}

// A searcher finds a text in records, without the difference of capitals and of wide and
// narrow letters. A telephone number is found however it is written.
type searcher struct {
	needle []byte
	digits string // of a number; without the zero before an area code, which +81 stands for
	folded []byte
}

// leastDigits make a number that is looked for in other notations too.
const leastDigits = 5

func newSearcher(text string) *searcher {
	s := &searcher{needle: fold.Append(nil, []byte(strings.TrimSpace(text)))}
	if fold.IsNumber(text, leastDigits) {
		s.digits = strings.TrimPrefix(strings.TrimLeft(fold.Digits(text), "0"), "81")
		if len(s.digits) < leastDigits {
			s.digits = ""
		}
	}
	return s
}

// finds returns the first field in which the text stands.
func (s *searcher) finds(record []byte) (field string, found bool) {
	if len(s.needle) == 0 {
		return "", true
	}
	for _, column := range (records.Record{Raw: record}).Columns() {
		s.folded = records.AppendValues(s.folded[:0], column.JSON)
		if bytes.Contains(s.folded, s.needle) {
			return column.Name, true
		}
		if s.digits != "" && fold.IsNumber(column.Value, leastDigits) && strings.Contains(fold.Digits(column.Value), s.digits) {
			return column.Name, true
		}
	}
	return "", false
}

// A shownRecord is what a get answers.
type shownRecord struct {
	Provider string          `json:"provider"`
	ID       string          `json:"id"`
	Record   json.RawMessage `json:"record"` // as the provider sent it
}

// write prints the fields of the record.
func (r shownRecord) write(out io.Writer) error {
	columns := (records.Record{Raw: r.Record}).Columns()
	rows := make([][2]string, 0, len(columns))
	for _, column := range columns {
		rows = append(rows, [2]string{visible(column.Name), visible(column.Value)})
	}
	return writePairs(out, rows)
}
