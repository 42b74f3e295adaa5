package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/state"
)

func newLinks() *cobra.Command {
	c := &cobra.Command{
		Use:   "links",
		Short: "Decide whether a member who existed before is a user's",
		Long: "A member that the relay did not make may be somebody else's with the same identity. Unless\n" +
			"HIKYAKU_LINK says otherwise, such a link needs approval: 'list' names the pairs that wait, 'show' puts\n" +
			"both records of one side by side, and 'approve' and 'reject' record the decision.",
		Example: "  hikyaku links list\n  hikyaku links show --user 20450001\n  hikyaku links approve --user 20450001 --token 3f0c...",
	}
	c.AddCommand(newLinksList(), newLinksShow(), newLinksDecide(true), newLinksDecide(false))
	return c
}

// openLinks composes the role that reads both sides and sends to the queue.
func (f *relayFlags) openLinks(c *cobra.Command) (admin.Links, error) {
	function, err := f.open(c, relayfn.Reconcile, localstack.Reconcile)
	if err != nil {
		return admin.Links{}, err
	}
	return function.Links(c.Context())
}

func newLinksList() *cobra.Command {
	var f relayFlags
	var before bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the pairs of user and member that wait for a decision",
		Long: "Prints user, member, how they matched (exact; or folded: by an alias, as another form of the identity)\n" +
			"and since when, and a token, with which 'approve --all' decides these pairs and no others. With --before it\n" +
			"lists who is linked by the identity alone, by an earlier version or while HIKYAKU_LINK was always: they\n" +
			"count as approved.\n\n" + ownSettings,
		Example: "  hikyaku links list\n  hikyaku links list --before --json",
		RunE: func(c *cobra.Command, _ []string) error {
			links, err := f.openLinks(c)
			if err != nil {
				return err
			}
			read := links.Waiting
			if before {
				read = links.Before
			}
			pairs, err := read(c.Context())
			if err != nil {
				return locale.Errorf("listing the pairs: %w", err)
			}
			token := tokenOf(pairs)
			if before || len(pairs) == 0 {
				token = ""
			}
			return f.print(c, map[string]any{"pairs": pairs, "token": token}, func(out io.Writer) error { return printPairs(out, pairs, token) })
		},
	}
	f.add(c)
	f.addMapping(c)
	c.Flags().BoolVar(&before, "before", false, "list who was linked without a decision")
	return c
}

func printPairs(out io.Writer, pairs []state.Pair, token string) error {
	if len(pairs) == 0 {
		say(out, "No pair to list.")
		return nil
	}
	cells := make([][]string, 0, len(pairs))
	for _, p := range pairs {
		since := "-"
		if !p.At.IsZero() {
			since = p.At.UTC().Format(time.RFC3339)
		}
		cells = append(cells, []string{strconv.FormatInt(p.User, 10), visible(p.Member), p.How, since})
	}
	if err := writeTable(out, []string{"USER", "MEMBER", "MATCH", "SINCE"}, cells); err != nil || token == "" {
		return err
	}
	say(out, "Waiting for a decision: %s. All of these at once: hikyaku links approve --all --token %s", count(len(pairs), "pair"), token)
	return nil
}

// tokenOf names a list of pairs: the time of the newest, so that later ones do
// not count, and a digest of all.
func tokenOf(pairs []state.Pair) string {
	var newest time.Time
	sum := sha256.New()
	for _, p := range pairs {
		if p.At.After(newest) {
			newest = p.At
		}
		_, _ = fmt.Fprintf(sum, "%d %q %s %s %d\n", p.User, p.Member, p.Identity, p.How, p.At.UnixNano())
	}
	return fmt.Sprintf("%d-%x", newest.UnixNano(), sum.Sum(nil)[:8])
}

