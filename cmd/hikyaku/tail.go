package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
)

// A tailing follows the logs of a stack's functions.
type tailing struct {
	output

	stack    stackFlags
	function string
	since    span
	follow   bool
}

func newTail() *cobra.Command {
	f := tailing{since: span(10 * time.Minute)}
	c := &cobra.Command{
		Use:   "tail",
		Short: "Tell what the stack's functions have logged, in words",
		Long: "Reads the log groups of the stack's functions and prints their lines in the order of their times: when,\n" +
			"which function, and what it says, with the values beside it. Lines of measurements stand as the figures\n" +
			"that they measure. --follow goes on until it is interrupted. Times are UTC.\n\n" +
			"With --json each line is an object of its own: at, function, and line, which is what the function wrote.",
		Example: "  hikyaku tail --stack hikyaku\n  hikyaku tail --function export --since 2h\n  hikyaku tail --follow --json | jq .line",
		RunE: func(c *cobra.Command, _ []string) error {
			if f.function != "" && !slices.Contains(localstack.Functions(), f.function) {
				return &usageError{locale.Errorf("--function %s: there is none%s", visible(f.function), instead(f.function, localstack.Functions()))}
			}
			return f.tail(c)
		},
	}
	f.stack.addDeployed(c)
	f.add(c)
	c.Flags().StringVar(&f.function, "function", "", "only this function's: "+strings.Join(localstack.Functions(), ", "))
	c.Flags().Var(&f.since, "since", "how far back, such as 90s, 10m, 2h or 1d")
	c.Flags().BoolVar(&f.follow, "follow", false, "go on with what is logged from now on, until interrupted")
	return c
}

func (f *tailing) tail(c *cobra.Command) error {
	place := f.stack.Place
	if place.Stack = f.stack.name(""); place.Stack == "" {
		return &usageError{locale.Errorf("no stack is named: give --stack NAME (HIKYAKU_STACK)")}
	}
	opened, err := place.Find(c.Context())
	if err != nil {
		return err
	}
	s := opened.Stack
	say(c.ErrOrStderr(), "Account %s, %s, stack %s", s.Account, s.Region, visible(s.Name))
	r := logReader{stack: s, groups: map[string]string{}, seen: map[string]time.Time{}}
	for _, function := range localstack.Functions() {
		if group := s.Resources[localstack.LogResource(function)]; group != "" && (f.function == "" || f.function == function) {
			r.groups[function] = group
		}
	}
	if len(r.groups) == 0 {
		return locale.Errorf("the stack %s has no log groups: it is none of hikyaku's, or not deployed to its end", visible(s.Name))
	}
	return f.printAll(c, &r)
}

// Times between two looks, and how late CloudWatch may show a line.
const (
	tailEvery = 2 * time.Second
	tailLate  = 30 * time.Second
)

func (f *tailing) printAll(c *cobra.Command, r *logReader) error {
	ctx, out := c.Context(), c.OutOrStdout()
	from, told := f.stack.now().Add(-time.Duration(f.since)), 0
	for {
		lines, err := r.read(ctx, from)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // a person who follows ends it so
		}
		if err != nil {
			return err
		}
		for _, line := range lines {
			if err := f.write(out, line); err != nil {
				return err
			}
		}
		if told += len(lines); !f.follow {
			if told == 0 && !f.asJSON {
				say(c.ErrOrStderr(), "Nothing was logged since %s. --since looks further back.", at(from))
			}
			return nil
		}
		if late := f.stack.now().Add(-tailLate); late.After(from) {
			from = late
		}
		r.forget(from)
		select {
		case <-time.After(tailEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *tailing) write(out io.Writer, line functionLine) error {
	if !f.asJSON {
		return line.tell(out)
	}
	raw := json.RawMessage(line.text)
	if !json.Valid(raw) {
		raw, _ = json.Marshal(line.text)
	}
	return json.NewEncoder(out).Encode(struct {
		At       string          `json:"at"`
		Function string          `json:"function"`
		Line     json.RawMessage `json:"line"`
	}{line.at.UTC().Format(time.RFC3339Nano), line.function, raw})
}

// A logReader reads log groups.
type logReader struct {
	stack  *clibase.Stack
	groups map[string]string // by the names of their functions

	mu   sync.Mutex
	seen map[string]time.Time // the lines that were told, by function and id
}

// read returns the lines since a time that were not returned before, of all groups by
// their times.
func (r *logReader) read(ctx context.Context, from time.Time) ([]functionLine, error) {
	names := slices.Sorted(maps.Keys(r.groups))
	lists, faults := make([][]functionLine, len(names)), make([]error, len(names))
	var reading sync.WaitGroup
	for i, function := range names {
		reading.Go(func() { lists[i], faults[i] = r.readGroup(ctx, function, from) })
	}
	reading.Wait()
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b functionLine) int { return a.at.Compare(b.at) })
	return all, errors.Join(faults...)
}

