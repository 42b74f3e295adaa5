package main

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/pause"
	"hikyaku/pkg/providers"
)

// everyPart stands for all parts of a stack.
const everyPart = "all"

// pauseFlags are those of pause and resume.
type pauseFlags struct {
	refresherFlags

	yes bool
}

func (f *pauseFlags) add(c *cobra.Command) {
	f.stack.addDeployed(c)
	f.output.add(c)
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	c.ValidArgs = append(pause.Parts(), everyPart)
}

func partsOf(name string) []string {
	if name == everyPart {
		return pause.Parts()
	}
	return []string{name}
}

// A pausing is a stack that is to be paused or resumed.
type pausing struct {
	switchboard

	tokens *stackRefresher
	writes bool // the relay writes to Yappli
}

func (f *pauseFlags) open(c *cobra.Command) (*pausing, error) {
	if f.stack.name("") == "" {
		return nil, locale.Errorf("no stack is named: give --stack NAME, or set HIKYAKU_STACK")
	}
	e, err := f.stack.environ(c, "", localstack.Relay)
	if err != nil {
		return nil, err
	}
	e.Out = io.Discard
	tokens, err := newStackRefresher(c.Context(), e)
	if err != nil {
		return nil, err
	}
	return &pausing{
		switchboard{f.stack.found, tokens.base.Objects, tokens.base.Common.Prefix}, tokens, e.Vars["HIKYAKU_RELAY"] == "write",
	}, nil
}

// sayPaused says whose pauses a command changes: somebody else may count on them.
func (p *pausing) sayPaused(c *cobra.Command, parts []string) error {
	state, err := pause.Read(c.Context(), p.objects, p.prefix)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if is := state.Of(part); is != nil {
			say(c.ErrOrStderr(), "%s is paused until %s by %s: %s", part, is.Until.UTC().Format(time.RFC3339), visible(is.By), visible(is.Reason))
		}
	}
	return nil
}

// agreed asks on a terminal if the stack writes, and always if tokens rest.
func (f *pauseFlags) agreed(c *cobra.Command, writes, always bool, otherwise string) error {
	if f.yes || !always && (!writes || !isTerminal(c.InOrStdin())) {
		return nil
	}
	return confirm(c, otherwise)
}

// A pauseAnswer is what pause and resume answer.
type pauseAnswer struct {
	Account string        `json:"account"`
	Region  string        `json:"region"`
	Stack   string        `json:"stack"`
	Paused  pause.State   `json:"paused"`                  // afterwards
	Ending  []endingToken `json:"tokens_ending,omitempty"` // while tokens are paused
	StayOff []string      `json:"stay_off,omitempty"`      // triggers that were off before the pause
}

func answerOf(s *clibase.Stack, paused pause.State) pauseAnswer {
	return pauseAnswer{Account: s.Account, Region: s.Region, Stack: s.Name, Paused: paused}
}

// An endingToken is one that nobody replaces in time while tokens are paused.
type endingToken struct {
	Provider string     `json:"provider"`
	State    string     `json:"state"`
	Ends     *time.Time `json:"ends"` // null: unknown
}

