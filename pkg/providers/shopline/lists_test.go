package shopline_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// Every way of reading yields every record once, in order of creation.
func TestListsAreComplete(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 7, 30, 31, 999} {
		shop, client := open(31)
		want := dump(t, shop)
		byCursor, byPage := shopline.Paging{PerPage: size}, shopline.Paging{PerPage: size, Page: 1}
		for name, got := range map[string][]string{
			"customers by cursor": ids(collect(t, client.Customers(ctx, shopline.CustomersQuery{Paging: byCursor})), customerID),
			"customers by page":   ids(collect(t, client.Customers(ctx, shopline.CustomersQuery{Paging: byPage})), customerID),
			"orders by cursor":    ids(collect(t, client.Orders(ctx, shopline.OrdersQuery{Paging: byCursor})), orderID),
			"orders by page":      ids(collect(t, client.Orders(ctx, shopline.OrdersQuery{Paging: byPage})), orderID),
			"search by cursor":    ids(collect(t, client.SearchOrders(ctx, shopline.OrdersSearch{Paging: byCursor})), orderID),
			"search by page":      ids(collect(t, client.SearchOrders(ctx, shopline.OrdersSearch{Paging: byPage})), orderID),
		} {
			records := want.Orders
			if strings.HasPrefix(name, "customers") {
				records = want.Customers
			}
			if len(got) != len(records) {
				t.Errorf("%s, %d a page: %d records, want %d", name, size, len(got), len(records))
				continue
			}
			for i, raw := range records {
				if got[i] != idOf(t, raw) {
					t.Errorf("%s, %d a page: record %d is %s, want %s", name, size, i, got[i], idOf(t, raw))
					break
				}
			}
		}
	}
}

// A list goes on from a cursor or a page that an earlier run left.
func TestListsGoOn(t *testing.T) {
	t.Parallel()
	_, client := open(30)
	all := ids(collect(t, client.Orders(ctx, shopline.OrdersQuery{})), orderID)
	after := shopline.Paging{PreviousID: all[9], PerPage: 4}
	if got := ids(collect(t, client.Orders(ctx, shopline.OrdersQuery{Paging: after})), orderID); !slices.Equal(got, all[10:]) {
		t.Errorf("after a cursor: %v", got)
	}
	third := shopline.Paging{Page: 3, PerPage: 10}
	if got := ids(collect(t, client.Orders(ctx, shopline.OrdersQuery{Paging: third})), orderID); !slices.Equal(got, all[20:]) {
		t.Errorf("from page 3: %v", got)
	}
	slices.Reverse(all)
	newest := shopline.Paging{Descending: true, PerPage: 7}
	if got := ids(collect(t, client.Orders(ctx, shopline.OrdersQuery{Paging: newest})), orderID); !slices.Equal(got, all) {
		t.Errorf("descending: %v", got)
	}
	if got := ids(collect(t, client.SearchOrders(ctx, shopline.OrdersSearch{Paging: newest})), orderID); !slices.Equal(got, all) {
		t.Errorf("searched descending: %v", got)
	}
}

