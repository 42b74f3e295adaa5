package awslocal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"hikyaku/internal/hostguard"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers/sandbox"
)

// What every caller of the local AWS finds there.
const (
	Region  = "ap-northeast-1"
	Account = "000000000000"
	Bucket  = "hikyaku" // exists from the start
)

// Options configure a local AWS. The zero value is ready for use.
type Options struct {
	// Dir keeps each object as a file, Dir/{bucket}/{key}, for a person to
	// look at; it must be empty or absent. Without it objects live in memory.
	// With a Keeper it is where the bodies lie that are too large for that, in
	// Dir/bodies, under names that say nothing.
	Dir string
	// Addr is where Start listens; empty: a free port of 127.0.0.1.
	Addr string
	// Hosts are the names by which it is called, beside the loopback and the
	// address that it listens at. Web pages of other hosts are refused.
	Hosts []string
	// Now is the clock of everything that is stored or expires; nil:
	// time.Now. It may run fast and jump: what waits for a time of it notices within
	// 50 ms. Waiting itself (long polls, time-outs) takes real time.
	Now func() time.Time
	// Log gets refusals and failed background work; nil: nobody does.
	Log *slog.Logger
	// Secrets is the fake that Secrets Manager answers from, with its knobs (read lag,
	// version quota, throttling); nil: a new one on Now.
	Secrets *secretstore.Memory
	// Keeper keeps what has to outlive the process, before anybody is told that it was
	// done: queues and their messages, secrets, objects, schedules, and which sources are
	// on; nil: nothing outlives it.
	Keeper sandbox.Keeper
	// Observe is told of everything that happens to a message of a queue, in its order.
	// What it takes, the next events wait; no caller of the queue does. Nil: nobody is.
	Observe func(QueueEvent)
	// RetryDelays are the pauses before each retry of an asynchronous
	// invocation; nil: one minute, then two, as the service has them.
	RetryDelays []time.Duration
}

// An AWS is a running local AWS. It is safe for concurrent use.
type AWS struct {
	URL     string              // endpoint, without a path
	Secrets *secretstore.Memory // all secrets; what is written here shows there
	Told    *Told               // what is shown as it was told
	Hand    *Hand               // a person's, in the queues

	frontend  frontend
	services  services
	objects   *objects
	queues    *queues
	functions *functions
	events    *bus
	sources   *sources
	schedules *schedules
	notes     *secretNotes
	jobs      *jobs

	now    func() time.Time
	log    *slog.Logger
	server *http.Server // nil without a socket
}

// New makes a local AWS without a socket; call it through Client or Handler.
func New(o Options) (*AWS, error) {
	jumps := o.Now != nil
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Secrets == nil {
		o.Secrets = &secretstore.Memory{Now: o.Now}
	}
	if o.RetryDelays == nil {
		o.RetryDelays = []time.Duration{time.Minute, 2 * time.Minute}
	}
	jobs, kept, counted := newJobs(), &ledger{keeper: o.Keeper}, &meter{now: o.Now}
	stored, err := newObjects(o.Dir, o.Now, kept)
	if err != nil {
		return nil, err
	}
	a := &AWS{
		URL: "http://aws.local", Secrets: o.Secrets, objects: stored, events: &bus{now: o.Now}, Told: &Told{stacks: stacks{now: o.Now}, machines: machines{now: o.Now}, logs: logGroups{now: o.Now}, watch: watch{meter: counted}},
		queues:    &queues{now: o.Now, jumps: jumps, ledger: kept, observer: &observer{observe: o.Observe, meter: counted, ledger: kept, jobs: jobs}, byName: map[string]*queue{}},
		sources:   &sources{now: o.Now, ledger: kept, byID: map[string]*source{}, kept: map[string]sourceRecord{}},
		schedules: &schedules{now: o.Now, ledger: kept, byName: map[string]scheduleEntry{}},
		notes:     &secretNotes{ledger: kept, byName: map[string]*secretNote{}},
		jobs:      jobs, now: o.Now, log: o.Log,
	}
	a.Hand = &Hand{a.queues}
	if err := restore(o.Keeper, a); err != nil {
		return nil, err
	}
	a.functions = &functions{
		jobs: a.jobs, frontend: &a.frontend, meter: counted, now: o.Now, log: o.Log, delays: o.RetryDelays, common: a.Environment, byName: map[string]*function{},
	}
	a.services = a.newServices()
	return a, nil
}

// secretSection of the keeper holds the secrets by their names.
const secretSection = "aws.secrets"

// restore takes over what an earlier process left in a keeper, and lets the secrets be
// kept there.
func restore(k sandbox.Keeper, a *AWS) error {
	if k == nil {
		return nil
	}
	err := errors.Join((queueLoader{a.queues}).restore(k), a.schedules.restore(), a.sources.restore(), a.notes.restore())
	if err == nil {
		err = k.Load(secretSection, a.Secrets.Load)
	}
	a.Secrets.Keep = func(name string, document []byte) error {
		return k.Commit(sandbox.Change{Section: secretSection, Key: name, Value: document})
	}
	return err
}

// Start makes a local AWS that listens at o.Addr until Close is called or ctx
// ends.
func Start(ctx context.Context, o Options) (*AWS, error) {
	addr := cmp.Or(o.Addr, "127.0.0.1:0")
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the local AWS: %w", err)
	}
	return Serve(ctx, listener, o)
}

// Serve is Start at a listener that the caller has made, which it closes.
func Serve(ctx context.Context, listener net.Listener, o Options) (*AWS, error) {
	a, err := New(o)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	a.URL = "http://" + listener.Addr().String()
	a.server = &http.Server{
		Handler: hostguard.New(a.Handler(), o.Hosts...), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return a.jobs.ctx },
	}
	go func() { _ = a.server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = a.Close() })
	return a, nil
}

// Close ends every function process, the background work and the listener.
func (a *AWS) Close() error {
	a.jobs.cancel()
	a.functions.stop()
	var err error
	if a.server != nil {
		err = a.server.Close()
	}
	a.jobs.work.Wait()
	return err
}

// Environment returns the variables that point any AWS client here.
func (a *AWS) Environment() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + a.URL, "AWS_REGION=" + Region, "AWS_DEFAULT_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true",
	}
}

// Handler returns the whole AWS as one handler.
func (a *AWS) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.frontend.serve(w, r, a.services.route(r), a.log) })
}

// Client returns an HTTP client that calls the handler in-process, whatever
// host a request names.
func (a *AWS) Client() *http.Client { return &http.Client{Transport: sandbox.Transport(a.Handler())} }

func arn(service, name string) string {
	return "arn:aws:" + service + ":" + Region + ":" + Account + ":" + name
}
