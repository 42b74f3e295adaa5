package proverelay

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/reconcile"
)

// A loop is ReconcileLoop of the template, run as Step Functions runs it.
type loop struct {
	definition map[string]any
	invoke     func(ctx context.Context, payload []byte) (awslocal.Result, error)
}

func (r *rig) loop() loop { return newLoop(r.T, r.template, r.aws) }

func newLoop(t *testing.T, template prove.Template, aws *awslocal.AWS) loop {
	t.Helper()
	definition, ok := template.At("Resources", "ReconcileLoop", "Properties", "Definition").(map[string]any)
	if !ok {
		t.Fatal("template.yaml has no ReconcileLoop")
	}
	return loop{definition, func(ctx context.Context, payload []byte) (awslocal.Result, error) {
		return aws.Invoke(ctx, localstack.Reconcile, payload)
	}}
}

// run executes the loop and returns its last answer, and how often it called
// the function.
func (l loop) run(ctx context.Context, event string) (answer reconcile.Result, calls int, err error) {
	states := l.definition["States"].(map[string]any) //nolint:forcetypeassert // as Step Functions wants it
	for name := fmt.Sprint(l.definition["StartAt"]); ; {
		state, ok := states[name].(map[string]any)
		if !ok {
			return answer, calls, fmt.Errorf("no state %s", name)
		}
		next := state["Next"] // the template is shared: other executions read it
		switch state["Type"] {
		case "Task":
			answer, err = l.call(ctx, state, event, &calls)
		case "Choice":
			next = choose(state, answer.Status)
		case "Wait":
			time.Sleep(time.Until(answer.Until))
		case "Succeed":
			return answer, calls, nil
		}
		if err != nil || ctx.Err() != nil {
			return answer, calls, err
		}
		name = fmt.Sprint(next)
	}
}

// choose goes by the answer's status alone, which all choices do.
func choose(state map[string]any, status string) any {
	for _, c := range state["Choices"].([]any) { //nolint:forcetypeassert // as Step Functions wants it
		if choice, _ := c.(map[string]any); choice["Variable"] == "$.last.answer.status" && choice["StringEquals"] == status {
			return choice["Next"]
		}
	}
	return state["Default"]
}

// call invokes the function, and again after a failure as the state's Retry
// says.
func (l loop) call(ctx context.Context, state map[string]any, event string, calls *int) (answer reconcile.Result, err error) {
	retry, _ := state["Retry"].([]any)[0].(map[string]any)
	number := func(name string) float64 {
		n, _ := strconv.ParseFloat(fmt.Sprint(retry[name]), 64)
		return n
	}
	for attempt := 0.0; ; attempt++ {
		*calls++
		result, err := l.invoke(ctx, []byte(event))
		if err == nil && result.Error == "" {
			return answer, json.Unmarshal(result.Payload, &answer)
		}
		if attempt == number("MaxAttempts") || ctx.Err() != nil {
			return answer, fmt.Errorf("reconcile failed: %s, %w", result.Payload, err)
		}
		pause := min(number("MaxDelaySeconds"), number("IntervalSeconds")*math.Pow(number("BackoffRate"), attempt))
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(pause) * time.Second):
		}
	}
}
