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
	Flow    []Sample // nil: the stack has none
	Last    []Event
	Lag     time.Duration

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

// doctorFresh is how long doctor's findings are shown again: it asks every provider.
const doctorFresh = 20 * time.Second

func (s *Server) loadOverview(ctx context.Context, _ *http.Request) (any, error) {
	var d overviewData
	var health struct{ Findings []finding }
	if err := s.reader.readWithin(ctx, max(doctorFresh, s.options.Fresh), &health, "doctor"); err != nil {
		return nil, err
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
	}
	return d, nil
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
