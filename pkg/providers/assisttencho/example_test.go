package assisttencho_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
)

func Example() {
	shop := assisttenchotest.New(sandbox.Options{Records: 120, Rate: -1})
	token := shop.Token("https://shop.example") // in production the token refresher writes it

	client := assisttencho.New(providers.Fixed(token), &providers.Options{HTTP: shop.Client()})
	order, err := client.GetOrder(context.Background(), "5")
	if err != nil {
		log.Fatal(err)
	}
	var fields struct {
		Total int `json:"total"`
	}
	if err := json.Unmarshal(order.Raw, &fields); err != nil {
		log.Fatal(err)
	}
	fmt.Println(order.SerialOrderID, fields.Total)
	// Output: 5 11610
}

func ExampleAuthorizeURL() {
	page, err := assisttencho.AuthorizeURL(providers.Connection{
		BaseURL: "https://asp000.example/shop01", ClientID: "CLIENT_ID", RedirectURI: "https://tool.example/getAuth.php",
	}, "a397aabc")
	fmt.Println(page, err)
	// Output: https://asp000.example/shop01/api/oauth/authorize.php?client_id=CLIENT_ID&redirect_uri=https%3A%2F%2Ftool.example%2FgetAuth.php&response_type=code&scope=read_sales&state=a397aabc <nil>
}

func ExampleAuthority_Obtain() {
	shop := assisttenchotest.New(sandbox.Options{})
	connection := shop.Connection("https://shop.example") // holds the code that a person obtained
	authority := assisttencho.NewAuthority(&providers.Options{HTTP: shop.Client()})

	grant, err := authority.Obtain(context.Background(), connection, connection.ClientSecrets[0], connection.Code, true)
	fmt.Println(grant.Access, grant.ExpiresAt.IsZero(), err)
	_, err = authority.Obtain(context.Background(), connection, connection.ClientSecrets[0], connection.Code, true)
	fmt.Println(err)
	// Output:
	// [redacted] true <nil>
	// assisttencho token.exchange: credential revoked: authorize again (status 400) [invalid_grant]
}

func ExampleClient_CreateOrder() {
	shop := assisttenchotest.New(sandbox.Options{Records: 120, Rate: -1})
	client := assisttencho.New(providers.Fixed(shop.Token("https://shop.example")), &providers.Options{HTTP: shop.Client()})

	// Sent as {"customer_name":"\u5c71\u7530 \u82b1\u5b50"}.
	order, err := client.CreateOrder(context.Background(), map[string]any{"customer_name": "山田 花子"})
	fmt.Println(order.SerialOrderID, err)
	// Output: 121 <nil>
}

func ExampleClient_Orders() {
	shop := assisttenchotest.New(sandbox.Options{Records: 120, Rate: -1})
	shop.Quirks.Paging.Size = 500
	client := assisttencho.New(providers.Fixed(shop.Token("https://shop.example")), &providers.Options{HTTP: shop.Client()})

	n := 0
	for _, err := range client.Orders(context.Background(), assisttencho.OrdersQuery{}) {
		if err != nil {
			log.Fatal(err)
		}
		if n++; n == 100 {
			break
		}
	}
	fmt.Println(n)
	// Output: 100
}
