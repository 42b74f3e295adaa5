package actibook

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// A Redirect is the URL that logs a reader in. It is as good as a password:
// Reveal it only to send the reader's browser there.
type Redirect struct {
	providers.Secret
}

// Login logs a reader in by proxy. parameters are whatever the account has
// agreed on, the keyword among them; they win over the quirk parameters. The
// provider creates the reader's site user if there is none, so the call is not
// repeated after ErrTemporary.
//
// A redirect_url that is missing, not https, or on a host that is not trusted
// is ErrInvalid; the URL is not returned then.
func (c *Client) Login(ctx context.Context, parameters map[string]any) (Redirect, error) {
	return c.login(ctx, "login", func(Quirks) map[string]any { return parameters })
}

func (c *Client) login(ctx context.Context, op string, parameters func(Quirks) map[string]any) (Redirect, error) {
	var quirks Quirks
	answer, err := c.call.Do(ctx, op, func(t providers.Token) (call.Request, error) {
		var err error
		if quirks, err = ParseQuirks(t.Quirks); err != nil {
			return call.Request{}, err
		}
		if t.LoginURL == "" {
			return call.Request{}, refuse(op, 0, providers.ErrInvalid, "the connection has no login_url")
		}
		body, err := call.JSON(map[string]any{"parameters": quirks.parameters(parameters(quirks))})
		if err != nil {
			return call.Request{}, refuse(op, 0, providers.ErrInvalid, "the parameters cannot be encoded as JSON")
		}
		return call.Request{Method: http.MethodPost, URL: t.LoginURL, Body: body}, nil
	})
	if err != nil {
		return Redirect{}, err
	}
	var top map[string]json.RawMessage
	if err := call.Decode(providers.ActiBook, op, answer, &top); err != nil {
		return Redirect{}, err
	}
	found := redirectURLs(top)
	if len(found) != 1 {
		return Redirect{}, refuse(op, answer.Status, providers.ErrInvalid, "the answer holds no redirect_url, or several; check the keyword and its group")
	}
	u, err := url.Parse(found[0])
	if err != nil || !quirks.trusts(u) {
		return Redirect{}, refuse(op, answer.Status, providers.ErrInvalid, "the redirect_url is not https or lies on a host that is not trusted; see the quirk redirect_hosts")
	}
	return Redirect{providers.NewSecret(found[0])}, nil
}

// redirectURLs returns the redirect_url of the top level or, if there is none,
// those of the objects in it.
func redirectURLs(top map[string]json.RawMessage) []string {
	if u := redirectURL(top); u != "" {
		return []string{u}
	}
	var found []string
	for _, member := range top {
		var wrapper map[string]json.RawMessage
		if json.Unmarshal(member, &wrapper) != nil {
			continue
		}
		if u := redirectURL(wrapper); u != "" {
			found = append(found, u)
		}
	}
	return found
}

// redirectURL returns "" for anything but a text.
func redirectURL(object map[string]json.RawMessage) (u string) {
	if json.Unmarshal(object["redirect_url"], &u) != nil {
		return ""
	}
	return u
}
