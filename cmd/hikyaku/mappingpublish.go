package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os/user"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/published"
	"hikyaku/internal/webhookrelay/tenant"
)

// A publication is a mapping on its way to the stack's bucket.
type publication struct {
	relayFlags

	why string
	yes bool
}

func (p *publication) add(c *cobra.Command) {
	p.relayFlags.add(c)
	c.Flags().StringVar(&p.why, "reason", "", "why, kept in 'mapping log'")
	alias(c, "why", "reason")
	c.Flags().BoolVar(&p.yes, "yes", false, "do not ask")
}

// publishedAnswer is what 'mapping put' and 'mapping undo' answer.
type publishedAnswer struct {
	Digest string               `json:"digest"`
	Change *admin.MappingChange `json:"change,omitempty"` // nil: the mapping counted already
}

// A publishPlan is what happens once a person agrees.
type publishPlan struct {
	store  published.Store
	log    published.Log
	tenant *tenant.Tenant
	change admin.MappingChange
}

// prepare compares what a mapping makes of the shop's users with what the one
// that counts makes of them.
func (p *publication) prepare(c *cobra.Command, name string, source func(published.Store, published.Log) ([]byte, error)) (publishPlan, *mapping.Mapping, error) {
	function, err := p.open(c, relayfn.Reconcile, localstack.Reconcile)
	if err != nil {
		return publishPlan{}, nil, err
	}
	plan := publishPlan{store: function.Published()}
	if plan.log, err = plan.store.Log(c.Context()); err != nil {
		return plan, nil, err
	}
	raw, err := source(plan.store, plan.log)
	if err != nil {
		return plan, nil, err
	}
	m, err := function.Parse(name, raw)
	if err != nil {
		return plan, nil, err
	}
	if lost, err := plan.store.Lost(c.Context(), plan.log); err != nil {
		return plan, nil, err
	} else if lost {
		say(c.ErrOrStderr(), "The document that names the published mapping is gone; this makes it again.")
	}
	current, ok := plan.log.Current()
	if ok && current.Digest == m.Digest() {
		if _, err := plan.store.Source(c.Context(), current.Digest); err == nil {
			return plan, m, nil
		} // else no instance that starts can read it: it is to be published again
	}
	var old *mapping.Mapping
	if ok {
		if old, err = p.current(c, function, plan.store, current); err != nil {
			return plan, nil, err
		}
	}
	function.Try(m)
	if plan.tenant, err = function.Tenant(c.Context()); err != nil {
		return plan, nil, err
	}
	line, told := countingUsers(c)
	defer line.clear()
	plan.change, err = admin.CompareMappings(c.Context(), plan.tenant, old, told)
	return plan, m, err
}

// current reads the mapping that counts. One that cannot be read hinders nobody
// from publishing another.
func (p *publication) current(c *cobra.Command, function *relayfn.Function, store published.Store, e published.Entry) (*mapping.Mapping, error) {
	source, err := store.Source(c.Context(), e.Digest)
	if err == nil {
		var m *mapping.Mapping
		if m, err = function.Parse("published mapping "+e.Short(), source); err == nil {
			return m, nil
		}
	}
	if c.Context().Err() != nil {
		return nil, err
	}
	say(c.ErrOrStderr(), "The published mapping %s cannot be compared with: %v", e.Short(), err)
	return nil, nil
}

// agreed shows what would change, and asks.
func (p *publication) agreed(c *cobra.Command, plan publishPlan, what locale.Message) error {
	if p.yes {
		return nil
	}
	out := c.ErrOrStderr()
	if err := describe(out, plan); err != nil {
		return err
	}
	say(out, "%s The relay works by it within a minute; the next reconcile sends the users that differ.", what)
	return confirm(c, "nothing was published")
}