// listedBy returns those of the pairs that a list with this token printed.
func listedBy(token string, pairs []state.Pair) ([]state.Pair, error) {
	at, _, _ := strings.Cut(token, "-")
	newest, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return nil, &usageError{locale.Errorf("--token: expected what 'hikyaku links list' printed")}
	}
	pairs = slices.DeleteFunc(pairs, func(p state.Pair) bool { return p.At.UnixNano() > newest })
	if tokenOf(pairs) != token {
		return nil, locale.Errorf("the pairs have changed since that list: run 'hikyaku links list' again, and decide by its token")
	}
	return pairs, nil
}

func newLinksShow() *cobra.Command {
	var f relayFlags
	var users []int64
	c := &cobra.Command{
		Use:   "show --user ID",
		Short: "Put both records of a pair side by side, read live",
		Long: "Prints what the member holds in Yappli, what the relay would write there, and all that SuperSaaS says of\n" +
			"the user. The output holds the data of perhaps two people. The token at its end binds a decision to what\n" +
			"was shown: once anything of it has changed, the decision is void.\n\n" + ownSettings,
		Example: "  hikyaku links show --user 20450001",
		RunE: func(c *cobra.Command, _ []string) error {
			if len(users) == 0 {
				return &usageError{locale.Errorf("--user ID is missing: whose pair to show")}
			}
			links, err := f.openLinks(c)
			if err != nil {
				return err
			}
			var shown []admin.Comparison
			for _, user := range users {
				pair, err := links.Compare(c.Context(), user)
				if err != nil {
					return err
				}
				if shown = append(shown, pair); f.asJSON && len(users) > 1 {
					continue
				}
				err = f.print(c, pair, func(out io.Writer) error {
					err := printComparison(out, pair)
					say(out, "\nThe same person: hikyaku links approve --user %[1]d --token %[2]s\nAnother person:  hikyaku links reject --user %[1]d --token %[2]s", user, pair.Records)
					return err
				})
				if err != nil {
					return err
				}
			}
			if f.asJSON && len(users) > 1 {
				return f.print(c, map[string][]admin.Comparison{"pairs": shown}, nil)
			}
			return nil
		},
	}
	f.add(c)
	f.addMapping(c)
	c.Flags().Int64SliceVar(&users, "user", nil, "SuperSaaS id; may be repeated")
	return c
}

func printComparison(out io.Writer, p admin.Comparison) error {
	say(out, "unique_id %s", visible(p.UniqueID))
	if bears := p.Bearer["unique_id"]; bears != p.UniqueID {
		say(out, "The member's is an alias of it: %s", visible(bears))
	}
	if p.Owner != 0 {
		say(out, "User %d is linked to the member: no other user can be", p.Owner)
	}
	l := languageOf(out)
	names := maps.Clone(p.Bearer)
	maps.Copy(names, p.Desired)
	rows := make([][]string, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		desired := "-"
		if value, sent := p.Desired[name]; sent {
			desired = visible(value)
			if value == "" {
				desired = `""`
			}
		}
		rows = append(rows, []string{name, visible(p.Bearer[name]), desired})
	}
	if err := writeTable(out, []string{"YAPPLI", l.Sprintf("MEMBER %s", visible(p.Bearer["id"])), l.Sprintf("USER %d WOULD WRITE", p.User)}, rows); err != nil {
		return err
	}
	say(out, "- is not touched, \"\" is emptied.\n")
	rows = nil
	for _, name := range slices.Sorted(maps.Keys(p.Fields)) {
		rows = append(rows, []string{visible(name), visible(p.Fields[name])})
	}
	return writeTable(out, []string{"SUPERSAAS", l.Sprintf("USER %d", p.User)}, rows)
}

// linkChoice says which pairs are decided.
type linkChoice struct {
	users []int64
	all   bool
	token string
}

// chosen returns the pairs that are decided: of single users their numbers alone.
func (l linkChoice) chosen(ctx context.Context, links admin.Links) (pairs []state.Pair, err error) {
	if !l.all {
		for _, user := range l.users {
			pairs = append(pairs, state.Pair{User: user})
		}
		return pairs, nil
	}
	waiting, err := links.Waiting(ctx)
	if err != nil {
		return nil, locale.Errorf("listing the pairs: %w", err)
	}
	return listedBy(l.token, waiting)
}

