package actibook_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook"
	"hikyaku/pkg/providers/internal/canned"
)

const (
	jsonType = "Content-Type: application/json\r\n"

	sampleToken = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiI5NWFhYzg1OC0wNmU3LTQ3N2YtODE5NS1iNGY3MTYzOTVmZGEiLCJqdGkiOiIyYzViZDEzNGVkZTVkNzczY2RlNzdlNTEyZTdiZTUwOTVkOGVkZTcyZDBkZjUxOGY2ZjkyN2EwYmRkOWI2Yjc2ZmI0ZDM1NTIxNzc2OTRlZiIsImlhdCI6MTY0NTY5NTIzMC44Mzk4MTYsIm5iZiI6MTY0NTY5NTIzMC44Mzk4MTcsImV4cCI6MTY0NTY5NzAzMC44MTUxNzQsInN1YiI6IjQiLCJzY29wZXMiOltdfQ.E-K1B2DCTyMA71akb2BXg3N9ehh1VdVhAYy9Xn3BMmbBYDi9-g9cutTFiBhKKq9M3H2cZjw3nAFOCoNGQufBig"

	siteRedirect = "https://site001.actibookone.com/sso/login/xxxxxxxxxxxxxxxxxxxxx"
	siteContent  = "https://site001.actibookone.com/content/detail?param=eyJjb250ZW50TnVtIjoyNTk1OTd9&detailFlg=0&pNo=1"
	// testContent is what the documents' Base64 encodes, in spite of the
	// line above it.
	testContent = "https://mikami-test.actibookone.com/content/detail?param=eyJjb250ZW50TnVtIjoyNTk1OTd9&detailFlg=0&pNo=1"
	testTarget  = "aHR0cHM6Ly9taWthbWktdGVzdC5hY3RpYm9va29uZS5jb20vY29udGVudC9kZXRhaWw%2FcGFyYW09ZXlKamIyNTBaVzUwVG5WdElqb3lOVGsxT1RkOSZkZXRhaWxGbGc9MCZwTm89MQ%3D%3D"
)

// アクセストークン発行, the token request.
func TestReplayTokenSample(t *testing.T) {
	t.Parallel()
	s, _ := newSite(nil)
	s.ClientID, s.ClientSecret = "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"
	answer := replay(t, s, post("/api/oauth/token", jsonType, `{
  "grant_type": "client_credentials",
  "client_id": "s6BhdRkqt3",
  "client_secret": "7Fjfp0ZBr1KtDRbnfVdmIw"
}`))
	var token map[string]any
	if err := json.Unmarshal([]byte(bodyOf(t, answer)), &token); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", answer.StatusCode, err)
	}
	if token["token_type"] != "Bearer" || token["expires_in"] != 1800.0 || len(token) != 3 {
		t.Errorf("the answer differs from the documents'")
	}
}

// アクセストークン発行, the token answer.
func TestDecodeTokenSample(t *testing.T) {
	t.Parallel()
	for body, life := range map[string]time.Duration{
		`{"token_type": "Bearer", "expires_in": 1800, "access_token": "` + sampleToken + `"}`: 1800 * time.Second,
		`{"access_token": "` + sampleToken + `"}`:                                             1799975358 * time.Microsecond, // from the JWT's fractions
	} {
		transport := &canned.Transport{Body: body}
		authority := actibook.NewAuthority(unpaced(&http.Client{Transport: transport}))
		grant, err := authority.Obtain(t.Context(), providers.Connection{TokenURL: "https://api.test/token"}, providers.NewSecret("s"), providers.Secret{}, false)
		if err != nil || grant.Access.Reveal() != sampleToken {
			t.Fatalf("token of %d bytes, %v", len(grant.Access.Reveal()), err)
		}
		if got := grant.ExpiresAt.Sub(grant.ObtainedAt).Round(time.Microsecond); got != life {
			t.Errorf("life %s; want %s", got, life)
		}
	}
}

