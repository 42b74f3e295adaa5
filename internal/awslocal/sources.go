package awslocal

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	sourcesPath = "/2015-03-31/event-source-mappings/"

	// settling is how long a change of a mapping takes effect; on the service, some
	// seconds.
	settling = 200 * time.Millisecond
)

// A source is a mapping that Lambda shows, and that can be switched off.
type source struct {
	Mapping

	on       context.Context //nolint:containedctx // ends when the source is switched off
	off      context.CancelFunc
	enabled  bool
	turnedOn chan struct{} // closed once it is enabled again
	settled  time.Time
}

type sources struct {
	now    func() time.Time
	ledger *ledger

	mu   sync.Mutex
	byID map[string]*source
	kept map[string]sourceRecord // of an earlier process
}

// sourceSection of the keeper holds them by their ids.
const sourceSection = "aws.sources"

type sourceRecord struct{ Enabled bool }

// restore reads which sources an earlier process had on.
func (s *sources) restore() error {
	return load(s.ledger.keeper, sourceSection, func(id string, r sourceRecord, _ []byte) error {
		s.kept[id] = r
		return nil
	})
}

// AddSource lets Lambda show a mapping by its ID. It is enabled, unless an earlier process
// left it disabled in Options.Keeper. [AWS.Poll] runs it.
func (a *AWS) AddSource(m Mapping) {
	a.sources.mu.Lock()
	defer a.sources.mu.Unlock()
	s := &source{Mapping: m, enabled: true}
	s.on, s.off = context.WithCancel(context.Background())
	if left, ok := a.sources.kept[m.ID]; ok {
		s.change(left.Enabled)
	}
	a.sources.byID[m.ID] = s
}

// receiving waits until a mapping is enabled, and returns a context that ends with ctx,
// or once the mapping is disabled.
func (s *sources) receiving(ctx context.Context, id string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	for {
		s.mu.Lock()
		found, ok := s.byID[id]
		if !ok {
			s.mu.Unlock()
			return ctx, cancel
		}
		on, enabled, turnedOn := found.on, found.enabled, found.turnedOn
		s.mu.Unlock()
		if enabled {
			context.AfterFunc(on, cancel)
			return ctx, cancel
		}
		select {
		case <-turnedOn:
		case <-ctx.Done():
			return ctx, cancel
		}
	}
}

// sourceEntry is a mapping as Lambda shows it.
type sourceEntry struct {
	UUID, State, StateTransitionReason string

	EventSourceARN        string `json:"EventSourceArn"`
	FunctionARN           string `json:"FunctionArn"`
	BatchSize             int
	FunctionResponseTypes []string
	ScalingConfig         struct{ MaximumConcurrency int }
}

func (s *sources) entry(f *source) sourceEntry {
	states := map[bool][2]string{true: {"Enabling", "Enabled"}, false: {"Disabling", "Disabled"}}[f.enabled]
	e := sourceEntry{
		UUID: f.ID, State: states[1], StateTransitionReason: "USER_INITIATED", EventSourceARN: QueueARN(f.Queue), FunctionARN: functionARN(f.Function),
		BatchSize: max(f.BatchSize, 1), FunctionResponseTypes: []string{"ReportBatchItemFailures"},
	}
	if s.now().Before(f.settled) {
		e.State = states[0]
	}
	e.ScalingConfig.MaximumConcurrency = max(f.MaxConcurrency, leastConcurrency)
	return e
}

// change switches a mapping on or off.
func (f *source) change(enabled bool) {
	if f.enabled == enabled {
		return
	}
	if f.enabled = enabled; enabled {
		f.on, f.off = context.WithCancel(context.Background())
		close(f.turnedOn)
		return
	}
	f.turnedOn = make(chan struct{})
	f.off()
}

// sourceName is the operation of a request on one mapping, and its UUID.
func sourceName(r *http.Request) (operation, id string) {
	id = strings.TrimPrefix(r.URL.Path, sourcesPath)
	operations := map[string]string{http.MethodGet: "GetEventSourceMapping", http.MethodPut: "UpdateEventSourceMapping"}
	if operation = operations[r.Method]; operation == "" || id == "" || strings.Contains(id, "/") {
		return r.Method + " " + r.URL.Path, ""
	}
	return operation, id
}

func (s *sources) find(id string) (*source, error) {
	if found, ok := s.byID[id]; ok {
		return found, nil
	}
	return nil, &refusal{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "The resource you requested does not exist."}
}

func (s *sources) serveGet(w http.ResponseWriter, _ *http.Request, id string) error {
	shown, err := settled(s.ledger, func() (sourceEntry, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		found, err := s.find(id)
		if err != nil {
			return sourceEntry{}, err
		}
		return s.entry(found), nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, "application/json", shown)
}

func (s *sources) serveUpdate(w http.ResponseWriter, r *http.Request, id string) error {
	var in struct{ Enabled *bool }
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxJSON)); err != nil {
		return refuse("InvalidRequestContentException", "the body cannot be read")
	}
	decoder := json.NewDecoder(&body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil || in.Enabled == nil {
		return refuse("InvalidParameterValueException", "the local AWS changes Enabled of lambda UpdateEventSourceMapping, and nothing else: %v", err)
	}
	shown, err := settled(s.ledger, func() (sourceEntry, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.turn(id, *in.Enabled)
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, "application/json", shown)
}

// turn switches a mapping on or off for a caller. s.mu is held.
func (s *sources) turn(id string, enabled bool) (sourceEntry, error) {
	found, err := s.find(id)
	if err != nil {
		return sourceEntry{}, err
	}
	if s.now().Before(found.settled) {
		return sourceEntry{}, &refusal{Status: http.StatusConflict, Code: "ResourceInUseException", Message: "Cannot update the event source mapping because it is in use."}
	}
	if found.enabled != enabled {
		found.change(enabled)
		found.settled = s.now().Add(settling)
		s.ledger.note(record(sourceSection, id, sourceRecord{enabled}, nil))
	}
	return s.entry(found), nil
}