// describe says of how many users a mapping makes something else, field by field.
func describe(out io.Writer, plan publishPlan) error {
	ch := plan.change
	if _, ok := plan.log.Current(); ok {
		say(out, "Of %s the mapping makes something else than the one that counts for %d.", count(ch.Users, "user"), ch.Changed)
	} else {
		say(out, "No mapping was published yet, so there is none to compare with. It makes something of %d of %s.", ch.Changed, count(ch.Users, "user"))
	}
	return writeChangedFields(out, ch)
}

// writeChangedFields writes a table of how many users' fields change.
func writeChangedFields(out io.Writer, ch admin.MappingChange) error {
	l := languageOf(out)
	rows := make([][]string, 0, len(ch.Fields))
	for _, name := range slices.Sorted(maps.Keys(ch.Fields)) {
		f := ch.Fields[name]
		note := ""
		switch {
		case f.Dropped:
			note = l.Text("no longer written: what Yappli holds stays")
		case f.WasUnreadable != f.Unreadable:
			note = l.Sprintf("unreadable before: %d", f.WasUnreadable)
		}
		rows = append(rows, []string{visible(name), fmt.Sprint(f.Changed), fmt.Sprint(f.Unreadable), note})
	}
	return writeTable(out, []string{"FIELD", "USERS", "UNREADABLE", "NOTE"}, rows)
}

// publish lets a mapping count, and asks for a reconcile before: were it asked for
// afterwards, a command that died between the two would leave the members as they are.
// Only one that begins once no instance works by the former mapping answers it.
func (p *publication) publish(c *cobra.Command, plan publishPlan, change func() (published.Entry, error), sentence string) error {
	if err := plan.tenant.State.Wanted.AskAfter(c.Context(), p.stack.now().Add(published.Settled)); err != nil {
		return locale.Errorf("asking for a reconcile, without which nothing is published: %w", err)
	}
	e, err := change()
	if err != nil {
		return locale.Errorf("publishing the mapping: %w", err)
	}
	return p.say(c, publishedAnswer{e.Digest, &plan.change}, "%s %s counts now. The relay works by it within a minute; a reconcile is asked for, and its schedule starts it.", locale.T(sentence), e.Short())
}

func (p *publication) entry() published.Entry {
	e := published.Entry{At: p.stack.now().UTC().Truncate(time.Second), Why: p.why}
	if u, err := user.Current(); err == nil {
		e.By = u.Username
	}
	return e
}

func newMappingPut() *cobra.Command {
	var p publication
	c := &cobra.Command{
		Use:   "put FILE",
		Short: "Publish a mapping: the relay works by it within a minute, without a deployment",
		Long: "Checks the mapping, reads the shop's users, and says of how many it makes something else than the one\n" +
			"that counts, field by field. Once you agree, it stores the file in the stack's bucket under its digest,\n" +
			"lets it count, and asks for a reconcile, which sends the users that differ to the relay. A job under way that\n" +
			"began by the former mapping writes nothing and begins again. 'mapping log' tells who published what,\n" +
			"'mapping undo' takes it back. Once one is published, the mapping that was deployed counts no more. For FILE,\n" +
			"- is standard input.\n\n" + ownSettings,
		Example: "  hikyaku mapping put mapping.yaml --stack hikyaku --reason 'new membership card'",
		Args:    one,
		RunE: func(c *cobra.Command, a []string) error {
			source, err := readMapping(c, a[0])
			if err != nil {
				return err
			}
			plan, m, err := p.prepare(c, a[0], func(published.Store, published.Log) ([]byte, error) { return source, nil })
			if err != nil {
				return err
			}
			if plan.tenant == nil {
				return p.say(c, publishedAnswer{Digest: m.Digest()}, "This mapping counts already; nothing was changed.")
			}
			if err := p.agreed(c, plan, locale.M("This publishes %s.", visible(a[0]))); err != nil {
				return err
			}
			return p.publish(c, plan, func() (published.Entry, error) {
				e := p.entry()
				e.Digest = m.Digest()
				return e, plan.store.Put(c.Context(), plan.log, source, e)
			}, "Mapping")
		},
	}
	p.add(c)
	return c
}

