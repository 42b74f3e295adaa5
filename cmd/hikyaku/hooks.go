package main

import (
	"cmp"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
)

// hookFlags say which account and which address.
type hookFlags struct {
	output

	stack     stackFlags
	url, vars string
}

func (f *hookFlags) add(c *cobra.Command) {
	f.stack.add(c)
	c.Flags().StringVar(&f.url, "url", "", "where the relay takes webhooks, without the secret (default: HIKYAKU_WEBHOOK_URL)")
	c.Flags().StringVar(&f.vars, "env-vars", "", "file with the function's variables, as 'sam local invoke --env-vars' takes it: HIKYAKU_WEBHOOK_URL among them")
	f.output.add(c)
}

// A hookUse says what an address is for.
type hookUse int

const (
	toList     hookUse = iota // it may be missing
	toRemove                  // it may be a wrong one
	toRegister                // it must be right
)

const addressMissing = "--url URL is missing, and HIKYAKU_WEBHOOK_URL is not set: it is the output WebhookUrl of the stack"

// open opens the stack's account.
func (f *hookFlags) open(c *cobra.Command, use hookUse) (*lambdafn.Base, admin.Hooks, error) {
	none := admin.Hooks{}
	e, err := f.stack.environ(c, f.vars, localstack.Reconcile)
	if err != nil {
		return nil, none, err
	}
	stacks := asFolder(e.Vars["HIKYAKU_WEBHOOK_URL"])
	address := cmp.Or(asFolder(f.url), stacks)
	if err := checkAddress(address, use); err != nil {
		return nil, none, &usageError{err}
	}
	switch {
	case use != toRegister:
	case stacks == "":
		say(c.ErrOrStderr(), "The address could not be compared with the stack's: HIKYAKU_WEBHOOK_URL is not set. It has to be the output WebhookUrl.")
	case !strings.EqualFold(address, stacks):
		return nil, none, &usageError{locale.Errorf("--url: that is not the stack's address, which is %s: leave --url out, or correct HIKYAKU_WEBHOOK_URL", stacks)}
	default:
		address = stacks
	}
	base, err := clibase.Open(e)
	if err != nil {
		return nil, none, err
	}
	return base, admin.Hooks{Client: supersaas.New(base.Tokens(providers.SuperSaaS), base.Options()), URL: address}, nil
}

// asFolder ends an address, so that the secret can follow it.
func asFolder(address string) string {
	if address != "" && !strings.HasSuffix(address, "/") {
		address += "/"
	}
	return address
}

// checkAddress refuses an address that no secret can follow, and one to which
// none may be sent. It repeats nothing of it: what is wrong may be a password.
func checkAddress(address string, use hookUse) error {
	parsed, err := url.Parse(address)
	switch {
	case address == "" && use == toList:
		return nil
	case address == "":
		return locale.Errorf(addressMissing)
	case err != nil || parsed.Hostname() == "" || parsed.RawQuery != "" || parsed.Fragment != "":
		return locale.Errorf("--url or HIKYAKU_WEBHOOK_URL: expected an address such as https://.../webhook/, without a query")
	case use == toRegister && parsed.Scheme != "https":
		return locale.Errorf("--url or HIKYAKU_WEBHOOK_URL: only https is taken, since the address ends in a secret, which http would send in clear")
	case use == toRegister && parsed.User != nil:
		return locale.Errorf("--url or HIKYAKU_WEBHOOK_URL: expected an address without a name and password before the host")
	}
	return nil
}

func newHooks() *cobra.Command {
	c := &cobra.Command{
		Use:   "hooks",
		Short: "List and manage the webhook by which SuperSaaS tells the relay of changed users",
		Long: "SuperSaaS must send changes of users (trigger M) to the relay's address, exactly once. Webhooks of other\n" +
			"triggers, and those that point elsewhere, are listed and never touched.",
		Example: "  hikyaku hooks list\n  hikyaku hooks register --url https://api.example/webhook/",
	}
	c.AddCommand(newHooksList(), newHooksRegister(), newHooksRemove())
	return c
}

// A hookRow is a webhook without what could hold a secret.
type hookRow struct {
	ID      int64  `json:"id"`
	Trigger string `json:"trigger"`
	Host    string `json:"host"`
	Ours    *bool  `json:"ours"` // for changed users, and points at the relay; null: the relay's address is not known
}

