package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hikyaku/internal/export"
)

func newRuns() *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use:   "runs DATASET",
		Short: "List a dataset's runs, published and unfinished",
		Long: "Lists the runs that have begun at a place, the oldest first. A run that is not published is being\n" +
			"written, or died; the trigger of its time, or 'hikyaku export --at', goes on with it.",
		Example:   "  hikyaku runs shopline/orders --prefix hikyaku --bucket my-bucket\n  hikyaku runs yappli/users --to exports --json",
		ValidArgs: datasetNames(),
		Args:      cobra.MatchAll(cobra.ExactArgs(1), known),
		RunE: func(c *cobra.Command, a []string) error {
			direct, d, err := f.open(c, a[0])
			if err != nil {
				return err
			}
			runs, err := direct.Core.Runs(c.Context(), d)
			if err != nil {
				return err
			}
			if f.asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(map[string][]export.Answer{"runs": runs})
			}
			return writeRuns(c.OutOrStdout(), runs)
		},
	}
	f.add(c)
	return c
}

func writeRuns(out io.Writer, runs []export.Answer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "RUN\tDT\tSTATE\tROWS\tPARTS\tREJECTS\tUNRESOLVED\tMANIFEST")
	for _, a := range runs {
		state := "unfinished"
		if a.Status == export.Done {
			state = "published"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", a.Run, a.DT, state, a.Rows, a.Parts, a.Rejects, a.Drift.Unresolved, cmp.Or(a.Manifest, "-"))
	}
	return table.Flush()
}
