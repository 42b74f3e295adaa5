package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// A refresherFlags says which stack's credentials a command works on.
type refresherFlags struct {
	output

	stack    stackFlags
	logs     bool
	onRemote bool
}

func (f *refresherFlags) add(c *cobra.Command) {
	f.stack.add(c)
	f.output.add(c)
}

func (f *refresherFlags) addLogs(c *cobra.Command) {
	c.Flags().BoolVar(&f.logs, "logs", false, "show the refresher's log and metrics on standard error")
}

// A stackRefresher is a stack as the operator reaches it, with the function
// that keeps its tokens, composed as in Lambda but run in this process.
type stackRefresher struct {
	base     *lambdafn.Base
	function *refreshfn.Function
	core     *tokenrefresh.Refresher
	window   protocol.Window // hours in which the stack renews
	remote   *remote         // the deployed function, which is to call the providers; nil: this process does
}

func (f *refresherFlags) open(c *cobra.Command) (*stackRefresher, error) {
	if f.onRemote {
		if err := f.stack.ofRemote(); err != nil {
			return nil, err
		}
	}
	e, err := f.stack.environ(c, "", localstack.TokenRefresh)
	if err != nil {
		return nil, err
	}
	e.Out = logsOf(c, f.logs)
	s, err := newStackRefresher(c.Context(), e)
	if err != nil {
		return nil, err
	}
	if f.onRemote {
		s.remote = &remote{stack: f.stack.found}
		if f.logs {
			s.remote.logs = c.ErrOrStderr()
		}
	}
	return s, nil
}

func newStackRefresher(ctx context.Context, e lambdafn.Environ) (*stackRefresher, error) {
	base, err := clibase.Open(e)
	if err != nil {
		return nil, err
	}
	function, err := refreshfn.New(ctx, e)
	if err != nil {
		return nil, err
	}
	window, err := protocol.ParseWindow(e.Vars["HIKYAKU_REFRESH_WINDOW"])
	if err != nil {
		return nil, err
	}
	return &stackRefresher{base: base, function: function, core: function.Refresher(), window: window}, nil
}

func newTokens() *cobra.Command {
	var f refresherFlags
	var probe, watch bool
	c := &cobra.Command{
		Use:   "tokens",
		Short: "Show every provider's credential: its state, age, end and last outcome",
		Long: "Reads the token secrets and what tokenrefresh left, and changes nothing. No secret is shown.\n\n" +
			"States: off (no connection), missing (no token yet), valid, unknown_expiry (works as far as is known,\n" +
			"and the provider states no end), expired, needs_human (the last run could not recover by itself),\n" +
			"unreadable (see the error).\n\n" +
			"--probe asks each provider now, by a call that changes nothing, whether the credential that is served\n" +
			"works: a provider may have withdrawn one that is still valid by its end. It reads the connections for\n" +
			"that, and exits with 1 if a provider says no. With --remote the stack's function asks, from the address\n" +
			"that the provider may know alone.\n\n" +
			"--watch looks every 5 seconds until it is interrupted: on a terminal it draws the table again, elsewhere it\n" +
			"appends what has changed, with --json one object each time.",
		Example: "  hikyaku tokens --prefix hikyaku --bucket my-bucket\n  hikyaku tokens --probe\n  hikyaku tokens --watch\n  hikyaku tokens --json | jq '.tokens[] | select(.state == \"needs_human\")'",
		RunE: func(c *cobra.Command, _ []string) error {
			if f.onRemote && !probe {
				return &usageError{locale.Errorf("--remote needs --probe: without it no provider is asked")}
			}
			if watch && probe {
				return &usageError{locale.Errorf("--watch and --probe exclude each other: a provider is asked once, and not again and again")}
			}
			s, err := f.open(c)
			if err != nil {
				return err
			}
			if watch {
				return f.watch(c, s)
			}
			probes := map[string]refreshfn.Probe{}
			if probe {
				if probes, err = s.probes(c.Context()); err != nil {
					return err
				}
			}
			rows, faults := s.rows(c.Context(), probes)
			nothing := s.nothingToShow(rows, faults)
			if nothing != nil {
				clear(faults) // it says the same once
				if !f.asJSON {
					return nothing
				}
			}
			printed := f.print(c, map[string][]tokenRow{"tokens": rows}, func(out io.Writer) error { return writeTokens(out, rows, s.base.Now()) })
			return errors.Join(append(faults, printed, nothing)...)
		},
	}
	f.add(c)
	remoteFlag(c.Flags(), &f.onRemote)
	c.Flags().BoolVar(&watch, "watch", false, "look again and again, until interrupted")
	c.Flags().BoolVar(&probe, "probe", false, "ask each provider whether its credential works")
	c.AddCommand(newTokensRefresh(), newTokensHistory())
	return c
}

