package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/state"
)

// A told is an event or a letter, with its sentence.
type told[T any] struct {
	Entry T      `json:"entry"`
	Says  string `json:"says"`
}

// A story is what 'history' answers.
type story struct {
	User       int64                 `json:"user_id,string"`
	Now        told[outcome.Class]   `json:"now"`
	Changes    []string              `json:"changes,omitempty"`
	Unreadable []string              `json:"unreadable,omitempty"`
	Events     []told[state.Event]   `json:"events"`
	Dead       []told[queue.Message] `json:"dead_letters"`
	Next       string                `json:"next,omitempty"` // the command that helps; empty: none does
}

func newHistory() *cobra.Command {
	var f relayFlags
	var user int64
	var letters letterFlag
	c := &cobra.Command{
		Use:   "history --user ID",
		Short: "Tell what the relay did for one user, and what it would do now",
		Long: "Prints the last jobs that wrote for the user, as the relay's row remembers them: when, why, how each ended,\n" +
			"the names of the fields sent, and the request id to look for in the log; then the user's dead letters, and\n" +
			"what the next job would do, for which it reads the user and the member. It writes nothing and prints no\n" +
			"values. A job that found nothing to do, or waits, leaves no line.\n\n" + ownSettings,
		Example: "  hikyaku history --user 20450001 --stack hikyaku\n  hikyaku history --user 20450001 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			if user <= 0 {
				return &usageError{locale.Errorf("history needs --user ID: the number of a SuperSaaS user")}
			}
			function, t, err := f.tenant(c, relayfn.Relay, localstack.Relay)
			if err != nil {
				return err
			}
			h, err := admin.HistoryOf(c.Context(), t, user)
			if err != nil {
				return locale.Errorf("reading what the relay knows of user %d: %w", user, err)
			}
			letters, err := letters.of(c.Context(), function, user)
			if err != nil {
				return err
			}
			if len(h.Events)+len(letters) == 0 && h.Preview.Outcome == outcome.GoneUnlinked {
				return locale.Errorf("SuperSaaS has no user %d, and the relay knows nothing of one: look for the number in SuperSaaS", user)
			}
			if err := f.tell(c, user, h, letters); err != nil || h.Err == nil {
				return err
			}
			return locale.Errorf("asking what the relay would do now: %w", h.Err)
		},
	}
	f.add(c)
	f.addMapping(c)
	c.Flags().Int64Var(&user, "user", 0, "SuperSaaS id of the user")
	letters.add(c)
	return c
}

// A letterFlag says whether a user's dead letters are looked for: a queue that may be empty
// is asked for a second.
type letterFlag bool

func (l *letterFlag) add(c *cobra.Command) {
	c.Flags().BoolVar((*bool)(l), "letters", true, "look for the user's dead letters too, which takes a second")
}

func (l *letterFlag) of(ctx context.Context, function *relayfn.Function, user int64) ([]queue.Message, error) {
	if !*l {
		return nil, nil
	}
	return deadLetters(ctx, function, user)
}

// deadLetters lists a user's dead letters; of user 0 everybody's.
func deadLetters(ctx context.Context, function *relayfn.Function, user int64) ([]queue.Message, error) {
	dead, _, err := function.Queues()
	if err != nil {
		return nil, err
	}
	letters, err := admin.Letters(ctx, dead)
	return slices.DeleteFunc(letters, func(l queue.Message) bool { return user != 0 && l.User != user }), err
}

func (f *relayFlags) tell(c *cobra.Command, user int64, h admin.History, letters []queue.Message) error {
	p := h.Preview
	next := f.stack.onStack(c, hindrances{user: user, class: p.Outcome, letters: letters, unread: p.Unread}.next())
	if f.asJSON {
		s := story{Next: next, User: user, Now: told[outcome.Class]{p.Outcome, p.Outcome.Sentence()}, Changes: p.Changes, Unreadable: p.Unread, Events: []told[state.Event]{}, Dead: saying(letters)}
		for _, e := range h.Events {
			s.Events = append(s.Events, told[state.Event]{e, e.Outcome.Sentence()})
		}
		return f.say(c, s, "")
	}
	out := c.OutOrStdout()
	l := languageOf(out)
	rows := make([][]string, 0, len(h.Events)+len(letters)+1)
	for _, e := range h.Events {
		rows = append(rows, []string{at(e.At), e.Cause, string(e.Outcome), l.Text(e.Outcome.Sentence()), strings.Join(e.Fields, " "), e.Request, e.Mapping})
	}
	for _, d := range letters {
		rows = append(rows, []string{at(d.At), l.Text("dead letter"), d.Class, l.Text(outcome.Class(d.Class).Sentence()), "", "", ""})
	}
	rows = append(rows, []string{l.Text("now"), "", string(p.Outcome), l.Text(p.Outcome.Sentence()), strings.Join(p.Changes, " "), "", ""})
	if err := writeTable(out, []string{"WHEN", "CAUSE", "OUTCOME", "MEANING", "FIELDS", "REQUEST", "MAPPING"}, rows); err != nil {
		return err
	}
	if len(p.Unread) > 0 {
		say(out, "These fields cannot be read, are not sent, and stay as they are in Yappli: %s", visible(strings.Join(p.Unread, " ")))
	}
	if next != "" {
		say(out, "Next: %s", next)
	}
	return nil
}