func newHooksList() *cobra.Command {
	var f hookFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List the account's webhooks, and mark the relay's",
		Long: "Shows of each address only the host, because the rest may be a secret. Changes nothing. Which one is the\n" +
			"relay's can only be told by its address; without one OURS is ?.",
		Example: "  hikyaku hooks list --url https://api.example/webhook/\n  hikyaku hooks list --json",
		RunE: func(c *cobra.Command, _ []string) error {
			_, hooks, err := f.open(c, toList)
			if err != nil {
				return err
			}
			list, err := hooks.Client.Hooks(c.Context())
			if err != nil {
				return locale.Errorf("listing the account's webhooks: %w", err)
			}
			rows := make([]hookRow, len(list))
			for i, h := range list {
				rows[i] = hookRow{ID: h.ID, Trigger: string(h.Trigger), Host: "?"}
				if ours := hooks.Ours(h); hooks.URL != "" {
					rows[i].Ours = &ours
				}
				if target, err := url.Parse(h.Target.Reveal()); err == nil && target.Host != "" {
					rows[i].Host = target.Host
				}
			}
			if hooks.URL == "" && !f.asJSON {
				say(c.ErrOrStderr(), "Which of them is the relay's is not known: %s", addressMissing)
			}
			return f.print(c, map[string][]hookRow{"hooks": rows}, func(out io.Writer) error { return writeHooks(out, rows) })
		},
	}
	f.add(c)
	return c
}

func writeHooks(out io.Writer, rows []hookRow) error {
	cells := make([][]string, 0, len(rows))
	for _, r := range rows {
		ours := "?"
		if r.Ours != nil {
			ours = map[bool]string{true: "yes", false: "-"}[*r.Ours]
		}
		cells = append(cells, []string{strconv.FormatInt(r.ID, 10), visible(r.Trigger), visible(r.Host), ours})
	}
	return writeTable(out, []string{"ID", "TRIGGER", "HOST", "OURS"}, cells)
}

func newHooksRegister() *cobra.Command {
	var f hookFlags
	var only bool
	c := &cobra.Command{
		Use:   "register",
		Short: "Make exactly one webhook for changed users point at the relay",
		Long: "Reads the webhook's secret ('hikyaku connect webhook') and registers the address with it. One that is\n" +
			"right already stays; one with an older secret, and duplicates, are removed after the new one is there.\n" +
			"Only an address with https is taken, and where HIKYAKU_WEBHOOK_URL says the stack's, only that one.\n\n" +
			"Other webhooks that point at the same host, in another way, are named. --only removes those of them that\n" +
			"tell of changed users, so that each change comes once.",
		Example: "  hikyaku hooks register --url https://api.example/webhook/\n  hikyaku hooks register --stack hikyaku --only",
		RunE: func(c *cobra.Command, _ []string) error {
			base, hooks, err := f.open(c, toRegister)
			if err != nil {
				return err
			}
			name := webhooksecret.Name(base.Common.Prefix)
			secret, _, err := webhooksecret.Read(c.Context(), base.Secrets, name, secretstore.Current)
			if errors.Is(err, secretstore.ErrNotFound) {
				err = locale.Errorf("%w; make it with 'hikyaku connect webhook'", err)
			}
			if err == nil {
				err = webhooksecret.Check(secret.Current.Reveal())
			}
			if err != nil {
				return err
			}
			done, err := hooks.Register(c.Context(), secret.Current, only)
			if err != nil {
				return err
			}
			created := locale.T("The webhook was registered already")
			if done.Created {
				created = locale.T("The webhook is registered")
			}
			var others []locale.Message
			for _, o := range done.Others {
				more := locale.T("")
				if o.Trigger == string(supersaas.ChangedUser) {
					more = locale.T(" It tells of changed users as well: --only removes it.")
				}
				others = append(others, locale.M("\nWebhook %d (trigger %s) points at the same host too.%s", o.ID, visible(o.Trigger), more))
			}
			return f.say(c, done, "%s; %s removed.\nInstances that run already may take up to five minutes to accept a new secret.%s", created, count(done.Removed, "old one"), locale.Join(others, ""))
		},
	}
	f.add(c)
	c.Flags().BoolVar(&only, "only", false, "remove the other webhooks for changed users that point at the same host")
	return c
}

func newHooksRemove() *cobra.Command {
	var f hookFlags
	c := &cobra.Command{
		Use:   "remove",
		Short: "Remove the webhooks for changed users that point at the relay",
		Long: "From then on only the scheduled reconcile carries changes to Yappli. Webhooks of other triggers, and those\n" +
			"that point elsewhere, stay.",
		Example: "  hikyaku hooks remove --url https://api.example/webhook/",
		RunE: func(c *cobra.Command, _ []string) error {
			_, hooks, err := f.open(c, toRemove)
			if err != nil {
				return err
			}
			removed, err := hooks.Remove(c.Context())
			if err != nil {
				return err
			}
			return f.say(c, map[string]int{"removed": removed}, "%d webhooks removed.", removed)
		},
	}
	f.add(c)
	return c
}