// nothingToShow is an error where no provider tells anything: nothing lies under the
// prefix, or all fail alike, which is said once.
func (s *stackRefresher) nothingToShow(rows []tokenRow, faults []error) error {
	if !slices.ContainsFunc(rows, func(r tokenRow) bool { return r.State != "off" }) {
		return locale.Errorf("there is no connection under %s/ in Secrets Manager: store one with 'hikyaku connect PROVIDER', or name another stack with --stack, --prefix or --region", visible(s.base.Common.Prefix))
	}
	for i, err := range faults {
		if err == nil || nameless(err, rows[i].Provider) != nameless(faults[0], rows[0].Provider) {
			return nil
		}
	}
	return locale.Errorf("no credential can be read; of every provider as of %w", faults[0])
}

// nameless is what an error says of any provider.
func nameless(err error, provider string) string {
	return strings.ReplaceAll(err.Error(), provider, "")
}

// A tokenRow is what is known about one provider's credential.
type tokenRow struct {
	Provider   string           `json:"provider"`
	Kind       providers.Kind   `json:"kind,omitempty"`
	State      string           `json:"state"`
	Version    string           `json:"version,omitempty"` // of the token secret
	ObtainedAt *time.Time       `json:"obtained_at,omitempty"`
	ExpiresAt  *time.Time       `json:"expires_at"` // null: unknown
	Outcome    protocol.Outcome `json:"last_outcome,omitempty"`
	Reason     string           `json:"last_reason,omitempty"`
	At         *time.Time       `json:"last_run,omitempty"`
	Probe      string           `json:"probe,omitempty"` // works, refused or unclear; empty: not asked
	Answer     string           `json:"probe_answer,omitempty"`
}

// probes asks the providers whether what is served works.
func (s *stackRefresher) probes(ctx context.Context) (map[string]refreshfn.Probe, error) {
	var list []refreshfn.Probe
	if s.remote == nil {
		list = s.function.Probes(ctx)
	} else {
		answer, err := s.remote.ask(ctx, refreshfn.Operation{Name: refreshfn.Try})
		if err != nil {
			return nil, err
		}
		list = answer.Probes
	}
	byProvider := map[string]refreshfn.Probe{}
	for _, p := range list {
		byProvider[p.Provider] = p
	}
	return byProvider, nil
}

// look reads a row and adds what its provider said, if it was asked. An error says what is
// wrong with the credential.
func (s *stackRefresher) look(ctx context.Context, provider string, probe refreshfn.Probe) (tokenRow, error) {
	row, err := s.row(ctx, provider)
	if err != nil {
		row.State, row.Reason = unreadable, err.Error()
		return row, locale.Errorf("%s: %w", provider, err)
	}
	row.Probe, row.Answer = probe.State, visible(probe.Answer)
	if row.Probe != refreshfn.Refused {
		return row, nil
	}
	next := locale.M("'hikyaku tokens refresh %s --force' replaces it", row.Provider)
	if row.Kind == providers.Static {
		next = locale.M("enter another with 'hikyaku connect %s'", row.Provider)
	}
	if s.remote == nil {
		next = locale.M("%s. If the provider lets in the stack's address alone, ask with --remote", next)
	}
	return row, locale.Errorf("%s: the provider does not accept what is served: %s; %s", row.Provider, row.Answer, next)
}

// row reads one provider's.
func (s *stackRefresher) row(ctx context.Context, provider string) (tokenRow, error) {
	row := tokenRow{Provider: provider, State: "off"}
	name := func(part string) string { return secretstore.Name(s.base.Common.Prefix, provider, part) }
	// Describing shows whether there is a connection, without reading it.
	switch connection, err := s.base.Secrets.Describe(ctx, name(secretstore.ConnectionPart)); {
	case errors.Is(err, secretstore.ErrNotFound), err == nil && !tokenrefresh.HasConnection(connection):
		return row, nil
	case err != nil:
		return row, err
	}
	outcome, at, reason, err := s.core.State(ctx, provider)
	if err != nil {
		return row, err
	}
	row.Outcome, row.Reason, row.At = outcome, reason, notZero(at)
	token, err := s.token(ctx, name(secretstore.TokenPart))
	if err != nil {
		return row, err
	}
	row.Kind, row.Version, row.ObtainedAt, row.ExpiresAt = token.Kind, token.Version, notZero(token.ObtainedAt), notZero(token.ExpiresAt)
	switch {
	case outcome.Status() == protocol.Human:
		row.State = "needs_human"
	case token.Credential.Empty():
		row.State = "missing"
	case token.Expired(s.base.Now()):
		row.State = "expired"
	case token.ExpiresAt.IsZero():
		row.State = "unknown_expiry"
	default:
		row.State = "valid"
	}
	return row, nil
}

