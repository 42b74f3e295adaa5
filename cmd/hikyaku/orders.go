package main

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/locale"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/shopline"
)

// A shopListing lists orders or customers of a provider.
type shopListing struct {
	listFlags

	since, until string
	parameters   []string
}

func (l *shopListing) addTimes(c *cobra.Command) {
	c.Flags().StringVar(&l.since, "since", "", "of SHOPLINE: changed at this time or later, such as 2026-11-22T00:00:00Z")
	c.Flags().StringVar(&l.until, "until", "", "of SHOPLINE: changed at this time or before")
}

// between reads --since and --until.
func (l *shopListing) between() (b shopline.Between, err error) {
	for _, one := range []struct {
		flag, text string
		to         *time.Time
	}{{"--since", l.since, &b.From}, {"--until", l.until, &b.To}} {
		if one.text == "" {
			continue
		}
		if *one.to, err = time.Parse(time.RFC3339, one.text); err != nil {
			return b, &usageError{locale.Errorf("%s %s: expected a time such as 2026-11-22T00:00:00Z", one.flag, visible(one.text))}
		}
	}
	return b, nil
}

func newOrders() *cobra.Command {
	c := &cobra.Command{
		Use:   "orders [assisttencho|shopline]",
		Short: "Read the orders of アシスト店長 and SHOPLINE, and change those of アシスト店長",
		Long: "Calls the provider with the stack's token: orders.php of アシスト店長 (API情報の呼び出し), and the orders of\n" +
			"SHOPLINE's Open API, which are only read here. Orders hold personal data. Whatever changes something only\n" +
			"says what it would send, until --write is given.\n\n" +
			"With the provider alone it lists.",
		Example: "  hikyaku orders shopline --since 2026-11-22T00:00:00Z\n  hikyaku orders get assisttencho 5\n  hikyaku orders update assisttencho 5 --file order.json --write",
	}
	listsAlone(c, newOrdersList())
	c.AddCommand(newOrdersList(), newOrdersGet(), newOrdersCreate(), newOrdersUpdate(), newOrdersDelete())
	return c
}

func orderSystems() []string { return []string{providers.AssistTencho, providers.SHOPLINE} }

func newOrdersList() *cobra.Command {
	var l shopListing
	c := &cobra.Command{
		Use:   "list assisttencho|shopline",
		Short: "List orders, or search them",
		Long: "Reads the provider's list page by page until --limit records are found, and says if it stopped before the\n" +
			"end, as it does after --most records of it. SHOPLINE's are those that are not archived, the newest first;\n" +
			"--since and --until choose by the time of the last change, which a change of the delivery does not touch\n" +
			"(official docs). Of アシスト店長 no parameter of the list is documented: --parameter sends what your shop\n" +
			"knows of, as its query. The output holds personal data.\n\n" +
			"With --json: provider, records (id, found_in, record as the provider sent it), read, and stopped: end, limit\n" +
			"or most.",
		Example:   "  hikyaku orders list shopline --since 2026-11-22T00:00:00Z --stack hikyaku\n  hikyaku orders list assisttencho --search 見本 --json",
		ValidArgs: orderSystems(),
		Args:      aProvider(""),
		RunE: func(c *cobra.Command, a []string) error {
			if a[0] == providers.SHOPLINE {
				return l.run(c, a[0], []string{"order_number", "status", "customer_name", "created_at"}, shoplineOrders)
			}
			if l.since+l.until != "" {
				return &usageError{locale.Errorf("--since and --until are of SHOPLINE alone: アシスト店長 documents no such parameter")}
			}
			return l.run(c, a[0], []string{}, assistOrders)
		},
	}
	l.add(c)
	l.addTimes(c)
	c.Flags().StringArrayVar(&l.parameters, "parameter", nil, "of アシスト店長: a parameter of the list, as NAME=VALUE; may be repeated")
	return c
}

// A listReader reads a provider's list.
type listReader func(ctx context.Context, base *lambdafn.Base, changed shopline.Between, parameters url.Values) iter.Seq2[listed, error]

