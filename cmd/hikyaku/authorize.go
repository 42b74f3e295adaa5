package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/shopline"
)

// exchangeTime bounds what follows a person's approval. It outlives a lease
// that another run may hold.
const exchangeTime = 3 * time.Minute

type authorizeFlags struct {
	refresherFlags

	listen  string
	paste   bool
	timeout time.Duration
}

func newAuthorize() *cobra.Command {
	var f authorizeFlags
	names := []string{providers.AssistTencho, providers.SHOPLINE}
	c := &cobra.Command{
		Use:   "authorize assisttencho|shopline",
		Short: "Let a person approve the application, and exchange the code they get",
		Long: "Prints the address of the provider's approval page. After the approval the provider sends the browser\n" +
			"to the connection's redirect URL with a one-time code. If that URL is on this machine\n" +
			"(http://127.0.0.1:PORT/...) the command receives it there; else, or with --paste, copy the address\n" +
			"that the browser then shows, and paste it here.\n\n" +
			"Only a redirect with this run's state is taken, and only one. The code is stored in the connection\n" +
			"first and exchanged after that, exactly once, by the protocol of tokenrefresh: if this command dies,\n" +
			"the function's next run goes on. Until a redirect is taken, Ctrl-C and the time-out spend nothing.\n\n" +
			"With --remote the stack's function exchanges it, from the address that the provider may know alone.",
		Example: "  hikyaku authorize shopline\n  hikyaku authorize assisttencho --paste\n" +
			"  hikyaku authorize shopline --listen 127.0.0.1:8910   # behind a forwarded port",
		ValidArgs: names,
		Args:      oneKnown,
		RunE: func(c *cobra.Command, a []string) error {
			return authorize(c, a[0], f)
		},
	}
	f.add(c)
	f.addLogs(c)
	remoteFlag(c.Flags(), &f.onRemote)
	c.Flags().StringVar(&f.listen, "listen", "", "loopback HOST:PORT to receive the redirect on (default: the redirect URL's own)")
	c.Flags().BoolVar(&f.paste, "paste", false, "do not listen; read the redirect's URL from the terminal or standard input")
	c.Flags().DurationVar(&f.timeout, "timeout", 10*time.Minute, "how long to wait for the person")
	return c
}

// authorize waits for a person and hands over what they obtained.
func authorize(c *cobra.Command, provider string, f authorizeFlags) error {
	s, err := f.open(c)
	if err != nil {
		return err
	}
	connection, err := s.authorizable(c.Context(), provider)
	if err != nil {
		return err
	}
	state := rand.Text() // 130 random bits
	page, err := approvalPage(connection, state)
	if err != nil {
		return locale.Errorf("%w; correct it with 'hikyaku connect %s'", err, provider)
	}
	code, err := f.receive(c, connection, page, state)
	if err != nil {
		return err
	}
	say(c.ErrOrStderr(), "Received. Storing the code, then exchanging it; please wait.")
	// From here on an interruption would only leave the rest to the function.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), exchangeTime)
	defer cancel()
	report, err := s.exchange(ctx, provider, connection, code)
	if err != nil {
		return locale.Errorf("authorizing %s: %w", provider, err)
	}
	result := report.Results[0]
	err = f.print(c, result, func(out io.Writer) error { return writeReport(out, report, s.base.Now()) })
	return errors.Join(err, judge(report))
}

// exchange hands the code over, and reports what came of it.
func (s *stackRefresher) exchange(ctx context.Context, provider string, connection providers.Connection, code providers.Secret) (report tokenrefresh.Report, err error) {
	if s.remote == nil {
		result, err := s.core.Authorize(ctx, provider, connection, code)
		if err != nil {
			err = locale.Errorf("%w; the code was not sent", err)
		}
		return tokenrefresh.Report{Results: []tokenrefresh.Result{result}}, err
	}
	var answer refreshfn.Answer
	err = s.core.HandOver(ctx, provider, connection, code, func(ctx context.Context, c tokenrefresh.Candidate) (taken bool, err error) {
		answer, err = s.remote.connect(ctx, s.base, provider, c)
		if err == nil && answer.Fault != nil {
			err = locale.Errorf("%w; the code was not sent", answer.Fault)
		}
		return answer.Taken, err
	})
	if err == nil && len(answer.Results) == 0 {
		err = locale.Errorf("the function does not say what became of the code: look with 'hikyaku tokens'")
	}
	return tokenrefresh.Report{Results: answer.Results}, err
}

// authorizable reads the connection that a person is to authorize.
func (s *stackRefresher) authorizable(ctx context.Context, provider string) (providers.Connection, error) {
	connection, _, err := readConnection(ctx, s.base, provider)
	if errors.Is(err, secretstore.ErrNotFound) || errors.Is(err, providers.ErrNotFound) {
		err = locale.Errorf("there is no secret %s: run 'hikyaku connect %s' first", connectionName(s.base, provider), provider)
	}
	if err != nil {
		return connection, err
	}
	if connection.Kind != providers.OneTimePair && connection.Kind != providers.OneTimeCode {
		return connection, locale.Errorf("the connection of %s is of kind %q, which nobody authorizes: run 'hikyaku connect %s' and choose the app", provider, connection.Kind, provider)
	}
	return connection, nil
}

func approvalPage(c providers.Connection, state string) (string, error) {
	if c.Provider == providers.SHOPLINE {
		return shopline.AuthorizeURL(c, state)
	}
	return assisttencho.AuthorizeURL(c, state)
}

// receive shows the page and waits for its redirect, on a port or pasted.
func (f authorizeFlags) receive(c *cobra.Command, connection providers.Connection, page, state string) (providers.Secret, error) {
	ctx, cancel := context.WithTimeoutCause(c.Context(), f.timeout, errNobody)
	defer cancel()
	r := newReceiver(state, c.ErrOrStderr())
	address, err := f.address(connection.RedirectURI)
	if err != nil {
		return providers.Secret{}, err
	}
	if address != "" {
		if err := r.listen(ctx, address, connection.RedirectURI); err != nil {
			return providers.Secret{}, locale.Errorf("%w; free that port, or use --paste", err)
		}
		defer r.close(ctx)
	}
	say(c.ErrOrStderr(), "Open this page as somebody who may approve the application:\n\n  %s\n", page)
	if address != "" {
		say(c.ErrOrStderr(), "Waiting for the redirect on %s, or paste its address here.", address)
	} else {
		say(c.ErrOrStderr(), "Then paste the address that the browser shows after the approval.")
	}
	go r.read(c.InOrStdin(), address == "")
	return r.wait(ctx)
}

// say prints a sentence in the language of who reads it.
func say(out io.Writer, format string, values ...any) {
	_, _ = fmt.Fprintln(out, languageOf(out).Sprintf(format, values...))
}
