package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/dev/schedule"
	"hikyaku/internal/localstack"
)

// fire lets the schedules of the local AWS fire by the stack's clock until ctx ends, as
// EventBridge Scheduler does: what is due while the stack does not run, or while a
// schedule is disabled, is not made up for. A rate counts from when its schedule was
// made, so that its times last over restarts.
func (s *Stack) fire(ctx context.Context) {
	last := s.Clock.Now()
	if s.machines.first() {
		s.beginFirst(ctx)
	}
	ticker := time.NewTicker(lookAtSchedules)
	defer ticker.Stop()
	unreadable := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := s.Clock.Now()
		for _, each := range s.Local.AWS.Schedules() {
			e, err := schedule.Parse(each.Expression, each.Zone)
			if err != nil {
				if !unreadable[each.Name+each.Expression] {
					s.options.Notes(fmt.Sprintf("The schedule %s never fires: %v", each.Name, err))
				}
				unreadable[each.Name+each.Expression] = true
				continue
			}
			for due, ok := e.After(each.Created, last); ok && !due.After(now); due, ok = e.After(each.Created, due) {
				if each.Enabled {
					s.begin(ctx, each, due)
				}
			}
		}
		last = now
	}
}

// lookAtSchedules is how often the schedules are looked at, by the machine's clock. Even
// at the highest speed that is oftener than any of them can fire.
const lookAtSchedules = 50 * time.Millisecond

// beginFirst does what a person does after the first deployment: the tokens are fetched,
// and then both lists compared.
func (s *Stack) beginFirst(ctx context.Context) {
	for _, each := range s.Local.AWS.Schedules() {
		if _, function, ok := strings.Cut(each.Target, "function:"); ok && strings.Contains(each.Name, localstack.Tick) {
			if _, err := invoke(ctx, s.Local.AWS, function, json.RawMessage(each.Input)); err != nil && ctx.Err() == nil {
				s.options.Notes("The tokens were not fetched yet: " + err.Error())
			}
		}
	}
	s.startMachine(ctx, localstack.Nightly)
}

// startMachine begins what a schedule begins, at once.
func (s *Stack) startMachine(ctx context.Context, logical string) {
	for _, each := range s.Local.AWS.Schedules() {
		if strings.Contains(each.Name, logical) && each.Enabled {
			s.begin(ctx, each, s.Clock.Now())
		}
	}
}

// begin does what a schedule is for. The time for which it was due stands where its
// input has a place for it.
func (s *Stack) begin(ctx context.Context, of awslocal.Schedule, due time.Time) {
	input := strings.ReplaceAll(of.Input, "<aws.scheduler.scheduled-time>", due.UTC().Format("2006-01-02T15:04:05Z"))
	if _, machine, isMachine := strings.Cut(of.Target, "stateMachine:"); isMachine {
		if err := s.machines.start(ctx, machine, json.RawMessage(input)); err != nil {
			s.options.Notes(fmt.Sprintf("The schedule %s did not begin: %v", of.Name, err))
		}
		return
	}
	_, function, _ := strings.Cut(of.Target, "function:")
	s.work.Go(func() {
		if _, err := invoke(ctx, s.Local.AWS, function, json.RawMessage(input)); err != nil && ctx.Err() == nil {
			s.options.Notes(fmt.Sprintf("The schedule %s: %v", of.Name, err))
		}
	})
}
