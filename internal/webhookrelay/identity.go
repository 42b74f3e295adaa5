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
	"hikyaku/pkg/providers/yappli"
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
	Link   string `json:"link,omitempty"`   // how Member came to be Owner's, as in a row; empty: it gives Owner no right to Member
	Sent   *sent  `json:"sent,omitempty"`   // by Owner's creation, of which no answer is known
}

// errOtherOwner: another user owns the identity.
var errOtherOwner = errors.New("another user has this identity")

// errInDoubt: the identity is the caller's, but what was known of its bearer is
// not true any more, so that only a list tells whether a member bears it.
var errInDoubt = errors.New("only a list tells who bears this identity")

// claim takes the identity for the user whose row the attempt holds, and returns
// who bears it: no member, so that the caller may create one, or one that may be
// linked. Each claim swaps the document, also one that only confirms an earlier:
// of two who read the same, one gets it. Whatever else made the user its owner
// than a claim which this row tells of leaves a doubt, and the row stays inflight.
func (a *attempt) claim(ctx context.Context, p person) (bearer, error) {
	document, b, err := a.identified(ctx, p.unique)
	if err != nil {
		return bearer{}, err
	}
	ours := b.Owner == a.job.user
	certain := !document.Exists() || ours && a.before.Identity == a.held.Identity
	var m yappli.Member
	switch {
	case b.Owner != 0 && !ours:
		var owner heldRow
		switch owner, err = a.readRow(ctx, b.Owner); { // after the document: see abandoned
		case err != nil:
		case a.isMereClaim(b, owner.row):
			m, certain, err = a.bears(ctx, b.Member, p.unique)
		default:
			err = a.abandoned(ctx, p.unique, b, owner.row)
		}
	case b.Member != "":
		m, certain, err = a.bears(ctx, b.Member, p.unique)
	case certain && a.quirks.Lookup == yappli.LookupUniqueID:
		m, err = a.lookUp(ctx, p.unique)
	}
	if err != nil {
		return bearer{}, err
	}
	next := bearer{Owner: a.job.user}
	switch {
	case certain && m.ID != "":
		var pair Pair
		next.Member = m.ID
		next.Link, pair, err = a.mayLink(ctx, a.job.user, p, m, b)
		switch {
		case errors.Is(err, errAwaiting):
			err = cmp.Or(a.propose(ctx, pair), err)
		case err == nil && next.Link == linkMatched && b.Member == "":
			next, certain = bearer{Owner: a.job.user}, false // a list shows first that the member is no other user's
		}
	case certain:
		next.Sent = a.sentOf(p)
	case ours && a.before.State == "":
		if next.Sent = b.Sent; next.Sent != nil { // the row was lost, which told how that creation ended
			next.Sent.Attempt = a.held.Owner
		}
	}
	if err != nil {
		return bearer{}, err
	}
	_, err = document.Replace(ctx, a.Objects, next)
	if !certain {
		return bearer{}, errors.Join(errInDoubt, err)
	}
	if err == nil {
		a.before.Identity = a.held.Identity // to stay in the row, whatever comes of it
	}
	return next, err
}

// forgetSent says that a creation was refused, so that no member is taken for
// what it made.
func (a *attempt) forgetSent(ctx context.Context, unique string) error {
	ctx = context.WithoutCancel(ctx)
	for attempt := 1; ; attempt++ {
		document, b, err := a.identified(ctx, unique)
		if err != nil || b.Owner != a.job.user {
			return err
		}
		b.Sent = nil
		if _, err = document.Replace(ctx, a.Objects, b); !errors.Is(err, objectstore.ErrConflict) || attempt >= swapAttempts {
			return err
		}
	}
}

// isMereClaim reports whether the owner of an identity, whose row is given, has no
// right to the member that bears it, and no creation under way: being the first to
// type it keeps nobody else from the member.
func (a *attempt) isMereClaim(b bearer, owner row) bool {
	return b.Member != "" && b.Link == "" && a.Settings.Link != Always && owner.Member == "" && owner.State != rowInflight
}

// abandoned returns nil if the owner neither has nor may have made a member of
// the identity, and does not ask for one. The row is read after the document: a
// claim of the owner that this does not see makes the swap fail.
func (a *attempt) abandoned(ctx context.Context, unique string, b bearer, owner row) error {
	byThis := owner.Identity == a.held.Identity && (owner.Member != "" || owner.State == rowInflight)
	if byThis || owner.Member != "" && owner.Member == b.Member {
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
func (a *attempt) bears(ctx context.Context, member, unique string) (yappli.Member, bool, error) {
	m, err := a.members.User(ctx, member)
	if errors.Is(err, providers.ErrNotFound) {
		return m, false, nil
	}
	return m, m.UniqueID == unique, err
}

// own makes the owner's a member that a list shows, and returns who bears the
// identity then. It is errAwaiting if only the identity speaks for that. A
// member that shows all that a creation in doubt sent was made by it.
func (s *Stack) own(ctx context.Context, m yappli.Member, owner int64, inDoubt, rejected bool) (bearer, error) {
	document, b, err := s.identified(ctx, m.UniqueID)
	mine := b.Owner == owner
	switch {
	case err == nil && !mine && b.Owner != 0:
		return b, errOtherOwner
	case err != nil, b.Member != "" && b.Member != m.ID:
		return b, err
	}
	next := bearer{Member: m.ID, Owner: owner, Link: b.Link}
	made := mine && inDoubt && b.Sent != nil && s.sentShows(b.Sent, m)
	if made {
		held, err := s.readRow(ctx, owner)
		if err != nil {
			return b, err
		}
		made = held.State == rowInflight && held.Owner == b.Sent.Attempt
	}
	var awaiting error
	switch {
	case made: // whatever a person decided who took it for somebody else's
		next.Link = linkMade
	case rejected && b.Link != linkMade: // since the identity was written, and before the row was
		next.Link, awaiting = "", errAwaiting
	case mine && b.Member != "" && b.Link != "":
	case s.Settings.Link != Always:
		// Noted, so that nobody creates a second one. The creation may have come after the rows were read.
		next.Owner, next.Sent, awaiting = b.Owner, b.Sent, errAwaiting
	}
	if next == b {
		return b, awaiting
	}
	_, err = document.Replace(ctx, s.Objects, next)
	return next, cmp.Or(err, awaiting)
}

// bearerOf reads who bears an identity, without claiming it.
func (s *Stack) bearerOf(ctx context.Context, unique string) (bearer, error) {
	_, b, err := s.identified(ctx, unique)
	return b, err
}

func (s *Stack) identified(ctx context.Context, unique string) (document objectstore.Document, b bearer, err error) {
	document, err = s.readInto(ctx, s.identityKey(unique), &b)
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
		if b.Owner = cmp.Or(b.Owner, had.Owner); b.Owner == had.Owner {
			b.Sent = had.Sent
		}
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
