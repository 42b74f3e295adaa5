package export

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// An Account is what a dataset is opened with.
type Account struct {
	Source   providers.TokenSource
	Token    providers.Token // the present one, for its quirks
	Options  *providers.Options
	PageSize int            // rows asked for at once; 0: the provider's default or quirk
	Zone     *time.Location // in which a range of days is asked for
	// Schedules are the SuperSaaS calendars to read, see ParseSchedule; empty:
	// all that the account lists.
	Schedules []string
	// Passes and Shape are those that the run was planned with; nil and empty:
	// it has not been.
	Passes []string
	Shape  string
}

// The page sizes where neither the settings nor a quirk name one.
const (
	shoplinePage  = 50 // what the provider suggests
	supersaasPage = 250
)

// Open returns the feed of a dataset, as its account's quirks have it.
func (d Dataset) Open(ctx context.Context, a Account) (Feed, error) {
	feed := Feed{Passes: d.Passes, Unordered: d.Unordered, Account: a.Token.Account}
	feed.PageSize, feed.Created = a.PageSize, d.created
	return d.open(ctx, d, feed, a)
}

// created reads when a record was made. A time without a zone, as Yappli's, may
// be that of any place on earth.
func (d Dataset) created(record []byte) (earliest, latest time.Time, ok bool) {
	value, ok := jsonscan.Lookup(record, d.Created)
	if !ok {
		return earliest, latest, false
	}
	text, ok := jsonscan.Text(value)
	if !ok {
		return earliest, latest, false
	}
	if at, ok := readTime(string(text)); ok {
		return at, at, true
	}
	at, ok := readTime(string(text) + "Z")
	return at.Add(-14 * time.Hour), at.Add(12 * time.Hour), ok
}

// A generation is the documented form that a provider's answers have, out of
// several. It is known from the first record on.
type generation struct {
	mu   sync.Mutex
	name string
}

func (g *generation) get() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.name
}

func (g *generation) learn(l jsonscan.List) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.name == "" && len(l.Records) > 0 {
		g.name = l.Shape
	}
}

func openYappliUsers(_ context.Context, _ Dataset, feed Feed, a Account) (Feed, error) {
	quirks, err := yappli.ParseQuirks(a.Token.Quirks)
	if err != nil {
		return feed, err
	}
	client := yappli.New(a.Source, a.Options)
	shape := &generation{name: a.Shape}
	feed.Generation = shape.get
	feed.PageSize = cmp.Or(feed.PageSize, quirks.PageSize)
	feed.Paging = pagination.ByOffset
	if quirks.Paging == yappli.ByPage {
		feed.Paging = pagination.ByPage
	}
	feed.Fetch = func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
		query := yappli.UsersQuery{Limit: q.Limit, Offset: q.Start, Shape: shape.get()}
		if quirks.Paging == yappli.ByPage {
			query.Offset, query.Page = 0, q.Page
		}
		l, err := client.ReadUsers(ctx, query)
		if err == nil {
			shape.learn(l)
		}
		return l, err
	}
	return feed, nil
}

func openSuperSaaSUsers(_ context.Context, _ Dataset, feed Feed, a Account) (Feed, error) {
	client := supersaas.New(a.Source, a.Options)
	feed.Paging, feed.PageSize = pagination.ByOffset, cmp.Or(feed.PageSize, supersaasPage)
	feed.Fetch = func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
		return client.ReadUsers(ctx, supersaas.UsersQuery{Limit: q.Limit, Offset: q.Start})
	}
	return feed, nil
}

// openAppointments reads one schedule after the other, each a pass.
func openAppointments(ctx context.Context, d Dataset, feed Feed, a Account) (Feed, error) {
	client := supersaas.New(a.Source, a.Options)
	list, err := a.schedules(ctx, client)
	if err != nil {
		return feed, err
	}
	feed.Passes = []Pass{}
	for _, s := range list {
		feed.Passes = append(feed.Passes, Pass{Name: s.String()})
	}
	feed.Paging, feed.PageSize = pagination.ByOffset, cmp.Or(feed.PageSize, supersaasPage)
	feed.Fetch = func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
		s := list[q.Pass]
		query := supersaas.AppointmentsQuery{Schedule: s.ID, Limit: q.Limit, Offset: q.Start, Slots: s.Slots}
		if d.Incremental {
			return client.ReadChanges(ctx, supersaas.ChangesQuery{AppointmentsQuery: query, From: q.From, To: q.To})
		}
		return client.ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: query, From: q.From.In(a.Zone), To: q.To.In(a.Zone)})
	}
	return feed, nil
}

