// Package supersaas calls SuperSaaS, with which shops and salons take bookings:
// its users, its webhooks and its appointments.
//
// # What it offers
//
// An account has users, the customers, and schedules with appointments. The
// user API reads and writes users (ユーザーAPI): ReadUsers and Users list
// them, GetUser, CreateUser, UpdateUser and DeleteUser treat one. A second
// one, the login API, is a link that opens a schedule for a user who is logged
// in by it (ログインAPI): LoginURL. Hooks, CreateHook and DeleteHook manage
// webhooks, ParseWebhook reads what they send; Changes and Range list
// appointments; Ping, Schedules and FieldList ask about the account.
//
//	client := supersaas.New(source, nil)
//	for user, err := range client.Users(ctx, supersaas.UsersQuery{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(user.ID, user.FullName)
//	}
//
// Only JSON is asked for. The API can answer XML as well
// (ユーザー情報の紹介), which carries nothing more and is not built.
// The guide writes http in its examples; this package goes to https,
// DefaultBaseURL, because the key travels in every request.
//
// # The credential
//
// An account has one API key, made by a person in its settings. It has every
// right, no expiry and no scope, and no call replaces it; making a new one
// ends the old one (official docs). Authority therefore has nothing to obtain,
// and probes instead.
//
// Four ways to send it, chosen by Quirks.Auth:
//
//   - BasicAuth, the default: account name and key, as all official clients do
//     (official clients). The account is its name, not the owner's address.
//   - QueryAuth: account=...&api_key=..., as in all examples of the guide
//     (ユーザー情報の紹介). URLs end in logs, so it is not the
//     default; one integrator reports a key for which Basic was refused.
//   - BearerAuth: with account in the query (one official client).
//   - ChecksumAuth: the MD5 of account, key and login name in place of all
//     three (認証用情報のMD5ハッシュ化). It holds for
//     calls about one user only, and spaces in the account's name count as
//     underscores (official WordPress plug-in). A call needs the login name
//     for it: Name(name), or ID(id).As(name). Calls without one are sent with
//     Basic.
//
// The login link knows checksums only (ログインAPI). Its author found
// none that was accepted but the one of the account's own sample code; try
// a link before relying on it.
//
// # Users and their keys
//
// A user is named by the number that SuperSaaS gave, by a foreign key that
// another system gave, with the suffix fk (ユーザー情報の登録), or by
// login name (third party, unverified):
//
//	user, err := client.GetUser(ctx, supersaas.ID(20450117), false)
//	user, err = client.GetUser(ctx, supersaas.FK("123"), false)
//	user, err = client.GetUser(ctx, supersaas.Name("hanako@mail.example"), false)
//
// A foreign key that a path cannot hold travels as users?id={...fk}
// (ユーザー情報の登録); whether the braces are syntax is not known, so
// Quirks.BareFK leaves them out.
//
// Creation and update are one thing under a foreign key. A creation with a key
// that exists updates its user, unless Duplicate is DuplicateRaise, which
// answers 422 (ユーザー情報の登録). An update with a key that does not
// exist creates a user, unless NotFound is NotFoundError, which answers 404,
// or NotFoundIgnore, which answers success; for an id NotFoundError is the
// default (ユーザー情報の更新).
//
//	written, err := client.UpdateUser(ctx, supersaas.FK("123"),
//		supersaas.Fields{"mobile": "090-0000-0000"},
//		supersaas.WriteOptions{NotFound: supersaas.NotFoundError})
//
// Updates go by PUT, or by POST with WriteOptions.Post
// (ユーザー情報の更新). Fields travel as user[name]=...
// (ユーザー情報の登録) in a form body: the guide shows them in the URL,
// which is Quirks.Body QueryParam, but names, addresses and passwords do not
// belong into URLs. JSONBody is what the official clients send. A created
// user's id comes from the header Location of the 201 (official clients).
//
// Facts about fields:
//
//   - role is 3 for a user, 4 for a superuser, -1 for a blocked one
//     (ユーザー情報編集API).
//   - email is used where the login name is no address (ユーザー情報編集API).
//   - password is only ever written (ユーザー情報編集API).
//   - created_on is UTC (ユーザー情報編集API); so are updated_on and
//     last_login (observed).
//   - country has two letters, ISO 3166-1 (ユーザー情報編集API); timezone is
//     an IANA name (ユーザー情報編集API).
//   - field_1, field_2 and super_field mean what the account says
//     (ユーザー情報編集API): ask FieldList.
//   - credit is points (ユーザー情報編集API), sent as text, "-" for unlimited
//     (observed).
//
// Fields that are empty may be sent as "", as null, or not at all; User.Fields
// keeps the three apart. Numbers may come as text and the other way round.
//
// # Lists
//
// limit and offset page through users (ユーザー情報の紹介); the
// default is 100 and the most 1000, silently (third party, unverified). The
// order looks like that of names and is not documented; there is no filter but
// user[name] and no sorting (ユーザー情報の紹介). An offset counts
// rows: a user that is deleted meanwhile makes the list skip another. So
// compare ids, and stop at an empty page only; Users does the latter. Forms
// come with form=true (ユーザー情報の紹介).
//
// Deleting is soft: people can restore. A deleted user is either a 404 or an
// answer that says deleted (unverified). An id that is free may be read as
// somebody's login name, so GetUser takes an answer with another id for
// ErrNotFound.
//
// # Appointments
//
// Three types of schedule exist: resource, capacity, with slots that hold
// bookings, and service. Calls that a type does not have answer 405 (capacity)
// or 501 (service), both ErrInvalid (official clients). Answers are
// {"bookings":[...]}, {"slots":[...]} or an array (official clients); any other
// answer to a list is a providers.ErrMalformed, and asked for again.
//
// Changes lists by when a booking was changed, deleted ones included, with
// times in UTC; without a start the API sends ten rows, so From is required
// (official docs). Range lists by when a booking takes place, with times as the
// schedule's own clocks show them (observed). Bookings carry both: Start is
// local, to the minute and without a zone, StartUTC is UTC. Price is in cents;
// what that means for yen is not known, so read PriceDecimal.
//
//	from := time.Now().Add(-time.Hour)
//	for booking, err := range client.Changes(ctx, supersaas.ChangesQuery{
//		AppointmentsQuery: supersaas.AppointmentsQuery{Schedule: 555001}, From: from,
//	}) {
//
// # Webhooks
//
// One POST of one JSON object per event, unsigned, without an id of its own;
// retries, order and time-out are not documented. Treat an event as a hint and
// read the user again. ChangedUser fires for every change of a user, new and
// deleted ones included; NewUser fires as well, so register one of them
// (official docs). Changes through the API fire nothing unless
// WriteOptions.Webhook is set (API処理に対してウェブフックをトリガーする), so
// they are seen only by listing. A deletion is an event delete or destroy, or
// any event whose object says deleted (official integration).
//
// Hooks on mails, reminders and follow-ups stop SuperSaaS from sending these
// messages itself (third party); CreateHook does not offer them. An account
// hook's parent_id is the account's name (official integrations);
// Quirks.HookParent sends something else where a name is refused. A target on
// localhost is refused with 400 (official integration).
//
// # Limits and errors
//
// No limit is published; the official clients hold themselves to 4 requests in
// a second, and so does this one. 400 means an attribute that the API does not
// know, 401 and 403 a wrong credential, 404 no such user, 422 a broken rule or a
// duplicate (official clients).
//
// # Sources
//
// Japanese headings in brackets are those of the guide "ユーザーAPI" of
// notebook.folder.jp (advance-api-user.html), which SuperSaaS does not write:
// ログインAPI is the login link, ユーザー情報編集API the table of fields, and
// its sections 紹介, 登録 and 更新 tell how to read, create and update users.
// "Official docs" are the pages of www.supersaas.com/info/dev, "official
// clients" and "official integration" are programs that SuperSaaS publishes,
// "observed" is seen in real answers. What is unverified says so.
package supersaas
