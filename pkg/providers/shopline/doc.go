// Package shopline reads customers and orders of a SHOPLINE shop through the
// Open API of SHOPLINE Taiwan, Hong Kong and South-East Asia
// (open.shopline.io). It is not for the global Admin API of myshopline.com,
// which shares the company's name only.
//
// # Two kinds of token
//
// A staff token is made by a person. The merchant asks SHOPLINE for the Open
// API; then "API Auth" appears under Settings > Staff Settings
// (How to get access_token, 注意). There one makes an administrator with its own
// e-mail address, opens API Auth, ticks the APIs that the token may call,
// chooses "Expired At" or leaves it empty, generates and copies the token
// (Step 1 to Step 6). Without "Expired At" the token never expires, and for a
// partner an expiry is recommended (Step 5), as is one address, and so one
// token, for each partner (使用建議與注意事項). No program can issue or extend such a token
// (official docs: no such endpoint). An expired one is deleted and generated
// again by hand (使用建議與注意事項). Its providers.Connection has the kind
// Static and the token in APIKey; all that can be done is Authority.Probe.
//
// A token may have an IP whitelist of at most 20 entries, each with a name of
// at most 20 characters, which can be entered only once the token exists
// (針對 Open API Token 設定 IP 白名單). Deleting a token deletes the list, and nothing
// carries it over to the next token (使用建議與注意事項): copy the list
// first.
//
// An app of the Developer Center needs no API Auth (注意). It
// has OAuth: a merchant approves the app at AuthorizeURL, the redirect carries
// a code that lives 600 s, and Authority.Obtain exchanges the code, later the
// refresh token, for a pair of tokens (official docs). Its connection has the
// kind OneTimePair. An access token lives 15,778,476 s, which is 182.6 days,
// counted from created_at. Each refresh replaces both tokens, and the refresh
// token dies at most one day after its access token (official docs): refresh
// weeks ahead, and store the whole answer before using it. Two uses of one
// refresh token are assumed to end the pair for good (unverified).
//
//	authority := shopline.NewAuthority(nil)
//	grant, err := authority.Obtain(ctx, connection, connection.ClientSecrets[0], connection.Code, true)
//
// # Reading
//
// A Client takes its token from a providers.TokenSource, so a token that was
// replaced meanwhile is picked up:
//
//	client := shopline.New(source, &providers.Options{UserAgent: "example-shop"})
//	for order, err := range client.Orders(ctx, shopline.OrdersQuery{
//		Updated: shopline.Between{From: since},
//	}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(order.OrderNumber, order.Total.Cents, order.Total.Currency)
//	}
//
// Customers, Orders and SearchOrders follow previous_id, the cursor that
// SHOPLINE recommends for large volumes (official docs); a Paging with a Page
// reads by page number instead. They ask for ascending order of creation,
// because with the documented default, descending, records made during the
// run would push others over a page's edge. They end at an empty page only.
// ReadCustomers, ReadOrders and ReadOrdersSearch return one page in the
// provider's own bytes. An answer that is not
// {"items":[{"id":...}],"pagination":{...}} (official docs, pagination) is a
// providers.ErrMalformed, and asked for again.
//
// # Facts
//
//   - Every time is UTC. Parameters are written 2006-01-02 15:04:05, to the
//     second; answers carry milliseconds and an offset (official docs). Both
//     ends of a Between are inclusive (third party schema), so neighboring
//     ranges share their edge: keep records apart by id. A fraction of a
//     second is rounded outwards, so that no record is missed.
//   - A change of an order's delivery does not touch its updated_at (official
//     docs). OrdersQuery.Updated misses it; OrdersSearch.Shipped, Arrived,
//     Collected and Returned find it.
//   - A page holds 24 records by default and at most 999 where a limit is
//     documented, which is the search; at most 50 are advised (official docs).
//     This package asks for 50 and refuses more than 999. A server may lower
//     the figure without a word.
//   - Search by page number is said to end at 10,000 rows (third party,
//     unverified): ReadOrdersSearch refuses pages beyond it, instead of
//     taking an empty page for the end. The cursor has no such limit.
//   - Unknown parameters are ignored, with status 200 and unfiltered data
//     (third party): a misspelled filter would export the whole shop. Queries
//     are therefore structs with the documented names only.
//   - Money is exact as Cents with Currency. TWD and JPY have no minor unit,
//     so cents equal dollars there; HKD 11.60 is 1160 (official docs).
//   - At most 20 requests a second (official docs); an older rule was 1,000 in
//     5 minutes for one address (official docs of v2.82.16). Clients keep to
//     3 a second, which satisfies both.
//   - The User-Agent must be the handle code, the company's identifier
//     (official docs). Quirks.Handle is sent, else the connection's account
//     if that is a handle, else Options.UserAgent.
//   - 401 stands for a token that is wrong or expired and, so clients report,
//     for a caller outside the IP whitelist; 403 for an API that is not
//     ticked. An order that is archived answers 410, as does anything that is
//     not an order id (third party). Errors say message or error, and code
//     (third party schema); only the status decides.
//   - The schema has slips: objects where arrays are documented, texts where
//     numbers are. The types here accept those that are known.
//
// # Quirks
//
// What differs between shops is a setting in the connection's quirks, not
// code: see Quirks.
//
// # Sources
//
// Steps and Chinese headings in brackets are those of "How to get
// access_token" in the guides of the Open API
// (open-api.docs.shoplineapp.com/docs/getting-started). "Official docs" are the
// other pages there and those of shopline-developers.readme.io; "third party
// schema" is one that others made from SHOPLINE's own. What is unverified says
// so.
package shopline
