package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/spf13/cobra"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
)

// The events that can be triggered. A user's are followed by what the webhook names them.
const (
	eventTick      = "tick"
	eventReconcile = "reconcile"
	eventExport    = "export"
	eventPauses    = "pauses"
)

// userEvents are a user's, with the names by which SuperSaaS sends them.
var userEvents = map[string]string{"user-created": "new", "user-changed": "change", "user-deleted": "delete"}

func triggerEvents() []string {
	return []string{"user-changed", "user-created", "user-deleted", eventTick, eventReconcile, eventExport, eventPauses}
}

// A triggering is one event of a stack.
type triggering struct {
	output

	stack stackFlags
	user  int64
}

// A triggered is what trigger answers.
type triggered struct {
	Event     string `json:"event"`
	User      int64  `json:"user_id,string,omitempty"`
	Status    int    `json:"status,omitempty"`    // with which the relay's address answered
	Execution string `json:"execution,omitempty"` // of the state machine that was started
	Answer    any    `json:"answer,omitempty"`    // of the function that was asked
}

func newTrigger() *cobra.Command {
	var f triggering
	c := &cobra.Command{
		Use:   "trigger EVENT [DATASET]",
		Short: "Let one of the stack's events happen now",
		Long: "Does at once what a provider or a schedule does, with the stack's own addresses:\n\n" +
			"  user-changed  posts the webhook of a changed user to the relay, with its secret; so do user-created\n" +
			"                and user-deleted. The relay reads the user then, and does what the user is now like:\n" +
			"                user-deleted disables nobody who is still there. Without --user it is the first of the list\n" +
			"  tick          lets the token refresher look at every credential, as each minute\n" +
			"  reconcile     starts the comparison of both lists, as each night\n" +
			"  export        starts the exports of the night, or of the DATASET that is named, as a run of now\n" +
			"  pauses        measures what is paused, as every five minutes\n\n" +
			"What follows can be watched with 'hikyaku tail --follow'.",
		Example: "  hikyaku trigger user-changed --user 20450001 --stack hikyaku\n  hikyaku trigger export yappli/users\n  hikyaku trigger tick --json",
		Args: func(c *cobra.Command, a []string) error {
			switch {
			case len(a) == 2 && a[0] == eventExport:
				if !slices.Contains(export.DatasetNames(), a[1]) {
					return locale.Errorf("%q is no dataset%s", a[1], instead(a[1], export.DatasetNames()))
				}
				return nil
			case len(a) > 1:
				return locale.Errorf("%q takes no DATASET: only export does", strings.Join(a[:1], ""))
			}
			c.ValidArgs = triggerEvents()
			return oneKnown(c, a)
		},
		RunE: func(c *cobra.Command, a []string) error {
			if _, ofUser := userEvents[a[0]]; f.user != 0 && !ofUser {
				return &usageError{locale.Errorf("--user is for the events of users, and %s is none", a[0])}
			}
			return f.trigger(c, a)
		},
	}
	f.stack.addDeployed(c)
	f.add(c)
	c.Flags().Int64Var(&f.user, "user", 0, "SuperSaaS id of the user (default: the first of the account's list)")
	alias(c, "id", "user")
	return c
}

