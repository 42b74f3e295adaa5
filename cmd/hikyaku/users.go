package main

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/locale"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// customerSystems are the providers that keep a shop's customers and may be asked for one.
func customerSystems() []string { return []string{providers.SuperSaaS, providers.Yappli} }

func newUsers() *cobra.Command {
	c := &cobra.Command{
		Use:   "users [supersaas|yappli]",
		Short: "Find, read and change the customers of SuperSaaS and Yappli",
		Long: "Calls the provider with the stack's token: the ユーザーAPI of SuperSaaS, and the 顧客 calls of the Yappli CRM\n" +
			"Open API. Reading prints personal data. Whatever changes something only says what it would send, until\n" +
			"--write is given. The relay is the only regular writer of Yappli: what is written there by hand, and that\n" +
			"the mapping makes too, the relay's next job for that user writes over.\n\n" +
			"With the provider alone it lists.",
		Example: "  hikyaku users supersaas --search 見本\n  hikyaku users get yappli 1001\n  hikyaku users update supersaas 20450001 --set mobile=03-1000-0001 --write",
	}
	listsAlone(c, newUsersList())
	c.AddCommand(newUsersList(), newUsersGet(), newUsersCreate(), newUsersUpdate(), newUsersDelete())
	return c
}

func newUsersList() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list supersaas|yappli",
		Short: "List customers, or search them by name, address, telephone or id",
		Long: "Reads the provider's list page by page until --limit records are found, and says if it stopped before the\n" +
			"end: after --most records of the list it does. Neither provider searches by itself (ユーザー情報の紹介;\n" +
			"顧客一覧), so each page is read and looked through here, without the difference of capitals, of wide and\n" +
			"narrow letters, and of the ways to write a telephone number. An id, and in SuperSaaS a login name, is asked\n" +
			"for singly first. Where the list moves meanwhile, somebody may be missing. The output holds personal data.\n\n" +
			"With --json: provider, records (id, found_in, record as the provider sent it), read, and stopped: end, limit,\n" +
			"most or exact.",
		Example:   "  hikyaku users list supersaas --search 見本 --stack hikyaku\n  hikyaku users list yappli --search 090-1000-0001 --json",
		ValidArgs: customerSystems(),
		Args:      aProvider(""),
		RunE: func(c *cobra.Command, a []string) error {
			if err := f.check(); err != nil {
				return err
			}
			base, err := f.open(c)
			if err != nil {
				return err
			}
			columns := []string{"full_name", "name", "email", "mobile", "phone"}
			find, list := findUser, listUsers
			if a[0] == providers.Yappli {
				columns, find, list = []string{"unique_id", "login_id", "enabled", "column01"}, findMember, listMembers
			}
			if f.search != "" {
				found, err := find(c.Context(), base, strings.TrimSpace(f.search))
				if err != nil && !errors.Is(err, providers.ErrNotFound) {
					return locale.Errorf("looking for one record: %w", err)
				}
				if found != nil {
					answer := listing{a[0], []listed{*found}, 1, exactly}
					return f.printListing(c, answer, columns)
				}
			}
			return f.show(c, a[0], columns, list(c.Context(), base))
		},
	}
	f.add(c)
	return c
}

// findUser asks SuperSaaS for one user, if a text may be an id or a login name; nil: it is
// neither, or there is no such user.
func findUser(ctx context.Context, base *lambdafn.Base, text string) (*listed, error) {
	client := supersaas.New(base.Tokens(providers.SuperSaaS), base.Options())
	if id, is := anID(text); is {
		u, err := client.GetUser(ctx, supersaas.ID(id), false)
		return aUser(u, "id"), err
	}
	if !strings.Contains(text, "@") || strings.ContainsAny(text, " \t") {
		return nil, nil
	}
	list, err := client.ReadUsers(ctx, supersaas.UsersQuery{Name: text, Limit: 1})
	if err != nil {
		return nil, err
	}
	for _, r := range list.Records {
		var u supersaas.User
		if json.Unmarshal(list.Bytes(r), &u) == nil && strings.EqualFold(u.Name, text) { // who ignores the filter answers anybody
			return aUser(u, "name"), nil
		}
	}
	return nil, nil
}

// anID reads an id as both providers write one; a telephone number is none that begins with 0.
func anID(text string) (int64, bool) {
	id, err := strconv.ParseInt(text, 10, 64)
	return id, err == nil && id > 0 && text[0] != '0'
}

