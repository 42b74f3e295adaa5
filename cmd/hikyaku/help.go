package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hikyaku/internal/locale"
)

// inLanguage puts what the commands say of themselves into a language.
func inLanguage(c *cobra.Command, l locale.Language) {
	if l == locale.English {
		return
	}
	c.Short, c.Long = l.Text(c.Short), longIn(l, c.Long)
	c.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = l.Text(f.Usage) })
	for _, sub := range c.Commands() {
		inLanguage(sub, l)
	}
}

// longIn translates a text paragraph by paragraph, as several commands share some.
func longIn(l locale.Language, text string) string {
	said := paragraphs(text)
	for i, key := range said {
		said[i] = l.Text(key)
	}
	return strings.Join(said, "\n\n")
}

// paragraphs are those of a text, each as the catalogs have it: how its lines are broken
// does not matter.
func paragraphs(text string) (keys []string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		keys = append(keys, strings.Join(itemsOf(paragraph), "\n"))
	}
	return keys
}

// helpColumns is how wide help is where it has to be put into lines, and no terminal says.
const helpColumns = 100

// printHelp says how a command is called, as lines that fit the terminal.
func printHelp(c *cobra.Command, _ []string) {
	out := c.OutOrStdout()
	if asked(c, "json") {
		_ = json.NewEncoder(out).Encode(describeCommand(c))
		return
	}
	_, _ = io.WriteString(out, helpOf(c, languageOf(out), columnsOf(out)))
}

// helpOf is a command's help. Of 0 columns it keeps the lines of its texts.
func helpOf(c *cobra.Command, l locale.Language, most int) string {
	var b strings.Builder
	long := c.Long
	if most > 0 || l != locale.English {
		long = filled(long, helpWidth(most))
	}
	section := func(title locale.Message) { fmt.Fprintf(&b, "\n%s\n", title.In(l)) }
	fmt.Fprintf(&b, "%s\n", long)
	section(locale.T("Usage:"))
	if c.Runnable() && !groups(c) {
		fmt.Fprintf(&b, "  %s\n", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s [command]\n", c.CommandPath())
	}
	if c.Example != "" {
		section(locale.T("Examples:"))
		fmt.Fprintf(&b, "%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		section(locale.T("Available Commands:"))
		var rows [][2]string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				rows = append(rows, [2]string{sub.Name(), sub.Short})
			}
		}
		writeGlossary(&b, rows, helpWidth(most))
	}
	section(locale.T("Flags:"))
	writeGlossary(&b, flagRows(c, l), helpWidth(most))
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n%s\n", strings.Join(wrapped(l.Sprintf("Use \"%s [command] --help\" for more information about a command.", c.CommandPath()), helpWidth(most)), "\n"))
	}
	return b.String()
}

func helpWidth(most int) int {
	if most == 0 {
		return helpColumns
	}
	return min(most, helpColumns)
}

// flagRows are a command's flags: how each is given, and what it means.
func flagRows(c *cobra.Command, l locale.Language) (rows [][2]string) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		if f.Name == "help" {
			usage = l.Sprintf("help for %s", c.Name())
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" && f.DefValue != "0s" {
			usage += l.Sprintf(" (default %s)", f.DefValue)
		}
		rows = append(rows, [2]string{name, usage})
	})
	return rows
}

// writeGlossary writes names with what each means, which has lines of its own where there
// is no room for it beside the names.
func writeGlossary(b *strings.Builder, rows [][2]string, most int) {
	widest := 0
	for _, row := range rows {
		widest = max(widest, columns(row[0]))
	}
	const indent, gap, enough = 2, 3, 40
	beside := indent + widest + gap
	for _, row := range rows {
		if most-beside < enough {
			fmt.Fprintf(b, "  %s\n", row[0])
			for _, line := range wrapped(row[1], most-6) {
				fmt.Fprintf(b, "      %s\n", line)
			}
			continue
		}
		for i, line := range wrapped(row[1], most-beside) {
			name := ""
			if i == 0 {
				name = row[0]
			}
			fmt.Fprintf(b, "  %s%s%s\n", name, strings.Repeat(" ", widest-columns(name)+gap), line)
		}
	}
}

// A commandHelp is what help prints with --json.
type commandHelp struct {
	Command  string     `json:"command"`
	Use      string     `json:"use"`
	Short    string     `json:"short"`
	Long     string     `json:"long"`
	Example  string     `json:"example,omitempty"`
	Flags    []flagHelp `json:"flags"`
	Commands []subHelp  `json:"commands,omitempty"`
}

type flagHelp struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Usage   string `json:"usage"`
	Default string `json:"default,omitempty"`
}

type subHelp struct {
	Name  string `json:"name"`
	Short string `json:"short"`
}

func describeCommand(c *cobra.Command) commandHelp {
	h := commandHelp{Command: c.CommandPath(), Use: c.UseLine(), Short: c.Short, Long: c.Long, Example: c.Example}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			h.Flags = append(h.Flags, flagHelp{f.Name, f.Value.Type(), f.Usage, f.DefValue})
		}
	})
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			h.Commands = append(h.Commands, subHelp{sub.Name(), sub.Short})
		}
	}
	return h
}

// groups reports that a command only groups others.
func groups(c *cobra.Command) bool { return c.Annotations[groupOnly] != "" }

// groupOnly is the annotation of commands that only group others.
const groupOnly = "hikyaku_group"

func showHelp(c *cobra.Command, _ []string) error {
	printHelp(c, nil)
	return nil
}

// A commandTree is what help prints with --tree: all commands, of which the references are
// made.
type commandTree struct {
	Commands []commandHelp `json:"commands"`
}

// describeTree are a command and those below it that help shows.
func describeTree(c *cobra.Command) (all []commandHelp) {
	all = append(all, describeCommand(c))
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			all = append(all, describeTree(sub)...)
		}
	}
	return all
}

func newHelp() *cobra.Command {
	c := &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Say how a command is called",
		Long: "Prints the help of a command, as its --help does: what it does, how it is called, examples, and its\n" +
			"flags. With --json it is one object.",
		Example: "  hikyaku help tokens refresh\n  hikyaku help export --json",
		Args:    cobra.ArbitraryArgs,
		ValidArgsFunction: func(c *cobra.Command, a []string, _ string) ([]string, cobra.ShellCompDirective) {
			at, _, err := c.Root().Find(a)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, sub := range at.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, sub.Name()+"\t"+sub.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, a []string) error {
			at, rest, err := c.Root().Find(a)
			if err != nil || at == nil || len(rest) > 0 && at.HasAvailableSubCommands() {
				return &usageError{locale.Errorf("there is no command %q: 'hikyaku help' lists them", strings.Join(a, " "))}
			}
			switch {
			case asked(c, "tree"):
				return json.NewEncoder(c.OutOrStdout()).Encode(commandTree{describeTree(at)})
			case asked(c, "json"):
				return json.NewEncoder(c.OutOrStdout()).Encode(describeCommand(at))
			}
			printHelp(at, nil)
			return nil
		},
	}
	c.Flags().Bool("tree", false, "with --json: of all commands below it, too")
	return c
}
