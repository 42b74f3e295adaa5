package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/locale"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// A loginCall is one call of 'login-link'.
type loginCall struct {
	writeCall

	user, after, keyword, page string
	parameters                 []string
}

// A loginLink is what 'login-link' answers.
type loginLink struct {
	Provider string         `json:"provider"`
	User     string         `json:"user"`
	Link     string         `json:"link,omitempty"`  // a secret; empty: nothing was written
	Sends    map[string]any `json:"sends,omitempty"` // of ActiBookOne
	Written  bool           `json:"written"`         // a call was made that may have made a reader
}

const linkIsSecret = "Anyone with this link is logged in as that person: do not share or store it."

func newLoginLink() *cobra.Command {
	var l loginCall
	c := &cobra.Command{
		Use:   "login-link supersaas|actibook --user WHO",
		Short: "Make the link that logs one person in",
		Long: "Prints a link for one person's browser. It is a secret, as good as the person's password, and goes to\n" +
			"standard output alone: no log has it.\n\n" +
			"SuperSaaS (ログインAPI): --user is an id or a login name, --after the schedule that is shown. Nothing is sent,\n" +
			"but to find the name of an id. The link holds a checksum of account, key and name; accounts are known where\n" +
			"no such checksum was accepted, so try one before you rely on it.\n\n" +
			"ActiBookOne (代理ログイン): --keyword is tied to a group of readers (スタートガイド), --user is sent as user_id,\n" +
			"and --parameter adds others, whose names the documents leave to the account; --page is a page of the site to\n" +
			"open first (target_uri). The call makes the reader if there is none, so it is dry until --write is given.\n\n" +
			"With --json: provider, user, link, sends and written.",
		Example: "  hikyaku login-link supersaas --user hanako@mail.example --after Salon\n  hikyaku login-link actibook --user 1001 --keyword members --write",
		Args:    aProvider(""), ValidArgs: []string{providers.SuperSaaS, providers.ActiBook},
		RunE: func(c *cobra.Command, a []string) error { return l.run(c, a[0]) },
	}
	l.add(c, false)
	flags := c.Flags()
	flags.StringVar(&l.user, "user", "", "who is to be logged in")
	flags.StringVar(&l.after, "after", "", "of SuperSaaS: the schedule to show")
	flags.StringVar(&l.keyword, "keyword", "", "of ActiBookOne: the keyword of the reader's group")
	flags.StringVar(&l.page, "page", "", "of ActiBookOne: address of the page to open")
	flags.StringArrayVar(&l.parameters, "parameter", nil, "of ActiBookOne: a further parameter, as NAME=VALUE; may be repeated")
	return c
}

func (l *loginCall) run(c *cobra.Command, provider string) error {
	ofActiBook := l.keyword != "" || l.page != "" || len(l.parameters) > 0 || l.write
	switch {
	case l.user == "":
		return &usageError{locale.Errorf("--user is missing: who is to be logged in")}
	case provider == providers.SuperSaaS && ofActiBook:
		return &usageError{locale.Errorf("--keyword, --page, --parameter and --write are of ActiBookOne alone")}
	case provider == providers.ActiBook && l.after != "":
		return &usageError{locale.Errorf("--after is of SuperSaaS alone; --page names a page of ActiBookOne")}
	}
	base, err := l.open(c)
	if err != nil {
		return err
	}
	if provider == providers.ActiBook {
		return l.actibook(c, base)
	}
	client, name := supersaas.New(base.Tokens(providers.SuperSaaS), base.Options()), l.user
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		u, err := client.GetUser(c.Context(), supersaas.ID(id), false)
		if err != nil {
			return readingOne("user", name, err)
		}
		name = u.Name
	}
	link, err := client.LoginURL(c.Context(), l.after, name)
	if err != nil {
		return err
	}
	return l.tell(c, loginLink{Provider: provider, User: name, Link: link.Reveal()})
}

