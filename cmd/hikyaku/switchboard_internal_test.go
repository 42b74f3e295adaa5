package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/s3store"
	"hikyaku/internal/pause"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/sandbox"
)

// A board is a deployed stack of triggers alone, in virtual time.
type board struct {
	*testing.T

	aws    *awslocal.AWS
	config aws.Config
	switchboard
}

// onBoard runs a test on a stack of its own.
func onBoard(t *testing.T, run func(b *board)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		local, err := awslocal.New(awslocal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = local.Close() }()
		b := &board{T: t, aws: local, config: aws.Config{
			Region: awslocal.Region, BaseEndpoint: aws.String(local.URL), RetryMaxAttempts: 1, HTTPClient: local.Client(),
			Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		}}
		stack := awslocal.Stack{Name: "shop"}
		for _, name := range allTriggers() {
			resource := awslocal.StackResource{Type: "AWS::Scheduler::Schedule", LogicalID: name, PhysicalID: "shop-" + name}
			if name == userSource {
				resource.Type = "AWS::Lambda::EventSourceMapping"
				local.AddSource(awslocal.Mapping{ID: resource.PhysicalID, Queue: "q.fifo", Function: "relay"})
			} else {
				b.must(local.AddSchedule(resource.PhysicalID, `{"ScheduleExpression":"rate(1 minute)","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"a","RoleArn":"r"}}`))
			}
			stack.Resources = append(stack.Resources, resource)
		}
		local.Describe(stack)
		found, err := clibase.FindStack(t.Context(), b.config, "shop")
		b.must(err)
		b.switchboard = switchboard{found, s3store.New(b.config, awslocal.Bucket), "shop"}
		run(b)
	})
}

func allTriggers() []string { return flat(triggersOf) }

func (b *board) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// off are the triggers that are off.
func (b *board) off() []string {
	b.Helper()
	off, err := b.switchboard.off(b.Context(), pause.Parts())
	b.must(err)
	return flat(off)
}

// flat are the triggers of all parts, in their order.
func flat(byPart map[string][]string) (all []string) {
	for _, part := range pause.Parts() {
		all = append(all, byPart[part]...)
	}
	return all
}

// written are the parts whose pause is written down.
func (b *board) written() (parts []string) {
	b.Helper()
	state, err := pause.Read(b.Context(), b.objects, b.prefix)
	b.must(err)
	for _, part := range pause.Parts() {
		if state.Of(part) != nil {
			parts = append(parts, part)
		}
	}
	return parts
}

// known: whatever is off, its part's pause is written down, so that its alarm rings.
func (b *board) known(when string) {
	b.Helper()
	off, written := b.off(), b.written()
	for part, names := range triggersOf {
		for _, name := range names {
			if slices.Contains(off, name) && !slices.Contains(written, part) {
				b.Errorf("%s: %s is off, and nothing says that %s is paused", when, name, part)
			}
		}
	}
}

func (b *board) calls() (n int) {
	for _, times := range b.aws.Calls() {
		n += times
	}
	return n
}

func hour() pause.Pause {
	now := time.Now().UTC().Truncate(time.Second)
	return pause.Pause{By: "arn:aws:iam::000000000000:user/operator", Reason: "Yappli moves", Since: now, Until: now.Add(time.Hour)}
}

func TestSwitchboard_EachPartAlone(t *testing.T) {
	t.Parallel()
	for _, part := range pause.Parts() {
		onBoard(t, func(b *board) {
			_, err := b.pause(b.Context(), []string{part}, hour())
			b.must(err)
			if off := b.off(); !slices.Equal(off, triggersOf[part]) || !slices.Equal(b.written(), []string{part}) {
				b.Errorf("%s is paused: off are %v, written down %v", part, off, b.written())
			}
			state, stay, err := b.resume(b.Context(), pause.Parts())
			b.must(err)
			if off := b.off(); len(off)+len(stay) > 0 || state != (pause.State{}) {
				b.Errorf("%s was paused: off are %v, paused %+v", part, off, state)
			}
		})
	}
}

