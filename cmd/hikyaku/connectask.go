package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/locale"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/supersaas"
)

// rounds is how often a question is asked again before the command gives up.
const rounds = 5

// A terminal is where a person answers.
type terminal interface {
	line(ctx context.Context) (string, error)
	secret(ctx context.Context) (string, error) // not echoed
}

// A tty is a terminal that a file is. The first Ctrl-C or Ctrl-\ ends a question, as
// Ctrl-D does, and leaves the terminal as it was.
type tty struct {
	file  *os.File
	lines *bufio.Reader
}

func (t tty) line(ctx context.Context) (string, error) {
	return t.read(ctx, func() (string, error) {
		text, err := t.lines.ReadString('\n')
		if errors.Is(err, io.EOF) && text != "" {
			err = nil
		}
		return text, err
	})
}

func (t tty) secret(ctx context.Context) (string, error) {
	return t.read(ctx, func() (string, error) {
		before, err := term.MakeRaw(int(t.file.Fd())) // term.ReadPassword does not hear Ctrl-D
		if err != nil {
			return "", err
		}
		text, err := hiddenLine(t.file)
		return text, errors.Join(err, term.Restore(int(t.file.Fd()), before))
	})
}

// hiddenLine reads a line from a terminal that passes each key on as it is.
func hiddenLine(keys io.Reader) (string, error) {
	const ctrlC, ctrlD, ctrlU, ctrlBackslash, del = 3, 4, 21, 28, 127
	line := make([]byte, 0, 64)
	for key := make([]byte, 1); ; {
		if _, err := io.ReadFull(keys, key); err != nil {
			return "", err
		}
		switch key[0] {
		case '\r', '\n':
			return string(line), nil
		case ctrlC, ctrlBackslash:
			return "", errStoppedAsking
		case ctrlD:
			if len(line) == 0 {
				return "", io.EOF
			}
		case '\b', del:
			_, size := utf8.DecodeLastRune(line)
			line = line[:len(line)-size]
		case ctrlU:
			line = line[:0]
		default:
			line = append(line, key[0])
		}
	}
}

// Why no answer came.
const errStoppedAsking stoppedError = "stopped; nothing was stored"

var errNoAnswer = locale.Errorf("the input ended before there was an answer (Ctrl-D); nothing was stored")

func (t tty) read(ctx context.Context, ask func() (string, error)) (string, error) {
	before, err := term.GetState(int(t.file.Fd()))
	if err != nil {
		return "", err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGQUIT)
	defer stop()
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := ask()
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		if errors.Is(a.err, io.EOF) {
			a.err = errNoAnswer
		}
		return strings.TrimSpace(a.text), a.err
	case <-ctx.Done():
		return "", errors.Join(errStoppedAsking, term.Restore(int(t.file.Fd()), before))
	}
}

// A question asks for one field of a connection.
type question struct {
	field  string // as faults name it
	text   locale.Message
	secret bool
	usual  string // the documented value; empty: there is none
	get    func(providers.Connection) string
	set    func(*providers.Connection, string) error
}

func text(field string, label locale.Message, at func(*providers.Connection) *string) question {
	return question{
		field: field, text: label,
		get: func(c providers.Connection) string { return *at(&c) },
		set: func(c *providers.Connection, v string) error { *at(c) = v; return nil },
	}
}

func secret(field string, label locale.Message, at func(*providers.Connection) *providers.Secret) question {
	return question{
		field: field, text: label, secret: true,
		get: func(c providers.Connection) string { return at(&c).Reveal() },
		set: func(c *providers.Connection, v string) error { *at(c) = providers.NewSecret(v); return nil },
	}
}

func base(label, usual string) question {
	q := text("base_url", locale.T(label), func(c *providers.Connection) *string { return &c.BaseURL })
	q.usual = usual
	return q
}

func firstSecret(c *providers.Connection) *providers.Secret {
	c.ClientSecrets = slices.Clone(c.ClientSecrets) // those of the stored connection stay as they are
	if len(c.ClientSecrets) == 0 {
		c.ClientSecrets = []providers.Secret{{}}
	}
	return &c.ClientSecrets[0]
}

