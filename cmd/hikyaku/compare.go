package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/pause"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/tenant"
)

// A comparison is what 'compare' answers.
type comparison struct {
	User     int64             `json:"user_id,string"`
	Member   string            `json:"member,omitempty"` // Yappli's id of the member
	UniqueID string            `json:"unique_id,omitempty"`
	Gone     bool              `json:"gone"`    // the user is deleted
	Arrived  bool              `json:"arrived"` // Yappli holds all that the mapping gives and can be read
	Now      told[string]      `json:"now"`
	Also     []string          `json:"also"`           // what else keeps the user from arriving
	Next     string            `json:"next,omitempty"` // the command that helps; empty: none does
	Mapping  string            `json:"mapping"`        // its digest
	Mode     tenant.Mode       `json:"mode"`
	Fields   []admin.FieldSide `json:"fields"`
	Shop     map[string]string `json:"supersaas"`
	App      map[string]string `json:"yappli"`

	also []locale.Message // Also, for people
}

func newCompare() *cobra.Command {
	var f relayFlags
	var user int64
	var letters letterFlag
	c := &cobra.Command{
		Use:   "compare --user ID",
		Short: "Put one person's fields of SuperSaaS and Yappli side by side, and say why they differ",
		Long: "Reads the user and the member, and writes nothing. First it says in one sentence why the user has arrived\n" +
			"in Yappli or has not, as 'hikyaku history' tells it, what else stands in the way, and the command that\n" +
			"helps next. Then for each field that is mapped: what it is made of, what the mapping makes now, what Yappli\n" +
			"holds, and whether the next job would change it, or why not. Then all that either side says of the person.\n" +
			"The output holds personal data.\n\n" +
			"With --json: user_id, member, unique_id, gone, arrived, now (entry and says), also, next, mapping (its\n" +
			"digest), mode, fields (field, source, uses, state, makes, holds, differs, changes, why), and the records\n" +
			"supersaas and yappli. state is sent, absent, kept or unreadable; makes and holds are null where there is\n" +
			"nothing.\n\n" + ownSettings,
		Example: "  hikyaku compare --user 20450001 --stack hikyaku\n  hikyaku compare --user 20450001 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			if user <= 0 {
				return &usageError{locale.Errorf("compare needs --user ID: the number of a SuperSaaS user, which 'hikyaku users list supersaas --search TEXT' finds")}
			}
			function, t, err := f.tenant(c, relayfn.Relay, localstack.Relay)
			if err != nil {
				return err
			}
			sides, err := admin.SidesOf(c.Context(), t, user)
			if err != nil {
				return locale.Errorf("comparing user %d: %w", user, err)
			}
			if sides.Err != nil {
				return locale.Errorf("%s: %w", sides.Preview.Outcome.Sentence(), sides.Err)
			}
			letters, err := letters.of(c.Context(), function, user)
			if err != nil {
				return err
			}
			if len(sides.Events)+len(letters) == 0 && sides.Preview.Outcome == outcome.GoneUnlinked {
				return locale.Errorf("SuperSaaS has no user %d, and the relay knows nothing of one: look for the number with 'hikyaku users list supersaas --search TEXT'", user)
			}
			paused, err := pause.Read(c.Context(), t.Objects, t.Prefix)
			if err != nil {
				return locale.Errorf("reading what is paused: %w", err)
			}
			answer := compared(user, t, sides, letters, paused.Relay)
			answer.Next = f.stack.onStack(c, answer.Next)
			return f.print(c, answer, answer.write)
		},
	}
	f.add(c)
	f.addMapping(c)
	c.Flags().Int64Var(&user, "user", 0, "SuperSaaS id of the user")
	letters.add(c)
	return c
}

func compared(user int64, t *tenant.Tenant, s admin.Sides, letters []queue.Message, paused *pause.Pause) comparison {
	p := s.Preview
	answer := comparison{
		User: user, Member: p.Member, UniqueID: p.UniqueID, Gone: p.Gone, Arrived: p.Outcome == outcome.Unchanged && len(p.Unread) == 0 && !p.Gone,
		Now: told[string]{string(p.Outcome), p.Outcome.Sentence()}, Also: []string{}, Mapping: t.Mapping.Digest(), Mode: t.Settings.Mode,
		Fields: s.Fields, Shop: s.User, App: s.Member,
	}
	h := hindrances{user: user, class: p.Outcome, paused: paused, observes: t.Settings.Mode != tenant.Write, letters: letters, unread: p.Unread}
	answer.also, answer.Next = h.sentences(), h.next()
	for _, also := range answer.also {
		answer.Also = append(answer.Also, also.String())
	}
	return answer
}

