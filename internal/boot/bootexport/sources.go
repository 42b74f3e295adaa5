package bootexport

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"hikyaku/internal/boot"
	"hikyaku/internal/export"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// The page sizes where neither the settings nor a quirk name one.
const (
	shoplinePage  = 50 // what the provider suggests
	supersaasPage = 250
)

// feeds opens the datasets' feeds.
type feeds struct {
	base     *boot.Base
	settings Settings
	zone     *time.Location
	tokens   map[string]*secretstore.Tokens
	limits   map[string]*providers.Pace // by dataset
}

func newFeeds(base *boot.Base, s Settings, zone *time.Location) *feeds {
	f := &feeds{base: base, settings: s, zone: zone, tokens: map[string]*secretstore.Tokens{}, limits: map[string]*providers.Pace{}}
	shared := map[string]float64{}
	for _, d := range s.datasets() {
		shared[d.Provider]++
		f.tokens[d.Provider] = base.Tokens(d.Provider)
	}
	for _, d := range s.datasets() {
		r := s.rates()[d.Provider]
		f.limits[d.String()] = providers.NewPace(r.rate * r.share / shared[d.Provider])
	}
	return f
}

// A pages function is an export.Source.
type pages func(ctx context.Context, q export.Query) ([]byte, error)

// Page asks for one page.
func (p pages) Page(ctx context.Context, q export.Query) ([]byte, error) {
	return p(ctx, q)
}

// open returns the feed of a dataset, as its account's quirks have it.
func (f *feeds) open(ctx context.Context, d export.Dataset, passes []string) (export.Feed, error) {
	source := f.tokens[d.Provider]
	token, err := source.Token(ctx)
	if err != nil {
		return export.Feed{}, fmt.Errorf("reading the token of %s: %w", d.Provider, err)
	}
	count := &counting{next: cmp.Or[http.RoundTripper](f.base.HTTP.Transport, http.DefaultTransport)}
	options := f.base.Options()
	options.MaxBody = f.settings.BodyMiB << 20
	options.HTTP = &http.Client{Timeout: f.base.HTTP.Timeout, Transport: count}
	options.Limiter = f.limits[d.String()]
	feed := export.Feed{
		Shape: d.Shape, Passes: d.Passes, Unordered: d.Unordered, Account: token.Account,
		PageSize: f.settings.PageSize, Traffic: count.traffic,
	}
	switch d.Provider {
	case providers.Yappli:
		return yappliUsers(feed, yappli.New(source, options), token)
	case providers.SHOPLINE:
		return shoplineLists(feed, shopline.New(source, options), d), nil
	case providers.AssistTencho:
		return assistOrders(feed, assisttencho.New(source, options), token)
	}
	client := supersaas.New(source, options)
	if !d.Ranged {
		return supersaasUsers(feed, client), nil
	}
	return f.appointments(ctx, feed, client, d, passes)
}

func yappliUsers(feed export.Feed, client *yappli.Client, token providers.Token) (export.Feed, error) {
	quirks, err := yappli.ParseQuirks(token.Quirks)
	if err != nil {
		return feed, err
	}
	feed.PageSize = cmp.Or(feed.PageSize, quirks.PageSize)
	feed.Paging = export.ByOffset
	if quirks.Paging == yappli.ByPage {
		feed.Paging = export.ByPage
	}
	feed.Source = pages(func(ctx context.Context, q export.Query) ([]byte, error) {
		if quirks.Paging == yappli.ByPage {
			return client.UsersPage(ctx, yappli.UsersQuery{Limit: q.Limit, Page: q.Page})
		}
		return client.UsersPage(ctx, yappli.UsersQuery{Limit: q.Limit, Offset: q.Start})
	})
	return feed, nil
}

func supersaasUsers(feed export.Feed, client *supersaas.Client) export.Feed {
	feed.Paging, feed.PageSize = export.ByOffset, cmp.Or(feed.PageSize, supersaasPage)
	feed.Source = pages(func(ctx context.Context, q export.Query) ([]byte, error) {
		return client.UsersPage(ctx, supersaas.UsersQuery{Limit: q.Limit, Offset: q.Start})
	})
	return feed
}

