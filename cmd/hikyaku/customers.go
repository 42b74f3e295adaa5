package main

import (
	"context"
	"iter"
	"net/url"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/shopline"
)

const customersLong = "Reads SHOPLINE's customers page by page, the newest first, until --limit records are found, and says if it\n" +
	"stopped before the end, as it does after --most records of the list. --since and --until choose by the time\n" +
	"of the last change. The list is not searched by SHOPLINE, so each page is looked through here. The output\n" +
	"holds personal data.\n\n" +
	"With --json: provider, records (id, found_in, record as the provider sent it), read, and stopped: end, limit\n" +
	"or most."

func newCustomers() *cobra.Command {
	c := &cobra.Command{
		Use:     "customers shopline",
		Short:   "List, search and read the customers of SHOPLINE",
		Long:    "With the provider alone it lists.\n\n" + customersLong,
		Example: "  hikyaku customers shopline --search 見本\n  hikyaku customers get shopline 5fd0c0e8f8d3c7001f2a0b11",
	}
	listsAlone(c, newCustomersList())
	c.AddCommand(newCustomersList(), newCustomersGet())
	return c
}

func newCustomersList() *cobra.Command {
	var l shopListing
	c := &cobra.Command{
		Use:       "list shopline",
		Short:     "List the customers of SHOPLINE, or search them",
		Long:      customersLong,
		Example:   "  hikyaku customers list shopline --search hanako@mail.example --stack hikyaku\n  hikyaku customers list shopline --since 2026-11-22T00:00:00Z --json",
		ValidArgs: []string{providers.SHOPLINE},
		Args:      aProvider(""),
		RunE:      l.customers,
	}
	l.add(c)
	l.addTimes(c)
	return c
}

func (l *shopListing) customers(c *cobra.Command, a []string) error {
	return l.run(c, a[0], []string{"name", "email", "mobile_phone", "updated_at"}, shoplineCustomers)
}

func shoplineCustomers(ctx context.Context, base *lambdafn.Base, changed shopline.Between, _ url.Values) iter.Seq2[listed, error] {
	client := shopline.New(base.Tokens(providers.SHOPLINE), base.Options())
	return shoplinePages(func(p shopline.Paging) (jsonscan.List, error) {
		return client.ReadCustomers(ctx, shopline.CustomersQuery{Paging: p, Updated: changed})
	})
}

func newCustomersGet() *cobra.Command {
	var s shopCall
	c := &cobra.Command{
		Use:       "get shopline ID",
		Short:     "Read one customer of SHOPLINE",
		Long:      "Prints one customer as SHOPLINE sends it. The output holds personal data.\n\nWith --json: provider, id and record.",
		Example:   "  hikyaku customers get shopline 5fd0c0e8f8d3c7001f2a0b11 --stack hikyaku",
		ValidArgs: []string{providers.SHOPLINE},
		Args:      aProvider("ID"),
		RunE: func(c *cobra.Command, a []string) error {
			base, err := s.open(c)
			if err != nil {
				return err
			}
			shown := shownRecord{Provider: a[0], ID: a[1]}
			shown.Record, err = shopline.New(base.Tokens(providers.SHOPLINE), base.Options()).ReadCustomer(c.Context(), a[1])
			if err != nil {
				return readingOne("customer", a[1], err)
			}
			return s.print(c, shown, shown.write)
		},
	}
	s.add(c)
	return c
}
