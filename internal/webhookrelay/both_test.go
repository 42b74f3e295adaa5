package webhookrelay_test

import (
	"net/http"

	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// both sends a request to the sandbox whose host it names, in-process.
type both struct {
	shop *supersaastest.Server
	crm  *yapplitest.Server
}

func (b both) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "yappli.test" {
		return b.crm.Client().Transport.RoundTrip(r)
	}
	return b.shop.Client().Transport.RoundTrip(r)
}
