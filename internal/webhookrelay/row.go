package webhookrelay

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/objectstore"
)

// A rowState is where a row stands in the protocol of docs/relay-protocol.md.
type rowState string

const (
	rowIdle     rowState = "idle"     // nobody writes; what Yappli holds is not known
	rowInflight rowState = "inflight" // Owner may be writing until Until
	rowClean    rowState = "clean"    // Yappli held what Hash says
)

// A row is what the relay knows of one user: the document rows/{user id}. The
// zero row is of a user it never touched.
type row struct {
	State     rowState  `json:"state,omitempty"`
	Owner     string    `json:"owner,omitempty"`     // of inflight: unique to one attempt
	Until     time.Time `json:"until,omitzero"`      // of inflight
	Hash      string    `json:"hash,omitempty"`      // of clean: of the wish that was written
	Member    string    `json:"member,omitempty"`    // Yappli id, once known
	Identity  string    `json:"identity,omitempty"`  // digest of the folded unique_id that linked the member, or that was claimed or is being claimed for one
	Tombstone bool      `json:"tombstone,omitempty"` // the user was gone at the last write
	Disabled  bool      `json:"disabled,omitempty"`  // the relay itself set enabled=0, or was about to
	Spelling  string    `json:"spelling,omitempty"`  // mark of the unique_id among those of Identity
	Absent    bool      `json:"absent,omitempty"`    // a complete list proved that no member bears the identity
	Link      string    `json:"link,omitempty"`      // how the member came to be this user's: linkMade, linkMatched or linkApproved
	Noted     bool      `json:"noted,omitempty"`     // of linkMade: the identity's object says so too

	Differs uint32  `json:"differs,omitempty"` // of clean: the difference that a complete list showed after the write before this
	Left    bool    `json:"left,omitempty"`    // of clean: the next list showed it again, so it is left until either side changes
	History []Event `json:"history,omitempty"` // the newest last
}

// leaves: a difference of the member from the wish is left as it is.
func (r row) leaves() bool { return r.State == rowClean && r.Left }

// unresolved: a creation may have taken effect, and nobody knows its member.
func (r row) unresolved() bool { return r.State == rowInflight && r.Member == "" }

// A heldRow is a row with the document it was read from or written to.
type heldRow struct {
	row
	document objectstore.Document
}

func (s *Stack) rowKey(user int64) string {
	return s.root + "rows/" + strconv.FormatInt(user, 10)
}

func (s *Stack) readRow(ctx context.Context, user int64) (heldRow, error) {
	var held heldRow
	var err error
	held.document, err = s.readInto(ctx, s.rowKey(user), &held.row)
	return held, err
}

// readInto reads a document of the state, into v unless there is none.
func (s *Stack) readInto(ctx context.Context, key string, v any) (objectstore.Document, error) {
	document, err := objectstore.ReadDocument(ctx, s.Objects, key)
	if err == nil {
		err = document.Decode(v)
	}
	return document, err
}

// swap writes r in place of the held row. objectstore.ErrConflict if somebody
// else has written meanwhile.
func (s *Stack) swap(ctx context.Context, held *heldRow, r row) error {
	r.fit()
	document, err := held.document.Replace(ctx, s.Objects, r)
	if err != nil {
		return err
	}
	held.row, held.document = r, document
	return nil
}

// acquire makes the row inflight for a new owner. unique is what a member is to be
// created by, if the row has none. disabling is set before
// a request that disables, so that whoever finds the row after a crash knows
// whose enabled=0 it may be.
func (s *Stack) acquire(ctx context.Context, held *heldRow, unique spelling, disabling bool) error {
	r := held.row
	if r.Member == "" {
		identity := ""
		if unique.text != "" {
			identity = unique.folded.String()
		}
		r.Absent = r.Absent && r.Identity == identity && r.Spelling == unique.mark()
		r.Identity, r.Spelling = identity, unique.mark()
	}
	r.Differs, r.Left = 0, false
	r.State, r.Hash, r.Owner, r.Until = rowInflight, "", uuid.NewString(), s.Now().Add(s.Settings.hold()).UTC()
	r.Disabled = r.Disabled || disabling
	return s.swap(ctx, held, r)
}

// createRow links a member to a user who has no row; a row that exists stays.
func (s *Stack) createRow(ctx context.Context, user int64, r row) error {
	held := heldRow{document: objectstore.Document{Key: s.rowKey(user)}}
	if err := s.swap(ctx, &held, r); !errors.Is(err, objectstore.ErrConflict) {
		return err
	}
	return nil
}
