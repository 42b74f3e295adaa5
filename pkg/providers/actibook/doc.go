// Package actibook calls the single sign-on of ActiBookOne, a Japanese service
// for digital books: a shop's own log-in opens the shop's ActiBook site too.
//
// # Credential
//
// The administrator's page "ActiBook SSO連携" issues a client id and a secret;
// there a person also ties a keyword to a group of readers (スタートガイド).
// With these an Authority asks for an access token as often as it likes:
//
//	grant, err := actibook.NewAuthority(nil).Obtain(ctx, connection, secret, providers.Secret{}, false)
//
// The request is JSON, and a token lives 1800 seconds
// (アクセストークン発行); there is no refresh token. The token in the
// documents is a signed JWT whose times have fractions of a second. Its life is taken from expires_in, counted from the
// moment of asking; the JWT is looked into only if expires_in is missing.
//
// # Proxy login
//
// There is one call. It takes parameters, the keyword among them, and answers
// a URL to which the reader's browser is sent (スタートガイド; 代理ログイン):
//
//	client := actibook.New(providers.Fixed(token), nil)
//	redirect, err := client.Login(ctx, map[string]any{"keyword": "members", "user_id": "1001"})
//	...
//	http.Redirect(w, r, redirect.Reveal(), http.StatusFound)
//
// The call creates the site user before it makes the URL (スタートガイド), so
// it is not repeated after an unknown outcome, and there is no call that shows
// without a trace whether a token works. The names inside parameters are shown
// in no copy of the documents, nor is the place of redirect_url in the answer,
// nor the addresses of both calls: token_url and login_url are part of the
// connection, parameters pass through as they are, and redirect_url is looked
// for at the top level and one object down.
//
// The holder of the URL is logged in as the reader. So Login checks that it is
// https and lies under actibookone.com or on a host that the quirks name, and a
// Redirect prints itself as "[redacted]". How long a URL lives, and how often
// it works, is not documented.
//
// # Deep links
//
// To open a certain page and not the site's first, append target_uri, the
// page's URL in Base64 with percent escapes (代理ログイン):
//
//	redirect, err = actibook.DeepLink(redirect, "https://site001.actibookone.com/content/detail?param=...")
//
// The page must lie on the site's own host (代理ログイン); DeepLink refuses
// any other. The documents print a URL of site001 beside the Base64 of the
// same page on mikami-test, so their example itself breaks the
// rule. The content's URL is used byte for byte: its own param may end in "=".
//
// # Quirks, units, limits
//
// Quirks name further hosts, parameters that go with every login, and the name
// of the keyword's parameter. Times in the JWT are Unix seconds. No rate limit,
// error body or status is documented; the client sends one request per second,
// and takes 401 and 403 as a refusal of the token. The tokens look like those of
// Laravel Passport, whose usual failure is 401 invalid_client (third party,
// unverified).
//
// # Sources
//
// Japanese headings in brackets are those of "ActiBookOne API Documents",
// 1.0.0 (dev-contents.actibookone.com/ActiBook_API_Doc): スタートガイド is the
// guide to the start, アクセストークン発行 the token call, 代理ログイン the proxy
// login. What is unverified says so.
package actibook
