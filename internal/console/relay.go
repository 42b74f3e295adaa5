package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// mostRows is how many rows a list that moves has at most.
const mostRows = 200

// relay is the page of what comes from SuperSaaS and goes to Yappli.
func (s *Server) relay() page {
	return page{Name: "relay", Path: "/relay", Main: true, Plots: true, load: s.loadRelay, live: []string{"relay-now", "relay-live", "flow", "relay-waits"}}
}

type relayData struct {
	Now        relayNow
	Events     []Event
	Bad        bool
	Provider   string
	Flow       []Sample
	Source     string // command that has measured it; empty: this stack tells it
	Unmeasured error

	Causes    []cause
	Dead      int
	DeadLate  bool // they are being read
	DeadErr   error
	Pairs     []waitingPair // the first
	Waiting   int
	PairsErr  error
	PausedErr error
}

// A relayNow is how the relay is at the moment.
type relayNow struct {
	Paused   *resting
	At       time.Time // when a deployed stack was measured last; zero: never
	Queue    Depth
	Lag      time.Duration
	Webhooks float64 // a second, of the last ten
	Jobs     float64
}

// Waits is how many messages have not been handled.
func (n relayNow) Waits() int { return n.Queue.Visible + n.Queue.InFlight + n.Queue.Delayed }

// fewPairs is how many pairs the page of the relay shows.
const fewPairs = 5

func (s *Server) loadRelay(ctx context.Context, r *http.Request) (any, error) {
	d := relayData{Bad: r.URL.Query().Get("only") == "bad", Provider: r.URL.Query().Get("provider")}
	if !slices.Contains(relayProviders(), d.Provider) {
		d.Provider = ""
	}
	letters, late, err := s.letters(ctx)
	d.Causes, d.Dead, d.DeadLate, d.DeadErr = causes(letters), len(letters), late, err
	list, err := s.waiting(ctx)
	d.Pairs, d.Waiting, d.PairsErr = list.Pairs[:min(fewPairs, len(list.Pairs))], len(list.Pairs), err
	d.Now.Paused, d.PausedErr = s.paused(ctx)
	if dev := s.options.Dev; dev != nil {
		f := Filter{Kinds: []Kind{Webhook, Queued, Received, Handled, Died}, Bad: d.Bad, Limit: mostRows}
		if d.Provider != "" {
			f.Kinds, f.Provider = []Kind{Call}, d.Provider
		}
		d.Events, d.Flow = dev.Events(f), lately(dev.Series())
		d.Dead = dev.State().Dead
		d.Now = s.flowNow(d.Now, d.Flow)
		return d, nil
	}
	d.Flow, d.Unmeasured = s.measured(ctx)
	d.Source = s.shown(metricsCommand()...)
	if last := len(d.Flow) - 1; last >= 0 {
		d.Now.At, d.Now.Queue.Visible, d.Now.Lag = d.Flow[last].At, d.Flow[last].Queue, d.Flow[last].Lag
	}
	return d, nil
}

// lately are the samples of the last minutes, as many as a table shows.
func lately(flow []Sample) []Sample { return flow[max(0, len(flow)-180):] }

// relayProviders are those whom the relay asks.
func relayProviders() []string { return []string{"supersaas", "yappli"} }

func (s *Server) flowNow(n relayNow, flow []Sample) relayNow {
	n.Queue = s.options.Dev.State().Queue
	last := flow[max(0, len(flow)-10):]
	for _, sample := range last {
		n.Webhooks += float64(sample.Webhooks) / float64(len(last))
		n.Jobs += float64(sample.Jobs) / float64(len(last))
		if sample.Lag > 0 {
			n.Lag = sample.Lag
		}
	}
	return n
}

func (s *Server) relayActions() []action {
	plain := func(args ...string) func(url.Values) ([]string, error) {
		return func(url.Values) ([]string, error) { return args, nil }
	}
	return []action{
		{name: "trigger", command: func(f url.Values) ([]string, error) {
			if !slices.Contains(triggers(), f.Get("event")) {
				return nil, saying("fault.no-event")
			}
			if strings.TrimSpace(f.Get("user")) == "" {
				return []string{"trigger", f.Get("event")}, nil
			}
			user, err := numbered(f.Get("user"))
			return []string{"trigger", f.Get("event"), "--user", user}, err
		}},
		{name: "reconcile", command: plain("reconcile")},
		{name: "release", command: plain("relay", "release")},
		{name: "resume-relay", command: plain("resume", "relay")},
		{name: "pause-relay", command: func(f url.Values) ([]string, error) {
			reason, length := strings.TrimSpace(f.Get("reason")), strings.TrimSpace(f.Get("for"))
			if reason == "" || length == "" {
				return nil, saying("fault.pause")
			}
			return []string{"pause", "relay", "--reason", reason, "--for", length}, nil
		}},
		{name: "tail-relay", page: "relay", reads: true, shape: toldLines, command: plain("tail", "--function", "webhookrelayrelay", "--since", "15m")},
	}
}

// Told reports whether the event's message says more than its kind and outcome.
func (e Event) Told() bool { return e.Kind != Handled }

// triggers are the words of what SuperSaaS can tell of a user.
func triggers() []string { return []string{"user-changed", "user-created", "user-deleted"} }

// A toldLine is one line of a log, as 'hikyaku tail' prints it.
type toldLine struct {
	At       time.Time
	Function string
	Line     map[string]any
}

// Words are what the line says besides its time and level.
func (l toldLine) Words() string {
	words := []string{fmt.Sprint(l.Line["level"]), fmt.Sprint(l.Line["message"])}
	for _, v := range slices.Sorted(maps.Keys(l.Line)) {
		if !slices.Contains([]string{"timestamp", "time", "level", "message", "msg", "function"}, v) {
			words = append(words, fmt.Sprint(v, "=", l.Line[v]))
		}
	}
	return strings.Join(words, " ")
}

// toldLines reads the objects that 'hikyaku tail' prints, the newest first.
func toldLines(_ context.Context, raw json.RawMessage, _ url.Values) (any, error) {
	lines := []toldLine{}
	for decoder := json.NewDecoder(bytes.NewReader(raw)); decoder.More(); {
		var l toldLine
		if err := decoder.Decode(&l); err != nil {
			return nil, fmt.Errorf("what 'hikyaku tail --json' printed cannot be read: %w", err)
		}
		lines = append(lines, l)
	}
	slices.Reverse(lines)
	return lines[:min(len(lines), mostRows)], nil
}
