package awslocal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const schedulesPath = "/schedules/"

// A schedule is one as EventBridge Scheduler takes it. Target and window are kept as
// they come. Times are seconds since 1970.
type schedule struct {
	ActionAfterCompletion      string   `json:",omitempty"`
	ClientToken                string   `json:",omitempty"`
	Description                string   `json:",omitempty"`
	EndDate                    *float64 `json:",omitempty"`
	FlexibleTimeWindow         json.RawMessage
	GroupName                  string
	KMSKeyARN                  string `json:"KmsKeyArn,omitempty"`
	ScheduleExpression         string
	ScheduleExpressionTimezone string
	StartDate                  *float64 `json:",omitempty"`
	State                      string
	Target                     json.RawMessage
}

// scheduleEntry is a schedule as it is shown.
type scheduleEntry struct {
	schedule

	ARN                                string `json:"Arn"`
	Name                               string
	CreationDate, LastModificationDate float64

	declared  string // document that it was added with
	inherited bool   // from an earlier process; this one has not added it yet
}

type schedules struct {
	now    func() time.Time
	ledger *ledger

	mu     sync.Mutex
	byName map[string]scheduleEntry
}

// scheduleSection of the keeper holds them by their names.
const scheduleSection = "aws.schedules"

type scheduleRecord struct {
	Entry    scheduleEntry
	Declared string
}

// restore reads the schedules of an earlier process.
func (s *schedules) restore() error {
	return load(s.ledger.keeper, scheduleSection, func(name string, r scheduleRecord, _ []byte) error {
		r.Entry.declared, r.Entry.inherited = r.Declared, true
		s.byName[name] = r.Entry
		return nil
	})
}

// AddSchedule lets EventBridge Scheduler show a schedule, in the JSON of its API. Who
// drives the functions asks [AWS.Fires] before each time. One that an earlier process
// left in Options.Keeper stays as it was left; only if that one had added it with another
// document, it becomes what this one says, and is as enabled as it was.
func (a *AWS) AddSchedule(name, document string) error {
	_, err := settled(a.schedules.ledger, func() (nothing, error) {
		a.schedules.mu.Lock()
		defer a.schedules.mu.Unlock()
		return nothing{}, a.schedules.add(name, document)
	})
	return err
}

func (s *schedules) add(name, document string) error {
	at := seconds(s.now())
	e := scheduleEntry{Name: name, CreationDate: at, LastModificationDate: at, declared: document}
	known := s.byName[name]
	if known.inherited {
		if known.inherited = false; known.declared == document {
			s.byName[name] = known
			return nil
		}
		e.CreationDate = known.CreationDate
	} else {
		known.State = ""
	}
	e, err := e.with([]byte(document))
	if err != nil {
		return err
	}
	e.State = cmp.Or(known.State, e.State)
	s.put(e)
	return nil
}

// Fires reports whether a schedule is enabled.
func (a *AWS) Fires(name string) bool {
	a.schedules.mu.Lock()
	defer a.schedules.mu.Unlock()
	return a.schedules.byName[name].State == scheduleEnabled
}

// A Schedule is one as who fires it needs it.
type Schedule struct {
	Name, Expression, Zone string

	Created time.Time
	Enabled bool
	Target  string // ARN
	Input   string
}

// Schedules returns all schedules, in the order of their names.
func (a *AWS) Schedules() []Schedule {
	a.schedules.mu.Lock()
	defer a.schedules.mu.Unlock()
	all := make([]Schedule, 0, len(a.schedules.byName))
	for _, name := range slices.Sorted(maps.Keys(a.schedules.byName)) {
		e := a.schedules.byName[name]
		var target struct{ Arn, Input string }
		_ = json.Unmarshal(e.Target, &target) // of another shape it has no target, and nobody can fire it
		all = append(all, Schedule{
			Name: name, Expression: e.ScheduleExpression, Zone: e.ScheduleExpressionTimezone, Enabled: e.State == scheduleEnabled,
			Created: time.UnixMilli(int64(e.CreationDate * 1000)), Target: target.Arn, Input: target.Input,
		})
	}
	return all
}