// token reads what callers are served; none yet is a zero Token.
func (s *stackRefresher) token(ctx context.Context, name string) (providers.Token, error) {
	value, err := s.base.Secrets.Get(ctx, name, secretstore.Current)
	if errors.Is(err, secretstore.ErrNotFound) {
		return providers.Token{}, nil
	}
	if err != nil {
		return providers.Token{}, err
	}
	token, err := providers.ParseToken(value.Data)
	if errors.Is(err, providers.ErrNotFound) {
		return providers.Token{}, nil
	}
	token.Version = value.ID
	return token, err
}

func notZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func writeTokens(out io.Writer, rows []tokenRow, now time.Time) error {
	probed := slices.ContainsFunc(rows, func(r tokenRow) bool { return r.Probe != "" })
	l := languageOf(out)
	heading := []string{"PROVIDER", "KIND", "STATE", "AGE", "EXPIRES", "LAST OUTCOME"}
	if probed {
		heading = append(heading, "PROBE")
	}
	cells := make([][]string, 0, len(rows))
	for _, r := range rows {
		age, end, last := "-", "-", "-"
		if r.ObtainedAt != nil {
			age, end = spell(now.Sub(*r.ObtainedAt)), expiry(r.ExpiresAt, now).In(l)
		}
		if r.Outcome != "" {
			last = string(r.Outcome)
		}
		if r.Outcome != "" && r.At != nil {
			last += l.Sprintf(", %s ago", spell(now.Sub(*r.At)))
		}
		row := []string{r.Provider, cmp.Or(string(r.Kind), "-"), r.State, age, end, last}
		if probed {
			row = append(row, strings.TrimSuffix(cmp.Or(r.Probe, "-")+": "+r.Answer, ": "))
		}
		cells = append(cells, row)
	}
	if err := writeTable(out, heading, cells); err != nil {
		return err
	}
	gap := "\n"
	for _, r := range rows {
		if r.State != "needs_human" && r.State != "missing" {
			continue
		}
		say(out, "%s%s: %s", gap, r.Provider, advice(r))
		gap = ""
	}
	return nil
}

// advice says why a row needs somebody, and what to do.
func advice(r tokenRow) locale.Message {
	kind := r.Kind // of the token; where there is none, the only one that the provider has
	if kind == "" {
		kind, _ = kindOf(r.Provider)
	}
	next := locale.M("run 'hikyaku connect %s'", r.Provider)
	switch {
	case r.State == "missing" && r.Outcome == "":
		return locale.M("no run of tokenrefresh yet: it makes one %s; or run 'hikyaku tokens refresh %s'", locale.T(tokenFollows), r.Provider)
	case r.State == "missing":
		next = locale.M("the next run tries again, and 'hikyaku tokens refresh %s --logs' shows the cause", r.Provider)
	case kind == providers.OneTimePair || kind == providers.OneTimeCode:
		next = locale.M("run 'hikyaku authorize %s'", r.Provider)
	case kind == "":
		next = locale.M("%s, or 'hikyaku authorize %s' if it is an app", next, r.Provider)
	}
	return locale.M("%s; %s", locale.T(cmp.Or(visible(r.Reason), string(r.Outcome))), next)
}

// expiry shows an end; nil is unknown.
func expiry(at *time.Time, now time.Time) locale.Message {
	switch {
	case at == nil:
		return locale.T("unknown")
	case !now.Before(*at):
		return locale.M("%s ago", spell(now.Sub(*at)))
	}
	return locale.M("in %s", spell(at.Sub(now)))
}

// spell shows a duration by its two largest units.
func spell(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d/time.Second)))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < day:
		return fmt.Sprintf("%dh%02dm", int(d/time.Hour), int(d%time.Hour/time.Minute))
	}
	return fmt.Sprintf("%dd%02dh", int(d/day), int(d%day/time.Hour))
}

