package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/spf13/cobra"

	"hikyaku/internal/doctor"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
)

// A foundError says that a command has found what it looks for to be wrong. What it is
// stands in its output.
type foundError struct {
	worst doctor.Severity // of doctor's findings
	exit  int             // of another command
	what  string          // that it has found
}

// Error names the gravest.
func (e *foundError) Error() string {
	if e.what != "" {
		return e.what
	}
	return e.Says().String()
}

// Says is what was found.
func (e *foundError) Says() locale.Message {
	if e.what != "" {
		return locale.T(e.what)
	}
	return locale.M("the gravest finding is %s", string(e.worst))
}

// code is the command's exit code.
func (e *foundError) code() int {
	if e.exit != 0 {
		return e.exit
	}
	return map[doctor.Severity]int{doctor.Warning: 3, doctor.High: 4, doctor.Critical: 5}[e.worst]
}

func newDoctor() *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything of a stack, and say what is wrong and what to do next",
		Long: "Reads settings, mapping, secrets, tokens (each provider is asked whether it accepts the one that is\n" +
			"served), the webhook, queues, the relay's state, exports, alarms and schedules, and says of each finding\n" +
			"what it means and which command to run next. It writes nothing. What cannot be read is a finding too,\n" +
			"and hides none of the others. The ids are explained in docs/runbook.md, \"Findings of doctor\".\n\n" +
			"How soon: Critical, now, before something is lost; High, today; Warning, this week; Note, good to know.\n" +
			"Exit codes: 0 nothing but notes; 3, 4 or 5 if the gravest finding is a Warning, High or Critical; 1 the\n" +
			"stack could not be found. Times are UTC.\n\n" +
			"--notify sends one test message to those who are told of alarms, and is all that it ever writes.",
		Example: "  hikyaku doctor --stack hikyaku\n  hikyaku doctor --json | jq -r '.findings[].next'\n  hikyaku doctor --notify",
		RunE: func(c *cobra.Command, _ []string) error {
			g, err := f.open(c)
			if err != nil {
				return err
			}
			o := g.observe(c.Context())
			if err := c.Context().Err(); err != nil {
				return err // what was cut off says nothing of the stack
			}
			report := doctorReport{Account: g.stack.Account, Region: g.stack.Region, Stack: g.stack.Name, Findings: doctor.Examine(o), Checked: doctor.Checked(o)}
			if report.Findings == nil {
				report.Findings = []doctor.Finding{}
			}
			if err := f.print(c, report, report.write); err != nil {
				return err
			}
			if f.notify {
				if err := g.notify(c); err != nil {
					return err
				}
			}
			return report.judge()
		},
	}
	f.add(c)
	return c
}

type doctorFlags struct {
	output

	stack  stackFlags
	notify bool
}

func (f *doctorFlags) add(c *cobra.Command) {
	f.stack.addDeployed(c)
	c.Flags().BoolVar(&f.notify, "notify", false, "send one test message to those who are told of alarms")
	f.output.add(c)
}

// open finds the stack.
func (f *doctorFlags) open(c *cobra.Command) (*gatherer, error) {
	place := f.stack.Place
	if place.Stack = f.stack.name(""); place.Stack == "" {
		return nil, &usageError{locale.Errorf("no stack is named: give --stack NAME (HIKYAKU_STACK)")}
	}
	opened, err := place.Find(c.Context())
	if err != nil {
		return nil, err
	}
	s := opened.Stack
	say(c.ErrOrStderr(), "Account %s, %s, stack %s\n", s.Account, s.Region, visible(s.Name))
	return newGatherer(opened, place), nil
}

// A doctorReport is what --json prints.
type doctorReport struct {
	Account  string           `json:"account"`
	Region   string           `json:"region"`
	Stack    string           `json:"stack"`
	Findings []doctor.Finding `json:"findings"`
	Checked  []string         `json:"checked"` // ids that could be looked for
}

// judge is an error if there is more than notes.
func (r doctorReport) judge() error {
	if len(r.Findings) == 0 || r.Findings[0].Severity == doctor.Note {
		return nil
	}
	return &foundError{worst: r.Findings[0].Severity}
}

// textColumns is the width that every terminal has.
const textColumns = 60

func (r doctorReport) write(out io.Writer) error {
	var b strings.Builder
	l, paint := languageOf(out), painterOf(out)
	counts := map[doctor.Severity]int{}
	for _, f := range r.Findings {
		if counts[f.Severity]++; counts[f.Severity] == 1 {
			fmt.Fprintf(&b, "%s\n", paint.in(colorOf(string(f.Severity)), l.Text(string(f.Severity))))
		}
		for _, line := range wrapped(f.ID+": "+visible(f.MessageIn(l)), textColumns-2) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
		for i, line := range folded(shellWords(l.Text("next:")+" "+visible(f.Next)), textColumns-2, ` \`) {
			fmt.Fprintf(&b, "  %s%s\n", map[bool]string{true: "  "}[i > 0], line)
		}
		b.WriteString("\n")
	}
	var sums []string
	for _, severity := range doctor.Severities() {
		if n := counts[severity]; n > 0 {
			sums = append(sums, l.Sprintf("%d %s", n, locale.T(string(severity))))
		}
	}
	if len(sums) == 0 {
		b.WriteString(l.Sprintf("All is well: %d things looked at.", len(r.Checked)) + "\n")
	} else {
		b.WriteString(l.Sprintf("%s; %d things looked at.", strings.Join(sums, l.Text(", ")), len(r.Checked)) + "\n")
	}
	_, err := writePainted(out, b.String())
	return err
}

// shellWords are those of a shell's command: a blank in single quotes parts none.
func shellWords(command string) (all []string) {
	quoted, escaped, begin := false, false, 0
	for i, r := range command {
		switch {
		case escaped:
			escaped = false
		case r == '\'':
			quoted = !quoted
		case quoted:
		case r == '\\':
			escaped = true
		case r == ' ':
			all, begin = append(all, command[begin:i]), i+1
		}
	}
	return append(all, command[begin:])
}

// folded puts words into lines of so many columns, of which each but the last ends in
// more. A word that is longer has a line of its own.
func folded(words []string, columns int, more string) []string {
	var lines []string
	line := ""
	for _, word := range words {
		switch room := columns - utf8.RuneCountInString(line+more) - 1; {
		case line == "":
			line = word
		case utf8.RuneCountInString(word) <= room:
			line += " " + word
		default:
			lines = append(lines, line+more)
			line = word
		}
	}
	return append(lines, line)
}

// notify sends a test message to the topic of the alarms.
func (g *gatherer) notify(c *cobra.Command) error {
	topic := g.stack.Outputs[topicOutput]
	if topic == "" {
		return locale.Errorf("the stack %s names no topic to which a test could be sent: it is older than this command", g.stack.Name)
	}
	ctx, cancel := context.WithTimeout(c.Context(), sourceTime)
	defer cancel()
	subject := "Hikyaku test"
	message := fmt.Sprintf("Hikyaku %s: this is a test of who is told of alarms, sent at %s. Nothing has to be done.", g.stack.Name, time.Now().UTC().Format(time.RFC3339))
	if _, err := sns.NewFromConfig(g.stack.Config).Publish(ctx, &sns.PublishInput{TopicArn: &topic, Subject: &subject, Message: &message}); err != nil {
		return locale.Errorf("sending a test to %s: %w", topic, clibase.Plain(err))
	}
	say(c.ErrOrStderr(), "A test message was sent to %s.", topic)
	return nil
}
