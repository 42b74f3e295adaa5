package shoplinetest

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// An app is that of the Developer Center, which gets its tokens by OAuth.
type app struct {
	set    *Settings
	now    func() time.Time
	tokens *sandbox.Tokens

	mu     sync.Mutex // guards the fields below
	codes  map[string]code
	serial int // of codes
	kept   *sandbox.Section
}

type code struct {
	made     time.Time
	redirect string
}

// authorize approves at once, as if the merchant had logged in.
func (a *app) authorize(w http.ResponseWriter, r *sandbox.Request) {
	q := r.URL.Query()
	merchant := q.Get("merchant_id")
	target, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != ClientID || q.Get("redirect_uri") != a.set.RedirectURI ||
		q.Get("response_type") != "code" || merchant != "" && merchant != MerchantID {
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	}
	answer := url.Values{"code": {a.newCode(a.set.RedirectURI)}}
	if q.Has("state") {
		answer.Set("state", q.Get("state"))
	}
	target.RawQuery = answer.Encode()
	http.Redirect(w, r.Request, target.String(), http.StatusFound)
}

func (a *app) newCode(redirect string) string {
	defer a.kept.Commit()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serial++
	value := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "code %d", a.serial)))
	a.codes[value] = code{made: a.now(), redirect: redirect}
	a.kept.Put(value, keptCode{a.codes[value].made, redirect})
	a.tokens.AddCode(value)
	return value
}

// token exchanges a code or spends a refresh token. The documents show
// the first as JSON and the second as a query string; both are read.
func (a *app) token(w http.ResponseWriter, r *sandbox.Request) {
	wanted := "application/json"
	if a.set.FormTokens {
		wanted = "application/x-www-form-urlencoded"
	}
	switch {
	case r.Bad != nil || r.Media != wanted && len(r.Raw) > 0 || a.set.FormTokens && r.URL.RawQuery != "":
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	case r.Param("client_id") != ClientID || !slices.Contains(a.set.ClientSecrets, r.Param("client_secret")):
		oauthError(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	var access, refresh string
	var ok bool
	now := a.now()
	switch r.Param("grant_type") {
	case "authorization_code":
		if a.usableCode(r.Param("code"), r.Param("redirect_uri")) {
			access, refresh, ok = a.tokens.Exchange(r.Param("code"), now)
		}
	case "refresh_token":
		if r.Param("redirect_uri") == a.set.RedirectURI {
			access, refresh, ok = a.tokens.Redeem(r.Param("refresh_token"), now)
		}
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	if !ok {
		oauthError(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	sandbox.JSON(w, http.StatusOK, map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int64(a.tokens.LifeNow() / time.Second),
		"refresh_token": refresh, "scope": "customers orders", "created_at": now.Unix(), "resource_owner_id": MerchantID,
	})
}

// usableCode reports whether a code is young enough and was made for redirect.
func (a *app) usableCode(value, redirect string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, found := a.codes[value]
	return found && c.redirect == redirect && a.now().Sub(c.made) < codeLife
}

func oauthError(w http.ResponseWriter, status int, code string) {
	sandbox.JSON(w, status, map[string]string{"error": code, "error_description": "the request was refused"})
}
