package webhookrelay

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// A LinkMode says what it takes to link a user to a member who bears the user's
// identity and whom the relay did not make.
type LinkMode string

// The link modes. Without one, Approve holds.
const (
	Approve LinkMode = "approve" // a person decides
	Match   LinkMode = "match"   // the mapping's link_if fields must agree; else a person decides
	Always  LinkMode = "always"  // the identity is enough
)

// How a link came to be. A row that an earlier version linked, or the mode
// Always, says nothing, and counts as approved.
const (
	linkMade     = "made"     // the relay made the member for this user
	linkMatched  = "matched"  // the link_if fields agreed
	linkApproved = "approved" // a person decided
)

// How a pair matched.
const (
	exactly           = "exact"  // by the identity, character for character
	inAnotherSpelling = "folded" // by another spelling of it
)

// A Pair is what would be linked, were it decided: the document pairs/{user}.
type Pair struct {
	User     int64     `json:"user_id,string"`
	Member   string    `json:"member"`
	Identity string    `json:"identity"` // HMAC of the folded unique_id
	How      string    `json:"how"`      // exact or folded
	At       time.Time `json:"at"`       // when it was proposed
	Void     time.Time `json:"void,omitzero"`
	// Void is the time of a decision on it that is void, as a record has changed.
}

// same reports whether both are of one user, member and identity.
func (p Pair) same(q Pair) bool {
	return p.User == q.User && p.Member == q.Member && p.Identity == q.Identity && p.How == q.How
}

// A decision is a person's on one pair: the document decisions/{user}, which
// functions may only read.
type decision struct {
	Pair

	Approved bool      `json:"approved"`
	Rejected []Pair    `json:"rejected,omitempty"` // earlier, and not approved since
	Records  string    `json:"records"`            // digest of both records as they were shown
	Decided  time.Time `json:"decided"`
}

// rejection returns the pair by which a person has said that a member is not the
// user's.
func rejection(rejected []Pair, p Pair) (Pair, bool) {
	i := slices.IndexFunc(rejected, p.same)
	if i < 0 {
		return p, false
	}
	return rejected[i], true
}

// rejected are all the pairs of which a person has said that.
func (d decision) rejected() []Pair {
	if d.User == 0 || d.Approved {
		return d.Rejected
	}
	return append(slices.Clone(d.Rejected), d.Pair)
}

var (
	// errAwaiting: a person has to decide whether the member is the user's.
	errAwaiting = errors.New("a person decides whether the member is this user's")
	// errRejected: a person has decided that it is not.
	errRejected = errors.New("the member is not this user's")
)

// pairOf is of a user who has the member's identity, exactly or not.
func (s *Stack) pairOf(user int64, m yappli.Member, exact bool) Pair {
	p := Pair{User: user, Member: m.ID, Identity: s.spell(m.UniqueID).folded.String(), How: inAnotherSpelling, At: s.Now().UTC()}
	if exact {
		p.How = exactly
	}
	return p
}

// mayLink says how a user may be linked to a member that bears the user's
// identity in one of its spellings, b being what is known of that; else errRejected
// with the pair that was rejected, or errAwaiting with the pair to be proposed.
func (s *Stack) mayLink(ctx context.Context, user int64, p person, m yappli.Member, b bearer) (how string, pair Pair, err error) {
	exact := m.UniqueID == p.unique.text
	remembered := b.Link != "" && b.Owner == user && b.Member == m.ID
	switch {
	case remembered && (s.Settings.Link == Always || b.Link == linkMade): // whatever a person decided who took it for somebody else's
		return b.Link, pair, nil
	case s.Settings.Link == Always && exact:
		return "", pair, nil
	}
	pair = s.pairOf(user, m, exact)
	var d decision
	if _, err := s.readInto(ctx, s.decisionKey(user), &d); err != nil {
		return "", pair, err
	}
	if rejected, is := rejection(d.rejected(), pair); is {
		return "", rejected, errRejected
	}
	switch ours := d.same(pair); {
	case remembered:
		return b.Link, pair, nil
	case s.Settings.Link == Match && len(p.match) > 0 && slices.Equal(p.match, s.matchOf(m)):
		return linkMatched, pair, nil
	case !ours:
		return "", pair, errAwaiting
	}
	if p, err = s.person(ctx, user); err != nil { // the read before may be older than the decision
		return "", pair, err
	}
	if d.Records == s.recordsDigest(p.user, m) {
		return linkApproved, pair, nil
	}
	pair.Void = d.Decided
	return "", pair, errAwaiting
}

