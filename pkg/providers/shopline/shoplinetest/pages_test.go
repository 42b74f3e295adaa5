package shoplinetest_test

import (
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

func TestByHand(t *testing.T) {
	t.Parallel()
	s := shoplinetest.New(sandbox.Options{Records: 7})
	sandboxtest.Editor(t, s.ByHand(),
		sandboxtest.Kind{
			Name: "customers", New: map[string]string{"name": "陳 淑芬", "email": "a@mail.example", "gender": "female", "is_blacklisted": "true", "credit_balance": "-5"},
			Text: []string{"name", "email", "birthday", "mobile_phone", "memo", "line_id", "ref_user_id"},
		},
		sandboxtest.Kind{
			Name: "orders", New: map[string]string{"customer_name": "陳 淑芬", "order_payment.status": "completed", "order_delivery.delivery_status": "shipped", "delivery_data.tracking_number": "SF0"},
			Text: []string{"customer_id", "customer_name", "customer_email", "customer_phone", "delivery_data.tracking_number", "order_remarks"},
		})
}

// What is changed by hand is served by the API, with the times that hang on it: a change
// of the delivery alone is the trap that leaves updated_at as it was.
func TestByHand_Served(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	s := shoplinetest.New(sandbox.Options{Records: 7, Rate: -1, Now: func() time.Time { return now }})
	e := s.ByHand()
	made := now
	id, err := e.Save("orders", "", map[string]string{"customer_name": "陳"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ field, value, updated, also string }{
		{"order_delivery.delivery_status", "shipped", "2026-11-30T03:00:00", `"shipped_at":"2026-11-30T04:00:00.000+00:00"`},
		{"order_payment.status", "completed", "2026-11-30T05:00:00", `"paid_at":"2026-11-30T05:00:00.000+00:00"`},
		{"status", "confirmed", "2026-11-30T06:00:00", `"confirmed_at":"2026-11-30T06:00:00.000+00:00"`},
		{"order_remarks", "<b>", "2026-11-30T07:00:00", `"order_remarks":"<b>"`},
	} {
		now = now.Add(time.Hour)
		if _, err := e.Save("orders", id, map[string]string{c.field: c.value}); err != nil {
			t.Fatal(err)
		}
		answer := keepertest.Ask(s, s.Token("").Credential.Reveal(), "GET", "/v1/orders/"+id, "")
		if !strings.Contains(answer, `"updated_at":"`+c.updated) || !strings.Contains(answer, c.also) {
			t.Errorf("%s: %s", c.field, answer)
		}
	}
	list := keepertest.Ask(s, s.Token("").Credential.Reveal(), "GET", "/v1/orders?created_after="+made.Format("2006-01-02T15:04:05Z"), "")
	if !strings.Contains(list, id) {
		t.Errorf("a list from %v on lacks the order: %s", made, list)
	}
	for fields, want := range map[[2]string]string{{"credit_balance", "x"}: "credit_balance is not an integer", {"is_member", "yes"}: "is_member must be one of true, false"} {
		customers, _, _ := e.List("customers", sandbox.RecordQuery{Length: 1})
		if _, err := e.Save("customers", customers[0].ID, map[string]string{fields[0]: fields[1]}); err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", fields, err, want)
		}
	}
}
