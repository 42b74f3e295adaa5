package main

import (
	"cmp"
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/internal/webhookrelay/tenant"
)

// relayFlags say with which settings a command works in the relay's place.
type relayFlags struct {
	output

	stack         stackFlags
	vars, mapping string
	logs          bool
	queueless     bool // nothing is sent
}

func (f *relayFlags) add(c *cobra.Command) {
	f.stack.add(c)
	c.Flags().StringVar(&f.vars, "env-vars", "", "file with the function's variables, as 'sam local invoke --env-vars' takes it; they replace the environment's")
	c.Flags().BoolVar(&f.logs, "logs", false, "show the function's log and metrics on standard error")
	f.output.add(c)
}

func (f *relayFlags) addMapping(c *cobra.Command) {
	c.Flags().StringVar(&f.mapping, "mapping", "", "the mapping file that was deployed, which counts until one is published (default: HIKYAKU_MAPPING_FILE; with --stack none)")
}

// ownSettings says where the settings come from.
const ownSettings = "It needs the settings of the stack's own function: the queues, HIKYAKU_IDENTITY and the others, from the\n" +
	"deployed function (--stack NAME), from --env-vars FILE or from the environment. With other settings it\n" +
	"would work on other state than the function."

// open composes a role in this process, with the caller's own credentials.
func (f *relayFlags) open(c *cobra.Command, role relayfn.Role, function string) (*relayfn.Function, error) {
	e, err := f.stack.environ(c, f.vars, function)
	if err != nil {
		return nil, err
	}
	e.Vars["HIKYAKU_ROLE"] = string(role)
	if f.mapping != "" {
		e.Vars["HIKYAKU_MAPPING_FILE"] = f.mapping
	}
	if f.queueless && e.Vars["HIKYAKU_QUEUE_URL"] == "" {
		e.Vars["HIKYAKU_QUEUE_URL"] = "not-used-by-this-command"
	}
	e.Out = logsOf(c, f.logs)
	opened, err := relayfn.New(c.Context(), e)
	if err == nil && f.mapping == "" && f.stack.name(f.vars) != "" {
		opened.OnlyPublished()
	}
	return opened, err
}

// tenant is open for commands that work on the relay's state and with both clients.
func (f *relayFlags) tenant(c *cobra.Command, role relayfn.Role, function string) (*relayfn.Function, *tenant.Tenant, error) {
	opened, err := f.open(c, role, function)
	if err != nil {
		return nil, nil, err
	}
	t, err := opened.Tenant(c.Context())
	return opened, t, err
}

func newRelay() *cobra.Command {
	c := &cobra.Command{
		Use:     "relay",
		Short:   "Decide what the relay leaves to a person",
		Long:    "The relay stops by itself where a mistake would lock out many people at once. These commands let it go on.",
		Example: "  hikyaku relay release",
	}
	c.AddCommand(newRelayRelease())
	return c
}

func newRelayRelease() *cobra.Command {
	var f relayFlags
	c := &cobra.Command{
		Use:   "release",
		Short: "Let disablings go on after the cap stopped them",
		Long: "More than HIKYAKU_DISABLE_CAP disablings in an hour stop all of them: so many people rarely leave at\n" +
			"once. Look at what was deleted in SuperSaaS first ('hikyaku reconcile --dry-run'). Then this starts the\n" +
			"count from zero; the messages wait in the queue, and go on within the hour. Where nothing is stopped it\n" +
			"changes nothing.\n\n" + ownSettings,
		Example: "  hikyaku relay release\n  hikyaku relay release --stack hikyaku --json",
		RunE: func(c *cobra.Command, _ []string) error {
			_, t, err := f.tenant(c, relayfn.Reconcile, localstack.Reconcile)
			if err != nil {
				return err
			}
			stopped, err := t.State.Disabling.Release(c.Context())
			if err != nil {
				return locale.Errorf("releasing the cap on disablings: %w", err)
			}
			sentence := "Disabling is not stopped, so there was nothing to release; the count stays as it is."
			if stopped {
				sentence = "Disabling goes on; its count starts from zero."
			}
			return f.say(c, map[string]bool{"was_stopped": stopped}, sentence)
		},
	}
	f.add(c)
	f.addMapping(c)
	return c
}

func newReconcile() *cobra.Command {
	var f relayFlags
	var dry bool
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare SuperSaaS with Yappli, and send the users that differ to the relay",
		Long: "Does what the scheduled function does, in this process and until it is done: it lists both sides, links\n" +
			"members who exist, and puts the users who differ on the queue. It never writes to Yappli. With --dry-run\n" +
			"it changes nothing at all and names the users, by id and reason: missing (to be created), differing,\n" +
			"gone (to be read singly, then disabled), restored, unresolved, member_missing, and awaiting_approval\n" +
			"('hikyaku links').\n\n" + ownSettings,
		Example: "  hikyaku reconcile --dry-run\n  hikyaku reconcile --stack hikyaku --json",
		RunE: func(c *cobra.Command, _ []string) error {
			f.queueless = dry
			function, err := f.open(c, relayfn.Reconcile, localstack.Reconcile)
			if err != nil {
				return err
			}
			reconciler, err := function.Reconciler(c.Context())
			if err != nil {
				return err
			}
			line, told := f.progress(c)
			reconciler = reconciler.Telling(told)
			if dry {
				return f.dryRun(c, reconciler, line)
			}
			report, err := reconcileAll(c.Context(), reconciler, c.ErrOrStderr(), line)
			line.clear()
			if err != nil {
				return err
			}
			return f.say(c, map[string]any{"status": "done", "report": report}, "%s", sentences(*report, report.Sent))
		},
	}
	f.add(c)
	f.addMapping(c)
	c.Flags().BoolVar(&dry, "dry-run", false, "compare and print, and change nothing")
	return c
}

