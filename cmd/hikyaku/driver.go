package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
)

// A driver invokes a stack's functions, as its schedules, its state machines and its
// queue do on AWS.
type driver struct{ stack *localstack.Stack }

// invoke calls a function through the local AWS.
func (d driver) invoke(ctx context.Context, function string, event, answer any) error {
	payload, err := json.Marshal(event)
	if err != nil {
		return err
	}
	result, err := d.stack.AWS.Invoke(ctx, function, payload)
	if err != nil {
		return err
	}
	if result.Error != "" {
		var failure struct {
			Message string `json:"errorMessage"`
		}
		_ = json.Unmarshal(result.Payload, &failure)
		return locale.Errorf("%s: %s", function, failure.Message)
	}
	return json.Unmarshal(result.Payload, answer)
}

// loop invokes until the answer is done, as the template's state machines do.
func (d driver) loop(ctx context.Context, function string, event any, answer any, status func() string) (calls int, err error) {
	for calls = 1; ; calls++ {
		if err := d.invoke(ctx, function, event, answer); err != nil {
			return calls, err
		}
		switch status() {
		case "done":
			return calls, nil
		case "continue":
		case "busy":
			time.Sleep(200 * time.Millisecond)
		default:
			return calls, locale.Errorf("%s answered %q", function, status())
		}
		if calls == 100 {
			return calls, locale.Errorf("%s is not done after %d calls", function, calls)
		}
	}
}

// tick lets tokenrefresh look at every credential.
func (d driver) tick(ctx context.Context, answer any) error {
	return d.invoke(ctx, localstack.TokenRefresh+":"+localstack.Schedule, map[string]string{"source": "aws.scheduler"}, answer)
}

// run does what a stack's schedules and its queue do, until ctx ends: each minute a look
// at the tokens, the first comparison of both lists at once, another each ten minutes
// if one is wanted, and a look at the pauses each five. What is paused rests. Notes get
// what fails; the next time may succeed.
func (d driver) run(ctx context.Context, notes io.Writer) {
	go d.poll(ctx)
	go d.every(ctx, time.Minute, notes, d.scheduled(localstack.Tick, func() error { return d.tick(ctx, new(any)) }))
	go d.every(ctx, 5*time.Minute, notes, d.scheduled(localstack.Pauses, func() error {
		return d.invoke(ctx, localstack.TokenRefresh+":"+localstack.Watch, map[string]string{"action": "watch_pauses"}, new(any))
	}))
	event := map[string]any{"action": "reconcile"}
	d.every(ctx, 10*time.Minute, notes, d.scheduled(localstack.Wanted, func() error {
		var answer struct{ Status string }
		_, err := d.loop(ctx, localstack.Reconcile, event, &answer, func() string { return answer.Status })
		if err == nil {
			event["only_if_wanted"] = true
		}
		return err
	}))
}

// machine runs a state machine once, as StartExecution has it done.
func (d driver) machine(ctx context.Context, name string, input []byte) error {
	if name == localstack.ReconcileLoop {
		var in struct{ Event map[string]any }
		if err := json.Unmarshal(input, &in); err != nil {
			return err
		}
		var answer struct{ Status string }
		_, err := d.loop(ctx, localstack.Reconcile, in.Event, &answer, func() string { return answer.Status })
		return err
	}
	var in struct {
		Datasets  []string
		Scheduled string `json:"scheduled_time"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return err
	}
	var faults []error
	for _, name := range export.DatasetNames() {
		if !slices.Contains(in.Datasets, name) && !slices.Contains(in.Datasets, "all") {
			continue
		}
		var answer export.Answer
		_, err := d.loop(ctx, localstack.Export, map[string]string{"action": "extract", "dataset": name, "scheduled_time": in.Scheduled}, &answer, func() string { return string(answer.Status) })
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// scheduled does something if its schedule is enabled.
func (d driver) scheduled(schedule string, do func() error) func() error {
	return func() error {
		if !d.stack.Fires(schedule) {
			return nil
		}
		return do()
	}
}

// every does something at once, and then again and again until ctx ends.
func (d driver) every(ctx context.Context, pause time.Duration, notes io.Writer, do func() error) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		if err := do(); err != nil && ctx.Err() == nil {
			say(notes, "hikyaku: %s", visible(err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// poll feeds the queue to the relay until ctx ends.
func (d driver) poll(ctx context.Context) {
	_ = d.stack.AWS.Poll(ctx, localstack.RelaySource())
}