// decide reads one pair with both records, and stores the decision.
func (l linkChoice) decide(c *cobra.Command, f *relayFlags, links admin.Links, listed state.Pair, approve bool) error {
	user := listed.User
	pair, err := links.Compare(c.Context(), user)
	stale := errors.Is(err, admin.ErrNoPair) && !approve && pair.User != 0 // and not to be proposed again
	switch {
	case l.all && pair.Pair != listed: // somebody has changed it since the list was read
		return locale.Errorf("user %d now waits for another decision than in that list: %w", user, admin.ErrNoPair)
	case stale:
	case err != nil:
		return err
	case !l.all && l.token != "" && pair.Records != l.token:
		return locale.Errorf("the token is not that of user %d and member %s as they are now: it is mistyped, or a record has changed: look again with 'hikyaku links show --user %d'", user, pair.Member, user)
	case !l.all && l.token == "" && !f.asJSON:
		if err := printComparison(c.OutOrStdout(), pair); err != nil {
			return err
		}
	}
	if err := links.Decide(c.Context(), pair, approve); err != nil {
		return locale.Errorf("deciding on user %d: %w", user, err)
	}
	return nil
}

func newLinksDecide(approve bool) *cobra.Command {
	var f relayFlags
	var l linkChoice
	use, short, effect := "reject", "Say that members are not the users'", "The pair is not proposed again, and a rejection stays, also when a record changes, until 'links approve'.\nWhere the member has exactly that identity, the user gets no member as long as it does. Where it has an\nalias (match \"folded\"), the user gets a member of its own after the next reconcile."
	if approve {
		use, short, effect = "approve", "Say that members are the users'", "The relay then links them, and writes the user's fields to the member. The approval is bound to both\nrecords as they are: it is void once one has changed. A member that is another user's already is refused."
	}
	c := &cobra.Command{
		Use:   use + " {--user ID... | --all --token TOKEN}",
		Short: short,
		Long: effect + "\n\nWith --user, --token is that of 'links show': the command fails if anything has changed since; without it,\n" +
			"both records are printed as they are decided on. With --all, --token is that of 'links list': exactly its\n" +
			"pairs are decided, and one that has changed since is named and left.\n\n" + ownSettings,
		Example: "  hikyaku links " + use + " --user 20450001\n  hikyaku links " + use + " --all --token 1767225600000000000-9f86d081884c7d65",
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case l.all == (len(l.users) > 0):
				return &usageError{locale.Errorf("say either --user ID or --all")}
			case l.all && l.token == "":
				return &usageError{locale.Errorf("--all needs --token, which 'hikyaku links list' prints below the pairs that it means")}
			case len(l.users) > 1 && l.token != "":
				return &usageError{locale.Errorf("--token is of one user: decide one after the other, or leave it out")}
			}
			links, err := f.openLinks(c)
			if err != nil {
				return err
			}
			pairs, err := l.chosen(c.Context(), links)
			if err != nil {
				return err
			}
			decided, gone := 0, []error(nil)
			for _, pair := range pairs {
				switch err := l.decide(c, &f, links, pair, approve); {
				case err == nil:
					decided++
				case errors.Is(err, admin.ErrNoPair), errors.Is(err, admin.ErrLinked):
					gone = append(gone, err) // the others are decided all the same
				default:
					return errors.Join(append(gone, err)...)
				}
			}
			said := f.say(c, map[string]any{"approved": approve, "decided": decided}, "Decided: %s, %s. The relay gets a message for each.", count(decided, "pair"), use)
			return errors.Join(append(gone, said)...)
		},
	}
	f.add(c)
	f.addMapping(c)
	c.Flags().Int64SliceVar(&l.users, "user", nil, "SuperSaaS id; may be repeated")
	c.Flags().BoolVar(&l.all, "all", false, "decide all pairs of the list that --token names")
	c.Flags().StringVar(&l.token, "token", "", "what 'links show' or 'links list' printed")
	return c
}
