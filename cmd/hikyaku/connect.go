package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
)

func newConnect() *cobra.Command {
	var f stackFlags
	var unchecked, resetQuirks, onRemote, fields bool
	var o output
	c := &cobra.Command{
		Use:   "connect PROVIDER | webhook",
		Short: "Ask for what a provider needs, check it, and store it as its connection",
		Long: "Asks for the provider's credentials on the terminal, tries them with a call that changes nothing, and\n" +
			"writes {prefix}/{provider}/connection in Secrets Manager. Without a terminal the connection's JSON\n" +
			"document is read from standard input. Secrets are never taken from the command line, where other\n" +
			"users of the machine could read them.\n\n" +
			"Every doubtful value is named, all of them at once, and nothing is stored then; on a terminal only these\n" +
			"are asked again. Of a connection that exists, Enter keeps each value, what is not asked for stays, its\n" +
			"quirks among it (--reset-quirks drops them), and what changes is said before it is stored. Nothing is\n" +
			"stored where two stacks of the account and region have the same prefix.\n\n" +
			"--remote is for a provider that lets in the stack's address alone: the connection is stored as a candidate,\n" +
			"and the stack's function tries it from there. Only if the provider accepts it, it becomes the connection.\n\n" +
			"--fields says what a provider needs, with what is stored of it but its secrets, and asks nothing: the\n" +
			"fields of the document that is read from standard input.\n\n" +
			"'hikyaku connect webhook' makes the secret that ends the relay's address, of 43 random characters, and\n" +
			"stores it as {prefix}/supersaas/webhook. Run again, it rotates the secret: the one before stays valid\n" +
			"until the next time, so run 'hikyaku hooks register' in between. One of your own, {\"current\":\"...\"}, is\n" +
			"read from standard input; it needs 32 characters that an address does not change.",
		Example: "  hikyaku connect yappli\n  hikyaku connect supersaas --prefix hikyaku < connection.json\n" +
			"  hikyaku connect yappli --remote --stack hikyaku-shop\n  hikyaku connect webhook",
		ValidArgs: append(providers.Names(), webhooksecret.Part),
		Args:      oneKnown,
		RunE: func(c *cobra.Command, a []string) error {
			if err := checkConnect(f, a[0], onRemote, unchecked); err != nil {
				return err
			}
			e, err := f.environ(c, "", localstack.TokenRefresh)
			if err != nil {
				return err
			}
			if e.Vars["HIKYAKU_BUCKET"] == "" {
				e.Vars["HIKYAKU_BUCKET"] = "not-used-by-connect"
			}
			base, err := clibase.Open(e)
			if err != nil {
				return err
			}
			if fields {
				return (&newConnection{base: base, provider: a[0]}).fields(c, o)
			}
			if err := refuseShared(c, base); err != nil {
				return err
			}
			if a[0] == webhooksecret.Part {
				return connectWebhook(c, base, o, f.name(""))
			}
			n := &newConnection{base: base, provider: a[0], notes: c.ErrOrStderr(), resetQuirks: resetQuirks, unchecked: unchecked}
			if onRemote {
				n.remote = &remote{stack: f.found}
			}
			return n.connect(c, o)
		},
	}
	f.addAccount(c)
	remoteFlag(c.Flags(), &onRemote)
	c.Flags().BoolVar(&unchecked, "unchecked", false, "store without trying the credentials")
	c.Flags().BoolVar(&fields, "fields", false, "only say what the provider needs")
	c.Flags().BoolVar(&resetQuirks, "reset-quirks", false, "drop the quirks of the stored connection, which are kept otherwise")
	o.add(c)
	return c
}

// refuseShared refuses to store what two stacks would use. Who may not list the stacks is
// told that nobody has looked.
func refuseShared(c *cobra.Command, base *lambdafn.Base) error {
	prefix := base.Common.Prefix
	names, _, err := clibase.Sharing(c.Context(), base.AWS, prefix)
	switch {
	case err != nil:
		say(c.ErrOrStderr(), "Whether another stack has the prefix %s is not known: %s", visible(prefix), visible(clibase.Plain(err).Error()))
	case len(names) > 1:
		return locale.Errorf("the stacks %s of this account and region have the same prefix %s, so that each would use this secret: give one of them another Prefix", inWords(names), visible(prefix))
	}
	return nil
}

