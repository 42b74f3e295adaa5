package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// An action is what a person can do: a command, made from a form's fields. Few things that
// only a development stack can do are no commands.
type action struct {
	name string // in its address, and of its texts: action.NAME
	page string // whose templates have result-NAME, if what it finds is shown; empty: a notice says that it is done

	command func(f url.Values) ([]string, error)                                      // the command, without --json; or:
	several func(f url.Values) ([][]string, error)                                    // commands, one after the other until one fails; or:
	do      func(ctx context.Context, f url.Values) (any, error)                      // what no command does
	stdin   func(f url.Values) []byte                                                 // what the command reads; nil: nothing
	stream  func(ctx context.Context, f url.Values, show func(any) error) error       // shows what it finds while it looks, and is no command; or:
	slow    bool                                                                      // it goes on though the person leaves the page, until it is stopped there
	private bool                                                                      // what the command reads is secret: it stands in no command to copy, which asks at the terminal
	shape   func(ctx context.Context, raw json.RawMessage, f url.Values) (any, error) // makes of what was printed what the template shows; nil: as it is
	reads   bool                                                                      // it changes nothing, and is allowed everywhere
}

// allActions are all that a person can do.
func (s *Server) allActions() []action {
	return slices.Concat(
		s.overviewActions(),
		s.sandboxActions(),
		s.relayActions(),
		s.wayActions(),
		s.peopleActions(),
		s.pairActions(),
		s.deadActions(),
		s.mappingActions(),
		s.tokenActions(),
		exporting{s}.actions(),
		s.costActions(),
		chaos{s, &s.count}.actions(),
	)
}

// errReadOnly says why nothing was done.
var errReadOnly = saying("fault.read-only")

// maxForm bounds what a form may send, in bytes: a mapping and some words.
const maxForm = 1 << 20

// A result is what the templates get after an action.
type result struct {
	Action  string
	Command string // as a person would type it; empty: it is none
	Fields  any    // what the command has printed
	Err     error
}

// elsewhere is what an action finds that goes on at another address of the console.
type elsewhere string