// propose stores a pair for a person to decide. One that is there already is
// not written again.
func (s *Stack) propose(ctx context.Context, p Pair) error {
	for attempt := 1; ; attempt++ {
		var had Pair
		document, err := s.readInto(ctx, s.pairKey(p.User), &had)
		if err != nil || had.same(p) && (p.Void.IsZero() || had.Void.Equal(p.Void)) { // whoever has not read the decision cannot know that it is void
			return err
		}
		if _, err = document.Replace(ctx, s.Objects, p); !errors.Is(err, objectstore.ErrConflict) || attempt >= swapAttempts {
			return err
		}
	}
}

func (s *Stack) pairKey(user int64) string { return s.root + "pairs/" + strconv.FormatInt(user, 10) }

func (s *Stack) decisionKey(user int64) string {
	return s.root + "decisions/" + strconv.FormatInt(user, 10)
}

// matchOf are the values that a member shows for the link_if fields.
func (s *Stack) matchOf(m yappli.Member) []string {
	names := s.Mapping.LinkIf()
	values := make([]string, len(names))
	for i, name := range names {
		values[i], _ = m.Field(name)
	}
	return values
}

// unsteady are fields that change without anybody becoming another person.
var unsteady = []string{"credit", "last_login", "updated_on", "logined", "logined_at"}

// userFields and memberFields are the records as a person is shown them.
func userFields(u supersaas.User) map[string]string {
	shown := map[string]string{}
	for name, raw := range u.Fields() {
		encoded, _ := json.Marshal(raw) // it was read from JSON
		switch text, is := raw.(string); {
		case is:
			shown[name] = text
		case raw != nil:
			shown[name] = string(encoded)
		}
	}
	return steady(shown)
}

func memberFields(m yappli.Member) map[string]string {
	shown := map[string]string{"id": m.ID}
	for _, name := range yappli.RequestFields() {
		if value, there := m.Field(name); there {
			shown[name] = value
		}
	}
	return steady(shown)
}

func steady(fields map[string]string) map[string]string {
	maps.DeleteFunc(fields, func(name, value string) bool { return value == "" || slices.Contains(unsteady, name) })
	return fields
}

// recordsDigest is of both records as they are shown.
func (s *Stack) recordsDigest(u supersaas.User, m yappli.Member) string {
	records, _ := json.Marshal([]map[string]string{userFields(u), memberFields(m)}) // maps of texts
	return s.digest("records", string(records)).String()
}

// A sent is what a creation was about to send, as far as an answer shows it.
type sent struct {
	Attempt string   `json:"attempt"` // the row's owner at the time: of another attempt it says nothing
	Fields  []string `json:"fields"`
	Values  string   `json:"values"` // their digest
}

func (a *attempt) sentOf(p person) *sent {
	c := &sent{Attempt: a.held.Owner}
	for _, name := range append(slices.Collect(maps.Keys(p.wish)), p.unread...) {
		if !slices.Contains(neverShown, name) {
			c.Fields = append(c.Fields, name)
		}
	}
	value := func(name string) string { return p.wish[name].Plain(name) } // of what cannot be read: none is sent
	if !slices.ContainsFunc(c.Fields, func(name string) bool { return value(name) != "" }) {
		return nil // any member would show that
	}
	slices.Sort(c.Fields)
	c.Values = a.sentDigest(c.Fields, value)
	return c
}

// sentShows reports whether a member shows every value that was sent.
func (s *Stack) sentShows(c *sent, m yappli.Member) bool {
	return m.Enabled && c.Values == s.sentDigest(c.Fields, shownBy(m))
}

func (s *Stack) sentDigest(fields []string, value func(name string) string) string {
	parts := slices.Clone(fields)
	for _, name := range fields {
		parts = append(parts, value(name))
	}
	return s.digest("sent", parts...).String()
}
