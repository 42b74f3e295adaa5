package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

const jsonUsage = "print one JSON object"

// An output is how a command prints its answer: for people, or as JSON for programs.
type output struct{ asJSON bool }

func (o *output) add(c *cobra.Command) {
	c.Flags().BoolVar(&o.asJSON, "json", false, jsonUsage)
}

// logsOf is where a function's log and metrics go that a command runs.
func logsOf(c *cobra.Command, shown bool) io.Writer {
	if shown {
		return c.ErrOrStderr()
	}
	return io.Discard
}

// print prints an answer with --json, and what text writes without. An answer is printed
// once the command has ended, as an error belongs into the same object; a command that
// goes on after it, such as a server, encodes it itself.
func (o *output) print(c *cobra.Command, answer any, text func(io.Writer) error) error {
	if !o.asJSON {
		return text(c.OutOrStdout())
	}
	if out, ok := c.OutOrStdout().(*visibleWriter); ok {
		return out.hold(answer)
	}
	return json.NewEncoder(c.OutOrStdout()).Encode(answer)
}

// say is print with a sentence as the text.
func (o *output) say(c *cobra.Command, answer any, sentence string, a ...any) error {
	return o.print(c, answer, func(out io.Writer) error {
		_, err := fmt.Fprintln(out, languageOf(out).Sprintf(sentence, a...))
		return err
	})
}
