package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hikyaku/internal/boot"
	"hikyaku/internal/boot/bootcli"
	"hikyaku/internal/boot/bootrelay"
	"hikyaku/internal/webhookrelay/operate"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
)

// hookFlags say which account and which address.
type hookFlags struct {
	stack  stackFlags
	url    string
	asJSON bool
}

func (f *hookFlags) add(c *cobra.Command) {
	f.stack.add(c)
	c.Flags().StringVar(&f.url, "url", "", "where the relay takes webhooks, without the secret (default: HIKYAKU_WEBHOOK_URL)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
}

// open opens the stack's account. Only list works without an address.
func (f *hookFlags) open(c *cobra.Command, needsURL bool) (*boot.Base, operate.Hooks, error) {
	none := operate.Hooks{}
	e, err := bootcli.Environ(c.Context(), f.stack.prefix, f.stack.bucket)
	if err != nil {
		return nil, none, err
	}
	address := cmp.Or(f.url, e.Vars["HIKYAKU_WEBHOOK_URL"])
	if parsed, err := url.Parse(address); address != "" && (err != nil || parsed.Host == "" || parsed.RawQuery != "") {
		return nil, none, &usageError{errors.New("--url: expected an address such as https://.../webhook/, without a query")}
	}
	switch {
	case address == "" && needsURL:
		return nil, none, &usageError{errors.New("--url URL is missing, and HIKYAKU_WEBHOOK_URL is not set: it is the output WebhookUrl of the stack")}
	case address != "" && !strings.HasSuffix(address, "/"):
		address += "/"
	}
	base, err := bootcli.Open(e)
	if err != nil {
		return nil, none, err
	}
	return base, operate.Hooks{Client: supersaas.New(base.Tokens(providers.SuperSaaS), base.Options()), URL: address}, nil
}

func newHooks() *cobra.Command {
	c := &cobra.Command{
		Use:   "hooks",
		Short: "List and manage the webhook by which SuperSaaS tells the relay of changed users",
		Long: "SuperSaaS must send changes of users (trigger M) to the relay's address, exactly once. Webhooks of other\n" +
			"triggers, and those that point elsewhere, are listed and never touched.",
		Example: "  hikyaku hooks list\n  hikyaku hooks register --url https://api.example/webhook/",
		Args:    noCommand,
		RunE:    showHelp,
	}
	c.AddCommand(newHooksList(), newHooksRegister(), newHooksRemove())
	return c
}

// A hookRow is a webhook without what could hold a secret.
type hookRow struct {
	ID      int64  `json:"id"`
	Trigger string `json:"trigger"`
	Host    string `json:"host"`
	Ours    bool   `json:"ours"` // for changed users, and points at the relay
}

func newHooksList() *cobra.Command {
	var f hookFlags
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the account's webhooks, and mark the relay's",
		Long:    "Shows of each address only the host, because the rest may be a secret. Changes nothing.",
		Example: "  hikyaku hooks list --url https://api.example/webhook/\n  hikyaku hooks list --json",
		Args:    noCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			_, hooks, err := f.open(c, false)
			if err != nil {
				return err
			}
			list, err := hooks.Client.Hooks(c.Context())
			if err != nil {
				return fmt.Errorf("listing the account's webhooks: %w", err)
			}
			rows := make([]hookRow, len(list))
			for i, h := range list {
				rows[i] = hookRow{ID: h.ID, Trigger: string(h.Trigger), Host: "?", Ours: hooks.Ours(h)}
				if target, err := url.Parse(h.Target.Reveal()); err == nil && target.Host != "" {
					rows[i].Host = target.Host
				}
			}
			if f.asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(map[string][]hookRow{"hooks": rows})
			}
			return writeHooks(c.OutOrStdout(), rows)
		},
	}
	f.add(c)
	return c
}

func writeHooks(out io.Writer, rows []hookRow) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tTRIGGER\tHOST\tOURS")
	for _, r := range rows {
		ours := "-"
		if r.Ours {
			ours = "yes"
		}
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", r.ID, r.Trigger, r.Host, ours)
	}
	return table.Flush()
}

func newHooksRegister() *cobra.Command {
	var f hookFlags
	c := &cobra.Command{
		Use:   "register",
		Short: "Make exactly one webhook for changed users point at the relay",
		Long: "Reads the stack's inbound secret and registers the address with it. One that is right already stays; one\n" +
			"with an older secret, and duplicates, are removed after the new one is there. The secret must consist of\n" +
			"letters, digits and . _ ~ - alone, as 'openssl rand -hex 32' prints it: an address would change others.",
		Example: "  hikyaku hooks register --url https://api.example/webhook/",
		Args:    noCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			base, hooks, err := f.open(c, true)
			if err != nil {
				return err
			}
			secret, err := bootrelay.InboundSecret(c.Context(), base)
			if err != nil {
				return err
			}
			done, err := hooks.Register(c.Context(), secret)
			if err != nil {
				return err
			}
			created := "The webhook was registered already"
			if done.Created {
				created = "The webhook is registered"
			}
			return (&relayFlags{asJSON: f.asJSON}).say(c, done, "%s; %d old ones removed.\nInstances that run already may take up to five minutes to accept a new secret.", created, done.Removed)
		},
	}
	f.add(c)
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
		Args:    noCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			_, hooks, err := f.open(c, true)
			if err != nil {
				return err
			}
			removed, err := hooks.Remove(c.Context())
			if err != nil {
				return err
			}
			return (&relayFlags{asJSON: f.asJSON}).say(c, map[string]int{"removed": removed}, "%d webhooks removed.", removed)
		},
	}
	f.add(c)
	return c
}
