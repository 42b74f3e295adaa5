package main

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/export"
)

func newRuns() *cobra.Command {
	f := exportFlags{listing: true}
	c := &cobra.Command{
		Use:   "runs DATASET",
		Short: "List a dataset's runs: complete, accepted, in doubt, unfinished and expired",
		Long: "Lists the runs that have begun at a place, the oldest first. An unfinished run is being written, or\n" +
			"died; the trigger of its time, or 'hikyaku export --at', goes on with it. One in doubt has ended without\n" +
			"being published: the next run asks for all of it again, or 'hikyaku export accept' publishes it. Of one\n" +
			"that is \"not recorded\" a version published it that knew no doubt. One that is expired has ended, and its\n" +
			"objects are gone, as they are once their retention is over; its trigger does not make it again.",
		Example:   "  hikyaku runs shopline/orders --prefix hikyaku --bucket my-bucket\n  hikyaku runs yappli/users --to exports --json",
		ValidArgs: export.DatasetNames(),
		Args:      oneKnown,
		RunE: func(c *cobra.Command, a []string) error {
			direct, d, err := f.open(c, a[0])
			if err != nil {
				return err
			}
			runs, err := direct.Core.Runs(c.Context(), d)
			if err != nil {
				return err
			}
			return f.print(c, map[string][]export.Answer{"runs": runs}, func(out io.Writer) error { return f.writeRuns(out, a[0], runs) })
		},
	}
	f.add(c)
	return c
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