// checkConnect refuses flags that contradict each other.
func checkConnect(f stackFlags, what string, onRemote, unchecked bool) error {
	switch {
	case !onRemote:
		return nil
	case unchecked:
		return &usageError{locale.Errorf("--remote has the connection tried, and --unchecked leaves that out: give one of the two")}
	case what == webhooksecret.Part:
		return &usageError{locale.Errorf("--remote is for providers: no provider is asked about the webhook's secret")}
	}
	return f.ofRemote()
}

// tokenFollows says how soon a token follows its connection: see docs/token-protocol.md,
// Ticks.
const tokenFollows = "within 5 minutes"

func connectionName(base *lambdafn.Base, provider string) string {
	return secretstore.Name(base.Common.Prefix, provider, secretstore.ConnectionPart)
}

// readConnection reads a connection, and the version of the secret that holds it.
func readConnection(ctx context.Context, base *lambdafn.Base, provider string) (c providers.Connection, value secretstore.Value, err error) {
	name := connectionName(base, provider)
	if value, err = base.Secrets.Get(ctx, name, secretstore.Current); err == nil {
		c, err = providers.ParseConnection(value.Data)
	}
	if err != nil {
		err = locale.Errorf("reading %s: %w", name, err)
	}
	return c, value, err
}

// A newConnection is what a person connects.
type newConnection struct {
	base                   *lambdafn.Base
	provider               string
	notes                  io.Writer
	resetQuirks, unchecked bool

	remote  *remote               // tries it and stores it; nil: this command does
	before  string                // version of the connection that there is; empty: none
	version string                // under which the remote has stored the new one
	results []tokenrefresh.Result // of what the remote did then
}

// connect reads a connection, has it tried, and stores it.
func (n *newConnection) connect(c *cobra.Command, o output) error {
	connection, stored, checked, err := n.read(c)
	if err != nil {
		return err
	}
	name := connectionName(n.base, connection.Provider)
	if n.remote == nil {
		n.sayChanges(stored, connection)
		if n.version, err = storeSecret(c.Context(), n.base, name, connection.Document()); err != nil {
			return err
		}
	}
	next := locale.M("The next run of tokenrefresh, %s, makes its token.", locale.T(tokenFollows))
	switch oneTime := connection.Kind == providers.OneTimePair || connection.Kind == providers.OneTimeCode; {
	case len(n.results) > 0:
		next = locale.M("Its code was handed over: %s.", n.results[0].Outcome)
	case oneTime && connection.Code.Empty():
		next = locale.M("Next: hikyaku authorize %s", connection.Provider)
	}
	err = o.say(c, map[string]string{"secret": name, "version": n.version, "check": checked}, "Stored %s (%s). %s", name, locale.T(checked), next)
	return errors.Join(err, judge(tokenrefresh.Report{Results: n.results}))
}

func (n *newConnection) sayChanges(stored, connection providers.Connection) {
	for _, change := range changesOf(stored, connection) {
		say(n.notes, "%s", change)
	}
}

// read asks on a terminal, or reads a document, and tries what it got. stored is what
// the connection takes the place of.
func (n *newConnection) read(c *cobra.Command) (connection, stored providers.Connection, checked string, err error) {
	if file, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return n.ask(c.Context(), interview{terminal: tty{file, bufio.NewReader(file)}, prompt: c.ErrOrStderr(), now: n.base.Now})
	}
	document, err := readAll(c.InOrStdin())
	if err != nil {
		return connection, stored, "", err
	}
	if connection, err = parseDocument(document, n.provider, n.base.Now()); err != nil {
		return connection, stored, "", err
	}
	if stored, err = n.stored(c.Context()); err != nil {
		return connection, stored, "", err
	}
	if !providers.HasField(document, "quirks") && stored.Kind == connection.Kind {
		connection.Quirks = stored.Quirks
	}
	checked, err = n.check(c.Context(), stored, connection)
	return connection, stored, checked, n.refused(err)
}

