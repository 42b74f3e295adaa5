package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// A tokenHistory is what tokenrefresh remembers of one provider's credential.
type tokenHistory struct {
	Provider   string             `json:"provider"`
	Kind       providers.Kind     `json:"kind,omitempty"`
	DueAt      *time.Time         `json:"due_at"` // null: it is not replaced for its age
	Outcome    protocol.Outcome   `json:"last_outcome,omitempty"`
	Reason     string             `json:"last_reason,omitempty"`
	At         *time.Time         `json:"last_run,omitempty"`
	Failures   int                `json:"failures"` // in a row
	Probed     *time.Time         `json:"last_probe,omitempty"`
	NeedsHuman string             `json:"needs_human,omitempty"` // what a person was told
	Budgets    []protocol.Budget  `json:"budgets"`
	Renewals   []protocol.Renewal `json:"renewals"`
	Error      string             `json:"error,omitempty"`
}

func newTokensHistory() *cobra.Command {
	var f refresherFlags
	c := &cobra.Command{
		Use:   "history [PROVIDER]",
		Short: "Tell when each credential was renewed, by whom, and when it is due next",
		Long: "Reads the token secrets and what tokenrefresh remembers, and changes nothing: when the credential is due\n" +
			"for its age, how the last run ended and how many failed before it, when its provider last said yes, and\n" +
			"the versions that were written in the last 24 hours, by the schedule (and Secrets Manager's rotation), by\n" +
			"functions whose token was refused, or by people with --force. Each of them has a budget in 24 hours, and\n" +
			"none borrows from another. What is older stands in the function's log.",
		Example:   "  hikyaku tokens history yappli --stack hikyaku-shop\n  hikyaku tokens history --json | jq '.credentials[].budgets'",
		ValidArgs: providers.Names(),
		Args:      cobra.MatchAll(atMostOne, known),
		RunE: func(c *cobra.Command, a []string) error {
			s, err := f.open(c)
			if err != nil {
				return err
			}
			names := providers.Names()
			if len(a) == 1 {
				names = a
			}
			var list []tokenHistory
			var faults []error
			for _, provider := range names {
				h, err := s.history(c.Context(), provider)
				if err != nil {
					h.Error = err.Error()
					faults = append(faults, fmt.Errorf("%s: %w", provider, err))
				}
				list = append(list, h)
			}
			printed := f.print(c, map[string][]tokenHistory{"credentials": list}, func(out io.Writer) error { return writeTokenHistory(out, list, s.base.Now()) })
			return errors.Join(append(faults, printed)...)
		},
	}
	f.add(c)
	return c
}

// history reads what is remembered of one provider's credential.
func (s *stackRefresher) history(ctx context.Context, provider string) (tokenHistory, error) {
	h, now := tokenHistory{Provider: provider, Budgets: []protocol.Budget{}, Renewals: []protocol.Renewal{}}, s.base.Now()
	j, err := s.core.Journal(ctx, provider)
	if err != nil {
		return h, err
	}
	h.Outcome, h.Reason, h.At, h.Failures = j.Outcome, j.Reason, notZero(j.At), j.Failures
	h.Probed, h.NeedsHuman = notZero(j.Probed), j.NeedsHuman
	h.Budgets, h.Renewals = j.Budgets(now), j.Renewals(now)
	token, err := s.token(ctx, secretstore.Name(s.base.Common.Prefix, provider, secretstore.TokenPart))
	if err != nil || token.Credential.Empty() {
		return h, err
	}
	h.Kind, h.DueAt = token.Kind, notZero(protocol.DueAt(token, s.window))
	return h, nil
}

func writeTokenHistory(out io.Writer, list []tokenHistory, now time.Time) error {
	l := languageOf(out)
	cells := make([][]string, 0, len(list))
	for _, h := range list {
		due, last, probed, spent := "-", "-", "-", make([]string, 0, len(h.Budgets))
		if h.DueAt != nil {
			due = expiry(h.DueAt, now).In(l)
		}
		if h.At != nil && h.Outcome != "" {
			last = string(h.Outcome) + l.Sprintf(", %s ago", spell(now.Sub(*h.At)))
		}
		if h.Probed != nil {
			probed = l.Sprintf("%s ago", spell(now.Sub(*h.Probed)))
		}
		for _, b := range h.Budgets {
			spent = append(spent, fmt.Sprintf("%s %d/%d", b.By, b.Spent, b.Of))
		}
		cells = append(cells, []string{h.Provider, due, last, probed, cmp.Or(strings.Join(spent, ", "), "-")})
	}
	if err := writeTable(out, []string{"PROVIDER", "DUE", "LAST OUTCOME", "LAST PROBE", "WRITTEN IN 24H"}, cells); err != nil {
		return err
	}
	for _, h := range list {
		for _, r := range h.Renewals {
			if _, err := fmt.Fprintln(out, l.Sprintf("%s  %s renewed by %s", at(r.At), h.Provider, r.By)); err != nil {
				return err
			}
		}
		if h.NeedsHuman == "" {
			continue
		}
		if _, err := fmt.Fprintln(out, l.Sprintf("%s needs a person: %s", h.Provider, visible(h.NeedsHuman))); err != nil {
			return err
		}
	}
	return nil
}
