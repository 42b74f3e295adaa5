package webhookrelay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// A spelling is one way to write an identity: a unique_id. Whatever a person would
// call the same has one folded form.
type spelling struct {
	text   string // the unique_id; "": the user has none
	exact  digest // of the text
	folded digest // of its folded form: names the claims on the identity
}

func (s *Stack) spellingOf(u supersaas.User) spelling {
	value := mapping.IdentityOf(u, s.Identity.By)
	if value == "" {
		return spelling{}
	}
	return s.spell(s.Identity.Prefix + value)
}

// spell folds what follows the prefix. What begins otherwise is no user's.
func (s *Stack) spell(unique string) spelling {
	exact := s.digest("identity", unique)
	sp := spelling{unique, exact, exact}
	if value, ours := strings.CutPrefix(unique, s.Identity.Prefix); ours {
		if folded := s.Mapping.FoldIdentity(s.Identity.By, value); folded != value {
			sp.folded = s.digest("identity", s.Identity.Prefix+folded)
		}
	}
	return sp
}

// is reports whether both are the same spelling.
func (a spelling) is(b spelling) bool { return a.exact == b.exact }

// other reports whether both are spellings of one identity, and not the same.
func (a spelling) other(b spelling) bool { return a.folded == b.folded && a.exact != b.exact }

// mark tells a spelling from the others of its identity: "" for the folded form.
func (a spelling) mark() string {
	if a.exact == a.folded {
		return ""
	}
	return a.exact.String()
}

// A bearer is who bears one spelling of an identity.
type bearer struct {
	Member string `json:"member,omitempty"` // Yappli id; empty: claimed by a creation
	Owner  int64  `json:"owner,omitempty"`  // SuperSaaS user; 0: nobody yet
	Link   string `json:"link,omitempty"`   // how Member came to be Owner's, as in a row; empty: it gives Owner no right to Member
	Sent   *sent  `json:"sent,omitempty"`   // by Owner's creation, of which no answer is known
	Doubt  bool   `json:"doubt,omitempty"`  // a member bears it whom nobody can name
}

// claims says who bears each spelling of one identity: the document
// identities/{HMAC of the folded form}. One swap serialises all spellings.
type claims struct {
	bearer // of the folded form

	Others map[string]bearer `json:"others,omitempty"` // of the other spellings, by their mark
}

func (c *claims) at(mark string) bearer {
	if mark == "" {
		return c.bearer
	}
	return c.Others[mark]
}

func (c *claims) set(mark string, b bearer) {
	switch {
	case mark == "":
		c.bearer = b
	case b == bearer{}:
		delete(c.Others, mark)
	default:
		if c.Others == nil {
			c.Others = map[string]bearer{}
		}
		c.Others[mark] = b
	}
}

// beside returns the marks of the spellings that have a bearer, without one.
func (c *claims) beside(mark string) []string {
	var marks []string
	for _, m := range append([]string{""}, slices.Sorted(maps.Keys(c.Others))...) {
		if m != mark && c.at(m) != (bearer{}) {
			marks = append(marks, m)
		}
	}
	return marks
}

// readClaims reads the claims on the identity of a spelling.
func (s *Stack) readClaims(ctx context.Context, sp spelling) (document objectstore.Document, c claims, err error) {
	document, err = s.readInto(ctx, s.claimsKey(sp), &c)
	if err == nil && document.Exists() && c.bearer == (bearer{}) && len(c.Others) == 0 {
		c.Doubt = true // as an earlier version says it
	}
	return document, c, err
}

func (s *Stack) claimsKey(sp spelling) string { return s.root + "identities/" + sp.folded.String() }

var (
	// errOtherOwner: another user owns the identity.
	errOtherOwner = errors.New("another user has this identity")
	// errInDoubt: the identity is the caller's, but what was known of its bearer is
	// not true any more, so that only a list tells whether a member bears it.
	errInDoubt = errors.New("only a list tells who bears this identity")
	// errOldList: what is known of the bearers of other spellings is too old.
	errOldList = errors.New("only a newer list tells who bears this identity in another spelling")
)

// claim takes the identity for the user whose row the attempt holds, and returns
// who bears it: no member, so that the caller may create one, or one that may be
// linked. Each claim swaps the document, also one that only confirms an earlier:
// of two who read the same, one gets it. Whatever else made the user its owner
// than a claim which this row tells of leaves a doubt, and the row stays inflight.
func (a *attempt) claim(ctx context.Context, p person) (bearer, error) {
	document, c, err := a.readClaims(ctx, p.unique)
	if err != nil {
		return bearer{}, err
	}
	mark, next := p.unique.mark(), bearer{}
	b := c.at(mark)
	m, certain, err := a.exactBearer(ctx, p, b)
	switch {
	case err != nil:
	case certain && m.ID != "":
		next, certain, err = a.mayTake(ctx, p, m, b)
	case certain:
		var other string
		if next, other, certain, err = a.similarBearer(ctx, p, &c); next.Member != "" {
			c.set(mark, bearer{})
			mark = other
		}
	}
	if err != nil {
		return bearer{}, err
	}
	switch next.Owner = a.job.user; {
	case certain && next.Member == "":
		next.Sent = a.sentOf(p)
	case !certain && b.Owner == a.job.user && a.before.State == "":
		if next.Sent = b.Sent; next.Sent != nil { // the row was lost, which told how that creation ended
			next.Sent.Attempt = a.held.Owner
		}
	}
	c.set(mark, next)
	_, err = document.Replace(ctx, a.Objects, c)
	if !certain {
		return bearer{}, errors.Join(errInDoubt, err)
	}
	if err == nil {
		a.before.Identity, a.before.Spelling = a.held.Identity, a.held.Spelling // to stay in the row, whatever comes of it
	}
	return next, err
}