func newPause() *cobra.Command {
	var f pauseFlags
	var length span
	var reason string
	c := &cobra.Command{
		Use:   "pause [relay|export|tokens|all]",
		Short: "Let a part of a stack rest for a while, or show what rests",
		Long: "Without a part it shows what is paused, by whom, why and until when. With one it switches off what starts\n" +
			"that part's work, and notes who did it and why:\n\n" +
			"  relay   the queue is no longer read, and both lists are not compared. Webhooks are taken and wait\n" +
			"  export  the nightly export does not start\n" +
			"  tokens  nobody looks at the tokens. It names those that end meanwhile, and always asks. A function\n" +
			"          whose token is refused still gets another one\n\n" +
			"What runs already ends by itself: a message within a minute, a comparison within 12 hours, an export within\n" +
			"23. Nothing resumes by itself: PauseAlarm rings while a pause lasts, PauseOverdueAlarm once it should have\n" +
			"ended, until 'hikyaku resume'. A pause lasts at most 12 days in all, because the queue keeps a message for\n" +
			"14. Run again, it goes on where it was interrupted, and sets another end. It asks on a terminal if the stack\n" +
			"writes to Yappli. Times are UTC.",
		Example: "  hikyaku pause --stack hikyaku\n  hikyaku pause all --for 1h --reason 'members look wrong' --stack hikyaku\n" +
			"  hikyaku pause export --for 2d --reason 'SHOPLINE moves' --stack hikyaku",
		Args: func(c *cobra.Command, a []string) error {
			if len(a) == 0 {
				return nil
			}
			return oneKnown(c, a)
		},
		RunE: func(c *cobra.Command, a []string) error {
			switch {
			case len(a) == 0 && (length > 0 || reason != ""):
				return &usageError{locale.Errorf("say what to pause: one of %s", strings.Join(c.ValidArgs, ", "))}
			case len(a) == 0:
				return f.show(c)
			case length <= 0:
				return &usageError{locale.Errorf("say for how long, with --for, such as --for 90m, --for 8h or --for 2d")}
			case time.Duration(length) > pause.Longest:
				return &usageError{locale.Errorf("--for %s is longer than 12 days: the queue keeps a message for 14, and needs the rest to be worked off. Give 12d or less", &length)}
			case strings.TrimSpace(reason) == "":
				return &usageError{locale.Errorf("say why, with --reason TEXT: whoever is told by the alarm has to understand it")}
			}
			return f.pause(c, partsOf(a[0]), time.Duration(length), reason)
		},
	}
	f.add(c)
	c.Flags().Var(&length, "for", "how long, such as 90m, 8h or 2d; at most 12d")
	c.Flags().StringVar(&reason, "reason", "", "why, for those whom the alarm tells")
	return c
}

func (f *pauseFlags) pause(c *cobra.Command, parts []string, length time.Duration, reason string) error {
	p, err := f.open(c)
	if err != nil {
		return err
	}
	now, out := f.stack.now().UTC().Truncate(time.Second), c.ErrOrStderr()
	by, err := p.stack.Caller(c.Context())
	if err != nil {
		return err
	}
	next := pause.Pause{By: by, Reason: reason, Since: now, Until: now.Add(length)}
	if err := p.sayPaused(c, parts); err != nil {
		return locale.Errorf("nothing was paused: %w", err)
	}
	say(out, "This pauses %s until %s, in %s.", inWords(parts), next.Until.Format(time.RFC3339), spell(length))
	var ending []endingToken
	rest := slices.Contains(parts, pause.Tokens)
	if rest {
		ending = p.ending(c.Context(), next.Until)
		say(out, "%s", sayEnding(ending, now))
	}
	if err := f.agreed(c, p.writes, rest, "nothing was paused"); err != nil {
		return err
	}
	state, err := p.pause(c.Context(), parts, next)
	if err != nil {
		return err
	}
	if p.stack.Resources[localstack.Pauses] == "" {
		say(out, "This stack has no %s, so that no alarm rings: deploy this version's template.", localstack.Pauses)
	}
	answer := answerOf(p.stack, state)
	answer.Ending = ending
	return f.say(c, answer, "Paused %s until %s. What runs already ends by itself.\nNext: hikyaku resume %s --stack %s",
		inWords(parts), next.Until.Format(time.RFC3339), argumentOf(parts), visible(p.stack.Name))
}

// ending are the tokens that end before a time, or of which nobody knows when they do.
// One that cannot be read is among them: it hinders nobody from stopping the stack.
func (p *pausing) ending(ctx context.Context, until time.Time) (all []endingToken) {
	for _, provider := range providers.Names() {
		row, err := p.tokens.row(ctx, provider)
		switch {
		case err != nil:
			all = append(all, endingToken{provider, unreadable, nil})
		case row.Version != "" && (row.ExpiresAt == nil || row.ExpiresAt.Before(until)):
			all = append(all, endingToken{provider, row.State, row.ExpiresAt})
		}
	}
	return all
}

const unreadable = "unreadable"