// A page is asked for with the documented names, and nothing else.
func TestQueries(t *testing.T) {
	t.Parallel()
	between := shopline.Between{From: at("2026-10-01T08:00:00.9+08:00"), To: at("2026-10-02T08:00:00.1+08:00")}
	for name, c := range map[string]struct {
		fetch func(*shopline.Client) error
		want  url.Values
	}{
		"the defaults": {
			func(c *shopline.Client) error { _, err := c.ReadCustomers(ctx, shopline.CustomersQuery{}); return err },
			url.Values{"sort_by": {"asc"}, "per_page": {"50"}},
		},
		"customers": {
			func(c *shopline.Client) error {
				_, err := c.ReadCustomers(ctx, shopline.CustomersQuery{
					Paging: shopline.Paging{PreviousID: "x", PerPage: 999, Descending: true}, Created: between, Updated: between,
					IncludeFields: []string{"metafields"}, Fields: []string{"id", "name"},
				})
				return err
			},
			url.Values{
				"sort_by": {"desc"}, "per_page": {"999"}, "previous_id": {"x"},
				"created_after": {"2026-10-01 00:00:00"}, "created_before": {"2026-10-02 00:00:01"},
				"updated_after": {"2026-10-01 00:00:00"}, "updated_before": {"2026-10-02 00:00:01"},
				"include_fields[]": {"metafields"}, "fields[]": {"id", "name"},
			},
		},
		"orders": {
			func(c *shopline.Client) error {
				_, err := c.ReadOrders(ctx, shopline.OrdersQuery{
					Paging: shopline.Paging{Page: 2, PerPage: 1}, Updated: shopline.Between{To: at("2026-10-02T00:00:00Z")},
					OrderIDs: []string{"a", "b"}, CustomerID: "c", OnlineOnly: true, IncludeFields: []string{"affiliate_campaign"},
				})
				return err
			},
			url.Values{
				"sort_by": {"asc"}, "per_page": {"1"}, "page": {"2"}, "updated_before": {"2026-10-02 00:00:00"}, "order_ids[]": {"a", "b"},
				"customer_id": {"c"}, "default_visible_channels": {"true"}, "include_fields[]": {"affiliate_campaign"},
			},
		},
		"search": {
			func(c *shopline.Client) error {
				_, err := c.ReadOrdersSearch(ctx, shopline.OrdersSearch{
					Created: between, Updated: between, Shipped: between, Arrived: between, Collected: between, Returned: between,
					Cancelled: between, Paid: between, Query: "q", SearchFields: "f", OrderNumber: "n", CustomerID: "c", CustomerEmail: "e",
					Name: "na", PhoneNumber: "p", TrackingNumber: "t", PromotionID: "pr", ItemID: "i", Status: "s", Statuses: []string{"s1", "s2"},
					PaymentID: "pi", PaymentStatus: "ps", DeliveryOptionID: "do", DeliveryStatus: "ds", DeliveryStatuses: []string{"d1"},
					AffiliateSource: "as", CreatedBy: "cb", IncludeFields: []string{"affiliate_campaign"},
				})
				return err
			},
			searchValues(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			shop, _ := open(3)
			var got url.Values
			o := unhurried(shop)
			o.HTTP.Transport = record{o.HTTP.Transport, &got}
			client := shopline.New(providers.Fixed(shop.Token(base)), o)
			if err := c.fetch(client); err != nil {
				t.Errorf("%v", err)
			}
			if got.Encode() != c.want.Encode() {
				t.Errorf("sent\n%s\nwant\n%s", got.Encode(), c.want.Encode())
			}
		})
	}
}

func searchValues() url.Values {
	want := url.Values{
		"sort_by": {"created_at"}, "order_by": {"asc"}, "per_page": {"50"}, "query": {"q"}, "search_fields": {"f"}, "order_number": {"n"},
		"customer_id": {"c"}, "customer_email": {"e"}, "name": {"na"}, "phone_number": {"p"}, "delivery_data_tracking_number": {"t"},
		"promotion_id": {"pr"}, "item_id": {"i"}, "status": {"s"}, "statuses[]": {"s1", "s2"}, "payment_id": {"pi"}, "payment_status": {"ps"},
		"delivery_option_id": {"do"}, "delivery_status": {"ds"}, "delivery_statuses[]": {"d1"}, "affiliate_data[affiliate_source]": {"as"},
		"created_by": {"cb"}, "include_fields[]": {"affiliate_campaign"},
	}
	for _, name := range []string{"created", "updated", "shipped", "arrived", "collected", "returned", "cancelled", "paid"} {
		want[name+"_after"], want[name+"_before"] = []string{"2026-10-01 00:00:00"}, []string{"2026-10-02 00:00:01"}
	}
	return want
}