// exactBearer returns the member that bears a user's identity exactly, none if
// there is none; or says that it is not certain. b is what is known of it.
func (a *attempt) exactBearer(ctx context.Context, p person, b bearer) (m yappli.Member, certain bool, err error) {
	ours := b.Owner == a.job.user
	certain = b == bearer{} || ours && a.claimed()
	switch {
	case b.Owner != 0 && !ours:
		var owner heldRow
		switch owner, err = a.readRow(ctx, b.Owner); { // after the document: see abandoned
		case err != nil:
		case a.isMereClaim(b, owner.row):
			return a.bears(ctx, b.Member, p.unique.is)
		default:
			err = a.abandoned(ctx, b, owner.row)
		}
		return m, false, err
	case b.Member != "":
		return a.bears(ctx, b.Member, p.unique.is)
	case certain && a.quirks.Lookup == yappli.LookupUniqueID:
		m, err = a.lookUp(ctx, p.unique.text)
	}
	return m, certain, err
}

// claimed reports whether the row told of the identity before the attempt: then it
// tells, too, how each creation by it ended.
func (a *attempt) claimed() bool { return a.before.Identity == a.held.Identity }

// mayTake returns the claim of a user who may be linked to the member that bears
// the identity exactly. If a person has to decide, the pair is proposed.
func (a *attempt) mayTake(ctx context.Context, p person, m yappli.Member, b bearer) (next bearer, certain bool, err error) {
	how, pair, err := a.mayLink(ctx, a.job.user, p, m, b)
	switch {
	case errors.Is(err, errAwaiting):
		return next, false, cmp.Or(a.propose(ctx, pair), err)
	case err != nil:
		return next, false, err
	case how == linkMatched && b.Member == "":
		return next, false, nil // a list shows first that the member is no other user's
	}
	return bearer{Member: m.ID, Link: how}, true, nil
}

// similarBearer looks at the other spellings of a user's identity. It returns the
// claim on a member who bears one of them and may be linked, with its mark; none, so
// that one may be created, if there is no such member, or a person has decided that
// each is somebody else; or it says that it is not certain. What turns out not to be
// true any more is taken out of c.
func (a *attempt) similarBearer(ctx context.Context, p person, c *claims) (next bearer, mark string, certain bool, err error) {
	certain = true
	for _, mark := range c.beside(p.unique.mark()) {
		b, owner, err := a.withOwner(ctx, a.job.user, c.at(mark), p.unique)
		if err != nil {
			return next, "", false, err
		}
		var m yappli.Member
		there, gone := false, false
		if b.Member == "" {
			gone, err = a.endedWithout(ctx, b, owner)
		} else {
			m, there, err = a.bears(ctx, b.Member, p.unique.other)
		}
		if err != nil {
			return next, "", false, err
		}
		if !there {
			c.set(mark, bearer{})
			certain = certain && gone
			continue
		}
		next, err = a.mayTakeSimilar(ctx, p, m, b, owner)
		if !errors.Is(err, errRejected) {
			return next, a.spell(m.UniqueID).mark(), err == nil, err
		}
	}
	return bearer{}, "", certain, nil
}

// withOwner completes what is known of one who bears another spelling of a user's
// identity: with its owner's row, if that is another user, and with the member that
// the row alone tells of.
func (s *Stack) withOwner(ctx context.Context, user int64, b bearer, unique spelling) (bearer, row, error) {
	if b.Owner == 0 || b.Owner == user {
		return b, row{}, nil
	}
	owner, err := s.readRow(ctx, b.Owner)
	if b.Member == "" && owner.Identity == unique.folded.String() {
		b.Member = owner.Member
	}
	return b, owner.row, err
}

// endedWithout reports whether a claim on another spelling certainly made no member.
// It is errOtherOwner if it may still make one.
func (a *attempt) endedWithout(ctx context.Context, b bearer, owner row) (bool, error) {
	switch b.Owner {
	case 0:
		return false, nil
	case a.job.user:
		return a.claimed(), nil
	}
	return false, a.abandoned(ctx, b, owner)
}