func aUser(u supersaas.User, field string) *listed {
	if u.ID == 0 {
		return nil
	}
	return &listed{ID: strconv.FormatInt(u.ID, 10), FoundIn: field, Record: u.Raw()}
}

func listUsers(ctx context.Context, base *lambdafn.Base) iter.Seq2[listed, error] {
	client := supersaas.New(base.Tokens(providers.SuperSaaS), base.Options())
	return func(yield func(listed, error) bool) {
		for u, err := range client.Users(ctx, supersaas.UsersQuery{Limit: pageOfUsers}) {
			r := listed{}
			if err == nil {
				r = *aUser(u, "")
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// pageOfUsers is how many users of SuperSaaS are read at once, so that the first come soon.
const pageOfUsers = 200

// findMember asks Yappli for one member, if a text may be an id; nil: there is none.
func findMember(ctx context.Context, base *lambdafn.Base, text string) (*listed, error) {
	if _, is := anID(text); !is {
		return nil, nil
	}
	m, err := yappli.New(base.Tokens(providers.Yappli), base.Options()).User(ctx, text)
	if errors.Is(err, providers.ErrInvalid) { // how tenants of the older kind say that nobody has the id
		err = nil
	}
	if err != nil || m.ID == "" {
		return nil, err
	}
	return &listed{ID: m.ID, FoundIn: "id", Record: memberRecord(m)}, nil
}

// memberRecord is what an answer shows of a member, without what is empty.
func memberRecord(m yappli.Member) json.RawMessage {
	raw, _ := json.Marshal(admin.EveryMemberField(m)) // texts
	return raw
}

func listMembers(ctx context.Context, base *lambdafn.Base) iter.Seq2[listed, error] {
	client := yappli.New(base.Tokens(providers.Yappli), base.Options())
	return func(yield func(listed, error) bool) {
		for m, err := range client.Users(ctx) {
			r := listed{}
			if err == nil {
				r = listed{ID: m.ID, Record: memberRecord(m)}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func newUsersGet() *cobra.Command {
	var s shopCall
	form := false
	c := &cobra.Command{
		Use:   "get supersaas|yappli ID",
		Short: "Read one customer",
		Long: "Prints what the provider says of one customer. ID is the provider's own number; in SuperSaaS also a foreign\n" +
			"key with its suffix, such as 123fk (ユーザー情報の登録), or a login name. What Yappli shows to nobody, such as\n" +
			"a password, is not there. The output holds personal data.\n\n" +
			"With --json: provider, id and record.",
		Example:   "  hikyaku users get supersaas 20450001 --stack hikyaku\n  hikyaku users get yappli 1001 --json",
		ValidArgs: customerSystems(),
		Args:      aProvider("ID"),
		RunE: func(c *cobra.Command, a []string) error {
			if form && a[0] != providers.SuperSaaS {
				return &usageError{locale.Errorf("--form: only SuperSaaS has forms")}
			}
			base, err := s.open(c)
			if err != nil {
				return err
			}
			shown := shownRecord{Provider: a[0]}
			if a[0] == providers.SuperSaaS {
				u, err := supersaas.New(base.Tokens(providers.SuperSaaS), base.Options()).GetUser(c.Context(), userKey(a[1]), form)
				if err != nil {
					return readingOne("user", a[1], err)
				}
				shown.ID, shown.Record = strconv.FormatInt(u.ID, 10), u.Raw()
			} else {
				m, err := yappli.New(base.Tokens(providers.Yappli), base.Options()).User(c.Context(), a[1])
				if err != nil {
					return readingOne("member", a[1], err)
				}
				shown.ID, shown.Record = m.ID, memberRecord(m)
			}
			return s.print(c, shown, shown.write)
		},
	}
	s.add(c)
	c.Flags().BoolVar(&form, "form", false, "of SuperSaaS: with the custom form")
	return c
}

// userKey is how a person names a user of SuperSaaS.
func userKey(text string) supersaas.Key {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return supersaas.ID(id)
	}
	if fk, is := strings.CutSuffix(text, "fk"); is && fk != "" {
		return supersaas.FK(fk)
	}
	return supersaas.Name(text)
}

// readingOne is the error of reading one record.
func readingOne(what, id string, err error) error {
	if errors.Is(err, providers.ErrNotFound) {
		return locale.Errorf("there is no %s %s", locale.T(what), visible(id))
	}
	return locale.Errorf("reading %s %s: %w", locale.T(what), visible(id), err)
}