func client(where string) []question {
	return []question{
		text("client_id", locale.M("Client ID (%s)", locale.T(where)), func(c *providers.Connection) *string { return &c.ClientID }),
		secret("client_secrets", locale.T("Client secret (shown beside it)"), firstSecret),
	}
}

func redirect(where string) question {
	return text("redirect_uri", locale.M("Redirect URL, as registered (%s)", locale.T(where)), func(c *providers.Connection) *string { return &c.RedirectURI })
}

func code() question {
	return secret("code", locale.T("Authorization code (empty: authorize later)"), func(c *providers.Connection) *providers.Secret { return &c.Code })
}

func end() question {
	return question{
		field: "expires_at", text: locale.T("End of the token's life, with offset, such as 2027-03-31T23:59:59+09:00 (empty: none set)"),
		get: func(c providers.Connection) string {
			if c.ExpiresAt.IsZero() {
				return ""
			}
			return c.ExpiresAt.Format(time.RFC3339)
		},
		set: func(c *providers.Connection, v string) (err error) {
			c.ExpiresAt = time.Time{}
			if v != "" {
				c.ExpiresAt, err = time.Parse(time.RFC3339, v)
			}
			if err != nil {
				err = locale.Errorf("a time with offset is expected, such as 2027-03-31T23:59:59+09:00")
			}
			return err
		},
	}
}

// questions returns what a provider's kind of credential needs, with where each value
// is found.
func questions(provider string, kind providers.Kind) []question {
	account := func(label string) question {
		return text("account", locale.T(label), func(c *providers.Connection) *string { return &c.Account })
	}
	key := func(label string) question {
		return secret("api_key", locale.T(label), func(c *providers.Connection) *providers.Secret { return &c.APIKey })
	}
	switch provider {
	case providers.AssistTencho:
		list := append([]question{base("Address of the administration, up to but without /api", "")}, client("アシスト店長 > 外部アプリケーション")...)
		return append(list, redirect("of the application"), text("probe_order", locale.T("Number of an order that the probe may ask for"), func(c *providers.Connection) *string { return &c.ProbeOrder }), code())
	case providers.Yappli:
		return append([]question{base("Address of the API that Yappli gave you, up to but without /api/ext", "")}, client("that Yappli gave you")...)
	case providers.SHOPLINE:
		list := []question{base("Address of the Open API", shopline.DefaultBaseURL), account("Merchant handle or ID that the token must belong to (Settings > General)")}
		if kind == providers.OneTimePair {
			return append(append(list, client("Developer Center > the app")...), redirect("of the app"), code())
		}
		return append(list, key("API token (Settings > Staff Settings > the API staff > API Auth)"), end())
	case providers.ActiBook:
		return slices.Concat([]question{
			text("token_url", locale.T("Token endpoint, the full address"), func(c *providers.Connection) *string { return &c.TokenURL }),
			text("login_url", locale.T("Proxy login endpoint, the full address"), func(c *providers.Connection) *string { return &c.LoginURL }),
		}, client("that ActiBookOne's support gave you"), []question{
			text("probe_keyword", locale.T("Test keyword for the probe (empty: no probe; a probe creates a site user)"), func(c *providers.Connection) *string { return &c.ProbeKeyword }),
		})
	}
	return []question{
		base("Address of the API", supersaas.DefaultBaseURL), account("Account name (Account Info)"), key("API key (Account Info)"),
	}
}

// kindOf returns the kind of credential that a provider has, if it has one only.
func kindOf(provider string) (providers.Kind, bool) {
	switch provider {
	case providers.SHOPLINE:
		return "", false
	case providers.AssistTencho:
		return providers.OneTimeCode, true
	case providers.SuperSaaS:
		return providers.Static, true
	}
	return providers.ClientCredentials, true
}

// An interview asks a person for a connection.
type interview struct {
	terminal terminal
	prompt   io.Writer
	now      func() time.Time
}

// ask returns a connection whose form is right. What is stored already is kept by
// Enter, and what is not asked for stays.
func (i interview) ask(ctx context.Context, provider string, stored providers.Connection) (providers.Connection, error) {
	kind, one := kindOf(provider)
	if !one {
		var err error
		if kind, err = i.shoplineKind(ctx, stored.Kind); err != nil {
			return stored, err
		}
	}
	c := providers.Connection{Provider: provider, Kind: kind}
	if stored.Kind == kind {
		c = stored
	}
	return i.correct(ctx, c, questions(provider, kind))
}

