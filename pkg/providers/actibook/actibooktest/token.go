package actibooktest

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// token answers the token call. Its body must be JSON.
func (s *Server) token(w http.ResponseWriter, r *sandbox.Request) {
	switch {
	case r.Media != "application/json" || r.Bad != nil || r.URL.RawQuery != "":
		refuse(w, http.StatusBadRequest, "invalid_request", "The request is not JSON.")
	case r.Param("grant_type") != "client_credentials":
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported.")
	case r.Param("client_id") != s.ClientID || r.Param("client_secret") != s.ClientSecret:
		refuse(w, http.StatusUnauthorized, "invalid_client", "Client authentication failed")
	default:
		sandbox.JSON(w, http.StatusOK, map[string]any{
			"token_type": "Bearer", "expires_in": int(s.Tokens.LifeNow().Seconds()), "access_token": s.issue(s.Now()),
		})
	}
}

// issue makes a token whose claims and look are those of the documents'
// sample. Its life is 25 ms shorter than expires_in, as there.
func (s *Server) issue(now time.Time) string {
	id, _ := s.Tokens.Issue(now)
	seconds := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMicro())/1e6, 'f', 6, 64) }
	expires := seconds(now.Add(s.Tokens.LifeNow() - 25*time.Millisecond))
	payload := fmt.Sprintf(`{"aud":"95aac858-06e7-477f-8195-b4f716395fda","jti":"%s","iat":%s,"nbf":%s,"exp":%s,"sub":"4","scopes":[]}`,
		id, seconds(now), seconds(now.Add(time.Microsecond)), expires)
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"typ":"JWT","alg":"RS256"}`)) + "." + encode([]byte(payload))
	return signed + "." + encode(s.sign(signed))
}

// sign stands for the provider's RSA key.
func (s *Server) sign(text string) []byte {
	mac := hmac.New(sha512.New, fmt.Appendf(nil, "actibook sandbox %d", s.seed))
	_, _ = mac.Write([]byte(text)) // a hash takes everything
	return mac.Sum(nil)
}

// valid checks signature, life and revocation.
func (s *Server) valid(token string) bool {
	last := strings.LastIndexByte(token, '.')
	if last < 0 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[last+1:])
	if err != nil || !hmac.Equal(signature, s.sign(token[:last])) {
		return false
	}
	_, middle, _ := strings.Cut(token[:last], ".")
	payload, _ := base64.RawURLEncoding.DecodeString(middle) // signed by the sandbox itself
	_, rest, _ := strings.Cut(string(payload), `"jti":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return s.Tokens.Valid(id, s.Now())
}
