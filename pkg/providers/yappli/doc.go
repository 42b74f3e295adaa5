// Package yappli calls the Yappli CRM Open API, which keeps the customers of
// the mobile apps that Yappli runs for shops.
//
// # What it offers
//
// One resource, the member ("顧客"), under {tenant}/api/ext: list, get,
// create, update, and the check of a token with which the app hands its user
// over to another service (顧客一覧; 顧客詳細; 顧客登録; 顧客更新;
// 引き継ぎトークンチェック). Nothing deletes a member; enabled=0 is the
// closest to it. Every tenant has its own address. Requests and answers are
// UTF-8, answers are JSON (リクエスト; レスポンス).
//
// A client takes its token, and with it the tenant's address and quirks, from
// a providers.TokenSource:
//
//	client := yappli.New(source, nil)
//	for member, err := range client.Users(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(member.ID, member.UniqueID, member.Column(1))
//	}
//
// # The credential
//
// Client id and secret come from Yappli's sales with the contract, after the
// shop has told them the caller's IP address (API利用の申し込み); newer
// editions of the official page no longer speak of the address (official
// docs). They buy an access token by the client credentials grant of RFC 6749,
// section 4.4 (認証), which lives for one day (アクセストークンの再発行). Then
// one asks again: the answer holds a refresh token too
// (アクセストークンの取得), but nothing documents a use of it, so Authority
// drops it. Whether a new token ends the old one is not documented; assume
// that it does, and let one program alone obtain tokens.
//
//	authority := yappli.NewAuthority(nil)
//	grant, err := authority.Obtain(ctx, connection, connection.ClientSecrets[0], providers.Secret{}, false)
//
// The table of the token's answer types expires_in as a text, its example
// shows a number (アクセストークンの取得); both are read.
//
// # Writing
//
// Fields name what a request sets, in three states: absent, null, and a text
// that may be empty. An unknown name is refused before anything is sent.
//
//	member, err := client.CreateUser(ctx, yappli.Fields{
//		"unique_id": yappli.Text("shop-0000042"),
//		"column01":  yappli.Text("山田 花子"),
//		"rank":      yappli.Int(1),
//	})
//	...
//	member, err = client.UpdateUser(ctx, member.ID, yappli.Fields{"enabled": yappli.Bool(false)})
//
// Facts and gaps to write by:
//
//   - A creation needs unique_id (顧客登録), although the official example has
//     none (顧客登録). Newer editions are said to make it optional (third
//     party, unverified); this package always sends it.
//   - unique_id is "unique in the customer's system" (顧客一覧), but what a
//     second creation with the same one does is not documented. Look first,
//     and treat an unknown outcome as "perhaps created". Nothing here repeats
//     a creation after one.
//   - An update lists no unique_id (顧客更新), and no request lists point.
//     This package sends neither.
//   - Whether an update keeps the fields that it does not name is not
//     documented: Quirks.Update. With UpdateReplace, carry every field back
//     that Member.Field shows.
//   - Whether an empty text clears a field is not documented either. Only JSON
//     can express a null; other encodings send it as an empty text.
//   - Names, mail addresses and birthdays have no fields of their own: a
//     tenant keeps them in column01 to column50. Both official examples
//     misspell one of these (colmun02; 顧客登録, 顧客更新); column02 is
//     right.
//   - rank, logined and enabled are integers (顧客登録). A password of fewer
//     than 4 characters, and logined=1 without logined_at, are said to be
//     refused (third party, unverified).
//   - The official examples send multipart bodies with -F, for updates too
//     (顧客更新). Newer editions are said to take JSON (third party,
//     unverified): Quirks.Body.
//
// # Reading
//
// The documents disagree with themselves about the shape of answers: the list
// is "members" > "member" > fields, and a single "member" is typed as an array
// but described as an object (顧客一覧; 顧客詳細). Every such form of a single
// member is read, and so is a bare one. A list has one of the forms ShapeTable
// to ShapeArray, the same on all pages of a reading; any other answer is a
// providers.ErrMalformed, and asked for again. The question that requests call
// secret_question comes back as secret_quetion (顧客一覧; 顧客登録). password
// and secret_answer never come back. point_geted_at is spelt so and called a
// memo (顧客一覧).
//
// Times are texts whose form and zone are not documented. Timestamp writes
// "2006-01-02 15:04:05" (third party, unverified) in Japan's time (a guess).
//
// The check of a hand-over token returns the customer according to the prose
// and a status according to the table (引き継ぎトークンチェック).
// CheckHandover reads either and both.
//
// # Lists
//
// Pages are asked for with limit (50 unless said otherwise) and offset
// (顧客一覧), or with page and per_page in newer editions, at most 1000 a page
// (third party, unverified): Quirks.Paging and Quirks.PageSize. No largest
// limit and no order is documented. A tenant that ignores the paging
// parameters is noticed, because its second page begins like its first.
//
// # Limits and errors
//
// No rate limit is published. A client sends at most 2 requests a second
// unless Options.Limiter says otherwise. Failures are documented as 400 and
// 401 with a JSON document of error and error_description
// (アクセストークンの取得); 404, 403, 429 and 5xx are handled as everywhere.
// On a tenant of the older kind an id that nobody has may therefore be a 400
// (ErrInvalid) instead of a 404 (ErrNotFound). A User-Agent is required by
// newer editions (official docs) and always sent.
//
// The sandbox in yapplitest behaves in all these ways, one knob for each.
//
// # Sources
//
// Japanese headings in brackets are those of "Yappli CRM Open API", section
// チュートリアル (yapp.li/crm/developer/tutorial), in the edition that asks for
// the caller's address: 顧客一覧 is the list, 顧客詳細 one member, 顧客登録 a
// creation, 顧客更新 an update, アクセストークンの取得 the token call. "Newer
// editions" are later states of that page. What is unverified says so.
package yappli