func (f *triggering) trigger(c *cobra.Command, a []string) error {
	if f.stack.name("") == "" {
		return &usageError{locale.Errorf("no stack is named: give --stack NAME (HIKYAKU_STACK)")}
	}
	e, base, err := f.stack.openAs(c, localstack.Reconcile)
	if err != nil {
		return err
	}
	answer := triggered{Event: a[0]}
	ctx := c.Context()
	switch a[0] {
	case eventTick:
		answered, err := (&remote{stack: f.stack.found}).ask(ctx, refreshfn.Operation{Name: refreshfn.Refresh})
		if err != nil {
			return err
		}
		answer.Answer = answered.Results
		return f.say(c, answer, "The token refresher has looked at %s. 'hikyaku tokens' shows how they are.", count(len(answered.Results), "credential"))
	case eventPauses:
		raw, _, err := f.stack.found.Invoke(ctx, localstack.Resource(localstack.TokenRefresh), localstack.Watch, []byte(`{"action":"watch_pauses"}`), false)
		if err != nil {
			return err
		}
		answer.Answer = json.RawMessage(raw)
		return f.say(c, answer, "What is paused was measured: %s", visible(string(raw)))
	case eventReconcile:
		return f.start(c, answer, localstack.ReconcileLoop, map[string]any{"event": map[string]string{"action": "reconcile"}})
	case eventExport:
		datasets := export.DatasetNames() // one whose provider is not connected is off by itself
		if chosen := f.stack.found.Parameters["ExportDatasets"]; chosen != "" {
			datasets = strings.Split(chosen, ",")
		}
		if len(a) == 2 {
			datasets = a[1:]
		}
		return f.start(c, answer, localstack.ExportLoop, map[string]any{"datasets": datasets, "scheduled_time": f.stack.now().UTC().Truncate(time.Second).Format(time.RFC3339)})
	}
	return f.post(c, answer, e, base)
}

// start starts a state machine of the stack.
func (f *triggering) start(c *cobra.Command, answer triggered, machine string, input any) error {
	arn := f.stack.found.Resources[machine]
	if arn == "" {
		return locale.Errorf("the stack %s has no %s: it is none of hikyaku's, or not deployed to its end", visible(f.stack.found.Name), machine)
	}
	raw, err := json.Marshal(input)
	if err != nil {
		return err
	}
	text := string(raw)
	started, err := sfn.NewFromConfig(f.stack.found.Config).StartExecution(c.Context(), &sfn.StartExecutionInput{StateMachineArn: &arn, Input: &text})
	if err != nil {
		return locale.Errorf("starting %s: %w", machine, clibase.Plain(err))
	}
	answer.Execution = *started.ExecutionArn
	return f.say(c, answer, "Started %s: %s", machine, answer.Execution)
}

// post sends the webhook of a user's event to the relay. The secret that ends the address
// is in no message of it.
func (f *triggering) post(c *cobra.Command, answer triggered, e lambdafn.Environ, base *lambdafn.Base) error {
	ctx := c.Context()
	address := asFolder(e.Vars["HIKYAKU_WEBHOOK_URL"])
	if address == "" {
		return locale.Errorf("the functions do not know the address of the webhook: the stack is older than this command")
	}
	secret, _, err := webhooksecret.Read(ctx, base.Secrets, webhooksecret.Name(base.Common.Prefix), secretstore.Current)
	if err != nil {
		return locale.Errorf("%w; make it with 'hikyaku connect webhook'", err)
	}
	if answer.User = f.user; answer.User == 0 {
		if answer.User, err = firstUser(ctx, base); err != nil {
			return err
		}
	}
	event := userEvents[answer.Event]
	body, err := json.Marshal(map[string]any{"id": answer.User, "event": event, "deleted": event == userEvents["user-deleted"]})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+secret.Current.Reveal(), bytes.NewReader(body))
	if err != nil {
		return locale.Errorf("the address of the webhook is none")
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil { // its words hold the whole address
		return locale.Errorf("the relay's address cannot be reached: is it %s?", visible(request.URL.Host))
	}
	_ = response.Body.Close()
	if answer.Status = response.StatusCode; answer.Status != http.StatusOK {
		return locale.Errorf("the relay has refused the webhook: %s", fmt.Sprint(answer.Status))
	}
	return f.say(c, answer, "The relay has taken the webhook of user %d. 'hikyaku history --user %d' tells what came of it.", answer.User, answer.User)
}

// firstUser is the first user of the account's list.
func firstUser(ctx context.Context, base *lambdafn.Base) (int64, error) {
	for user, err := range supersaas.New(base.Tokens(providers.SuperSaaS), base.Options()).Users(ctx, supersaas.UsersQuery{}) {
		if err != nil {
			return 0, locale.Errorf("reading the account's users: %w", err)
		}
		return user.ID, nil
	}
	return 0, locale.Errorf("the account has no user: name one with --user ID")
}
