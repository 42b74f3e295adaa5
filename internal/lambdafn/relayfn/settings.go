package relayfn

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/webhookrelay/tenant"
)

// A Role is which of the three functions the binary is.
type Role string

// The roles.
const (
	Ingest    Role = "ingest"    // webhooks from API Gateway to the queue
	Relay     Role = "relay"     // messages of the queue to Yappli
	Reconcile Role = "reconcile" // both lists, compared, to the queue
)

// Settings are the function's settings. Which of them a role needs is checked
// at start.
type Settings struct {
	lambdafn.Common

	Role       Role   `env:"HIKYAKU_ROLE,required,notEmpty"` // ingest, relay or reconcile
	Queue      string `env:"HIKYAKU_QUEUE_URL"`              // the FIFO queue
	DeadLetter string `env:"HIKYAKU_DEAD_LETTER_QUEUE_URL"`  // relay: its dead-letter queue

	SecretField string `env:"HIKYAKU_WEBHOOK_SECRET_FIELD"` // ingest: the payload's field that holds the secret; empty: the URL's path does

	SecretRuleSince string `env:"HIKYAKU_WEBHOOK_SECRET_RULE_SINCE"` // ingest: when the stack began to refuse weak secrets, RFC 3339; empty: unknown

	MappingFile     string          `env:"HIKYAKU_MAPPING_FILE" envDefault:"mapping.yaml"` // relay, reconcile: relative to the function's root
	Identity        string          `env:"HIKYAKU_IDENTITY" envDefault:"id"`               // what unique_id is made of: id, fk or a field
	IdentityPrefix  string          `env:"HIKYAKU_IDENTITY_PREFIX"`                        // before it
	IDIsUniqueID    string          `env:"HIKYAKU_ID_IS_UNIQUE_ID"`                        // yes: the shop's unique_ids are SuperSaaS ids, so that id needs no prefix
	Editable        string          `env:"HIKYAKU_IDENTITY_EDITABLE"`                      // yes: the identity may be a field that customers edit
	Link            tenant.LinkMode `env:"HIKYAKU_LINK" envDefault:"approve"`              // approve, match or always: what it takes to link a member who exists
	Mode            tenant.Mode     `env:"HIKYAKU_RELAY" envDefault:"observe"`             // observe or write
	Hold            time.Duration   `env:"HIKYAKU_ROW_HOLD" envDefault:"90s"`              // how long one attempt owns a user
	Lag             time.Duration   `env:"HIKYAKU_LIST_LAG" envDefault:"2m"`               // how long Yappli's list may omit a new member
	Cap             int             `env:"HIKYAKU_DISABLE_CAP" envDefault:"50"`            // members that may be disabled in an hour
	CreateAfterList bool            `env:"HIKYAKU_CREATE_AFTER_LIST" envDefault:"false"`   // creations wait for a list begun a lag after the event
	WebhookURL      string          `env:"HIKYAKU_WEBHOOK_URL"`                            // reconcile: where the webhook must point, without the secret

	SuperSaaSRate  float64 `env:"HIKYAKU_SUPERSAAS_RATE" envDefault:"4"`    // requests per second of the account
	SuperSaaSShare float64 `env:"HIKYAKU_SUPERSAAS_SHARE" envDefault:"0.5"` // this function's part of them
	YappliRate     float64 `env:"HIKYAKU_YAPPLI_RATE" envDefault:"2"`       // requests per second of the tenant
	YappliShare    float64 `env:"HIKYAKU_YAPPLI_SHARE" envDefault:"0.5"`    // this function's part of them
	Instances      int     `env:"HIKYAKU_INSTANCES" envDefault:"1"`         // how many of this function run at once
}

// ruleSince is zero if it cannot be read: no webhook is lost for that.
func (s Settings) ruleSince() time.Time {
	at, _ := time.Parse(time.RFC3339, s.SecretRuleSince)
	return at
}

// Validate implements lambdafn.Validator.
func (s Settings) Validate() []error {
	faults := s.Common.Validate()
	need := func(ok bool, name, what string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %s", name, what))
		}
	}
	if s.Role != "" {
		need(s.Role == Ingest || s.Role == Relay || s.Role == Reconcile, "HIKYAKU_ROLE", "must be ingest, relay or reconcile")
	}
	need(s.Queue != "", "HIKYAKU_QUEUE_URL", "required: the URL of the FIFO queue")
	if s.Role != Relay && s.Role != Reconcile {
		return faults
	}
	need(s.Role != Relay || s.DeadLetter != "", "HIKYAKU_DEAD_LETTER_QUEUE_URL", "required: the URL of the dead-letter queue")
	need(s.Mode == tenant.Observe || s.Mode == tenant.Write, "HIKYAKU_RELAY", "must be observe or write")
	identity := tenant.Identity{By: s.Identity}
	if err := identity.Validate(); err != nil {
		need(false, "HIKYAKU_IDENTITY", err.Error())
	}
	need(slices.Contains([]tenant.LinkMode{tenant.Approve, tenant.Match, tenant.Always}, s.Link), "HIKYAKU_LINK", "must be approve, match or always")
	need(slices.Contains([]string{"", "no", "yes"}, s.IDIsUniqueID), "HIKYAKU_ID_IS_UNIQUE_ID", "must be yes or no")
	need(slices.Contains([]string{"", "no", "yes"}, s.Editable), "HIKYAKU_IDENTITY_EDITABLE", "must be yes or no")
	need(s.Hold >= 30*time.Second, "HIKYAKU_ROW_HOLD", "must be at least 30s, to outlive the requests of one attempt")
	need(s.Lag > 0, "HIKYAKU_LIST_LAG", "must be above 0, such as 2m")
	need(s.Cap > 0, "HIKYAKU_DISABLE_CAP", "must be above 0")
	need(s.SuperSaaSRate > 0, "HIKYAKU_SUPERSAAS_RATE", "must be above 0")
	need(s.YappliRate > 0, "HIKYAKU_YAPPLI_RATE", "must be above 0")
	need(s.SuperSaaSShare > 0 && s.SuperSaaSShare <= 1, "HIKYAKU_SUPERSAAS_SHARE", "must be above 0 and at most 1")
	need(s.YappliShare > 0 && s.YappliShare <= 1, "HIKYAKU_YAPPLI_SHARE", "must be above 0 and at most 1")
	need(s.Instances > 0, "HIKYAKU_INSTANCES", "must be above 0")
	return faults
}

// consent is an error where the identity would make one person's member
// another's, and nobody has said that it may. Until somebody does, messages wait
// in the queue.
func (s Settings) consent() error {
	switch {
	case s.Identity == "id" && s.IdentityPrefix == "" && s.IDIsUniqueID != "yes":
		return errors.New("HIKYAKU_IDENTITY_PREFIX: empty with the identity id, so that a member whose unique_id happens to be a number would be taken for the user of that number; " +
			"set a prefix such as ss- (parameter IdentityPrefix), or HIKYAKU_ID_IS_UNIQUE_ID=yes (IdIsUniqueId) if the shop's unique_ids are SuperSaaS ids")
	case slices.Contains(tenant.EditableFields(), s.Identity) && s.Editable != "yes":
		return fmt.Errorf("HIKYAKU_IDENTITY: customers can edit %s, so that who types somebody else's asks for that one's member, and the first who types a new one owns its member; "+
			"choose id, fk or super_field, or set HIKYAKU_IDENTITY_EDITABLE=yes (parameter IdentityEditable)", s.Identity)
	}
	return nil
}