// appointments reads one schedule after the other, each a pass.
func (f *feeds) appointments(ctx context.Context, feed export.Feed, client *supersaas.Client, d export.Dataset, passes []string) (export.Feed, error) {
	list, err := f.schedules(ctx, client, passes)
	if err != nil {
		return feed, err
	}
	feed.Passes = []export.Pass{}
	for _, s := range list {
		feed.Passes = append(feed.Passes, export.Pass{Name: s.name()})
	}
	feed.Paging, feed.PageSize = export.ByOffset, cmp.Or(feed.PageSize, supersaasPage)
	feed.Source = pages(func(ctx context.Context, q export.Query) ([]byte, error) {
		s := list[q.Pass]
		query := supersaas.AppointmentsQuery{Schedule: s.id, Limit: q.Limit, Offset: q.Start, Slots: s.slots}
		if d.Incremental {
			return client.ChangesPage(ctx, supersaas.ChangesQuery{AppointmentsQuery: query, From: q.From, To: q.To})
		}
		return client.RangePage(ctx, supersaas.RangeQuery{AppointmentsQuery: query, From: q.From.In(f.zone), To: q.To.In(f.zone)})
	})
	return feed, nil
}

// schedules returns those that a run was planned with, those of the settings,
// or all that the account lists.
func (f *feeds) schedules(ctx context.Context, client *supersaas.Client, passes []string) ([]schedule, error) {
	if passes != nil {
		return Settings{Schedules: passes}.schedules()
	}
	if list, err := f.settings.schedules(); err != nil || len(list) > 0 {
		return list, err
	}
	all, err := client.Schedules(ctx)
	if err != nil {
		return nil, err
	}
	var list []schedule
	for _, s := range all {
		list = append(list, schedule{id: s.ID})
	}
	return list, nil
}

func shoplineLists(feed export.Feed, client *shopline.Client, d export.Dataset) export.Feed {
	feed.Paging, feed.PageSize = export.ByCursor, cmp.Or(feed.PageSize, shoplinePage)
	feed.Source = pages(func(ctx context.Context, q export.Query) ([]byte, error) {
		paging := shopline.Paging{PreviousID: q.After, Page: q.Page, PerPage: q.Limit}
		between := shopline.Between{From: q.From, To: q.To}
		if d.Name == "customers" {
			return client.CustomersPage(ctx, shopline.CustomersQuery{Paging: paging, Updated: between})
		}
		search := shopline.OrdersSearch{Paging: paging}
		switch d.Passes[q.Pass].Name {
		case "shipped":
			search.Shipped = between
		case "arrived":
			search.Arrived = between
		case "collected":
			search.Collected = between
		case "returned":
			search.Returned = between
		default:
			return client.OrdersPage(ctx, shopline.OrdersQuery{Paging: paging, Updated: between})
		}
		return client.OrdersSearchPage(ctx, search)
	})
	return feed
}

func assistOrders(feed export.Feed, client *assisttencho.Client, token providers.Token) (export.Feed, error) {
	quirks, err := assisttencho.ParseQuirks(token.Quirks)
	if err != nil {
		return feed, err
	}
	feed.PageSize = min(cmp.Or(feed.PageSize, quirks.Paging.Size), quirks.Paging.Size)
	feed.Paging = map[assisttencho.PagingStyle]export.Paging{
		assisttencho.PagingNone: export.Unpaged, assisttencho.PagingPage: export.ByPage, assisttencho.PagingOffset: export.ByOffset,
	}[quirks.Paging.Style]
	if quirks.Envelope != "" {
		feed.Shape.Lists = strings.Split(quirks.Envelope, ".")
	}
	feed.Source = pages(func(ctx context.Context, q export.Query) ([]byte, error) {
		query := assisttencho.OrdersQuery{Limit: q.Limit}
		if feed.Paging == export.ByOffset {
			query.Offset = q.Start
		} else {
			query.Page = q.Page // 0 where nothing is paged
		}
		return client.OrdersPage(ctx, query)
	})
	return feed, nil
}

// counting counts what a feed's requests meet.
type counting struct {
	next                          http.RoundTripper
	requests, rateLimited, failed atomic.Int64
}

// RoundTrip sends the request and counts the answer.
func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	response, err := c.next.RoundTrip(r)
	switch {
	case r.Context().Err() != nil: // no longer wanted
	case err != nil:
		c.failed.Add(1)
	case response.StatusCode == http.StatusTooManyRequests:
		c.rateLimited.Add(1)
	case response.StatusCode < 200 || response.StatusCode > 299:
		c.failed.Add(1)
	}
	return response, err
}

func (c *counting) traffic() export.Traffic {
	return export.Traffic{Requests: c.requests.Load(), RateLimited: c.rateLimited.Load(), Failed: c.failed.Load()}
}
