// Package assisttencho calls アシスト店長 (Assist Tencho), a Japanese back
// office that gathers the orders of many shops.
//
// # Credential
//
// An operator registers an application under 環境設定 > 外部アプリ連携: a
// name, a redirect URL, and the addresses that may call (none: any). Client id
// and secret appear on saving (画面解説). A person then opens the page of
// AuthorizeURL, logs in as administrator and approves; the provider redirects
// to the registered URL with code and state (認証ページ表示;
// 認可コードを取得):
//
//	page, err := assisttencho.AuthorizeURL(connection, state)
//
// The code is exchanged for a token once only (アクセストークン取得), by an
// Authority:
//
//	grant, err := assisttencho.NewAuthority(nil).Obtain(ctx, connection, secret, code, true)
//
// The grant type of this exchange is "client_credentials", not RFC 6749's
// "authorization_code" (アクセストークン取得). The sample code sends
// redirect_uri too, the table does not list it (アクセストークン取得;
// サンプルコード). expires_in and refresh_token are null in the sample
// (アクセストークン取得). Null reads as "unknown": a person can revoke the
// token at any time (アクセストークン取得), and the vendor's own link between
// two of its products has to be authorized again about once a month (official
// docs). No refresh call is documented. token_type is not looked at, because
// the sample misspells it.
//
// # Calls
//
// A client takes its tokens from a source and needs no more:
//
//	client := assisttencho.New(providers.Fixed(token), nil)
//	order, err := client.GetOrder(ctx, "5")
//	for order, err := range client.Orders(ctx, assisttencho.OrdersQuery{}) {
//		...
//	}
//
// ReadOrders returns one page in the provider's own bytes. Orders are all
// there is: no customers, products or stock (official docs). One address
// serves them, {base}/api/v1/orders.php, and the method says what to do: GET
// reads, POST creates, PUT updates, DELETE deletes (API情報の呼び出し). The
// base URL differs per contract and may carry a path (official docs). The only
// documented parameter is serial_order_id (サンプルコード), and it is the only
// field of an order whose name is certain. The sample that carries it is
// titled PUT, commented POST, and sends GET (サンプルコード). So an Order
// keeps the provider's bytes and decodes into a type of yours.
//
// Request bodies are ASCII: Japanese is written as \uNNNN (API情報の呼び出し),
// characters beyond U+FFFF as a surrogate pair. CreateOrder and UpdateOrder do
// that; answers are ordinary JSON.
//
// # Quirks
//
// List parameters, paging, the envelope around a list, and error bodies are
// not documented. Quirks make each a setting: with its zero value a list is a
// single GET without parameters, and the answer is an array of orders, each
// with a serial_order_id (サンプルコード). Whatever else is answered with
// status 200 is a providers.ErrMalformed, and asked for again. A shop that is
// not paged is read by StreamOrders through a temporary file, in the memory of
// a page.
//
// # Units, time zones, limits
//
// Nothing is documented about the units and zones of an order's fields; they
// pass through untouched. The rate limit is that of the vendor's sister
// products: one request per second, none at the same time, at most 500 records
// in a search (official docs of sister products, unverified for this one). An
// old PHP application may answer an error or its login page with status 200
// (third party, unverified); both are errors here, a login page is
// providers.ErrUnauthorized.
//
// # Sources
//
// Japanese headings in brackets are those of the manual's page on 外部アプリ連携
// (assist-tencho.com/faq/set-config/01-507): 画面解説 describes the form of an
// application, 認証ページ表示 the page of approval, アクセストークン取得 the
// exchange of the code, API情報の呼び出し the calls, サンプルコード the samples.
// "Official docs" are other pages of the manual. What is unverified says so.
package assisttencho