// A command that dies at any of its calls, before the call or without its answer, leaves
// nothing off of which nobody knows; run again, it is done.
func TestSwitchboard_InterruptedAnywhere(t *testing.T) {
	t.Parallel()
	all := pause.Parts()
	run := map[string]func(b *board) error{
		"pause":  func(b *board) error { _, err := b.pause(b.Context(), all, hour()); return err },
		"resume": func(b *board) error { _, _, err := b.resume(b.Context(), all); return err },
	}
	for name, do := range run {
		calls := 0
		prepared := func(b *board) {
			if name == "resume" {
				b.must(run["pause"](b))
			}
		}
		onBoard(t, func(b *board) {
			prepared(b)
			before := b.calls()
			b.must(do(b))
			calls = b.calls() - before
		})
		if calls < 10 {
			t.Fatalf("%s made %d calls only", name, calls)
		}
		failed := 0
		for n := range calls {
			for _, kind := range []sandbox.FaultKind{sandbox.ServerFail, sandbox.Lost} {
				onBoard(t, func(b *board) {
					prepared(b)
					when := fmt.Sprintf("%s, %s at call %d", name, kind, n+1)
					b.aws.Inject(sandbox.Fault{Kind: kind, After: n, Times: 1}, sandbox.Fault{Kind: sandbox.ServerFail, After: n, Times: -1})
					if do(b) != nil {
						failed++
					}
					b.aws.ClearFaults()
					b.known(when)
					if err := do(b); err != nil {
						b.Errorf("%s, and again: %v", when, err)
					}
					wantOff, wantWritten := allTriggers(), all
					if name == "resume" {
						wantOff, wantWritten = nil, nil
					}
					if off, written := b.off(), b.written(); !slices.Equal(off, wantOff) || !slices.Equal(written, wantWritten) {
						b.Errorf("%s, and again: off are %v, written down %v", when, off, written)
					}
				})
			}
		}
		if failed < calls {
			t.Errorf("%s: only %d of %d interruptions were noticed", name, failed, 2*calls)
		}
	}
}

// cutStore is a store of somebody who is stopped after a call.
type cutStore struct {
	objectstore.Store

	after string // Get or Put
	stop  context.CancelFunc
}

func (s cutStore) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	info, body, err := s.Store.Get(ctx, key)
	if s.after == "Get" {
		s.stop()
	}
	return info, body, err
}

func (s cutStore) Put(ctx context.Context, o objectstore.Object) (string, error) {
	tag, err := s.Store.Put(ctx, o)
	if s.after == "Put" {
		s.stop()
	}
	return tag, err
}

// Who stops a command in the middle is told what that left, and not that it was stopped
// alone.
func TestSwitchboard_StoppedSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	pauses := func(ctx context.Context, s switchboard) error {
		_, err := s.pause(ctx, pause.Parts(), hour())
		return err
	}
	resumes := func(ctx context.Context, s switchboard) error { _, _, err := s.resume(ctx, pause.Parts()); return err }
	for _, c := range []struct {
		after string
		do    func(context.Context, switchboard) error
		want  string
	}{
		{"Get", pauses, "stopped; whether the pause is written down is not known; run the same command again"},
		{"Put", pauses, "stopped; the pause is written down, but not all of it rests yet; run the same command again"},
		{"Get", resumes, "stopped; not all of it works again yet, and the pause stays written down; run the same command again"},
	} {
		onBoard(t, func(b *board) {
			_, err := b.pause(b.Context(), []string{pause.Export}, hour())
			b.must(err)
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			cut := b.switchboard
			cut.objects = cutStore{b.objects, c.after, stop}
			if err := c.do(ctx, cut); err == nil || interrupted(err).Error() != c.want {
				b.Errorf("after a %s: %v, want %s", c.after, err, c.want)
			}
		})
	}
}

