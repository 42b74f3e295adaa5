package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/pkg/providers/supersaas"
)

// mostMapping is more than a mapping's file may have.
const mostMapping = 1 << 20

// A mappingTrial is one call of 'mapping try'.
type mappingTrial struct {
	stack relayFlags

	users   []int64
	compare bool
	count   bool
}

func newMappingTry() *cobra.Command {
	var t mappingTrial
	c := &cobra.Command{
		Use:   "try FILE|-",
		Short: "Try a mapping on real people, and count what it would change, without publishing it",
		Long: "Compiles the mapping, from a file or from standard input, and names every fault with line and column. For\n" +
			"each --user it reads that user and prints what each line makes of it, with a reason where it makes nothing;\n" +
			"of a file with faults, what the other lines make. With --compare it reads the members too, and says what\n" +
			"Yappli holds and what would change. With --count it reads all users, and says of how many the mapping makes\n" +
			"something else than the one that counts, field by field, as 'mapping put' does before it asks. It writes\n" +
			"nothing. With --user the output holds personal data. Exits with 1 if there are faults.\n\n" +
			"With --json: digest, faults (line, column, key, text), targets, uses, users (user_id, outcome, says, fields\n" +
			"as 'compare' has them; the state of a line with a fault is fault), and count (users, changed, fields with\n" +
			"changed, unreadable, was_unreadable and dropped).\n\n" + ownSettings,
		Example: "  hikyaku mapping try mapping.yaml\n  hikyaku mapping try mapping.yaml --user 20450001,20450002 --compare\n" +
			"  hikyaku mapping show | hikyaku mapping try - --count --json",
		Args: one,
		RunE: func(c *cobra.Command, a []string) error { return t.run(c, a[0]) },
	}
	t.stack.add(c)
	c.Flags().Int64SliceVar(&t.users, "user", nil, "SuperSaaS id of a user to try it on; may be repeated")
	c.Flags().BoolVar(&t.compare, "compare", false, "with --user: also say what Yappli holds, and what would change")
	c.Flags().BoolVar(&t.count, "count", false, "say of how many of all users it makes something else")
	return c
}

func (t *mappingTrial) run(c *cobra.Command, file string) error {
	if t.compare && len(t.users) == 0 {
		return &usageError{locale.Errorf("--compare needs --user ID: whose member to read")}
	}
	source, err := readMapping(c, file)
	if err != nil {
		return err
	}
	if len(t.users) == 0 && !t.count {
		e := lambdafn.OSEnviron()
		if t.stack.stack.name(t.stack.vars) != "" || t.stack.vars != "" {
			if e, err = t.stack.stack.environ(c, t.stack.vars, localstack.Reconcile); err != nil {
				return err
			}
		}
		trial, _ := admin.Try(cmp.Or(e.Vars["HIKYAKU_IDENTITY"], "id"), source, nil)
		return t.answer(c, file, trial)
	}
	switch trial, ok, err := t.keptFor(c, source); {
	case err != nil:
		return err
	case ok:
		return t.answer(c, file, trial)
	}
	t.stack.queueless = true
	function, err := t.stack.open(c, relayfn.Reconcile, localstack.Reconcile)
	if err != nil {
		return err
	}
	return t.withStack(c, function, file, source)
}

// withStack tries the mapping on what the stack's providers hold.
func (t *mappingTrial) withStack(c *cobra.Command, function *relayfn.Function, file string, source []byte) error {
	_, draft := admin.Try(function.Identity(), source, nil)
	function.Try(draft)
	subjects, err := t.subjects(c.Context(), function, draft)
	if err != nil {
		return err
	}
	trial, _ := admin.Try(function.Identity(), source, subjects)
	t.keep(c, function.Identity(), subjects, trial)
	if t.count && len(trial.Faults) == 0 {
		count, err := t.counted(c, function)
		if err != nil {
			return err
		}
		trial.Count = &count
	}
	return t.answer(c, file, trial)
}

