// Package refreshfn composes the tokenrefresh function: its settings, its
// wiring, and the handler that turns events into core calls.
package refreshfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/uuid"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// eventSource is the source of the events on the default bus.
const eventSource = "hikyaku.tokenrefresh"

// Settings are the function's settings.
type Settings struct {
	lambdafn.Common

	Window string `env:"HIKYAKU_REFRESH_WINDOW"` // hours with an IANA zone, such as 22:00-06:00 Asia/Tokyo; empty: at any time
}

// Validate returns every fault of the settings.
func (s Settings) Validate() []error {
	faults := s.Common.Validate()
	if _, err := protocol.ParseWindow(s.Window); err != nil {
		faults = append(faults, fmt.Errorf("HIKYAKU_REFRESH_WINDOW: %w", err))
	}
	return faults
}

// A Function handles the events of tokenrefresh. It is safe for concurrent use.
type Function struct {
	core    *tokenrefresh.Refresher
	secrets secretstore.Store
	base    *lambdafn.Base
	log     *slog.Logger
}

// New checks the settings and wires the function, without network.
func New(_ context.Context, e lambdafn.Environ) (*Function, error) {
	settings, err := lambdafn.Load[Settings](e)
	if err != nil {
		return nil, err
	}
	window, err := protocol.ParseWindow(settings.Window)
	if err != nil {
		return nil, err
	}
	base := lambdafn.Open(e, settings.Common)
	events, secrets := eventbridge.NewFromConfig(base.AWS), secretsmanager.NewFromConfig(base.AWS)
	core := tokenrefresh.New(settings.Prefix, tokenrefresh.Deps{
		Secrets:     base.Secrets,
		Objects:     base.Objects,
		Authorities: Authorities(base.Options()),
		Notify: func(ctx context.Context, e tokenrefresh.Event) error {
			return putEvent(ctx, events, stackEvent{e, settings.Stack, settings.Prefix})
		},
		Rotate: func(ctx context.Context, secret, version string) error {
			in := &secretsmanager.RotateSecretInput{SecretId: &secret}
			if version != "" {
				in.ClientRequestToken = &version
			}
			_, err := secrets.RotateSecret(ctx, in)
			return err
		},
		Measure: base.Metrics.Add,
		Log:     base.Log,
		Now:     base.Now,
		NewID:   uuid.NewString,
		Window:  window,
	})
	return &Function{core: core, secrets: base.Secrets, base: base, log: base.Log}, nil
}

// Refresher returns the core, for the command line: it reads what the last
// runs left, and hands over what a person authorized, which no event
// does.
func (f *Function) Refresher() *tokenrefresh.Refresher { return f.core }

// Authorities returns every provider's, by name.
func Authorities(o *providers.Options) map[string]providers.Authority {
	return map[string]providers.Authority{
		providers.AssistTencho: assisttencho.NewAuthority(o),
		providers.Yappli:       yappli.NewAuthority(o),
		providers.SHOPLINE:     shopline.NewAuthority(o),
		providers.ActiBook:     actibook.NewAuthority(o),
		providers.SuperSaaS:    supersaas.NewAuthority(o),
	}
}

// CheckConnection says everything that is doubtful about a connection's document: its
// form, and what its provider knows.
func CheckConnection(document []byte, now time.Time) (providers.Connection, providers.Faults) {
	c, faults := providers.CheckConnection(document, now)
	rules := map[string]func(providers.Connection) providers.Faults{
		providers.AssistTencho: assisttencho.CheckConnection,
		providers.Yappli:       yappli.CheckConnection,
		providers.SHOPLINE:     shopline.CheckConnection,
		providers.ActiBook:     actibook.CheckConnection,
		providers.SuperSaaS:    supersaas.CheckConnection,
	}
	if rule, known := rules[c.Provider]; known {
		faults = append(faults, rule(c)...)
	}
	return c, faults
}

// stackEvent says whose event it is, so that each stack of an account tells its own people.
type stackEvent struct {
	tokenrefresh.Event

	Stack  string `json:"stack"` // empty on a laptop
	Prefix string `json:"prefix"`
}

func putEvent(ctx context.Context, bus *eventbridge.Client, e stackEvent) error {
	detail, err := json.Marshal(e)
	if err != nil {
		return err
	}
	out, err := bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: aws.String(eventSource), DetailType: aws.String("credential " + e.Type), Detail: aws.String(string(detail)),
	}}})
	if err != nil {
		return err
	}
	if out.FailedEntryCount > 0 {
		return errors.New("the event bus refused the event")
	}
	return nil
}

