package shopline_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// What passes is waited out; every order still comes once.
func TestFaultsThatPass(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{
		"429 in seconds": {Kind: "429", RetryAfter: "7"},
		"429 until":      {Kind: "429", RetryAfter: time.Date(2000, 1, 1, 0, 0, 30, 0, time.UTC).Format(http.TimeFormat)},
		"429":            {Kind: "429"},
		"5xx twice":      {Kind: "5xx", Times: 2},
		"HTML":           {Kind: "502-html"},
		"cut before":     {Kind: "dropped"},
		"cut after":      {Kind: "lost"},
		"cut half-way":   {Kind: "reset"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shoplinetest.New(sandbox.Options{Records: 20, Rate: -1})
				client := shopline.New(providers.Fixed(shop.Token(base)), unhurried(shop))
				fault.After = 1
				shop.Inject(fault)
				start := time.Now()
				var got int
				for _, err := range client.Orders(t.Context(), shopline.OrdersQuery{Paging: shopline.Paging{PerPage: 6}}) {
					if err != nil {
						t.Fatalf("%v", err)
					}
					got++
				}
				if got != 20 {
					t.Errorf("%d orders", got)
				}
				if waited := time.Since(start); fault.RetryAfter == "7" && waited < 7*time.Second || strings.HasSuffix(fault.RetryAfter, "GMT") && waited < 25*time.Second {
					t.Errorf("waited %v only", waited)
				}
			})
		})
	}
}

// What does not pass ends a list with one typed error, after the records that
// were read before.
func TestFaultsThatStay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind     sandbox.FaultKind
		want     error
		attempts int
	}{
		"429":     {"429", providers.ErrRateLimited, 4},
		"5xx":     {"5xx", providers.ErrTemporary, 4},
		"reset":   {"reset", providers.ErrTemporary, 4},
		"401":     {"401", providers.ErrUnauthorized, 1},
		"garbage": {"garbage", providers.ErrMalformed, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shoplinetest.New(sandbox.Options{Records: 20, Rate: -1})
				client := shopline.New(providers.Fixed(shop.Token(base)), unhurried(shop))
				shop.Inject(sandbox.Fault{Kind: c.kind, After: 1, Times: -1, RetryAfter: "1"})
				var got int
				var failures []error
				for _, err := range client.Customers(t.Context(), shopline.CustomersQuery{Paging: shopline.Paging{PerPage: 6}}) {
					if err != nil {
						failures = append(failures, err)
						continue
					}
					got++
				}
				if got != 6 || len(failures) != 1 || !errors.Is(failures[0], c.want) {
					t.Errorf("%d customers, then %v", got, failures)
				}
				if n := shop.Count("GET /v1/customers"); n != 1+c.attempts {
					t.Errorf("%d requests, want %d", n, 1+c.attempts)
				}
			})
		})
	}
}

// An answer that is not the documented one is a typed error, never a panic,
// and shows none of its content.
func TestMalformedAnswers(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty": "", "HTML": "<html>canary", "truncated": `{"items":[{"id":"canary"`, "not UTF-8": "{\"items\":[{\"id\":\"canary\xff", "no items": `{"canary":1}`,
		"null items": `{"items":null}`, "an array": `["canary"]`, "an item of text": `{"items":["canary"]}`, "a bad amount": `{"items":[{"id":"1","total":{"cents":"canary"},"orders_total_sum":{"cents":"canary"}}]}`,
		"a bad time": `{"items":[{"id":"1","created_at":"canary"}]}`, "an object for a name": `{"items":[{"id":{"canary":1}}]}`,
		"null at first": `{"items":null,"pagination":{}}`, "one odd item": `{"items":[{"id":"1"},"canary"],"pagination":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			client := answered(200, body)
			var failures []error
			for _, err := range client.Customers(ctx, shopline.CustomersQuery{}) {
				failures = append(failures, err)
			}
			for _, err := range client.SearchOrders(ctx, shopline.OrdersSearch{}) {
				failures = append(failures, err)
			}
			if len(failures) != 2 {
				t.Errorf("%v", failures)
			}
			for _, err := range failures {
				want := providers.ErrMalformed
				if name == "a bad amount" || name == "a bad time" || name == "one odd item" {
					want = providers.ErrInvalid // the list is one, a record of it is not
				}
				if !errors.Is(err, want) || strings.Contains(err.Error(), "canary") {
					t.Errorf("%v", err)
				}
			}
		})
	}
	o := unpaced(answering(200, `{"items":[],"padding":"`+strings.Repeat("x", 100)+`"}`))
	o.MaxBody = 100
	client := shopline.New(providers.Fixed(providers.Token{BaseURL: base}), o)
	if _, err := client.ReadOrders(ctx, shopline.OrdersQuery{}); !errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), "larger than the cap of 100 bytes") {
		t.Errorf("oversized: %v", err)
	}
}

// A server that ignores the cursor is not read for ever.
func TestIgnoredCursor(t *testing.T) {
	t.Parallel()
	var failures []error
	var got int
	for _, err := range answered(200, `{"items":[{"id":"a"},{"id":"b"}]}`).Orders(ctx, shopline.OrdersQuery{}) {
		if err != nil {
			failures = append(failures, err)
			continue
		}
		got++
	}
	if got != 2 || len(failures) != 1 || !errors.Is(failures[0], providers.ErrInvalid) {
		t.Errorf("%d orders, then %v", got, failures)
	}
}

// Singly asked for, an order is there, gone, or unknown.
func TestSingleRecords(t *testing.T) {
	t.Parallel()
	shop, client := open(5)
	order := collect(t, client.Orders(ctx, shopline.OrdersQuery{}))[2]
	id := string(order.ID)
	if got, err := client.Order(ctx, id); err != nil || got.OrderNumber != order.OrderNumber || got.Total != order.Total {
		t.Errorf("order: %+v, %v", got, err)
	}
	customer, err := client.Customer(ctx, string(order.CustomerID))
	if err != nil || customer.Name != order.CustomerName {
		t.Errorf("customer: %+v, %v", customer, err)
	}
	if err := shop.Archive(id); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Order(ctx, id); !errors.Is(err, providers.ErrGone) {
		t.Errorf("archived: %v", err)
	}
	left := ids(collect(t, client.Orders(ctx, shopline.OrdersQuery{})), orderID)
	if len(left) != 4 || slices.Contains(left, id) || len(dump(t, shop).Orders) != 4 {
		t.Errorf("an archived order is in a list: %v", left)
	}
	if err := shop.UpdateOrder(id, map[string]any{"status": "completed"}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Order(ctx, id); !errors.Is(err, providers.ErrGone) {
		t.Errorf("archived and changed: %v", err)
	}
	if _, err := client.Order(ctx, string(order.OrderNumber)); !errors.Is(err, providers.ErrGone) {
		t.Errorf("by its number: %v", err)
	}
	if _, err := client.Customer(ctx, "650000000000000000000000"); !errors.Is(err, providers.ErrNotFound) {
		t.Errorf("unknown customer: %v", err)
	}
	if err := shop.Archive("none"); err == nil {
		t.Error("an unknown order was archived")
	}
}