func sayEnding(all []endingToken, now time.Time) locale.Message {
	if len(all) == 0 {
		return locale.T("No token that is stored ends before that.")
	}
	lines := []locale.Message{locale.T("Nobody replaces these tokens meanwhile:")}
	add := func(format string, values ...any) { lines = append(lines, locale.M(format, values...)) }
	for _, t := range all {
		switch {
		case t.State == unreadable:
			add("  %s: cannot be read; see 'hikyaku tokens'", t.Provider)
		case t.Ends == nil:
			add("  %s: its end is unknown", t.Provider)
		case t.Ends.After(now):
			add("  %s: ends at %s, in %s", t.Provider, t.Ends.Format(time.RFC3339), spell(t.Ends.Sub(now)))
		default:
			add("  %s: has ended at %s", t.Provider, t.Ends.Format(time.RFC3339))
		}
	}
	return locale.Join(lines, "\n")
}

func (f *pauseFlags) show(c *cobra.Command) error {
	p, err := f.open(c)
	if err != nil {
		return err
	}
	state, err := pause.Read(c.Context(), p.objects, p.prefix)
	if err != nil {
		return err
	}
	return f.print(c, answerOf(p.stack, state), func(out io.Writer) error {
		if state == (pause.State{}) {
			say(out, "Nothing is paused.")
			return nil
		}
		var cells [][]string
		for _, part := range pause.Parts() {
			if is := state.Of(part); is != nil {
				until := is.Until.UTC().Format(time.RFC3339)
				if is.Overdue(f.stack.now()) {
					until += languageOf(out).Text(", overdue")
				}
				cells = append(cells, []string{part, is.Since.UTC().Format(time.RFC3339), until, visible(is.By), visible(is.Reason)})
			}
		}
		return writeTable(out, []string{"PART", "SINCE", "UNTIL", "BY", "WHY"}, cells)
	})
}

func newResume() *cobra.Command {
	var f pauseFlags
	c := &cobra.Command{
		Use:   "resume relay|export|tokens|all",
		Short: "Let a paused part of a stack work again",
		Long: "Switches on again what 'hikyaku pause' switched off, and then takes the note of the pause away. What was off\n" +
			"before the pause stays off. What waits in the queue is worked off: one user a second, as fast as Yappli\n" +
			"takes them. Run again, it goes on where it was interrupted. It also switches on what somebody switched off\n" +
			"by hand, if there is no pause. It asks on a terminal if the stack writes to Yappli.",
		Example: "  hikyaku resume all --stack hikyaku\n  hikyaku resume relay --stack hikyaku --json",
		Args:    oneKnown,
		RunE: func(c *cobra.Command, a []string) error {
			p, err := f.open(c)
			if err != nil {
				return err
			}
			parts := partsOf(a[0])
			if err := p.sayPaused(c, parts); err != nil {
				return locale.Errorf("nothing was resumed: %w", err)
			}
			say(c.ErrOrStderr(), "This resumes %s.", inWords(parts))
			if err := f.agreed(c, p.writes, false, "nothing was resumed"); err != nil {
				return err
			}
			state, stay, err := p.resume(c.Context(), parts)
			if err != nil {
				return err
			}
			for _, name := range stay {
				say(c.ErrOrStderr(), "%s was off before the pause, and stays off.", name)
			}
			answer := answerOf(p.stack, state)
			answer.StayOff = stay
			return f.say(c, answer, "Resumed %s.", inWords(parts))
		},
	}
	f.add(c)
	return c
}

// inWords lists what has a name.
func inWords(parts []string) locale.Message {
	last := len(parts) - 1
	if last == 0 {
		return locale.M("%s", parts[0])
	}
	return locale.M("%s and %s", strings.Join(parts[:last], ", "), parts[last])
}

func argumentOf(parts []string) string {
	if len(parts) == len(pause.Parts()) {
		return everyPart
	}
	return parts[0]
}

// A span is a duration in which days may stand: 2d, 1d12h, 90m.
type span time.Duration

// Set implements pflag.Value.
func (s *span) Set(text string) error {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 16)
	var d time.Duration
	if err == nil && (rest != "" || !found) {
		d, err = time.ParseDuration(rest)
	}
	if err != nil || d < 0 || n == 0 && d == 0 {
		return locale.Errorf("no length of time")
	}
	*s = span(time.Duration(n)*24*time.Hour + d)
	return nil
}

// String implements pflag.Value.
func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return spell(time.Duration(*s))
}

// Type implements pflag.Value.
func (*span) Type() string { return "span" }
