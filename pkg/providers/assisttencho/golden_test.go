package assisttencho_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/sandbox"
)

// The documents' sample application is registered with these.
func sampleShop() *assisttenchotest.Server {
	s := assisttenchotest.New(sandbox.Options{Records: 9, Rate: -1})
	s.ClientID, s.ClientSecret, s.RedirectURI = "XXXXX", "XXXXX", "http://example.com/index.php"
	return s
}

// 認証ページ表示, the example of an authorization URL, which lacks
// the /api of the table.
func TestReplayAuthorizeExample(t *testing.T) {
	t.Parallel()
	s := sampleShop()
	s.ClientID, s.RedirectURI = "CLIENT_ID", "REDIRECT_URL"
	const query = "?client_id=CLIENT_ID&redirect_uri=REDIRECT_URL&response_type=code&scope=read_sales&state=a397aabc602f7e296db23b0717edd1fda06c345f"
	for _, path := range []string{"/oauth/authorize.php", "/api/oauth/authorize.php"} {
		answer := replay(t, s, "GET "+path+query+" HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/html; charset=UTF-8" {
			t.Errorf("%s: status %d, type %s", path, answer.StatusCode, answer.Header.Get("Content-Type"))
		}
		if page := bodyOf(t, answer); !strings.Contains(page, `value="a397aabc602f7e296db23b0717edd1fda06c345f"`) || !strings.Contains(page, "管理者ログイン") {
			t.Errorf("%s: the page carries no state or asks for no log-in", path)
		}
	}
}

// サンプルコード: the PHP sample, from the redirect to the
// authorization page to the exchange of the code.
func TestReplayPHPSample(t *testing.T) {
	t.Parallel()
	s := sampleShop()
	authorize := "client_id=XXXXX&redirect_uri=http%3A%2F%2Fexample.com%2Findex.php&response_type=code&scope=read_sales&state=0a4d55a8d778e5022fab701977c5d840bbc486d0"
	if answer := replay(t, s, "GET /api/oauth/authorize.php?"+authorize+" HTTP/1.1\r\nHost: shop.test\r\n\r\n"); answer.StatusCode != http.StatusOK {
		t.Fatalf("authorization page: status %d", answer.StatusCode)
	}
	approved := authorize + "&login_id=admin&password=sandbox-password&approve=1"
	answer := replay(t, s, fmt.Sprintf("POST /api/oauth/authorize.php HTTP/1.1\r\nHost: shop.test\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(approved), approved))
	target, err := url.Parse(answer.Header.Get("Location"))
	if err != nil || answer.StatusCode != http.StatusFound || target.Host != "example.com" || target.Path != "/index.php" {
		t.Fatalf("approval: status %d, to %s", answer.StatusCode, target)
	}
	if state := target.Query().Get("state"); state != "0a4d55a8d778e5022fab701977c5d840bbc486d0" {
		t.Errorf("state %q", state)
	}
	exchange := "client_id=XXXXX&client_secret=XXXXX&code=" + target.Query().Get("code") +
		"&grant_type=client_credentials&redirect_uri=http%3A%2F%2Fexample.com%2Findex.php"
	answer = replay(t, s, fmt.Sprintf("POST /api/oauth/token.php HTTP/1.0\r\nHost: shop.test\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(exchange), exchange))
	var token map[string]any
	if err := json.Unmarshal([]byte(bodyOf(t, answer)), &token); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("exchange: status %d, %v", answer.StatusCode, err)
	}
	if token["access_token"] == "" || token["token_type"] != "bearer" || token["scope"] != "" {
		t.Errorf("the token answer differs from the documents' in access_token, token_type or scope")
	}
	for _, name := range []string{"expires_in", "refresh_token"} {
		if value, sent := token[name]; !sent || value != nil {
			t.Errorf("%s must be there and null", name)
		}
	}
}

// API情報の呼び出し and サンプルコード: the header's form, and the sample that
// reads order 5.
func TestReplayOrderSample(t *testing.T) {
	t.Parallel()
	s := sampleShop()
	const token = "0908dXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
	s.Tokens.Accept(token, time.Time{})
	answer := replay(t, s, "GET /api/v1/orders.php?serial_order_id=5 HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	var found struct {
		Orders []struct {
			ID int `json:"serial_order_id"`
		}
	}
	if err := json.Unmarshal([]byte(bodyOf(t, answer)), &found); err != nil || len(found.Orders) != 1 || found.Orders[0].ID != 5 {
		t.Errorf("status %d, %d orders, %v", answer.StatusCode, len(found.Orders), err)
	}
}

// アクセストークン取得, the answer of the token endpoint, bytes as
// printed.
func TestDecodeTokenSample(t *testing.T) {
	t.Parallel()
	transport := &canned.Transport{Body: `{"access_token":"d461ab8XXXXXXXXXXXXXXXXXXXXXXXXX","token_type":"beare r","expires_in":null,"refresh_token":null,"scope":""}`}
	authority := assisttencho.NewAuthority(unpaced(&http.Client{Transport: transport}))
	grant, err := authority.Obtain(t.Context(), providers.Connection{BaseURL: base}, providers.NewSecret("s"), providers.NewSecret("c"), true)
	if err != nil {
		t.Fatal(err)
	}
	if grant.Access.Reveal() != "d461ab8XXXXXXXXXXXXXXXXXXXXXXXXX" || !grant.Refresh.Empty() || !grant.ExpiresAt.IsZero() {
		t.Errorf("access %d bytes, refresh token %t, expiry %s", len(grant.Access.Reveal()), !grant.Refresh.Empty(), grant.ExpiresAt)
	}
}