// actibook logs a reader in by proxy, once --write is given.
func (l *loginCall) actibook(c *cobra.Command, base *lambdafn.Base) error {
	parameters := map[string]any{"user_id": l.user}
	token, err := base.Tokens(providers.ActiBook).Token(c.Context())
	if err != nil {
		return err
	}
	quirks, err := actibook.ParseQuirks(token.Quirks)
	if err != nil {
		return err
	}
	if l.keyword != "" {
		parameters[quirks.KeywordParameter] = l.keyword
	}
	for _, pair := range l.parameters {
		name, value, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return &usageError{locale.Errorf("--parameter: expected NAME=VALUE")}
		}
		parameters[name] = value
	}
	if !l.write {
		p := planned{Provider: providers.ActiBook, Call: "login", ID: l.user, Sends: parameters, notes: []locale.Message{locale.M("The call makes the reader, if there is none.")}}
		return l.print(c, loginLink{Provider: providers.ActiBook, User: l.user, Sends: parameters}, p.plan)
	}
	if l.asks(c) {
		say(c.ErrOrStderr(), "The call makes the reader %s, if there is none.", visible(l.user))
		if err := confirm(c, "nothing was sent"); err != nil {
			return err
		}
	}
	link, err := l.redirect(c.Context(), base, parameters)
	if err != nil {
		return err
	}
	return l.tell(c, loginLink{Provider: providers.ActiBook, User: l.user, Link: link, Sends: parameters, Written: true})
}

func (l *loginCall) redirect(ctx context.Context, base *lambdafn.Base, parameters map[string]any) (string, error) {
	redirect, err := actibook.New(base.Tokens(providers.ActiBook), base.Options()).Login(ctx, parameters)
	if err != nil {
		return "", err
	}
	if l.page != "" {
		if redirect, err = actibook.DeepLink(redirect, l.page); err != nil {
			return "", locale.Errorf("--page: %w", err)
		}
	}
	return redirect.Reveal(), nil
}

func (l *loginCall) tell(c *cobra.Command, answer loginLink) error {
	say(c.ErrOrStderr(), linkIsSecret)
	return l.print(c, answer, func(out io.Writer) error {
		_, err := fmt.Fprintln(out, visible(answer.Link))
		return err
	})
}

// A checkedHandover is what 'check-handover' answers.
type checkedHandover struct {
	Provider string       `json:"provider"`
	ID       string       `json:"id"`
	Valid    bool         `json:"valid"`
	Record   *shownRecord `json:"member,omitempty"` // if the tenant's answer holds one
}

func newCheckHandover() *cobra.Command {
	var s shopCall
	var id string
	c := &cobra.Command{
		Use:   "check-handover yappli TOKEN --id MEMBER",
		Short: "Ask whether a token that the app handed over belongs to a member",
		Long: "The app hands its user over to another service with a token (引き継ぎトークンチェック). This asks Yappli whether\n" +
			"the token belongs to the member with Yappli's id, and says nothing else of who visits: believe nothing unless\n" +
			"it is valid. TOKEN is a secret, which the shell's history would keep: - reads it from standard input. Exits\n" +
			"with 1 if it is not valid. The documents' prose promises the member in the answer, their table does not: it\n" +
			"is printed where the tenant sends it, and is personal data.\n\n" +
			"With --json: provider, id, valid, and member if there is one.",
		Example:   "  hikyaku check-handover yappli - --id 1001 < token.txt\n  hikyaku check-handover yappli TOKEN --id 1001 --json",
		ValidArgs: []string{providers.Yappli},
		Args:      aProvider("TOKEN"),
		RunE: func(c *cobra.Command, a []string) error {
			if id == "" {
				return &usageError{locale.Errorf("--id is missing: the Yappli id of the member that the token should belong to")}
			}
			token := a[1]
			if token == toPipe {
				raw, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 1<<16))
				if err != nil {
					return locale.Errorf("reading standard input: %w", err)
				}
				token = strings.TrimSpace(string(raw))
			}
			base, err := s.open(c)
			if err != nil {
				return err
			}
			h, err := yappli.New(base.Tokens(providers.Yappli), base.Options()).CheckHandover(c.Context(), providers.NewSecret(token), id)
			if err != nil {
				return locale.Errorf("asking about the token: %w", err)
			}
			return s.handover(c, id, h)
		},
	}
	s.add(c)
	c.Flags().StringVar(&id, "id", "", "Yappli's id of the member")
	return c
}

func (s *shopCall) handover(c *cobra.Command, id string, h yappli.Handover) error {
	answer := checkedHandover{Provider: providers.Yappli, ID: id, Valid: h.Valid}
	if h.Member != nil {
		answer.Record = &shownRecord{Provider: providers.Yappli, ID: h.Member.ID, Record: memberRecord(*h.Member)}
	}
	err := s.print(c, answer, func(out io.Writer) error {
		if !answer.Valid {
			say(out, "Not valid: the token does not belong to member %s, or does no longer.", visible(id))
			return nil
		}
		say(out, "Valid: the token belongs to member %s.", visible(id))
		if answer.Record != nil {
			return answer.Record.write(out)
		}
		return nil
	})
	if err == nil && !h.Valid {
		return &foundError{exit: 1, what: "the token is not valid"}
	}
	return err
}