// run checks the flags, and shows what a reader reads.
func (l *shopListing) run(c *cobra.Command, provider string, columns []string, read listReader) error {
	if err := l.check(); err != nil {
		return err
	}
	changed, err := l.between()
	if err != nil {
		return err
	}
	parameters := url.Values{}
	for _, pair := range l.parameters {
		name, value, found := strings.Cut(pair, "=")
		if !found || name == "" || provider != providers.AssistTencho {
			return &usageError{locale.Errorf("--parameter: expected NAME=VALUE, and is of アシスト店長 alone")}
		}
		parameters.Add(name, value)
	}
	base, err := l.open(c)
	if err != nil {
		return err
	}
	return l.show(c, provider, columns, read(c.Context(), base, changed, parameters))
}

func assistOrders(ctx context.Context, base *lambdafn.Base, _ shopline.Between, parameters url.Values) iter.Seq2[listed, error] {
	client := assisttencho.New(base.Tokens(providers.AssistTencho), base.Options())
	return func(yield func(listed, error) bool) {
		for order, err := range client.Orders(ctx, assisttencho.OrdersQuery{Parameters: parameters}) {
			if !yield(listed{ID: string(order.SerialOrderID), Record: order.Raw}, err) || err != nil {
				return
			}
		}
	}
}

func shoplineOrders(ctx context.Context, base *lambdafn.Base, changed shopline.Between, _ url.Values) iter.Seq2[listed, error] {
	client := shopline.New(base.Tokens(providers.SHOPLINE), base.Options())
	return shoplinePages(func(p shopline.Paging) (jsonscan.List, error) {
		return client.ReadOrders(ctx, shopline.OrdersQuery{Paging: p, Updated: changed})
	})
}

// shoplinePages yields the records of one page after the other, the newest first, as
// SHOPLINE sent them.
func shoplinePages(read func(shopline.Paging) (jsonscan.List, error)) iter.Seq2[listed, error] {
	return func(yield func(listed, error) bool) {
		for at := (shopline.Paging{Descending: true}); ; {
			list, err := read(at)
			if err != nil {
				yield(listed{}, err)
				return
			}
			before := at.PreviousID
			for _, r := range list.Records {
				if len(r.ID) > 0 {
					at.PreviousID = string(r.ID)
				}
				if r.Fault == "" && !yield(listed{ID: string(r.ID), Record: list.Bytes(r)}, nil) {
					return
				}
			}
			if at.PreviousID == before { // an empty page, or one that does not go on
				return
			}
		}
	}
}

func newOrdersGet() *cobra.Command {
	var s shopCall
	c := &cobra.Command{
		Use:   "get assisttencho|shopline ID",
		Short: "Read one order",
		Long: "Prints one order as the provider sends it. ID is アシスト店長's serial_order_id (サンプルコード), or SHOPLINE's\n" +
			"id, which is not the order number; an archived order answers as gone (third party). The output holds\n" +
			"personal data.\n\nWith --json: provider, id and record.",
		Example:   "  hikyaku orders get assisttencho 5 --stack hikyaku\n  hikyaku orders get shopline 5fd0c0e8f8d3c7001f2a0b11 --json",
		ValidArgs: orderSystems(),
		Args:      aProvider("ID"),
		RunE: func(c *cobra.Command, a []string) error {
			base, err := s.open(c)
			if err != nil {
				return err
			}
			shown := shownRecord{Provider: a[0], ID: a[1]}
			if a[0] == providers.SHOPLINE {
				shown.Record, err = shopline.New(base.Tokens(providers.SHOPLINE), base.Options()).ReadOrder(c.Context(), a[1])
			} else {
				var order assisttencho.Order
				order, err = assisttencho.New(base.Tokens(providers.AssistTencho), base.Options()).GetOrder(c.Context(), a[1])
				shown.Record = order.Raw
			}
			if err != nil {
				return readingOne("order", a[1], err)
			}
			return s.print(c, shown, shown.write)
		},
	}
	s.add(c)
	return c
}

const orderFields = "Only the name of the order number, serial_order_id, is documented (サンプルコード): the other fields are those of\n" +
	"your shop, so that --file with the object that 'orders get' prints is the safe way to them. Text is sent as\n" +
	"\\uNNNN, as the API wants it (API情報の呼び出し)."

// onlyAssist refuses to change orders elsewhere.
func onlyAssist(provider string) error {
	if provider == providers.SHOPLINE {
		return &usageError{locale.Errorf("SHOPLINE's orders are only read here: hikyaku's token needs no right to change them")}
	}
	return nil
}