func newTokensRefresh() *cobra.Command {
	var f refresherFlags
	var force, resend bool
	c := &cobra.Command{
		Use:   "refresh [PROVIDER]",
		Short: "Run the token refresher now, with your own credentials, and print its report",
		Long: "Runs what the schedule runs, in this process, against the stack's secrets: it refreshes what is due,\n" +
			"tries what can only be tried, and leaves the rest alone. It shares the lease with the function, so\n" +
			"running it at any time is safe. Exits with 1 if a credential failed or needs a person.\n\n" +
			"--force replaces also what is not due or has just failed; people may have 6 versions of a secret written\n" +
			"so in 24 hours. A one-time credential in doubt, which may have been spent without an answer, takes\n" +
			"--resend-in-doubt as well: it is sent a second time, and a provider may then revoke all that came of it.\n\n" +
			"--remote has the stack's function do it, from the address that a provider may know alone.",
		Example:   "  hikyaku tokens refresh\n  hikyaku tokens refresh yappli --force --logs\n  hikyaku tokens refresh yappli --force --remote --stack hikyaku-shop",
		ValidArgs: providers.Names(),
		Args:      cobra.MatchAll(atMostOne, known),
		RunE: func(c *cobra.Command, a []string) error {
			s, err := f.open(c)
			if err != nil {
				return err
			}
			if resend && !force {
				return &usageError{locale.Errorf("--resend-in-doubt needs --force")}
			}
			request := tokenrefresh.Request{Force: force, ResendInDoubt: resend}
			if len(a) == 1 {
				request.Provider = a[0]
			}
			report, err := s.run(c.Context(), request)
			if err != nil {
				return err
			}
			err = f.print(c, report, func(out io.Writer) error { return writeReport(out, report, s.base.Now()) })
			return errors.Join(err, judge(report))
		},
	}
	f.add(c)
	f.addLogs(c)
	remoteFlag(c.Flags(), &f.onRemote)
	c.Flags().BoolVar(&force, "force", false, "replace also what is not due or has just failed")
	c.Flags().BoolVar(&resend, "resend-in-doubt", false, "with --force: send a one-time credential again that may have been spent")
	return c
}

// run has the credentials looked at that q names.
func (s *stackRefresher) run(ctx context.Context, q tokenrefresh.Request) (tokenrefresh.Report, error) {
	if s.remote == nil {
		return s.core.Run(ctx, q)
	}
	answer, err := s.remote.ask(ctx, refreshfn.Operation{Name: refreshfn.Refresh, Provider: q.Provider, Force: q.Force, ResendInDoubt: q.ResendInDoubt})
	return tokenrefresh.Report{Results: answer.Results}, err
}

func writeReport(out io.Writer, report tokenrefresh.Report, now time.Time) error {
	cells := make([][]string, 0, len(report.Results))
	l := languageOf(out)
	for _, r := range report.Results {
		end := "-"
		if r.Version != "" {
			end = expiry(r.ExpiresAt, now).In(l)
		}
		reason := l.Text(visible(r.Reason))
		if r.Outcome == protocol.Fresh && reason == "" {
			reason = l.Text("not due; 'hikyaku tokens --probe' asks the provider whether it works, --force replaces it")
		}
		cells = append(cells, []string{r.Provider, cmp.Or(string(r.Kind), "-"), string(r.Outcome), end, reason})
	}
	return writeTable(out, []string{"PROVIDER", "KIND", "OUTCOME", "EXPIRES", "REASON"}, cells)
}

// judge is an error if a credential is not what it should be.
func judge(report tokenrefresh.Report) error {
	var faults []error
	retry := report.Retry()
	for _, r := range report.Results {
		failed := r.Outcome == protocol.Cooling || slices.Contains(retry, r.Provider)
		switch {
		case r.Status == protocol.Human:
			faults = append(faults, locale.Errorf("%s: %s: %s", r.Provider, r.Outcome,
				advice(tokenRow{Provider: r.Provider, Kind: r.Kind, State: "needs_human", Outcome: r.Outcome, Reason: r.Reason})))
		case failed:
			faults = append(faults, locale.Errorf("%s: %s: %s; the next run tries again, see --logs for the cause", r.Provider, r.Outcome, visible(r.Reason)))
		}
	}
	return errors.Join(faults...)
}