// mayTakeSimilar is mayTake for a member who bears another spelling. One who is
// another user's is nobody else's, whatever a person decides. That a member is not
// the user's counts only if a list has been read since that shows who else there is.
func (a *attempt) mayTakeSimilar(ctx context.Context, p person, m yappli.Member, b bearer, owner row) (next bearer, err error) {
	how, pair, err := a.mayLink(ctx, a.job.user, p, m, b)
	switch {
	case errors.Is(err, errRejected):
		i, readErr := a.readIndex(ctx)
		if readErr == nil && i.Users.Before(pair.At.Add(a.Settings.lag())) {
			readErr = errOldList
		}
		return next, cmp.Or(readErr, err)
	case errors.Is(err, errAwaiting):
		return next, cmp.Or(a.propose(ctx, pair), err)
	case err == nil && b.Owner != 0 && b.Owner != a.job.user && !a.isMereClaim(b, owner):
		return next, errOtherOwner
	}
	return bearer{Member: m.ID, Link: how}, err
}

// forgetSent says that a creation was refused, so that no member is taken for
// what it made.
func (a *attempt) forgetSent(ctx context.Context, unique spelling) error {
	ctx = context.WithoutCancel(ctx)
	for attempt := 1; ; attempt++ {
		document, c, err := a.readClaims(ctx, unique)
		b := c.at(unique.mark())
		if err != nil || b.Owner != a.job.user {
			return err
		}
		b.Sent = nil
		c.set(unique.mark(), b)
		if _, err = document.Replace(ctx, a.Objects, c); !errors.Is(err, objectstore.ErrConflict) || attempt >= swapAttempts {
			return err
		}
	}
}

// isMereClaim reports whether the owner of an identity, whose row is given, has no
// right to the member that bears it, and no creation under way: being the first to
// type it keeps nobody else from the member.
func (s *Stack) isMereClaim(b bearer, owner row) bool {
	return b.Member != "" && b.Link == "" && s.Settings.Link != Always && owner.Member == "" && owner.State != rowInflight
}

// abandoned returns nil if the owner neither has nor may have made a member of
// the identity, and does not ask for one. The row is read after the document: a
// claim of the owner that this does not see makes the swap fail.
func (a *attempt) abandoned(ctx context.Context, b bearer, owner row) error {
	byThis := owner.Identity == a.held.Identity && (owner.Member != "" || owner.State == rowInflight)
	if byThis || owner.Member != "" && owner.Member == b.Member {
		return errOtherOwner
	}
	p, err := a.person(ctx, b.Owner)
	if err == nil && p.unique.text != "" && p.unique.folded.String() == a.held.Identity {
		return errOtherOwner
	}
	return err
}

// bears asks Yappli whether the member that was once seen to bear a spelling still
// bears one that is wanted.
func (a *attempt) bears(ctx context.Context, member string, wanted func(spelling) bool) (yappli.Member, bool, error) {
	m, err := a.members.User(ctx, member)
	if errors.Is(err, providers.ErrNotFound) {
		return m, false, nil
	}
	return m, err == nil && wanted(a.spell(m.UniqueID)), err
}

// own makes the owner's a member that a list shows and that bears the identity
// exactly, and returns who bears it then. It is errAwaiting if only the identity
// speaks for that. A member that shows all that a creation in doubt sent was made by
// it.
func (s *Stack) own(ctx context.Context, m yappli.Member, owner int64, inDoubt, rejected bool) (bearer, error) {
	unique := s.spell(m.UniqueID)
	document, c, err := s.readClaims(ctx, unique)
	b := c.at(unique.mark())
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
	c.set(unique.mark(), next)
	_, err = document.Replace(ctx, s.Objects, c)
	return next, cmp.Or(err, awaiting)
}

// note keeps a member that a list showed, also for one who claimed its identity
// without a member, unless one is known. It reads first only what is known to be
// there.
func (s *Stack) note(ctx context.Context, unique spelling, b bearer, known bool) error {
	document, c := objectstore.Document{Key: s.claimsKey(unique)}, claims{}
	for {
		if known {
			var err error
			if document, c, err = s.readClaims(ctx, unique); err != nil || c.at(unique.mark()).Member != "" {
				return err
			}
		}
		had := c.at(unique.mark())
		if b.Owner = cmp.Or(b.Owner, had.Owner); b.Owner == had.Owner {
			b.Sent = had.Sent
		}
		c.set(unique.mark(), b)
		if _, err := document.Replace(ctx, s.Objects, c); !errors.Is(err, objectstore.ErrConflict) {
			return err
		}
		known = true
	}
}

// doubt gives an identity to nobody, because a member bears it whom nobody can
// name: whoever asks for it waits for a list.
func (s *Stack) doubt(ctx context.Context, unique spelling) error {
	document, c, err := s.readClaims(ctx, unique)
	if b := c.at(unique.mark()); err != nil || b.Member != "" || b.Doubt {
		return err
	}
	c.set(unique.mark(), bearer{Doubt: true})
	if _, err = document.Replace(ctx, s.Objects, c); errors.Is(err, objectstore.ErrConflict) {
		return s.doubt(ctx, unique)
	}
	return err
}