func newOrdersCreate() *cobra.Command {
	var w writeCall
	c := &cobra.Command{
		Use:       "create assisttencho",
		Short:     "Make an order in アシスト店長",
		Long:      "Makes an order of the fields given (API情報の呼び出し: POST).\n" + orderFields + "\n" + dryWrites,
		Example:   "  hikyaku orders create assisttencho --file order.json\n  hikyaku orders create assisttencho --file order.json --write --json",
		ValidArgs: orderSystems(),
		Args:      aProvider(""),
		RunE: func(c *cobra.Command, a []string) error {
			return changeOrder(c, &w, planned{Provider: a[0], Call: "orders.create"}, func(ctx context.Context, client *assisttencho.Client, fields map[string]any) (assisttencho.Order, error) {
				return client.CreateOrder(ctx, fields)
			})
		},
	}
	w.add(c, true)
	return c
}

func newOrdersUpdate() *cobra.Command {
	var w writeCall
	c := &cobra.Command{
		Use:   "update assisttencho ID",
		Short: "Change an order in アシスト店長",
		Long: "Changes the order with the serial_order_id ID (API情報の呼び出し: PUT). Whether fields that are left out keep\n" +
			"their values is not documented.\n" + orderFields + "\n" + dryWrites,
		Example:   "  hikyaku orders update assisttencho 5 --file order.json\n  hikyaku orders update assisttencho 5 --set memo=x --write",
		ValidArgs: orderSystems(),
		Args:      aProvider("ID"),
		RunE: func(c *cobra.Command, a []string) error {
			p := planned{Provider: a[0], Call: "orders.update", ID: a[1], notes: []locale.Message{locale.M("Whether fields that are left out keep their values is not documented.")}}
			return changeOrder(c, &w, p, func(ctx context.Context, client *assisttencho.Client, fields map[string]any) (assisttencho.Order, error) {
				return client.UpdateOrder(ctx, a[1], fields)
			})
		},
	}
	w.add(c, true)
	return c
}

// changeOrder reads the fields, and makes or changes an order of them.
func changeOrder(c *cobra.Command, w *writeCall, p planned, send func(context.Context, *assisttencho.Client, map[string]any) (assisttencho.Order, error)) error {
	if err := onlyAssist(p.Provider); err != nil {
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
	p.Sends = fields
	return w.carryOut(c, p, func(ctx context.Context) (string, any, error) {
		order, err := send(ctx, assisttencho.New(base.Tokens(providers.AssistTencho), base.Options()), fields)
		if errors.Is(err, providers.ErrNotFound) {
			err = readingOne("order", p.ID, err)
		}
		var answer any
		if len(order.Raw) > 0 {
			answer = order.Raw
		}
		return string(order.SerialOrderID), answer, err
	})
}

func newOrdersDelete() *cobra.Command {
	var w writeCall
	c := &cobra.Command{
		Use:   "delete assisttencho ID",
		Short: "Delete an order in アシスト店長",
		Long: "Deletes the order with the serial_order_id ID (API情報の呼び出し: DELETE). Nothing documents a way back: with\n" +
			"--write the order is read first, and what it held is in the answer, from which 'orders create' could make\n" +
			"another one.\n" + dryWrites,
		Example:   "  hikyaku orders delete assisttencho 5\n  hikyaku orders delete assisttencho 5 --write --json > order-5.json",
		ValidArgs: orderSystems(),
		Args:      aProvider("ID"),
		RunE: func(c *cobra.Command, a []string) error {
			if err := onlyAssist(a[0]); err != nil {
				return err
			}
			base, err := w.open(c)
			if err != nil {
				return err
			}
			client := assisttencho.New(base.Tokens(providers.AssistTencho), base.Options())
			order, err := client.GetOrder(c.Context(), a[1])
			if err != nil {
				return readingOne("order", a[1], err)
			}
			p := planned{Provider: a[0], Call: "orders.delete", ID: a[1], notes: []locale.Message{locale.M("No way back is documented.")}}
			return w.carryOut(c, p, func(ctx context.Context) (string, any, error) {
				return a[1], order.Raw, client.DeleteOrder(ctx, a[1])
			})
		},
	}
	w.add(c, false)
	return c
}
