package shopline_test

import (
	"context"
	"net/http"
	"testing"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/shopline"
)

// TestLists_Lies tells every lie about every list.
func TestLists_Lies(t *testing.T) {
	t.Parallel()
	client := func(h *http.Client) *shopline.Client {
		o := unpaced(h)
		o.Attempts = 0
		return shopline.New(providers.Fixed(providers.Token{BaseURL: base}), o)
	}
	good := `{"items":[{"id":"65f000000000000000000101","name":"é"},{"id":"65f000000000000000000102","name":"é"}],"pagination":{"current_page":1,"per_page":24,"total_pages":1,"total_count":2}}`
	for name, read := range map[string]func(context.Context, *http.Client) (jsonscan.List, error){
		"customers": func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
			return client(h).ReadCustomers(ctx, shopline.CustomersQuery{})
		},
		"customers after one": func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
			return client(h).ReadCustomers(ctx, shopline.CustomersQuery{Paging: shopline.Paging{PreviousID: "65f000000000000000000100"}})
		},
		"orders": func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
			return client(h).ReadOrders(ctx, shopline.OrdersQuery{})
		},
		"search": func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
			return client(h).ReadOrdersSearch(ctx, shopline.OrdersSearch{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			canned.TestList(t, canned.List{Name: name, Key: "items", Good: good, Read: read})
		})
	}
}

// The total is of the whole list only where no previous id was sent.
func TestLists_Totals(t *testing.T) {
	t.Parallel()
	body := `{"items":[{"id":"1"}],"pagination":{"current_page":1,"per_page":50,"total_pages":2,"total_count":61}}`
	for paging, want := range map[shopline.Paging]int{{}: 61, {Page: 2}: 61, {PerPage: 10, Descending: true}: 61, {PreviousID: "65f000000000000000000100"}: -1} {
		c := answered(200, body)
		customers, err1 := c.ReadCustomers(ctx, shopline.CustomersQuery{Paging: paging})
		orders, err2 := c.ReadOrders(ctx, shopline.OrdersQuery{Paging: paging})
		found, err3 := c.ReadOrdersSearch(ctx, shopline.OrdersSearch{Paging: paging})
		for _, l := range []jsonscan.List{customers, orders, found} {
			if l.Total != want || l.Shape != "items" || len(l.Records) != 1 {
				t.Errorf("%+v: total %d of shape %q, want %d (%v %v %v)", paging, l.Total, l.Shape, want, err1, err2, err3)
			}
		}
	}
	for body, want := range map[string]string{
		`{"items":[],"pagination":{"total_count":0}}`: "empty", `{"items":null,"pagination":{"total_count":61}}`: "null", `{"items":null}`: "fault",
	} {
		list, err := answered(200, body).ReadOrders(ctx, shopline.OrdersQuery{})
		got := "empty"
		switch {
		case err != nil:
			got = "fault"
		case list.Null:
			got = "null"
		}
		if got != want || len(list.Records) != 0 {
			t.Errorf("%s: %s, %v", body, got, err)
		}
	}
}
