package state

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/objectstore"
)

// A RowState is where a row stands in the protocol of docs/relay-protocol.md.
type RowState string

// The states of a row.
const (
	Idle     RowState = "idle"     // nobody writes; what Yappli holds is not known
	Inflight RowState = "inflight" // Owner may be writing until Until
	Clean    RowState = "clean"    // Yappli held what Hash says
)

// How a member came to be a user's. A row that an earlier version linked, or the
// link mode always, says nothing, and counts as approved.
const (
	Made     = "made"     // the relay made the member for this user
	Matched  = "matched"  // the link_if fields agreed
	Approved = "approved" // a person decided
)

// A Row is what the relay knows of one user: the document rows/{user id}. The
// zero row is of a user it never touched.
type Row struct {
	State     RowState  `json:"state,omitempty"`
	Owner     string    `json:"owner,omitempty"`     // of inflight: unique to one attempt
	Until     time.Time `json:"until,omitzero"`      // of inflight
	Hash      string    `json:"hash,omitempty"`      // of clean: of the desired fields that were written
	Member    string    `json:"member,omitempty"`    // Yappli id, once known
	Identity  string    `json:"identity,omitempty"`  // digest of the folded unique_id that linked the member, or that was claimed or is being claimed for one
	Alias     string    `json:"spelling,omitempty"`  // mark of the unique_id among those of Identity
	Tombstone bool      `json:"tombstone,omitempty"` // the user was gone at the last write
	Disabled  bool      `json:"disabled,omitempty"`  // the relay itself set enabled=0, or was about to
	Absent    bool      `json:"absent,omitempty"`    // a complete list proved that no member bears the identity
	Link      string    `json:"link,omitempty"`      // how the member came to be this user's: Made, Matched or Approved
	Noted     bool      `json:"noted,omitempty"`     // of Made: the claim on the identity says so too

	Differs uint32  `json:"differs,omitempty"` // of clean: the difference that a complete list showed after the write before this
	Left    bool    `json:"left,omitempty"`    // of clean: the next list showed it again, so it is left until either side changes
	History []Event `json:"history,omitempty"` // the newest last
}

// Leaves reports whether a difference of the member from the desired fields is left as it is.
func (r Row) Leaves() bool { return r.State == Clean && r.Left }

// Unresolved reports whether a creation may have taken effect, of which nobody
// knows the member.
func (r Row) Unresolved() bool { return r.State == Inflight && r.Member == "" }

// OfAnother reports whether the row names another identity than a user's. An earlier
// version wrote the digest of the exact one.
func (r Row) OfAnother(unique Alias) bool {
	return r.Identity != "" && unique.Text != "" && r.Identity != unique.Folded.String() && r.Identity != unique.Exact.String()
}

// Acquired is the row inflight for a new owner. unique is what a member is to be
// created by, if the row has none. disabling is set before a request that disables,
// so that after a crash the row tells whose enabled=0 it may be.
func (r Row) Acquired(unique Alias, disabling bool, until time.Time) Row {
	if r.Member == "" {
		identity := ""
		if unique.Text != "" {
			identity = unique.Folded.String()
		}
		r.Absent = r.Absent && r.Identity == identity && r.Alias == unique.Mark()
		r.Identity, r.Alias = identity, unique.Mark()
	}
	r.Differs, r.Left = 0, false
	r.State, r.Hash, r.Owner, r.Until = Inflight, "", uuid.NewString(), until.UTC()
	r.Disabled = r.Disabled || disabling
	return r
}

// A HeldRow is a row with the document it was read from or written to.
type HeldRow struct {
	Row

	document objectstore.Document
}

// Rows are the rows of all users.
type Rows struct{ documents documents }

// Read returns a user's row.
func (s Rows) Read(ctx context.Context, user int64) (HeldRow, error) {
	var held HeldRow
	var err error
	held.document, err = s.documents.read(ctx, strconv.FormatInt(user, 10), &held.Row)
	return held, err
}

// Swap writes r in place of the held row. It is objectstore.ErrConflict if somebody
// else has written meanwhile.
func (s Rows) Swap(ctx context.Context, held *HeldRow, r Row) error {
	r.fit()
	document, err := held.document.Replace(ctx, s.documents.objects, r)
	if err != nil {
		return err
	}
	held.Row, held.document = r, document
	return nil
}

// Create writes the row of a user who has none; a row that exists stays.
func (s Rows) Create(ctx context.Context, user int64, r Row) error {
	held := HeldRow{document: objectstore.Document{Key: s.documents.prefix + strconv.FormatInt(user, 10)}}
	if err := s.Swap(ctx, &held, r); !errors.Is(err, objectstore.ErrConflict) {
		return err
	}
	return nil
}

// Users lists the users who have a row, in the order of their names, after one.
func (s Rows) Users(ctx context.Context, after string) iter.Seq2[int64, error] {
	return s.documents.users(ctx, after)
}
