package refreshfn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// The aliases of the function. The stack lets each caller invoke its own alone, so
// the alias says who asks.
const (
	operatorAlias = "operator" // people, by the command line
	readersAlias  = "readers"  // functions that read tokens
	rotationAlias = "rotation" // Secrets Manager
	scheduleAlias = "schedule" // the stack's schedule
	watchAlias    = "watch"    // the schedule that looks at the pauses: its calls must not pass for looks at the tokens
	noAlias       = ""         // the function itself, or $LATEST
)

// A kind is what an event asks for.
type kind struct {
	name  string
	alias string // that is made for it
	also  string // a hint for who is refused
}

var (
	tickEvent      = kind{"a schedule's event", scheduleAlias, ""}
	requestEvent   = kind{"a request for one provider", readersAlias, ""}
	watchEvent     = kind{"a look at the pauses", watchAlias, ""}
	stepEvent      = kind{"a rotation step", rotationAlias, "; make that alias the secret's rotation function"}
	operationEvent = kind{"a person's operation", operatorAlias, ", as 'hikyaku ... --remote' does"}
)

// taken says what is taken through which alias. Versions before the aliases were invoked
// without one: what such callers ask for spends nobody else's budget and goes on
// working. What is not named here is refused.
var taken = map[string][]kind{
	operatorAlias: {operationEvent},
	scheduleAlias: {tickEvent},
	readersAlias:  {requestEvent},
	rotationAlias: {stepEvent},
	watchAlias:    {watchEvent},
	noAlias:       {tickEvent, requestEvent},
}

// aliasOf is the alias that the function was invoked by.
func aliasOf(ctx context.Context) string {
	lc, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return noAlias
	}
	_, name, _ := strings.Cut(lc.InvokedFunctionArn, ":function:")
	_, qualifier, _ := strings.Cut(name, ":")
	if qualifier == "$LATEST" {
		return noAlias
	}
	return qualifier
}

// admit refuses what the caller may not ask for.
func (f *Function) admit(ctx context.Context, e event, k kind) error {
	alias := aliasOf(ctx)
	if err := mayAsk(alias, e, k); err != nil {
		f.log.WarnContext(ctx, "event refused", "alias", alias, "event", k.name, "err", err)
		return err
	}
	if alias == noAlias {
		f.log.WarnContext(ctx, "invoked without an alias; a later version may take nothing without one", "event", k.name, "use", k.alias)
	}
	return nil
}

func mayAsk(alias string, e event, k kind) error {
	switch {
	case e.Force && k != operationEvent:
		return errors.New("tokenrefresh: an event must not force; people do, with 'hikyaku tokens refresh PROVIDER --force'")
	case slices.Contains(taken[alias], k):
		return nil
	case alias == noAlias:
		return fmt.Errorf("tokenrefresh: %s must come through the alias %q, not without an alias%s", k.name, k.alias, k.also)
	}
	return fmt.Errorf("tokenrefresh: %s must come through the alias %q, not through %q%s", k.name, k.alias, alias, k.also)
}
