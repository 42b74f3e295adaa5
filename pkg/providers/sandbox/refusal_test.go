package sandbox_test

import (
	"net/http"
	"strings"
	"testing"

	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// What no handler answers comes in the provider's own shape, as an injected fault, by
// the account's limit, and for a path that is none.
func TestRefusals_HaveTheProvidersShape(t *testing.T) {
	t.Parallel()
	const tooMany = `{"code":"RateLimitExceeded","error":"Rate limit exceeded for attempts to access Open API. please try again later"}`
	for name, c := range map[string]struct {
		sandbox interface {
			Inject(faults ...sandbox.Fault)
			Client() *http.Client
		}
		path                              string
		limited, failing, denied, nowhere string
	}{
		"assisttencho": {
			assisttenchotest.New(sandbox.Options{Rate: -1}), "/api/v1/orders.php",
			`{"error":"rate_limited"}`, `{"error":"unavailable"}`, `{"error":"invalid_token"}`, `{"error":"not_found"}`,
		},
		"yappli": {
			yapplitest.New(sandbox.Options{Rate: -1}), "/api/ext/users",
			`{"error":"rate_limited","error_description":"Too Many Requests"}`, `{"error":"unavailable","error_description":"Service Unavailable"}`,
			`{"error":"invalid_token","error_description":"Unauthorized"}`, `{"error":"not_found","error_description":"Not Found"}`,
		},
		"shopline": {
			shoplinetest.New(sandbox.Options{Rate: -1}), "/v1/orders",
			tooMany, `{"code":"ServiceUnavailable","message":"Service Unavailable"}`,
			`{"code":"Unauthorized","message":"Unauthorized"}`, `{"code":"NotFound","message":"Not Found"}`,
		},
		"actibook": {
			actibooktest.New(sandbox.Options{Rate: -1}), "/api/sso/login",
			`{"error":"rate_limited","message":"Too Many Requests"}`, `{"error":"unavailable","message":"Service Unavailable"}`,
			`{"error":"invalid_token","message":"Unauthorized"}`, `{"error":"not_found","message":"Not Found"}`,
		},
		"supersaas": {
			supersaastest.New(sandbox.Options{Rate: -1}), "/api/users.json",
			`{"errors":[{"status":"429","title":"Too many requests"}]}`, `{"errors":[{"status":"503","title":"Service unavailable"}]}`,
			`{"errors":[{"status":"401","title":"Unauthorized"}]}`, `{"errors":[{"status":"404","title":"Not found"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, refusal := range []struct {
				fault  sandbox.FaultKind
				path   string
				status int
				body   string
			}{
				{sandbox.TooMany, c.path, 429, c.limited}, {sandbox.ServerFail, c.path, 503, c.failing},
				{sandbox.Denied, c.path, 401, c.denied}, {sandbox.None, "/nowhere", 404, c.nowhere},
			} {
				if refusal.fault != sandbox.None {
					c.sandbox.Inject(sandbox.Fault{Kind: refusal.fault})
				}
				method := http.MethodGet
				if name == "actibook" {
					method = http.MethodPost
				}
				status, body, err := fetch(t.Context(), c.sandbox.Client(), method, "http://sandbox.test"+refusal.path)
				if status != refusal.status || strings.TrimSpace(body) != refusal.body || err != nil {
					t.Errorf("%s: %d %s %v, want %s", refusal.path, status, body, err, refusal.body)
				}
			}
		})
	}
}

// The account's own limit answers as an injected 429 does.
func TestRefusals_OfTheLimit(t *testing.T) {
	t.Parallel()
	shop := shoplinetest.New(sandbox.Options{Rate: 1})
	for _, limited := range []bool{false, true} {
		status, body, err := fetch(t.Context(), shop.Client(), http.MethodGet, "http://sandbox.test/v1/orders")
		if (status == http.StatusTooManyRequests) != limited || strings.Contains(body, "RateLimitExceeded") != limited || err != nil {
			t.Errorf("%d %s %v", status, body, err)
		}
	}
}
