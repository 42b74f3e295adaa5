package shopline_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// Reading customers over HTTP, from a sandbox instead of the real host.
func Example() {
	shop := shoplinetest.New(sandbox.Options{Seed: 1, Records: 3})
	server := httptest.NewServer(shop)
	defer server.Close()

	client := shopline.New(providers.Fixed(shop.Token(server.URL)), nil)
	for customer, err := range client.Customers(context.Background(), shopline.CustomersQuery{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(customer.ID, customer.OrdersTotal.Currency, customer.OrdersTotal.Cents)
	}
	// Output:
	// 67eb2d6c000000000c000000 TWD 1280
	// 67eb2e4e000000000c000001 HKD 21020
	// 67eb307b000000000c000002 HKD 44280
}

// Orders whose delivery changed are found by the delivery's time, not by
// updated_at.
func ExampleClient_SearchOrders() {
	shop := shoplinetest.New(sandbox.Options{Records: 12})
	client := shopline.New(providers.Fixed(shop.Token("http://shopline.test")), &providers.Options{HTTP: shop.Client()})

	lastWeek := shopline.Between{From: time.Date(2025, 4, 6, 0, 0, 0, 0, time.UTC)}
	for order, err := range client.SearchOrders(context.Background(), shopline.OrdersSearch{Returned: lastWeek}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(order.OrderNumber, order.Delivery.Status, order.Items[0].Title.In("en"))
	}
	// Output:
	// 20250402000000004 returned Coffee Beans <medium> & Filters
}

// A staff token cannot be refreshed; it can be asked whose it is.
func ExampleAuthority_Probe() {
	shop := shoplinetest.New(sandbox.Options{})
	authority := shopline.NewAuthority(&providers.Options{HTTP: shop.Client()})
	connection := shop.Connection("http://shopline.test")

	fmt.Println(authority.Probe(context.Background(), connection, shop.Token("http://shopline.test")))
	connection.Account = "another-shop"
	fmt.Println(authority.Probe(context.Background(), connection, shop.Token("http://shopline.test")))
	// Output:
	// <nil>
	// shopline token.info: credential not accepted (status 200): the token belongs to another merchant than the connection's account
}

// An app sends the merchant to a page, and exchanges the code that comes back.
func ExampleAuthorizeURL() {
	address, err := shopline.AuthorizeURL(providers.Connection{
		Kind: providers.OneTimePair, ClientID: "my-app", RedirectURI: "https://app.example/back",
		Quirks: []byte(`{"scopes":["customers","orders"]}`),
	}, "random state")
	fmt.Println(address, err)
	// Output:
	// https://developers.shoplineapp.com/oauth/authorize?client_id=my-app&redirect_uri=https%3A%2F%2Fapp.example%2Fback&response_type=code&scope=customers+orders&state=random+state <nil>
}
