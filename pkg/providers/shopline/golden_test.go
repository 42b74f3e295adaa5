package shopline_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// The examples are of the documents' published shapes, with invented values:
// "How to get access_token" itself shows no request and no answer.
const (
	customerExample = `{"id":"65f000000000000000000101","name":"王小明","email":"ming@example.test","gender":"male",
 "birth_year":1990,"birth_month":5,"birth_day":12,"birthday":"1990-05-12",
 "phones":[],"phone":null,"mobile_phone":"0900000000","mobile_phone_country_calling_code":"886","mobile_phone_verified":true,
 "locale_code":"zh-hant","order_count":2,
 "orders_total_sum":{"cents":2480,"currency_symbol":"NT$","currency_iso":"TWD","label":"NT$2,480","dollars":2480.0},
 "is_member":true,"is_blacklisted":false,"is_subscribed_marketing_email":true,"credit_balance":100,"member_point_balance":0,
 "custom_data":[],"membership_tier":null,"delivery_addresses":[],"tags":["vip"],"ref_user_id":null,
 "created_by":"shop","created_at":"2026-01-02T03:04:05.678+00:00","updated_at":"2026-10-02T03:04:05.678+00:00","registered_at":"2026-01-02T03:04:05.678+00:00"}`
	orderExample = `{"id":"65f000000000000000000201","order_number":"20261001000000001","status":"confirmed",
 "customer_id":"65f000000000000000000101","customer_name":"王小明","customer_email":"ming@example.test","currency_iso":"TWD",
 "subtotal":{"cents":1240,"currency_symbol":"NT$","currency_iso":"TWD","label":"NT$1,240","dollars":1240.0},
 "total":{"cents":1300,"currency_symbol":"NT$","currency_iso":"TWD","label":"NT$1,300","dollars":1300.0},
 "order_payment":{"payment_type":"custom","status":"completed","paid_at":"2026-10-01T01:00:00.000+00:00","name_translations":{"zh-hant":"轉帳"}},
 "order_delivery":{"id":"65f000000000000000000301","delivery_status":"pending","name_translations":{"zh-hant":"宅配"},"shipped_at":null},
 "subtotal_items":[{"id":"65f000000000000000000401","item_type":"Product","item_id":"65f000000000000000000501","sku":"A-1","quantity":2,
   "item_price":{"cents":620,"currency_symbol":"NT$","currency_iso":"TWD","label":"NT$620","dollars":620.0},
   "title_translations":{"zh-hant":"範例商品","en":"Sample"},"fields_translations":{"zh-hant":["紅"]}}],
 "created_by":"shop","tags":[],"confirmed_at":null,
 "created_at":"2026-10-01T00:59:00.000+00:00","updated_at":"2026-10-01T01:00:00.000+00:00"}`
	tokenInfoExample = `{
  "staff":    {"_id":"64aa00000000000000000001","email":"api@example.test","locale_code":"zh-hant","merchant_ids":["64aa0000000000000000000a"],"name":"API user"},
  "merchant": {"_id":"64aa0000000000000000000a","email":"owner@example.test","handle":"example-shop","name":"Example Shop"},
  "user":     {"_id":"64aa00000000000000000002","email":"api@example.test","name":"API user"}
}`
	tokenExample = `{"access_token":"eyJhbGciOiJIUzI1NiJ9.payload.sig","token_type":"Bearer","expires_in":15778476,
 "refresh_token":"0f0f","scope":"products orders","created_at":1790000000,"resource_owner_id":"64aa0000000000000000000a"}`
)

func unpaced(client *http.Client) *providers.Options {
	o := unhurried(shoplinetest.New(sandbox.Options{Records: -1}))
	o.HTTP, o.Attempts = client, 1
	return o
}

func answered(status int, body string) *shopline.Client {
	return shopline.New(providers.Fixed(providers.Token{BaseURL: base}), unpaced(answering(status, body)))
}

