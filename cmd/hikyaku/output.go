package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// An output is how a command prints its answer: for people, or as JSON for programs.
type output struct{ asJSON bool }

func (o *output) add(c *cobra.Command) {
	c.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object")
}

// logsOf is where a function's log and metrics go that a command runs.
func logsOf(c *cobra.Command, shown bool) io.Writer {
	if shown {
		return c.ErrOrStderr()
	}
	return io.Discard
}

// print prints an answer with --json, and what text writes without.
func (o *output) print(c *cobra.Command, answer any, text func(io.Writer) error) error {
	if o.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(answer)
	}
	return text(c.OutOrStdout())
}

// say is print with a sentence as the text.
func (o *output) say(c *cobra.Command, answer any, sentence string, a ...any) error {
	return o.print(c, answer, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, sentence+"\n", a...)
		return err
	})
}
