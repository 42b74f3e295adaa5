package assisttenchotest_test

import (
	"testing"
	"time"

	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
)

func TestTroubles(t *testing.T) {
	t.Parallel()
	const token = "token-that-a-person-has-pasted"
	s := assisttenchotest.New(sandbox.Options{Records: 9, Rate: -1})
	s.Quirks.Paging.Size, s.Quirks.Paging.OffsetParameter, s.Quirks.Paging.SizeParameter = 3, "offset", "limit"
	s.Tokens.Accept(token, time.Time{})
	sandboxtest.Troubles(t, s, func() string {
		return keepertest.Ask(s, token, "GET", "/api/v1/orders.php?limit=3", "") + keepertest.Ask(s, token, "GET", "/api/v1/orders.php?limit=3&offset=3", "") +
			keepertest.Ask(s, token, "GET", "/api/v1/orders.php?serial_order_id=4", "")
	})
}