// Every published answer goes through our decoders.
func TestAnswerExamples(t *testing.T) {
	t.Parallel()
	customer, err := answered(200, customerExample).Customer(ctx, "1")
	if err != nil || customer.Name != "王小明" || customer.Phone != "" || len(customer.Phones) != 0 || customer.MobileCallingCode != "886" ||
		!bool(customer.MobileVerified) || customer.OrdersTotal != (shopline.Money{Cents: 2480, Currency: "TWD", Label: "NT$2,480"}) ||
		customer.MembershipTier != nil || customer.Tags[0] != "vip" || customer.BirthMonth != 5 || customer.CreditBalance != 100 ||
		!customer.CreatedAt.Equal(at("2026-01-02T03:04:05.678Z")) || !customer.UpdatedAt.Equal(at("2026-10-02T03:04:05.678Z")) {
		t.Errorf("customer: %+v, %v", customer, err)
	}
	order, err := answered(200, orderExample).Order(ctx, "1")
	if err != nil || order.OrderNumber != "20261001000000001" || order.Total.Cents != 1300 || order.Subtotal.Currency != "TWD" ||
		!order.Payment.PaidAt.Equal(at("2026-10-01T01:00:00Z")) || order.Payment.Name.In("zh-hant") != "轉帳" ||
		order.Delivery.Status != "pending" || !order.Delivery.ShippedAt.IsZero() || !order.ConfirmedAt.IsZero() ||
		len(order.Items) != 1 || order.Items[0].Quantity != 2 || order.Items[0].Price.Cents != 620 || order.Items[0].Title.In("ja", "en") != "Sample" ||
		order.Items[0].Variation["zh-hant"][0] != "紅" {
		t.Errorf("order: %+v, %v", order, err)
	}
	info, err := answered(200, tokenInfoExample).TokenInfo(ctx)
	if err != nil || info.Merchant.Handle != "example-shop" || info.Staff.MerchantIDs[0] != "64aa0000000000000000000a" || info.User.ID != "64aa00000000000000000002" {
		t.Errorf("token info: %+v, %v", info, err)
	}
	c := providers.Connection{Kind: providers.OneTimePair}
	grant, err := shopline.NewAuthority(unpaced(answering(200, tokenExample))).Obtain(ctx, c, providers.Secret{}, providers.NewSecret("c"), true)
	if err != nil || grant.Access.Reveal() != "eyJhbGciOiJIUzI1NiJ9.payload.sig" || grant.Refresh.Reveal() != "0f0f" || grant.Account != "64aa0000000000000000000a" {
		t.Errorf("grant: %+v, %v", grant, err)
	}
	page := `{"items":[` + orderExample + `],"pagination":{"current_page":1,"per_page":24,"total_pages":3,"total_count":61}}`
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(orderExample)); err != nil {
		t.Fatal(err)
	}
	if list, err := answered(200, page).ReadOrders(ctx, shopline.OrdersQuery{}); err != nil || string(list.Bytes(list.Records[0])) != compact.String() || list.Total != 61 {
		t.Errorf("a page's bytes: %s of %d, %v", list.Body, list.Total, err)
	}
}

// Shapes that the schema allows, or slips into.
func TestOddShapes(t *testing.T) {
	t.Parallel()
	order, err := answered(200, `{"id":5,"customer_info":{"a":1},"order_delivery":{"total":{"zh-hant":"免運"}},"order_payment":null,
		"subtotal_items":{"sku":1,"quantity":"3","child_products":{"x":[]},"fields_translations":{"en":"red"}},"tags":null}`).Order(ctx, "1")
	if err != nil || order.ID != "5" || len(order.CustomerInfo) != 1 || len(order.Items) != 1 || order.Items[0].Quantity != 3 ||
		order.Items[0].SKU != "1" || len(order.Items[0].ChildProducts) != 1 || order.Items[0].Variation["en"][0] != "red" || order.Delivery.Total.Cents != 0 {
		t.Errorf("order: %+v, %v", order, err)
	}
	customer, err := answered(200, `{"membership_tier":{"id":"t","level":"2","name_translations":"金卡"},"delivery_addresses":{"city":"臺北市"},
		"phones":["0900000000",null],"custom_data":[{"value":["a"]}],"is_member":"true"}`).Customer(ctx, "1")
	if err != nil || customer.MembershipTier[0].Level != 2 || customer.MembershipTier[0].Name.In("") != "金卡" ||
		customer.DeliveryAddresses[0].City != "臺北市" || len(customer.Phones) != 2 || !bool(customer.IsMember) || string(customer.CustomData[0].Value) != `["a"]` {
		t.Errorf("customer: %+v, %v", customer, err)
	}
}

