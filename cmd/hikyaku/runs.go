package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/locale"
)

// A runsCall is one call of 'runs'.
type runsCall struct {
	exportFlags

	since, run string
}

// A runDetail is what 'runs --run' answers.
type runDetail struct {
	export.Answer

	Place string           `json:"place,omitempty"`     // of the manifest, as 'verify' and 'export accept' take it
	Whole *export.Manifest `json:"described,omitempty"` // what the manifest says; null: the run has none
}

func newRuns() *cobra.Command {
	f := runsCall{exportFlags: exportFlags{listing: true}}
	c := &cobra.Command{
		Use:   "runs DATASET",
		Short: "List a dataset's runs: complete, accepted, in doubt, unfinished and expired",
		Long: "Lists the runs that have begun at a place, the oldest first. An unfinished run is being written, or\n" +
			"died; the trigger of its time, or 'hikyaku export --at', goes on with it. One in doubt has ended without\n" +
			"being published: the next run asks for all of it again, or 'hikyaku export accept' publishes it. Of one\n" +
			"that is \"not recorded\" a version published it that knew no doubt. One that is expired has ended, and its\n" +
			"objects are gone, as they are once their retention is over; its trigger does not make it again.\n\n" +
			"--since lists those only that were due from a day on. --run tells all of one run: its parts with their\n" +
			"bytes, how it was read, and its doubts with their reasons.",
		Example: "  hikyaku runs shopline/orders --prefix hikyaku --bucket my-bucket\n  hikyaku runs yappli/users --to exports --json\n" +
			"  hikyaku runs yappli/users --since 2026-11-01 --stack hikyaku\n  hikyaku runs yappli/users --run 20261122T003000Z --stack hikyaku",
		ValidArgs: export.DatasetNames(),
		Args:      oneKnown,
		RunE:      func(c *cobra.Command, a []string) error { return f.list(c, a[0]) },
	}
	f.add(c)
	c.Flags().StringVar(&f.since, "since", "", "only runs that were due from this day on, such as 2026-11-22")
	c.Flags().StringVar(&f.run, "run", "", "tell all of this run")
	return c
}

func (f *runsCall) list(c *cobra.Command, dataset string) error {
	var since time.Time
	if f.since != "" {
		var err error
		if since, err = time.Parse(time.DateOnly, f.since); err != nil {
			return &usageError{locale.Errorf("--since %s: expected a day such as 2026-11-22", visible(f.since))}
		}
	}
	direct, d, err := f.open(c, dataset)
	if err != nil {
		return err
	}
	if f.run != "" {
		return f.one(c, direct, d)
	}
	runs, err := direct.Core.RunsSince(c.Context(), d, since)
	if err != nil {
		return err
	}
	return f.print(c, map[string][]export.Answer{"runs": runs}, func(out io.Writer) error { return f.writeRuns(out, dataset, runs) })
}

// one tells all of a run.
func (f *runsCall) one(c *cobra.Command, direct *exportfn.Direct, d export.Dataset) error {
	answer, err := direct.Core.RunNamed(c.Context(), d, f.run)
	if err != nil {
		return err
	}
	told := runDetail{Answer: answer}
	if key := cmp.Or(answer.Manifest, answer.Doubt); key != "" && answer.State != export.Expired {
		whole, err := export.ReadManifest(c.Context(), direct.Objects, key)
		if err != nil {
			return err
		}
		told.Place, told.Whole = f.place(key), &whole
	}
	return f.print(c, told, func(out io.Writer) error { return f.writeOne(out, told) })
}

func (f *runsCall) writeOne(out io.Writer, told runDetail) error {
	if err := f.writeRuns(out, told.Dataset, []export.Answer{told.Answer}); err != nil || told.Whole == nil {
		return err
	}
	for _, d := range told.Doubts {
		_, _ = fmt.Fprintln(out, visible(d.Kind+": "+d.Detail))
	}
	cells := make([][]string, 0, len(told.Whole.Parts))
	for _, p := range told.Whole.Parts {
		cells = append(cells, []string{f.place(p.Key), strconv.Itoa(p.Rows), strconv.FormatInt(p.Bytes, 10), strconv.FormatInt(p.StoredBytes, 10), strconv.Itoa(p.Rejects)})
	}
	_, _ = fmt.Fprintln(out)
	return writeTable(out, []string{"PART", "ROWS", "BYTES", "STORED", "REJECTS"}, cells)
}

func (f *exportFlags) writeRuns(out io.Writer, dataset string, runs []export.Answer) error {
	if len(runs) == 0 {
		say(out, "No run of %s has begun at %s.", dataset, visible(f.place("")))
		return nil
	}
	cells := make([][]string, 0, len(runs))
	for _, a := range runs {
		kinds := make([]string, 0, len(a.Doubts))
		for _, d := range a.Doubts {
			kinds = append(kinds, d.Kind)
		}
		kinds = slices.Compact(slices.Sorted(slices.Values(kinds)))
		cells = append(cells, []string{
			string(a.State), a.Run, visible(a.DT), strconv.Itoa(a.Rows), strconv.Itoa(a.Parts), strconv.Itoa(a.Rejects), strconv.Itoa(a.Drift.Unresolved),
			visible(cmp.Or(strings.Join(kinds, ","), "-")), f.manifest(a),
		})
	}
	return writeTable(out, []string{"STATE", "RUN", "DT", "ROWS", "PARTS", "REJECTS", "UNRESOLVED", "DOUBTS", "MANIFEST"}, cells)
}

// manifest is the place of what a run ended with.
func (f *exportFlags) manifest(a export.Answer) string {
	key := cmp.Or(a.Manifest, a.Doubt)
	if key == "" {
		return "-"
	}
	return visible(f.place(key))
}