// 代理ログイン, the login request: an object of parameters, which
// every copy shows empty. The sandbox wants the keyword that the guide names.
func TestReplayLoginSample(t *testing.T) {
	t.Parallel()
	s, _ := newSite(nil)
	header := jsonType + "Authorization: Bearer " + s.Token(base).Credential.Reveal() + "\r\n"
	if answer := replay(t, s, post("/api/sso/login", header, "{\n  \"parameters\": {\n    }\n}")); answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("without a keyword: status %d", answer.StatusCode)
	}
	s.Groups[""] = "everyone"
	answer := replay(t, s, post("/api/sso/login", header, "{\n  \"parameters\": {\n    }\n}"))
	var login map[string]string
	if err := json.Unmarshal([]byte(bodyOf(t, answer)), &login); err != nil || answer.StatusCode != http.StatusOK || login["redirect_url"] == "" {
		t.Errorf("status %d, %v", answer.StatusCode, err)
	}
}

// 代理ログイン, the login answer: nothing.
func TestDecodeLoginSample(t *testing.T) {
	t.Parallel()
	transport := &canned.Transport{Body: "{}"}
	if _, err := clientOf(transport, "").Login(t.Context(), nil); !errors.Is(err, providers.ErrInvalid) {
		t.Errorf("got %v; want ErrInvalid", err)
	}
	if string(transport.Seen) != `{"parameters":{}}` || transport.Sent.Method != "POST" ||
		transport.Sent.Header.Get("Authorization") != "Bearer "+secretToken || transport.Sent.Header.Get("Content-Type") != "application/json" {
		t.Errorf("sent %s %s with %s", transport.Sent.Method, transport.Seen, transport.Sent.Header.Get("Content-Type"))
	}
}

// 代理ログイン. The published target_uri is that of mikami-test,
// and so is the Base64 above it.
func TestTargetURIVectors(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		testContent: testTarget,
		siteContent: "aHR0cHM6Ly9zaXRlMDAxLmFjdGlib29rb25lLmNvbS9jb250ZW50L2RldGFpbD9wYXJhbT1leUpqYjI1MFpXNTBUblZ0SWpveU5UazFPVGQ5JmRldGFpbEZsZz0wJnBObz0x",
		"https://site001.actibookone.com/コンテンツ?x=~~~???>>>": "aHR0cHM6Ly9zaXRlMDAxLmFjdGlib29rb25lLmNvbS%2FjgrPjg7Pjg4bjg7Pjg4Q%2FeD1%2Bfn4%2FPz8%2BPj4%3D",
		"": "",
	} {
		if got := actibook.TargetURI(content); got != want {
			t.Errorf("TargetURI(%q) = %s; want %s", content, got, want)
		}
	}
}

// 代理ログイン: the documents put a page of mikami-test behind a
// redirect URL of site001, which their own rule (line 90) forbids.
func TestDeepLinkRefusesTheDocumentsOwnPair(t *testing.T) {
	t.Parallel()
	if link, err := actibook.DeepLink(redirect(siteRedirect), testContent); !errors.Is(err, providers.ErrInvalid) || !link.Empty() {
		t.Errorf("got %q, %v; want ErrInvalid", link.Reveal(), err)
	}
	// The form of the link is that of line 106, host apart.
	link, err := actibook.DeepLink(redirect("https://mikami-test.actibookone.com/sso/login/xxxxxxxxxxxxxxxxxxxxx"), testContent)
	if want := "https://mikami-test.actibookone.com/sso/login/xxxxxxxxxxxxxxxxxxxxx?target_uri=" + testTarget; err != nil || link.Reveal() != want {
		t.Errorf("got %s, %v; want %s", link.Reveal(), err, want)
	}
	link, err = actibook.DeepLink(redirect(siteRedirect), siteContent)
	if want := siteRedirect + "?target_uri=" + actibook.TargetURI(siteContent); err != nil || link.Reveal() != want {
		t.Errorf("got %s, %v; want %s", link.Reveal(), err, want)
	}
}

func redirect(u string) actibook.Redirect { return actibook.Redirect{Secret: providers.NewSecret(u)} }
