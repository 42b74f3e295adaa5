package shoplinetest_test

import (
	"testing"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

func TestTroubles(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"customers", "orders"} {
		s := shoplinetest.New(sandbox.Options{Records: 9, Rate: -1})
		token := s.Token("").Credential.Reveal()
		all := customers(s)
		if kind == "orders" {
			all = orders(s)
		}
		sandboxtest.Troubles(t, s, func() string {
			return keepertest.Ask(s, token, "GET", "/v1/"+kind+"?per_page=3&sort_by=asc", "") + keepertest.Ask(s, token, "GET", "/v1/"+kind+"?per_page=3&sort_by=asc&previous_id="+all[2], "") +
				keepertest.Ask(s, token, "GET", "/v1/"+kind+"?per_page=3&sort_by=asc&page=2", "") + keepertest.Ask(s, token, "GET", "/v1/"+kind+"/"+all[4], "")
		})
	}
}
