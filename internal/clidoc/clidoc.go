// Package clidoc writes the reference of the command line, docs/cli.md, and a page of the
// manual for each command from what the commands say of themselves:
//
//	files := clidoc.Files(commands)
//
// It is smaller than cobra's own generator, which would bring a Markdown parser along.
package clidoc

import (
	"fmt"
	"strings"
)

// A Command is what a command says of itself, as 'hikyaku help --json --tree' prints it.
type Command struct {
	Command  string `json:"command"` // its whole name
	Use      string `json:"use"`
	Short    string `json:"short"`
	Long     string `json:"long"`
	Example  string `json:"example"`
	Flags    []Flag `json:"flags"`
	Commands []struct {
		Name  string `json:"name"`
		Short string `json:"short"`
	} `json:"commands"`
}

// A Flag is one of a command's.
type Flag struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Usage   string `json:"usage"`
	Default string `json:"default"`
}

// of is how a flag is given.
func (f Flag) of() string {
	if f.Type == "bool" {
		return "--" + f.Name
	}
	return "--" + f.Name + " " + f.Type
}

// usage is what a flag means, with its default where that says something.
func (f Flag) usage() string {
	switch f.Default {
	case "", "false", "0", "[]", "0s":
		return f.Usage
	}
	return f.Usage + " (default " + f.Default + ")"
}

// Files are the reference and the pages of the manual, by their names below docs.
func Files(all []Command) map[string]string {
	files := map[string]string{"cli.md": reference(all)}
	for _, c := range all {
		files["man/"+page(c.Command)+".1"] = manual(c)
	}
	return files
}

// page is the name of a command's page of the manual.
func page(command string) string { return strings.ReplaceAll(command, " ", "-") }

func reference(all []Command) string {
	var b strings.Builder
	b.WriteString("# The command line\n\nEvery command with its flags, as `hikyaku help` shows them. This page and the pages of the manual in [man](man) are\nwritten by `go run ./scripts/clidoc`.\n\nEvery command takes `--json`, `--help` and `--version`, which are not repeated below.\n\n")
	for _, c := range all {
		fmt.Fprintf(&b, "- [%s](#%s): %s\n", c.Command, page(c.Command), escape(c.Short))
	}
	for _, c := range all {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```text\n%s\n```\n", c.Command, paragraphs(c.Long), c.Use)
		if c.Example != "" {
			fmt.Fprintf(&b, "\n```sh\n%s\n```\n", dedent(c.Example))
		}
		flags := own(c.Flags)
		if len(flags) == 0 {
			continue
		}
		b.WriteString("\n| flag | meaning |\n|---|---|\n")
		for _, f := range flags {
			fmt.Fprintf(&b, "| `%s` | %s |\n", f.of(), escape(f.usage()))
		}
	}
	return b.String()
}

// own are the flags that not every command has.
func own(all []Flag) (flags []Flag) {
	for _, f := range all {
		if f.Name != "help" && f.Name != "json" && f.Name != "version" {
			flags = append(flags, f)
		}
	}
	return flags
}

// paragraphs keeps a text's lines that begin with blanks as a block of their own.
func paragraphs(text string) string {
	var out []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(paragraph, "\n")
		listed := 0
		for _, line := range lines {
			if strings.HasPrefix(line, "  ") {
				listed++
			}
		}
		if listed == 0 {
			out = append(out, escape(strings.Join(lines, "\n")))
			continue
		}
		head := lines[:len(lines)-listed]
		if len(head) > 0 {
			out = append(out, escape(strings.Join(head, "\n")))
		}
		out = append(out, "```text\n"+strings.Join(lines[len(head):], "\n")+"\n```")
	}
	return strings.Join(out, "\n\n")
}

// escape shows a text in Markdown as it is.
func escape(text string) string {
	return strings.NewReplacer("<", "&lt;", "|", "\\|", "*", "\\*", "_", "\\_", "[", "\\[").Replace(text)
}

// dedent takes the two blanks away with which examples begin.
func dedent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}

// manual is a command's page of the manual, for man.
func manual(c Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"Hikyaku\" \"Hikyaku\"\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n.SH DESCRIPTION\n", strings.ToUpper(page(c.Command)), page(c.Command), roff(c.Short), roff(c.Use))
	for i, paragraph := range strings.Split(c.Long, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.Contains("\n"+paragraph, "\n  ") {
			fmt.Fprintf(&b, ".nf\n%s\n.fi\n", roff(paragraph))
			continue
		}
		fmt.Fprintf(&b, "%s\n", roff(paragraph))
	}
	b.WriteString(".SH OPTIONS\n")
	for _, f := range c.Flags {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(f.of()), roff(f.usage()))
	}
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(dedent(c.Example)))
	}
	var see []string
	if i := strings.LastIndexByte(c.Command, ' '); i > 0 {
		see = append(see, page(c.Command[:i]))
	}
	for _, sub := range c.Commands {
		see = append(see, page(c.Command+" "+sub.Name))
	}
	if len(see) > 0 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", strings.Join(see, " (1),\n.BR "))
	}
	return b.String()
}

// roff shows a text in a page of the manual as it is.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
