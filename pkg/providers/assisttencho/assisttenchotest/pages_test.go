package assisttenchotest_test

import (
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
)

func TestByHand(t *testing.T) {
	t.Parallel()
	s := assisttenchotest.New(sandbox.Options{Records: 7})
	sandboxtest.Editor(t, s.ByHand(), sandboxtest.Kind{
		Name: "orders",
		New:  map[string]string{"customer_name": "山田 花子", "total": "1980", "items": `[{"price":1.50}]`, "ordered_at": "2026-11-30 12:00:00"},
		Text: []string{"order_code", "status", "customer_name", "customer_kana", "mail", "tel", "address", "payment", "memo"},
	})
}

// Each value has the type that it has in an invented order, and what nobody named stays.
func TestByHand_Types(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	s := assisttenchotest.New(sandbox.Options{Records: 7, Rate: -1, Now: func() time.Time { return now }})
	e := s.ByHand()
	id := s.Insert(map[string]any{"own": map[string]any{"a": 1}, "memo": 5})
	for fields, want := range map[[2]string]string{
		{"total", "x"}: "total is not a number", {"total", `"5"`}: "total is not a number", {"items", "["}: "items is not valid JSON", {"shipping_fee", "[1]"}: "shipping_fee is not a number",
	} {
		if _, err := e.Save("orders", "8", map[string]string{fields[0]: fields[1]}); err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", fields, err, want)
		}
	}
	if _, err := e.Save("orders", "8", map[string]string{"total": "1e2", "items": `[{"a":"<b>"}]`, "memo": "6"}); err != nil {
		t.Fatal(err)
	}
	answer := keepertest.Ask(s, s.Token("").Credential.Reveal(), "GET", "/api/v1/orders.php?serial_order_id=8", "")
	if want := `{"items":[{"a":"<b>"}],"memo":"6","own":{"a":1},"serial_order_id":8,"total":1e2,"updated_at":"2026-11-30 12:00:00"}`; !strings.Contains(answer, want) || id != 8 {
		t.Errorf("order %d: %s, want %s", id, answer, want)
	}
}
