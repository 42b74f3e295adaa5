package awslocal

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// An Execution is what Step Functions tells of one. State machines run here only where
// OnStart says how.
type Execution struct {
	Name, Status string // such as RUNNING, SUCCEEDED, FAILED

	Started, Ended time.Time // Ended is zero while it runs
}

// machines are the executions of each state machine.
type machines struct {
	mu    sync.Mutex
	byARN map[string][]Execution
	run   func(machine string, input []byte) error
	now   func() time.Time
}

// SetExecutions makes a state machine with its executions, the newest first, or gives
// it others, and returns its ARN.
func (t *Told) SetExecutions(machine string, executions ...Execution) string {
	t.machines.mu.Lock()
	defer t.machines.mu.Unlock()
	if t.machines.byARN == nil {
		t.machines.byARN = map[string][]Execution{}
	}
	machine = arn("states", "stateMachine:"+machine)
	t.machines.byARN[machine] = executions
	return machine
}

// OnStart says what StartExecution does: it is given the name of the state machine and the
// input, and returns once the execution has begun. Without it nobody can start one.
func (t *Told) OnStart(run func(machine string, input []byte) error) {
	t.machines.mu.Lock()
	defer t.machines.mu.Unlock()
	t.machines.run = run
}

type startInput struct {
	Machine string `json:"stateMachineArn"`
	Name    string `json:"name"`
	Input   string `json:"input"`
}

type startOutput struct {
	ARN     string  `json:"executionArn"`
	Started float64 `json:"startDate"`
}

// start serves StartExecution.
func (m *machines) start(_ *http.Request, in startInput) (startOutput, error) {
	m.mu.Lock()
	run := m.run
	m.mu.Unlock()
	name := in.Machine[strings.LastIndexByte(in.Machine, ':')+1:]
	if run == nil || in.Machine != arn("states", "stateMachine:"+name) {
		return startOutput{}, refuse("StateMachineDoesNotExist", "State Machine Does Not Exist: '%s'", in.Machine)
	}
	if !json.Valid([]byte(cmp.Or(in.Input, "{}"))) {
		return startOutput{}, refuse("InvalidExecutionInput", "Invalid State Machine Execution Input: '%s'", in.Input)
	}
	if err := run(name, []byte(cmp.Or(in.Input, "{}"))); err != nil {
		return startOutput{}, err
	}
	id := cmp.Or(in.Name, uuid.NewString())
	return startOutput{arn("states", "execution:"+name+":"+id), seconds(m.now())}, nil
}

type executionsInput struct {
	Machine      string `json:"stateMachineArn"`
	MaxResults   int    `json:"maxResults"`
	StatusFilter string `json:"statusFilter"`
}

type executionEntry struct {
	ARN     string   `json:"executionArn"`
	Machine string   `json:"stateMachineArn"`
	Name    string   `json:"name"`
	Status  string   `json:"status"`
	Started float64  `json:"startDate"`
	Ended   *float64 `json:"stopDate,omitempty"`
}

type executionList struct {
	Executions []executionEntry `json:"executions"`
}

// listExecutions serves ListExecutions. It answers all at once, or as many as are
// asked for, and none after them.
func (m *machines) listExecutions(_ *http.Request, in executionsInput) (executionList, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, found := m.byARN[in.Machine]
	if !found {
		return executionList{}, refuse("StateMachineDoesNotExist", "State Machine Does Not Exist: '%s'", in.Machine)
	}
	out := executionList{Executions: []executionEntry{}}
	for _, e := range slices.Clone(all) {
		if in.StatusFilter != "" && e.Status != in.StatusFilter || in.MaxResults > 0 && len(out.Executions) == in.MaxResults {
			continue
		}
		entry := executionEntry{ARN: in.Machine + ":" + e.Name, Machine: in.Machine, Name: e.Name, Status: e.Status, Started: seconds(e.Started)}
		if !e.Ended.IsZero() {
			ended := seconds(e.Ended)
			entry.Ended = &ended
		}
		out.Executions = append(out.Executions, entry)
	}
	return out, nil
}
