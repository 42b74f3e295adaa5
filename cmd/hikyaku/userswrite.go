package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"hikyaku/internal/locale"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// A customerWrite changes a customer of one of the two systems.
type customerWrite struct {
	writeCall

	webhook bool
	fk      string
}

func (w *customerWrite) addWebhook(c *cobra.Command) {
	c.Flags().BoolVar(&w.webhook, "webhook", false, "of SuperSaaS: let the change fire webhooks, by which the relay hears of it")
}

// only refuses flags of SuperSaaS for another provider.
func (w *customerWrite) only(provider string) error {
	if provider != providers.SuperSaaS && (w.webhook || w.fk != "") {
		return &usageError{locale.Errorf("--webhook and --fk are of SuperSaaS alone")}
	}
	return nil
}

// quietly says that the relay hears nothing of a change through the API.
func (w *customerWrite) quietly() []locale.Message {
	if w.webhook {
		return nil
	}
	return []locale.Message{locale.M("SuperSaaS fires no webhook for a change through its API: the relay hears of it with --webhook, or at the next reconcile.")}
}

// besideTheRelay is what to know before Yappli is written by hand.
const besideTheRelay = "The relay is the only regular writer of Yappli: what the mapping makes of this person's fields, its next job writes over."

const (
	supersaasWrites = "In SuperSaaS a change fires no webhook, unless --webhook is given: the relay then hears of it as of any other\n" +
		"(API処理に対してウェブフックをトリガーする)."
	yappliWrites = "The relay is the only regular writer of Yappli: fields that the mapping makes, its next job writes over."
	dryWrites    = "It only says what it would send, until --write is given, which asks on a terminal unless --yes. A password is\n" +
		"sent and never shown.\n\n" +
		"With --json: provider, call, id, sends, written and answer."
)

func newUsersCreate() *cobra.Command {
	var w customerWrite
	c := &cobra.Command{
		Use:   "create supersaas|yappli",
		Short: "Make a customer",
		Long: "Makes a customer of the fields given, under the provider's own names: name, email, full_name, address, phone,\n" +
			"mobile, country, timezone, field_1, field_2, super_field, credit, role, group and password in SuperSaaS\n" +
			"(ユーザー情報の登録); unique_id, login_id, rank, column01 to column50 and the others of 顧客登録 in Yappli.\n" +
			"A foreign key that exists is refused. Yappli needs a unique_id, and does not say what a second creation with\n" +
			"the same one does: look first.\n\n" +
			supersaasWrites + "\n" + yappliWrites + "\n" + dryWrites,
		Example:   "  hikyaku users create supersaas --set name=new@mail.example --set full_name='見本 試子' --write --webhook\n  hikyaku users create yappli --file member.json --json",
		ValidArgs: customerSystems(),
		Args:      aProvider(""),
		RunE:      func(c *cobra.Command, a []string) error { return w.create(c, a[0]) },
	}
	w.add(c, true)
	w.addWebhook(c)
	c.Flags().StringVar(&w.fk, "fk", "", "of SuperSaaS: the foreign key, without the suffix fk")
	return c
}

func (w *customerWrite) create(c *cobra.Command, provider string) error {
	if err := w.only(provider); err != nil {
		return err
	}
	fields, err := w.fields(c)
	if err != nil {
		return err
	}
	base, err := w.open(c)
	if err != nil {
		return err
	}
	p := planned{Provider: provider, Call: "users.create", Sends: fields}
	if provider == providers.Yappli {
		sent, err := memberFields(fields)
		switch {
		case err != nil:
			return err
		case sent["unique_id"].Text == "":
			return &usageError{locale.Errorf("a member needs a unique_id: --set unique_id=...")}
		}
		p.notes = []locale.Message{locale.T(besideTheRelay)}
		return w.carryOut(c, p, func(ctx context.Context) (string, any, error) {
			m, err := yappli.New(base.Tokens(providers.Yappli), base.Options()).CreateUser(ctx, sent)
			return m.ID, memberRecord(m), err
		})
	}
	sent, err := userFields(fields)
	if err != nil {
		return err
	}
	p.notes = w.quietly()
	return w.carryOut(c, p, func(ctx context.Context) (string, any, error) {
		o := supersaas.WriteOptions{Webhook: w.webhook}
		if w.fk != "" {
			o.Duplicate = supersaas.DuplicateRaise
		}
		written, err := supersaas.New(base.Tokens(providers.SuperSaaS), base.Options()).CreateUser(ctx, w.fk, sent, o)
		return idOf(written.ID), nil, err
	})
}

