package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hikyaku/internal/boot"
	"hikyaku/internal/boot/bootcli"
	"hikyaku/internal/boot/bootrefresh"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
)

func newConnect() *cobra.Command {
	var prefix string
	var unchecked, asJSON bool
	c := &cobra.Command{
		Use:   "connect PROVIDER | webhook",
		Short: "Ask for what a provider needs, check it, and store it as its connection",
		Long: "Asks for the provider's credentials on the terminal, tries them with a call that changes nothing, and\n" +
			"writes {prefix}/{provider}/connection in Secrets Manager. Without a terminal the connection's JSON\n" +
			"document is read from standard input. Secrets are never taken from the command line, where other\n" +
			"users of the machine could read them.\n\n" +
			"'hikyaku connect webhook' makes the secret that ends the relay's address, of 43 random characters, and\n" +
			"stores it as {prefix}/supersaas/webhook. Run again, it rotates the secret: the one before stays valid\n" +
			"until the next time, so run 'hikyaku hooks register' in between. One of your own, {\"current\":\"...\"}, is\n" +
			"read from standard input; it needs 32 characters that an address does not change.",
		Example: "  hikyaku connect yappli\n  hikyaku connect supersaas --prefix hikyaku < connection.json\n" +
			"  hikyaku connect webhook",
		ValidArgs: append(providers.Names(), webhooksecret.Part),
		Args:      cobra.MatchAll(cobra.ExactArgs(1), known),
		RunE: func(c *cobra.Command, a []string) error {
			e, err := bootcli.Environ(c.Context(), prefix, "")
			if err != nil {
				return err
			}
			if e.Vars["HIKYAKU_BUCKET"] == "" {
				e.Vars["HIKYAKU_BUCKET"] = "not-used-by-connect"
			}
			base, err := bootcli.Open(e)
			if err != nil {
				return err
			}
			if a[0] == webhooksecret.Part {
				return connectWebhook(c, base, asJSON)
			}
			connection, err := readConnection(c.InOrStdin(), c.ErrOrStderr(), a[0])
			if err != nil {
				return err
			}
			checked := "not checked"
			if !unchecked {
				if checked, err = checkConnection(c.Context(), base, connection); err != nil {
					return fmt.Errorf("checking the connection: %w; nothing was stored. Correct the values, or store them with --unchecked", err)
				}
			}
			version, err := storeConnection(c.Context(), base, connection)
			if err != nil {
				return err
			}
			name := secretstore.Name(base.Common.Prefix, connection.Provider, secretstore.ConnectionPart)
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(map[string]string{"secret": name, "version": version, "check": checked})
			}
			next := "The next run of tokenrefresh, within 5 minutes, makes its token."
			if (connection.Kind == providers.OneTimePair || connection.Kind == providers.OneTimeCode) && connection.Code.Empty() {
				next = "Next: hikyaku authorize " + connection.Provider
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "Stored %s (%s). %s\n", name, checked, next)
			return err
		},
	}
	c.Flags().StringVar(&prefix, "prefix", "", "prefix of the stack's secrets (default: HIKYAKU_PREFIX)")
	c.Flags().BoolVar(&unchecked, "unchecked", false, "store without trying the credentials")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// readConnection asks on a terminal, or reads a document.
func readConnection(in io.Reader, prompt io.Writer, provider string) (providers.Connection, error) {
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return askConnection(file, prompt, provider)
	}
	document, err := readAll(in)
	if err != nil {
		return providers.Connection{}, err
	}
	connection, err := providers.ParseConnection(document)
	if err != nil {
		return connection, err
	}
	if connection.Provider != provider {
		return connection, &usageError{fmt.Errorf("the document is a connection of %q, not of %q", connection.Provider, provider)}
	}
	return connection, nil
}

// largestInput bounds what a command reads from a person's pipe or file.
const largestInput = 16 << 20

func readAll(in io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(in, largestInput)) }

// A question asks for one value of a connection.
type question struct {
	text   string
	secret bool
	set    func(*providers.Connection, string) error
}

