package supersaas_test

import (
	"context"
	"fmt"
	"net/http"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

// salon is an account with two users, and what a caller needs for it.
func salon() (providers.TokenSource, *providers.Options) {
	s := supersaastest.New(sandbox.Options{Records: -1, Rate: -1})
	s.AddUser(map[string]any{"name": "hanako@mail.example", "full_name": "山田 花子", "fk": "123", "field_1": "ヤマダ ハナコ", "phone": nil})
	s.AddUser(map[string]any{"name": "chihming@mail.example", "full_name": "陳志明"})
	return providers.Fixed(s.Token("https://sandbox.test")), &providers.Options{HTTP: s.Client()}
}

func ExampleClient_Users() {
	client := supersaas.New(salon())
	for user, err := range client.Users(context.Background(), supersaas.UsersQuery{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(user.ID, user.FullName)
	}
	// Output:
	// 20450004 陳志明
	// 20450001 山田 花子
}

func ExampleUser_Fields() {
	client := supersaas.New(salon())
	user, err := client.GetUser(context.Background(), supersaas.FK("123"), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	fields := user.Fields()
	for _, name := range []string{"field_1", "phone", "mobile"} {
		value, sent := fields[name]
		fmt.Println(name, value, sent)
	}
	// Output:
	// field_1 ヤマダ ハナコ true
	// phone <nil> true
	// mobile <nil> false
}

func ExampleClient_UpdateUser() {
	client := supersaas.New(salon())
	fields := supersaas.Fields{"mobile": "090-0000-0000"}
	written, err := client.UpdateUser(context.Background(), supersaas.FK("123"), fields, supersaas.WriteOptions{NotFound: supersaas.NotFoundError})
	fmt.Println(written, err)
	_, err = client.UpdateUser(context.Background(), supersaas.FK("124"), fields, supersaas.WriteOptions{NotFound: supersaas.NotFoundError})
	fmt.Println(err)
	// Output:
	// {0 false} <nil>
	// supersaas users.update: not found (status 404)
}

func ExampleClient_LoginURL() {
	client := supersaas.New(salon())
	link, err := client.LoginURL(context.Background(), "個室エステ", "hanako@mail.example")
	fmt.Println(link, err) // link.Reveal() is for the user's browser
	// Output: [redacted] <nil>
}

func ExampleParseWebhook() {
	events, err := supersaas.ParseWebhook([]byte(`{"id":20450117,"full_name":"山田 花子","deleted":true,"event":"change"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range events {
		fmt.Println(e.Object, e.Name, e.UserID, e.Deleted)
	}
	// Output: user change 20450117 true
}

func ExampleClient_CreateHook() {
	s := supersaastest.New(sandbox.Options{Records: -1, Rate: -1})
	client := supersaas.New(providers.Fixed(s.Token("https://sandbox.test")), &providers.Options{HTTP: s.Client()})
	target := providers.NewSecret("https://relay.example/hooks/an-unguessable-secret")
	hook, err := client.CreateHook(context.Background(), supersaas.ChangedUser, "", target)
	fmt.Println(hook.ID, hook.Trigger, hook.Target, err)
	// Output: 3301 M [redacted] <nil>
}

// A sandbox is an http.Handler for other people's clients, too.
func Example_sandbox() {
	s := supersaastest.New(sandbox.Options{Records: 3})
	token := s.Token("https://sandbox.test")
	request, err := http.NewRequest(http.MethodGet, token.BaseURL+"/api/users/20450001.json", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	request.SetBasicAuth(token.Account, token.Credential.Reveal())
	answer, err := s.Client().Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Status, answer.Body.Close())
	// Output: 200 OK <nil>
}