func saying(letters []queue.Message) []told[queue.Message] {
	list := make([]told[queue.Message], len(letters))
	for i, l := range letters {
		list[i] = told[queue.Message]{l, outcome.Class(l.Class).Sentence()}
	}
	return list
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func writeLetters(out io.Writer, letters []queue.Message) error {
	if len(letters) == 0 {
		return nil
	}
	l := languageOf(out)
	rows := make([][]string, 0, len(letters))
	for _, d := range letters {
		age := spell(time.Since(d.At))
		if d.User == 0 {
			age = "" // it says nothing that could be believed
		}
		rows = append(rows, []string{l.Text("dead letter"), fmt.Sprint(d.User), d.Class, l.Text(outcome.Class(d.Class).Sentence()), d.Event, age})
	}
	return writeTable(out, []string{"WHAT", "USER", "CLASS", "MEANING", "EVENT", "AGE"}, rows)
}

func newDead() *cobra.Command {
	var f relayFlags
	c := &cobra.Command{
		Use:   "dead",
		Short: "List the dead letters: whose, why, and how old",
		Long: "Reads the dead-letter queue and leaves everything in it: each letter's user, class, what that means, the\n" +
			"event it came from, and how long ago that was. Of one user the queue shows ten letters at a time.\n" +
			"'hikyaku redrive' sends them to the relay again once their cause is fixed.\n\n" + ownSettings,
		Example: "  hikyaku dead --stack hikyaku\n  hikyaku dead --json",
		RunE: func(c *cobra.Command, _ []string) error {
			function, err := f.open(c, relayfn.Ingest, localstack.Relay)
			if err != nil {
				return err
			}
			letters, err := deadLetters(c.Context(), function, 0)
			if err != nil {
				return err
			}
			if f.asJSON {
				return f.say(c, map[string]any{"dead_letters": saying(letters)}, "")
			}
			if err := writeLetters(c.OutOrStdout(), letters); err != nil {
				return err
			}
			return f.say(c, nil, "%s.", count(len(letters), "dead letter"))
		},
	}
	f.add(c)
	return c
}

func newRedrive() *cobra.Command {
	var f relayFlags
	var only admin.Selection
	var class string
	c := &cobra.Command{
		Use:   "redrive",
		Short: "Send the dead letters to the relay again",
		Long: "Moves messages of the dead-letter queue to the users' queue: all, or those of --user, of --class, at most\n" +
			"--limit. Safe at any later time, and as often as you like: a message only names the user, which the relay\n" +
			"then reads again. What names no user, or fails again because its cause is not fixed, stays\n" +
			"where it is, and is counted.\n\n" + ownSettings,
		Example: "  hikyaku redrive\n  hikyaku redrive --class refused --limit 10 --stack hikyaku\n  hikyaku redrive --user 20450001 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			only.Class = outcome.Class(class)
			switch {
			case class != "" && !slices.Contains(outcome.Classes(), only.Class):
				return &usageError{locale.Errorf("--class %s: no dead letter has such a class: see 'hikyaku dead'", visible(class))}
			case only.Limit < 0 || slices.ContainsFunc(only.Users, func(user int64) bool { return user <= 0 }):
				return &usageError{locale.Errorf("--user and --limit take numbers above 0")}
			}
			// The role ingest needs the queues, and neither tokens nor a mapping.
			function, err := f.open(c, relayfn.Ingest, localstack.Relay)
			if err != nil {
				return err
			}
			dead, users, err := function.Queues()
			if err != nil {
				return err
			}
			done, err := admin.Redrive(c.Context(), dead, users, only)
			said := f.say(c, done, "%d sent to the relay again, %d kept because they name no user, %d left that were given up meanwhile, %d left that were not asked for.",
				done.Sent, done.Kept, done.Again, done.Others)
			return errors.Join(err, said)
		},
	}
	f.add(c)
	c.Flags().Int64SliceVar(&only.Users, "user", nil, "only this SuperSaaS user's; may be repeated")
	c.Flags().StringVar(&class, "class", "", "only those given up for this reason, as 'hikyaku dead' names it")
	c.Flags().IntVar(&only.Limit, "limit", 0, "at most so many (default: all)")
	return c
}