// serveAction does what a person asks for, and answers with what came of it.
func (s *Server) serveAction(w http.ResponseWriter, r *http.Request) {
	a, form, ok := s.asked(w, r)
	if !ok {
		return
	}
	if a.stream != nil {
		s.serveFound(w, r, a, form)
		return
	}
	done := result{Action: a.name}
	done.Fields, done.Command, done.Err = s.perform(r.Context(), a, form)
	if errors.Is(done.Err, errStopped) {
		done.Action, done.Err = "slow-stop", nil
		a.page = "" // there is no result
	}
	if !a.reads {
		s.reader.forget()
		s.frames.act()
	}
	if to, ok := done.Fields.(elsewhere); ok && done.Err == nil {
		w.Header().Set("HX-Redirect", string(to))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	v := s.view(r, page{Name: a.page})
	v.Data, v.Err = done, done.Err
	if a.page != "" && done.Err == nil && s.templates[v.Lang][a.page].Lookup("result-"+a.name) != nil {
		s.send(w, r, http.StatusOK, v, a.page, "result-"+a.name)
		return
	}
	w.Header().Set("HX-Retarget", "#notice")
	w.Header().Set("HX-Reswap", "innerHTML")
	s.send(w, r, http.StatusOK, v, "outside", "notice")
}

// asked is the action of a request, with its form.
func (s *Server) asked(w http.ResponseWriter, r *http.Request) (action, url.Values, bool) {
	a, known := s.actions[r.PathValue("action")]
	if !known {
		http.NotFound(w, r)
		return a, nil, false
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form cannot be read: "+err.Error(), http.StatusBadRequest)
		return a, nil, false
	}
	return a, r.PostForm, true
}

// perform runs an action and notes who has done what.
func (s *Server) perform(ctx context.Context, a action, form url.Values) (fields any, command string, err error) {
	if a.do != nil {
		if !a.reads && !s.allowed() {
			return nil, "", errReadOnly
		}
		end, err := s.noted(ctx, a, a.words(form), form.Get("why"))
		if err != nil {
			return nil, "", err
		}
		fields, err = a.do(ctx, form)
		return fields, "", errors.Join(err, end(err))
	}
	commands, err := a.commands(form)
	if err != nil {
		return nil, "", err
	}
	var stdin []byte
	if a.stdin != nil {
		stdin = a.stdin(form)
	}
	command = s.copied(a.readable(stdin), commands)
	if !a.reads && !s.allowed() {
		return nil, command, errReadOnly
	}
	var raw json.RawMessage
	for _, args := range commands {
		if raw, err = s.runOne(ctx, a, args, stdin, whyOf(form)); err != nil {
			break
		}
	}
	if err != nil {
		return nil, command, err
	}
	if a.shape != nil {
		fields, err = a.shape(ctx, raw, form)
		return fields, command, err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&fields) != nil {
		fields = nil
	}
	return fields, command, err
}

// whyOf is why a person does something, also where a command notes the same.
func whyOf(form url.Values) string { return cmp.Or(form.Get("why"), form.Get("reason")) }

// commands are those that an action runs.
func (a action) commands(form url.Values) ([][]string, error) {
	if a.several != nil {
		return a.several(form)
	}
	args, err := a.command(form)
	return [][]string{args}, err
}

// readable is what a command reads as far as a copy of it may show it.
func (a action) readable(stdin []byte) []byte {
	if a.private {
		return nil
	}
	return stdin
}

// runOne runs one command of an action, and notes it where it changes something.
func (s *Server) runOne(ctx context.Context, a action, args []string, stdin []byte, why string) (raw json.RawMessage, fault error) {
	if a.slow {
		detached, ended, err := s.slow.begin(ctx, args)
		if err != nil {
			return nil, err
		}
		s.frames.act()
		ctx = detached
		defer func() {
			if fault != nil && errors.Is(context.Cause(ctx), errStopped) {
				fault = errStopped
			}
			ended(fault)
		}()
	}
	end, err := s.noted(ctx, a, args, why)
	if err != nil {
		return nil, err
	}
	raw, err = s.options.Run(ctx, stdin, slices.Concat(s.options.Of(args), []string{"--json"})...)
	if fault := failed(raw); fault != nil {
		err = fault
	} else if len(raw) > 0 {
		err = nil // what it found is in its answer
	}
	return raw, errors.Join(err, end(err))
}

// noted notes an action that changes something before it is done, and returns what notes how
// it ended.
func (s *Server) noted(ctx context.Context, a action, words []string, why string) (end func(error) error, err error) {
	if a.reads || s.options.Audit == nil {
		return func(error) error { return nil }, nil
	}
	return s.options.Audit(ctx, words, why)
}

// words name an action that is no command, with what it was asked about.
func (a action) words(form url.Values) []string {
	words := []string{a.name}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "why" {
			words = append(words, name+"="+clipped(form.Get(name)))
		}
	}
	return words
}

// allowed reports whether a person may change anything: on a development stack always.
func (s *Server) allowed() bool { return s.options.Dev != nil || s.options.Write }

// serveCommand answers with the command that an action would run, for a person to copy.
func (s *Server) serveCommand(w http.ResponseWriter, r *http.Request) {
	a, form, ok := s.asked(w, r)
	if !ok {
		return
	}
	if a.do != nil || a.stream != nil {
		http.Error(w, "No command does this.", http.StatusNotFound)
		return
	}
	v := s.view(r, page{})
	commands, err := a.commands(form)
	if err != nil {
		v.Data, v.Err = result{Action: a.name, Err: err}, err
		s.send(w, r, http.StatusOK, v, "outside", "notice")
		return
	}
	var stdin []byte
	if a.stdin != nil {
		stdin = a.stdin(form)
	}
	v.Data = s.copied(a.readable(stdin), commands)
	s.send(w, r, http.StatusOK, v, "outside", "command")
}
