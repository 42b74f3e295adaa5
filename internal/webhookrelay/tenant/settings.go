package tenant

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers"
)

// A Mode says whether the relay writes.
type Mode string

// The modes.
const (
	Observe Mode = "observe" // do everything but the Yappli write and the rows; report what would change
	Write   Mode = "write"
)

// Settings are the rules that a team may change. Zero values mean the
// defaults named.
type Settings struct {
	Mode Mode
	// Link is what it takes to link a member that the relay did not make:
	// Approve.
	Link LinkMode
	// Hold is how long one attempt owns a row: 90 s. It must outlive every
	// request of the attempt, which end a ninth of it earlier.
	Hold time.Duration
	// Lag is how long Yappli's list may omit a new member: 2 minutes.
	Lag time.Duration
	// Cap is how many members may be disabled in an hour: 50.
	Cap int
	// CreateAfterList makes a creation wait for a list that began Lag after its
	// event and the user's last change. It matters where others create members,
	// too: a look-up by unique_id finds one alias only.
	CreateAfterList bool
	// WebhookURL is where SuperSaaS should post changed users, without the
	// secret: reconcile counts the webhooks that begin so. Empty: it does
	// not look.
	WebhookURL string
}

// HoldTime is Hold or its default.
func (s Settings) HoldTime() time.Duration { return cmp.Or(s.Hold, 90*time.Second) }

// LagTime is Lag or its default.
func (s Settings) LagTime() time.Duration { return cmp.Or(s.Lag, 2*time.Minute) }

// MostDisabled is Cap or its default.
func (s Settings) MostDisabled() int { return cmp.Or(s.Cap, 50) }

// A Config is what Open binds together.
type Config struct {
	Objects   objectstore.Store
	Prefix    string                // leads every key
	SuperSaaS providers.TokenSource // of the one account
	Yappli    providers.TokenSource // of the one tenant
	Options   providers.Options     // of both clients; its Limiter is not used
	Limiters  Limiters
	Mapping   *mapping.Mapping
	Mappings  Mappings // says which mapping counts now; nil: Mapping does for good
	Identity  Identity
	Settings  Settings
	Log       *slog.Logger
	Metrics   Metrics
	Now       func() time.Time
	RequestID func(context.Context) string // of the invocation, for people who look at the log; nil: there is none
}

// Mappings say which mapping counts.
type Mappings interface {
	// Current looks whether another was published, if the last look is old,
	// or somebody has told of another by its ShortDigest.
	Current(ctx context.Context, told string) (*mapping.Mapping, error)
	// Held is the newest that Current gave, from memory.
	Held() *mapping.Mapping
}

// Metrics takes measurements. Dimensions are few and of few values.
type Metrics interface {
	Add(name, unit string, value float64, dimensions map[string]string)
	// AddTimed counts one of name, and beside it how long it took, without the
	// dimensions: in one line, since each is paid for.
	AddTimed(name string, dimensions map[string]string, took string, duration time.Duration)
}

// Limiters pace the requests to each provider.
type Limiters struct{ SuperSaaS, Yappli *providers.Breaker }

// A LinkMode says what it takes to link a user to a member who bears the user's
// identity and that the relay did not make.
type LinkMode string

// The link modes. Without one, Approve holds.
const (
	Approve LinkMode = "approve" // pending approval
	Match   LinkMode = "match"   // the mapping's link_if fields must agree; else pending approval
	Always  LinkMode = "always"  // the identity is enough
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

// EditableFields are those of IdentityFields that customers edit: who types another's
// value asks for that one's member.
func EditableFields() []string {
	return []string{"email", "name", "phone", "mobile", "field_1", "field_2"}
}

// Validate reports a field that is none of IdentityFields.
func (i Identity) Validate() error {
	if !slices.Contains(IdentityFields(), i.By) {
		return fmt.Errorf("identity %q is not one of %s", i.By, strings.Join(IdentityFields(), ", "))
	}
	return nil
}