func (i interview) shoplineKind(ctx context.Context, stored providers.Kind) (providers.Kind, error) {
	usual := map[providers.Kind]string{providers.OneTimePair: " [yes]", providers.Static: " [no]"}[stored]
	language := languageOf(i.prompt)
	for range rounds {
		_, _ = io.WriteString(i.prompt, language.Sprintf("Is it a Developer Center app (yes), or a staff API Auth token (no)%s: ", usual))
		answer, err := i.terminal.line(ctx)
		if err != nil {
			return "", err
		}
		switch strings.ToLower(answer) {
		case "y", "yes", "はい":
			return providers.OneTimePair, nil
		case "n", "no", "いいえ":
			return providers.Static, nil
		case "":
			if usual != "" {
				return stored, nil
			}
		}
		say(i.prompt, "Please answer yes or no.")
	}
	return "", locale.Errorf("neither yes nor no was answered; nothing was stored")
}

// correct asks questions, and those again whose answers are wrong.
func (i interview) correct(ctx context.Context, c providers.Connection, list []question) (providers.Connection, error) {
	var faults providers.Faults
	for range rounds {
		for _, q := range list {
			if err := i.one(ctx, &c, q); err != nil {
				return c, err
			}
		}
		if _, faults = refreshfn.CheckConnection(c.Document(), i.now()); len(faults) == 0 {
			return c, nil
		}
		say(i.prompt, "\n%v", faults)
		list = slices.DeleteFunc(questions(c.Provider, c.Kind), func(q question) bool {
			return !slices.ContainsFunc(faults, func(f providers.Fault) bool { return strings.TrimRight(f.Field, "[]0123456789") == q.field })
		})
		if len(list) == 0 {
			break // wrong is what nobody is asked for
		}
	}
	return c, faulty(faults)
}

func (i interview) one(ctx context.Context, c *providers.Connection, q question) error {
	for range rounds {
		have := q.get(*c)
		usual := cmp.Or(have, q.usual)
		shown := locale.T("")
		switch {
		case usual == "":
		case q.secret:
			shown = locale.T(" [Enter keeps the one before]")
		case have != "":
			shown = locale.M(" [%s; - for none]", visible(usual))
		default:
			shown = locale.M(" [%s]", visible(usual))
		}
		_, _ = io.WriteString(i.prompt, languageOf(i.prompt).Sprintf("%s%s: ", q.text, shown))
		read := i.terminal.line
		if q.secret {
			read = i.terminal.secret
		}
		answer, err := read(ctx)
		if q.secret {
			_, _ = fmt.Fprintln(i.prompt)
		}
		if err != nil {
			return err
		}
		switch answer {
		case "":
			answer = usual
		case "-":
			answer = ""
		}
		if err = q.set(c, answer); err == nil {
			return nil
		}
		say(i.prompt, "%v", err)
	}
	return locale.Errorf("%s: no answer can be used; nothing was stored", q.text)
}

// suspects are the questions whose answers an error of the provider speaks against.
func suspects(c providers.Connection, err error) []question {
	fields := []string{"base_url", "token_url", "login_url"}
	var unknown *unknownError
	switch {
	case errors.As(err, &unknown):
		return nil
	case errors.Is(err, providers.ErrClient):
		fields = []string{"client_id", "client_secrets"}
	case errors.Is(err, providers.ErrUnauthorized), errors.Is(err, providers.ErrRevoked):
		fields = []string{"account", "api_key", "client_secrets"}
	case errors.Is(err, providers.ErrForbidden), providers.Retryable(err) && !errors.Is(err, providers.ErrUnsent):
		return nil // the answers are not to blame
	}
	return slices.DeleteFunc(questions(c.Provider, c.Kind), func(q question) bool { return !slices.Contains(fields, q.field) })
}

// faulty is an error of all that is wrong.
func faulty(faults providers.Faults) error {
	if len(faults) == 0 {
		return nil
	}
	return locale.Errorf("the connection cannot be stored as it is, and nothing was stored:\n%w", faults)
}
