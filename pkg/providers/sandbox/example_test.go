package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

// A test of one's own code against a provider's sandbox: here it creates a
// customer of SuperSaaS, reads it back, and sees what a failure looks like.
func Example() {
	ctx := context.Background()
	shop := supersaastest.New(sandbox.Options{Records: 20})
	server := httptest.NewServer(shop)
	defer server.Close()
	client := supersaas.New(providers.Fixed(shop.Token(server.URL)), nil)

	customer := supersaas.Fields{"name": "hanako.new@mail.example", "full_name": "山田 花子"}
	written, err := client.CreateUser(ctx, "", customer, supersaas.WriteOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	user, err := client.GetUser(ctx, supersaas.ID(written.ID), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(user.Name, user.FullName)

	shop.Inject(sandbox.Fault{Kind: sandbox.Denied, Times: -1})
	_, err = client.GetUser(ctx, supersaas.ID(written.ID), false)
	fmt.Println(errors.Is(err, providers.ErrUnauthorized))
	// Output:
	// hanako.new@mail.example 山田 花子
	// true
}
