package state

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"

	"hikyaku/internal/objectstore"
)

// An Alias is one form of an identity: a unique_id as it is written. Equivalent
// ones, which a person would call the same, have one folded form.
type Alias struct {
	Text   string // the unique_id; "": the user has none
	Exact  Digest // of the text
	Folded Digest // of its folded form: names the claim on the identity
}

// Is reports whether both are the same alias.
func (a Alias) Is(b Alias) bool { return a.Exact == b.Exact }

// Other reports whether both are aliases of one identity, and not the same.
func (a Alias) Other(b Alias) bool { return a.Folded == b.Folded && a.Exact != b.Exact }

// Mark tells an alias from the others of its identity: "" for the folded form.
func (a Alias) Mark() string {
	if a.Exact == a.Folded {
		return ""
	}
	return a.Exact.String()
}

// A Bearer is who bears one alias of an identity.
type Bearer struct {
	Member string `json:"member,omitempty"` // Yappli id; empty: claimed by a creation
	Owner  int64  `json:"owner,omitempty"`  // SuperSaaS user; 0: nobody yet
	Link   string `json:"link,omitempty"`   // how Member came to be Owner's, as in a row; empty: it gives Owner no right to Member
	Sent   *Sent  `json:"sent,omitempty"`   // by Owner's creation, of which no answer is known
	Doubt  bool   `json:"doubt,omitempty"`  // a member bears it that cannot be named
}

// OfAnother reports whether the bearer is owned, and not by a user.
func (b Bearer) OfAnother(user int64) bool { return b.Owner != 0 && b.Owner != user }

// A Sent is what a creation was about to send, as far as an answer shows it.
type Sent struct {
	Attempt string   `json:"attempt"` // the row's owner at the time: of another attempt it says nothing
	Fields  []string `json:"fields"`
	Values  string   `json:"values"` // their digest
}

// A Claim says who bears each alias of one identity: the document
// identities/{digest of the folded form}. One swap serializes all aliases.
type Claim struct {
	Bearer // of the folded form

	Others map[string]Bearer `json:"others,omitempty"` // of the other aliases, by their mark
}

// A HeldClaim is a claim with the document it was read from.
type HeldClaim struct {
	claim    Claim
	document objectstore.Document
	earlier  bool // what it says of the alias that was read lies under an earlier version's name only
}

// Renamed reports whether what is said of the alias lies under an earlier version's
// name only.
func (c *HeldClaim) Renamed() bool { return c.earlier }

// At returns who bears the alias of a mark.
func (c *HeldClaim) At(mark string) Bearer {
	if mark == "" {
		return c.claim.Bearer
	}
	return c.claim.Others[mark]
}

// Set says who bears the alias of a mark; nobody: the zero bearer. Swap stores it.
func (c *HeldClaim) Set(mark string, b Bearer) {
	switch {
	case mark == "":
		c.claim.Bearer = b
	case b == Bearer{}:
		delete(c.claim.Others, mark)
	default:
		if c.claim.Others == nil {
			c.claim.Others = map[string]Bearer{}
		}
		c.claim.Others[mark] = b
	}
}

// Beside returns the marks of the aliases that have a bearer, without one.
func (c *HeldClaim) Beside(mark string) []string {
	var marks []string
	for _, m := range append([]string{""}, slices.Sorted(maps.Keys(c.claim.Others))...) {
		if m != mark && c.At(m) != (Bearer{}) {
			marks = append(marks, m)
		}
	}
	return marks
}

// Claims are the claims on all identities.
type Claims struct{ documents documents }

// Read returns the claim on the identity of an alias.
func (s Claims) Read(ctx context.Context, unique Alias) (c HeldClaim, err error) {
	c.document, err = s.documents.read(ctx, unique.Folded.String(), &c.claim)
	if err == nil && c.document.Exists() && c.claim.Bearer == (Bearer{}) && len(c.claim.Others) == 0 {
		c.claim.Doubt = true // as an earlier version says it
	}
	if mark := unique.Mark(); err == nil && mark != "" && c.At(mark) == (Bearer{}) {
		var earlier Bearer // under the name that an earlier version gave the alias
		document, err := s.documents.read(ctx, mark, &earlier)
		if err != nil {
			return c, err
		}
		if document.Exists() {
			earlier.Doubt = earlier == Bearer{}
			c.Set(mark, earlier)
			c.earlier = true
		}
	}
	return c, err
}

// Swap stores a claim in place of what was read. It is objectstore.ErrConflict if
// somebody else has written meanwhile.
func (s Claims) Swap(ctx context.Context, c HeldClaim) error {
	_, err := c.document.Replace(ctx, s.documents.objects, c.claim)
	return err
}

// Names lists the identities that have a claim, after one.
func (s Claims) Names(ctx context.Context, after string) iter.Seq2[string, error] {
	return s.documents.names(ctx, after)
}

// Note keeps a member that a list showed, also for one who claimed its identity
// without a member, unless one is known. It reads first only what is known to be
// there.
func (s Claims) Note(ctx context.Context, unique Alias, b Bearer, known bool) error {
	c := HeldClaim{document: objectstore.Document{Key: s.documents.prefix + unique.Folded.String()}}
	for {
		if known {
			var err error
			if c, err = s.Read(ctx, unique); err != nil || c.At(unique.Mark()).Member != "" && !c.earlier {
				return err
			}
		}
		had := c.At(unique.Mark())
		if had.Member != "" {
			b = had
		}
		if b.Owner = cmp.Or(b.Owner, had.Owner); b.Owner == had.Owner {
			b.Sent = had.Sent
		}
		c.Set(unique.Mark(), b)
		if err := s.Swap(ctx, c); !errors.Is(err, objectstore.ErrConflict) {
			return err
		}
		known = true
	}
}

// Doubt gives an identity to nobody, because a member bears it that cannot be
// named: a user that asks for it waits for a list.
func (s Claims) Doubt(ctx context.Context, unique Alias) error {
	c, err := s.Read(ctx, unique)
	if b := c.At(unique.Mark()); err != nil || b.Member != "" || b.Doubt {
		return err
	}
	c.Set(unique.Mark(), Bearer{Doubt: true})
	if err = s.Swap(ctx, c); errors.Is(err, objectstore.ErrConflict) {
		return s.Doubt(ctx, unique)
	}
	return err
}

// ForgetSent says that a user's creation was refused, so that no member is taken for
// what it made.
func (s Claims) ForgetSent(ctx context.Context, unique Alias, user int64) error {
	for attempt := 1; ; attempt++ {
		c, err := s.Read(ctx, unique)
		b := c.At(unique.Mark())
		if err != nil || b.Owner != user {
			return err
		}
		b.Sent = nil
		c.Set(unique.Mark(), b)
		if err = s.Swap(ctx, c); !errors.Is(err, objectstore.ErrConflict) || attempt >= swapAttempts {
			return err
		}
	}
}