func idOf(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// userFields are fields as SuperSaaS takes them.
func userFields(fields map[string]any) (supersaas.Fields, error) {
	list, err := texts(fields)
	if err != nil {
		return nil, err
	}
	sent := supersaas.Fields{}
	for name, text := range list {
		if text == nil {
			return nil, &usageError{locale.Errorf("%s is null, which SuperSaaS cannot be sent: give an empty text", visible(name))}
		}
		sent[name] = *text
	}
	return sent, nil
}

// memberFields are fields as Yappli takes them.
func memberFields(fields map[string]any) (yappli.Fields, error) {
	list, err := texts(fields)
	if err != nil {
		return nil, err
	}
	sent := yappli.Fields{}
	for name, text := range list {
		if sent[name] = yappli.Null(); text != nil {
			sent[name] = yappli.Text(*text)
		}
	}
	if err := sent.Check(); err != nil {
		return nil, &usageError{err}
	}
	return sent, nil
}

func newUsersUpdate() *cobra.Command {
	var w customerWrite
	c := &cobra.Command{
		Use:   "update supersaas|yappli ID",
		Short: "Change fields of a customer, and leave the others",
		Long: "Changes the fields given, under the provider's own names (ユーザー情報の更新; 顧客更新). ID is the provider's\n" +
			"own number; in SuperSaaS also a foreign key such as 123fk, which must exist. Whether Yappli keeps what an\n" +
			"update omits depends on the tenant: where it does not, all that the member shows is sent back too; where\n" +
			"nobody knows, nothing is written ('hikyaku mapping check FILE --user ID --write' finds out). enabled=0 is\n" +
			"the closest to deleting a member. A unique_id cannot be changed.\n\n" +
			supersaasWrites + "\n" + yappliWrites + "\n" + dryWrites,
		Example:   "  hikyaku users update supersaas 20450001 --set mobile=03-1000-0001 --webhook --write\n  hikyaku users update yappli 1001 --set enabled=0",
		ValidArgs: customerSystems(),
		Args:      aProvider("ID"),
		RunE:      func(c *cobra.Command, a []string) error { return w.update(c, a[0], a[1]) },
	}
	w.add(c, true)
	w.addWebhook(c)
	return c
}

func (w *customerWrite) update(c *cobra.Command, provider, id string) error {
	if err := w.only(provider); err != nil {
		return err
	}
	fields, err := w.fields(c)
	if err != nil {
		return err
	}
	base, err := w.open(c)
	if err != nil {
		return err
	}
	p := planned{Provider: provider, Call: "users.update", ID: id, Sends: fields}
	if provider == providers.Yappli {
		return w.updateMember(c, yappli.New(base.Tokens(providers.Yappli), base.Options()), base.Tokens(providers.Yappli), p)
	}
	sent, err := userFields(fields)
	if err != nil {
		return err
	}
	p.notes = w.quietly()
	return w.carryOut(c, p, func(ctx context.Context) (string, any, error) {
		o := supersaas.WriteOptions{Webhook: w.webhook, NotFound: supersaas.NotFoundError}
		_, err := supersaas.New(base.Tokens(providers.SuperSaaS), base.Options()).UpdateUser(ctx, userKey(id), sent, o)
		if errors.Is(err, providers.ErrNotFound) {
			err = readingOne("user", id, err)
		}
		return id, nil, err
	})
}

// updateMember changes fields of a member so that the others stay.
func (w *customerWrite) updateMember(c *cobra.Command, client *yappli.Client, tokens providers.TokenSource, p planned) error {
	sent, err := memberFields(p.Sends)
	if err != nil {
		return err
	}
	if _, is := sent["unique_id"]; is {
		return &usageError{locale.Errorf("a member's unique_id cannot be changed")}
	}
	token, err := tokens.Token(c.Context())
	if err != nil {
		return err
	}
	quirks, err := yappli.ParseQuirks(token.Quirks)
	if err != nil {
		return err
	}
	p.notes = []locale.Message{locale.T(besideTheRelay)}
	switch quirks.Update {
	case yappli.UpdateUnknown:
		p.notes = append(p.notes, locale.M("Whether an update keeps what it omits is not known of this tenant: 'hikyaku mapping check FILE --user ID --write' finds out. Nothing is written before that."))
		if w.write {
			return locale.Errorf("whether an update keeps what it omits is not known of this tenant, so nothing was written: run 'hikyaku mapping check FILE --user ID --write' first")
		}
	case yappli.UpdateReplace:
		m, err := client.User(c.Context(), p.ID)
		if err != nil {
			return readingOne("member", p.ID, err)
		}
		for name, value := range m.Shown() {
			if _, given := sent[name]; !given && name != "unique_id" {
				sent[name] = yappli.Text(value)
			}
		}
		p.notes = append(p.notes, locale.M("This tenant resets what an update omits, so all that the member shows is sent back too; a password and a %s cannot be, and are lost.", plan.SecretAnswer))
	case yappli.UpdatePartial:
	}
	return w.carryOut(c, p, func(ctx context.Context) (string, any, error) {
		m, err := client.UpdateUser(ctx, p.ID, sent)
		if errors.Is(err, providers.ErrNotFound) {
			err = readingOne("member", p.ID, err)
		}
		return m.ID, memberRecord(m), err
	})
}

func newUsersDelete() *cobra.Command {
	var w customerWrite
	c := &cobra.Command{
		Use:   "delete supersaas ID",
		Short: "Delete a customer of SuperSaaS",
		Long: "Deletes a user (ユーザー情報の削除); a person can restore the user in SuperSaaS. The relay then disables the\n" +
			"member. Yappli documents no deletion: 'hikyaku users update yappli ID --set enabled=0' is the closest to it.\n\n" +
			supersaasWrites + "\n" + dryWrites,
		Example:   "  hikyaku users delete supersaas 20450001\n  hikyaku users delete supersaas 20450001 --webhook --write",
		ValidArgs: customerSystems(),
		Args:      aProvider("ID"),
		RunE: func(c *cobra.Command, a []string) error {
			if a[0] == providers.Yappli {
				return &usageError{locale.Errorf("Yappli documents no deletion of a member: 'hikyaku users update yappli ID --set enabled=0' is the closest to it")}
			}
			base, err := w.open(c)
			if err != nil {
				return err
			}
			p := planned{Provider: a[0], Call: "users.delete", ID: a[1], notes: w.quietly()}
			return w.carryOut(c, p, func(ctx context.Context) (string, any, error) {
				err := supersaas.New(base.Tokens(providers.SuperSaaS), base.Options()).DeleteUser(ctx, userKey(a[1]), supersaas.WriteOptions{Webhook: w.webhook})
				if errors.Is(err, providers.ErrNotFound) {
					err = readingOne("user", a[1], err)
				}
				return a[1], nil, err
			})
		},
	}
	w.add(c, false)
	w.addWebhook(c)
	return c
}