func text(label string, field func(*providers.Connection) *string) question {
	return question{text: label, set: func(c *providers.Connection, v string) error {
		*field(c) = v
		return nil
	}}
}

func secret(label string, set func(*providers.Connection, providers.Secret)) question {
	return question{text: label, secret: true, set: func(c *providers.Connection, v string) error {
		set(c, providers.NewSecret(v))
		return nil
	}}
}

var (
	askBase     = text("API base URL (https://...)", func(c *providers.Connection) *string { return &c.BaseURL })
	askClient   = text("Client ID", func(c *providers.Connection) *string { return &c.ClientID })
	askRedirect = text("Redirect URL, as registered", func(c *providers.Connection) *string { return &c.RedirectURI })
	askSecret   = secret("Client secret", func(c *providers.Connection, s providers.Secret) { c.ClientSecrets = []providers.Secret{s} })
	askKey      = secret("API key or token", func(c *providers.Connection, s providers.Secret) { c.APIKey = s })
	askCode     = secret("Authorization code (empty: authorize later)", func(c *providers.Connection, s providers.Secret) { c.Code = s })
	askEnd      = question{text: "End of the token's life, with offset, such as 2027-03-31T23:59:59+09:00 (empty: none set)",
		set: func(c *providers.Connection, v string) (err error) {
			if v != "" {
				c.ExpiresAt, err = time.Parse(time.RFC3339, v)
			}
			return err
		}}
)

// questions returns what a provider needs, and the kind of its credential.
func questions(provider string, app bool) ([]question, providers.Kind) {
	switch provider {
	case providers.AssistTencho:
		order := text("Number of an order that the probe may ask for", func(c *providers.Connection) *string { return &c.ProbeOrder })
		return []question{askBase, askClient, askSecret, askRedirect, order, askCode}, providers.OneTimeCode
	case providers.Yappli:
		return []question{askBase, askClient, askSecret}, providers.ClientCredentials
	case providers.SHOPLINE:
		shop := text("Merchant handle or ID that the token must belong to", func(c *providers.Connection) *string { return &c.Account })
		if app {
			return []question{askBase, shop, askClient, askSecret, askRedirect, askCode}, providers.OneTimePair
		}
		return []question{askBase, shop, askKey, askEnd}, providers.Static
	case providers.ActiBook:
		return []question{
			text("Token endpoint (full URL)", func(c *providers.Connection) *string { return &c.TokenURL }),
			text("Proxy login endpoint (full URL)", func(c *providers.Connection) *string { return &c.LoginURL }),
			askClient, askSecret,
			text("Test keyword for the probe (empty: no probe; a probe creates a site user)", func(c *providers.Connection) *string { return &c.ProbeKeyword }),
		}, providers.ClientCredentials
	}
	return []question{askBase, text("Account name", func(c *providers.Connection) *string { return &c.Account }), askKey}, providers.Static
}

// askConnection asks on a terminal; secrets are not echoed.
func askConnection(in *os.File, prompt io.Writer, provider string) (providers.Connection, error) {
	lines := bufio.NewReader(in)
	ask := func(q question) (string, error) {
		_, _ = fmt.Fprintf(prompt, "%s: ", q.text)
		if q.secret {
			value, err := term.ReadPassword(int(in.Fd()))
			_, _ = fmt.Fprintln(prompt)
			return strings.TrimSpace(string(value)), err
		}
		value, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) && value != "" {
			err = nil
		}
		return strings.TrimSpace(value), err
	}
	app := false
	if provider == providers.SHOPLINE {
		answer, err := ask(question{text: "Is it a Developer Center app (yes), or a staff API Auth token (no)"})
		if err != nil {
			return providers.Connection{}, err
		}
		app = strings.HasPrefix(strings.ToLower(answer), "y")
	}
	list, kind := questions(provider, app)
	c := providers.Connection{Provider: provider, Kind: kind}
	for _, q := range list {
		value, err := ask(q)
		if err != nil {
			return c, err
		}
		if err := q.set(&c, value); err != nil {
			return c, fmt.Errorf("%s: %w", q.text, err)
		}
	}
	return c, nil
}