func (f *relayFlags) dryRun(c *cobra.Command, r *reconcile.Reconciler, line *liveLine) error {
	report, differences, err := r.DryRun(c.Context())
	line.clear()
	if err != nil {
		return locale.Errorf("comparing both sides: %w", err)
	}
	if f.asJSON {
		return f.say(c, map[string]any{"status": "dry_run", "report": report, "differences": differences}, "")
	}
	l := languageOf(c.OutOrStdout())
	var rows [][]string
	for _, d := range differences {
		rows = append(rows, []string{strconv.FormatInt(d.User, 10), string(d.Reason), l.Text(d.Reason.Sentence()), "-"})
	}
	for _, u := range report.Named {
		rows = append(rows, []string{strconv.FormatInt(u.User, 10), string(u.Reason), l.Text(u.Reason.Sentence()), visible(cmp.Or(strings.Join(u.Fields, " "), "-"))})
	}
	if len(rows) > 0 {
		if err := writeTable(c.OutOrStdout(), []string{"USER", "REASON", "MEANING", "FIELDS"}, rows); err != nil {
			return err
		}
	}
	return f.say(c, nil, "%s", sentences(report, len(differences)))
}

// progress shows on a terminal how far a run has come, unless its log is shown there.
func (f *relayFlags) progress(c *cobra.Command) (line *liveLine, told func(reconcile.Progress)) {
	to, terminal := file(c.ErrOrStderr())
	if !terminal || f.logs {
		return nil, func(reconcile.Progress) {}
	}
	line = lineOn(c.ErrOrStderr(), to)
	return line, func(p reconcile.Progress) {
		step := "listing"
		if p.Compared {
			step = "comparing"
		}
		line.show(languageOf(c.ErrOrStderr()).Sprintf("%s: %d users, %d members", locale.T(step), p.Users, p.Members))
	}
}

// oneGo is how long a part of a run may take. The lease of a part ends with
// it, so a command that is killed keeps the schedule out no longer than that.
const oneGo = 10 * time.Minute

const errStoppedReconcile stoppedError = "stopped; the next run goes on where this one stopped"

// reconcileAll runs until the run is done. What it waits for is said on notes.
func reconcileAll(ctx context.Context, r *reconcile.Reconciler, notes io.Writer, line *liveLine) (*reconcile.Report, error) {
	for {
		part, cancel := context.WithTimeout(ctx, oneGo)
		result, err := r.Run(part, false)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil, errStoppedReconcile
		case err != nil:
			return nil, locale.Errorf("reconciling: %w; the next run goes on where this one stopped", err)
		case result.Status == "busy" && result.Cause != "":
			line.clear()
			say(notes, "%s; waiting until %s", visible(result.Cause), result.Until.Local().Format(time.TimeOnly))
			select {
			case <-time.After(time.Until(result.Until)):
			case <-ctx.Done():
				return nil, errStoppedReconcile
			}
		case result.Status == "busy":
			return nil, locale.Errorf("another run is under way until %s at the latest; try again then", result.Until.UTC().Format(time.RFC3339))
		case result.Report != nil:
			return result.Report, nil
		}
	}
}

func sentences(r reconcile.Report, due int) locale.Message {
	text := []locale.Message{locale.M("%d users, %d members: %d matched, %d missing, %d differing, %d gone, %d members nobody claims.\n%d to be written by the relay.",
		r.Users, r.Members, r.Matched, r.Missing, r.Differing, r.Gone, r.Unclaimed, due)}
	add := func(format string, values ...any) { text = append(text, locale.M(format, values...)) }
	if r.Lost > 0 {
		add("Linked members in no list: %d, which somebody removed or disabled in Yappli ('hikyaku history').", r.Lost)
	}
	if r.NoIdentity+r.DuplicateIdentity > 0 {
		add("Not written: %d without the identity field, %d whose identity another user has.", r.NoIdentity, r.DuplicateIdentity)
	}
	if r.AwaitingApproval > 0 {
		add("%d users wait for a decision, because a member that existed before has their identity ('hikyaku links').", r.AwaitingApproval)
	}
	if r.LinkRejected > 0 {
		add("%d users are not written, as such a member was said not to be theirs.", r.LinkRejected)
	}
	if r.UnreadableUsers > 0 {
		add("%d users have fields that cannot be read, which stay as they are in Yappli.", r.UnreadableUsers)
	}
	if r.OddUsers > 0 {
		add("%d users have fields of an unexpected type, whether the mapping uses them or not; the log names some.", r.OddUsers)
	}
	if r.Unconverging > 0 {
		add("%d members keep showing other values than were written, and are left as they are ('hikyaku history').", r.Unconverging)
	}
	if r.Unreadable > 0 {
		add("%d records of the lists cannot be read; the log names their places.", r.Unreadable)
	}
	if r.Drift > 0 {
		add("%d signs that a list leaves somebody out, so nobody counts as missing or gone.", r.Drift)
	}
	if r.Check != nil && r.Check.Webhooks >= 0 && r.Check.Webhooks != 1 {
		add("%d webhooks for changed users point at the relay; there must be exactly one ('hikyaku hooks register').", r.Check.Webhooks)
	}
	return locale.Join(text, "\n")
}