const (
	scheduleEnabled  = "ENABLED"
	scheduleDisabled = "DISABLED"
)

// with replaces all that a caller may set: what is absent has its default.
func (e scheduleEntry) with(document []byte) (scheduleEntry, error) {
	group := e.GroupName
	e.schedule = schedule{}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e.schedule); err != nil {
		return e, refuse("ValidationException", "the local AWS does not serve this parameter or value: %v", err)
	}
	e.ClientToken = ""
	e.State = cmp.Or(e.State, scheduleEnabled)
	e.GroupName = cmp.Or(e.GroupName, "default")
	e.ScheduleExpressionTimezone = cmp.Or(e.ScheduleExpressionTimezone, "UTC")
	e.ActionAfterCompletion = cmp.Or(e.ActionAfterCompletion, "NONE")
	e.ARN = arn("scheduler", "schedule/"+e.GroupName+"/"+e.Name)
	switch {
	case group != "" && e.GroupName != group:
		return e, noSchedule(e.Name)
	case e.ScheduleExpression == "" || e.FlexibleTimeWindow == nil || e.Target == nil:
		return e, refuse("ValidationException", "ScheduleExpression, FlexibleTimeWindow and Target must not be null")
	case e.State != scheduleEnabled && e.State != scheduleDisabled:
		return e, refuse("ValidationException", "State must be ENABLED or DISABLED, not %s", e.State)
	}
	return e, nil
}

func (s *schedules) put(e scheduleEntry) {
	s.byName[e.Name] = e
	s.ledger.note(record(scheduleSection, e.Name, scheduleRecord{e, e.declared}, nil))
}

func noSchedule(name string) error {
	return &refusal{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Schedule " + name + " does not exist."}
}

func (s *schedules) service() service {
	served := map[string]func(r *http.Request, found scheduleEntry) (any, error){"GetSchedule": s.get, "UpdateSchedule": s.update}
	return service{
		name: "scheduler", refuse: refuseLambda, // which has the same form
		operation: func(r *http.Request) string {
			operations := map[string]string{http.MethodGet: "GetSchedule", http.MethodPut: "UpdateSchedule"}
			if name, ok := strings.CutPrefix(r.URL.Path, schedulesPath); ok && name != "" && !strings.Contains(name, "/") {
				return cmp.Or(operations[r.Method], r.Method+" "+r.URL.Path)
			}
			return r.Method + " " + r.URL.Path
		},
		serve: func(w http.ResponseWriter, r *http.Request, operation string) error {
			run, ok := served[operation]
			if !ok {
				return &refusal{Status: http.StatusNotFound, Code: unknownOperation, Message: "the local AWS does not serve scheduler " + operation + "; it serves " + list(served)}
			}
			answer, err := settled(s.ledger, func() (any, error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				name := strings.TrimPrefix(r.URL.Path, schedulesPath)
				found, ok := s.byName[name]
				if !ok || cmp.Or(r.URL.Query().Get("groupName"), found.GroupName) != found.GroupName {
					return nil, noSchedule(name)
				}
				return run(r, found)
			})
			if err != nil {
				return err
			}
			return writeJSON(w, http.StatusOK, "application/json", answer)
		},
		throttled: refusal{Status: http.StatusTooManyRequests, Code: "ThrottlingException", Message: "Rate exceeded (injected fault)"},
		failed:    refusal{Status: http.StatusInternalServerError, Code: "InternalServerException", Message: "internal failure (injected fault)"},
	}
}

func (s *schedules) get(_ *http.Request, found scheduleEntry) (any, error) { return found, nil }

func (s *schedules) update(r *http.Request, found scheduleEntry) (any, error) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(nil, r.Body, maxJSON)); err != nil {
		return nil, refuse("ValidationException", "the body cannot be read")
	}
	found.LastModificationDate = seconds(s.now())
	found, err := found.with(body.Bytes())
	if err != nil {
		return nil, err
	}
	s.put(found)
	return map[string]string{"ScheduleArn": found.ARN}, nil
}