func newMappingUndo() *cobra.Command {
	var p publication
	c := &cobra.Command{
		Use:   "undo",
		Short: "Let the mapping count again that counted before",
		Long: "Takes the last 'mapping put' back, as 'mapping put' of the one before it would: it says what changes, asks,\n" +
			"and asks for a reconcile. A column that only the mapping taken back wrote keeps what it was filled with:\n" +
			"the relay knows no older value. Run again, it goes back one more.\n\n" + ownSettings,
		Example: "  hikyaku mapping undo --stack hikyaku --reason 'wrong column'",
		RunE: func(c *cobra.Command, _ []string) error {
			plan, m, err := p.prepare(c, "the mapping before", func(store published.Store, log published.Log) ([]byte, error) {
				before, ok := log.Before()
				if !ok {
					return nil, published.ErrNothingBefore
				}
				return store.Source(c.Context(), before.Digest)
			})
			if err != nil {
				return err
			}
			if plan.tenant == nil {
				return p.say(c, publishedAnswer{Digest: m.Digest()}, "This mapping counts already; nothing was changed.")
			}
			if err := p.agreed(c, plan, locale.M("This takes the last mapping back, to %s.", m.ShortDigest())); err != nil {
				return err
			}
			return p.publish(c, plan, func() (published.Entry, error) {
				return plan.store.Undo(c.Context(), plan.log, p.entry())
			}, "Taken back: mapping")
		},
	}
	p.add(c)
	return c
}

func newMappingLog() *cobra.Command {
	var f stackFlags
	var o output
	var show string
	c := &cobra.Command{
		Use:   "log",
		Short: "List who published which mapping, and when",
		Long: "Prints what was published, the oldest first; the last line is the mapping that counts. With --show it\n" +
			"prints the file of one of them instead. Times are UTC.",
		Example: "  hikyaku mapping log --prefix hikyaku --bucket my-bucket\n  hikyaku mapping log --show 3f0c5b1a9d22 > mapping.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			_, base, err := f.open(c)
			if err != nil {
				return err
			}
			store := published.Store{Objects: base.Objects, Prefix: base.Common.Prefix}
			log, err := store.Log(c.Context())
			switch {
			case err != nil:
				return err
			case show != "":
				return printPublished(c, store, log, show)
			case o.asJSON:
				return o.print(c, map[string]any{"entries": append([]published.Entry{}, log.Entries...)}, nil)
			case len(log.Entries) == 0:
				if lost, err := store.Lost(c.Context(), log); err != nil || lost {
					return cmp.Or(err, published.ErrLost)
				}
				say(c.OutOrStdout(), "No mapping was published under %s: the one that was deployed counts.", visible(base.Common.Prefix))
				return nil
			}
			rows := make([][]string, 0, len(log.Entries))
			for _, e := range log.Entries {
				how := "put"
				if e.Undo {
					how = "undo"
				}
				rows = append(rows, []string{e.At.UTC().Format(time.RFC3339), e.Short(), how, visible(cmp.Or(e.By, "-")), visible(cmp.Or(e.Why, "-"))})
			}
			return writeTable(c.OutOrStdout(), []string{"WHEN", "MAPPING", "HOW", "BY", "WHY"}, rows)
		},
	}
	f.add(c)
	o.add(c)
	c.Flags().StringVar(&show, "show", "", "digest, or its first characters, of a mapping to print")
	return c
}

func printPublished(c *cobra.Command, store published.Store, log published.Log, digest string) error {
	e, err := publishedAs(log, digest)
	if err != nil {
		return err
	}
	source, err := store.Source(c.Context(), e.Digest)
	if err != nil {
		return err
	}
	_, err = c.OutOrStdout().Write(source)
	return err
}
