package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
)

// A shopCall is one call to a provider that a person makes with the stack's token.
type shopCall struct {
	output

	stack stackFlags
}

func (s *shopCall) add(c *cobra.Command) {
	s.stack.addAccount(c)
	s.output.add(c)
}

// open opens the stack, of which nothing but its tokens is needed.
func (s *shopCall) open(c *cobra.Command) (*lambdafn.Base, error) {
	e, err := s.stack.environ(c, "", localstack.TokenRefresh)
	if err != nil {
		return nil, err
	}
	if e.Vars["HIKYAKU_BUCKET"] == "" {
		e.Vars["HIKYAKU_BUCKET"] = "not-used-by-this-command"
	}
	return clibase.Open(e)
}

// aProvider asks for one of the command's providers, and for so many words after it.
func aProvider(words string) cobra.PositionalArgs {
	return func(c *cobra.Command, a []string) error {
		if len(a) == 0 {
			return oneKnown(c, a)
		}
		if err := known(c, a[:1]); err != nil {
			return err
		}
		want := 1
		if words != "" {
			want = 2
		}
		switch {
		case len(a) < want:
			return locale.Errorf("%q needs %s after the provider", c.CommandPath(), words)
		case len(a) > want:
			return locale.Errorf("%q takes nothing after %q", c.CommandPath(), a[want-1])
		}
		return nil
	}
}

// A writeCall is a shopCall that changes something. It is dry unless --write is given.
type writeCall struct {
	shopCall

	write, yes bool
	set        []string
	file       string
}

// add adds the flags; with fields, if the call sends any.
func (w *writeCall) add(c *cobra.Command, fields bool) {
	w.shopCall.add(c)
	c.Flags().BoolVar(&w.write, "write", false, "do it; without, it is only said what would be sent")
	c.Flags().BoolVar(&w.yes, "yes", false, "with --write: do not ask")
	if fields {
		c.Flags().StringArrayVar(&w.set, "set", nil, "a field, as NAME=VALUE; may be repeated")
		c.Flags().StringVar(&w.file, "file", "", "a JSON object of fields, or - for standard input; --set counts before it")
	}
}

// fields reads what is to be sent.
func (w *writeCall) fields(c *cobra.Command) (map[string]any, error) {
	fields := map[string]any{}
	if w.file != "" {
		raw, err := w.readFile(c)
		if err != nil {
			return nil, err
		}
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		if err := decoder.Decode(&fields); err != nil || fields == nil {
			return nil, locale.Errorf("--file: expected one JSON object, such as {\"full_name\":\"...\"}")
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return nil, locale.Errorf("--file: something stands after the JSON object")
		}
	}
	for _, pair := range w.set {
		name, value, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return nil, &usageError{locale.Errorf("--set: expected NAME=VALUE")}
		}
		fields[name] = value
	}
	if len(fields) == 0 {
		return nil, &usageError{locale.Errorf("no field is given: use --set NAME=VALUE or --file")}
	}
	return fields, nil
}

// mostFields is more than any record has.
const mostFields = 4 << 20

func (w *writeCall) readFile(c *cobra.Command) ([]byte, error) {
	if w.file != toPipe {
		return os.ReadFile(filepath.Clean(w.file))
	}
	raw, err := io.ReadAll(io.LimitReader(c.InOrStdin(), mostFields))
	if err != nil {
		return nil, locale.Errorf("reading standard input: %w", err)
	}
	return raw, nil
}

// texts are fields as texts, for providers that know nothing else; nil is what is null.
func texts(fields map[string]any) (map[string]*string, error) {
	list := map[string]*string{}
	for name, value := range fields {
		text := ""
		switch value := value.(type) {
		case nil:
			list[name] = nil
			continue
		case string:
			text = value
		case json.Number:
			text = value.String()
		case bool:
			text = map[bool]string{true: "1", false: "0"}[value]
		default:
			return nil, &usageError{locale.Errorf("--file: the field %s is neither a text nor a number", visible(name))}
		}
		list[name] = &text
	}
	return list, nil
}

// A planned is what a writeCall answers: what it would send, and what came of it.
type planned struct {
	Provider string         `json:"provider"`
	Call     string         `json:"call"`         // such as users.update
	ID       string         `json:"id,omitempty"` // of the record; of one that was made, once it is known
	Sends    map[string]any `json:"sends,omitempty"`
	Written  bool           `json:"written"`
	Answer   any            `json:"answer,omitempty"` // the record, if the provider answers it

	notes []locale.Message // what a person should know before
}

// neverPrinted are fields that are sent and not shown.
var neverPrinted = []string{"password", "secret_answer"}

// carryOut says what would be sent, and with --write sends it once a person agrees, who is
// asked on a terminal. send returns the record's id and the provider's answer, if there is
// one.
func (w *writeCall) carryOut(c *cobra.Command, p planned, send func(context.Context) (id string, answer any, err error)) error {
	p.Sends = maps.Clone(p.Sends)
	for _, name := range neverPrinted {
		if _, sent := p.Sends[name]; sent {
			p.Sends[name] = "[redacted]"
		}
	}
	if !w.write {
		return w.print(c, p, p.plan)
	}
	if !w.asJSON || w.asks(c) {
		if err := p.plan(c.ErrOrStderr()); err != nil {
			return err
		}
	}
	if w.asks(c) {
		if err := confirm(c, "nothing was written"); err != nil {
			return err
		}
	}
	id, answer, err := send(c.Context())
	switch {
	case c.Context().Err() != nil:
		return stoppedError("stopped; whether it was written is not known: look before you run this again")
	case errors.Is(err, providers.ErrTemporary):
		return locale.Errorf("%w; whether it was written is not known: look before you run this again", err)
	case err != nil:
		return err
	}
	p.Written, p.Answer = true, answer
	if id != "" {
		p.ID = id
	}
	return w.say(c, p, "Done: %s of %s, record %s.", p.Call, p.Provider, visible(dash(p.ID)))
}

// asks reports whether somebody is at a terminal who has not said yes.
func (w *writeCall) asks(c *cobra.Command) bool {
	return !w.yes && isTerminal(c.InOrStdin())
}

// plan tells a person what would be sent.
func (p planned) plan(out io.Writer) error {
	say(out, "%s of %s, record %s:", p.Call, p.Provider, visible(dash(p.ID)))
	rows := make([][2]string, 0, len(p.Sends))
	for _, name := range slices.Sorted(maps.Keys(p.Sends)) {
		text, isText := p.Sends[name].(string)
		if !isText {
			raw, _ := json.Marshal(p.Sends[name]) // it was read from JSON
			text = string(raw)
		}
		rows = append(rows, [2]string{"  " + visible(name), visible(text)})
	}
	if err := writePairs(out, rows); err != nil {
		return err
	}
	for _, note := range p.notes {
		say(out, "%s", note)
	}
	if !p.Written {
		say(out, "This is written with --write alone.")
	}
	return nil
}
