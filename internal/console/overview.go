package console

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"hikyaku/pkg/providers"
)

// The parts of a stack that are no provider.
const (
	relayPart  = "relay"
	exportPart = "export"
	stackPart  = "stack"
)

// overview is the first page: how each system is, and what happened last.
func (s *Server) overview() page {
	return page{Name: "overview", Path: "/{$}", Main: true, Plots: true, load: s.loadOverview, live: []string{"systems", "tokens", "flow", "last"}}
}

type overviewData struct {
	Systems []system
	Tokens  []tokenLife
	Flow    []Sample
	Source  string // command that has the flow of a deployed stack

	Unmeasured error // why the flow of a deployed stack is not known
	Last       []Event
	Lag        time.Duration

	Customer string // address of one to change; empty: there is none
}

// A finding is one of doctor's.
type finding struct {
	ID, Severity, Subject, Message, Next string
}

// A system is one line of the overview.
type system struct {
	Name     string
	State    string // well, note, warn, bad, off
	Findings []finding
}

// Worst is what is said of a system that is not well; nil: it is.
func (s system) Worst() *finding {
	if len(s.Findings) == 0 {
		return nil
	}
	return &s.Findings[0]
}

var grave = []string{"Critical", "High", "Warning", "Note"}

// How long doctor's findings are shown again: it asks every provider, and of a deployed stack
// each look is paid.
const (
	doctorFresh         = 20 * time.Second
	deployedDoctorFresh = 5 * time.Minute
)

// metricsCommand tells of a deployed stack what a development stack's samples tell.
func metricsCommand() []string { return []string{"metrics", "--last", "3h"} }

func (s *Server) loadOverview(ctx context.Context, _ *http.Request) (any, error) {
	var d overviewData
	var health struct{ Findings []finding }
	fresh := doctorFresh
	if s.options.Dev == nil {
		fresh = deployedDoctorFresh
	}
	if err := s.reader.readWithin(ctx, fresh, &health, "doctor"); err != nil {
		return nil, err
	}
	for i := range health.Findings {
		health.Findings[i].Next = s.ofThisStack(health.Findings[i].Next)
	}
	tokens, err := s.tokens(ctx)
	if err != nil {
		return nil, err
	}
	d.Systems, d.Tokens = systems(health.Findings, tokens), s.lives(tokens)
	if dev := s.options.Dev; dev != nil {
		d.Customer = s.firstCustomer()
		d.Flow, d.Last = lately(dev.Series()), dev.Events(Filter{Limit: 20, Kinds: []Kind{Webhook, Handled, Died, Edited, Token, Run, Compared, Process}})
		for _, sample := range d.Flow {
			if sample.Lag > 0 {
				d.Lag = sample.Lag
			}
		}
		return d, nil
	}
	d.Flow, d.Unmeasured = s.measured(ctx)
	d.Source = s.shown(metricsCommand()...)
	return d, nil
}

// measured is what CloudWatch has measured of a deployed stack.
func (s *Server) measured(ctx context.Context) ([]Sample, error) {
	var printed struct {
		Rows []struct {
			At             time.Time
			Webhooks, Runs float64
			Lag            *float64
			Waiting, Dead  *float64
		}
	}
	if err := s.reader.readWithin(ctx, max(s.options.Fresh, time.Minute), &printed, metricsCommand()...); err != nil {
		return nil, err
	}
	flow := make([]Sample, 0, len(printed.Rows))
	count := func(n *float64) int {
		if n == nil {
			return 0
		}
		return int(*n)
	}
	for _, r := range printed.Rows {
		one := Sample{At: r.At, Webhooks: int(r.Webhooks), Jobs: int(r.Runs), Queue: count(r.Waiting), Dead: count(r.Dead)}
		if r.Lag != nil {
			one.Lag = time.Duration(*r.Lag * float64(time.Second))
		}
		flow = append(flow, one)
	}
	return flow, nil
}

// ofThisStack is a command that a finding names, as it finds a development stack from
// another terminal too.
func (s *Server) ofThisStack(command string) string {
	if s.options.Dev == nil {
		return command
	}
	return strings.ReplaceAll(command, "--stack "+s.options.Stack, "--dev")
}

// systems are all systems with their findings, the gravest first.
func systems(findings []finding, tokens []tokenState) []system {
	names := slices.Concat(providers.Names(), []string{relayPart, exportPart, stackPart})
	found := map[string][]finding{}
	for _, f := range findings {
		found[systemOf(f)] = append(found[systemOf(f)], f)
	}
	all := make([]system, 0, len(names))
	for _, name := range names {
		one := system{Name: name, State: "well", Findings: found[name]}
		slices.SortStableFunc(one.Findings, func(a, b finding) int {
			return slices.Index(grave, a.Severity) - slices.Index(grave, b.Severity)
		})
		if slices.ContainsFunc(tokens, func(t tokenState) bool { return t.Provider == name && t.State == "off" }) {
			one.State = "off"
		}
		if worst := one.Worst(); worst != nil {
			one.State = map[string]string{"Critical": "bad", "High": "bad", "Warning": "warn", "Note": "note"}[worst.Severity]
		}
		all = append(all, one)
	}
	return all
}

// systemOf is the system that a finding is about: by its subject where that is a
// provider's, and by the kind of the finding otherwise.
func systemOf(f finding) string {
	kind, _, _ := strings.Cut(f.ID, ".")
	switch kind {
	case "export", "watermark":
		return exportPart
	case "webhook", "queue", "dead", "pairs", "decisions", "disabling", "relay", "reconcile", "mapping":
		return relayPart
	}
	for _, name := range providers.Names() {
		if strings.Contains(f.Subject, name) {
			return name
		}
	}
	return stackPart
}

func (s *Server) overviewActions() []action {
	return nil
}
