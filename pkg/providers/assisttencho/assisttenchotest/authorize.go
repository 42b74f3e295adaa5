package assisttenchotest

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

const loginForm = `<form method="post"><p>管理者ログイン</p>` +
	`<input name="login_id"><input name="password" type="password">`

// Authorize returns a fresh one-time code, as if a person had approved.
func (s *Server) Authorize() (code string) {
	s.Do(func() { code = s.app.newCode() })
	return code
}

// An application is the one registered: the page on which a person approves it,
// and the endpoint for its tokens.
type application struct {
	set    *Settings
	now    func() time.Time
	tokens *sandbox.Tokens
	seed   uint64
	codes  int // so far
	counts *sandbox.Section
}

func (a *application) newCode() string {
	a.codes++
	a.counts.Put(codesSoFar, a.codes)
	code := fmt.Sprintf("CODE-%06d-%016x", a.codes, a.seed+uint64(a.codes)*15485863)
	a.tokens.AddCode(code)
	return code
}

// page shows the person what is asked for.
func (a *application) page(w http.ResponseWriter, r *sandbox.Request) {
	if !a.knownApplication(w, r) {
		return
	}
	hidden := ""
	for _, name := range []string{"client_id", "redirect_uri", "response_type", "scope", "state"} {
		hidden += fmt.Sprintf(`<input type="hidden" name="%s" value="%s">`, name, html.EscapeString(r.Param(name)))
	}
	writePage(w, http.StatusOK, loginForm+hidden+`<button name="approve" value="1">許可する</button><button name="approve" value="0">許可しない</button></form>`)
}

// knownApplication checks the parameters that name the application. A person
// sees the refusal: nothing may be sent to a redirect URL that nobody
// registered.
func (a *application) knownApplication(w http.ResponseWriter, r *sandbox.Request) bool {
	if r.Param("client_id") == a.set.ClientID && r.Param("redirect_uri") == a.set.RedirectURI && r.Param("response_type") == "code" {
		return true
	}
	writePage(w, http.StatusBadRequest, "<p>アプリケーションの設定が正しくありません。</p>")
	return false
}

// approve sends the person back to the application.
func (a *application) approve(w http.ResponseWriter, r *sandbox.Request) {
	if !a.knownApplication(w, r) {
		return
	}
	if r.Param("login_id") != a.set.AdminID || r.Param("password") != a.set.AdminPassword {
		a.page(w, r)
		return
	}
	answer := url.Values{"state": {r.Param("state")}}
	if r.Param("approve") == "1" {
		answer.Set("code", a.newCode())
	} else {
		answer.Set("error", "access_denied")
	}
	target, err := url.Parse(a.set.RedirectURI)
	if err != nil {
		writePage(w, http.StatusInternalServerError, "<p>リダイレクトURLが正しくありません。</p>")
		return
	}
	target.RawQuery = answer.Encode()
	w.Header().Set("Location", target.String())
	w.WriteHeader(http.StatusFound)
}

// token exchanges a code or, where the shop has them, a refresh token.
func (a *application) token(w http.ResponseWriter, r *sandbox.Request) {
	switch {
	case !a.set.allows(r):
		a.set.refuse(w, http.StatusForbidden, "access_denied")
	case r.Media != "application/x-www-form-urlencoded" || r.Bad != nil || r.URL.RawQuery != "":
		a.set.refuse(w, http.StatusBadRequest, "invalid_request")
	case r.Param("client_id") != a.set.ClientID || r.Param("client_secret") != a.set.ClientSecret:
		a.set.refuse(w, http.StatusUnauthorized, "invalid_client")
	case r.Param("grant_type") == "client_credentials":
		if uri, sent := r.Lookup("redirect_uri"); sent && uri != a.set.RedirectURI {
			a.set.refuse(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		access, refresh, ok := a.tokens.Exchange(r.Param("code"), a.now())
		a.grant(w, access, refresh, ok)
	case r.Param("grant_type") == "refresh_token" && a.set.Quirks.RefreshGrant:
		access, refresh, ok := a.tokens.Redeem(r.Param("refresh_token"), a.now())
		a.grant(w, access, refresh, ok)
	default:
		a.set.refuse(w, http.StatusBadRequest, "unsupported_grant_type")
	}
}

func (a *application) grant(w http.ResponseWriter, access, refresh string, ok bool) {
	if !ok {
		a.set.refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	answer := map[string]any{"access_token": access, "token_type": "bearer", "expires_in": nil, "refresh_token": nil, "scope": ""}
	if life := a.tokens.LifeNow(); life > 0 {
		answer["expires_in"] = int(life.Seconds())
	}
	if a.set.Quirks.RefreshGrant {
		answer["refresh_token"] = refresh
	}
	sandbox.JSON(w, http.StatusOK, answer)
}
