package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// learnUpdate sees with one write what an update does to omitted fields, and
// stores that as the connection's quirk.
func learnUpdate(c *cobra.Command, f stackFlags, m *mapping.Mapping, user int64, yes bool, o output) error {
	e, base, err := f.openAs(c, localstack.Reconcile)
	if err != nil {
		return err
	}
	connection, err := updatable(c.Context(), base)
	if err != nil {
		return err
	}
	preview, err := previewIn(c.Context(), e, m, user)
	if err != nil {
		return err
	}
	if preview.Member == "" {
		return locale.Errorf("user %d has no member that is known: run 'hikyaku reconcile' first, or choose another user", user)
	}
	keep, err := keepFile(base.Common.Prefix, preview.Member)
	if err != nil {
		return err
	}
	check := admin.UpdateCheck{Client: yappli.New(base.Tokens(providers.Yappli), base.Options()), Keep: keep}
	if err := consent(c, user, preview, check.Keep, yes); err != nil {
		return err
	}
	seen, err := check.Run(c.Context(), preview.Member, slices.Sorted(maps.Keys(preview.Desired)))
	if err != nil {
		return err
	}
	// An interruption would only lose what was learned.
	if err := storeUpdate(context.WithoutCancel(c.Context()), base, connection, seen.Update); err != nil {
		return locale.Errorf("updates were seen to be %q: %w", seen.Update, err)
	}
	what := locale.T("keeps the fields that it omits: partial.")
	if len(seen.Lost) > 0 {
		what = locale.M("resets the fields that it omits: replace. %d were written back.", len(seen.Lost))
	}
	return o.say(c, seen, "An update %s\nStored as the quirk update. The token has it %s; from then on RelayMode=write may write.", what, locale.T(tokenFollows))
}

// keepFile names the file that holds a member while it is at risk. It lies in
// the user's state folder: in the working folder anybody could have planted one.
func keepFile(prefix, member string) (string, error) {
	name := "hikyaku-member-" + url.PathEscape(member) + ".json"
	folder := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(folder) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		folder = filepath.Join(home, ".local", "state")
	}
	keep := filepath.Join(folder, "hikyaku", url.PathEscape(prefix), name)
	if _, err := os.Lstat(name); err == nil {
		return "", locale.Errorf("%s lies in this folder, where older versions kept what an interrupted check had read. If you left it there, move it to %s, which goes on from it, with mode 0600 in folders of mode 0700; else remove it", name, keep)
	}
	return keep, nil
}

// updatable reads the connection whose quirk is to be learned. As long as the
// token does not have the quirk, the relay writes nothing, so the check is the
// only writer.
func updatable(ctx context.Context, base *lambdafn.Base) (secretstore.Value, error) {
	connection, value, err := readConnection(ctx, base, providers.Yappli)
	if err != nil {
		return value, err
	}
	configured, err := yappli.ParseQuirks(connection.Quirks)
	if err != nil {
		return value, err
	}
	token, err := base.Tokens(providers.Yappli).Token(ctx)
	if err != nil {
		return value, err
	}
	served, err := yappli.ParseQuirks(token.Quirks)
	switch {
	case err != nil:
		return value, err
	case configured.Update != yappli.UpdateUnknown:
		return value, locale.Errorf("the connection has the quirk update already (%q); to look again, store one without it ('hikyaku connect yappli --reset-quirks', which drops the others, too) and wait 10 minutes", configured.Update)
	case configured != served || connection.BaseURL != token.BaseURL:
		return value, locale.Errorf("the connection changed, and its token has not followed yet: wait 10 minutes, until every reader has the new one")
	}
	return value, nil
}

// consent asks a person before anything is written.
func consent(c *cobra.Command, user int64, p plan.Preview, keep string, yes bool) error {
	say(c.ErrOrStderr(), "This writes one field of member %s (user %d) with the value that it has, and looks at the others.\n"+
		"If they are gone, all that the member shows is written back at once; until then %s holds it.\n"+
		"A password or secret answer cannot be read, so it could not be written back: take a member made for tests.\n"+
		"If that file is there, an earlier check was interrupted, and what it holds is written back first.\n", visible(p.Member), user, keep)
	if yes {
		return nil
	}
	return confirm(c, "nothing was written")
}

// confirm asks for a person's yes. Without it, otherwise is what did not happen.
func confirm(c *cobra.Command, otherwise string) error {
	_, _ = io.WriteString(c.ErrOrStderr(), languageOf(c.ErrOrStderr()).Text("Type yes to go on: "))
	answers := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(c.InOrStdin()).ReadString('\n')
		answers <- answer
	}()
	select {
	case answer := <-answers:
		if strings.TrimSpace(answer) == "yes" {
			return nil
		}
		return locale.Errorf("not confirmed; %s", locale.T(otherwise))
	case <-c.Context().Done():
		return stoppedError("stopped; " + otherwise)
	}
}

// storeUpdate puts the quirk into the connection by a swap from the version
// that was read, and leaves everything else as the operator wrote it.
func storeUpdate(ctx context.Context, base *lambdafn.Base, from secretstore.Value, rule yappli.Update) error {
	document, quirks := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	err := json.Unmarshal(from.Data, &document)
	if raw := document["quirks"]; raw != nil && string(raw) != "null" {
		err = errors.Join(err, json.Unmarshal(raw, &quirks))
	}
	quirks["update"], _ = json.Marshal(rule)
	document["quirks"], _ = json.Marshal(quirks) // what was read can be written
	data, _ := json.Marshal(document)
	if err != nil {
		return err
	}
	name, id := connectionName(base, providers.Yappli), uuid.NewString()
	err = base.Secrets.Put(ctx, name, id, data, protocol.Next)
	if err == nil {
		err = base.Secrets.Promote(ctx, name, secretstore.Current, id, from.ID)
	}
	if errors.Is(err, secretstore.ErrConflict) {
		return locale.Errorf("but the connection changed meanwhile, and was left as it is: run the command again")
	}
	if err != nil {
		return locale.Errorf("storing the quirk in %s: %w; run the command again", name, err)
	}
	_ = base.Secrets.Promote(ctx, name, protocol.Next, "", id) // nothing depends on the label
	return nil
}