// What no server could answer well is refused before it is sent.
func TestRefusedQueries(t *testing.T) {
	t.Parallel()
	shop, client := open(3)
	for name, paging := range map[string]shopline.Paging{
		"size above the maximum": {PerPage: 1000},
		"negative size":          {PerPage: -1},
		"negative page":          {Page: -1},
		"page and cursor":        {Page: 1, PreviousID: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, customers := client.ReadCustomers(ctx, shopline.CustomersQuery{Paging: paging})
			_, orders := client.ReadOrders(ctx, shopline.OrdersQuery{Paging: paging})
			_, search := client.ReadOrdersSearch(ctx, shopline.OrdersSearch{Paging: paging})
			for _, err := range []error{customers, orders, search} {
				if !errors.Is(err, providers.ErrInvalid) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	for _, id := range []string{"", "..", "a/b", "a?b", "a b"} {
		if _, err := client.Order(ctx, id); !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("order %q: %v", id, err)
		}
	}
	if n := shop.Count(""); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// A search by page ends loudly where the provider would end it silently; the
// cursor passes that place.
func TestSearchWindow(t *testing.T) {
	t.Parallel()
	shop, client := open(20)
	shop.SearchWindow = 10
	page := shopline.OrdersSearch{Paging: shopline.Paging{Page: 1, PerPage: 5}}
	if got := collect(t, client.SearchOrders(ctx, page)); len(got) != 10 {
		t.Errorf("by page: %d orders, want those of the window", len(got))
	}
	if got := collect(t, client.SearchOrders(ctx, shopline.OrdersSearch{Paging: shopline.Paging{PerPage: 5}})); len(got) != 20 {
		t.Errorf("by cursor: %d orders", len(got))
	}
	sent := shop.Count("")
	last := shopline.OrdersSearch{Paging: shopline.Paging{Page: 200, PerPage: 50}}
	if _, err := client.ReadOrdersSearch(ctx, last); err != nil {
		t.Errorf("rows 9,951 to 10,000: %v", err)
	}
	last.Page++
	if _, err := client.ReadOrdersSearch(ctx, last); !errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), "page 201 lies beyond the 10000 rows") {
		t.Errorf("row 10,001: %v", err)
	}
	if got := shop.Count("") - sent; got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

// Both ends of a range are included.
func TestRangesAreInclusive(t *testing.T) {
	t.Parallel()
	shop, client := open(-1)
	for id, created := range map[string]string{
		"650000000000000000000001": "2026-10-01T00:00:00.000+00:00",
		"650000000000000000000002": "2026-10-01T00:00:00.001+00:00",
		"650000000000000000000003": "2026-10-02T00:00:00.000+00:00",
		"650000000000000000000004": "2026-10-02T00:00:00.001+00:00",
	} {
		if err := shop.PutCustomer([]byte(`{"id":"` + id + `","created_at":"` + created + `","updated_at":"` + created + `"}`)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		q    shopline.CustomersQuery
		want int
	}{
		"a day":            {shopline.CustomersQuery{Created: shopline.Between{From: at("2026-10-01T00:00:00Z"), To: at("2026-10-02T00:00:00Z")}}, 3},
		"widened at start": {shopline.CustomersQuery{Updated: shopline.Between{From: at("2026-10-01T00:00:00.0005Z")}}, 4},
		"widened at end":   {shopline.CustomersQuery{Updated: shopline.Between{To: at("2026-10-02T00:00:00.0005Z")}}, 4},
		"one instant":      {shopline.CustomersQuery{Created: shopline.Between{From: at("2026-10-02T00:00:00Z"), To: at("2026-10-02T00:00:00Z")}}, 1},
		"nothing":          {shopline.CustomersQuery{Created: shopline.Between{From: at("2026-10-03T00:00:00Z")}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := collect(t, client.Customers(ctx, c.q)); len(got) != c.want {
				t.Errorf("%d customers, want %d", len(got), c.want)
			}
		})
	}
}

// An order whose delivery alone changes is not found by its updated_at, and
// is found by the delivery's own time.
func TestDeliveryTrap(t *testing.T) {
	t.Parallel()
	now := at("2026-11-01T00:00:00Z")
	shop := shoplinetest.New(sandbox.Options{Records: 12, Rate: -1, Now: func() time.Time { return now }})
	client := shopline.New(providers.Fixed(shop.Token(base)), unhurried(shop))
	orders := collect(t, client.Orders(ctx, shopline.OrdersQuery{}))
	today := shopline.Between{From: now}
	for i, c := range []struct {
		status string
		search shopline.OrdersSearch
		at     func(shopline.Delivery) time.Time
	}{
		{"shipped", shopline.OrdersSearch{Shipped: today}, func(d shopline.Delivery) time.Time { return d.ShippedAt.Time }},
		{"arrived", shopline.OrdersSearch{Arrived: today}, func(d shopline.Delivery) time.Time { return d.ArrivedAt.Time }},
		{"collected", shopline.OrdersSearch{Collected: today}, func(d shopline.Delivery) time.Time { return d.CollectedAt.Time }},
		{"returned", shopline.OrdersSearch{Returned: today}, func(d shopline.Delivery) time.Time { return d.ReturnedAt.Time }},
	} {
		id := string(orders[i].ID)
		if err := shop.ChangeDelivery(id, c.status); err != nil {
			t.Fatal(err)
		}
		if got := collect(t, client.Orders(ctx, shopline.OrdersQuery{Updated: today})); len(got) != 0 {
			t.Errorf("%s: updated_after finds %d orders", c.status, len(got))
		}
		got := collect(t, client.SearchOrders(ctx, c.search))
		if len(got) != 1 || string(got[0].ID) != id || string(got[0].Delivery.Status) != c.status {
			t.Fatalf("%s: the search finds %v", c.status, ids(got, orderID))
		}
		if !c.at(got[0].Delivery).Equal(now) || !got[0].Delivery.UpdatedAt.Equal(now) || !got[0].UpdatedAt.Equal(orders[i].UpdatedAt.Time) {
			t.Errorf("%s: delivery %+v, updated at %v", c.status, got[0].Delivery, got[0].UpdatedAt)
		}
	}
	if err := shop.ChangeDelivery(string(orders[0].ID), "lost"); err == nil {
		t.Error("an unknown status was accepted")
	}
	if err := shop.ChangeDelivery("none", "shipped"); err == nil {
		t.Error("an unknown order was accepted")
	}
}

// Each condition of a search reaches the sandbox and selects.
func TestSearchConditions(t *testing.T) {
	t.Parallel()
	_, client := open(60)
	all := collect(t, client.Orders(ctx, shopline.OrdersQuery{}))
	one := all[3] // shipped and arrived, with a tracking number
	for name, c := range map[string]struct {
		q    shopline.OrdersSearch
		want int
	}{
		"order number":    {shopline.OrdersSearch{OrderNumber: string(one.OrderNumber)}, 1},
		"free text":       {shopline.OrdersSearch{Query: string(one.OrderNumber), SearchFields: "order_number"}, 1},
		"customer":        {shopline.OrdersSearch{CustomerID: string(one.CustomerID)}, 1},
		"e-mail":          {shopline.OrdersSearch{CustomerEmail: string(one.CustomerEmail)}, 1},
		"tracking number": {shopline.OrdersSearch{TrackingNumber: string(one.DeliveryData.TrackingNumber)}, 1},
		"item":            {shopline.OrdersSearch{ItemID: string(one.Items[0].ItemID)}, 12},
		"status":          {shopline.OrdersSearch{Status: "cancelled"}, 10},
		"statuses":        {shopline.OrdersSearch{Statuses: []string{"cancelled", "completed"}}, 20},
		"payment status":  {shopline.OrdersSearch{PaymentStatus: "completed"}, 40},
		"delivery status": {shopline.OrdersSearch{DeliveryStatus: "arrived"}, 10},
		"both stages":     {shopline.OrdersSearch{DeliveryStatuses: []string{"shipped", "arrived"}}, 20},
		"affiliate":       {shopline.OrdersSearch{AffiliateSource: "newsletter"}, 30},
		"made by":         {shopline.OrdersSearch{CreatedBy: "pos"}, 0},
		"promotion":       {shopline.OrdersSearch{PromotionID: "none"}, 0},
		"name":            {shopline.OrdersSearch{Name: "nobody"}, 0},
		"telephone":       {shopline.OrdersSearch{PhoneNumber: "none"}, 0},
		"payment method":  {shopline.OrdersSearch{PaymentID: "none"}, 0},
		"delivery option": {shopline.OrdersSearch{DeliveryOptionID: "none"}, 0},
		"cancelled":       {shopline.OrdersSearch{Cancelled: shopline.Between{From: at("2025-01-01T00:00:00Z")}}, 10},
		"paid":            {shopline.OrdersSearch{Paid: shopline.Between{From: at("2025-01-01T00:00:00Z")}}, 40},
		"two conditions":  {shopline.OrdersSearch{Status: "completed", DeliveryStatus: "returned"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := collect(t, client.SearchOrders(ctx, c.q)); len(got) != c.want {
				t.Errorf("%d orders, want %d", len(got), c.want)
			}
		})
	}
	byID := shopline.OrdersQuery{OrderIDs: []string{string(all[1].ID), string(all[4].ID)}, CustomerID: string(all[4].CustomerID)}
	if got := ids(collect(t, client.Orders(ctx, byID)), orderID); !slices.Equal(got, []string{string(all[4].ID)}) {
		t.Errorf("orders by id and customer: %v", got)
	}
}

// A server that lowers the page size without a word loses no record.
func TestClampedPages(t *testing.T) {
	t.Parallel()
	shop, client := open(25)
	shop.ClampPerPage = 10
	if got := collect(t, client.Customers(ctx, shopline.CustomersQuery{})); len(got) != 25 {
		t.Errorf("by cursor: %d customers", len(got))
	}
	if got := collect(t, client.Customers(ctx, shopline.CustomersQuery{Paging: shopline.Paging{Page: 1}})); len(got) != 25 {
		t.Errorf("by page: %d customers", len(got))
	}
	if n := shop.Count("GET /v1/customers"); n != 8 {
		t.Errorf("%d requests, want 4 for each way", n)
	}
}

// Records made and deleted between two pages: the cursor misses none that
// lived through the run, even where the cursor's own record is gone.
func TestEditsBetweenPages(t *testing.T) {
	t.Parallel()
	shop, client := open(30)
	want := ids(collect(t, client.Orders(ctx, shopline.OrdersQuery{})), orderID)
	var pages []int
	var added string
	shop.BetweenPages = func(page int) {
		pages = append(pages, page)
		if page == 2 {
			shop.DeleteOrder(want[9]) // the cursor
			shop.DeleteOrder(want[2])
			added = shop.AddOrder()
		}
	}
	got := ids(collect(t, client.Orders(ctx, shopline.OrdersQuery{Paging: shopline.Paging{PerPage: 10}})), orderID)
	if !slices.Equal(got, append(slices.Clone(want), added)) {
		t.Errorf("read %v, want all that were there, then %s", got, added)
	}
	if !slices.Equal(pages, []int{2, 3, 4, 5}) {
		t.Errorf("hook was called for pages %v", pages)
	}
	shop.DeleteCustomer("none")
	pages = nil
	collect(t, client.Orders(ctx, shopline.OrdersQuery{Paging: shopline.Paging{Page: 1, PerPage: 20}}))
	if !slices.Equal(pages, []int{2, 3}) {
		t.Errorf("by page, hook was called for pages %v", pages)
	}
}

// Three requests a second, however fast the answers come.
func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shop := shoplinetest.New(sandbox.Options{Records: 10})
		client := shopline.New(providers.Fixed(shop.Token(base)), &providers.Options{HTTP: shop.Client()})
		start := time.Now()
		collect(t, client.Customers(t.Context(), shopline.CustomersQuery{Paging: shopline.Paging{PerPage: 1}}))
		if n := shop.Count(""); n != 11 {
			t.Errorf("%d requests, want 11", n)
		}
		if took := time.Since(start).Round(time.Millisecond); took != 3333*time.Millisecond {
			t.Errorf("11 requests took %v, want ten thirds of a second", took)
		}
	})
}

// The sandbox allows the documented 20 requests in a second, and no more.
func TestSandboxRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shop := shoplinetest.New(sandbox.Options{Records: 1})
		o := unhurried(shop)
		o.Attempts = 1
		client := shopline.New(providers.Fixed(shop.Token(base)), o)
		for i := range 21 {
			_, err := client.ReadCustomers(t.Context(), shopline.CustomersQuery{})
			if limited := errors.Is(err, providers.ErrRateLimited); limited != (i == 20) {
				t.Errorf("request %d: %v", i+1, err)
			}
		}
	})
}