// The sandbox's own records survive our types.
func TestSandboxRecords(t *testing.T) {
	t.Parallel()
	_, client := open(60)
	var twd, hkd, returned, children int
	for _, o := range collect(t, client.Orders(ctx, shopline.OrdersQuery{})) {
		var lines int64
		for _, i := range o.Items {
			lines += i.Price.Cents * int64(i.Quantity)
			children += len(i.ChildProducts)
		}
		if lines != o.Total.Cents || o.Total.Currency != string(o.Currency) || o.Total.Label == "" {
			t.Errorf("order %s: lines %d, total %+v", o.ID, lines, o.Total)
		}
		switch o.Currency {
		case "TWD":
			twd++
		case "HKD":
			hkd++
		}
		if !o.Delivery.ReturnedAt.IsZero() {
			returned++
		}
	}
	if twd == 0 || hkd == 0 || returned != 1 || children == 0 {
		t.Errorf("%d in TWD, %d in HKD, %d returned, %d child products", twd, hkd, returned, children)
	}
	for _, c := range collect(t, client.Customers(ctx, shopline.CustomersQuery{})) {
		if c.OrderCount != 1 || c.Name == "" || c.CreatedAt.IsZero() || c.MobilePhone == "" {
			t.Errorf("customer %+v", c)
		}
		then := shopline.Between{From: c.UpdatedAt.Time, To: c.UpdatedAt.Time}
		if !slices.Contains(ids(collect(t, client.Customers(ctx, shopline.CustomersQuery{Created: shopline.Between{To: c.CreatedAt.Time}, Updated: then})), customerID), string(c.ID)) {
			t.Errorf("customer %s is not listed at its own times", c.ID)
		}
	}
}

// The documented requests, as raw bytes and without our client. Each file in
// testdata/requests holds the expected status and a fragment of the answer
// in its first line. A request sees a shop of its own; {token}, {code} and
// {refresh} stand for its credentials.
func TestRawRequests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/requests/*.http")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".http"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, request, _ := strings.Cut(string(raw), "\n")
			status, fragment, _ := strings.Cut(strings.TrimPrefix(first, "# "), " ")
			shop := shoplinetest.New(sandbox.Options{Records: 60, Rate: -1})
			got, body := replay(t, shop, request)
			if got != status || !strings.Contains(body, fragment) {
				t.Errorf("%s %s\nwant %s with %s", got, body, status, fragment)
			}
		})
	}
}

// replay fills in a request's credentials and its length, and sends it.
func replay(t *testing.T, shop *shoplinetest.Server, raw string) (status, body string) {
	t.Helper()
	app := shop.AppConnection(base)
	_, refresh := shop.Tokens.Issue(time.Now())
	raw = strings.NewReplacer("{token}", shop.Token(base).Credential.Reveal(), "{code}", app.Code.Reveal(),
		"{refresh}", refresh, "{order}", idOf(t, dump(t, shop).Orders[0]), "{customer}", idOf(t, dump(t, shop).Customers[0])).Replace(raw)
	head, content, _ := strings.Cut(raw, "\n\n")
	content = strings.TrimSpace(content)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", r.Host, ""
	r.Body = io.NopCloser(strings.NewReader(content))
	browser := shop.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status[:3], answer.Header.Get("Location") + string(read)
}

// Every documented shape of an error is told by its status, with a known code
// and none of its text.
func TestErrorShapes(t *testing.T) {
	t.Parallel()
	for body, c := range map[string]struct {
		status int
		want   error
		code   string
	}{
		`{"error":"canary","code":"BadRequest","caused_by":"canary"}`: {400, providers.ErrInvalid, ""},
		`{"message":"canary","code":"Unauthorized","extras":{}}`:      {401, providers.ErrUnauthorized, ""},
		`{"message":"canary","code":"Forbidden","extras":["canary"]}`: {403, providers.ErrForbidden, ""},
		`{"message":"canary","code":"NotFound"}`:                      {404, providers.ErrNotFound, ""},
		`{}`:                                                          {410, providers.ErrGone, ""},
		`{"error":["canary","canary"],"message":null,"code":5}`:       {422, providers.ErrInvalid, ""},
		`{"error":"Rate limit exceeded for attempts to access Open API. please try again later","code":"RateLimitExceeded"}`: {429, providers.ErrRateLimited, "RateLimitExceeded"},
		`{"message":"canary","code":"InternalServerError"}`:                                                                  {500, providers.ErrTemporary, ""},
		`{"message":"canary","code":"ServiceUnavailable","extras":{}}`:                                                       {503, providers.ErrTemporary, ""},
		`<html>canary</html>`: {502, providers.ErrTemporary, ""},
		"\xff\xfe canary":     {401, providers.ErrUnauthorized, ""},
	} {
		_, err := answered(c.status, body).Order(ctx, "65f000000000000000000201")
		var e *providers.Error
		if !errors.Is(err, c.want) || !errors.As(err, &e) || e.Status != c.status || e.Code != c.code || e.Op != "orders.get" || e.Provider != "shopline" {
			t.Errorf("%d %s: %#v", c.status, body, err)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%d: the text of the answer is in %v", c.status, err)
		}
	}
}