// subjects reads the users, and with --compare their members.
func (t *mappingTrial) subjects(ctx context.Context, function *relayfn.Function, draft *mapping.Mapping) ([]admin.Subject, error) {
	if len(t.users) == 0 {
		return nil, nil
	}
	opened, err := function.Tenant(ctx)
	if err != nil {
		return nil, err
	}
	subjects := make([]admin.Subject, 0, len(t.users))
	for _, user := range t.users {
		var s admin.Subject
		if t.compare {
			preview, err := plan.Of(opened).Preview(ctx, user)
			if err != nil {
				return nil, locale.Errorf("reading user %d and the member: %w", user, err)
			}
			s = admin.Subject{User: preview.User, Held: preview.Held, Outcome: preview.Outcome}
		} else if s.User, err = opened.Users.GetUser(ctx, supersaas.ID(user), draft.UsesForm()); err != nil {
			return nil, locale.Errorf("reading user %d: %w", user, err)
		}
		if s.User.ID == 0 || s.User.Deleted {
			return nil, locale.Errorf("SuperSaaS has no user %d: a mapping can be tried on somebody who is there", user)
		}
		subjects = append(subjects, s)
	}
	return subjects, nil
}

// counted counts all users by the mapping that is tried and the one that counts.
func (t *mappingTrial) counted(c *cobra.Command, function *relayfn.Function) (admin.MappingChange, error) {
	old, err := t.counts(c, function)
	if err != nil {
		return admin.MappingChange{}, err
	}
	opened, err := function.Tenant(c.Context())
	if err != nil {
		return admin.MappingChange{}, err
	}
	line, told := countingUsers(c)
	defer line.clear()
	return admin.CompareMappings(c.Context(), opened, old, told)
}

// countingUsers shows on a terminal how many users have been read.
func countingUsers(c *cobra.Command) (*liveLine, func(users int)) {
	to, terminal := file(c.ErrOrStderr())
	if !terminal {
		return nil, nil
	}
	line := lineOn(c.ErrOrStderr(), to)
	return line, func(users int) {
		if users%100 == 0 {
			line.show(fmt.Sprintf("reading: %d users", users))
		}
	}
}

// answer prints the trial. Of one with faults it fails, after what was found.
func (t *mappingTrial) answer(c *cobra.Command, file string, trial admin.Trial) error {
	if len(trial.Faults) > 0 && !t.stack.asJSON && len(trial.Users) == 0 {
		return &mapping.FaultsError{Name: file, Faults: trial.Faults}
	}
	err := t.stack.print(c, trial, func(out io.Writer) error { return writeTrial(out, trial) })
	if err != nil || len(trial.Faults) == 0 {
		return err
	}
	if t.stack.asJSON {
		return &foundError{exit: 1, what: fmt.Sprintf("%d faults found", len(trial.Faults))}
	}
	return &mapping.FaultsError{Name: file, Faults: trial.Faults}
}

func writeTrial(out io.Writer, trial admin.Trial) error {
	for _, u := range trial.Users {
		if u.Outcome != "" {
			say(out, "User %d: %s: %s", u.User, string(u.Outcome), locale.T(u.Says))
		} else {
			say(out, "User %d", u.User)
		}
		if err := writeSides(out, u.Fields); err != nil {
			return err
		}
		say(out, "")
	}
	switch {
	case trial.Count != nil:
		say(out, "It would change %d of %s.", trial.Count.Changed, count(trial.Count.Users, "user"))
		return writeChangedFields(out, *trial.Count)
	case len(trial.Faults) == 0:
		say(out, "The mapping compiles: %d fields (%s) made of %s.", len(trial.Targets), strings.Join(trial.Targets, ", "), strings.Join(trial.Uses, ", "))
	}
	return nil
}

// readMapping reads a mapping's file, or standard input for "-".
func readMapping(c *cobra.Command, name string) ([]byte, error) {
	if name != toPipe {
		return os.ReadFile(filepath.Clean(name))
	}
	source, err := io.ReadAll(io.LimitReader(c.InOrStdin(), mostMapping+1))
	if err != nil {
		return nil, locale.Errorf("reading the mapping from standard input: %w", err)
	}
	return source, nil
}
