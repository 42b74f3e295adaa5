package dev

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/dev/clock"
	"hikyaku/internal/dev/record"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers/sandbox"
)

// The state machines of template.yaml. Each calls its function until that neither
// continues nor is busy.
const (
	reconcileLoop = "ReconcileLoop"
	exportLoop    = "ExportLoop"
)

// What the machines have in the template.
const (
	mostReconcile = 43200 * time.Second
	mostExport    = 82800 * time.Second
	exportsAtOnce = 3
	firstRetry    = 30 * time.Second
	backoff       = 3
	longestRetry  = time.Hour
	mostRetries   = 8
)

// machines run the executions of the state machines. What runs when the process is killed
// goes on with the next one: calling a function again is what they do anyway.
type machines struct {
	aws      *awslocal.AWS
	clock    *clock.Clock
	keeper   sandbox.Keeper
	recorder *record.Recorder
	work     sync.WaitGroup

	mu  sync.Mutex
	all []execution // the newest first
}

// An execution is one as it is kept.
type execution struct {
	Machine, Name, Status string

	Input          json.RawMessage
	Started, Ended time.Time
}

const (
	executions     = "dev/executions"
	mostExecutions = 100
	running        = "RUNNING"
)

func (m *machines) load() error {
	err := m.keeper.Load(executions, func(key string, value []byte) error {
		var e execution
		if err := json.Unmarshal(value, &e); err != nil {
			return fmt.Errorf("the execution %s: %w", key, err)
		}
		m.all = append(m.all, e)
		return nil
	})
	slices.SortFunc(m.all, func(a, b execution) int { return b.Started.Compare(a.Started) })
	m.show()
	return err
}

// first reports that nothing was ever executed here.
func (m *machines) first() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.all) == 0
}

// show lets Step Functions list the executions.
func (m *machines) show() {
	for _, machine := range []string{reconcileLoop, exportLoop} {
		var shown []awslocal.Execution
		for _, e := range m.all {
			if e.Machine == machine {
				shown = append(shown, awslocal.Execution{Name: e.Name, Status: e.Status, Started: e.Started, Ended: e.Ended})
			}
		}
		m.aws.Told.SetExecutions(machine, shown...)
	}
}

// resume goes on with what ran when the process before ended.
func (m *machines) resume(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.all {
		if e.Status == running {
			m.work.Go(func() { m.execute(ctx, e) })
		}
	}
}

// start begins an execution.
func (m *machines) start(ctx context.Context, machine string, input json.RawMessage) error {
	if machine != reconcileLoop && machine != exportLoop {
		return fmt.Errorf("there is no state machine %s", machine)
	}
	e := execution{Machine: machine, Name: uuid.NewString(), Status: running, Input: input, Started: m.clock.Now()}
	if err := m.keep(e); err != nil {
		return err
	}
	m.work.Go(func() { m.execute(ctx, e) })
	return nil
}

// keep keeps an execution as it is now, and forgets the oldest.
func (m *machines) keep(e execution) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	changes := []sandbox.Change{{Section: executions, Key: e.Name, Value: value}}
	if i := slices.IndexFunc(m.all, func(other execution) bool { return other.Name == e.Name }); i >= 0 {
		m.all[i] = e
	} else {
		m.all = slices.Insert(m.all, 0, e)
	}
	if len(m.all) > mostExecutions {
		if last := len(m.all) - 1; m.all[last].Status != running {
			changes = append(changes, sandbox.Change{Section: executions, Key: m.all[last].Name})
			m.all = m.all[:last]
		}
	}
	m.show()
	m.recorder.Touch()
	return m.keeper.Commit(changes...)
}

// execute brings an execution to its end.
func (m *machines) execute(ctx context.Context, e execution) {
	limit, do := mostReconcile, m.reconcile
	if e.Machine == exportLoop {
		limit, do = mostExport, m.export
	}
	end := e.Started.Add(limit)
	err := do(ctx, e.Input, end)
	if ctx.Err() != nil {
		return // it goes on when the stack does
	}
	e.Ended = m.clock.Now()
	switch {
	case errors.Is(err, errTime):
		e.Status = "TIMED_OUT"
	case err != nil:
		e.Status = "FAILED"
	default:
		e.Status = "SUCCEEDED"
	}
	_ = m.keep(e) // a keeper that fails has failed already where it counts
}

var errTime = errors.New("the execution took too long")

// answer is what of a function's answer a machine looks at.
type answer struct {
	Status string     `json:"status"`
	Until  *time.Time `json:"until"`
}

func (m *machines) reconcile(ctx context.Context, input json.RawMessage, end time.Time) error {
	var in struct {
		Event json.RawMessage `json:"event"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return err
	}
	_, err := m.loop(ctx, localstack.Reconcile, in.Event, end)
	return err
}

// export calls for each dataset on its own: one that fails leaves the others alone.
func (m *machines) export(ctx context.Context, input json.RawMessage, end time.Time) error {
	var in struct {
		Datasets []string `json:"datasets"`
		Time     string   `json:"scheduled_time"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return err
	}
	faults := make([]error, len(in.Datasets))
	turns := make(chan struct{}, exportsAtOnce)
	var all sync.WaitGroup
	for i, dataset := range in.Datasets {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			event, _ := json.Marshal(map[string]string{"action": "extract", "dataset": dataset, "scheduled_time": in.Time})
			status, err := m.loop(ctx, localstack.Export, event, end)
			if err == nil && status != "done" && status != "off" {
				err = fmt.Errorf("%s is in %s", dataset, cmp.Or(status, "doubt"))
			}
			faults[i] = err
		})
	}
	all.Wait()
	return errors.Join(faults...)
}

// loop calls a function until it neither continues nor is busy.
func (m *machines) loop(ctx context.Context, function string, event json.RawMessage, end time.Time) (status string, err error) {
	for {
		a, err := m.patiently(ctx, function, event, end)
		switch {
		case err != nil:
			return "", err
		case a.Status == "continue":
		case a.Status == "busy" && a.Until != nil:
			if err := m.wait(ctx, *a.Until, end); err != nil {
				return "", err
			}
		default:
			return a.Status, nil
		}
	}
}

// patiently calls a function again where it fails, with longer and longer pauses.
func (m *machines) patiently(ctx context.Context, function string, event json.RawMessage, end time.Time) (a answer, err error) {
	pause := firstRetry
	for try := 0; ; try++ {
		var raw []byte
		if raw, err = invoke(ctx, m.aws, function, event); err == nil {
			return a, json.Unmarshal(raw, &a)
		}
		if try == mostRetries {
			return a, err
		}
		if err := m.wait(ctx, m.clock.Now().Add(pause), end); err != nil {
			return a, err
		}
		pause = min(backoff*pause, longestRetry)
	}
}

func (m *machines) wait(ctx context.Context, until, end time.Time) error {
	if !m.clock.Until(ctx, earlier(until, end)) {
		return ctx.Err()
	}
	if until.After(end) {
		return errTime
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// invoke calls a function and returns its answer. An error of the function's is one.
func invoke(ctx context.Context, aws *awslocal.AWS, function string, event json.RawMessage) ([]byte, error) {
	result, err := aws.Invoke(ctx, function, event)
	if err != nil {
		return nil, fmt.Errorf("invoking %s: %w", function, err)
	}
	if result.Error == "" {
		return result.Payload, nil
	}
	var failure struct {
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(result.Payload, &failure) // without one, the log says it
	return nil, fmt.Errorf("%s failed: %s", function, cmp.Or(failure.Message, "see its log"))
}
