package assisttenchotest_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

type step = keepertest.Step[*assisttenchotest.Server]

// Everything that a client or a person can tell outlives the process.
func TestKeeper(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	open := func(k sandbox.Keeper) *assisttenchotest.Server {
		now = now.Add(time.Second)
		at := now
		s := assisttenchotest.New(sandbox.Options{Seed: uint64(now.Second()), Records: 11 + now.Second(), Rate: -1, Keeper: k, Now: func() time.Time { return at }})
		s.Quirks.RefreshGrant = true
		return s
	}
	var access, refresh []string
	look := func(s *assisttenchotest.Server) string {
		var b strings.Builder
		fmt.Fprintln(&b, s.Tokens.Issued(), s.Tokens.Redeemed())
		for _, token := range access {
			b.WriteString(keepertest.Ask(s, token, "GET", "/api/v1/orders.php?serial_order_id=1", ""))
		}
		return b.String()
	}
	code := ""
	exchange := func(name, grant, field string, value func() string) step {
		return step{Name: name, Do: func(s *assisttenchotest.Server) {
			form := url.Values{"client_id": {s.ClientID}, "client_secret": {s.ClientSecret}, "grant_type": {grant}, field: {value()}}
			r := httptest.NewRequest("POST", "http://sandbox.test/api/oauth/token.php", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if found := regexp.MustCompile(`AT-[^"]+`).FindString(w.Body.String()); found != "" {
				access, refresh = append(access, found), append(refresh, regexp.MustCompile(`RT-[^"]+`).FindString(w.Body.String()))
			} else if s.Err() == nil {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}}
	}
	made := map[string]bool{}
	order := func(name, method, query, body string) step {
		return step{Name: name, Do: func(s *assisttenchotest.Server) {
			answer := keepertest.Ask(s, access[len(access)-1], method, "/api/v1/orders.php"+query, body)
			if s.Err() == nil && !strings.HasPrefix(answer, "200 ") {
				t.Errorf("%s: %s", name, answer)
			}
			if id := regexp.MustCompile(`"serial_order_id":(\d+)`).FindStringSubmatch(answer); method == "POST" && id != nil {
				if made[id[1]] {
					t.Errorf("%s: the number %s was given before", name, id[1])
				}
				made[id[1]] = true
			}
		}}
	}
	// A code that the killed process gave is given again, but it was never seen.
	authorize := func(s *assisttenchotest.Server) {
		if given := s.Authorize(); s.Err() == nil {
			if given == code {
				t.Errorf("the code %s was given before", code)
			}
			code = given
		}
	}
	keepertest.Steps(t, open, look, []step{
		{Name: "authorize", Do: func(s *assisttenchotest.Server) { authorize(s); s.Tokens.Issue(now) }},
		exchange("exchange", "client_credentials", "code", func() string { return code }),
		{Name: "authorize again", Do: func(s *assisttenchotest.Server) { authorize(s); s.Tokens.Issue(now) }},
		exchange("refresh", "refresh_token", "refresh_token", func() string { return refresh[0] }),
		order("create", "POST", "", `{"customer_name":"\u003cb\u003e\u5c71\u7530\u0001","items":[{"price":1.50}]}`),
		order("create another", "POST", "", `{"memo":null}`),
		order("change an invented one", "PUT", "?serial_order_id=10", `{"memo":"x","big":12345678901234567890}`),
		order("change it again", "PUT", "?serial_order_id=10", `{"memo":"y"}`),
		order("delete an invented one", "DELETE", "?serial_order_id=9", ""),
		{Name: "delete the last", Do: func(s *assisttenchotest.Server) { s.Delete(14) }},
		order("create after it", "POST", "", `{"memo":"z"}`),
		{Name: "revoke", Do: func(s *assisttenchotest.Server) { s.Tokens.Revoke(access[0]) }},
		{Name: "make by hand", Do: func(s *assisttenchotest.Server) {
			_, _ = s.ByHand().Save("orders", "", map[string]string{"memo": "hand"})
		}},
		{Name: "change by hand", Do: func(s *assisttenchotest.Server) {
			_, _ = s.ByHand().Save("orders", "5", map[string]string{"memo": "by hand"})
		}},
		{Name: "delete by hand", Do: func(s *assisttenchotest.Server) { _ = s.ByHand().Delete("orders", "5") }},
		{Name: "replace all", Do: func(s *assisttenchotest.Server) {
			if err := s.Load(strings.NewReader(`{"orders":[{"serial_order_id": 40, "a": "<b>"}]}`)); err != nil {
				t.Error(err)
			}
		}},
		order("create after that", "POST", "", `{"memo":"late"}`),
	})
}