// A trigger that somebody has deleted does not keep the others from being paused, and a
// resume says that it is missing.
func TestSwitchboard_PausesWhatIsLeft(t *testing.T) {
	t.Parallel()
	onBoard(t, func(b *board) {
		for _, name := range []string{localstack.Wanted, userSource} {
			b.stack.Resources[name] = "gone"
		}
		_, err := b.pause(b.Context(), pause.Parts(), hour())
		b.must(err)
		if off, want := b.off(), []string{localstack.Nightly, localstack.Exports, localstack.Tick}; !slices.Equal(off, want) {
			b.Errorf("off are %v, want %v", off, want)
		}
		_, _, err = b.resume(b.Context(), pause.Parts())
		if off := b.off(); err == nil || !strings.Contains(err.Error(), "reading the schedule gone: somebody has deleted it") || len(off) > 0 || len(b.written()) != len(pause.Parts()) {
			b.Errorf("%v; off are %v", err, off)
		}
	})
}

// What somebody had switched off for good does not begin to work because of a pause, even
// of one that was begun twice.
func TestSwitchboard_WhatWasOffStaysOff(t *testing.T) {
	t.Parallel()
	onBoard(t, func(b *board) {
		b.must(b.turn(b.Context(), localstack.Exports, false))
		b.must(b.turn(b.Context(), localstack.Wanted, false))
		for range 2 {
			_, err := b.pause(b.Context(), pause.Parts(), hour())
			b.must(err)
		}
		_, stay, err := b.resume(b.Context(), pause.Parts())
		b.must(err)
		if want := []string{localstack.Wanted, localstack.Exports}; !slices.Equal(stay, want) || !slices.Equal(b.off(), want) {
			b.Errorf("stay %v, off %v, want %v", stay, b.off(), want)
		}
		_, stay, err = b.resume(b.Context(), pause.Parts()) // without a pause: by hand
		b.must(err)
		if off := b.off(); len(stay)+len(off) > 0 {
			b.Errorf("resumed without a pause: off are %v", off)
		}
	})
}

// meddledReads is a store before whose second read, or after whose first, somebody else
// does something.
type meddledReads struct {
	objectstore.Store

	early  bool // after the first
	reads  int
	meddle func()
}

func (m *meddledReads) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	if m.reads++; m.reads == 2 && !m.early {
		m.meddle()
	}
	info, body, err := m.Store.Get(ctx, key)
	if m.reads == 1 && m.early {
		m.meddle()
	}
	return info, body, err
}

// Another person pauses before the one who resumes is done: the stack is not left paused
// without a note.
func TestSwitchboard_PausedWhileItIsResumed(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} { // before it is switched on, or after
		onBoard(t, func(b *board) {
			_, err := b.pause(b.Context(), pause.Parts(), hour())
			b.must(err)
			longer := hour()
			longer.Until = longer.Until.Add(time.Hour)
			resuming := b.switchboard
			resuming.objects = &meddledReads{Store: b.objects, early: early, meddle: func() {
				_, err := b.pause(b.Context(), []string{pause.Relay}, longer)
				b.must(err)
			}}
			if _, _, err := resuming.resume(b.Context(), pause.Parts()); !errors.Is(err, pause.ErrPausedAgain) {
				b.Errorf("who resumes is not told of the new pause: %v", err)
			}
			b.known("after both")
			if off := b.off(); !slices.Equal(off, triggersOf[pause.Relay]) || !slices.Equal(b.written(), []string{pause.Relay}) {
				b.Errorf("early %v: off are %v, written down %v", early, off, b.written())
			}
		})
	}
}