func (r *logReader) readGroup(ctx context.Context, function string, from time.Time) (lines []functionLine, err error) {
	all, err := r.stack.Logs(ctx, r.groups[function], from)
	if err != nil {
		return nil, locale.Errorf("reading the log of %s: %w", function, clibase.Plain(err))
	}
	for _, l := range all {
		if r.fresh(function+" "+l.ID, l.At) {
			lines = append(lines, functionLine{function, l.At, l.Text})
		}
	}
	return lines, nil
}

// fresh reports whether a line was not told yet.
func (r *logReader) fresh(id string, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, told := r.seen[id]
	r.seen[id] = at
	return !told
}

// forget drops what is remembered of lines that are not read again.
func (r *logReader) forget(before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.seen, func(_ string, at time.Time) bool { return at.Before(before) })
}

// A functionLine is a line of a function's log.
type functionLine struct {
	function string
	at       time.Time
	text     string
}

// notTold are the keys of a line that its sentence has already, or that say nothing to a
// person.
var notTold = []string{"timestamp", "time", "level", "message", "msg", "_aws", "requestId", "type", "record"}

// tell prints the line in words. What it says was written in English, and stays so.
func (n functionLine) tell(out io.Writer) error {
	paint := painterOf(out)
	when := n.at.UTC().Format("15:04:05.000")
	var fields map[string]any
	if json.Unmarshal([]byte(n.text), &fields) != nil {
		_, err := io.WriteString(out, hanging(fmt.Sprintf("%s  %s  %s", when, n.function, visible(n.text)), columnsOf(out)))
		return err
	}
	level, _ := fields["level"].(string)
	says, _ := fields["message"].(string)
	if _, metric := fields["_aws"]; metric {
		level, says = "", languageOf(out).Text("measured")
	}
	if kind, ok := fields["type"].(string); ok && says == "" {
		says = kind
		if record, ok := fields["record"].(map[string]any); ok {
			fields = record
		}
	}
	shown := ""
	switch strings.ToUpper(level) {
	case "ERROR", "FATAL":
		shown = paint.in(red, level) + " "
	case "WARN", "WARNING":
		shown = paint.in(yellow, level) + " "
	}
	text := fmt.Sprintf("%s  %s  %s%s%s", when, n.function, shown, visible(cmp.Or(says, "-")), visible(besides(fields)))
	_, err := writePainted(out, hanging(text, columnsOf(out)))
	return err
}

// besides are the values of a line beside what it says.
func besides(fields map[string]any) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if slices.Contains(notTold, name) || strings.HasPrefix(name, "metrics") {
			continue
		}
		value, isText := fields[name].(string)
		if !isText {
			raw, _ := json.Marshal(fields[name]) // it was JSON before
			value = string(raw)
		}
		pairs = append(pairs, name+" "+value)
	}
	if len(pairs) == 0 {
		return ""
	}
	return ": " + strings.Join(pairs, ", ")
}
