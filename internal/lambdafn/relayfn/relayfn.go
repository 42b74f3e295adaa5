// Package relayfn composes the webhookrelay function: its settings, its
// wiring, and the handlers of its three roles. One binary is all three; the
// setting HIKYAKU_ROLE says which, and each refuses the events of the others.
//
//	function, err := relayfn.New(ctx, lambdafn.OSEnviron())
//	answer, err := function.Invoke(ctx, event)
package relayfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/ingest"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/published"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
)

// A Function is one role of webhookrelay. It is safe for concurrent use.
type Function struct {
	settings Settings
	base     *lambdafn.Base
	queue    *fifo
	dead     *fifo
	ingest   *ingest.Ingest // of the role ingest

	config tenant.Config         // of the other roles
	tokens []*secretstore.Tokens // in config
	mu     sync.Mutex
	tenant *tenant.Tenant // nil until the first event
}

// New checks the settings, without network.
func New(_ context.Context, e lambdafn.Environ) (*Function, error) {
	settings, err := lambdafn.Load[Settings](e)
	if err != nil {
		return nil, err
	}
	base := lambdafn.Open(e, settings.Common)
	client := sqs.NewFromConfig(base.AWS)
	f := &Function{settings: settings, base: base, queue: &fifo{client, settings.Queue}, dead: &fifo{client, settings.DeadLetter}}
	if settings.Role == Ingest {
		secrets := &webhooksecret.Reader{
			Store: base.Secrets, Name: webhooksecret.Name(settings.Prefix),
			RuleSince: settings.ruleSince(), Log: base.Log, Metrics: base.Metrics, Now: base.Now,
		}
		f.ingest = &ingest.Ingest{
			Secrets: secrets.Valid, SecretField: settings.SecretField,
			Queue: f.queue, Log: base.Log, Metrics: base.Metrics, Now: base.Now,
		}
		return f, nil
	}
	f.config = f.coreConfig()
	return f, nil
}

// Published is where the stack's published mappings lie.
func (f *Function) Published() published.Store {
	return published.Store{Objects: f.base.Objects, Prefix: f.settings.Prefix}
}

// Identity is the source field that unique_id is made of.
func (f *Function) Identity() string { return f.settings.Identity }

// Parse reads a mapping for the function's identity.
func (f *Function) Parse(name string, source []byte) (*mapping.Mapping, error) {
	return mapping.ParseFor(f.settings.Identity, name, source)
}

// packaged is the mapping that was deployed with the function. One that cannot be
// read stops nothing where another was published.
func (f *Function) packaged() (*mapping.Mapping, error) {
	source, err := os.ReadFile(f.settings.MappingFile)
	if err != nil {
		return nil, fmt.Errorf("HIKYAKU_MAPPING_FILE: %w; there is no default mapping: write one with 'hikyaku mapping init', and publish it with 'hikyaku mapping put FILE'", err)
	}
	m, err := f.Parse(f.settings.MappingFile, source)
	if err != nil {
		return nil, fmt.Errorf("HIKYAKU_MAPPING_FILE: %w", err)
	}
	return m, nil
}

// OnlyPublished makes the function work with a published mapping alone, for commands
// on a machine that does not hold what was deployed.
func (f *Function) OnlyPublished() {
	f.config.Mappings = f.mappings(func() (*mapping.Mapping, error) {
		return nil, errors.New("no mapping was published to this stack, and the one that was deployed with it is in the function alone: publish it with 'hikyaku mapping put FILE', or name its file with --mapping FILE")
	})
}

func (f *Function) mappings(packaged func() (*mapping.Mapping, error)) *published.Reader {
	return &published.Reader{Store: f.Published(), Parse: f.Parse, Packaged: packaged, Log: f.base.Log, Now: f.base.Now}
}

// Try makes the function work with a mapping that is not published, for commands
// that show what would come of it.
func (f *Function) Try(m *mapping.Mapping) { f.config.Mapping, f.config.Mappings = m, nil }

func (f *Function) coreConfig() tenant.Config {
	s, base := f.settings, f.base
	options := *base.Options()
	if s.Role == Relay {
		options.Attempts = 1 // the queue repeats, with longer pauses and without an instance waiting
	}
	// An instance's part of an account's limit: the function's share of it, divided
	// by how many of the function may run at once.
	limiter := func(rate, share float64) *providers.Breaker {
		return providers.NewBreaker(providers.NewPace(rate * share / float64(max(s.Instances, 1))))
	}
	limiters := tenant.Limiters{SuperSaaS: limiter(s.SuperSaaSRate, s.SuperSaaSShare), Yappli: limiter(s.YappliRate, s.YappliShare)}
	if s.Role == Relay && s.Instances <= 2 {
		// Two requests more in any ten seconds: as many as the shares of all
		// functions, which sum to 0.95 in the template, leave of 4 a second.
		limiters.SuperSaaS.AllowPair()
	}
	supersaas, yappli := base.Tokens(providers.SuperSaaS), base.Tokens(providers.Yappli)
	f.tokens = []*secretstore.Tokens{supersaas, yappli}
	return tenant.Config{
		Objects: base.Objects, Prefix: s.Prefix,
		SuperSaaS: supersaas, Yappli: yappli, Options: options,
		Limiters: limiters,
		Mappings: f.mappings(sync.OnceValues(f.packaged)),
		Identity: tenant.Identity{By: s.Identity, Prefix: s.IdentityPrefix},
		Settings: tenant.Settings{
			Mode: s.Mode, Link: s.Link, Hold: s.Hold, Lag: s.Lag, Cap: s.Cap, CreateAfterList: s.CreateAfterList, WebhookURL: s.WebhookURL,
		},
		Log: base.Log, Metrics: base.Metrics, Now: base.Now, RequestID: lambdafn.RequestID,
	}
}

