package localstack

import (
	"encoding/json"
	"errors"

	"hikyaku/internal/awslocal"
)

// The schedules, by the names of template.yaml.
const (
	Tick    = "TokenRefreshTick"
	Nightly = "ReconcileLoopNightly"
	Wanted  = "ReconcileLoopWanted"
	Exports = "ExportLoopNightly"
	Pauses  = "PauseWatch"
)

// Logical names of the state machines in template.yaml.
const (
	ReconcileLoop = "ReconcileLoop"
	ExportLoop    = "ExportLoop"
)

// schedules are as template.yaml has them, by its defaults. Nothing fires them but who
// drives the stack, which asks [Stack.Fires] before each time.
var schedules = []struct{ name, expression, target, input string }{
	{Tick, "rate(1 minute)", "lambda:function:" + TokenRefresh + ":" + Schedule, `{"source":"aws.scheduler"}`},
	{Nightly, "cron(30 18 * * ? *)", "states:stateMachine:ReconcileLoop", `{"event":{"action":"reconcile"}}`},
	{Wanted, "rate(10 minutes)", "states:stateMachine:ReconcileLoop", `{"event":{"action":"reconcile","only_if_wanted":true}}`},
	{Exports, "cron(0 17 * * ? *)", "states:stateMachine:ExportLoop", `{"datasets":["yappli/users","supersaas/users","supersaas/appointments","shopline/customers","shopline/orders","assisttencho/orders"],"scheduled_time":"<aws.scheduler.scheduled-time>"}`},
	{Pauses, "rate(5 minutes)", "lambda:function:" + TokenRefresh + ":" + Watch, `{"action":"watch_pauses"}`},
}

// scheduleName is the physical name of a schedule, which CloudFormation makes.
func scheduleName(schedule string) string { return Name + "-" + schedule + "-1ABCDEFGHIJKL" }

// Fires reports whether a schedule is enabled.
func (s *Stack) Fires(schedule string) bool { return s.AWS.Fires(scheduleName(schedule)) }

func (s *Stack) addSchedules() error {
	faults := make([]error, 0, 2*len(schedules))
	for _, schedule := range schedules { // one that is there stays as it was left, perhaps paused
		document, err := json.Marshal(map[string]any{
			"ScheduleExpression": schedule.expression, "FlexibleTimeWindow": map[string]string{"Mode": "OFF"},
			"Target": map[string]any{
				"Arn": "arn:aws:" + schedule.target, "RoleArn": "arn:aws:iam::" + awslocal.Account + ":role/" + Name + "-schedules", "Input": schedule.input,
			},
		})
		faults = append(faults, err, s.AWS.AddSchedule(scheduleName(schedule.name), string(document)))
	}
	return errors.Join(faults...)
}

// RelaySource feeds the queue to the relay.
func RelaySource() awslocal.Mapping {
	return awslocal.Mapping{ID: "5f0c0c1e-6a43-4f0e-9d59-0000000000f1", Queue: Queue, Function: Relay, BatchSize: 10, MaxConcurrency: 2}
}
