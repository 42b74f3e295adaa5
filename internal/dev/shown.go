package dev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/console"
	"hikyaku/internal/dev/record"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// What the stack does not do while a provider is real.
var (
	errRealSpeed   = errors.New("a provider is real, and its time cannot be made to run faster: leave the speed at 1")
	errRealAhead   = errors.New("the time of this directory's stack ran faster once and is ahead: a real provider's credentials would seem to have ended; give a real provider a directory of its own with --dir")
	errRealTrouble = errors.New("a provider is real: no trouble is made while it is, so that nothing wrong reaches it")
)

// mostAhead is by how much the clock of a stack with a real provider may be ahead.
const mostAhead = 5 * time.Second

// State is what every page shows of the stack.
func (s *Stack) State() console.State {
	queue, dead := s.depth()
	tally := s.recorder.Tally()
	tally.Began = s.began
	state := console.State{
		Now: s.Clock.Now(), Speed: s.Clock.Factor(), Real: s.doors.names(), Write: s.options.Write, Queue: queue, Dead: dead, Tally: tally,
	}
	for _, name := range localstack.Functions() {
		fleet, err := s.Local.AWS.Fleet(name)
		if err != nil {
			continue // all are registered
		}
		census := fleet.Census()
		state.Functions = append(state.Functions, console.Function{
			Name: name, Processes: census.Running, Busy: census.Busy, Starts: census.Starts, Kills: s.children.killsOf(name),
		})
	}
	return state
}

// Changed returns a channel that is closed at the next change of anything here.
func (s *Stack) Changed() <-chan struct{} { return s.recorder.Changed() }

// Series are samples of the last while.
func (s *Stack) Series() []console.Sample { return s.recorder.Series() }

// Events returns what has happened, the newest first.
func (s *Stack) Events(f console.Filter) []console.Event { return s.recorder.Events(f) }

// Way tells a message's whole way.
func (s *Stack) Way(id string) (console.Way, bool) { return s.recorder.Way(id) }

// Repeat posts a webhook again, as it was or edited, and returns the id of the new one.
func (s *Stack) Repeat(ctx context.Context, id string, edited []byte) (string, error) {
	if edited == nil {
		way, ok := s.recorder.Way(id)
		if !ok || way.Webhook == nil {
			return "", fmt.Errorf("there is no webhook %s here to repeat", id)
		}
		edited = way.Webhook
	}
	fresh := uuid.NewString()
	request, err := http.NewRequestWithContext(record.Name(ctx, fresh), http.MethodPost, s.Local.WebhookAddress(), bytes.NewReader(edited))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: sandbox.Transport(s.gateway), Timeout: time.Minute}
	answer, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("posting the webhook: %w", err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	if err := answer.Body.Close(); err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return fresh, fmt.Errorf("the webhook was answered %s", answer.Status)
	}
	return fresh, nil
}

// Editor is a provider's sandbox; nil where the provider is real.
func (s *Stack) Editor(provider string) sandbox.Editor {
	editable, ok := s.Local.Sandboxes[provider].(sandbox.Editable)
	if !ok {
		return nil
	}
	return editor{editable.ByHand(), provider, s.recorder}
}

// An editor records what a person changes.
type editor struct {
	sandbox.Editor

	provider string
	recorder *record.Recorder
}

// Save changes a record.
func (e editor) Save(kind, id string, fields map[string]string) (string, error) {
	outcome := "changed"
	if id == "" {
		outcome = "created"
	}
	saved, err := e.Editor.Save(kind, id, fields)
	if err == nil {
		e.edited(kind, saved, outcome)
	}
	return saved, err
}

// Delete takes a record away.
func (e editor) Delete(kind, id string) error {
	err := e.Editor.Delete(kind, id)
	if err == nil {
		e.edited(kind, id, "deleted")
	}
	return err
}

func (e editor) edited(kind, id, outcome string) {
	event := console.Event{Kind: console.Edited, Provider: e.provider, Dataset: kind, Outcome: outcome, Message: kind + " " + id, Detail: map[string]string{"id": id}}
	if e.provider == providers.SuperSaaS && kind == "users" {
		event.User = id
	}
	e.recorder.Add(event)
}

// halfwayID is the trouble of the stack itself: functions killed in the middle.
const halfwayID = "killed"

// Troubles are all troubles of the sandboxes and of the stack itself.
func (s *Stack) Troubles() []sandbox.Trouble {
	if len(s.options.Real) > 0 {
		return nil
	}
	h := s.children.half
	h.mu.Lock()
	all := []sandbox.Trouble{{ID: halfwayID, On: h.on, Amount: h.share, Met: h.met}}
	h.mu.Unlock()
	for _, name := range providers.Names() {
		if maker, ok := s.Local.Sandboxes[name].(sandbox.Troublemaker); ok {
			all = append(all, maker.Troubles()...)
		}
	}
	return all
}

// SetTrouble switches a trouble on or off.
func (s *Stack) SetTrouble(provider, id string, on bool, amount float64) error {
	if len(s.options.Real) > 0 {
		return errRealTrouble
	}
	defer s.recorder.Touch()
	if provider == "" {
		return s.children.half.set(id, on, amount)
	}
	maker, ok := s.Local.Sandboxes[provider].(sandbox.Troublemaker)
	if !ok {
		return fmt.Errorf("%s has no troubles: those with some are %s", provider, strings.Join(providers.Names(), ", "))
	}
	return maker.SetTrouble(id, on, amount)
}

func (h *halfway) set(id string, on bool, share float64) error {
	switch {
	case id != halfwayID:
		return fmt.Errorf("the stack has no trouble %q: it has %s", id, halfwayID)
	case on && !(share > 0 && share <= 1):
		return fmt.Errorf("a share of the invocations is above 0 and at most 1, not %v", share)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if on && !h.on {
		h.met = 0
	}
	h.on, h.share = on, share
	return nil
}

// Kill ends a process of a function at once, as it is.
func (s *Stack) Kill(function string) error {
	if !slices.Contains(localstack.Functions(), function) {
		return fmt.Errorf("there is no function %q: there are %s", function, strings.Join(localstack.Functions(), ", "))
	}
	if len(s.options.Real) > 0 {
		return errRealTrouble
	}
	if !s.children.kill(function, "") {
		return fmt.Errorf("%s has no process now: it has one once it is invoked", function)
	}
	return nil
}

// SetSpeed lets the stack's clock run faster than the machine's.
func (s *Stack) SetSpeed(factor float64) error {
	if len(s.options.Real) > 0 && factor > 1 {
		return errRealSpeed
	}
	defer s.recorder.Touch()
	return s.Clock.SetFactor(factor)
}
