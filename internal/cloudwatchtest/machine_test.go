package cloudwatchtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"sync"
	"time"

	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers/sandbox"
)

// errGaveUp is that a state's retries are used up.
var errGaveUp = errors.New("the state machine gave up")

// execute runs a state machine of the template to its end, as Step Functions would: its
// task for each event, three at a time as the Map of exports has it, called again as
// the answer and the state's Retry say, for the machine's time at most. Its choices are
// done here; that they are these other tests assert. It returns the last answer.
func (s *shop) execute(machine, function string, events ...string) (last string) {
	s.Helper()
	definition := []string{"Resources", machine, "Properties", "Definition"}
	limit := time.Duration(s.template.Number(s, append(definition, "TimeoutSeconds")...)) * time.Second
	task := s.template.At(append(definition, "States", "Call")...)
	if task == nil { // in a Map
		task = s.template.At(append(definition, "States", "Datasets", "ItemProcessor", "States", "Call")...)
	}
	ctx, cancel := context.WithTimeout(s.ctx, limit)
	defer cancel()
	failed, slots := false, make(chan struct{}, 3)
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, event := range events {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			status, err := s.call(ctx, task, function, event)
			mu.Lock()
			defer mu.Unlock()
			failed, last = failed || err != nil || status == "doubt", status
		})
	}
	all.Wait()
	var metric string
	switch {
	case s.ctx.Err() != nil:
		return last
	case ctx.Err() != nil:
		metric = "ExecutionsTimedOut"
	case failed:
		metric = "ExecutionsFailed"
	default:
		return last
	}
	s.account.Put(time.Now(), "AWS/States", metric, 1, map[string]string{"StateMachineArn": s.stack.Physical(machine)})
	return last
}

// call is the task with its retries, again while the answer says so.
func (s *shop) call(ctx context.Context, task any, function, event string) (status string, err error) {
	retries, _ := task.(map[string]any)["Retry"].([]any) //nolint:forcetypeassert // as Step Functions wants it
	number := func(name string) float64 {
		n, _ := strconv.ParseFloat(fmt.Sprint(retries[0].(map[string]any)[name]), 64) //nolint:forcetypeassert // the same
		return n
	}
	for tries := 0; ; {
		result, err := s.invoke(function, event)
		var answer struct {
			Status string
			Until  time.Time
		}
		if err == nil && result.Error == "" {
			err = json.Unmarshal(result.Payload, &answer)
		}
		wait := time.Duration(0)
		switch {
		case err != nil || result.Error != "":
			if tries++; tries > int(number("MaxAttempts")) {
				return "", errGaveUp
			}
			wait = time.Duration(min(number("IntervalSeconds")*math.Pow(number("BackoffRate"), float64(tries-1)), number("MaxDelaySeconds"))) * time.Second
		case answer.Status == "busy":
			tries, wait = 0, time.Until(answer.Until)
		case answer.Status == "continue":
			tries = 0
		default:
			return answer.Status, nil
		}
		if !sandbox.Pause(ctx, wait) {
			return "", ctx.Err()
		}
	}
}

// reconcile is the schedule's.
func (s *shop) reconcile() string {
	s.Helper()
	return s.execute("ReconcileLoop", localstack.Reconcile, `{"action":"reconcile"}`)
}

// export is the schedule's, of some datasets at this time.
func (s *shop) export(datasets ...string) string {
	s.Helper()
	var events []string
	at := time.Now().UTC().Format(time.RFC3339)
	for _, d := range datasets {
		events = append(events, fmt.Sprintf(`{"action":"extract","dataset":%q,"scheduled_time":%q}`, d, at))
	}
	return s.execute("ExportLoop", localstack.Export, events...)
}

// later does something while time passes.
func (s *shop) later(f func()) { s.running.Go(f) }

// set changes settings of functions that start afterwards.
func (s *shop) set(pairs map[string]string) { maps.Copy(s.vars, pairs) }
