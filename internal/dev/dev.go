// Package dev runs a whole stack on this machine for a person to work with: the local
// AWS and the sandboxes, the functions as processes of this same program on their own
// schedules, and a record of all that happens. What was acknowledged outlives a kill of
// the process.
//
//	stack, err := dev.Start(ctx, dev.Options{Dir: dir, Program: program})
//	defer stack.Close()
//	console.Start(ctx, addr, console.Options{Dev: stack, ...})
//
// Read children.go (functions as processes), firing.go and machines.go (what starts
// them), shown.go (what the console asks), and real.go (a provider that is no sandbox).
package dev

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"hikyaku/config"
	"hikyaku/internal/awslocal"
	"hikyaku/internal/boltkeeper"
	"hikyaku/internal/console"
	"hikyaku/internal/dev/clock"
	"hikyaku/internal/dev/record"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers/sandbox"
)

// Options configure a Stack.
type Options struct {
	Dir     string // keeps everything; made if it is not there
	Program string // path of this program, whose 'function NAME' is a function
	Speed   float64
	Sandbox sandbox.Options // seed, records and rate of a directory that is new
	// Real are the providers that have no sandbox. Write lets them be changed.
	Real  map[string]Real
	Write bool
	// Mapping is a file that Run publishes, now and whenever it changes; empty: none.
	// Without Run nothing is published.
	Mapping string
	Run     console.Runner
	// Notes is told what a person should know, in words; nil: nobody is.
	Notes func(sentence string)
}

// A Stack is running.
type Stack struct {
	Local *localstack.Stack
	Clock *clock.Clock

	options  Options
	keeper   *boltkeeper.Keeper
	recorder *record.Recorder
	children *children
	machines *machines
	half     *halfway
	doors    *doors
	logs     *logFile
	gateway  http.Handler
	began    int // messages that were in the queue at the start

	work   sync.WaitGroup
	cancel context.CancelFunc
}

// Start starts the stack of a directory, or goes on with it, until ctx ends or Close is
// called.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if o.Notes == nil {
		o.Notes = func(string) {}
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "logs"), 0o700); err != nil {
		return nil, fmt.Errorf("making the stack's directory: %w; name another one with --dir", err)
	}
	if info, err := os.Stat(o.Dir); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("every user of this machine may write to %s, which keeps the stack's secrets: name another directory with --dir, or take that right away (chmod o-w)", o.Dir)
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Stack{options: o, cancel: cancel, half: &halfway{victims: map[string]func(){}}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.run(ctx)
	return s, nil
}

// open opens what the directory holds, and everything that listens.
func (s *Stack) open(ctx context.Context) (err error) {
	if s.keeper, err = boltkeeper.Open(filepath.Join(s.options.Dir, "state.bolt")); err != nil {
		return err
	}
	if s.Clock, err = clock.Open(s.clockFile()); err != nil {
		return err
	}
	if len(s.options.Real) > 0 && time.Until(s.Clock.Now()) > mostAhead {
		return errRealAhead
	}
	if err := s.Clock.SetFactor(cmp.Or(s.options.Speed, 1)); err != nil {
		return err
	}
	if s.logs, err = openLog(filepath.Join(s.options.Dir, "logs", "functions.log")); err != nil {
		return err
	}
	if s.recorder, err = record.New(record.Options{Now: s.Clock.Now, Keeper: s.keeper, Depth: s.depth, Called: s.half.called}); err != nil {
		return err
	}
	if s.doors, err = openDoors(ctx, s.options, s.recorder); err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	s.machines = &machines{aws: s.Local.AWS, clock: s.Clock, keeper: s.keeper, recorder: s.recorder}
	if err := s.machines.load(); err != nil {
		return err
	}
	s.children = newChildren(s)
	return s.children.register()
}

// shippedMapping is the file beside the functions, as a deployed stack has one.
const shippedMapping = "mapping.yaml"

func (s *Stack) clockFile() string { return filepath.Join(s.options.Dir, "clock") }