func (a comparison) write(out io.Writer) error {
	say(out, "%s: %s.", a.Now.Entry, locale.T(a.Now.Says))
	for _, also := range a.also {
		say(out, "%s.", also)
	}
	if a.Next != "" {
		say(out, "Next: %s", a.Next)
	}
	say(out, "unique_id %s, member %s, mapping %s\n", visible(dash(a.UniqueID)), visible(dash(a.Member)), a.Mapping[:min(12, len(a.Mapping))])
	if err := writeSides(out, a.Fields); err != nil {
		return err
	}
	l := languageOf(out)
	for _, side := range []struct {
		name   string
		title  string
		fields map[string]string
	}{{"SUPERSAAS", l.Sprintf("USER %d", a.User), a.Shop}, {"YAPPLI", l.Sprintf("MEMBER %s", visible(dash(a.Member))), a.App}} {
		rows := make([][]string, 0, len(side.fields))
		for _, name := range slices.Sorted(maps.Keys(side.fields)) {
			rows = append(rows, []string{name, side.fields[name]})
		}
		say(out, "")
		if err := writeTable(out, []string{side.name, side.title}, rows); err != nil {
			return err
		}
	}
	return nil
}

// writeSides writes the fields that are mapped as a table.
func writeSides(out io.Writer, fields []admin.FieldSide) error {
	l, cells := languageOf(out), make([][]string, 0, len(fields))
	for _, s := range fields {
		mark := "-"
		switch {
		case s.Changes:
			mark = "changes"
		case s.Why != "":
			mark = s.Why
		case s.Differs:
			mark = "differs"
		}
		cells = append(cells, []string{s.Field, s.Source, quoted(s.Makes), quoted(s.Holds), l.Text(mark)})
	}
	return writeTable(out, []string{"FIELD", "MADE OF", "MAKES", "YAPPLI HOLDS", "CHANGE"}, cells)
}

// quoted shows a value so that an empty one is seen; a dash is none.
func quoted(text *string) string {
	if text == nil {
		return "-"
	}
	return fmt.Sprintf("%q", *text)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// hindrances are what keeps a user from arriving in Yappli, beside what the relay would do.
type hindrances struct {
	user     int64
	class    outcome.Class
	paused   *pause.Pause // of the relay; nil: it is not paused
	observes bool
	letters  []queue.Message
	unread   []string
}

func (h hindrances) sentences() []locale.Message {
	list := []locale.Message{}
	if h.paused != nil {
		list = append(list, locale.M("the relay is paused until %s: %s", h.paused.Until.UTC().Format(time.RFC3339), visible(h.paused.Reason)))
	}
	if h.observes {
		list = append(list, locale.M("the relay only observes, and writes nothing: RelayMode is not write"))
	}
	for _, l := range h.letters {
		list = append(list, locale.M("a message of this user was given up: %s", locale.T(outcome.Class(l.Class).Sentence())))
	}
	if len(h.unread) > 0 {
		list = append(list, locale.M("these fields cannot be read, are not sent, and stay as they are in Yappli: %s", strings.Join(h.unread, " ")))
	}
	return list
}

// sendsUser lets the relay do at once what the next comparison of both lists would.
const sendsUser = "hikyaku trigger user-changed --user ID"

// helps says which command helps where a user has stopped. Where none is named, a person
// has to change something in SuperSaaS or Yappli first, or there is nothing to do.
var helps = map[outcome.Class]string{
	outcome.AwaitingApproval:  "hikyaku links show --user ID",
	outcome.LinkRejected:      "hikyaku links approve --user ID",
	outcome.WouldLink:         sendsUser,
	outcome.WouldCreate:       sendsUser,
	outcome.WouldUpdate:       sendsUser,
	outcome.WouldDisable:      sendsUser,
	outcome.AwaitingList:      "hikyaku reconcile",
	outcome.Unresolved:        "hikyaku reconcile",
	outcome.MemberMissing:     "hikyaku reconcile",
	outcome.NoIdentity:        "hikyaku users get supersaas ID",
	outcome.DuplicateIdentity: "hikyaku users get supersaas ID",
	outcome.InFlight:          "hikyaku history --user ID",
	outcome.Contended:         "hikyaku history --user ID",
	outcome.Unconverging:      "hikyaku history --user ID",
	outcome.DisablingStopped:  "hikyaku relay release",
	outcome.UpdateRuleUnknown: "hikyaku mapping check FILE --user ID --write",
	outcome.UnreadableAnswer:  "hikyaku mapping show",
	outcome.Refused:           "hikyaku mapping show",
	outcome.Credential:        "hikyaku tokens",
	outcome.ProviderResting:   "hikyaku doctor",
	outcome.RateLimited:       "hikyaku doctor",
	outcome.Temporary:         "hikyaku doctor",
	outcome.BadAnswer:         "hikyaku doctor",
	outcome.Store:             "hikyaku doctor",
}

// next is the command that helps.
func (h hindrances) next() string {
	sends := helps[h.class] == sendsUser // the relay has something to do
	command := helps[h.class]
	switch {
	case h.class == outcome.Unchanged && len(h.unread) > 0:
		command = "hikyaku users get supersaas ID"
	case h.paused != nil && sends:
		command = "hikyaku resume relay"
	case h.observes && sends:
		command = "hikyaku doctor"
	case len(h.letters) > 0 && (sends || command == ""):
		command = "hikyaku redrive --user ID"
	}
	return strings.ReplaceAll(command, "ID", fmt.Sprint(h.user))
}
