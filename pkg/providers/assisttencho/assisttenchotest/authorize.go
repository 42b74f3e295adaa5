package assisttenchotest

import (
	"fmt"
	"html"
	"net/http"
	"net/url"

	"hikyaku/pkg/providers/sandbox"
)

const loginForm = `<form method="post"><p>管理者ログイン</p>` +
	`<input name="login_id"><input name="password" type="password">`

// Authorize returns a fresh one-time code, as if a person had approved.
func (s *Server) Authorize() (code string) {
	s.Do(func() { code = s.newCode() })
	return code
}

func (s *Server) newCode() string {
	s.codes++
	code := fmt.Sprintf("CODE-%06d-%016x", s.codes, s.seed+uint64(s.codes)*15485863)
	s.Tokens.AddCode(code)
	return code
}

// authorizePage shows the person what is asked for.
func (s *Server) authorizePage(w http.ResponseWriter, r *sandbox.Request) {
	if !s.knownApplication(w, r) {
		return
	}
	hidden := ""
	for _, name := range []string{"client_id", "redirect_uri", "response_type", "scope", "state"} {
		hidden += fmt.Sprintf(`<input type="hidden" name="%s" value="%s">`, name, html.EscapeString(r.Param(name)))
	}
	page(w, http.StatusOK, loginForm+hidden+`<button name="approve" value="1">許可する</button><button name="approve" value="0">許可しない</button></form>`)
}

// knownApplication checks the parameters that name the application. A person
// sees the refusal: nothing may be sent to a redirect URL that nobody
// registered.
func (s *Server) knownApplication(w http.ResponseWriter, r *sandbox.Request) bool {
	if r.Param("client_id") == s.ClientID && r.Param("redirect_uri") == s.RedirectURI && r.Param("response_type") == "code" {
		return true
	}
	page(w, http.StatusBadRequest, "<p>アプリケーションの設定が正しくありません。</p>")
	return false
}

// approve sends the person back to the application.
func (s *Server) approve(w http.ResponseWriter, r *sandbox.Request) {
	if !s.knownApplication(w, r) {
		return
	}
	if r.Param("login_id") != s.AdminID || r.Param("password") != s.AdminPassword {
		s.authorizePage(w, r)
		return
	}
	answer := url.Values{"state": {r.Param("state")}}
	if r.Param("approve") == "1" {
		answer.Set("code", s.newCode())
	} else {
		answer.Set("error", "access_denied")
	}
	target, err := url.Parse(s.RedirectURI)
	if err != nil {
		page(w, http.StatusInternalServerError, "<p>リダイレクトURLが正しくありません。</p>")
		return
	}
	target.RawQuery = answer.Encode()
	w.Header().Set("Location", target.String())
	w.WriteHeader(http.StatusFound)
}

// token exchanges a code or, where the shop has them, a refresh token.
func (s *Server) token(w http.ResponseWriter, r *sandbox.Request) {
	switch {
	case !s.allows(r):
		s.refuse(w, http.StatusForbidden, "access_denied")
	case r.Media != "application/x-www-form-urlencoded" || r.Bad != nil || r.URL.RawQuery != "":
		s.refuse(w, http.StatusBadRequest, "invalid_request")
	case r.Param("client_id") != s.ClientID || r.Param("client_secret") != s.ClientSecret:
		s.refuse(w, http.StatusUnauthorized, "invalid_client")
	case r.Param("grant_type") == "client_credentials":
		if uri, sent := r.Lookup("redirect_uri"); sent && uri != s.RedirectURI {
			s.refuse(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		access, refresh, ok := s.Tokens.Exchange(r.Param("code"), s.Now())
		s.grant(w, access, refresh, ok)
	case r.Param("grant_type") == "refresh_token" && s.Quirks.RefreshGrant:
		access, refresh, ok := s.Tokens.Redeem(r.Param("refresh_token"), s.Now())
		s.grant(w, access, refresh, ok)
	default:
		s.refuse(w, http.StatusBadRequest, "unsupported_grant_type")
	}
}

func (s *Server) grant(w http.ResponseWriter, access, refresh string, ok bool) {
	if !ok {
		s.refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	answer := map[string]any{"access_token": access, "token_type": "bearer", "expires_in": nil, "refresh_token": nil, "scope": ""}
	if s.Tokens.Life > 0 {
		answer["expires_in"] = int(s.Tokens.Life.Seconds())
	}
	if s.Quirks.RefreshGrant {
		answer["refresh_token"] = refresh
	}
	sandbox.JSON(w, http.StatusOK, answer)
}