// schedules returns those that a run was planned with, those of the settings,
// or all that the account lists.
func (a Account) schedules(ctx context.Context, client *supersaas.Client) ([]Schedule, error) {
	texts := a.Passes
	if texts == nil {
		texts = a.Schedules
	}
	if texts != nil && (a.Passes != nil || len(texts) > 0) {
		return ParseSchedules(texts)
	}
	all, err := client.Schedules(ctx)
	if err != nil {
		return nil, err
	}
	var list []Schedule
	for _, s := range all {
		list = append(list, Schedule{ID: s.ID})
	}
	return list, nil
}

// A Schedule is one calendar of SuperSaaS whose appointments are exported.
type Schedule struct {
	ID    int64
	Slots bool // a capacity schedule
}

// String is the schedule's name as a pass, and its form in the settings.
func (s Schedule) String() string {
	name := strconv.FormatInt(s.ID, 10)
	if s.Slots {
		name += ":slots"
	}
	return name
}

// ParseSchedules reads schedules as String writes them.
func ParseSchedules(texts []string) ([]Schedule, error) {
	list := make([]Schedule, 0, len(texts))
	for _, text := range texts {
		number, kind, typed := strings.Cut(strings.TrimSpace(text), ":")
		id, err := strconv.ParseInt(number, 10, 64)
		if err != nil || id <= 0 || typed && kind != "slots" {
			return nil, errors.New("each entry must be a schedule's number, or number:slots for a capacity schedule")
		}
		list = append(list, Schedule{ID: id, Slots: typed})
	}
	return list, nil
}

func openSHOPLINE(_ context.Context, d Dataset, feed Feed, a Account) (Feed, error) {
	client := shopline.New(a.Source, a.Options)
	feed.Paging, feed.PageSize = pagination.ByCursor, cmp.Or(feed.PageSize, shoplinePage)
	feed.Fetch = func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
		paging := shopline.Paging{PreviousID: q.After, Page: q.Page, PerPage: q.Limit}
		between := shopline.Between{From: q.From, To: q.To}
		if d.Name == "customers" {
			return client.ReadCustomers(ctx, shopline.CustomersQuery{Paging: paging, Updated: between})
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
			return client.ReadOrders(ctx, shopline.OrdersQuery{Paging: paging, Updated: between})
		}
		return client.ReadOrdersSearch(ctx, search)
	}
	return feed, nil
}

func openAssistOrders(_ context.Context, _ Dataset, feed Feed, a Account) (Feed, error) {
	quirks, err := assisttencho.ParseQuirks(a.Token.Quirks)
	if err != nil {
		return feed, err
	}
	client := assisttencho.New(a.Source, a.Options)
	feed.PageSize = min(cmp.Or(feed.PageSize, quirks.Paging.Size), quirks.Paging.Size)
	feed.Paging = map[assisttencho.PagingStyle]pagination.Paging{
		assisttencho.PagingNone: pagination.Unpaged, assisttencho.PagingPage: pagination.ByPage, assisttencho.PagingOffset: pagination.ByOffset,
	}[quirks.Paging.Style]
	feed.Stream = func(ctx context.Context, _ pagination.Query) (pagination.Stream, error) {
		return client.StreamOrders(ctx, assisttencho.OrdersQuery{})
	}
	feed.Fetch = func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
		query := assisttencho.OrdersQuery{Limit: q.Limit, Page: q.Page}
		if feed.Paging == pagination.ByOffset {
			query.Offset, query.Page = q.Start, 0
		}
		return client.ReadOrders(ctx, query)
	}
	return feed, nil
}
