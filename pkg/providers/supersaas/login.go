package supersaas

import (
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // the provider's own scheme
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"hikyaku/pkg/providers"
)

// Checksum returns the MD5 of account, API key and login name, in lower-case
// hex. It stands for all three in a login link and, under ChecksumAuth, in
// calls about that user. Spaces in the account's name count as underscores.
//
// Its holder can act as the user: it is a Secret.
func Checksum(account string, key providers.Secret, user string) providers.Secret {
	sum := md5.Sum([]byte(strings.ReplaceAll(account, " ", "_") + key.Reveal() + user)) //nolint:gosec // as above
	return providers.NewSecret(hex.EncodeToString(sum[:]))
}

// LoginURL returns a link that logs a user in and shows a schedule; after may
// be empty. It is for the user's browser: nothing is sent here. The guide
// reports accounts where no such checksum was accepted.
func (c *Client) LoginURL(ctx context.Context, after, user string) (providers.Secret, error) {
	if user == "" {
		return providers.Secret{}, refuse("login", "an empty login name")
	}
	t, err := c.source.Token(ctx)
	if err != nil {
		return providers.Secret{}, fmt.Errorf("supersaas login: reading the token: %w", err)
	}
	q := url.Values{"account": {t.Account}, "user[name]": {user}, "checksum": {Checksum(t.Account, t.Credential, user).Reveal()}}
	if after != "" {
		q.Set("after", after)
	}
	return providers.NewSecret(strings.TrimRight(cmp.Or(t.BaseURL, DefaultBaseURL), "/") + "/api/login?" + q.Encode()), nil
}