// A schedule on which somebody has set everything keeps all of it.
func TestSwitchboard_KeepsTheSchedule(t *testing.T) {
	t.Parallel()
	onBoard(t, func(b *board) {
		client := scheduler.NewFromConfig(b.config)
		name := "shop-" + localstack.Exports
		full := &scheduler.UpdateScheduleInput{
			Name: &name, Description: aws.String("every dataset"), ScheduleExpression: aws.String("cron(0 2 * * ? *)"), ScheduleExpressionTimezone: aws.String("Asia/Tokyo"),
			StartDate: aws.Time(time.Unix(1800000000, 0)), EndDate: aws.Time(time.Unix(1900000000, 0)), ActionAfterCompletion: types.ActionAfterCompletionNone,
			KmsKeyArn:          aws.String("arn:aws:kms:ap-northeast-1:000000000000:key/k"),
			FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeFlexible, MaximumWindowInMinutes: aws.Int32(15)},
			Target: &types.Target{
				Arn: aws.String("arn:aws:states:ap-northeast-1:000000000000:stateMachine:m"), RoleArn: aws.String("arn:aws:iam::000000000000:role/r"),
				Input:            aws.String(`{"datasets":["<aws.scheduler.scheduled-time>"], "kept": "as it is"}`),
				RetryPolicy:      &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(0), MaximumEventAgeInSeconds: aws.Int32(3600)},
				DeadLetterConfig: &types.DeadLetterConfig{Arn: aws.String("arn:aws:sqs:ap-northeast-1:000000000000:dead")},
			},
		}
		_, err := client.UpdateSchedule(b.Context(), full)
		b.must(err)
		get := func() *scheduler.GetScheduleOutput {
			out, err := client.GetSchedule(b.Context(), &scheduler.GetScheduleInput{Name: &name})
			b.must(err)
			out.LastModificationDate = nil
			return out
		}
		before := get()
		_, err = b.pause(b.Context(), []string{pause.Export}, hour())
		b.must(err)
		for _, step := range []struct {
			name  string
			state types.ScheduleState
			do    func()
		}{
			{"paused", types.ScheduleStateDisabled, func() {}},
			{"resumed", types.ScheduleStateEnabled, func() { _, _, err = b.resume(b.Context(), []string{pause.Export}); b.must(err) }},
		} {
			step.do()
			now := get()
			if now.State != step.state {
				b.Errorf("%s: it is %s", step.name, now.State)
			}
			now.State, now.ResultMetadata = before.State, before.ResultMetadata
			if !reflect.DeepEqual(now, before) {
				b.Errorf("%s:\n%+v\nwas\n%+v", step.name, now, before)
			}
		}
	})
}

// Of an event source only its state is sent.
func TestSwitchboard_KeepsTheSource(t *testing.T) {
	t.Parallel()
	onBoard(t, func(b *board) {
		get := func() *awslambda.GetEventSourceMappingOutput {
			out, err := awslambda.NewFromConfig(b.config).GetEventSourceMapping(b.Context(), &awslambda.GetEventSourceMappingInput{UUID: aws.String("shop-" + userSource)})
			b.must(err)
			return out
		}
		before := get()
		_, err := b.pause(b.Context(), []string{pause.Relay}, hour())
		b.must(err)
		now := get()
		if *now.State != "Disabled" {
			b.Errorf("it is %s when the command ends", *now.State)
		}
		now.State, now.ResultMetadata = before.State, before.ResultMetadata
		if !reflect.DeepEqual(now, before) {
			b.Errorf("%+v, was %+v", now, before)
		}
	})
}

// Every schedule and event source of the template belongs to a part, but the one that
// looks at the pauses: a new one is not forgotten.
func TestSwitchboard_KnowsTheTemplate(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, "../..")
	want := slices.Concat(s.Resources("AWS::Scheduler::Schedule"), s.Resources("AWS::Lambda::EventSourceMapping"))
	got := append(allTriggers(), localstack.Pauses)
	if !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("pause knows %v, the template has %v", got, want)
	}
	if parts := slices.Sorted(maps.Keys(triggersOf)); !slices.Equal(parts, sorted(pause.Parts())) {
		t.Errorf("triggers of %v", parts)
	}
}
