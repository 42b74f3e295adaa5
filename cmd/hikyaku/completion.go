package main

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those for which a script of completion can be made.
func shells() []string { return []string{"bash", "fish", "powershell", "zsh"} }

func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells(), "|"),
		Short: "Print a script that lets a shell complete commands, flags and what they take",
		Long: "Prints a script for the shell. Sourced by it, the key Tab completes commands and flags, and what they\n" +
			"take: providers, datasets, the stacks of the account, the runs of a stack. What is looked up waits at most\n" +
			"two seconds for an answer.",
		Example: "  source <(hikyaku completion bash)\n  hikyaku completion zsh > \"${fpath[1]}/_hikyaku\"\n" +
			"  hikyaku completion fish > ~/.config/fish/completions/hikyaku.fish",
		ValidArgs: shells(),
		Args:      oneKnown,
		RunE: func(c *cobra.Command, a []string) error {
			var script strings.Builder
			var err error
			switch root := c.Root(); a[0] {
			case "bash":
				err = root.GenBashCompletionV2(&script, true)
			case "fish":
				err = root.GenFishCompletion(&script, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(&script)
			default:
				err = root.GenZshCompletion(&script)
			}
			if err != nil {
				return err
			}
			if asked(c, "json") {
				return json.NewEncoder(c.OutOrStdout()).Encode(map[string]string{"shell": a[0], "script": script.String()})
			}
			_, err = c.OutOrStdout().Write([]byte(script.String()))
			return err
		},
	}
}
