package actibook_test

import (
	"context"
	"fmt"
	"log"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook"
	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/sandbox"
)

func Example() {
	const base = "http://127.0.0.1:8080"
	site := actibooktest.New(sandbox.Options{})
	client := actibook.New(providers.Fixed(site.Token(base)), &providers.Options{HTTP: site.Client()})

	redirect, err := client.Login(context.Background(), map[string]any{"keyword": "members", "user_id": "1001"})
	if err != nil {
		log.Fatal(err)
	}
	redirect, err = actibook.DeepLink(redirect, base+"/content/detail?param=eyJjb250ZW50TnVtIjoyNTk1OTd9&detailFlg=0&pNo=1")
	fmt.Println(redirect, err) // send the browser to redirect.Reveal()
	// Output: [redacted] <nil>
}

func ExampleAuthority_Obtain() {
	site := actibooktest.New(sandbox.Options{})
	connection := site.Connection("http://127.0.0.1:8080")
	authority := actibook.NewAuthority(&providers.Options{HTTP: site.Client()})

	grant, err := authority.Obtain(context.Background(), connection, connection.ClientSecrets[0], providers.Secret{}, false)
	fmt.Println(grant.Access, grant.ExpiresAt.Sub(grant.ObtainedAt), err)
	// Output: [redacted] 30m0s <nil>
}

func ExampleTargetURI() {
	fmt.Println(actibook.TargetURI("https://site001.actibookone.com/コンテンツ?x=~~~???>>>"))
	// Output: aHR0cHM6Ly9zaXRlMDAxLmFjdGlib29rb25lLmNvbS%2FjgrPjg7Pjg4bjg7Pjg4Q%2FeD1%2Bfn4%2FPz8%2BPj4%3D
}

func ExampleDeepLink() {
	redirect := actibook.Redirect{Secret: providers.NewSecret("https://site001.actibookone.com/sso/login/xxxxxxxxxxxxxxxxxxxxx")}
	_, err := actibook.DeepLink(redirect, "https://other.actibookone.com/content/detail")
	fmt.Println(err)
	// Output: making a deep link: invalid request or answer: the page does not lie on the site of the redirect URL
}
