package state

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"hikyaku/internal/objectstore"
)

// How a pair matched.
const (
	Exactly = "exact"  // by the identity, character for character
	Folded  = "folded" // by another alias of it
)

// A Pair is what would be linked, were it decided: the document pairs/{user}.
type Pair struct {
	User     int64     `json:"user_id,string"`
	Member   string    `json:"member"`
	Identity string    `json:"identity"` // HMAC of the member's unique_id, as it is written
	How      string    `json:"how"`      // exact or folded
	At       time.Time `json:"at"`       // when it was proposed
	Void     time.Time `json:"void,omitzero"`
	// Void is the time of a decision on it that is void, as a record has changed.
}

// Same reports whether both are of one user, member and identity, whatever the rules
// of folding were.
func (p Pair) Same(q Pair) bool {
	return p.User == q.User && p.Member == q.Member && p.Identity == q.Identity && p.How == q.How
}

// Pairs are those that were proposed, one of a user.
type Pairs struct{ byUser[Pair] }

// Propose stores a pair for a person to decide. One that is there already is
// not written again.
func (s Pairs) Propose(ctx context.Context, p Pair) error {
	for attempt := 1; ; attempt++ {
		var had Pair
		document, err := s.documents.read(ctx, strconv.FormatInt(p.User, 10), &had)
		if err != nil || had.Same(p) && (p.Void.IsZero() || had.Void.Equal(p.Void)) { // without having read the decision, none can know that it is void
			return err
		}
		if _, err = document.Replace(ctx, s.documents.objects, p); !errors.Is(err, objectstore.ErrConflict) || attempt >= swapAttempts {
			return err
		}
	}
}

// A Decision is a person's on one pair: the document decisions/{user}, which
// functions may only read.
type Decision struct {
	Pair

	Approved bool      `json:"approved"`
	Rejected []Pair    `json:"rejected,omitempty"` // earlier, and not approved since
	Records  string    `json:"records"`            // digest of both records as they were shown
	Decided  time.Time `json:"decided"`
}

// AllRejected are all the pairs of which a person has said that the member is not
// the user's.
func (d Decision) AllRejected() []Pair {
	if d.User == 0 || d.Approved {
		return d.Rejected
	}
	return append(slices.Clone(d.Rejected), d.Pair)
}

// Rejection returns the pair of a list that is the same as p.
func Rejection(rejected []Pair, p Pair) (Pair, bool) {
	i := slices.IndexFunc(rejected, p.Same)
	if i < 0 {
		return p, false
	}
	return rejected[i], true
}

// Decisions are those of all users.
type Decisions struct{ byUser[Decision] }

// Decide stores a decision, and keeps what was rejected before. Only commands may.
func (s Decisions) Decide(ctx context.Context, d Decision) error {
	var before Decision
	document, err := s.documents.read(ctx, strconv.FormatInt(d.User, 10), &before)
	if err != nil {
		return err
	}
	d.Rejected = slices.DeleteFunc(before.AllRejected(), d.Same)
	_, err = document.Replace(ctx, s.documents.objects, d)
	return err
}
