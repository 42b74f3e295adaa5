package yappli_test

import (
	"context"
	"errors"
	"fmt"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

func Example() {
	tenant := yapplitest.New(sandbox.Options{Records: 3})
	ctx, http := context.Background(), &providers.Options{HTTP: tenant.Client()}

	connection := tenant.Connection("https://tenant.example")
	grant, err := yappli.NewAuthority(http).Obtain(ctx, connection, connection.ClientSecrets[0], providers.Secret{}, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := yappli.New(providers.Fixed(providers.Token{BaseURL: connection.BaseURL, Credential: grant.Access}), http)
	for member, err := range client.Users(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(member.ID, member.UniqueID, member.Enabled)
	}
	// Output:
	// 1001 shop-0000001 true
	// 1002 shop-0000002 true
	// 1003 shop-0000003 true
}

func ExampleClient_CreateUser() {
	tenant := yapplitest.New(sandbox.Options{Records: -1})
	client := yappli.New(providers.Fixed(tenant.Token("https://tenant.example")), &providers.Options{HTTP: tenant.Client()})
	ctx := context.Background()

	member, err := client.CreateUser(ctx, yappli.Fields{
		"unique_id": yappli.Text("shop-0000042"), "column01": yappli.Text("山田 花子"), "rank": yappli.Int(1),
	})
	fmt.Println(member.ID, member.Column(1), err)

	// Nothing deletes a member; this is the closest to it.
	member, err = client.UpdateUser(ctx, member.ID, yappli.Fields{"enabled": yappli.Bool(false)})
	fmt.Println(member.Enabled, err)

	_, err = client.UpdateUser(ctx, member.ID, yappli.Fields{"colmun02": yappli.Text("2000-12-31")})
	fmt.Println(errors.Is(err, providers.ErrInvalid), err)
	// Output:
	// 1001 山田 花子 <nil>
	// false <nil>
	// true yappli users.update: invalid request or answer: field "colmun02": not a request field
}

func ExampleMember_Field() {
	members, err := yappli.DecodeUsers([]byte(`{"members":[{"member":{"id":1001,"rank":"3","secret_quetion":"好きな色","column01":"","column02":null}}]}`))
	fmt.Println(len(members), err)
	for _, name := range []string{"rank", "secret_question", "column01", "column02"} {
		value, present := members[0].Field(name)
		fmt.Printf("%s %q %v\n", name, value, present)
	}
	// Output:
	// 1 <nil>
	// rank "3" true
	// secret_question "好きな色" true
	// column01 "" true
	// column02 "" false
}