// ask asks on a terminal; what seems to be wrong once it is tried is asked again.
func (n *newConnection) ask(ctx context.Context, i interview) (connection, stored providers.Connection, checked string, err error) {
	if stored, err = n.stored(ctx); err != nil {
		return connection, stored, "", err
	}
	if connection, err = i.ask(ctx, n.provider, stored); err != nil {
		return connection, stored, "", err
	}
	for range rounds {
		if checked, err = n.check(ctx, stored, connection); err == nil {
			return connection, stored, checked, nil
		}
		again := suspects(connection, err)
		if len(again) == 0 {
			break
		}
		say(i.prompt, "\n%v\n", err)
		var wrong error
		if connection, wrong = i.correct(ctx, connection, again); wrong != nil {
			return connection, stored, "", wrong
		}
	}
	return connection, stored, "", n.refused(err)
}

// stored is the connection that there is, with the quirks that are to be kept; the zero
// one if there is none, or none that can be read.
func (n *newConnection) stored(ctx context.Context) (providers.Connection, error) {
	stored, value, err := readConnection(ctx, n.base, n.provider)
	n.before = value.ID
	if errors.Is(err, secretstore.ErrNotFound) || errors.Is(err, providers.ErrNotFound) || errors.Is(err, providers.ErrInvalid) { // whatever it is, it is replaced
		stored, err = providers.Connection{}, nil
	}
	if n.resetQuirks {
		stored.Quirks = nil
	}
	return stored, err
}

func (n *newConnection) check(ctx context.Context, stored, c providers.Connection) (checked string, err error) {
	switch {
	case n.unchecked:
		return "not checked", nil
	case n.remote != nil:
		n.sayChanges(stored, c)
		return n.hand(ctx, c)
	}
	if checked, err = refreshfn.TryConnection(ctx, n.base, c); err != nil {
		err = locale.Errorf("checking the connection: %w%s", err, place(c, err))
	}
	return checked, err
}

// hand stores the connection as a candidate, which the remote tries and makes the
// connection.
func (n *newConnection) hand(ctx context.Context, c providers.Connection) (checked string, err error) {
	candidate, err := tokenrefresh.Stage(ctx, n.base.Secrets, uuid.NewString, connectionName(n.base, n.provider), n.before, c.Document())
	if err != nil {
		return "", &unknownError{err}
	}
	n.before, n.version = candidate.Base, candidate.Version
	answer, err := n.remote.connect(ctx, n.base, n.provider, candidate)
	switch {
	case err != nil:
		return "", &unknownError{err}
	case answer.Taken:
		return "", &unknownError{locale.Errorf("somebody else has changed the connection meanwhile, and it stays as they left it; run the command again")}
	case answer.Fault != nil:
		return "", locale.Errorf("checking the connection from the stack: %w%s", answer.Fault, place(c, answer.Fault))
	}
	n.results = answer.Results
	return answer.Check, nil
}

// An unknownError says itself whether something was stored.
type unknownError struct{ error }

func (n *newConnection) refused(err error) error {
	var unknown *unknownError
	switch {
	case err == nil, errors.As(err, &unknown):
		return err
	case n.remote != nil:
		return locale.Errorf("%w; the connection is as it was. Correct the values, or store them with --unchecked in the place of --remote", err)
	case errors.Is(err, providers.ErrForbidden):
		return locale.Errorf("%w; nothing was stored. If the provider lets in the stack's address alone, add --remote; else correct the values, or store them with --unchecked", err)
	}
	return locale.Errorf("%w; nothing was stored. Correct the values, or store them with --unchecked", err)
}

// place names the host that was asked, and the usual slip, where the address may be
// wrong.
func place(c providers.Connection, err error) locale.Message {
	address := cmp.Or(c.BaseURL, c.TokenURL)
	u, parseErr := url.Parse(address)
	switch {
	case parseErr != nil:
		return locale.T("")
	case errors.Is(err, providers.ErrNotFound), errors.Is(err, providers.ErrMalformed), errors.Is(err, providers.ErrInvalid):
		return locale.M(", asked of %s. Is the address right? A part of its path may be missing or too much, such as /v1 or /api", u.Host)
	case errors.Is(err, providers.ErrUnsent):
		return locale.M(", asked of %s. Is the name spelled right, and can this machine reach it?", u.Host)
	}
	return locale.T("")
}

