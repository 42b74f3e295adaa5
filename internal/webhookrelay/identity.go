package webhookrelay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
)

// An Identity says what a member's unique_id is made of: a prefix and a field
// of the user. With "id" it never changes and nobody else makes one like it; a
// shop with existing members points it at the field that holds theirs.
type Identity struct {
	By     string // "id", "fk" or another of IdentityFields
	Prefix string // before the value; may be empty
}

// IdentityFields are the fields that an identity may be made of.
func IdentityFields() []string {
	return []string{"id", "fk", "name", "email", "phone", "mobile", "field_1", "field_2", "super_field"}
}

// Validate reports a field that is none of IdentityFields.
func (i Identity) Validate() error {
	if !slices.Contains(IdentityFields(), i.By) {
		return fmt.Errorf("identity %q is not one of %s", i.By, strings.Join(IdentityFields(), ", "))
	}
	return nil
}

// Of returns the user's unique_id; "" if the user has none.
func (i Identity) Of(u supersaas.User) string {
	var value string
	switch i.By {
	case "id":
		value = strconv.FormatInt(u.ID, 10) // the same in every spelling of the number
	case "fk":
		value = u.FK
	default:
		if v, ok := mapping.ValueOf(u.Fields()[i.By]); ok {
			value = v.Text
		}
	}
	if strings.TrimSpace(value) == "" {
		return ""
	}
	return i.Prefix + value
}

// A bearer is who bears one unique_id: the document identities/{HMAC}.
type bearer struct {
	Member string `json:"member,omitempty"` // Yappli id; empty: claimed by a creation
	Owner  int64  `json:"owner,omitempty"`  // SuperSaaS user; 0: nobody yet
}

// errOtherOwner: another user owns the identity.
var errOtherOwner = errors.New("another user has this identity")

// errInDoubt: the identity is the caller's, but what was known of its bearer is
// not true any more, so that only a list tells whether a member bears it.
var errInDoubt = errors.New("only a list tells who bears this identity")

// claim takes the identity for the user whose row the attempt holds, and returns
// the member that bears it; "" if none does, so that the caller may create one.
// Each claim swaps the document, also one that only confirms an earlier: of two
// who read the same, one gets it. Whatever else made the user its owner than a
// claim which this row tells of leaves a doubt, and the row stays inflight.
func (a *attempt) claim(ctx context.Context, unique string) (member string, err error) {
	document, b, err := a.identified(ctx, unique)
	if err != nil {
		return "", err
	}
	ours := b.Owner == a.job.user
	certain := !document.Exists() || ours && a.before.Identity == a.held.Identity
	switch {
	case b.Owner != 0 && !ours:
		err = a.abandoned(ctx, unique, b)
	case b.Member != "":
		certain, err = a.bears(ctx, b.Member, unique)
	}
	if err != nil {
		return "", err
	}
	if !certain {
		b.Member = ""
	}
	b.Owner = a.job.user
	_, err = document.Replace(ctx, a.Objects, b)
	if !certain {
		return "", errors.Join(errInDoubt, err)
	}
	if err == nil {
		a.before.Identity = a.held.Identity // to stay in the row, whatever comes of it
	}
	return b.Member, err
}

// abandoned returns nil if the owner neither has nor may have made a member of
// the identity, and does not ask for one. The row is read after the document: a
// claim of the owner that this does not see makes the swap fail.
func (a *attempt) abandoned(ctx context.Context, unique string, b bearer) error {
	held, err := a.readRow(ctx, b.Owner)
	if err != nil {
		return err
	}
	byThis := held.Identity == a.held.Identity && (held.Member != "" || held.State == rowInflight)
	if byThis || held.Member != "" && held.Member == b.Member {
		return errOtherOwner
	}
	p, err := a.person(ctx, b.Owner)
	if err == nil && p.unique == unique {
		return errOtherOwner
	}
	return err
}

// bears asks Yappli whether the member that was once seen to bear the identity
// still does.
func (a *attempt) bears(ctx context.Context, member, unique string) (bool, error) {
	m, err := a.members.User(ctx, member)
	if errors.Is(err, providers.ErrNotFound) {
		return false, nil
	}
	return m.UniqueID == unique, err
}

// own makes the owner's a member that a list shows, and returns who bears the
// identity then.
func (s *Stack) own(ctx context.Context, unique, member string, owner int64) (bearer, error) {
	document, b, err := s.identified(ctx, unique)
	switch {
	case err != nil, b.Owner == owner && b.Member != "":
		return b, err
	case b.Owner != owner && b.Owner != 0:
		return b, errOtherOwner
	}
	b = bearer{Member: cmp.Or(b.Member, member), Owner: owner}
	_, err = document.Replace(ctx, s.Objects, b)
	return b, err
}

// bearerOf reads who bears an identity, without claiming it.
func (s *Stack) bearerOf(ctx context.Context, unique string) (bearer, error) {
	_, b, err := s.identified(ctx, unique)
	return b, err
}

func (s *Stack) identified(ctx context.Context, unique string) (document objectstore.Document, b bearer, err error) {
	document, err = objectstore.ReadDocument(ctx, s.Objects, s.identityKey(unique))
	if err == nil {
		err = document.Decode(&b)
	}
	return document, b, err
}

// note keeps a member that a list showed, also for one who claimed its identity
// without a member, unless one is known.
func (s *Stack) note(ctx context.Context, unique string, b bearer) error {
	document := objectstore.Document{Key: s.identityKey(unique)}
	for {
		_, err := document.Replace(ctx, s.Objects, b)
		if !errors.Is(err, objectstore.ErrConflict) {
			return err
		}
		var had bearer
		if document, had, err = s.identified(ctx, unique); err != nil || had.Member != "" {
			return err
		}
		b.Owner = cmp.Or(b.Owner, had.Owner)
	}
}

// doubt gives an identity to nobody, because a member bears it whom nobody can
// name: whoever asks for it waits for a list.
func (s *Stack) doubt(ctx context.Context, unique string) error {
	document, b, err := s.identified(ctx, unique)
	if err != nil || b.Member != "" || document.Exists() && b.Owner == 0 {
		return err
	}
	if _, err = document.Replace(ctx, s.Objects, bearer{}); errors.Is(err, objectstore.ErrConflict) {
		return s.doubt(ctx, unique)
	}
	return err
}

func (s *Stack) identityKey(unique string) string {
	return s.root + "identities/" + s.digest("identity", unique).String()
}
