package shopline_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// A dump holds every record as the lists serve it, and loads into an equal
// shop.
func TestDumpAndLoad(t *testing.T) {
	t.Parallel()
	shop, client := open(9)
	odd := `{"id":"ffffffffffffffffffffffff", "order_number" : 12345678901234567890,"price":1.10e2,"text":"\u5bb6<&>","text":"twice","created_at":"never","total":[]}`
	if err := shop.PutOrder([]byte(odd)); err != nil {
		t.Fatal(err)
	}
	body, err := client.ReadOrders(ctx, shopline.OrdersQuery{})
	if compact := strings.ReplaceAll(odd, " ", ""); err != nil || !strings.Contains(string(body.Body), compact+"\n") {
		t.Errorf("a record's own bytes are changed: %v in %s", err, body.Body)
	}
	var first, second strings.Builder
	if err := shop.Dump(&first); err != nil {
		t.Fatal(err)
	}
	other, otherClient := open(-1)
	if err := other.Load(strings.NewReader(first.String())); err != nil {
		t.Fatal(err)
	}
	if err := other.Dump(&second); err != nil || first.String() != second.String() {
		t.Errorf("a loaded shop dumps otherwise: %v", err)
	}
	for i, raw := range dump(t, shop).Customers {
		body, err := otherClient.ReadCustomers(ctx, shopline.CustomersQuery{Paging: shopline.Paging{Page: i + 1, PerPage: 1}})
		if err != nil || len(body.Records) != 1 || string(body.Records[0].ID) != idOf(t, raw) || body.Total != 9 {
			t.Errorf("customer %d: %+v, %v", i, body, err)
		}
	}
	for name, bad := range map[string]string{"no JSON": "{", "no id": `{"orders":[{"name":"x"}]}`, "no object": `{"customers":[5]}`} {
		t.Run(name, func(t *testing.T) {
			if err := other.Load(strings.NewReader(bad)); err == nil {
				t.Error("loaded")
			}
		})
	}
	if err := other.PutCustomer([]byte(`{`)); err == nil {
		t.Error("broken JSON was put")
	}
}

// Equal seeds make equal shops, whatever their size.
func TestEqualSeedsMakeEqualShops(t *testing.T) {
	t.Parallel()
	small, _ := open(3)
	large, _ := open(30)
	for i, raw := range dump(t, small).Orders {
		if string(raw) != string(dump(t, large).Orders[i]) {
			t.Errorf("order %d differs", i)
		}
	}
	other := shoplinetest.New(sandbox.Options{Seed: 8, Records: 3})
	if string(dump(t, other).Customers[0]) == string(dump(t, small).Customers[0]) {
		t.Error("another seed makes the same customer")
	}
}

// An edit by hand is what the next list shows, with a new updated_at.
func TestEditsByHand(t *testing.T) {
	t.Parallel()
	now := at("2026-11-22T01:02:03.004Z")
	shop := shoplinetest.New(sandbox.Options{Records: 4, Rate: -1, Now: func() time.Time { return now }})
	client := shopline.New(providers.Fixed(shop.Token(base)), unhurried(shop))
	customer := collect(t, client.Customers(ctx, shopline.CustomersQuery{}))[1]
	if err := shop.UpdateCustomer(string(customer.ID), map[string]any{"name": "新名字"}); err != nil {
		t.Fatal(err)
	}
	got := collect(t, client.Customers(ctx, shopline.CustomersQuery{Updated: shopline.Between{From: now}}))
	if len(got) != 1 || got[0].ID != customer.ID || got[0].Name != "新名字" || !got[0].UpdatedAt.Equal(now) || got[0].OrdersTotal != customer.OrdersTotal {
		t.Errorf("changed customer: %+v", got)
	}
	if err := shop.UpdateCustomer("none", nil); err == nil {
		t.Error("an unknown customer was changed")
	}
	shop.DeleteCustomer(string(customer.ID))
	if left := collect(t, client.Customers(ctx, shopline.CustomersQuery{})); len(left) != 3 {
		t.Errorf("%d customers after a deletion", len(left))
	}
	id := shop.AddOrder()
	order, err := client.Order(ctx, id)
	if err != nil || !order.CreatedAt.Equal(now) || order.Status != "pending" {
		t.Errorf("added order: %+v, %v", order, err)
	}
	bare := `{"id":"` + strings.Repeat("a", 24) + `","created_at":"2026-11-22T00:00:00.000+00:00"}`
	if err := shop.PutOrder([]byte(bare)); err != nil {
		t.Fatal(err)
	}
	if err := shop.ChangeDelivery(strings.Repeat("a", 24), "shipped"); err != nil {
		t.Fatal(err)
	}
	if order, err := client.Order(ctx, strings.Repeat("a", 24)); err != nil || !order.Delivery.ShippedAt.Equal(now) {
		t.Errorf("an order without a delivery: %+v, %v", order, err)
	}
}

// A client with a User-Agent of its own is served, unless the shop insists on
// its handle; one without any is refused.
func TestForeignAgent(t *testing.T) {
	t.Parallel()
	shop, _ := open(1)
	token := shop.Token(base)
	token.Account = ""
	client := shopline.New(providers.Fixed(token), unhurried(shop))
	if _, err := client.TokenInfo(ctx); err == nil {
		t.Error("a caller without the handle was served")
	}
	shop.Do(func() { shop.StrictAgent = false })
	if info, err := client.TokenInfo(ctx); err != nil || info.Merchant.ID != shoplinetest.MerchantID || info.Merchant.Handle != shoplinetest.Handle {
		t.Errorf("%+v, %v", info, err)
	}
	for agent, status := range map[string]int{"curl/8.5.0": 200, "Go-http-client/1.1": 200, shoplinetest.Handle: 200, "": 400} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", base+"/v1/token/info", nil)
		r.Header.Set("Authorization", "Bearer "+token.Credential.Reveal())
		r.Header.Set("User-Agent", agent)
		w := httptest.NewRecorder()
		shoplinetest.New(sandbox.Options{Records: 1}).ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("User-Agent %q: %d %s", agent, w.Code, w.Body)
		}
	}
}