// parseDocument reads a document of a provider, which must be right in every field.
func parseDocument(document []byte, provider string, now time.Time) (providers.Connection, error) {
	connection, faults := refreshfn.CheckConnection(document, now)
	if connection.Provider != provider && slices.Contains(providers.Names(), connection.Provider) {
		return connection, &usageError{locale.Errorf("the document is a connection of %q, not of %q", connection.Provider, provider)}
	}
	return connection, faulty(faults)
}

// changesOf says which fields a connection changes, without a credential.
func changesOf(stored, c providers.Connection) (changes []locale.Message) {
	if stored.Provider == "" {
		return nil
	}
	var before, after map[string]json.RawMessage
	_ = json.Unmarshal(stored.Document(), &before)
	_ = json.Unmarshal(c.Document(), &after) // both are objects
	fields := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	slices.Sort(fields)
	for _, field := range slices.Compact(fields) {
		switch {
		case bytes.Equal(before[field], after[field]):
		case slices.Contains([]string{"api_key", "client_secrets", "code"}, field):
			changes = append(changes, locale.M("%s changes.", field))
		default:
			changes = append(changes, locale.M("%s changes from %s to %s.", field, visible(cmp.Or(string(before[field]), "none")), visible(cmp.Or(string(after[field]), "none"))))
		}
	}
	if changes == nil {
		return []locale.Message{locale.T("Nothing changes in the connection that is stored.")}
	}
	return changes
}

// largestInput bounds what a command reads from a person's pipe or file.
const largestInput = 16 << 20

func readAll(in io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(in, largestInput)) }

// storeSecret makes a secret, or adds a version that becomes the current one.
func storeSecret(ctx context.Context, base *lambdafn.Base, name string, document []byte) (version string, err error) {
	version = uuid.NewString()
	err = base.Secrets.Create(ctx, name, version, document)
	if errors.Is(err, secretstore.ErrExists) {
		err = base.Secrets.Put(ctx, name, version, document, secretstore.Current)
	}
	if err != nil {
		return "", locale.Errorf("storing %s: %w", name, err)
	}
	return version, nil
}

// connectWebhook makes the webhook's secret, or takes one from standard input,
// and stores it. It shows nothing of it. Of a stack without a name, the address has to be given.
func connectWebhook(c *cobra.Command, base *lambdafn.Base, o output, stack string) error {
	secret, made, err := webhookSecret(c.InOrStdin())
	if err != nil {
		return err
	}
	name := webhooksecret.Name(base.Common.Prefix)
	version, err := storeSecret(c.Context(), base, name, secret.Bytes())
	if err != nil {
		return err
	}
	next := locale.T("--url URL (the output WebhookUrl)")
	if stack != "" {
		next = locale.M("--stack %s", stack)
	}
	return o.say(c, map[string]string{"secret": name, "version": version, "check": made}, "Stored %s (%s). Every instance accepts it within 5 minutes; the one before stays valid until this command runs again.\n"+
		"Next, and if it replaced another one after these 5 minutes: hikyaku hooks register %s", name, locale.T(made), next)
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
		return webhooksecret.Document{Current: providers.NewSecret(base64.RawURLEncoding.EncodeToString(random))}, "made of 43 random characters", nil
	}
	fields := json.NewDecoder(bytes.NewReader(document))
	fields.DisallowUnknownFields()
	if err := fields.Decode(&d); err != nil || fields.More() { // the decoder's words could repeat the secret
		return d, "", &usageError{locale.Errorf("standard input: expected one object {\"current\":\"...\"}, and \"previous\" where an older one is to stay valid; nothing was stored")}
	}
	err = webhooksecret.Check(d.Current.Reveal())
	if !d.Previous.Empty() {
		err = errors.Join(err, webhooksecret.Check(d.Previous.Reveal()))
	}
	if err != nil {
		return d, "", locale.Errorf("%w; nothing was stored", err)
	}
	return d, "taken from standard input", nil
}
