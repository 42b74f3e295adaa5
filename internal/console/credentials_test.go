package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"hikyaku/internal/console"
)

var ofTokens = map[string]string{
	"doctor":         healthy["doctor"],
	"tokens --probe": `{"tokens":[{"provider":"yappli","state":"valid","probe":"refused","probe_answer":"<i>no</i>"},{"provider":"shopline","state":"off"}]}`,
	"tokens history": `{"credentials":[{"provider":"yappli","due_at":"2026-11-29T11:00:00Z","last_outcome":"refreshed","failures":2,"needs_human":"<script>alert(1)</script>",
		"budgets":[{"by":"people","spent":4,"of":6,"next":"2026-11-30T00:00:00Z"}],"renewals":[{"at":"2026-11-29T00:00:00Z","by":"people"}]}]}`,
	"tokens refresh": `{"results":[{"provider":"yappli","outcome":"refreshed","reason":"<i>asked</i>"}]}`,
	"tokens": `{"tokens":[{"provider":"yappli","kind":"client_credentials","state":"valid","version":"v1","obtained_at":"2026-11-29T00:00:00Z","expires_at":"2026-11-30T00:00:00Z",
		"last_outcome":"refreshed","last_run":"2026-11-29T00:00:00Z"},{"provider":"shopline","state":"off","expires_at":null},
		{"provider":"assisttencho","kind":"one_time_code","state":"needs_human","expires_at":null}]}`,
	"pause":   `{"paused":{"tokens":{"by":"someone","reason":"<b>why</b>","since":"2026-11-29T00:00:00Z","until":"2026-11-29T08:00:00Z"}}}`,
	"resume":  `{"paused":{}}`,
	"connect": `{"provider":"yappli","stored":true,"kinds":[{"kind":"client_credentials","fields":[{"field":"base_url","text":"Address","value":"https://x.example"},{"field":"client_secrets","text":"Secret","secret":true}]}]}`,
}

func TestTokens_TellWhenEachIsDueAndWhoRenewsIt(t *testing.T) {
	s, b := open(t, ofTokens, (&fakeDev{}).on)
	b.enter(s)
	for _, language := range console.Languages() {
		for path, wants := range map[string][]string{
			"/tokens":              {"/tokens/yappli", "&lt;b&gt;why&lt;/b&gt;", `id="token-refresh-yappli"`, "hikyaku tokens refresh yappli", "<rect width="},
			"/tokens/yappli":       {"&lt;script&gt;", `type="password"`, `value="https://x.example"`, "2026-11-29 11:00:00", "hikyaku tokens refresh yappli --force", `data-copy="hikyaku connect yappli"`},
			"/tokens/assisttencho": {"--resend-in-doubt", "hikyaku authorize assisttencho"},
		} {
			status, _, page := b.do(http.MethodGet, path, "", map[string]string{"Accept-Language": language})
			if status != http.StatusOK || strings.Contains(page, "<script>alert") {
				t.Errorf("%s in %s answered %d: %s", path, language, status, page)
			}
			for _, want := range wants {
				if !strings.Contains(page, want) {
					t.Errorf("%s in %s lacks %q", path, language, want)
				}
			}
		}
	}
	if _, _, page := b.do(http.MethodGet, "/tokens/yappli", "", map[string]string{"Accept-Language": "en"}); !strings.Contains(page, "4 of 6 refreshes by people") {
		t.Error("the page does not say what is spent of a person's budget")
	}
	if status, _ := b.get("/tokens/nobody"); status == http.StatusOK {
		t.Error("an invented provider has a page")
	}
}

func TestTokens_ActByCommands(t *testing.T) {
	var log commandLog
	s, b := open(t, ofTokens, (&fakeDev{}).on, log.on)
	b.enter(s)
	for action, form := range map[string]url.Values{
		"token-refresh": {"provider": {"yappli"}}, "token-force": {"provider": {"yappli"}}, "token-resend": {"provider": {"yappli"}}, "token-probe": {},
		"pause-tokens": {"reason": {"Yappli moves"}, "for": {"2h"}}, "resume-tokens": {},
	} {
		if status, _, body := b.do(http.MethodPost, "/do/"+action, form.Encode(), nil); status != http.StatusOK || strings.Contains(body, "note bad") || strings.Contains(body, "<i>") {
			t.Errorf("%s answered %d: %s", action, status, body)
		}
	}
	for _, line := range []string{
		"tokens refresh yappli --json", "tokens refresh yappli --force --json", "tokens refresh yappli --force --resend-in-doubt --json", "tokens --probe --json",
		"pause tokens --for 2h --reason Yappli moves --yes --json", "resume tokens --yes --json",
	} {
		log.has(t, line)
	}
	for action, form := range map[string]string{"token-refresh": "provider=--force", "pause-tokens": "reason=&for=1h"} {
		if _, _, body := b.do(http.MethodPost, "/do/"+action, form, nil); !strings.Contains(body, "note bad") {
			t.Errorf("%s with %s answered %s", action, form, body)
		}
	}
	log.lacks(t, "tokens refresh --force")
}

func TestConnect_ShowsNoSecretAgain(t *testing.T) {
	var log commandLog
	s, b := open(t, ofTokens, (&fakeDev{}).on, log.on)
	b.enter(s)
	form := url.Values{"provider": {"yappli"}, "kind": {"client_credentials"}, "field.base_url": {" https://x.example "}, "field.client_secrets": {"canary-secret"}, "field.client_id": {""}}.Encode()
	for _, path := range []string{"/do/connect", "/command/connect"} {
		_, _, body := b.do(http.MethodPost, path, form, nil)
		if strings.Contains(body, "canary") || !strings.Contains(body, "hikyaku connect yappli") {
			t.Errorf("%s answered %s", path, body)
		}
	}
	const want = `{"base_url":"https://x.example","client_secrets":["canary-secret"],"kind":"client_credentials","provider":"yappli"}`
	if read := log.has(t, "connect yappli --json"); read != want {
		t.Errorf("connect was given %s", read)
	}
}

func TestTokens_OfADeployedStackAreOnlyShown(t *testing.T) {
	var log commandLog
	s, b := open(t, ofTokens, log.on)
	b.enter(s)
	for _, path := range []string{"/tokens", "/tokens/yappli"} {
		if _, page := b.get(path); strings.Contains(page, `hx-post="/do/token-refresh"`) || !strings.Contains(page, "hikyaku tokens refresh yappli") {
			t.Errorf("%s lets a read-only console act, or shows no command", path)
		}
	}
	b.do(http.MethodPost, "/do/token-force", "provider=yappli", nil)
	b.do(http.MethodPost, "/do/connect", "provider=yappli", nil)
	log.lacks(t, "tokens refresh")
	log.lacks(t, "connect yappli --json")
}