// Tenant returns what relay and reconcile work on, for commands that need more
// than an event can ask for. It is opened again when the tokens belong to
// another account, tenant or set of quirks, or another mapping counts.
func (f *Function) Tenant(ctx context.Context) (*tenant.Tenant, error) {
	if f.settings.Role == Ingest {
		return nil, errors.New("webhookrelay: the role ingest has no access to providers")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	config := f.config
	if config.Mappings != nil {
		var err error
		if config.Mapping, err = config.Mappings.Current(ctx, ""); err != nil {
			return nil, err
		}
	}
	if f.tenant != nil {
		current, err := f.tenant.Current(ctx)
		if err != nil {
			return nil, err
		}
		if current {
			return f.tenant, nil
		}
	}
	opened, err := tenant.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	f.tenant = opened
	return opened, nil
}

// ready is Tenant for callers that may link, create or disable.
func (f *Function) ready(ctx context.Context) (*tenant.Tenant, error) {
	if err := f.settings.consent(); err != nil {
		return nil, err
	}
	return f.Tenant(ctx)
}

// Reconciler returns a reconciler that sends to the function's queue.
func (f *Function) Reconciler(ctx context.Context) (*reconcile.Reconciler, error) {
	t, err := f.ready(ctx)
	if err != nil {
		return nil, err
	}
	return reconcile.New(t, f.queue), nil
}

// Links returns the pairs that are pending approval, with the function's queue.
func (f *Function) Links(ctx context.Context) (admin.Links, error) {
	t, err := f.ready(ctx)
	if err != nil {
		return admin.Links{}, err
	}
	return admin.NewLinks(t, f.queue), nil
}

// Queues returns the dead-letter queue's exit and the queue's entrance, for the
// command that redrives.
func (f *Function) Queues() (dead queue.Outlet, users queue.Queue, err error) {
	if f.settings.DeadLetter == "" {
		return nil, nil, errors.New("HIKYAKU_DEAD_LETTER_QUEUE_URL: required: the URL of the dead-letter queue")
	}
	return f.dead, f.queue, nil
}

// kind holds just enough of an event to tell whose it is. It is the union of
// what the roles take.
type kind struct {
	Version string   `json:"version"`
	Records []record `json:"Records"`
	Source  string   `json:"source"`
	Action  string   `json:"action"`

	// of a webhook
	Body       string            `json:"body"`
	Base64     bool              `json:"isBase64Encoded"`
	Parameters map[string]string `json:"pathParameters"`
	Context    struct {
		RequestID string          `json:"requestId"`
		Epoch     int64           `json:"timeEpoch"` // milliseconds
		HTTP      json.RawMessage `json:"http"`
	} `json:"requestContext"`

	// of a reconcile
	OnlyIfWanted bool `json:"only_if_wanted"`
	DryRun       bool `json:"dry_run"`
}

func (k kind) role() Role {
	switch {
	case k.Version == "2.0" && k.Context.HTTP != nil:
		return Ingest
	case len(k.Records) > 0 && k.Records[0].Source == "aws:sqs":
		return Relay
	case k.Action == "reconcile" || k.Source == "aws.events" || k.Source == "aws.scheduler":
		return Reconcile
	}
	return ""
}

// expected says what each role takes.
var expected = map[Role]string{
	Ingest:    "an API Gateway HTTP API event, payload format 2.0",
	Relay:     `a batch of an SQS queue ({"Records":[{"eventSource":"aws:sqs"}]})`,
	Reconcile: `a schedule, or {"action":"reconcile"} with "only_if_wanted" and "dry_run" optional`,
}

// Invoke handles one event of the function's role. An event of another role
// is an error that names what was expected, and says whose the event is.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var event kind
	role := f.settings.Role
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("webhookrelay (role %s): the event is not a JSON object of the expected shape; expected %s", role, expected[role])
	}
	switch is := event.role(); {
	case is == "":
		return nil, fmt.Errorf("webhookrelay (role %s): unknown kind of event; expected %s", role, expected[role])
	case is != role:
		return nil, fmt.Errorf("webhookrelay (role %s): this event is for the role %s; expected %s", role, is, expected[role])
	}
	var answer any
	var err error
	switch role {
	case Ingest:
		answer = f.accept(ctx, event)
	case Relay:
		answer = f.relay(ctx, event)
	default:
		answer, err = f.reconcile(ctx, event)
	}
	if err != nil {
		return nil, fmt.Errorf("webhookrelay (role %s): %w", role, err)
	}
	return json.Marshal(answer)
}