// listen starts the local AWS, the sandboxes and the gateway where they were before.
func (s *Stack) listen(ctx context.Context) error {
	mapping := filepath.Join(s.options.Dir, shippedMapping)
	if _, err := os.Stat(mapping); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(mapping, config.Mapping, 0o600); err != nil {
			return err
		}
	}
	before, err := readPorts(s.portsFile())
	if err != nil {
		return err
	}
	o := localstack.Options{
		Private: true, Sandbox: s.options.Sandbox, Mapping: mapping, Log: slog.New(slog.NewJSONHandler(s.logs, nil)),
		AWS: awslocal.Options{Now: s.Clock.Now, Keeper: s.keeper, Observe: s.observe}, Ports: before, Watch: s.watch,
		Real: s.doors.connections(), Vars: s.doors.vars,
	}
	o.Sandbox.Now, o.Sandbox.MaxCalls, o.Sandbox.Keeper = s.Clock.Now, 1000, s.keeper
	if s.Local, err = localstack.Start(ctx, o); err != nil {
		return err
	}
	waiting, _ := s.depth()
	s.began = waiting.Visible + waiting.InFlight + waiting.Delayed - s.recorder.Tally().Queued
	ports := maps.Clone(before)
	for name, port := range s.Local.Ports {
		if was := before[name]; was != 0 && was != port {
			s.options.Notes(fmt.Sprintf("The port %d of %s is taken by another program; it listens at %d from now on.", was, name, port))
		}
		ports[name] = port
	}
	if !s.doors.real("supersaas") {
		s.Local.RegisterWebhook()
	}
	return writeJSON(s.portsFile(), ports)
}

// Dir is the directory that keeps the stack.
func (s *Stack) Dir() string { return s.options.Dir }

// watch lets the recorder see what a service is asked.
func (s *Stack) watch(service string, next http.Handler) http.Handler {
	switch service {
	case localstack.Webhooks:
		s.gateway = s.recorder.Webhooks(inTurn(next), awslocal.WithRequestID)
		return s.gateway
	default:
		return s.recorder.Calls(service, next)
	}
}

// run begins what goes on by itself.
func (s *Stack) run(ctx context.Context) {
	s.work.Go(func() { s.recorder.Run(ctx, func(err error) { s.options.Notes(err.Error()) }) })
	s.work.Go(func() { _ = s.Local.AWS.Poll(ctx, localstack.RelaySource()) })
	s.machines.resume(ctx)
	s.Local.AWS.Told.OnStart(func(machine string, input []byte) error { return s.machines.start(ctx, machine, input) })
	s.work.Go(func() { s.fire(ctx) })
	s.work.Go(func() { s.watchMapping(ctx) })
	for _, name := range []string{localstack.Ingest, localstack.Relay} {
		s.work.Go(func() {
			fleet, err := s.Local.AWS.Fleet(name)
			if err == nil {
				err = fleet.Warm()
			}
			if name == localstack.Ingest {
				s.Local.PostWaiting()
			}
			if err != nil && ctx.Err() == nil {
				s.options.Notes(err.Error())
			}
		})
	}
}

// Close ends every process and keeps what there is to keep.
func (s *Stack) Close() error {
	s.cancel()
	var faults []error
	if s.Local != nil {
		faults = append(faults, s.Local.AWS.Close())
	}
	s.work.Wait()
	if s.machines != nil {
		s.machines.work.Wait()
	}
	if s.Clock != nil {
		faults = append(faults, s.Clock.Close())
	}
	if s.logs != nil {
		faults = append(faults, s.logs.Close())
	}
	if s.keeper != nil {
		faults = append(faults, s.keeper.Close())
	}
	return errors.Join(faults...)
}

// atOnce is how many webhooks are handled at a time. Others wait for their turn, as they
// do for the functions that an account may still run.
const atOnce = 6

// longestTurn is how long one waits before it is refused.
const longestTurn = 10 * time.Second

func inTurn(next http.Handler) http.Handler {
	turns := make(chan struct{}, atOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), longestTurn)
		defer cancel()
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
			next.ServeHTTP(w, r)
		case <-ctx.Done():
			http.Error(w, `{"message":"Service Unavailable"}`, http.StatusServiceUnavailable)
		}
	})
}

func (s *Stack) portsFile() string { return filepath.Join(s.options.Dir, "ports.json") }

func readPorts(path string) (map[string]int, error) {
	ports := map[string]int{}
	raw, err := os.ReadFile(path) //nolint:gosec // of the stack's directory
	if errors.Is(err, os.ErrNotExist) {
		return ports, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &ports)
	}
	if err != nil {
		return nil, fmt.Errorf("reading where the stack listened: %w; remove %s, and it takes free ports", err, path)
	}
	return ports, nil
}

// Port is where something of the stack listened before, such as the console; 0: nowhere.
func (s *Stack) Port(name string) int {
	ports, err := readPorts(s.portsFile())
	if err != nil {
		return 0
	}
	return ports[name]
}

// KeepPort remembers where something listens.
func (s *Stack) KeepPort(name string, port int) error {
	ports, err := readPorts(s.portsFile())
	if err != nil {
		return err
	}
	ports[name] = port
	return writeJSON(s.portsFile(), ports)
}

// writeJSON replaces a file whole.
func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

var _ console.Dev = (*Stack)(nil)
