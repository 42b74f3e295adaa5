package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/pkg/providers"
)

// watchEvery is how often tokens --watch looks. A look reads three objects a provider.
const watchEvery = 5 * time.Second

// rows reads every provider's credential: all at once, as one that does not answer is
// waited for once.
func (s *stackRefresher) rows(ctx context.Context, probes map[string]refreshfn.Probe) (rows []tokenRow, faults []error) {
	names := providers.Names()
	rows, faults = make([]tokenRow, len(names)), make([]error, len(names), len(names)+2)
	var looking sync.WaitGroup
	for i, provider := range names {
		looking.Go(func() { rows[i], faults[i] = s.look(ctx, provider, probes[provider]) })
	}
	looking.Wait()
	return rows, faults
}

// watch shows the credentials until a person ends it: on a terminal the table is drawn
// again, elsewhere the rows that have changed are appended, each time as one object with
// --json.
func (f *refresherFlags) watch(c *cobra.Command, s *stackRefresher) error {
	ctx, out := c.Context(), c.OutOrStdout()
	before := map[string]string{}
	ticks := time.NewTicker(watchEvery)
	defer ticks.Stop()
	for {
		rows, _ := s.rows(ctx, nil) // a row says itself what is wrong with it
		if ctx.Err() != nil {
			return nil
		}
		if err := f.draw(out, rows, before, s.base.Now()); err != nil {
			return err
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *refresherFlags) draw(out io.Writer, rows []tokenRow, before map[string]string, now time.Time) error {
	var changed []tokenRow
	for _, r := range rows {
		is := fmt.Sprint(r.State, r.Version, r.Outcome, r.Reason)
		if before[r.Provider] != is {
			changed = append(changed, r)
		}
		before[r.Provider] = is
	}
	to, terminal := file(out)
	switch {
	case f.asJSON && len(changed) > 0:
		return json.NewEncoder(out).Encode(map[string]any{"at": at(now), "tokens": changed})
	case f.asJSON:
		return nil
	case terminal:
		if _, err := io.WriteString(to, "\x1b[H\x1b[2J"); err != nil { // all of the screen
			return err
		}
		say(out, "%s, until interrupted\n", at(now))
		return writeTokens(out, rows, now)
	}
	for _, r := range changed {
		line := []string{at(now), r.Provider, r.State, string(r.Outcome), visible(r.Reason)}
		if _, err := fmt.Fprintln(out, strings.TrimSpace(strings.Join(line, "  "))); err != nil {
			return err
		}
	}
	return nil
}
