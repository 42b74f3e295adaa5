package call

import (
	"encoding/json"
	"errors"
	"time"

	"hikyaku/pkg/providers"
)

// longestLife is the longest expires_in that is believed, ten years; an
// absurd one reads as unknown rather than as "for ever".
const longestLife = 10 * 365 * 24 * time.Hour

// ParseGrant reads a token endpoint's answer. sent is when the request left.
// err is what Once returned: an OAuth error code that no repetition can repair
// becomes ErrRevoked. Only the access token is required: what stands beside it
// and cannot be read counts as absent, because the answer may be to a code that
// is spent, and the token in it is the only one there will be.
func ParseGrant(provider, op string, r Response, sent time.Time, err error) (providers.Grant, error) {
	if err != nil {
		return providers.Grant{}, terminal(err)
	}
	var body struct {
		Access    providers.Text         `json:"access_token"`
		Refresh   side[providers.Text]   `json:"refresh_token"`
		ExpiresIn side[providers.Number] `json:"expires_in"`
		Owner     side[providers.Text]   `json:"resource_owner_id"`
	}
	if json.Unmarshal(r.Body, &body) != nil {
		return providers.Grant{}, Malformed(provider, op, r, "the token answer is not JSON")
	}
	if body.Access == "" {
		e := &providers.Error{Provider: provider, Op: op, Status: r.Status, Code: errorCode(r.Body),
			Kind: providers.ErrInvalid, Detail: "the token answer has no access_token"}
		return providers.Grant{}, terminal(e)
	}
	g := providers.Grant{
		Access: providers.NewSecret(string(body.Access)).Trimmed(), Refresh: providers.NewSecret(string(body.Refresh.value)).Trimmed(),
		ObtainedAt: sent, Account: string(body.Owner.value),
	}
	if seconds := body.ExpiresIn.value; seconds > 0 && seconds <= providers.Number(longestLife/time.Second) {
		g.ExpiresAt = sent.Add(time.Duration(seconds) * time.Second)
	}
	return g, nil
}

// A side value is zero where its JSON is not of the kind that T reads.
type side[T any] struct{ value T }

// UnmarshalJSON never fails.
func (s *side[T]) UnmarshalJSON(b []byte) error {
	var v T
	if json.Unmarshal(b, &v) == nil {
		s.value = v
	}
	return nil
}

// terminal turns the codes of RFC 6749 section 5.2 that blame the credential
// into ErrRevoked or ErrClient. A 401 of a token endpoint blames the client.
func terminal(err error) error {
	var e *providers.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case "invalid_grant":
		e.Kind = providers.ErrRevoked
	case "invalid_client", "unauthorized_client":
		e.Kind = providers.ErrClient
	case "":
		if errors.Is(e.Kind, providers.ErrUnauthorized) {
			e.Kind = providers.ErrClient
		}
	}
	return e
}
