package webhookrelay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hikyaku/internal/objectstore"
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
	if i.By == "fk" {
		value = u.FK
	} else if v, err := toValue(u.Fields()[i.By]); err == nil {
		value = v.Text
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

// claim takes the identity for owner and returns the member that bears it; ""
// if none does, so that the caller may create one. Whoever gets nil has it
// alone: the document is swapped, never overwritten.
func (s *Stack) claim(ctx context.Context, unique string, owner int64) (member string, err error) {
	document, err := objectstore.ReadDocument(ctx, s.Objects, s.identityKey(unique))
	if err != nil {
		return "", err
	}
	var b bearer
	if err := document.Decode(&b); err != nil {
		return "", err
	}
	switch b.Owner {
	case owner:
		return b.Member, nil
	case 0:
		b.Owner = owner
		_, err := document.Replace(ctx, s.Objects, b)
		return b.Member, err
	}
	return "", errOtherOwner
}

// bearerOf reads who bears an identity, without claiming it.
func (s *Stack) bearerOf(ctx context.Context, unique string) (b bearer, err error) {
	document, err := objectstore.ReadDocument(ctx, s.Objects, s.identityKey(unique))
	if err != nil {
		return b, err
	}
	return b, document.Decode(&b)
}

// note keeps a member that a list showed, unless the identity is known.
func (s *Stack) note(ctx context.Context, unique string, b bearer) error {
	_, err := objectstore.Document{Key: s.identityKey(unique)}.Replace(ctx, s.Objects, b)
	if errors.Is(err, objectstore.ErrConflict) {
		return nil
	}
	return err
}

func (s *Stack) identityKey(unique string) string {
	return s.root + "identities/" + s.digest("identity", unique).String()
}