// checkConnection tries the credentials without spending anything.
func checkConnection(ctx context.Context, base *boot.Base, c providers.Connection) (string, error) {
	authority := bootrefresh.Authorities(base.Options())[c.Provider]
	token := providers.Token{
		Provider: c.Provider, Kind: c.Kind, BaseURL: c.BaseURL, LoginURL: c.LoginURL, Account: c.Account,
		Credential: c.APIKey, ObtainedAt: base.Now(), ExpiresAt: c.ExpiresAt, Quirks: c.Quirks,
	}
	switch c.Kind {
	case providers.ClientCredentials:
		if len(c.ClientSecrets) == 0 {
			return "", errors.New("the connection has no client secret")
		}
		grant, err := authority.Obtain(ctx, c, c.ClientSecrets[0], providers.Secret{}, false)
		if err != nil {
			return "", err
		}
		token.Credential, token.ExpiresAt = grant.Access, grant.ExpiresAt
	case providers.Static:
		if c.APIKey.Empty() {
			return "", errors.New("the connection has no API key or token")
		}
	default:
		return "not checked: that would spend the authorization code", nil
	}
	if err := authority.Probe(ctx, c, token); err != nil {
		return "", err
	}
	return "checked: the provider accepts it", nil
}

// storeConnection writes the document as the current version.
func storeConnection(ctx context.Context, base *boot.Base, c providers.Connection) (version string, err error) {
	return storeSecret(ctx, base, secretstore.Name(base.Common.Prefix, c.Provider, secretstore.ConnectionPart), c.Document())
}

// storeSecret makes a secret, or adds a version that becomes the current one.
func storeSecret(ctx context.Context, base *boot.Base, name string, document []byte) (version string, err error) {
	version = uuid.NewString()
	err = base.Secrets.Create(ctx, name, version, document)
	if errors.Is(err, secretstore.ErrExists) {
		err = base.Secrets.Put(ctx, name, version, document, secretstore.Current)
	}
	if err != nil {
		return "", fmt.Errorf("storing %s: %w", name, err)
	}
	return version, nil
}

// connectWebhook makes the webhook's secret, or takes one from standard input,
// and stores it. It shows nothing of it.
func connectWebhook(c *cobra.Command, base *boot.Base, asJSON bool) error {
	secret, made, err := webhookSecret(c.InOrStdin())
	if err != nil {
		return err
	}
	name := webhooksecret.Name(base.Common.Prefix)
	document, err := json.Marshal(secret)
	if err != nil {
		return err
	}
	version, err := storeSecret(c.Context(), base, name, document)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]string{"secret": name, "version": version, "check": made})
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "Stored %s (%s). Every instance accepts it within 5 minutes; the one before stays valid until this command runs again.\n"+
		"Next, and if it replaced another one after these 5 minutes: hikyaku hooks register --url URL (the output WebhookUrl)\n", name, made)
	return err
}

// webhookSecret reads a document, and makes one where there is none.
func webhookSecret(in io.Reader) (d webhooksecret.Document, made string, err error) {
	var document []byte
	if file, ok := in.(*os.File); !ok || !term.IsTerminal(int(file.Fd())) {
		if document, err = readAll(in); err != nil {
			return d, "", err
		}
	}
	if len(bytes.TrimSpace(document)) == 0 {
		random := make([]byte, 32)
		_, _ = rand.Read(random) // never fails
		return webhooksecret.Document{Current: base64.RawURLEncoding.EncodeToString(random)}, "made of 43 random characters", nil
	}
	fields := json.NewDecoder(bytes.NewReader(document))
	fields.DisallowUnknownFields()
	if err := fields.Decode(&d); err != nil || fields.More() { // the decoder's words could repeat the secret
		return d, "", &usageError{errors.New("standard input: expected one object {\"current\":\"...\"}, and \"previous\" where an older one is to stay valid; nothing was stored")}
	}
	err = webhooksecret.Check(d.Current)
	if d.Previous != "" {
		err = errors.Join(err, webhooksecret.Check(d.Previous))
	}
	if err != nil {
		return d, "", fmt.Errorf("%w; nothing was stored", err)
	}
	return d, "taken from standard input", nil
}
