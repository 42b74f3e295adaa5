package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hikyaku/pkg/providers/yappli"
)

// An UpdateCheck finds out what a tenant's updates do to the fields that they
// omit. Nobody else may write the member meanwhile; the relay does not, as long
// as the rule is not known.
type UpdateCheck struct {
	Client *yappli.Client
	// Keep is a file of this machine. It holds what was read of the member
	// from before the write until the member is known to hold it again, so
	// that a crash loses nothing: the next Run writes it back first. Its folder
	// is the user's own: what others may write there is not trusted.
	Keep string
}

// kept is the file's content: personal data.
type kept struct {
	Member string            `json:"member"`
	Fields map[string]string `json:"fields"` // by request field
}

// Seen is what an UpdateCheck saw.
type Seen struct {
	Update yappli.Update `json:"update"`
	Sent   string        `json:"sent"`           // the field that was written, with the value that it had
	Lost   []string      `json:"lost,omitempty"` // the fields that the write reset, and that were written back
}

const (
	checkTime  = 2 * time.Minute // once the member was written, no interruption ends the check sooner
	secondLook = time.Second     // so that no cached answer is taken for a member that kept its fields
)

var errBlind = errors.New("the tenant reset the very field that was written, so it did not read the body: correct the quirk body")

var errTooFew = errors.New("the member shows fewer than two texts beside its unique_id, so nothing could be seen: choose another user, or fill in a field in Yappli")

// Run writes one field of the member with the value that it has, and sees
// whether the others are still there; what is lost it writes back at once. Of
// the fields it prefers one of those named.
func (u UpdateCheck) Run(ctx context.Context, member string, preferred []string) (Seen, error) {
	if err := u.recover(ctx, member); err != nil {
		return Seen{}, err
	}
	m, err := u.Client.User(ctx, member)
	if err != nil {
		return Seen{}, fmt.Errorf("reading the member: %w; nothing was written", err)
	}
	before := shown(m)
	field, ok := choose(before, preferred)
	if !ok {
		return Seen{}, errTooFew
	}
	if err := u.save(kept{member, before}); err != nil {
		return Seen{}, fmt.Errorf("%w; nothing was written", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
	defer cancel()
	_, wrote := u.Client.UpdateUser(ctx, member, yappli.Fields{field: yappli.Text(before[field])})
	lost, err := u.lost(ctx, member, before)
	if err == nil && len(lost) == 0 {
		time.Sleep(secondLook)
		lost, err = u.lost(ctx, member, before)
	}
	if err == nil && len(lost) > 0 {
		err = u.restore(ctx, member, before)
	}
	blind := slices.Contains(lost, field)
	switch {
	case err != nil && blind:
		return Seen{}, u.unfinished(fmt.Errorf("%w; %w", errBlind, err))
	case err != nil:
		return Seen{}, u.unfinished(err)
	case wrote != nil:
		err = fmt.Errorf("writing one field: %w; the member is as it was, and nothing was learned", wrote)
	case blind:
		err = fmt.Errorf("%w; the member is as it was", errBlind)
	}
	seen := Seen{Update: yappli.UpdatePartial, Sent: field, Lost: lost}
	if len(lost) > 0 {
		seen.Update = yappli.UpdateReplace
	}
	return seen, errors.Join(err, os.Remove(u.Keep))
}

// unfinished says what a person has to do.
func (u UpdateCheck) unfinished(err error) error {
	return fmt.Errorf("%w; the member may have lost fields: %s holds them. Correct the cause and run the command again: it writes them back first", err, u.Keep)
}

// own refuses a file or folder that somebody else has made, or that has one of
// the rights of others.
func own(path string, rights os.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if link := info.Mode()&(os.ModeSymlink|os.ModeNamedPipe|os.ModeDevice) != 0; link || !ours(info, rights) {
		return fmt.Errorf("%s is not trusted: it has to be your own and no link, and others may not write there (mode 0700) or read it (mode 0600). Move it away, or correct that if you know that you left it there", path)
	}
	return nil
}

// recover writes back what a check left behind that did not end.
func (u UpdateCheck) recover(ctx context.Context, member string) error {
	if err := os.MkdirAll(filepath.Dir(u.Keep), 0o700); err != nil {
		return err
	}
	if err := own(filepath.Dir(u.Keep), 0o022); err != nil {
		return err
	}
	if err := own(u.Keep, 0o077); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	raw, err := os.ReadFile(u.Keep)
	if err != nil {
		return err
	}
	var k kept
	fields := json.NewDecoder(bytes.NewReader(raw))
	fields.DisallowUnknownFields()
	err = fields.Decode(&k)
	for name := range k.Fields {
		if !slices.Contains(yappli.RequestFields(), name) || name == "unique_id" {
			err = fmt.Errorf("%q is no field that a check keeps", name)
		}
	}
	if err != nil || k.Member != member || fields.More() {
		return fmt.Errorf("%s is not what an interrupted check keeps of this user's member: move the file away", u.Keep)
	}
	lost, err := u.lost(ctx, member, k.Fields)
	if err == nil && len(lost) > 0 {
		err = u.restore(ctx, member, k.Fields)
	}
	if err != nil {
		return u.unfinished(err)
	}
	return os.Remove(u.Keep)
}

// save keeps what is about to be risked; the file must not exist.
func (u UpdateCheck) save(k kept) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(u.Keep, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(raw)
	return errors.Join(err, file.Sync(), file.Close())
}

// shown are the request fields that a member shows, but for unique_id, which
// no update sends.
func shown(m yappli.Member) map[string]string {
	fields := m.Shown()
	delete(fields, "unique_id")
	return fields
}

// choose returns the field to write, if there is another text whose loss would
// show. Numbers are neither: what they are reset to may be what they were.
func choose(fields map[string]string, preferred []string) (string, bool) {
	var texts []string
	for _, name := range append(slices.Clone(preferred), yappli.RequestFields()...) {
		number := name == "rank" || name == "logined" || name == "enabled"
		if fields[name] != "" && !number && !slices.Contains(texts, name) {
			texts = append(texts, name)
		}
	}
	if len(texts) < 2 {
		return "", false
	}
	return texts[0], true
}

// lost reads the member and names the fields that no longer hold their value.
func (u UpdateCheck) lost(ctx context.Context, member string, before map[string]string) (names []string, err error) {
	m, err := u.Client.User(ctx, member)
	if err != nil {
		return nil, fmt.Errorf("reading the member: %w", err)
	}
	for _, name := range yappli.RequestFields() {
		value, had := before[name]
		if now, _ := m.Field(name); had && now != value {
			names = append(names, name)
		}
	}
	return names, nil
}

// restore writes every field back, and looks.
func (u UpdateCheck) restore(ctx context.Context, member string, before map[string]string) error {
	fields := yappli.Fields{}
	for name, value := range before {
		fields[name] = yappli.Text(value)
	}
	_, err := u.Client.UpdateUser(ctx, member, fields)
	if err != nil {
		return fmt.Errorf("writing the fields back: %w", err)
	}
	lost, err := u.lost(ctx, member, before)
	if err == nil && len(lost) > 0 {
		err = fmt.Errorf("%d fields are not as they were after they were written back", len(lost))
	}
	return err
}