// event is the union of what the function takes.
type event struct {
	Source     string          `json:"source"`      // "aws.events", "aws.scheduler": a tick
	DetailType string          `json:"detail-type"` // "Scheduled Event"
	Records    json.RawMessage `json:"Records"`     // another function's kind of event

	Action string `json:"action"` // watchPauses

	RejectedVersion string `json:"rejected_version"`

	Operation // a person's; Provider and Force may also come without one

	SecretID      string `json:"SecretId"`
	Token         string `json:"ClientRequestToken"`
	Step          string `json:"Step"`
	RotationToken string `json:"RotationToken"` // sent for rotations through an assumed role; nothing here needs it
}

// expected names the shapes for the caller that sent another one.
const expected = `expected a schedule ({"source":"aws.events"} or {"source":"aws.scheduler"}), a request ({"provider":"yappli","rejected_version":"..."}), a look at the pauses ({"action":"watch_pauses"}), a Secrets Manager rotation step ({"SecretId","ClientRequestToken","Step"}), or a person's operation ({"operation":"refresh"})`

// Invoke handles one event, if its caller may ask for it: see taken.
//
// A schedule runs every provider and answers with the report; if any
// credential is not what it should be the invocation fails, so that an alarm
// counts it; the next tick, a minute later, looks again. A request
// for one provider answers with its report and fails for the caller only if
// the request makes no sense. A look at the pauses measures them, and touches no
// credential.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, errors.New("tokenrefresh: the event is not a JSON object; " + expected)
	}
	switch {
	case e.Name != "":
		return f.operate(ctx, e)
	case e.Step != "" && e.SecretID != "" && e.Token != "":
		return f.rotate(ctx, e)
	case e.Source == "aws.events" || e.Source == "aws.scheduler":
		return f.tick(ctx, e)
	case e.Action == watchPauses:
		return f.watch(ctx, e)
	case e.Provider != "" && len(e.Records) == 0:
		return f.request(ctx, e)
	}
	return nil, errors.New("tokenrefresh: the event is of another kind; " + expected)
}

func (f *Function) rotate(ctx context.Context, e event) ([]byte, error) {
	if err := f.admit(ctx, e, stepEvent); err != nil {
		return nil, err
	}
	secret := secretName(e.SecretID)
	if err := f.pending(ctx, secret, e.Token); err != nil {
		return nil, fmt.Errorf("rotation of %s: %w", secret, err)
	}
	return []byte("null"), f.core.Rotation(ctx, secret, e.Token, e.Step)
}

// pending refuses a version that Secrets Manager is not rotating to. A step may be
// repeated after the version became current.
func (f *Function) pending(ctx context.Context, secret, version string) error {
	shown, err := f.secrets.Describe(ctx, secret)
	if err != nil {
		return fmt.Errorf("reading which version is pending: %w", err)
	}
	for _, stage := range []string{secretstore.Pending, secretstore.Current} {
		if v, found := shown.Holder(stage); found && v.ID == version {
			return nil
		}
	}
	return fmt.Errorf("a step must name the version that the secret shows as %s; %s is none", secretstore.Pending, version)
}

func (f *Function) tick(ctx context.Context, e event) ([]byte, error) {
	if err := f.admit(ctx, e, tickEvent); err != nil {
		return nil, err
	}
	report, err := f.core.Run(ctx, tokenrefresh.Request{})
	if err != nil {
		return nil, err
	}
	if failed := report.Retry(); len(failed) > 0 {
		return nil, fmt.Errorf("tokenrefresh: to be tried again: %s; see the log for each", strings.Join(failed, ", "))
	}
	return json.Marshal(report)
}

func (f *Function) request(ctx context.Context, e event) ([]byte, error) {
	if err := f.admit(ctx, e, requestEvent); err != nil {
		return nil, err
	}
	report, err := f.core.Run(ctx, tokenrefresh.Request{Provider: e.Provider, RejectedVersion: e.RejectedVersion})
	if err != nil {
		return nil, fmt.Errorf("tokenrefresh: %w", err)
	}
	return json.Marshal(report)
}

// secretName reads a name out of an ARN, whose last part is the name, a dash
// and six characters of the service's.
func secretName(id string) string {
	_, name, isARN := strings.Cut(id, ":secret:")
	if !isARN {
		return id
	}
	if i := strings.LastIndexByte(name, '-'); i > 0 && len(name)-i == 7 {
		return name[:i]
	}
	return name
}
